"""The points, panels and rows of the figures: from what compare.json holds to what figures.py and distributions.py draw. No statistics."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from polychromic.base.errors import PolychromicError
from polychromic.report import costs, distributions, labels
from polychromic.report.figures import Curves, Panel, Point
from polychromic.report.results import Compare, Estimate


def frontier_curves(compare: Compare) -> tuple[Curves, Curves]:
    """(baselines, best peers and the headline; all other methods): per method one point per temperature, ascending."""
    curves: Curves = {}
    for label in compare.method_labels():
        rows = sorted((s for s in compare.systems if s.label == label), key=lambda s: s.temperature)
        curves[label] = [_point(s.metrics[compare.quality], s.metrics[compare.primary], f"{s.temperature:g}") for s in rows]
    main = compare.main_labels()
    return {label: curves[label] for label in main}, {label: points for label, points in curves.items() if label not in main}


def passk_curves(compare: Compare) -> Curves:
    """Per method, pass@k over the k that compare.json has, at the chosen temperature."""
    curves: Curves = {}
    for label in compare.main_labels():
        metrics = compare.chosen(label).metrics
        ks = sorted(int(name.removeprefix("pass@")) for name in metrics if name.startswith("pass@"))
        curves[label] = [_at(k, metrics[f"pass@{k}"]) for k in ks]
    return curves


def pass_rates(compare: Compare) -> dict[str, list[list[float]]]:
    """Label -> share of passing drafts of each seed and prompt, at the chosen temperature."""
    return {label: compare.profiles[label]["pass@1"] for label in compare.main_labels()}


def effects(compare: Compare) -> list[distributions.Effect]:
    """Rows of the forest plot: contrasts of the primary and the quality metric, each side at its chosen temperature; quality apart.

    Of pairs that the primary family is about, and of those among the main systems; the table has the rest.
    """
    rows, main = [], set(compare.main_labels())
    declared = {(c.a, c.b) for c in compare.contrasts if c.family == "primary"}
    for name, family in (
        (compare.primary, f"{labels.metric(compare.primary).label}"),
        (compare.quality, labels.metric(compare.quality).label),
    ):
        for c in compare.contrasts:
            if (c.metric, c.rule) == (name, "chosen") and ((c.a, c.b) in declared or {c.a, c.b} <= main):
                pair = f"{labels.system_name(c.a, math=False)} \u2212 {labels.system_name(c.b, math=False)}"
                rows.append(distributions.Effect.scaled(pair, c.delta, c.low, c.high, c.d_z, family))
    return [row for row in rows if row is not None]


def headline_differences(compare: Compare) -> Figure:
    """The headline minus LoRA on the primary metric, prompt by prompt."""
    contrast = compare.contrast(compare.headline, "lora", compare.primary, ["chosen"])
    ours, theirs = (np.mean(compare.profiles[label][compare.primary], axis=0) for label in (contrast.a, contrast.b))
    return distributions.differences(ours - theirs, (contrast.low, contrast.high), compare.primary, contrast.a, contrast.b)


def lambda_panels(compare: Compare) -> list[Panel]:
    """What λ does: D at temperature 1 (where sampled), the primary and the quality metric at one temperature, with intervals over
    prompts; validation cross-entropy, KL to the base model and reply length of the development set, with the range over seeds.
    """
    panels = []
    policy = {s.label: s for s in compare.systems if s.temperature == 1}
    grid = compare.selection.grid.rows
    if all(weight.label in policy for weight in grid):
        points = [_at(weight.lam, policy[weight.label].metrics["objective"]) for weight in grid]
        panels.append(Panel("$D$ at $T=1$ \u2191", points))
    shared = {row.label: row for row in compare.lambda_rows()}
    for name in (compare.primary, compare.quality):
        points = [_at(weight.lam, shared[weight.label].metrics[name]) for weight in grid]
        panels.append(Panel(labels.title(name), points, labels.metric(name).percent))
    fields = {"validation_ce": "validation CE (nats) \u2193", "kl_to_base": "KL to base (nats)", "reply_tokens": "reply tokens"}
    for field, title in fields.items():
        points = [Point(w.lam, getattr(w, field), min(w.by_seed[field]), max(w.by_seed[field])) for w in grid]
        panels.append(Panel(title, points))
    return panels


def gain_points(cost: costs.StepCost, compare: Compare) -> dict[str, tuple[Point, bool]]:
    """Label -> (x: training cost relative to the plain trainer, y: primary metric at the chosen temperature; whether it is ours).

    Left out: methods that train as another one does and differ in decoding or rate alone. Ours are those that differ in their
    rollouts, which a line joins; ours with more steps or a pool of samples beside are points like any other.
    """
    points = {}
    for label, x in costs.relative(cost, compare).items():
        about = compare.methods[label]
        if about.trains_like == label or about.budget != 1:
            timed_alone = cost.variants[about.trains_like].part_seconds is not None
            joined = about.ours and about.budget == 1 and timed_alone
            points[label] = (_point(x, compare.chosen(label).metrics[compare.primary], ""), joined)
    return points


def training_panels(compare: Compare) -> list[tuple[str, dict[str, list[tuple[int, float]]]]]:
    """The set objective and the cross-entropy against the step, for the methods that have them.

    Raises:
        PolychromicError: no history holds the quantity.
    """
    panels = []
    for title, field in (("set objective $f$ (on-policy estimate)", "objective_mean"), ("cross-entropy of the batch", "ce_mean")):
        curves = {}
        for label in compare.main_labels():
            steps = [(row.step, getattr(row, field)) for row in compare.histories.get(label, ())]
            if points := [(step, value) for step, value in steps if value is not None]:
                curves[label] = points
        if not curves:
            raise PolychromicError(
                f"compare.json of {compare.domain}: no history has {field}. Allowed: step, objective_mean, ce_mean. Run `dvc repro`."
            )
        panels.append((title, curves))
    return panels


def _point(x: Estimate | costs.Relative, y: Estimate, note: str) -> Point:
    return Point(x.mean, y.mean, y.low, y.high, x.low, x.high, note)


def _at(x: float, y: Estimate) -> Point:
    return Point(x, y.mean, y.low, y.high)
