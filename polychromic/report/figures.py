"""The paper's curves: each function takes plain rows and returns a matplotlib Figure. It knows no result and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from polychromic.base.errors import PolychromicError
from polychromic.report import labels
from polychromic.report.style import CEILING, FLOOR, GREY, HUMANS, LOOKS, PERCENT, Look, draw_line, drawing, looks, name_axis, note, some
from polychromic.score.passk import cover_at_tau

ELSEWHERE, DOTS = "drafts, other prompts", (0, (1, 2))
MARKERS = 9  # on a curve with many points


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

    @property
    def errors(self) -> dict[str, list[list[float]] | None]:
        """How far the interval reaches to both sides, as matplotlib's errorbar takes it."""
        across = None if self.x_low is None or self.x_high is None else [[self.x - self.x_low], [self.x_high - self.x]]
        return {"yerr": [[self.y - self.y_low], [self.y_high - self.y]], "xerr": across}


Curves = dict[str, list[Point]]  # method -> points in drawing order


@dataclass(frozen=True)
class Panel:
    """A quantity against λ: points with λ ascending from LoRA's 0. percent: shares, printed in per cent."""

    title: str
    points: list[Point]
    percent: bool = False


def frontier(curves: Curves, others: Curves, quality: str, primary: str) -> Figure:
    """Quality (x) against the primary metric (y), one curve per method over temperature; the ends carry their temperature.

    Args:
        others: methods drawn thin and grey, without a name.
    """
    with drawing(3.1) as (figure, (ax,)):
        for number, points in enumerate(others.values()):
            x, y = [p.x for p in points], [p.y for p in points]
            ax.plot(x, y, color=GREY, linewidth=0.6, marker=".", markersize=2.5, zorder=0, label="" if number else "other methods")
        shown = looks(curves)
        for method, points in curves.items():
            look = shown[method]
            for p in points:
                ax.errorbar(p.x, p.y, **p.errors, fmt="none", ecolor=look.color, elinewidth=0.6, alpha=0.35, zorder=1)
            _curve(ax, method, look, points)
            left, right = min(points, key=lambda p: p.x), max(points, key=lambda p: p.x)
            for p, shift, side in ((left, -4, "right"), (right, 4, "left"))[left is right :]:
                if p.note:  # an own sample file need not name a temperature
                    note(ax, p.x, p.y, f"$T$={p.note}", look.color, shift, side)
        name_axis(ax.xaxis, quality)
        name_axis(ax.yaxis, primary)
        ax.margins(x=0.08, y=0.08)
        named = sorted(zip(*ax.get_legend_handles_labels(), strict=True), key=lambda pair: pair[1] == "other methods")
        figure.legend(*zip(*named, strict=True), loc="outside upper center", ncols=4)
        return figure


def cost_gain(points: Mapping[str, tuple[Point, bool]], primary: str) -> Figure:
    """Training cost (x, in units of the plain trainer) against the primary metric (y), a mark per method with its intervals.

    Args:
        points: label -> (point, whether it is Polychromic LoRA); ours are joined by a line in the order of cost.
    """
    with drawing(3.2) as (figure, (ax,)):
        ours = sorted((p for p, mine in points.values() if mine), key=lambda p: p.x)
        ax.plot([p.x for p in ours], [p.y for p in ours], color=LOOKS["polychromic"].color, linewidth=0.6, alpha=0.5, zorder=1)
        # Costs crowd close to 1, where names would cover each other: a number beside the mark, its name above the figure.
        for number, (label, (p, mine)) in enumerate(points.items(), start=1):
            look = LOOKS["polychromic" if mine else "lora"]
            name = f"{number}  {labels.system_name(label, math=False)}"
            mark = {"fmt": look.marker, "color": look.color, "ecolor": look.color, "elinewidth": 0.6, "markersize": 4, "zorder": 3}
            ax.errorbar(p.x, p.y, **p.errors, **mark, label=name)
            note(ax, p.x, p.y, str(number), look.color, 4, "left", 4)
        ax.set_xlabel("training cost (plain trainer = 1)")
        name_axis(ax.yaxis, primary)
        ax.margins(x=0.08, y=0.1)
        figure.legend(loc="outside upper center", ncols=3)
        return figure


def passk(curves: Curves) -> Figure:
    """pass@k (y) against k (x) with bands of the intervals, each method at its chosen temperature."""
    with drawing(2.3) as (figure, (ax,)):
        for (method, points), look in zip(curves.items(), looks(curves).values(), strict=True):
            _band(ax, look, points, alpha=0.15)
            _curve(ax, method, look, points)
        ax.set_ylabel("pass@$k$ (%) \u2191")
        _axis_of_k(ax, curves.values())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}"))
        figure.legend(loc="outside upper center", ncols=4)
        return figure


def ablation(panels: Sequence[Panel], headline: float) -> Figure:
    """One panel per quantity against λ, three in a row; a panel's first point is LoRA (λ = 0), drawn as a line with its band.

    Args:
        headline: the λ that the main comparison uses, marked with a triangle on the axis.
    """
    rows = -(-len(panels) // 3)
    with drawing(1.6 * rows + 0.3, rows, 3) as (figure, axes):
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
            _curve(ax, "polychromic", look, rest)
            ax.set_xscale("symlog", linthresh=min((p.x for p in rest if p.x > 0), default=1.0))
            ax.margins(x=0.1)
            ax.xaxis.set_major_locator(FixedLocator(_apart([p.x for p in rest])))
            ax.xaxis.set_minor_locator(NullLocator())
            ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: labels.plain(value)))
            ax.set_xlabel(r"$\lambda$")
            ax.yaxis.set_major_locator(MaxNLocator(5))
            if panel.percent:
                ax.yaxis.set_major_formatter(PERCENT)
            ax.set_title(panel.title, fontsize=9)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
        return figure


