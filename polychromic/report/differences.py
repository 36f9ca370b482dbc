"""Figures of two systems' differences: effects side by side, gains with their seeds, and what a mean hides, prompt by prompt.

As in polychromic.report.figures, each function takes a table and returns a Figure, computes no statistic and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from polychromic.report import labels
from polychromic.report.style import LOOKS, PEER_LOOKS, PERCENT, Look, drawing, rows_of, some


@dataclass(frozen=True)
class Effect:
    """A row of the forest plot: a contrast's d_z (delta / sd of the prompts' differences) with its interval in the same unit."""

    label: str
    d_z: float
    low: float
    high: float
    family: str

    @classmethod
    def scaled(cls, label: str, delta: float, low: float, high: float, d_z: float | None, family: str) -> Effect | None:
        """From an interval in the metric's unit, divided by the sd that d_z implies; None where there is none (d_z null or 0).

        Two systems that are equal on every prompt have no sd and need none: their effect is 0 and certain.
        """
        if delta == low == high == 0:
            return cls(label, 0.0, 0.0, 0.0, family)
        return cls(label, d_z, low * d_z / delta, high * d_z / delta, family) if d_z and delta else None


@dataclass(frozen=True)
class Gain:
    """A contrast in the metric's own unit, with its interval over prompts and the difference of each seed."""

    label: str
    delta: float
    low: float
    high: float
    primary: bool
    by_seed: Sequence[float] = ()


def forest(rows: Sequence[Effect]) -> Figure:
    """Effects in d_z with their intervals, a row each, top down in the order given, families apart; the numbers beside.

    Families differ by colour and marker; marks of the first are filled. Positive: the first system of the contrast is higher.

    Raises:
        PolychromicError: no row.
    """
    some("forest", rows)
    families = list(dict.fromkeys(row.family for row in rows))
    ordered = [row for family in families for row in rows if row.family == family]
    heights = [place + 0.7 * families.index(row.family) for place, row in enumerate(ordered)]
    with drawing(0.185 * (heights[-1] + 1) + 0.85) as (figure, (ax,)):
        shown = [LOOKS["polychromic"], LOOKS["lora"], *PEER_LOOKS]
        for number, family in enumerate(families):
            members = [(y, row) for y, row in zip(heights, ordered, strict=True) if row.family == family]
            values = np.array([[row.d_z, row.low, row.high] for _, row in members])
            _intervals(ax, [y for y, _ in members], values, "{:+.2f}".format, shown[number % len(shown)], number == 0, family)
        rows_of(ax, heights, [row.label for row in ordered], heights[-1] + 0.6)
        ax.set_xlabel("$d_z$ with 95 % interval")
        if len(families) > 1:
            figure.legend(loc="outside upper center", ncols=len(families))
        return figure


def gains(rows: Sequence[Gain], metric: str) -> Figure:
    """Differences of a metric with their intervals, a row each, top down; the primary family filled, the others hollow; a tick per seed.

    Rows are further apart where one's label has two lines.

    Raises:
        PolychromicError: no row, or a metric that labels.py does not know.
    """
    some("gains", rows)
    info, factor = labels.metric(metric), 100 if labels.metric(metric).percent else 1
    lines = max(row.label.count("\n") for row in rows) + 1
    with drawing((0.11 + 0.1 * lines) * len(rows) + 0.85) as (figure, (ax,)):
        for primary, look, name in ((True, LOOKS["polychromic"], "primary family"), (False, LOOKS["lora"], "secondary")):
            members = [(place, row) for place, row in enumerate(rows) if row.primary == primary]
            if not members:
                continue
            values = factor * np.array([[row.delta, row.low, row.high] for _, row in members])
            _intervals(ax, [place for place, _ in members], values, f"{{:+.{info.decimals}f}}".format, look, primary, name)
            for place, row in members:
                seeds = [factor * value for value in row.by_seed]
                ax.plot(seeds, [place + 0.28] * len(seeds), "|", color=look.color, markersize=3, alpha=0.7, zorder=2)
        rows_of(ax, range(len(rows)), [row.label for row in rows], len(rows) - 0.4, fontsize=8 if lines == 1 else 6.5)
        unit = " (points)" if info.percent else ""
        ax.set_xlabel(f"difference in {info.label}{unit}, with 95 % interval over prompts; ticks: seeds")
        figure.legend(loc="outside upper center", ncols=2)
        return figure


