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

from polychromic.base.io import atomic_open
from polychromic.report import labels

HALO = [withStroke(linewidth=1.5, foreground="white")]  # small text stays legible on lines
WIDTH = 5.5  # inches; the text width of paper/main.tex


@dataclass(frozen=True)
class Look:
    color: str
    marker: str
    line: str | tuple


TOL = ["#" + str(color) for color in palettes.paultol_muted]
LOOKS: dict[str, Look] = {
    "zero_shot": Look(TOL[7], "v", (0, (1, 1.5))), "few_shot": Look(TOL[6], "^", (0, (3, 1, 1, 1))),
    "lora": Look(TOL[1], "s", (0, (5, 1.5))), "polychromic": Look(TOL[0], "o", "-"),
}  # fmt: skip
PEER_LOOKS = tuple(Look(TOL[color], marker, (0, line)) for color, marker, line in (  # of methods beside these; the data decide which
    (3, "D", (6, 1, 1, 1, 1, 1)), (5, "P", (2, 1)), (2, "X", (4, 1, 2, 1)), (4, "<", (8, 1)), (8, ">", (1, 1, 1, 3)),
    (1, "p", (8, 2, 3, 2)), (0, "*", (3, 3)), (6, "h", (6, 1, 1, 1)), (7, "d", (1, 4))))  # fmt: skip
GREY = "#C0C0C0"  # lighter than any look, in grey print too


def looks(methods: Iterable[str]) -> dict[str, Look]:
    """A look for each method: its own, or the next of PEER_LOOKS, first those whose colour no other method of the figure has."""
    methods, count = list(methods), len(PEER_LOOKS)
    free = [method for method in methods if method not in LOOKS]
    peers = sorted(PEER_LOOKS, key=lambda look: look.color in {LOOKS[method].color for method in methods if method in LOOKS})
    # Used up, colours come round with the marker moved by one and the line by two: 81 different pairs of marker and line.
    turn = lambda n: Look(peers[n % count].color, peers[(n + n // count) % count].marker, peers[(n + 2 * (n // count)) % count].line)
    return {m: LOOKS[m] if m in LOOKS else turn(free.index(m)) for m in methods}


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


@dataclass(frozen=True)
class Panel:
    """A quantity against λ: points with λ ascending from LoRA's 0. percent: shares, printed in per cent."""

    title: str
    points: list[Point]
    percent: bool = False


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


def frontier(curves: Curves, others: Curves, quality: str, primary: str) -> Figure:
    """Quality (x) against the primary metric (y), one curve per method over temperature; the ends carry their temperature.

    Args:
        others: methods drawn thin and grey, without a name.
    """
    with rc_context(style()):
        figure, (ax,) = _figure(1, height=3.1)
        for number, points in enumerate(others.values()):
            x, y = [p.x for p in points], [p.y for p in points]
            ax.plot(x, y, color=GREY, linewidth=0.6, marker=".", markersize=2.5, zorder=0, label="" if number else "other methods")
        shown = looks(curves)
        for method, points in curves.items():
            look = shown[method]
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
            _line(ax, method, look, [p.x for p in points], [p.y for p in points])
            left, right = min(points, key=lambda p: p.x), max(points, key=lambda p: p.x)
            for p, shift, side in ((left, -4, "right"), (right, 4, "left"))[left is right :]:
                if p.note:  # an own sample file need not name a temperature
                    _note(ax, p, f"$T$={p.note}", look.color, shift, side)
        _axis(ax.xaxis, quality)
        _axis(ax.yaxis, primary)
        ax.margins(x=0.08, y=0.08)
        handles, names = ax.get_legend_handles_labels()
        order = [n for n in range(len(names)) if names[n] != "other methods"] + [
            n for n in range(len(names)) if names[n] == "other methods"
        ]
        figure.legend([handles[n] for n in order], [names[n] for n in order], loc="outside upper center", ncols=4)
        return figure


def cost_gain(points: Mapping[str, tuple[Point, bool]], primary: str) -> Figure:
    """Training cost (x, in units of the plain trainer) against the primary metric (y), a mark per method with its intervals.

    Args:
        points: label -> (point, whether it is Polychromic LoRA); ours are joined by a line in the order of cost.
    """
    with rc_context(style()):
        figure, (ax,) = _figure(1, height=3.2)
        ours = sorted((p for p, mine in points.values() if mine), key=lambda p: p.x)
        ax.plot([p.x for p in ours], [p.y for p in ours], color=LOOKS["polychromic"].color, linewidth=0.6, alpha=0.5, zorder=1)
        # Costs crowd close to 1, where names would cover each other: a number beside the mark, its name above the figure.
        for number, (label, (p, mine)) in enumerate(points.items(), start=1):
            look = LOOKS["polychromic" if mine else "lora"]
            name = f"{number}  {labels.system_name(label, math=False)}"
            errors = {"yerr": [[p.y - p.y_low], [p.y_high - p.y]], "xerr": [[p.x - p.x_low], [p.x_high - p.x]]}
            style_of = {"fmt": look.marker, "color": look.color, "ecolor": look.color, "elinewidth": 0.6, "markersize": 4, "zorder": 3}
            ax.errorbar(p.x, p.y, **errors, **style_of, label=name)
            _note(ax, p, str(number), look.color, 4, "left", 4)
        ax.set_xlabel("training cost (plain trainer = 1)")
        _axis(ax.yaxis, primary)
        ax.margins(x=0.08, y=0.1)
        figure.legend(loc="outside upper center", ncols=3)
        return figure


def passk(curves: Curves) -> Figure:
    """pass@k (y) against k (x) with bands of the intervals, each method at its chosen temperature."""
    with rc_context(style()):
        figure, (ax,) = _figure(1, height=2.3)
        for (method, points), look in zip(curves.items(), looks(curves).values(), strict=True):
            ks = [p.x for p in points]
            ax.fill_between(ks, [p.y_low for p in points], [p.y_high for p in points], color=look.color, alpha=0.15, linewidth=0)
            _line(ax, method, look, ks, [p.y for p in points])
        ax.set_xlabel("$k$ (drafts a person sees)")
        ax.set_ylabel("pass@$k$ (%) \u2191")
        ax.xaxis.set_major_locator(FixedLocator(sorted({p.x for points in curves.values() for p in points})))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}"))
        figure.legend(loc="outside upper center", ncols=4)
        return figure


def ablation(panels: Sequence[Panel], headline: float) -> Figure:
    """One panel per quantity against λ, three in a row; a panel's first point is LoRA (λ = 0), drawn as a line with its band.

    Args:
        headline: the λ that the main comparison uses, marked with a triangle on the axis.
    """
    with rc_context(style()):
        rows = -(-len(panels) // 3)
        figure = Figure(figsize=(WIDTH, 1.6 * rows + 0.3), layout="constrained")
        axes = list(figure.subplots(rows, 3, squeeze=False).flat)
        for ax in axes[len(panels) :]:
            ax.set_visible(False)
        lora, look = LOOKS["lora"], LOOKS["polychromic"]
        for ax, panel in zip(axes, panels, strict=False):
            reference, *rest = panel.points
            ax.axhspan(reference.y_low, reference.y_high, color=lora.color, alpha=0.12, linewidth=0)
            ax.axhline(reference.y, color=lora.color, linestyle=lora.line, linewidth=1.0, label=r"LoRA ($\lambda=0$)")
            ax.plot([headline], [0], marker="^", color="black", markersize=5, transform=ax.get_xaxis_transform(), clip_on=False, zorder=5)
            errors = np.array([[p.y - p.y_low for p in rest], [p.y_high - p.y for p in rest]])
            ax.errorbar([p.x for p in rest], [p.y for p in rest], yerr=errors, fmt="none", ecolor=look.color, elinewidth=0.7, alpha=0.5)
            _line(ax, "polychromic", look, [p.x for p in rest], [p.y for p in rest])
            ax.set_xscale("symlog", linthresh=min((p.x for p in rest if p.x > 0), default=1.0))
            ax.margins(x=0.1)
            ax.xaxis.set_major_locator(FixedLocator(_apart([p.x for p in rest])))
            ax.xaxis.set_minor_locator(NullLocator())
            ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: labels.plain(value)))
            ax.set_xlabel(r"$\lambda$")
            ax.yaxis.set_major_locator(MaxNLocator(5))
            if panel.percent:
                ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
            ax.set_title(panel.title, fontsize=9)
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=2)
        return figure