def training(panels: Sequence[tuple[str, dict[str, list[tuple[int, float]]]]]) -> Figure:
    """One panel per quantity: (axis title, {method: [(step, mean over seeds)]})."""
    with drawing(2.2, columns=len(panels), **{"lines.linewidth": 0.8}) as (figure, axes):  # dense curves
        shown = looks(sorted({method for _, curves in panels for method in curves}, key=labels.rank))
        for ax, (title, curves) in zip(axes, panels, strict=True):
            for method, points in curves.items():
                steps, values = zip(*points, strict=True)
                draw_line(ax, method, shown[method], steps, values, every=max(1, len(points) // 8))
            ax.set_xlabel("training step")
            ax.set_title(title, fontsize=9)
        named = {name: handle for ax in axes for handle, name in zip(*ax.get_legend_handles_labels(), strict=True)}
        order = [labels.system_name(method, math=False) for method in shown]
        figure.legend([named[name] for name in order], order, loc="outside upper center", ncols=4)
        return figure


def cover(curves: Mapping[str, ArrayLike]) -> Figure:
    """Cover@tau (y): the share of prompts that a system solves with probability tau (x) or more, tau in (0, 1].

    A curve far to the right is sure of what it solves, a curve that starts high solves many prompts now and then. Rates
    estimated from n samples spread more than the true ones: compare systems at equal n.

    Args:
        curves: label -> pass rates in [0, 1], (P,), or (S, P) for the mean over seeds.

    Raises:
        PolychromicError: no system, no prompt, or a rate outside [0, 1].
    """
    some("cover", curves)
    with drawing(2.3) as (figure, (ax,)):
        for (label, rates), look in zip(curves.items(), looks(curves).values(), strict=True):
            rates = np.asarray(rates, dtype=np.float64).ravel()
            thresholds = np.unique(np.append(rates[rates > 0], 1.0))  # where the share steps down
            shares = [cover_at_tau(rates, tau) for tau in thresholds]
            # constant from the last threshold, or from 0, up to and with each
            every = max(1, len(shares) // MARKERS)
            draw_line(ax, label, look, [0, *thresholds], [shares[0], *shares], every=every, drawstyle="steps-pre")
        ax.set_xlabel(r"$\tau$ (share of a prompt's drafts that pass)")
        ax.set_ylabel("Cover@$\\tau$ (% of prompts) \u2191")
        ax.set_xlim(0, 1.02)
        ax.set_ylim(bottom=0)
        ax.yaxis.set_major_formatter(PERCENT)
        figure.legend(loc="outside upper center", ncols=4)
        return figure


def person(ceiling: Sequence[Point], floor: Sequence[Point], systems: Curves, floors: Curves) -> Figure:
    """human recall@k (y) against k (x): of people themselves, of systems, and of both at messages that they did not answer.

    People's curves are black and grey; a floor is dotted and thin, in its system's colour, and has no marks.

    Args:
        ceiling, floor: people at their own message and at other messages, a point per k.
        systems: label -> points by ascending k, with intervals. floors: the same drafts at other messages.

    Raises:
        PolychromicError: no point of a curve, no system, or systems and floors of different labels.
    """
    for name, table in [("ceiling", ceiling), ("floor", floor), ("systems", systems), *systems.items(), *floors.items()]:
        some(f"person, {name}", table)
    if systems.keys() != floors.keys():
        raise PolychromicError(f"figure person: got systems {sorted(systems)}, floors {sorted(floors)}. Allowed: the same labels.")
    with drawing(2.6) as (figure, (ax,)):
        people = ((CEILING, ceiling, HUMANS[CEILING]), (FLOOR, floor, HUMANS[FLOOR]))
        drafts = [(label, points, look) for (label, points), look in zip(systems.items(), looks(systems).values(), strict=True)]
        for label, points, look in (*people, *drafts):
            _band(ax, look, points, alpha=0.12)
            _curve(ax, label, look, points)
            if below := floors.get(label):
                ax.plot([p.x for p in below], [p.y for p in below], color=look.color, linestyle=DOTS, linewidth=0.7, zorder=2)
        ax.plot([], [], color="#888888", linestyle=DOTS, linewidth=0.7, label=ELSEWHERE)  # one entry for all of them
        ax.set_ylabel("human recall@$k$ (% of people) \u2191")
        _axis_of_k(ax, (ceiling, floor, *systems.values(), *floors.values()))
        ax.yaxis.set_major_formatter(PERCENT)
        ax.set_ylim(bottom=0)
        figure.legend(loc="outside upper center", ncols=4)
        return figure


def _curve(ax: Axes, label: str, look: Look, points: Sequence[Point]) -> None:
    draw_line(ax, label, look, [p.x for p in points], [p.y for p in points])


def _band(ax: Axes, look: Look, points: Sequence[Point], alpha: float) -> None:
    low, high = [p.y_low for p in points], [p.y_high for p in points]
    ax.fill_between([p.x for p in points], low, high, color=look.color, alpha=alpha, linewidth=0)


def _axis_of_k(ax: Axes, curves: Sequence[Sequence[Point]]) -> None:
    ax.set_xlabel("$k$ (drafts a person sees)")
    ax.xaxis.set_major_locator(FixedLocator(sorted({p.x for points in curves for p in points})))


def _apart(values: Sequence[float], factor: float = 2.0) -> list[float]:
    """Tick positions on a log axis that do not overprint each other: each at least `factor` times the one before."""
    kept: list[float] = []
    for value in sorted(values):
        if not kept or value >= factor * kept[-1]:
            kept.append(value)
    return kept