def _intervals(
    ax: Axes, heights: Sequence[float], values: np.ndarray, text: Callable[[float], str], look: Look, filled: bool, name: str
) -> None:
    """A mark with its interval at each height, and the numbers beside the axis. values: (rows, 3), the mean and both ends."""
    ax.errorbar(
        values[:, 0], heights, xerr=[values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]], fmt=look.marker, color=look.color,
        markerfacecolor=look.color if filled else "white", elinewidth=1.0, markersize=4.5, label=name, zorder=3,
    )  # fmt: skip
    for y, (mean, low, high) in zip(heights, values.tolist(), strict=True):
        numbers = f"{text(mean)} [{text(low)}, {text(high)}]".replace("-", "\u2212")
        ax.text(1.02, y, numbers, transform=ax.get_yaxis_transform(), va="center", fontsize=7)


def differences(a_minus_b: ArrayLike, interval: tuple[float, float], metric: str, a: str, b: str) -> Figure:
    """Each prompt's difference of two systems, sorted, with their mean and its interval: is a gain everywhere, or in a few prompts?

    Args:
        a_minus_b: (P,) differences of the prompts' scores, means over seeds, in the metric's unit.
        interval: of the mean, in the same unit.
        metric: a name that report.labels knows.
        a, b: labels of the two systems.

    Raises:
        PolychromicError: no prompt, or a metric that labels.py does not know.
    """
    values = np.sort(np.asarray(a_minus_b, dtype=np.float64).ravel())
    some("differences", values)
    info, scale = labels.metric(metric), 100 if labels.metric(metric).percent else 1
    names = [labels.system_name(name, math=False) for name in (a, b)]
    with drawing(2.2) as (figure, (ax,)):
        places = np.arange(1, len(values) + 1)
        sides = ((values > 0, LOOKS["polychromic"], f"{names[0]} higher"), (values < 0, LOOKS["lora"], f"{names[1]} higher"))
        for chosen, look, name in sides:
            ax.vlines(places[chosen], 0, values[chosen], color=look.color, linewidth=0.8, alpha=0.7, zorder=2)
            filled = look.color if look.marker == "o" else "white"
            ax.plot(
                places[chosen], values[chosen], color=look.color, marker=look.marker, linestyle="none", markersize=2.8, zorder=3,
                markerfacecolor=filled, markeredgewidth=0.7, label=f"{name} ({chosen.sum()})",
            )  # fmt: skip
        equal = values == 0
        ax.plot(places[equal], values[equal], color="#555555", marker="|", linestyle="none", zorder=3, label=f"equal ({equal.sum()})")
        mean, digits = values.mean(), info.decimals
        numbers = [labels.signed_zero(f"{scale * value:+.{digits}f}").replace("-", "\u2212") for value in (mean, *interval)]
        ax.axhspan(*interval, color="black", alpha=0.12, linewidth=0)
        ax.axhline(mean, color="black", linewidth=1.0, linestyle=(0, (4, 2)), label=f"mean {numbers[0]} [{numbers[1]}, {numbers[2]}]")
        ax.axhline(0, color="black", linewidth=0.6)
        ax.set_xlabel(f"prompts, sorted (of {len(values)})")
        ax.set_ylabel(f"difference in\n{info.label}" + (" (points)" if info.percent else ""))
        ax.grid(axis="x", visible=False)
        if info.percent:
            ax.yaxis.set_major_formatter(PERCENT)
        figure.legend(loc="outside upper center", ncols=2)
        return figure
