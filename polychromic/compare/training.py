"""What training left in its histories: what it cost, how many sets it drew, where it was clipped and where it ended. No torch, no text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any

import numpy as np

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_jsonl
from polychromic.compare.systems import Systems, label_of
from polychromic.params import HEADLINE, POLICY, Params

History = dict[int, list[dict]]  # seed -> rows as PolychromicTrainer.history has them, steps ascending
AFTER_TRAINING = {"validation_ce": "eval_loss", "kl_to_base": "kl_to_base", "reply_tokens": "reply_tokens"}


def read_histories(params: Params, domain: str, split: str, headline: float, labels: Collection[str]) -> dict[str, History]:
    """Of those labels that were trained. headline: as `label_of`. Raises PolychromicError: a history is missing."""
    found = {}
    for cell in params.cells(domain, split):
        label = label_of(cell.method, cell.lam, headline)
        if label in labels and params.methods[cell.method].adapter == "lora":
            seeds = defaultdict(list)
            for _, row in read_jsonl(paths.cell_dir(domain, split, cell.name) / paths.HISTORY):
                seeds[row["seed"]].append(row)
            found[label] = dict(sorted(seeds.items()))
    return found


def _last(rows: list[dict], key: str) -> float | None:
    return next((row[key] for row in reversed(rows) if key in row), None)


def costs(params: Params, histories: dict[str, History]) -> dict[str, dict]:
    """Label -> {"cost" (declared), "steps", "flops", "checked" (replies), "relative", "seeds"}: means over seeds of where training ended.

    flops and checked are null where the method has no `cost`, as nothing was counted. relative: FLOPs as multiples of those of LoRA at
    cost 1; null where there is no such method.
    """
    found = {}
    for label, history in histories.items():
        ends = {key: [_last(rows, name) for rows in history.values()] for key, name in
                (("steps", "step"), ("flops", "flops"), ("checked", "checked"))}  # fmt: skip
        means = {key: None if None in values else float(np.mean(values)) for key, values in ends.items()}
        found[label] = {"cost": params.methods[label.partition("@")[0]].cost, **means, "seeds": list(history)}
    unit = next((found[name]["flops"] for name in params.family("lora") if params.methods[name].cost == 1 and name in found), None)
    return {label: row | {"relative": row["flops"] / unit if unit and row["flops"] else None} for label, row in found.items()}


def budgets(params: Params, systems: list[dict], spent: dict[str, dict], metrics: Collection[str]) -> dict[str, list[dict]]:
    """Family, by the name of its most expensive method -> a row per method, cheapest first: methods that differ in `cost` alone.

    Rows: those of `costs` with "label", and at the chosen temperature "temperature" and "metrics" as in `systems` (of compare.json).
    """
    chosen = {system["label"]: system for system in systems if system["chosen"]}
    found = {}
    for family in {name: None for method in params.methods for name in params.family(method)[-1:]}:
        rows = []
        for label in (label for label in params.family(family) if label in spent):
            system = chosen[label]
            kept = {name: system["metrics"][name] for name in metrics}
            rows.append({"label": label, **spent[label], "temperature": system["temperature"], "metrics": kept})
        if rows:
            found[rows[-1]["label"]] = rows
    return found


def after_training(label: str, history: History) -> dict[str, Any]:
    """The last validation cross-entropy, KL divergence to the base model and reply length: means over seeds, and "by_seed".

    Raises PolychromicError: a seed has no such row.
    """
    by_seed = {}
    for name, key in AFTER_TRAINING.items():
        by_seed[name] = [_last(rows, key) for rows in history.values()]
        if None in by_seed[name]:
            seed = list(history)[by_seed[name].index(None)]
            raise PolychromicError(f"history of {label}: no {key} of seed {seed}. Each seed ends with one. Run `dvc repro` to train again.")
    return {name: float(np.mean(values)) for name, values in by_seed.items()} | {"by_seed": by_seed}


def clipped(params: Params, history: History) -> dict[str, float | None]:
    """Shares of the steps whose gradient was clipped: "quality" of the loss that the Trainer clips (of the sum, where D's is not apart),
    "objective" of D's own, among the steps that had one; null where none had."""
    rows = [row for seed in history.values() for row in seed]
    shares = {
        "quality": [row["grad_norm"] > params.train.max_grad_norm for row in rows if "grad_norm" in row],
        "objective": [row["objective_clipped"] for row in rows if "objective_clipped" in row],
    }
    return {name: float(np.mean(values)) if values else None for name, values in shares.items()}


def sets_drawn(params: Params, domain: str, method: str, history: History) -> float:
    """Sets of N replies that a training scored: steps with a rollout, times the prompts of each; mean over seeds, 0 without any."""
    rollouts = params.methods[method].rollouts or params.domain(domain).rollouts
    prompts = max(1, round(rollouts.share * params.train.batch_size))  # as polychromic.train.rollouts has it
    return float(np.mean([sum("objective" in row for row in rows) for rows in history.values()])) * prompts


def doses(params: Params, domain: str, systems: Systems, chosen: dict[str, float], histories: dict[str, History]) -> list[dict]:
    """What more sets bring: of the headline's family over cost, ascending, {"label", "cost", "sets", "objective" (D at temperature 1, null
    where it was not sampled), "temperature" (chosen), "primary", "validation_ce" (after training; null where it was not measured)}."""
    rows = []
    for label in (label for label in params.family(HEADLINE) or [HEADLINE] if label in histories):
        policy, drawn = systems.get((label, POLICY)), sets_drawn(params, domain, label, histories[label])
        ends = [_last(history, AFTER_TRAINING["validation_ce"]) for history in histories[label].values()]
        rows.append({
            "label": label, "cost": params.methods[label].cost, "sets": drawn, "objective": policy and policy.mean("objective"),
            "temperature": chosen[label], "primary": systems[label, chosen[label]].mean(params.endpoint(domain).primary),
            "validation_ce": None if None in ends else float(np.mean(ends)),
        })  # fmt: skip
    return rows


def curve(params: Params, history: History) -> list[dict]:
    """Per step, means over seeds: {"step", "flops" so far, "ce" of the batch, "objective" (D on the step's rollouts), "clipped": shares as
    `clipped`}; None where the step, or the method, had none."""
    steps: dict[int, History] = defaultdict(lambda: defaultdict(list))
    for seed, rows in history.items():
        for row in rows:
            if "ce" in row:
                steps[row["step"]][seed].append(row)
    found = []
    for step, own in sorted(steps.items()):
        rows = [row for of_seed in own.values() for row in of_seed]
        mean = lambda key, rows=rows: float(np.mean(values)) if (values := [row[key] for row in rows if key in row]) else None
        found.append({"step": step, **{key: mean(key) for key in ("flops", "ce", "objective")}, "clipped": clipped(params, own)})
    return found
