"""Stage `compare`: from per-prompt scores to choices, intervals and tested contrasts, for one split of a domain.

On dev the choices come first (polychromic.compare.choose); on test they stand in params.yaml under `analysis.test`, so that nothing about
test reads what dev says now. Drafts beside people, on calibration: polychromic.compare.people. No torch, no text.

compare.json, of a domain and a split. An ESTIMATE is {"delta", "low", "high", "p", "se", "variances": {"seeds", "prompts", "cells"},
"detectable"}: seeds and prompts random (polychromic.compare.crossed) at analysis.confidence, detectable the smallest true difference that
is found four times out of five; all null where there is none. "over" says of what an interval is: "seeds and prompts", or "prompts"
where there is one seed.

    domain, split, headline, primary, quality   the last two are metrics
    chosen          label -> temperature
    methods         method -> {"ours", "sees_checker", "trained", "budget", "cost", "trains_like", "objective", "same_rollouts"}
    systems         [{"label", "method", "lambda", "temperature", "chosen", "seeds", "over", "n_prompts", "n_samples",
                    "distinct_per_valid" (valid_distinct@10 = 10 pass@1 times it; null without both, or at pass@1 of 0),
                    "metrics": metric -> {"mean", "low", "high", "by_seed"}}]
    costs           label -> {"cost", "steps", "flops", "checked", "relative", "seeds"}       (training.costs; trained labels)
    budgets         family -> [{"label", "temperature", "metrics", and those of costs}]       (training.budgets)
    fronts          label -> {"temperatures", "quality", "value" (means), "curve": {"quality", "value"} (best quality first) or null,
                    "pareto_temperatures", "hypervolume"}
    contrasts       [{"id", "a", "b", "a_role", "b_role", "stratum" (prefix, or null), "rule", "family", "metric", "seeds" (common), "over",
                    "n_prompts", "n_clusters", "n_samples", ESTIMATE, "p_adjusted", "over_prompts": {"low", "high", "p"} or null
                    (footnote: these seeds alone), "by_seed"}], and by rule
        front       "quality" (metric), "match", "a_temperatures", "b_temperatures", "shared": [lo, hi], "unmatched", "above",
                    "dominates": "a", "b" or null, "certainty", "best_quality": ESTIMATE, "best_value": ESTIMATE; delta is the mean gap,
                    null without a match, which counts as p = 1 in its family; by_seed null where a seed has none
        chosen      "a_temperature", "b_temperature", "margin" and "non_inferior" (quality metric; else null), and of means over seeds,
                    by prompts: "p_permutation" (sign flips), "p_wilcoxon", "p_mannwhitney", "d_z", "cliffs_delta"
    self_contrasts  [{"label", "temperatures", "seeds", "shared", ESTIMATE}]: each against itself, nothing but error

dev also has "selection" (choices.json, see choose.choose), "histories" (label -> training.curve), "calibration", "signatures";
test has "declared", "machines" and "training": {"runs", "steps"} of all its adapters.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from polychromic.base import paths
from polychromic.base.io import atomic_open, read_json, read_object, together, write_json
from polychromic.base.visible import cell
from polychromic.compare.choose import choose
from polychromic.compare.contrasts import contrast_pairs, contrasts, tested_metrics
from polychromic.compare.describe import about, describe, fronts_of, self_contrasts
from polychromic.compare.systems import Systems, known_prompts, read_systems
from polychromic.compare.training import History, budgets, costs, curve, read_histories
from polychromic.data.seal import check_sealed
from polychromic.params import HEADLINE, Params


def compare(params: Params, domain: str, split: str) -> None:
    """Write results/{domain}/{split}/compare.json and metrics.json, for `dvc metrics`; on dev also choices.json, and frontier.csv,
    lambda.csv and training.csv, for `dvc plots`.

    Raises PolychromicError: scores or training histories are missing; test, and `analysis:` is not what was committed before test
    was opened (polychromic.data.seal).
    """
    if split == "test":
        check_sealed(Path())
    # the weight of D at which the method of the grid goes by its bare name
    headline = params.lam if split == "dev" else params.cell(domain, split, HEADLINE).lam
    systems = read_systems(params, domain, split, headline)
    histories = read_histories(params, domain, split, headline, {label for label, _ in systems})
    if split == "dev":
        selection = choose(params, domain, systems, histories)
        pairs = contrast_pairs(params, domain, selection["best"])
    else:
        selection, pairs = declared(params, domain), params.test_plan(domain).contrasts
    known, chosen, spent = known_prompts(params, domain, split, pairs), selection["chosen"], costs(params, histories)
    described = [describe(params, domain, system, chosen, known) for _, system in sorted(systems.items())]
    document = {
        **{key: selection[key] for key in ("primary", "quality", "headline", "chosen")},
        "domain": domain,
        "split": split,
        "methods": {name: about(params, name) for name in dict.fromkeys(cell.method for cell in params.cells(domain, split))},
        "systems": described,
        "costs": spent,
        "budgets": budgets(params, described, spent, tested_metrics(params, domain)),
        "fronts": fronts_of(systems, selection["quality"], selection["primary"]),
        "contrasts": contrasts(params, domain, pairs, systems, selection, known),
        "self_contrasts": self_contrasts(params, domain, systems, known),
    }
    document |= _of_dev(params, domain, systems, selection, histories) if split == "dev" else _of_test(params, domain, spent)
    with together():
        write_json(paths.compare_file(domain, split), document)
        write_json(paths.compare_file(domain, split).with_name("metrics.json"), metrics_of(document))
        if split == "dev":
            write_json(paths.choices_file(domain), selection)
        for name, table in plots_of(document).items() if split == "dev" else ():
            with atomic_open(paths.choices_file(domain).with_name(name)) as file:
                table.map(cell).to_csv(file, index=False, lineterminator="\n")


def declared(params: Params, domain: str) -> dict[str, Any]:
    """As choices.json, of what `analysis.test` of params.yaml declares."""
    endpoint, chosen = params.endpoint(domain), {cell.method: cell.temperatures[0] for cell in params.cells(domain, "test")}
    return {"primary": endpoint.primary, "quality": endpoint.quality, "headline": HEADLINE, "chosen": chosen, "best": {}}


def _of_dev(params: Params, domain: str, systems: Systems, selection: dict, histories: dict[str, History]) -> dict[str, Any]:
    return {
        "selection": selection,
        "calibration": read_json(paths.calibration_file(domain)),
        "signatures": read_object(paths.signatures_file(domain)),
        "histories": {label: curve(params, history) for label, history in histories.items() if label in params.methods},
    }


def _of_test(params: Params, domain: str, spent: dict[str, dict]) -> dict[str, Any]:
    found = {adapter: spent[cell.method]["steps"] for cell in params.cells(domain, "test") for adapter in params.adapters(domain, cell)}
    return {
        "declared": [contrast.model_dump() for contrast in params.test_plan(domain).contrasts],
        "machines": read_object(paths.machines_file(domain)),
        "training": {"runs": len(found), "steps": sum(found.values())},
    }


def metrics_of(document: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Label -> the primary metric, pass@1, pass@10 and D at the chosen temperature, and the cost: steps, FLOPs, checked replies."""
    names, found = dict.fromkeys([document["primary"], "pass@1", "pass@10", "objective"]), {}
    for system in (system for system in document["systems"] if system["chosen"]):
        row = {name: system["metrics"][name]["mean"] for name in names if name in system["metrics"]}
        spent = document["costs"].get(system["label"], {})
        row |= {key: spent[key] for key in ("steps", "flops", "checked") if spent.get(key) is not None}
        found[system["label"]] = row | {"temperature": system["temperature"]}
    return found


def plots_of(document: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The tables behind `dvc plots`: the fronts, what lambda does, training curves."""
    primary, quality = document["primary"], document["quality"]
    frontier = [
        {"label": one["label"], "temperature": one["temperature"], **{name: one["metrics"][name]["mean"] for name in (quality, primary)}}
        for one in document["systems"]
    ]
    of_weights = ["lambda", "label", "objective", "primary", "quality", "validation_ce", "kl_to_base", "sets"]
    weights = pd.DataFrame(document["selection"]["lambda"]["rows"], columns=of_weights)
    training = [
        {"method": name, "step": row["step"], "ce": row["ce"], "objective": row["objective"]}
        for name, rows in document["histories"].items()
        for row in rows
    ]
    return {"frontier.csv": pd.DataFrame(frontier), "lambda.csv": weights, "training.csv": pd.DataFrame(training)}