def training(panels: Sequence[tuple[str, dict[str, list[tuple[int, float]]]]]) -> Figure:
    """One panel per quantity: (axis title, {method: [(step, mean over seeds)]})."""
    with rc_context(style() | {"lines.linewidth": 0.8}):  # dense curves
        figure, axes = _figure(len(panels), height=2.2)
        shown = looks(sorted({method for _, curves in panels for method in curves}, key=labels.rank))
        for ax, (title, curves) in zip(axes, panels, strict=True):
            for method, points in curves.items():
                steps, values = zip(*points, strict=True)
                _line(ax, method, shown[method], steps, values, every=max(1, len(points) // 8))
            ax.set_xlabel("training step")
            ax.set_title(title, fontsize=9)
        named = {name: handle for ax in axes for handle, name in zip(*ax.get_legend_handles_labels(), strict=True)}
        order = [labels.system_name(method, math=False) for method in shown]
        figure.legend([named[name] for name in order], order, loc="outside upper center", ncols=4)
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


def _line(ax: Axes, method: str, look: Look, x: Iterable[float], y: Iterable[float], every: int = 1) -> None:
    ax.plot(
        list(x), list(y), color=look.color, marker=look.marker, linestyle=look.line, markevery=every,
        label=labels.system_name(method, math=False), markerfacecolor="white" if method != "polychromic" else look.color,
        markeredgewidth=0.9, zorder=3,
    )  # fmt: skip


def _note(ax: Axes, p: Point, text: str, color: str, shift: float, side: str, lift: float = 3) -> None:
    """Small text beside a point, on a halo."""
    ax.annotate(
        text, (p.x, p.y), (shift, lift), textcoords="offset points", ha=side, fontsize=7, color=_dark(color), zorder=4, path_effects=HALO
    )


def _axis(axis, metric: str) -> None:
    """Name, unit and direction from the catalogue; shares in per cent."""
    axis.set_label_text(labels.title(metric))
    if labels.metric(metric).percent:
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
