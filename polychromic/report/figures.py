"""The paper's curves, each a matplotlib Figure; nothing is written here. `frontier`, `passk` and `cover` take plain rows, the others
what compare.json holds. No statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from polychromic.report import labels
from polychromic.report.results import Compare, Fields
from polychromic.report.style import CEILING, FLOOR, GREY, HUMANS, LOOKS, PERCENT, Look, draw_line, drawing, looks, name_axis, note
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


Curves = Mapping[str, Sequence[Point]]  # method -> points in drawing order


def _at(x: float, y: Fields) -> Point:
    return Point(x, y.mean, y.low, y.high)


def _xy(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [p.x for p in points], [p.y for p in points]


def frontier_curves(compare: Compare) -> tuple[Curves, Curves]:
    """(the systems of the main tables; all other methods): per method one point per temperature, ascending."""
    curves = {}
    for label in compare.method_labels():
        found = [(s, s.metrics[compare.quality], s.metrics[compare.primary]) for s in compare.by_temperature(label)]
        curves[label] = [Point(x.mean, y.mean, y.low, y.high, x.low, x.high, f"{s.temperature:g}") for s, x, y in found]
    return {label: curves.pop(label) for label in compare.main_labels()}, curves


def frontier(curves: Curves, others: Curves, quality: str, primary: str) -> Figure:
    """Quality (x) against the primary metric (y), one curve per method over temperature; the ends carry their temperature.
    others: methods drawn thin and grey, without a name."""
    with drawing(3.1, legend=4) as (figure, (ax,)):
        for (method, points), look in zip(curves.items(), looks(curves).values(), strict=True):
            for p in points:
                ax.errorbar(p.x, p.y, **p.errors, fmt="none", ecolor=look.color, elinewidth=0.6, alpha=0.35, zorder=1)
            draw_line(ax, method, look, *_xy(points))
            left, right = min(points, key=lambda p: p.x), max(points, key=lambda p: p.x)
            for p, shift, side in ((left, -4, "right"), (right, 4, "left"))[left is right :]:
                if p.note:  # an own sample file need not name a temperature
                    note(ax, p.x, p.y, f"$T$={p.note}", look.color, shift, side)
        for number, points in enumerate(others.values()):
            name = "" if number else "other methods"
            ax.plot(*_xy(points), color=GREY, linewidth=0.6, marker=".", markersize=2.5, zorder=0, label=name)
        name_axis(ax.xaxis, quality)
        name_axis(ax.yaxis, primary)
        ax.margins(x=0.08, y=0.08)
        return figure


def cost_gain(cost: Fields, compare: Compare) -> Figure:
    """Training cost (x, in units of the plain trainer) against the primary metric at the chosen temperature (y), with intervals.

    More steps count as more cost. Left out: methods that were not timed, and those that train as another one does and differ in decoding
    or rate alone. A line joins ours that differ in their rollouts; ours with more steps or a pool of samples beside are points like others.
    """
    with drawing(3.2, legend=3) as (figure, (ax,)):
        points: dict[str, tuple[Point, bool]] = {}
        for label in compare.method_labels():
            about = compare.methods[label]
            v = cost.variants.get(about.trains_like)
            if v and about.trained and (about.trains_like == label or about.budget != 1):
                x, low, high = (about.budget * ratio for ratio in (v.ratio_to_plain, v.low, v.high))
                y = compare.chosen(label).metrics[compare.primary]
                joined = about.ours and about.budget == 1 and v.part_seconds is not None
                points[label] = Point(x, y.mean, y.low, y.high, low, high), joined
        ours = sorted((p for p, joined in points.values() if joined), key=lambda p: p.x)
        ax.plot(*_xy(ours), color=LOOKS["polychromic"].color, linewidth=0.6, alpha=0.5, zorder=1)
        # Costs crowd close to 1, where names would cover each other: a number beside the mark, its name above the figure.
        for number, (label, (p, joined)) in enumerate(points.items(), start=1):
            look = LOOKS["polychromic" if joined else "lora"]
            name = f"{number}  {labels.system_name(label, math=False)}"
            mark = {"fmt": look.marker, "color": look.color, "ecolor": look.color, "elinewidth": 0.6, "markersize": 4, "zorder": 3}
            ax.errorbar(p.x, p.y, **p.errors, **mark, label=name)
            note(ax, p.x, p.y, str(number), look.color, 4, "left", 4)
        ax.set_xlabel("training cost (plain trainer = 1)")
        name_axis(ax.yaxis, compare.primary)
        ax.margins(x=0.08, y=0.1)
        return figure


def passk_curves(compare: Compare) -> Curves:
    """Per method, pass@k over the k that compare.json has, at the chosen temperature."""
    chosen = {label: compare.chosen(label).metrics for label in compare.main_labels()}
    ks = sorted(int(name.removeprefix("pass@")) for name in chosen[compare.headline] if name.startswith("pass@"))
    return {label: [_at(k, metrics[f"pass@{k}"]) for k in ks] for label, metrics in chosen.items()}


def passk(curves: Curves) -> Figure:
    """pass@k (y) against k (x) with bands of the intervals, each method at its chosen temperature."""
    with drawing(2.3, legend=4) as (figure, (ax,)):
        _over_k(ax, curves, looks(curves), "pass@$k$ (%) \u2191", band=0.15)
        return figure


def ablation(compare: Compare) -> Figure:
    """What λ does, a panel per quantity, three in a row: D at temperature 1 (where sampled), the primary and the quality metric at one
    temperature, with intervals over prompts; validation cross-entropy, KL to the base model and reply length of the development set,
    with the range over seeds. LoRA (λ = 0) is a line with its band; a triangle marks the λ of the main comparison."""
    grid, panels = compare.selection.lam, []  # (title, points with λ ascending from LoRA's 0, whether it is printed in per cent)
    policy = {s.label: s for s in compare.systems if s.temperature == 1}
    if all(row.label in policy for row in grid.rows):
        panels.append(("$D$ at $T=1$ \u2191", [_at(row.lam, policy[row.label].metrics.objective) for row in grid.rows], False))
    shared = {row.label: row for row in compare.lambda_rows()}
    for name in (compare.primary, compare.quality):
        points = [_at(row.lam, shared[row.label].metrics[name]) for row in grid.rows]
        panels.append((labels.title(name), points, labels.metric(name).percent))
    fields = {"validation_ce": "validation CE (nats) \u2193", "kl_to_base": "KL to base (nats)", "reply_tokens": "reply tokens"}
    for field, title in fields.items():
        points = [Point(row.lam, row[field], min(row.by_seed[field]), max(row.by_seed[field])) for row in grid.rows]
        panels.append((title, points, False))
    rows = -(-len(panels) // 3)
    with drawing(1.6 * rows + 0.3, rows, 3) as (figure, axes):
        for ax in axes[len(panels) :]:
            ax.set_visible(False)
        lora, look = LOOKS["lora"], LOOKS["polychromic"]
        for ax, (title, (reference, *rest), percent) in zip(axes, panels, strict=False):
            ax.axhspan(reference.y_low, reference.y_high, color=lora.color, alpha=0.12, linewidth=0)
            ax.axhline(reference.y, color=lora.color, linestyle=lora.line, linewidth=1.0, label=r"LoRA ($\lambda=0$)")
            across = {"transform": ax.get_xaxis_transform(), "clip_on": False, "zorder": 5}
            ax.plot([grid.headline], [0], marker="^", color="black", markersize=5, **across)
            errors = np.array([[p.y - p.y_low for p in rest], [p.y_high - p.y for p in rest]])
            ax.errorbar(*_xy(rest), yerr=errors, fmt="none", ecolor=look.color, elinewidth=0.7, alpha=0.5)
            draw_line(ax, "polychromic", look, *_xy(rest))
            ax.set_xscale("symlog", linthresh=min((p.x for p in rest if p.x > 0), default=1.0))
            ax.margins(x=0.1)
            ax.xaxis.set_major_locator(FixedLocator(_apart([p.x for p in rest])))
            ax.xaxis.set_minor_locator(NullLocator())
            ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: labels.plain(value)))
            ax.set_xlabel(r"$\lambda$")
            ax.yaxis.set_major_locator(MaxNLocator(5))
            if percent:
                ax.yaxis.set_major_formatter(PERCENT)
            ax.set_title(title, fontsize=9)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
        return figure


def training(compare: Compare) -> Figure:
    """The set objective and the cross-entropy against the step, means over seeds, for the methods that have them."""
    titles = {"objective_mean": "set objective $f$ (on-policy estimate)", "ce_mean": "cross-entropy of the batch"}
    histories = {label: compare.histories[label] for label in compare.main_labels() if label in compare.histories}
    with drawing(2.2, columns=2, **{"lines.linewidth": 0.8}) as (figure, axes):  # dense curves
        shown = looks(histories)
        for ax, (field, title) in zip(axes, titles.items(), strict=True):
            for label, rows in histories.items():
                if points := [(row.step, row[field]) for row in rows if row[field] is not None]:
                    draw_line(ax, label, shown[label], *zip(*points, strict=True), every=max(1, len(points) // 8))
            ax.set_xlabel("training step")
            ax.set_title(title, fontsize=9)
        figure.legend(*axes[1].get_legend_handles_labels(), loc="outside upper center", ncols=4)  # every training has a cross-entropy
        return figure


def cover(curves: Mapping[str, ArrayLike]) -> Figure:
    """Cover@tau (y): the share of prompts that a system solves with probability tau (x) or more, tau in (0, 1].

    A curve far to the right is sure of what it solves, a curve that starts high solves many prompts now and then. Rates
    estimated from n samples spread more than the true ones: compare systems at equal n.
    curves: label -> pass rates in [0, 1], (P,), or (S, P) for the mean over seeds.
    """
    with drawing(2.3, legend=4) as (figure, (ax,)):
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
        return figure


def person(found: Fields) -> Figure:
    """human recall@k (y) against k (x), of compare.json of calibration: of people, of systems, and of both at messages that they did not
    answer. People's curves are black and grey; a system's floor is dotted and thin, in its colour, and has no marks."""
    curve = lambda matched: [Point(at.k, at.value, at.low, at.high) for at in matched.human_recall]
    systems = {label: found.systems[label] for label in sorted(found.systems, key=labels.rank)}
    people, floors = {CEILING: curve(found.people), FLOOR: curve(found.people.floor)}, {n: curve(s.floor) for n, s in systems.items()}
    curves, shown = people | {label: curve(s) for label, s in systems.items()}, HUMANS | looks(systems)
    with drawing(2.6, legend=4) as (figure, (ax,)):
        _over_k(ax, curves, shown, "human recall@$k$ (% of people) \u2191", band=0.12)
        for label, below in floors.items():
            ax.plot(*_xy(below), color=shown[label].color, linestyle=DOTS, linewidth=0.7, zorder=2)
        ax.plot([], [], color="#888888", linestyle=DOTS, linewidth=0.7, label=ELSEWHERE)  # one entry for all of them
        ax.set_ylim(bottom=0)
        return figure


def _over_k(ax: Axes, curves: Curves, shown: Mapping[str, Look], name: str, band: float) -> None:
    """Shares over k, with bands of the intervals that are opaque by `band`."""
    for label, points in curves.items():
        low, high = [p.y_low for p in points], [p.y_high for p in points]
        ax.fill_between([p.x for p in points], low, high, color=shown[label].color, alpha=band, linewidth=0)
        draw_line(ax, label, shown[label], *_xy(points))
    ax.set_xlabel("$k$ (drafts a person sees)")
    ax.xaxis.set_major_locator(FixedLocator(sorted({p.x for points in curves.values() for p in points})))
    ax.set_ylabel(name)
    ax.yaxis.set_major_formatter(PERCENT)


def _apart(values: Sequence[float], factor: float = 2.0) -> list[float]:
    """Tick positions on a log axis that do not overprint each other: each at least `factor` times the one before."""
    kept: list[float] = []
    for value in sorted(values):
        if not kept or value >= factor * kept[-1]:
            kept.append(value)
    return kept
