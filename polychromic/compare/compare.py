"""Stages `select` and `compare`: from per-prompt scores to choices, intervals and tested contrasts.

All of it is about dev: choices (temperatures, best peers, the weight of D), and what the systems are worth there. What is claimed is
tested on test (polychromic.compare.confirmation). No torch, no text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, read_jsonl, write_json
from polychromic.compare import stats
from polychromic.compare.ablation import lambda_grid
from polychromic.compare.contrasts import contrast_pairs, contrasts, generator
from polychromic.compare.frontier import hypervolume, pareto_front
from polychromic.compare.systems import System, cell_name, read_systems
from polychromic.declared import BEST
from polychromic.params import Method, Params

WITHOUT_CHECKER, WITH_CHECKER = BEST
HEADLINE = "polychromic"
BASELINES = ("zero_shot", "few_shot", "lora")


def select(params: Params, domain: str) -> None:
    """Write results/{domain}/select.json: every choice, from dev alone.

    chosen: per label the temperature with the highest primary metric, the lower one of equals.
    fronts: per label the temperatures that no other beats in both metrics, which matched contrasts interpolate.
    best: per role of BEST the peer with the highest primary metric at its chosen temperature; null where no peer has the role.
    lambda: see polychromic.compare.ablation.lambda_grid.
    tries: every system that was scored, with its means.
    """
    systems = read_systems(params, domain, "dev", params.lam)
    primary, quality = params.endpoint(domain).primary, params.endpoint(domain).quality
    value = {key: float(system.scores[primary].mean()) for key, system in systems.items()}
    chosen: dict[str, float] = {}
    for label, temperature in sorted(systems):
        if label not in chosen or value[label, temperature] > value[label, chosen[label]]:
            chosen[label] = temperature
    if HEADLINE not in chosen:
        raise PolychromicError(f"scores of {domain} hold no cell at lambda = {params.lam}. Run `dvc repro score@{domain}`.")
    best: dict[str, str | None] = dict.fromkeys(BEST)
    for name, method in params.methods.items():
        if (role := peer_role(method)) and name in chosen:
            leader = best[role]
            if leader is None or value[name, chosen[name]] > value[leader, chosen[leader]]:
                best[role] = name
    document = {
        "domain": domain,
        "split": "dev",
        "primary": primary,
        "quality": quality,
        "headline": HEADLINE,
        "chosen": chosen,
        "fronts": {label: found["pareto_temperatures"] for label, found in frontiers(systems, quality, primary).items()},
        "best": best,
        "lambda": lambda_grid(params, domain, systems, chosen),
        "tries": [_try(system, primary, quality) for _, system in sorted(systems.items())],
    }
    write_json(paths.RESULTS / domain / "select.json", document)


def peer_role(method: Method) -> str | None:
    """The role that a peer may be best at: with or without the checker's knowledge; None for Polychromic LoRA itself."""
    if method.ours:
        return None
    return WITH_CHECKER if method.sees_checker else WITHOUT_CHECKER


def _try(system: System, primary: str, quality: str) -> dict:
    metrics = {"quality": quality, "primary": primary, "objective": "objective"}
    means = {key: float(system.scores[metric].mean()) for key, metric in metrics.items()}
    which = {"label": system.label, "method": system.method, "lambda": system.lam, "temperature": system.temperature}
    return which | {"seeds": list(system.seeds)} | means


def compare(params: Params, domain: str) -> None:
    """Write results/{domain}/compare.json: systems on dev with intervals, contrasts with tests, training histories, and the choices."""
    folder = paths.RESULTS / domain
    selection = read_json(folder / "select.json")
    systems = read_systems(params, domain, "dev", params.lam)
    document = {
        **{key: selection[key] for key in ("domain", "primary", "quality", "headline")},
        "split": "dev",
        "selection": selection,
        "methods": {name: about(params, name) for name in params.methods if params.runs(name, domain)},
        "systems": [describe(params, system, selection["chosen"]) for _, system in sorted(systems.items())],
        "frontiers": frontiers(systems, selection["quality"], selection["primary"]),
        "profiles": profiles(systems, selection),
        "contrasts": contrasts(params, contrast_pairs(params, domain, selection["best"]), systems, selection),
        "calibration": read_json(folder / "calibration.json"),
        "signatures": read_json(folder / "signatures.json"),
        "histories": {name: _history(folder / cell / "history.jsonl") for name, cell in _trained_cells(params, domain)},
    }
    write_json(folder / "compare.json", document)


