"""Stage `compare`: from per-prompt scores to choices, intervals and tested contrasts, for one split of a domain.

On dev the choices come first (polychromic.compare.choose); on test they stand in params.yaml under `analysis.test`, so that nothing about
test reads what dev says now. Drafts beside people, on calibration: polychromic.compare.people. No torch, no text.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polychromic.base import paths
from polychromic.base.io import atomic_open, read_json, read_jsonl, read_object, together, write_json
from polychromic.base.visible import cell
from polychromic.compare import stats
from polychromic.compare.choose import choose, frontiers
from polychromic.compare.contrasts import contrast_pairs, contrasts, generator
from polychromic.compare.systems import System, Systems, read_systems
from polychromic.data.seal import check_sealed
from polychromic.params import HEADLINE, Params

BASELINES = ("zero_shot", "few_shot", "lora")
STEP_COST = "benchmarks/results/step_cost-{}.json"  # what `make bench` measured


def compare(params: Params, domain: str, split: str) -> None:
    """Write results/{domain}/{split}/compare.json (systems with intervals, contrasts with tests) and metrics.json, for `dvc metrics`;
    on dev also choices.json, and frontier.csv, lambda.csv and training.csv, for `dvc plots`.

    Raises PolychromicError: scores, or on dev training histories, are missing; test, and `analysis:` is not what was committed before test
    was opened (polychromic.data.seal).
    """
    if split == "test":
        check_sealed(Path())
    # the weight of D at which the method of the grid goes by its bare name
    systems = read_systems(params, domain, split, params.lam if split == "dev" else params.cell(domain, split, HEADLINE).lam)
    if split == "dev":
        selection = choose(params, domain, systems)
        pairs = contrast_pairs(params, domain, selection["best"])
    else:
        selection = declared(params, domain)
        pairs = {(one.a, one.b): one for one in params.test_plan(domain).contrasts}
    document = {
        **{key: selection[key] for key in ("primary", "quality", "headline", "chosen")},
        "domain": domain,
        "split": split,
        "methods": {name: about(params, name) for name in dict.fromkeys(cell.method for cell in params.cells(domain, split))},
        "systems": [describe(params, system, selection["chosen"]) for _, system in sorted(systems.items())],
        "frontiers": frontiers(systems, selection["quality"], selection["primary"]),
        "contrasts": contrasts(params, pairs, systems, selection),
    }
    document |= _of_dev(params, domain, systems, selection) if split == "dev" else _of_test(params, domain)
    with together():
        write_json(paths.compare_file(domain, split), document)
        write_json(paths.compare_file(domain, split).with_name("metrics.json"), metrics_of(params, document))
        if split == "dev":
            write_json(paths.choices_file(domain), selection)
        for name, table in plots_of(document).items() if split == "dev" else ():
            with atomic_open(paths.choices_file(domain).with_name(name)) as file:
                table.map(cell).to_csv(file, index=False, lineterminator="\n")


def declared(params: Params, domain: str) -> dict[str, Any]:
    """As choices.json, of what `analysis.test` of params.yaml declares."""
    cells, endpoint = params.cells(domain, "test"), params.endpoint(domain)
    return {
        "primary": endpoint.primary,
        "quality": endpoint.quality,
        "headline": HEADLINE,
        "chosen": {cell.method: cell.temperatures[0] for cell in cells},
        "fronts": {cell.method: sorted(cell.temperatures) for cell in cells},
        "best": {},
    }


def _of_dev(params: Params, domain: str, systems: Systems, selection: dict) -> dict[str, Any]:
    folder = paths.RESULTS / domain / "dev"
    trained = {cell.method: cell for cell in params.cells(domain, "dev") if params.methods[cell.method].adapter == "lora"}
    trained |= {cell.method: cell for cell in params.cells(domain, "dev") if cell.lam == params.lam}  # of a grid, the headline's
    return {
        "selection": selection,
        "profiles": profiles(systems, selection),
        "calibration": read_json(paths.calibration_file(domain)),
        "signatures": read_object(paths.signatures_file(domain)),
        "histories": {name: _history(folder / cell.name / paths.HISTORY) for name, cell in trained.items()},
    }


def _of_test(params: Params, domain: str) -> dict[str, Any]:
    found = {adapter for cell in params.cells(domain, "test") for adapter in params.adapters(domain, cell)}
    steps = sum(round(params.domain(domain).steps * adapter.budget) for adapter in found)
    return {
        "declared": [contrast.model_dump() for contrast in params.test_plan(domain).contrasts],
        "machines": read_object(paths.machines_file(domain)),
        "training": {"runs": len(found), "steps": steps},
    }


def about(params: Params, name: str) -> dict:
    """What a table says about a method: its group, and whose training step it has, how many of them."""
    method = params.methods[name]
    group = {"ours": method.ours, "sees_checker": method.sees_checker, "trained": method.adapter == "lora"}
    return group | {"budget": method.budget, "trains_like": params.trains_like(name)}


def describe(params: Params, system: System, chosen: dict[str, float]) -> dict:
    intervals = stats.mean_cis(system.scores, generator(params, "mean"), params.analysis.bootstrap, params.analysis.confidence)
    return {
        **system.about(),
        "chosen": chosen[system.label] == system.temperature,
        "seeds": list(system.seeds),
        "n_prompts": next(iter(system.scores.values())).shape[1],
        "n_samples": params.sampling.n,
        "metrics": {name: {"mean": ci.mean, "low": ci.low, "high": ci.high, "by_seed": list(ci.by_seed)} for name, ci in intervals.items()},
    }


def profiles(systems: Systems, selection: dict) -> dict[str, dict[str, list[list[float]]]]:
    """Label -> metric -> (S, P) scores of each seed and prompt at the chosen temperature: of the labels that figures show.

    The metrics are the primary one, the quality metric and pass@1; prompts stand in one order for all labels.
    """
    names = dict.fromkeys([selection["primary"], selection["quality"], "pass@1"])
    shown = {*BASELINES, HEADLINE, *selection["best"].values()} & selection["chosen"].keys()
    scores = {label: systems[label, selection["chosen"][label]].scores for label in sorted(shown)}
    return {label: {name: own[name].tolist() for name in names if name in own} for label, own in scores.items()}


def metrics_of(params: Params, document: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Label -> the primary metric, pass@1, pass@10 and D at the chosen temperature, and the training cost: optimiser steps, and minutes of
    the machine that `make bench` timed, where it timed this method's step."""
    timings = Path(STEP_COST.format(document["domain"]))
    variants = read_object(timings)["variants"] if timings.exists() else {}
    names = dict.fromkeys([document["primary"], "pass@1", "pass@10", "objective"])
    found = {}
    for system in (system for system in document["systems"] if system["chosen"]):
        row = {name: system["metrics"][name]["mean"] for name in names if name in system["metrics"]}
        row["temperature"] = system["temperature"]
        method = document["methods"][system["method"]]
        if method["trained"]:
            row["steps"] = round(params.domain(document["domain"]).steps * method["budget"])
            if method["trains_like"] in variants:
                row["minutes"] = round(row["steps"] * variants[method["trains_like"]]["mean_seconds"] / 60, 2)
        found[system["label"]] = row
    return found


