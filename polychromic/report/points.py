"""The points, panels and rows that figures draw, from what compare.json holds. No statistics."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from polychromic.base.errors import PolychromicError
from polychromic.report import differences, labels
from polychromic.report.differences import Effect, Gain
from polychromic.report.figures import Curves, Panel, Point
from polychromic.report.results import Compare, Estimate
from polychromic.report.timings import StepCost

LONGEST = 44  # characters of a figure's label in one line
MINUS = "\u2212"


def frontier_curves(compare: Compare) -> tuple[Curves, Curves]:
    """(the systems of the main tables; all other methods): per method one point per temperature, ascending."""
    curves: Curves = {}
    for label in compare.method_labels():
        curves[label] = []
        for system in compare.by_temperature(label):
            x, y = system.metrics[compare.quality], system.metrics[compare.primary]
            curves[label].append(Point(x.mean, y.mean, y.low, y.high, x.low, x.high, f"{system.temperature:g}"))
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


def forest_rows(compare: Compare) -> list[Effect]:
    """Contrasts of the primary and the quality metric, each side at its chosen temperature; quality apart.

    Of pairs that the primary family is about, and of those among the main systems; the table has the rest.
    """
    rows, main = [], set(compare.main_labels())
    declared = {(c.a, c.b) for c in compare.contrasts if c.family == "primary"}
    for name in (compare.primary, compare.quality):
        for c in compare.contrasts:
            if (c.metric, c.rule) == (name, "chosen") and ((c.a, c.b) in declared or {c.a, c.b} <= main):
                pair = f" {MINUS} ".join(labels.system_name(side, math=False) for side in (c.a, c.b))
                rows.append(Effect.scaled(pair, c.delta, c.low, c.high, c.d_z, labels.metric(name).label))
    return [row for row in rows if row is not None]


def gain_rows(compare: Compare) -> list[Gain]:
    """Each pair that test declares, on the primary metric under its declared rule, the primary family first."""
    rows = []
    for declared in sorted(compare.declared, key=lambda one: one.family != "primary"):
        found = compare.contrast(declared.a, declared.b, compare.primary, (declared.rule,))
        a, b = (labels.system_name(side, math=False) for side in (declared.a, declared.b))
        label = f"{a} {MINUS} {b}" if len(a) + len(b) + 3 <= LONGEST else f"{a}\n{MINUS} {b}"
        rows.append(Gain(label, found.delta, found.low, found.high, declared.family == "primary", found.delta_by_seed))
    return rows


def headline_differences(compare: Compare) -> Figure:
    """The headline minus LoRA on the primary metric, prompt by prompt."""
    contrast = compare.contrast(compare.headline, "lora", compare.primary, ["chosen"])
    ours, theirs = (np.mean(compare.profiles[label][compare.primary], axis=0) for label in (contrast.a, contrast.b))
    return differences.differences(ours - theirs, (contrast.low, contrast.high), compare.primary, contrast.a, contrast.b)


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
        panels.append(Panel(title, [Point(w.lam, getattr(w, field), min(w.by_seed[field]), max(w.by_seed[field])) for w in grid]))
    return panels


def cost_points(cost: StepCost, compare: Compare) -> dict[str, tuple[Point, bool]]:
    """Label -> (x: training cost relative to the plain trainer for LoRA's number of steps, with its interval over steps, y: primary
    metric at the chosen temperature; whether it is ours). More steps count as more cost.

    Left out: methods that were not timed, and those that train as another one does and differ in decoding or rate alone. Ours are those
    that differ in their rollouts, which a line joins; ours with more steps or a pool of samples beside are points like any other.
    """
    points = {}
    for label in compare.method_labels():
        about = compare.methods[label]
        v = cost.variants.get(about.trains_like)
        if v and about.trained and (about.trains_like == label or about.budget != 1):
            x, low, high = (about.budget * ratio for ratio in (v.ratio_to_plain, v.low, v.high))
            y = compare.chosen(label).metrics[compare.primary]
            joined = about.ours and about.budget == 1 and v.part_seconds is not None
            points[label] = Point(x, y.mean, y.low, y.high, low, high), joined
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
            raise PolychromicError(f"{compare.path}: no history has {field}. Allowed: step, objective_mean, ce_mean. Run `dvc repro`.")
        panels.append((title, curves))
    return panels


def _at(x: float, y: Estimate) -> Point:
    return Point(x, y.mean, y.low, y.high)
