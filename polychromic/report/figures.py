"""Vector figures for the paper: each function takes plain rows and returns a matplotlib Figure; `save` alone writes.

Colour is never the only cue: each method has its own colour (Paul Tol's muted palette), marker and line style, so a grey
print stays legible. The same rows give the same bytes: no clock in the PDF, fonts from matplotlib itself, TrueType embedded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from tueplots import bundles
from tueplots.constants.color import palettes

from polychromic.io import atomic_open
from polychromic.report import labels

HALO = [withStroke(linewidth=1.5, foreground="white")]  # small text stays legible on lines
WIDTH = 5.5  # inches; the text width of paper/main.tex


@dataclass(frozen=True)
class Look:
    color: str
    marker: str
    line: str | tuple


def _tol(index: int) -> str:
    return "#" + str(palettes.paultol_muted[index])


LOOKS: dict[str, Look] = {
    "zero_shot": Look(_tol(7), "v", (0, (1, 1.5))),
    "few_shot": Look(_tol(4), "^", (0, (3, 1, 1, 1))),
    "lora": Look(_tol(1), "s", (0, (5, 1.5))),
    "polychromic_plain": Look(_tol(3), "D", (0, (6, 1, 1, 1, 1, 1))),
    "polychromic": Look(_tol(0), "o", "-"),
}


@dataclass(frozen=True)
class Point:
    """One mark: a position with its 95 % interval, in the metric's own units (a share stays in [0, 1])."""

    x: float
    y: float
    y_low: float
    y_high: float
    x_low: float | None = None
    x_high: float | None = None
    note: str = ""


Curves = dict[str, list[Point]]  # method -> points in drawing order


def style() -> dict:
    """rcParams: tueplots' sizes without LaTeX, fonts that ship with matplotlib."""
    return bundles.iclr2024(usetex=False) | {
        "font.family": "serif",
        "font.serif": ["STIXGeneral"],
        "mathtext.fontset": "stix",
        "pdf.fonttype": 42,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "axes.grid": True,
        "grid.linewidth": 0.3,
        "grid.color": "#DDDDDD",
        "lines.linewidth": 1.1,
        "lines.markersize": 3.6,
        "legend.frameon": False,
        "legend.handlelength": 2.8,
        "legend.columnspacing": 1.2,
        "font.size": 9,
        "legend.fontsize": 8,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
    }


def frontier(curves: Curves, quality: str, primary: str) -> Figure:
    """Quality (x) against the primary metric (y), one curve per method over temperature; the ends carry their temperature."""
    with rc_context(style()):
        figure, (ax,) = _figure(1, height=3.3)
        for method, points in curves.items():
            look = LOOKS[method]
            for p in points:
                x_error = None if p.x_low is None or p.x_high is None else [[p.x - p.x_low], [p.x_high - p.x]]
                ax.errorbar(
                    p.x,
                    p.y,
                    yerr=[[p.y - p.y_low], [p.y_high - p.y]],
                    xerr=x_error,
                    fmt="none",
                    ecolor=look.color,
                    elinewidth=0.6,
                    alpha=0.35,
                    zorder=1,
                )
            _line(ax, method, [p.x for p in points], [p.y for p in points])
            left, right = min(points, key=lambda p: p.x), max(points, key=lambda p: p.x)
            for p, shift, side in ((left, -4, "right"), (right, 4, "left")):
                text = f"$T$={p.note}"
                ax.annotate(
                    text,
                    (p.x, p.y),
                    (shift, 3),
                    textcoords="offset points",
                    ha=side,
                    fontsize=7,
                    color=_dark(look.color),
                    zorder=4,
                    path_effects=HALO,
                )
        _axis(ax.xaxis, quality)
        _axis(ax.yaxis, primary)
        ax.margins(x=0.08, y=0.08)
        figure.legend(loc="outside upper center", ncols=5)
        return figure


def passk(curves: Curves, humans: Mapping[str, float] | None = None) -> Figure:
    """pass@k (y) against k (x) with bands of the intervals, each method at its chosen temperature.

    Args:
        humans: name -> pass@10 of human replies in place of drafts, drawn as ticks at k = 10.
    """
    with rc_context(style()):
        figure, (ax,) = _figure(1, height=2.8)
        for method, points in curves.items():
            ks = [p.x for p in points]
            ax.fill_between(ks, [p.y_low for p in points], [p.y_high for p in points], color=LOOKS[method].color, alpha=0.15, linewidth=0)
            _line(ax, method, ks, [p.y for p in points])
        for name, value in (humans or {}).items():
            ax.plot([9.8, 10.2], [value, value], color="black", linewidth=1.4, zorder=5)
            ax.annotate(name, (9.8, value), (-3, 2), textcoords="offset points", ha="right", fontsize=7, zorder=5)
        ax.set_xlabel("$k$ (drafts a person sees)")
        ax.set_ylabel("pass@$k$ (%) \u2191")
        ax.xaxis.set_major_locator(FixedLocator(sorted({p.x for points in curves.values() for p in points})))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}"))
        figure.legend(loc="outside upper center", ncols=5)
        return figure


