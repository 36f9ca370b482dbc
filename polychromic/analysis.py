"""Stages `select` and `compare`: from per-prompt scores to chosen temperatures, intervals and tested contrasts.

Choices read dev alone; `compare` speaks about the split that params.yaml names. No torch, no text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polychromic import paths, stats
from polychromic.domains import get_domain
from polychromic.errors import PolychromicError
from polychromic.io import read_json, read_jsonl, write_json
from polychromic.params import Params
from polychromic.seeds import derive_seed


@dataclass(frozen=True)
class System:
    """A label at one temperature. scores: metric -> (seeds, prompts), prompts in one order for all systems."""

    label: str
    method: str
    lam: float | None
    temperature: float
    seeds: tuple[int, ...]
    scores: dict[str, np.ndarray]


def label_of(method: str, lam: float | None, headline: float) -> str:
    """"lora", "polychromic" at the headline lambda, "polychromic@0.3" elsewhere on its grid."""
    return method if lam is None or lam == headline else f"{method}@{lam}"


def read_systems(params: Params, domain: str, split: str) -> dict[tuple[str, float], System]:
    """(label, temperature) -> System, from results/{domain}/scores.jsonl.gz.

    Raises:
        PolychromicError: no row of the split, or a system lacks a prompt that another has.
    """
    path = paths.RESULTS / domain / "scores.jsonl.gz"
    cells: dict[tuple, dict[tuple[int, str], dict[str, float]]] = defaultdict(dict)
    for _, row in read_jsonl(path):
        if row["split"] == split:
            cells[row["method"], row["lambda"], row["temperature"]][row["seed"], row["id"]] = row["metrics"]
    if not cells:
        raise PolychromicError(f"{path}: no scores of split {split!r}. Run `dvc repro score@{domain}`.")
    prompts = sorted({prompt for scores in cells.values() for _, prompt in scores})
    systems = {}
    for (method, lam, temperature), scores in cells.items():
        seeds = tuple(sorted({seed for seed, _ in scores}))
        missing = [(seed, prompt) for seed in seeds for prompt in prompts if (seed, prompt) not in scores]
        if missing:
            raise PolychromicError(
                f"{path}: {method} at temperature {temperature} lacks {len(missing)} scores, first (seed, prompt) {missing[0]}. Run `dvc repro`."
            )
        names = (*get_domain(domain).metrics, "objective")
        arrays = {metric: np.array([[scores[seed, prompt][metric] for prompt in prompts] for seed in seeds]) for metric in names}
        label = label_of(method, lam, params.lam)
        systems[label, temperature] = System(label, method, lam, temperature, seeds, arrays)
    return systems


def select(params: Params, domain_name: str) -> None:
    """Write results/{domain}/select.json: per label the temperature with the highest primary metric on dev, the lower one of equals."""
    domain = get_domain(domain_name)
    best: dict[str, tuple[float, float]] = {}
    for (label, temperature), system in sorted(read_systems(params, domain_name, "dev").items()):
        value = float(system.scores[domain.primary].mean())
        if label not in best or value > best[label][0]:
            best[label] = (value, temperature)
    if "polychromic" not in best:
        raise PolychromicError(f"scores of {domain_name} hold no cell at lambda = {params.lam}. Run `dvc repro score@{domain_name}`.")
    chosen = {label: temperature for label, (_, temperature) in best.items()}
    names = {"domain": domain_name, "split": "dev", "primary": domain.primary, "quality": domain.quality}
    document = {**names, "headline": "polychromic", "chosen": chosen}
    write_json(paths.RESULTS / domain_name / "select.json", document)


def compare(params: Params, domain_name: str) -> None:
    """Write results/{domain}/compare.json: systems with intervals, contrasts with tests, training histories."""
    domain = get_domain(domain_name)
    folder = paths.RESULTS / domain_name
    selection = read_json(folder / "select.json")
    systems = read_systems(params, domain_name, params.analysis.split)
    document = {
        **{key: selection[key] for key in ("domain", "primary", "quality", "headline")},
        "split": params.analysis.split,
        "systems": [_describe(params, system, selection["chosen"]) for _, system in sorted(systems.items())],
        "contrasts": _contrasts(params, domain, systems, selection["chosen"]),
        "calibration": read_json(folder / "calibration.json"),
        "histories": {label: _history(path) for label, path in _history_files(params, domain_name, folder)},
    }
    write_json(folder / "compare.json", document)


def _rng(params: Params, *names: str | float) -> np.random.Generator:
    return np.random.default_rng(derive_seed(params.analysis.seed, *names))


def _describe(params: Params, system: System, chosen: dict[str, float]) -> dict:
    metrics = {}
    for metric, scores in system.scores.items():
        interval = stats.mean_ci(scores, _rng(params, "mean", metric), params.analysis.bootstrap, params.analysis.confidence)
        metrics[metric] = {"mean": interval.mean, "low": interval.low, "high": interval.high, "by_seed": list(interval.by_seed)}
    return {
        "label": system.label,
        "method": system.method,
        "lambda": system.lam,
        "temperature": system.temperature,
        "chosen": chosen[system.label] == system.temperature,
        "seeds": list(system.seeds),
        "n_prompts": next(iter(system.scores.values())).shape[1],
        "n_samples": params.sampling.n,
        "metrics": metrics,
    }


def _contrasts(params: Params, domain, systems: dict[tuple[str, float], System], chosen: dict[str, float]) -> list[dict]:  # noqa: ANN001
    rows = []
    for declared in params.analysis.contrasts:
        if not (params.runs(declared.a, domain.name) and params.runs(declared.b, domain.name)):
            continue  # params.yaml keeps one of the two out of this domain
        for name in (declared.a, declared.b):
            if name not in chosen:
                scored = ", ".join(sorted(chosen))
                raise PolychromicError(f"analysis.contrasts names {name!r}, which has no scores. Scored: {scored}. Run `dvc repro`.")
        a, b = systems[declared.a, chosen[declared.a]], systems[declared.b, chosen[declared.b]]
        for metric in (domain.primary, domain.quality, "semantic_diversity"):
            # One metric per contrast can be primary: the one that the method claims to raise.
            family = declared.family if metric == domain.primary else "secondary"
            rows.append(_paired_contrast(params, a, b, metric, family, margin=params.analysis.margin if metric == domain.quality else None))
        rows.append(_matched_contrast(params, domain, a, [s for s in systems.values() if s.label == declared.b], declared.family))
        policy = (declared.a, 1.0), (declared.b, 1.0)
        if params.methods[declared.a].objective != "none" and all(key in systems for key in policy):
            # temperature 1 is the policy that training samples from: did D rise?
            rows.append(_paired_contrast(params, *(systems[key] for key in policy), "objective", "secondary", rule="policy"))
    adjusted = {"primary": [], "secondary": []}
    for family in adjusted:
        members = [row for row in rows if row["family"] == family]
        if members:
            for row, p in zip(members, stats.holm([row["p_value"] for row in members]), strict=True):
                row["p_holm"] = float(p)
    return rows


def _paired_contrast(
    params: Params, a: System, b: System, metric: str, family: str, margin: float | None = None, rule: str = "chosen"
) -> dict:
    """a against b, prompt by prompt, each at its own temperature."""
    found = stats.paired_contrast(
        a.scores[metric],
        b.scores[metric],
        _rng(params, "contrast", a.label, b.label, metric, rule),
        params.analysis.bootstrap,
        params.analysis.permutations,
        params.analysis.confidence,
    )
    return {
        **_head(a, b.label, b.temperature, metric, rule, family, params),
        "delta": found.delta,
        "low": found.low,
        "high": found.high,
        "p_value": found.p_permutation,
        "p_permutation": found.p_permutation,
        "p_wilcoxon": found.p_wilcoxon,
        "p_mannwhitney": found.p_mannwhitney,
        "p_seed_t": found.p_seed_t,
        "d_z": found.d_z,
        "cohen_d": found.cohen_d,
        "cliffs_delta": found.cliffs_delta,
        "mde": found.mde,
        "n_prompts": found.n_prompts,
        "delta_by_seed": list(found.delta_by_seed),
        "margin": margin,
        "non_inferior": None if margin is None else bool(stats.non_inferior(found.low, margin)),
        "clamped_share": None,
    }


def _matched_contrast(params: Params, domain, a: System, frontier: list[System], family: str) -> dict:  # noqa: ANN001
    """a against b's frontier over temperature, at the quality that a has."""
    frontier = sorted(frontier, key=lambda system: system.temperature)
    found = stats.matched_contrast(
        a.scores[domain.quality],
        a.scores[domain.primary],
        [system.scores[domain.quality] for system in frontier],
        [system.scores[domain.primary] for system in frontier],
        [system.temperature for system in frontier],
        _rng(params, "matched", a.label, frontier[0].label),
        params.analysis.bootstrap,
        params.analysis.confidence,
    )
    weights = np.asarray(found.b_weights)
    temperature = float(weights @ np.array([system.temperature for system in frontier]))
    return {
        **_head(a, frontier[0].label, temperature, domain.primary, "matched", family, params),
        "delta": found.delta,
        "low": found.low,
        "high": found.high,
        "p_value": found.p_two_sided,
        "p_permutation": None,
        "p_wilcoxon": None,
        "p_mannwhitney": None,
        "p_seed_t": None,
        "d_z": None,
        "cohen_d": None,
        "cliffs_delta": None,
        "mde": found.mde,
        "n_prompts": found.n_prompts,
        "delta_by_seed": _matched_by_seed(domain, a, frontier, weights),
        "margin": None,
        "non_inferior": None,
        "clamped_share": found.clamped_share,
    }


