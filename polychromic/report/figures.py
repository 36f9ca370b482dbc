"""The paper's figures, each a matplotlib Figure; nothing is written here, and no statistic is computed. `frontier` and `passk` take plain
rows, the others what compare.json holds: a panel whose part is missing is left out, and a figure that has none says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from polychromic.report import labels
from polychromic.report.results import BASELINES, Compare, Fields
from polychromic.report.style import GREY, LOOKS, PERCENT, Look, draw_line, drawing, errorbar, looks, name_axis, notes

WINDOWS = 12  # of a training, in which its curves are averaged
NOTHING = "not measured on this domain"


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

    @classmethod
    def at(cls, x: float, y: Fields) -> Point:
        return cls(x, y.mean, y.low, y.high)


Curves = Mapping[str, Sequence[Point]]  # method -> points in drawing order


def _xy(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [p.x for p in points], [p.y for p in points]


def fronts(compare: Compare) -> Figure:
    """Quality (x) against the primary metric (y): per system what it offers to who asks for a quality (the curve), what was measured at
    each temperature (marks), and the interval of both at the chosen one (a cross); once with the prompted baselines and once larger without
    them, where temperatures stand at the ends of LoRA's front and the headline's. All other methods: thin and grey."""
    main, prompted = compare.main_labels(), BASELINES[:2]
    with drawing(3.0, columns=2, legend=3, widths=(2, 3)) as (figure, axes):
        for ax, zoom in zip(axes, (False, True), strict=True):
            ends: list[tuple[float, float, str, str]] = []
            for number, label in enumerate(label for label in compare.labels() if label not in main):
                front, name = compare.fronts[label], "" if number else "other methods"
                x, y = (front.curve.quality, front.curve.value) if front.curve else (front.quality, front.value)
                ax.plot(x, y, color=GREY, linewidth=0.7, marker="" if front.curve else ".", markersize=3, zorder=0, label=name)
            for label, look in looks(main).items():
                front, system = compare.fronts[label], compare.chosen_system(label)
                if zoom and label in prompted:
                    continue
                x, y = system.metrics[compare.quality], system.metrics[compare.primary]
                errorbar(ax, look, Point(x.mean, y.mean, y.low, y.high, x.low, x.high))
                name = f"{labels.system_name(label, math=False)} ($T={labels.plain(system.temperature)}$)"
                curve = front.curve and (front.curve.quality, front.curve.value)
                draw_line(ax, label, look, front.quality, front.value, curve=curve, name=name)
                if zoom and len(front.temperatures) > 1 and label in ("lora", compare.headline):
                    at = lambda place, front=front: (front.quality[place], front.value[place])
                    ends += [(*at(place), f"$T={labels.plain(front.temperatures[place])}$", look.color) for place in (0, -1)]
            name_axis(ax.xaxis, compare.quality)
            name_axis(ax.yaxis, compare.primary)
            ax.margins(x=0.06, y=0.08)
            notes(figure, ax, ends)
        axes[0].set_title("all", fontsize=9)
        axes[1].set_title("without the prompted ones", fontsize=9)
        return figure


def frontier(curves: Curves, quality: str, primary: str) -> Figure:
    """Quality (x) against the primary metric (y), one line per method over temperature, with intervals; the ends carry their note."""
    with drawing(3.1, legend=4) as (figure, (ax,)):
        ends = []
        for (method, points), look in zip(curves.items(), looks(curves).values(), strict=True):
            for p in points:
                errorbar(ax, look, p)
            draw_line(ax, method, look, *_xy(points))
            ends += [(p.x, p.y, f"$T$={p.note}", look.color) for p in {points[0], points[-1]} if p.note]
        name_axis(ax.xaxis, quality)
        name_axis(ax.yaxis, primary)
        ax.margins(x=0.08, y=0.08)
        notes(figure, ax, ends)
        return figure


def passk(curves: Curves) -> Figure:
    """pass@k (y) against k (x) with bands of the intervals."""
    with drawing(2.3, legend=4) as (figure, (ax,)):
        for (label, points), look in zip(curves.items(), looks(curves).values(), strict=True):
            low, high = [p.y_low for p in points], [p.y_high for p in points]
            ax.fill_between([p.x for p in points], low, high, color=look.color, alpha=0.15, linewidth=0)
            draw_line(ax, label, look, *_xy(points))
        ax.set_xlabel("$k$ (drafts a person sees)")
        ax.xaxis.set_major_locator(FixedLocator(sorted({p.x for points in curves.values() for p in points})))
        ax.set_ylabel("pass@$k$ (%) \u2191")
        ax.yaxis.set_major_formatter(PERCENT)
        return figure


def budgets(compare: Compare) -> Figure:
    """Training FLOPs (x) against the primary metric and pass@1 (y), each at the chosen temperature of its budget: a line per family of
    methods that differ in cost alone, with intervals over seeds and prompts. Families of one budget are marks."""
    families = {label: rows for label, rows in compare.budgets.items() if all(row.relative for row in rows)}
    ordered = sorted(families, key=lambda label: ("lora" not in [row.label for row in families[label]], labels.rank(label)))
    # The family of lora, and the headline's, by whatever method it is named, look like these.
    own = {label: next((row.label for row in families[label] if row.label in LOOKS), label) for label in ordered}
    shown = {label: looks(own.values())[name] for label, name in own.items()}
    metrics = list(dict.fromkeys((compare.primary, "pass@1")))
    with drawing(2.6, columns=len(metrics), legend=4) as (figure, axes):
        for ax, name in zip(axes, metrics, strict=True):
            if not families:
                _say(ax, NOTHING)
                continue
            for place, label in enumerate(ordered):
                aside = 1.03 ** (place - (len(ordered) - 1) / 2)  # so that marks of one budget stand beside each other
                points = [Point.at(aside * row.relative, compare.chosen_system(row.label).metrics[name]) for row in families[label]]
                for p in points:
                    errorbar(ax, shown[label], p, strong=True)
                draw_line(ax, label, shown[label], *_xy(points), name=labels.system_name(own[label], math=False))
            ax.set_xscale("log")
            _ticks(ax, {row.relative for rows in families.values() for row in rows})
            ax.set_xlabel("training FLOPs (multiples of LoRA's $C$)")
            name_axis(ax.yaxis, name)
        return figure


def doses(compare: Compare) -> Figure:
    """Sets drawn in training (x, LoRA has none) against D at temperature 1 and the primary metric at the chosen one (y), with intervals
    over seeds and prompts."""
    rows = [("lora", 0.0), *((row.label, row.sets) for row in compare.selection.doses)]
    panels = [("$D$ at $T=1$ \u2191", _policy(compare, rows), False)]
    panels.append((labels.title(compare.primary), _chosen(compare, rows, compare.primary), labels.metric(compare.primary).percent))
    with drawing(2.3, columns=2) as (figure, axes):
        for ax, (title, points, percent) in zip(axes, panels, strict=True):
            _against(ax, [("", points)], "sets drawn in training (0: LoRA)", title, percent)
        return figure


def gaming(compare: Compare) -> Figure:
    """Does D rise where a judge that training never sees sees nothing? Against lambda (above) and sets drawn (below), each system at its
    chosen temperature: what training's side says (filled), what the held-out judge says (hollow), and the validation cross-entropy."""
    grid = [(row.label, row.lam) for row in compare.selection.lam.rows]
    dose = [("lora", 0.0), *((row.label, row.sets) for row in compare.selection.doses)]
    ends = {row.label: row.validation_ce for row in (*compare.selection.lam.rows, *compare.selection.doses)}
    own = compare.own_metric()
    views = (("quality (%) \u2191", own, "held_out_quality", True), ("coverage@10 \u2191", "coverage@10", "held_out_coverage@10", False))
    with drawing(3.7, rows=2, columns=3, legend=2) as (figure, axes):
        for row, (rows, name) in enumerate(((grid, r"$\lambda$ (0: LoRA)"), (dose, "sets drawn (0: LoRA)"))):
            for ax, (title, here, there, percent) in zip(axes[3 * row :], views, strict=False):
                both = [(said, _chosen(compare, rows, metric)) for said, metric in (("training's side", here), ("held-out judge", there))]
                _against(ax, both, name, title, percent)
            after = [Point(x, ends[label], ends[label], ends[label]) for label, x in rows if ends[label] is not None]
            _against(axes[3 * row + 2], [("", after)], name, "validation CE (nats) \u2193", False)
        return figure


