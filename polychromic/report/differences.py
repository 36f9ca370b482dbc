"""Figures of two systems' differences: the primary contrasts, effects side by side, and what a mean hides, prompt by prompt. As in
polychromic.report.figures, each function returns a Figure, computes no statistic and writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from polychromic.report import labels
from polychromic.report.results import Compare, significant
from polychromic.report.style import LOOKS, PEER_LOOKS, PERCENT, Look, drawing

MINUS = "\u2212"


@dataclass(frozen=True)
class Effect:
    """A row of a figure: a contrast with its interval, all in one unit. Of the forest plot that is d_z: delta / sd of the prompts'
    differences."""

    label: str
    value: float
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


def forest(rows: Sequence[Effect]) -> Figure:
    """Effects in d_z with their intervals, a row each, top down in the order given, families apart; the numbers beside.

    Families differ by colour and marker; marks of the first are filled. Positive: the first system of the contrast is higher.
    """
    families = list(dict.fromkeys(row.family for row in rows))
    ordered = sorted(rows, key=lambda row: families.index(row.family))
    heights = [place + 0.7 * families.index(row.family) for place, row in enumerate(ordered)]
    height = 0.185 * (heights[-1] + 1) + 0.85 + 0.17 * (len(families) // 2) * (len(families) > 2)  # of many, the names have rows
    with drawing(height, legend=len(families) if len(families) > 1 else 0) as (figure, (ax,)):
        _rows(ax, ordered, heights, heights[-1] + 0.6, "{:+.2f}".format)
        ax.set_xlabel("$d_z$ with 95 % interval")
        return figure


def primary(compares: Sequence[Compare]) -> Figure:
    """Every primary contrast of every domain, a panel per domain in the unit of its metric: the gap with its interval and its adjusted p
    beside it, "no match" where the two fronts share no quality. Filled: significant. Of dev, where one seed makes nothing primary, the
    headline's fronts against those of LoRA and the peers."""
    families = [compare.deciding() for compare in compares]
    sizes = [max(1, len(rows)) for rows in families]
    with drawing(0.17 * sum(sizes) + 0.62 * len(sizes), len(sizes), heights=[size + 1.2 for size in sizes]) as (figure, axes):
        for ax, compare, rows in zip(axes, compares, families, strict=True):
            info = labels.metric(compare.primary)
            factor = 100 if info.percent else 1
            number = lambda x, info=info, factor=factor: labels.signed_zero(f"{factor * x:+.{info.decimals}f}").replace("-", MINUS)
            for y, c in enumerate(rows):
                if c.delta is None:
                    ax.text(0, y, " no match", va="center", fontsize=7, style="italic", color="#555555")
                    continue
                look = LOOKS["polychromic"] if "polychromic" in c.a else LOOKS["lora"]
                ends = [[factor * (c.delta - c.low)], [factor * (c.high - c.delta)]]
                ax.errorbar(factor * c.delta, y, xerr=ends, fmt=look.marker, color=look.color, markersize=4.5, elinewidth=1.0, zorder=3,
                            markerfacecolor=look.color if significant(c) else "white")  # fmt: skip
                p = f"p = {labels.format_p(c.p_adjusted)}".replace("= <", "< ")
                beside = f"{number(c.delta)} [{number(c.low)}, {number(c.high)}]  {p}"
                ax.text(1.02, y, beside, transform=ax.get_yaxis_transform(), va="center", fontsize=7)
            _frame(ax, [f" {MINUS} ".join(labels.system_name(side, math=False) for side in (c.a, c.b)) for c in rows], range(len(rows)))
            ax.margins(x=0.08)
            ax.set_ylim(len(rows) - 0.4, -0.6)
            unit = " (points)" if info.percent else ""
            name = compare.domain_name
            ax.set_title(f"{name[0].upper()}{name[1:]}: gap in {info.label}{unit}, right is better for the first", fontsize=8.5, loc="left")
        return figure