def _matched_by_seed(domain, a: System, frontier: list[System], weights: np.ndarray) -> list[float]:  # noqa: ANN001
    """Each seed of a against b's mean over seeds, at the match that the pooled quality chose."""
    peer = float(weights @ np.array([system.scores[domain.primary].mean() for system in frontier]))
    return [float(value) - peer for value in a.scores[domain.primary].mean(axis=1)]


def _head(a: System, b: str, b_temperature: float, metric: str, rule: str, family: str, params: Params) -> dict:
    return {
        "id": f"{a.label}-vs-{b}-{metric}-{rule}",
        "a": a.label,
        "b": b,
        "a_temperature": a.temperature,
        "b_temperature": round(b_temperature, 6),
        "metric": metric,
        "rule": rule,
        "family": family,
        "n_samples": params.sampling.n,
        "seeds": list(a.seeds),
    }


def _history_files(params: Params, domain: str, folder: Path) -> Iterator[tuple[str, Path]]:
    for name, method in params.methods.items():
        if method.adapter == "lora" and params.runs(name, domain):
            cell = f"{name}-{params.lam}" if method.lam == "lambda" else name
            yield name, folder / cell / "history.jsonl"


def _history(path: Path) -> list[dict]:
    """Per step, the mean over seeds of the training cross-entropy and of D on the step's rollouts."""
    steps: dict[int, list[dict]] = defaultdict(list)
    for _, row in read_jsonl(path):
        if "ce" in row:
            steps[row["step"]].append(row)
    return [
        {
            "step": step,
            "ce_mean": float(np.mean([row["ce"] for row in rows])),
            "objective_mean": float(np.mean([row["objective"] for row in rows])) if "objective" in rows[0] else None,
        }
        for step, rows in sorted(steps.items())
    ]