def _policy(compare: Compare, rows: Sequence[tuple[str, float]]) -> list[Point]:
    """D of the policy that training optimises."""
    found = [(x, compare.at(label, 1.0)) for label, x in rows]
    return [Point.at(x, system.metrics.objective) for x, system in found if system]


def _chosen(compare: Compare, rows: Sequence[tuple[str, float]], metric: str) -> list[Point]:
    found = [(x, compare.chosen_system(label).metrics.get(metric)) for label, x in rows]
    return [Point.at(x, estimate) for x, estimate in found if estimate]


def _against(ax: Axes, lines: Sequence[tuple[str, Sequence[Point]]], name: str, title: str, percent: bool) -> None:
    """Points with intervals against an amount whose zero is LoRA, on an axis that is linear up to the smallest amount and then
    logarithmic. LoRA's mark and the line through its value have LoRA's look."""
    ax.set_title(title, fontsize=9)
    if not any(points for _, points in lines):
        _say(ax, NOTHING)
        return
    for (said, points), look in zip(lines, (LOOKS["polychromic"], Look(LOOKS["few_shot"].color, "^", (0, (3, 1)))), strict=False):
        if not points:
            continue
        for p in points:
            errorbar(ax, look, p, strong=True)
        draw_line(ax, "polychromic" if look is LOOKS["polychromic"] else "", look, *_xy(points), name=said)
        for p in (p for p in points if p.x == 0):
            ax.axhline(p.y, color=look.color, linestyle=(0, (1, 2)), linewidth=0.7, zorder=1)
            ax.plot([0], [p.y], linestyle="none", marker="s", markersize=4, color=LOOKS["lora"].color, zorder=4)
    amounts = {p.x for _, points in lines for p in points}
    least = min((x for x in amounts if x > 0), default=1.0)
    ax.set_xscale("symlog", linthresh=least, linscale=0.6)
    ax.set_xlim(-0.35 * least, 1.35 * max(*amounts, least))
    _ticks(ax, amounts)
    ax.set_xlabel(name)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    if percent:
        ax.yaxis.set_major_formatter(PERCENT)