def about(params: Params, name: str) -> dict:
    """What a table says about a method: its group, and whose training step it has, how many of them."""
    method = params.methods[name]
    return {
        "ours": method.ours,
        "sees_checker": method.sees_checker,
        "trained": method.adapter == "lora",
        "budget": method.budget,
        "trains_like": params.trains_like(name),
    }


def describe(params: Params, system: System, chosen: dict[str, float]) -> dict:
    intervals = stats.mean_cis(system.scores, generator(params, "mean"), params.analysis.bootstrap, params.analysis.confidence)
    return {
        "label": system.label,
        "method": system.method,
        "lambda": system.lam,
        "temperature": system.temperature,
        "chosen": chosen[system.label] == system.temperature,
        "seeds": list(system.seeds),
        "n_prompts": next(iter(system.scores.values())).shape[1],
        "n_samples": params.sampling.n,
        "metrics": {
            metric: {"mean": interval.mean, "low": interval.low, "high": interval.high, "by_seed": list(interval.by_seed)}
            for metric, interval in intervals.items()
        },
    }


def profiles(systems: dict[tuple[str, float], System], selection: dict) -> dict[str, dict[str, list[list[float]]]]:
    """Label -> metric -> (S, P) scores of each seed and prompt at the chosen temperature: of the labels that figures show.

    The metrics are the primary one, the quality metric and pass@1; prompts stand in one order for all labels.
    """
    shown = {*BASELINES, HEADLINE, *filter(None, selection["best"].values())}
    names = dict.fromkeys([selection["primary"], selection["quality"], "pass@1"])
    found = {}
    for label in sorted(shown & selection["chosen"].keys()):
        scores = systems[label, selection["chosen"][label]].scores
        found[label] = {name: scores[name].tolist() for name in names if name in scores}
    return found


def frontiers(systems: dict[tuple[str, float], System], quality: str, primary: str) -> dict[str, dict]:
    """Per label, over its temperatures: which no other beats in both metrics, and the area that they dominate above (0, 0).

    Descriptive: both are maxima of noisy values, biased upwards.
    """
    points: dict[str, dict[float, tuple[float, float]]] = defaultdict(dict)
    for (label, temperature), system in sorted(systems.items()):
        points[label][temperature] = (float(system.scores[quality].mean()), float(system.scores[primary].mean()))
    found = {}
    for label, by_temperature in points.items():
        values, temperatures = np.array(list(by_temperature.values())), list(by_temperature)
        front = [temperatures[i] for i in pareto_front(values)]
        found[label] = {"pareto_temperatures": front, "hypervolume": hypervolume(values)}
    return found


def _trained_cells(params: Params, domain: str) -> Iterator[tuple[str, str]]:
    """(method, folder of its cell, at the headline lambda where it has a grid)."""
    for name, method in params.methods.items():
        if method.adapter == "lora" and params.runs(name, domain):
            yield name, cell_name(name, params.lam if method.lam == "lambda" else None)


def _history(path: Path) -> list[dict]:
    """Per step, the mean over seeds of the training cross-entropy, of D on the step's rollouts, None where it had none, and in bulk mode
    of the effective share of its samples."""
    steps: dict[int, list[dict]] = defaultdict(list)
    for _, row in read_jsonl(path):
        if "ce" in row:
            steps[row["step"]].append(row)
    history = []
    for step, rows in sorted(steps.items()):
        objective = [row["objective"] for row in rows if "objective" in row]
        ce = float(np.mean([row["ce"] for row in rows]))
        shares = [row["ess"] for row in rows if "ess" in row]
        means = {"objective_mean": float(np.mean(objective)) if objective else None, "ess_mean": float(np.mean(shares)) if shares else None}
        history.append({"step": step, "ce_mean": ce} | means)
    return history
