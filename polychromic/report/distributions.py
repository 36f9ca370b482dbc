"""More vector figures: what a mean hides (Cover@tau, sorted differences), effects side by side, and people as the standard.

As polychromic.report.figures, whose looks and style they share: each function takes a table and returns a Figure, computes no
statistic and writes nothing (figures.save does). Colour is never the only cue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter
from numpy.typing import ArrayLike

from polychromic.base.errors import PolychromicError
from polychromic.report import labels
from polychromic.report.figures import LOOKS, PEER_LOOKS, WIDTH, Curves, Look, Point, looks, style
from polychromic.score.passk import cover_at_tau

CEILING, FLOOR = "humans, same prompt", "humans, other prompts"
HUMANS = {CEILING: Look("#000000", "*", "-"), FLOOR: Look("#555555", "x", (0, (1, 1)))}
ELSEWHERE, DOTS = "drafts, other prompts", (0, (1, 2))
MARKERS = 9  # on a curve with many points
PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g}")


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


def cover(curves: Mapping[str, ArrayLike]) -> Figure:
    """Cover@tau (y): the share of prompts that a system solves with probability tau (x) or more, tau in (0, 1].

    A curve far to the right is sure of what it solves, a curve that starts high solves many prompts now and then. Rates
    estimated from n samples spread more than the true ones: compare systems at equal n.

    Args:
        curves: label -> pass rates in [0, 1], (P,), or (S, P) for the mean over seeds.

    Raises:
        PolychromicError: no system, no prompt, or a rate outside [0, 1].
    """
    _some("cover", curves)
    with rc_context(style()):
        figure, ax = _figure(2.3)
        for (label, rates), look in zip(curves.items(), looks(curves).values(), strict=True):
            rates = np.asarray(rates, dtype=np.float64).ravel()
            thresholds = np.unique(np.append(rates[rates > 0], 1.0))  # where the share steps down
            shares = [cover_at_tau(rates, tau) for tau in thresholds]
            # constant from the last threshold, or from 0, up to and with each
            _line(ax, label, look, [0, *thresholds], [shares[0], *shares], every=max(1, len(shares) // MARKERS), drawstyle="steps-pre")
        ax.set_xlabel(r"$\tau$ (share of a prompt's drafts that pass)")
        ax.set_ylabel("Cover@$\\tau$ (% of prompts) \u2191")
        ax.set_xlim(0, 1.02)
        ax.set_ylim(bottom=0)
        ax.yaxis.set_major_formatter(PERCENT)
        figure.legend(loc="outside upper center", ncols=4)
        return figure


def forest(rows: Sequence[Effect]) -> Figure:
    """Effects in d_z with their intervals, a row each, top down in the order given, families apart; the numbers beside.

    Families differ by colour and marker; marks of the first are filled. Positive: the first system of the contrast is higher.

    Raises:
        PolychromicError: no row.
    """
    _some("forest", rows)
    with rc_context(style()):
        families = list(dict.fromkeys(row.family for row in rows))
        ordered = [row for family in families for row in rows if row.family == family]
        heights = [place + 0.7 * families.index(row.family) for place, row in enumerate(ordered)]
        figure, ax = _figure(0.185 * (heights[-1] + 1) + 0.85)
        shown = [LOOKS["polychromic"], LOOKS["lora"], *PEER_LOOKS]
        for number, family in enumerate(families):
            look, members = shown[number % len(shown)], [(y, row) for y, row in zip(heights, ordered, strict=True) if row.family == family]
            values = np.array([[row.d_z, row.low, row.high] for _, row in members])
            ax.errorbar(
                values[:, 0],
                [y for y, _ in members],
                xerr=[values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]],
                fmt=look.marker,
                color=look.color,
                markerfacecolor=look.color if number == 0 else "white",
                elinewidth=1.0,
                markersize=4.5,
                label=family,
                zorder=3,
            )
            for y, row in members:
                text = f"{row.d_z:+.2f} [{row.low:+.2f}, {row.high:+.2f}]".replace("-", "\u2212")
                ax.text(1.02, y, text, transform=ax.get_yaxis_transform(), va="center", fontsize=7)
        ax.axvline(0, color="black", linewidth=0.7, zorder=1)
        ax.set_yticks(heights, [row.label for row in ordered])
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="y", visible=False)
        ax.spines["left"].set_visible(False)
        ax.set_ylim(heights[-1] + 0.6, -0.6)
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
    _some("gains", rows)
    factor = 100 if labels.metric(metric).percent else 1
    lines = max(row.label.count("\n") for row in rows) + 1
    with rc_context(style()):
        figure, ax = _figure((0.11 + 0.1 * lines) * len(rows) + 0.85)
        for primary, look, name in ((True, LOOKS["polychromic"], "primary family"), (False, LOOKS["lora"], "secondary")):
            members = [(place, row) for place, row in enumerate(rows) if row.primary == primary]
            if not members:
                continue
            values = factor * np.array([[row.delta, row.low, row.high] for _, row in members])
            error = [values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]]
            heights, face = [place for place, _ in members], look.color if primary else "white"
            ax.errorbar(
                values[:, 0], heights, xerr=error, fmt=look.marker, color=look.color, markerfacecolor=face, elinewidth=1.0, markersize=4.5,
                label=name, zorder=3,
            )  # fmt: skip
            for place, row in members:
                seeds = [factor * value for value in row.by_seed]
                ax.plot(seeds, [place + 0.28] * len(seeds), "|", color=look.color, markersize=3, alpha=0.7, zorder=2)
                delta, low, high = (f"{factor * value:+.{labels.metric(metric).decimals}f}" for value in (row.delta, row.low, row.high))
                text = f"{delta} [{low}, {high}]".replace("-", "\u2212")
                ax.text(1.02, place, text, transform=ax.get_yaxis_transform(), va="center", fontsize=7)
        ax.axvline(0, color="black", linewidth=0.7, zorder=1)
        ax.set_yticks(range(len(rows)), [row.label for row in rows], fontsize=8 if lines == 1 else 6.5)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="y", visible=False)
        ax.spines["left"].set_visible(False)
        ax.set_ylim(len(rows) - 0.4, -0.6)
        unit = " (points)" if labels.metric(metric).percent else ""
        ax.set_xlabel(f"difference in {labels.metric(metric).label}{unit}, with 95 % interval over prompts; ticks: seeds")
        figure.legend(loc="outside upper center", ncols=2)
        return figure


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
    _some("differences", values)
    info, scale = labels.metric(metric), 100 if labels.metric(metric).percent else 1
    names = [labels.system_name(name, math=False) for name in (a, b)]
    with rc_context(style()):
        figure, ax = _figure(2.2)
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
        _some(f"person, {name}", table)
    if systems.keys() != floors.keys():
        raise PolychromicError(f"figure person: got systems {sorted(systems)}, floors {sorted(floors)}. Allowed: the same labels.")
    with rc_context(style()):
        figure, ax = _figure(2.6)
        for name, points in ((CEILING, ceiling), (FLOOR, floor)):
            _band(ax, HUMANS[name], points)
            _line(ax, name, HUMANS[name], [p.x for p in points], [p.y for p in points])
        for (label, points), look in zip(systems.items(), looks(systems).values(), strict=True):
            _band(ax, look, points)
            _line(ax, label, look, [p.x for p in points], [p.y for p in points])
            below = floors[label]
            ax.plot([p.x for p in below], [p.y for p in below], color=look.color, linestyle=DOTS, linewidth=0.7, zorder=2)
        ax.plot([], [], color="#888888", linestyle=DOTS, linewidth=0.7, label=ELSEWHERE)  # one entry for all of them
        ks = sorted({p.x for points in (ceiling, floor, *systems.values(), *floors.values()) for p in points})
        ax.set_xlabel("$k$ (drafts a person sees)")
        ax.set_ylabel("human recall@$k$ (% of people) \u2191")
        ax.xaxis.set_major_locator(FixedLocator(ks))
        ax.yaxis.set_major_formatter(PERCENT)
        ax.set_ylim(bottom=0)
        figure.legend(loc="outside upper center", ncols=4)
        return figure


def _some(what: str, table) -> None:  # noqa: ANN001 - anything with a length
    if len(table) == 0:
        raise PolychromicError(
            f"figure {what}: got nothing to draw. Allowed: one row or more. Leave the figure out, or score what it shows."
        )


def _figure(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def _line(ax: Axes, label: str, look: Look, x: Sequence[float], y: Sequence[float], every: int = 1, drawstyle: str = "default") -> None:
    """As in figures.py: the headline's marks are filled. Names of people are printed as they are."""
    name = label if label in HUMANS else labels.system_name(label, math=False)
    ax.plot(
        x, y, color=look.color, marker=look.marker, linestyle=look.line, markevery=every, drawstyle=drawstyle, label=name,
        markerfacecolor=look.color if label == "polychromic" else "white", markeredgewidth=0.9, zorder=3,
    )  # fmt: skip


def _band(ax: Axes, look: Look, points: Sequence[Point]) -> None:
    ax.fill_between([p.x for p in points], [p.y_low for p in points], [p.y_high for p in points], color=look.color, alpha=0.12, linewidth=0)