def plots_of(document: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The tables behind `dvc plots`: the frontier, what lambda does, training curves."""
    primary, quality = document["primary"], document["quality"]
    frontier = [
        {"label": one["label"], "temperature": one["temperature"], **{name: one["metrics"][name]["mean"] for name in (quality, primary)}}
        for one in document["systems"]
    ]
    of_weights = ["lambda", "label", "objective", "primary", "quality", "validation_ce", "kl_to_base"]
    weights = pd.DataFrame(document["selection"]["lambda"]["rows"], columns=of_weights)
    training = [
        {"method": name, "step": row["step"], "ce": row["ce_mean"], "objective": row["objective_mean"]}
        for name, rows in document["histories"].items()
        for row in rows
    ]
    return {"frontier.csv": pd.DataFrame(frontier), "lambda.csv": weights, "training.csv": pd.DataFrame(training)}


def _history(path: Path) -> list[dict]:
    """Per step, the means over seeds of the training cross-entropy, and of D on the step's rollouts, None where it had none."""
    steps: dict[int, list[dict]] = defaultdict(list)
    for _, row in read_jsonl(path):
        if "ce" in row:
            steps[row["step"]].append(row)

    mean = lambda rows, key: float(np.mean(values)) if (values := [row[key] for row in rows if key in row]) else None
    return [{"step": step, "ce_mean": mean(rows, "ce"), "objective_mean": mean(rows, "objective")} for step, rows in sorted(steps.items())]