def training(compare: Compare) -> Figure:
    """FLOPs so far (x; steps where they were not counted) against the batch's cross-entropy, D of its rollouts, and the shares of the steps
    whose gradient was clipped, of each term: means over seeds and over twelfths of the training."""
    shown = looks([label for label in compare.main_labels() if compare.histories.get(label)])
    histories = {label: compare.histories[label] for label in shown}
    counted = all(row.flops is not None for rows in histories.values() for row in rows)
    unit = max((rows[-1].flops for rows in histories.values()), default=1) if counted else 1
    power = int(np.floor(np.log10(unit)))
    panels = {
        "cross-entropy of the batch (nats) \u2193": lambda row: row.ce, "$D$ of the rollouts \u2191": lambda row: row.objective,
        "clipped steps, $L_{quality}$ (%)": lambda row: row.clipped.quality, "clipped steps, $D$ (%)": lambda row: row.clipped.objective,
    }  # fmt: skip
    with drawing(3.9, rows=2, columns=2, legend=3, **{"lines.linewidth": 0.9}) as (figure, axes):
        for ax, (title, read) in zip(axes, panels.items(), strict=True):
            for label, rows in histories.items():
                points = [(row.flops / 10**power if counted else row.step, read(row)) for row in rows if read(row) is not None]
                if points:
                    means = [np.mean(part, axis=0) for part in np.array_split(points, min(WINDOWS, len(points)))]
                    draw_line(ax, label, shown[label], *zip(*means, strict=True), every=4)
            ax.set_xlabel(rf"training FLOPs ($10^{{{power}}}$)" if counted else "training step")
            ax.set_title(title, fontsize=9)
            ax.yaxis.set_major_locator(MaxNLocator(5))
            if title.startswith("clipped"):
                ax.yaxis.set_major_formatter(PERCENT)
                ax.set_ylim(-0.03, 1.03)
            if not ax.lines:
                _say(ax, NOTHING)
        return figure


def _say(ax: Axes, text: str) -> None:
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", fontsize=8, color="#555555")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)


def _ticks(ax: Axes, values: set[float], factor: float = 1.6) -> None:
    """Ticks at the values themselves, written out; of those that are close together the first."""
    kept: list[float] = []
    for value in sorted(values):
        if not kept or value >= factor * kept[-1]:
            kept.append(value)
    ax.xaxis.set_major_locator(FixedLocator(kept))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