def ablation(panels: Sequence[tuple[str, list[Point]]], headline: float) -> Figure:
    """One panel per metric against λ; a panel's first point is LoRA (λ = 0), drawn as a line with its band.

    Args:
        panels: (metric, points with λ ascending from 0).
        headline: the λ that the main comparison uses, marked with a triangle on the axis.
    """
    with rc_context(style()):
        figure, axes = _figure(len(panels), height=2.3)
        for ax, (metric, points) in zip(axes, panels, strict=True):
            reference, *rest = points
            ax.axhspan(reference.y_low, reference.y_high, color=LOOKS["lora"].color, alpha=0.12, linewidth=0)
            ax.axhline(reference.y, color=LOOKS["lora"].color, linestyle=LOOKS["lora"].line, linewidth=1.0, label=r"LoRA ($\lambda=0$)")
            ax.plot([headline], [0], marker="^", color="black", markersize=5, transform=ax.get_xaxis_transform(), clip_on=False, zorder=5)
            errors = np.array([[p.y - p.y_low for p in rest], [p.y_high - p.y for p in rest]])
            look = LOOKS["polychromic"]
            ax.errorbar([p.x for p in rest], [p.y for p in rest], yerr=errors, fmt="none", ecolor=look.color, elinewidth=0.7, alpha=0.5)
            _line(ax, "polychromic", [p.x for p in rest], [p.y for p in rest])
            ax.set_xscale("symlog", linthresh=min((p.x for p in rest if p.x > 0), default=1.0))
            ax.margins(x=0.1)
            ax.xaxis.set_major_locator(FixedLocator(_apart([p.x for p in rest])))
            ax.xaxis.set_minor_locator(NullLocator())
            ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: labels.plain(value)))
            ax.set_xlabel(r"$\lambda$")
            _axis(ax.yaxis, metric)
            ax.yaxis.set_major_locator(MaxNLocator(5))
            ax.set_title(ax.get_ylabel(), fontsize=9)
            ax.set_ylabel("")
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=2)
        return figure


def training(panels: Sequence[tuple[str, dict[str, list[tuple[int, float]]]]]) -> Figure:
    """One panel per quantity: (axis title, {method: [(step, mean over seeds)]})."""
    with rc_context(style()):
        figure, axes = _figure(len(panels), height=2.5)
        for ax, (title, curves) in zip(axes, panels, strict=True):
            for method, points in curves.items():
                _line(ax, method, [step for step, _ in points], [value for _, value in points], every=max(1, len(points) // 8))
            ax.set_xlabel("training step")
            ax.set_title(title, fontsize=9)
        named = {name: handle for ax in axes for handle, name in zip(*ax.get_legend_handles_labels(), strict=True)}
        order = [name for name in labels.METHODS.values() if name in named]
        figure.legend([named[name] for name in order], order, loc="outside upper center", ncols=5)
        return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PDF, or an SVG where the name says so, whose bytes depend on the drawing alone."""
    with rc_context(style() | {"svg.hashsalt": path.stem}), atomic_open(path) as file:
        if path.suffix == ".svg":
            FigureCanvasSVG(figure).print_figure(file, format="svg", metadata={"Date": None, "Creator": None})
            return
        FigureCanvasPdf(figure).print_figure(
            file, format="pdf", metadata={"CreationDate": None, "Producer": f"matplotlib {matplotlib.__version__}", "Creator": None}
        )


def _figure(panels: int, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def _line(ax: Axes, method: str, x: Iterable[float], y: Iterable[float], every: int = 1) -> None:
    look = LOOKS[method]
    ax.plot(
        list(x), list(y), color=look.color, marker=look.marker, linestyle=look.line, markevery=every,
        label=labels.METHODS[method], markerfacecolor="white" if method != "polychromic" else look.color, markeredgewidth=0.9, zorder=3,
    )  # fmt: skip


def _axis(axis, metric: str) -> None:
    """Name, unit and direction from labels.METRICS; shares in per cent."""
    info = labels.metric(metric)
    axis.set_label_text(info.name + (" (%)" if info.percent else "") + info.unicode_arrow)
    if info.percent:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))


def _apart(values: Sequence[float], factor: float = 2.0) -> list[float]:
    """Tick positions on a log axis that do not overprint each other: each at least `factor` times the one before."""
    kept: list[float] = []
    for value in sorted(values):
        if not kept or value >= factor * kept[-1]:
            kept.append(value)
    return kept


def _dark(color: str) -> str:
    """The colour darkened for small text."""
    rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{int(channel * 0.65):02x}" for channel in rgb)