def _rows(ax: Axes, rows: Sequence[Effect], heights: Sequence[float], bottom: float, text: Callable[[float], str]) -> dict[str, Look]:
    """From top to bottom, a mark with its interval and its name, a line at zero, and the numbers beside. Returns how families look."""
    shown = [LOOKS["polychromic"], LOOKS["lora"], *PEER_LOOKS]
    families = {family: shown[n % len(shown)] for n, family in enumerate(dict.fromkeys(row.family for row in rows))}
    for family, look in families.items():
        members = [(y, row.value, row.low, row.high) for y, row in zip(heights, rows, strict=True) if row.family == family]
        y, value, low, high = np.array(members).T
        filled = look.color if look is shown[0] else "white"
        ax.errorbar(value, y, xerr=[value - low, high - value], fmt=look.marker, color=look.color, markerfacecolor=filled, elinewidth=1.0,
                    markersize=4.5, label=family, zorder=3)  # fmt: skip
        for y, value, low, high in members:
            numbers = f"{text(value)} [{text(low)}, {text(high)}]".replace("-", MINUS)
            ax.text(1.02, y, numbers, transform=ax.get_yaxis_transform(), va="center", fontsize=7)
    _frame(ax, [row.label for row in rows], heights)
    ax.set_ylim(bottom, -0.6)
    return families


def _frame(ax: Axes, names: Sequence[str], heights: Sequence[float]) -> None:
    """A line at zero, and names instead of a scale upright."""
    ax.axvline(0, color="black", linewidth=0.7, zorder=1)
    ax.set_yticks(heights, names)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)
    ax.spines["left"].set_visible(False)


def differences(a_minus_b: ArrayLike, interval: tuple[float, float], metric: str, a: str, b: str) -> Figure:
    """Each prompt's difference of the systems a and b, sorted, with their mean and its interval: is a gain everywhere, or in a few prompts?
    a_minus_b: (P,) differences of the prompts' scores, means over seeds, in the metric's unit, as is the mean's `interval`."""
    values = np.sort(np.asarray(a_minus_b, dtype=np.float64).ravel())
    info, scale = labels.metric(metric), 100 if labels.metric(metric).percent else 1
    with drawing(2.2, legend=2) as (figure, (ax,)):
        places = np.arange(1, len(values) + 1)
        for label, chosen, look in ((a, values > 0, LOOKS["polychromic"]), (b, values < 0, LOOKS["lora"])):
            name = f"{labels.system_name(label, math=False)} higher ({chosen.sum()})"
            ax.vlines(places[chosen], 0, values[chosen], color=look.color, linewidth=0.8, alpha=0.7, zorder=2)
            filled = look.color if look.marker == "o" else "white"
            ax.plot(
                places[chosen], values[chosen], color=look.color, marker=look.marker, linestyle="none", markersize=2.8, zorder=3,
                markerfacecolor=filled, markeredgewidth=0.7, label=name,
            )  # fmt: skip
        equal = values == 0
        ax.plot(places[equal], values[equal], color="#555555", marker="|", linestyle="none", zorder=3, label=f"equal ({equal.sum()})")
        mean, low, high = (
            labels.signed_zero(f"{scale * value:+.{info.decimals}f}").replace("-", MINUS) for value in (values.mean(), *interval)
        )
        ax.axhspan(*interval, color="black", alpha=0.12, linewidth=0)
        ax.axhline(values.mean(), color="black", linewidth=1.0, linestyle=(0, (4, 2)), label=f"mean {mean} [{low}, {high}]")
        ax.axhline(0, color="black", linewidth=0.6)
        ax.set_xlabel(f"prompts, sorted (of {len(values)})")
        ax.set_ylabel(f"difference in\n{info.label}" + (" (points)" if info.percent else ""))
        ax.grid(axis="x", visible=False)
        if info.percent:
            ax.yaxis.set_major_formatter(PERCENT)
        return figure
