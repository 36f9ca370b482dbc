"""Systems and fronts as compare.json has them: means with intervals, curves, and each headline system against itself. No torch, no text."""

from __future__ import annotations

from typing import Any

import numpy as np

from polychromic.compare import stats
from polychromic.compare.contrasts import estimated, front_of, generator, over
from polychromic.compare.crossed import crossed_means, estimate
from polychromic.compare.fronts import hypervolume, offered, pareto_front, self_contrast
from polychromic.compare.systems import System, Systems, clusters_of
from polychromic.data.records import Record
from polychromic.params import HEADLINE, Params
from polychromic.params.sections import FRONT

# What methods from the same rollouts have in common.
OF_ROLLOUTS = ("prompt", "loss", "settings", "targets", "rollouts", "after", "self_training", "budget", "cost", "learning_rate", "scale")
OF_ROLLOUTS += ("min_p",)
VALID, PASSED = "valid_distinct@10", "pass@1"


def about(params: Params, name: str) -> dict:
    """What a table says about a method: its group, its budgets, whose training step it has, its set objective (null: none), and whether
    it differs from the headline in what rollouts are worth alone: same cost, rollouts and decoding, another advantage."""
    method, headline = params.methods[name], params.methods[HEADLINE]
    group = {"ours": method.ours, "sees_checker": method.sees_checker, "trained": method.adapter == "lora"}
    group |= {"budget": method.budget, "cost": method.cost, "trains_like": params.trains_like(name)}
    same = method.objective != "none" and all(getattr(method, key) == getattr(headline, key) for key in OF_ROLLOUTS)
    return group | {"objective": None if method.objective == "none" else method.objective, "same_rollouts": same}


def describe(params: Params, domain: str, system: System, chosen: dict[str, float], known: dict[str, Record]) -> dict[str, Any]:
    """A row of "systems". Intervals end where the scores do, as a mean cannot lie beyond them. The same resamples for all metrics."""
    scores, clusters, settings = stats.check_scores(system.scores), clusters_of(params, domain, system, known), params.analysis
    means, sizes = crossed_means(np.stack(list(scores.values())), generator(params, "mean"), settings.resamples, clusters)
    metrics = {}
    for (name, own), deltas in zip(scores.items(), means, strict=True):
        found = estimate(stats.snap(deltas, float(np.abs(own).max())), sizes, settings.confidence, fixed=len(system.seeds) < 2)
        low, high = np.clip([found.low, found.high], own.min(), own.max()).tolist()
        metrics[name] = {"mean": float(own.mean()), "low": low, "high": high, "by_seed": own.mean(axis=1).tolist()}
    parts = VALID in scores and PASSED in scores and metrics[PASSED]["mean"] > 0
    return {
        **system.about(),
        "chosen": chosen[system.label] == system.temperature,
        "seeds": list(system.seeds),
        "over": over(system.seeds),
        "n_prompts": len(system.prompts),
        "n_samples": params.sampling.n,
        "distinct_per_valid": metrics[VALID]["mean"] / (10 * metrics[PASSED]["mean"]) if parts else None,
        "metrics": metrics,
    }


def by_label(systems: Systems) -> dict[str, list[System]]:
    """Of each label its systems, temperatures ascending."""
    found: dict[str, list[System]] = {}
    for (label, _), system in sorted(systems.items()):
        found.setdefault(label, []).append(system)
    return found


def fronts_of(systems: Systems, quality: str, primary: str) -> dict[str, dict]:
    """Fronts: means over temperature, what the label offers to who asks for a quality (polychromic.compare.fronts; null of one
    temperature), and, descriptive, which temperatures no other beats in both metrics and the area that they dominate above (0, 0)."""
    found = {}
    for label, own in by_label(systems).items():
        temperatures = [system.temperature for system in own]
        points = [[system.mean(metric) for metric in (quality, primary)] for system in own]
        q, v = np.array(points).T.tolist()
        curve = None
        if len(own) > 1:
            xs, ys = offered(np.array(temperatures), np.array(q)[:, None], np.array(v)[:, None])
            curve = {"quality": xs[:, 0].tolist(), "value": ys[:, 0].tolist()}
        pareto = {"pareto_temperatures": [temperatures[i] for i in pareto_front(points)], "hypervolume": hypervolume(points)}
        found[label] = {"temperatures": temperatures, "quality": q, "value": v, "curve": curve, **pareto}
    return found


def self_contrasts(params: Params, domain: str, systems: Systems, known: dict[str, Record]) -> list[dict]:
    """Each against itself: whatever has FRONT temperatures, lora and the headline from four, each of 2 or more seeds."""
    endpoint, settings, rows = params.endpoint(domain), params.analysis, []
    for label, own in by_label(systems).items():
        if len(own) < (4 if label in (HEADLINE, "lora") else FRONT) or len(own[0].seeds) < 2:
            continue
        front, clusters = front_of(own, endpoint.quality, endpoint.primary), clusters_of(params, domain, own[0], known)
        stream = generator(params, "self-contrast", label)
        found = self_contrast(front, stream, settings.resamples, settings.confidence, clusters, settings.least)
        row = {"label": label, "temperatures": front.temperatures.tolist(), "seeds": list(own[0].seeds), "shared": list(found.shared)}
        rows.append(row | estimated(params, found.gap))
    return rows
