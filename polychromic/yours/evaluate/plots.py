"""Figures of an evaluation and of a comparison. Every axis or panel says which way is better; of metrics with a k the largest is shown."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.figure import Figure

from polychromic.base.visible import visible
from polychromic.report import figures, labels
from polychromic.report.differences import Effect, differences, forest
from polychromic.report.figures import Point
from polychromic.report.style import PERCENT, WIDTH, errorbar, looks, style
from polychromic.score.metrics import metric
from polychromic.yours.evaluate.inputs import System

MINUS = "\u2212"
ENDS = ("mean", "low", "high")
PANELS = 3  # beside each other


def plain(name: str) -> str:
    """A system's name where figures print it: there "@" begins a lambda and "$" a formula."""
    return visible(name).replace("@", " at ").replace("$", r"\$")


def curves(document: dict, read: Sequence[System]) -> dict[str, Figure]:
    """All metrics, a panel each; pass@k over k where there are two or more; quality against diversity (at the largest k) where there are
    both, the temperatures of one system a curve."""
    systems, names, drawn = document["systems"], list(document["signatures"]), {}
    if any(value["low"] is None for s in systems for value in s["metrics"].values()):
        return drawn
    drawn["metrics"] = panels(document)
    points = lambda s, ks: [Point(k, *(s["metrics"][f"pass@{k}"][end] for end in ENDS)) for k in ks]
    if len(ks := sorted(int(name.removeprefix("pass@")) for name in names if name.startswith("pass@"))) > 1:
        drawn["passk"] = figures.passk({plain(s["system"]): points(s, ks) for s in systems})
    counted = sorted((name for name in names if name.startswith("valid_distinct@")), key=lambda name: -metric(name).at)
    diversity = [*counted, *({"semantic_diversity"} & set(names))]
    if diversity and "pass@1" in names and len(systems) > 1:
        curves: dict[str, list[Point]] = {plain(one.label): [] for one in read}
        for one, s in sorted(zip(read, systems, strict=True), key=lambda pair: pair[0].temperature or 0):
            (x, left, right), (y, low, high) = ([s["metrics"][name][end] for end in ENDS] for name in ("pass@1", diversity[0]))
            note = "" if one.temperature is None else f"{one.temperature:g}"
            curves[plain(one.label)].append(Point(x, y, low, high, left, right, note))
        drawn["quality-diversity"] = figures.frontier(curves, "pass@1", diversity[0])
    return drawn


def contrasts(document: dict) -> dict[str, Figure]:
    """Effects of all contrasts and, of two systems, how the differences of the first metric spread over the prompts."""
    rows, drawn = document["contrasts"], {}
    names = lambda r: (plain(r["a"]), plain(r["b"]))
    pair = lambda r: f" {MINUS} ".join(names(r))
    arrow = lambda name: f"{metric(name).label} {labels.ARROWS[metric(name).direction][0]}".rstrip()
    scaled = [Effect.scaled(arrow(r["metric"]), r["delta"], r["low"], r["high"], r["d_z"], pair(r)) for r in rows]
    if effects := [effect for effect in scaled if effect is not None]:
        drawn["forest"] = forest(effects)
        if len({effect.family for effect in effects}) == 1:
            with rc_context(style()):
                drawn["forest"].axes[0].set_title(effects[0].family, fontsize=9)
    if len(document["systems"]) == 2:
        r = rows[0]
        drawn["differences"] = differences(r["differences"], (r["low"], r["high"]), r["metric"], *names(r))
    return drawn


def panels(document: dict) -> Figure:
    """A panel for each metric: the systems' means with their 95 % intervals, under the metric's name with the arrow of the better way."""
    systems, names = document["systems"], list(document["signatures"])
    columns = min(PANELS, len(names))
    rows = -(-len(names) // columns)
    shown = looks([plain(s["system"]) for s in systems])
    height = rows * (0.62 + 0.17 * len(systems))
    with rc_context(style() | {"figure.constrained_layout.use": False}):  # it takes seconds for many panels
        figure = Figure(figsize=(WIDTH, height))
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        left = min(0.4, 0.03 + 0.011 * max(map(len, shown)))
        figure.subplots_adjust(left, 0.25 / height, 0.98, 1 - 0.25 / height, wspace=0.12, hspace=1.1)
        for ax, name in zip(axes, names, strict=False):
            for y, s in enumerate(systems):
                look, (mean, low, high) = shown[plain(s["system"])], (s["metrics"][name][end] for end in ENDS)
                errorbar(ax, look, Point(mean, y, y, y, min(low, mean), max(high, mean)), strong=True)  # equal but for rounding
                ax.plot(mean, y, marker=look.marker, color=look.color, markersize=4.5, linestyle="none")
            ax.set_title(labels.title(name), fontsize=8)
            ax.set_yticks(range(len(systems)), [plain(s["system"]) for s in systems] if ax in axes[::columns] else [])
            ax.set_ylim(len(systems) - 0.5, -0.5)
            ax.margins(x=0.15)
            ax.tick_params(axis="x", labelsize=7)
            ax.locator_params(axis="x", nbins=4)
            if metric(name).percent:
                ax.xaxis.set_major_formatter(PERCENT)
        for ax in axes[len(names) :]:
            ax.set_visible(False)
        return figure
