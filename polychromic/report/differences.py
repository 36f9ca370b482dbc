"""Figures of two systems' differences: effects side by side, gains with their seeds, and what a mean hides, prompt by prompt. As in
polychromic.report.figures, each function returns a Figure, computes no statistic and writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from polychromic.report import labels
from polychromic.report.results import Compare, Fields
from polychromic.report.style import LOOKS, PEER_LOOKS, PERCENT, Look, drawing

LONGEST = 44  # characters of a row's label in one line
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


def effects(compare: Compare) -> list[Effect]:
    """Contrasts of the primary and the quality metric, each side at its chosen temperature; quality apart.

    Of pairs that the primary family is about, and of those among the main systems; the table has the rest.
    """
    main, declared = set(compare.main_labels()), {(c.a, c.b) for c in compare.contrasts if c.family == "primary"}
    rows = [
        Effect.scaled(f" {MINUS} ".join(_names(c)), c.delta, c.low, c.high, c.d_z, labels.metric(name).label)
        for name in (compare.primary, compare.quality)
        for c in compare.contrasts
        if (c.metric, c.rule) == (name, "chosen") and ((c.a, c.b) in declared or {c.a, c.b} <= main)
    ]
    return [row for row in rows if row is not None]


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


def gains(compare: Compare) -> Figure:
    """Each pair that test declares, on the primary metric under its declared rule, with its interval: a row each, top down, the primary
    family first and filled, the others hollow; a tick per seed. Rows are further apart where one's label has two lines."""
    info, factor = labels.metric(compare.primary), 100 if labels.metric(compare.primary).percent else 1
    rows, seeds = [], []
    for one in sorted(compare.declared, key=lambda one: one.family != "primary"):
        c, (a, b) = compare.contrast(one.a, one.b, compare.primary, one.rule), _names(one)
        label = f"{a} {MINUS} {b}" if len(a) + len(b) + 3 <= LONGEST else f"{a}\n{MINUS} {b}"
        family = "primary family" if one.family == "primary" else "secondary"
        rows.append(Effect(label, factor * c.delta, factor * c.low, factor * c.high, family))
        seeds.append([factor * value for value in c.delta_by_seed])
    lines = max(row.label.count("\n") for row in rows) + 1
    with drawing((0.11 + 0.1 * lines) * len(rows) + 0.85, legend=2) as (figure, (ax,)):
        shown = _rows(ax, rows, range(len(rows)), len(rows) - 0.4, f"{{:+.{info.decimals}f}}".format, fontsize=8 if lines == 1 else 6.5)
        for place, (row, values) in enumerate(zip(rows, seeds, strict=True)):
            color = shown[row.family].color
            ax.plot(values, [place + 0.28] * len(values), "|", color=color, markersize=3, alpha=0.7, zorder=2)
        unit = " (points)" if info.percent else ""
        ax.set_xlabel(f"difference in {info.label}{unit}, with 95 % interval over prompts; ticks: seeds")
        return figure


def _names(contrast: Fields) -> list[str]:
    return [labels.system_name(side, math=False) for side in (contrast.a, contrast.b)]


def _rows(
    ax: Axes, rows: Sequence[Effect], heights: Sequence[float], bottom: float, text: Callable[[float], str], **named: float
) -> dict[str, Look]:
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
    ax.axvline(0, color="black", linewidth=0.7, zorder=1)
    ax.set_yticks(heights, [row.label for row in rows], **named)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)
    ax.spines["left"].set_visible(False)
    ax.set_ylim(bottom, -0.6)
    return families


def headline(compare: Compare) -> Figure:
    """The headline minus LoRA on the primary metric, prompt by prompt."""
    contrast = compare.contrast(compare.headline, "lora", compare.primary, "chosen")
    ours, theirs = (np.mean(compare.profiles[label][compare.primary], axis=0) for label in (contrast.a, contrast.b))
    return differences(ours - theirs, (contrast.low, contrast.high), compare.primary, contrast.a, contrast.b)


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
