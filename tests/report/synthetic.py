"""Synthetic results: compare.json of each split as `compare` makes it of simulated scores, in which every part has something to show;
and benchmark files in the shapes that benchmarks/ write. The same ones at every call."""

from __future__ import annotations

import copy
import os
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from polychromic.base import paths
from polychromic.base.io import read_json, write_json, write_jsonl
from polychromic.compare import compare as stage
from polychromic.params import Params
from polychromic.report.results import Compare, Fields
from tests.workspace import small_values

REPOSITORY = Path(__file__).resolve().parents[2]
DOMAINS = ("listqa", "replies", "creative", "code")
MAIN, GUARD = "valid_distinct@10", "pass@1"
METRICS = [GUARD, "pass@10", "coverage@10", "held_out_coverage@10", "held_out_quality", MAIN, "semantic_diversity", "quality", "tokens"]
TEMPERATURES = np.array([0.4, 0.6, 0.8, 1.0, 1.2, 1.4])
UNIT, SEEDS, PROMPTS = 2e14, 3, 16
BARE = {"prompt": "zero_shot", "adapter": "none"}
LORA = {"prompt": "zero_shot", "adapter": "lora"}
OURS = LORA | {"objective": "coverage", "lam": 3.0}
# name -> (its entry under methods:, lift of the value, lift of the quality)
METHODS = {
    "zero_shot": (BARE, -1.6, -0.3), "few_shot": (BARE, -1.2, -0.2),
    "lora": (LORA | {"cost": 1.0}, 0.0, 0.0), "lora_2c": (LORA | {"cost": 2.0}, 0.12, 0.02), "lora_4c": (LORA | {"cost": 4.0}, 0.15, 0.02),
    "gem": (LORA | {"loss": "gem", "settings": {"beta": 0.7}, "cost": 1.0}, 0.1, -0.01), "some_new_peer": (LORA, -0.2, -0.05),
    "rft": (LORA | {"self_training": {"after": 0.5}, "cost": 4.0}, 0.2, 0.05),
    "reward": (LORA | {"objective": "reward", "lam": 3.0, "cost": 4.0}, -0.1, 0.06),
    "passk": (LORA | {"objective": "passk", "subset": 2, "lam": 3.0, "cost": 4.0}, 0.15, 0.02),
    "poly_epo": (LORA | {"objective": "poly_epo", "subset": 2, "lam": 3.0, "cost": 4.0}, 0.3, 0.0),
    "polychromic_1c": (OURS | {"cost": 1.0}, 0.1, 0.0), "polychromic_2c": (OURS | {"cost": 2.0}, 0.3, 0.01),
    "polychromic": (OURS | {"lam": "lambda", "cost": 4.0}, 0.5, 0.02),
}  # fmt: skip
GRID = {0.3: (0.15, 0.0), 3.0: (0.5, 0.02), 10.0: (0.45, -0.04)}
PAIRS = [("polychromic", "lora", "primary"), ("polychromic", "rft", "primary"), ("polychromic", "lora_4c", "primary"),
         ("lora", "zero_shot", "primary"), ("polychromic", "poly_epo", "secondary"), ("polychromic", "reward", "secondary"),
         ("rft", "lora", "secondary")]  # fmt: skip
ON_TEST = ("zero_shot", "few_shot", "lora", "lora_4c", "rft", "polychromic")


def values() -> dict:
    found = small_values() | {"domains": list(DOMAINS), "methods": {name: entry for name, (entry, *_) in METHODS.items()}}
    rule = lambda b: "chosen" if b == "zero_shot" else "front"
    contrasts = [{"a": a, "b": b, "family": family, "rule": rule(b)} for a, b, family in PAIRS]
    opened = {name: {"seeds": SEEDS, "temperatures": TEMPERATURES.tolist()} for name in ON_TEST}
    opened["polychromic"]["lam"] = 3.0
    plan = {"seeds": list(range(SEEDS)), "systems": opened, "contrasts": [one for one in contrasts if {one["a"], one["b"]} <= set(ON_TEST)]}
    for domain in DOMAINS:
        found[domain] |= {"metrics": METRICS, "lambdas": list(GRID), "temperatures": TEMPERATURES.tolist(), "people": []}
    found["analysis"] |= {"contrasts": contrasts, "test": dict.fromkeys(DOMAINS, plan)}
    found["analysis"]["endpoints"] = {domain: {"primary": "coverage@10", "quality": GUARD} for domain in DOMAINS}
    return found | {"seeds": list(range(SEEDS))}


def _scores(label: str, split: str) -> dict[str, np.ndarray]:
    """metric -> (temperatures, seeds, prompts); quality falls with the temperature, what a set holds is highest at 1."""
    lam = float(label.partition("@")[2] or 3.0)
    lift, better = GRID[lam] if label.startswith("polychromic@") else METHODS[label][1:]
    draws = np.random.default_rng([*label.encode(), len(split)])
    prompt, t = np.random.default_rng(1).normal(0, 1, PROMPTS), TEMPERATURES[:, None, None]
    best = 1.2 if label.startswith("poly") else 1.0
    noise = draws.normal(0, 0.1, (1, SEEDS, 1)) + draws.normal(0, 0.5, (len(TEMPERATURES), SEEDS, PROMPTS))
    quality = 0.75 / (1 + np.exp(2 * (t - 1.1))) + better + 0.1 * prompt + 0.04 * noise
    value = 2.6 + lift - 2.2 * (t - best) ** 2 + 0.4 * prompt + 0.15 * noise
    gap = 0.02 + (0.02 * lam if label.startswith("polychromic") else 0)
    found = {
        GUARD: quality, "pass@10": 1 - (1 - quality) ** 4, "coverage@10": value, "held_out_coverage@10": value - 8 * gap,
        "held_out_quality": quality - gap, MAIN: 1.3 * value, "semantic_diversity": 0.2 + 0.15 * value, "quality": quality + 0.02,
        "tokens": 5 + t + 0.5 * noise, "objective": value / 8,
    }  # fmt: skip
    return {name: np.clip(scores, 0, 1 if name in (GUARD, "pass@10", "quality", "held_out_quality", "objective") else None)
            for name, scores in found.items()}  # fmt: skip


def _history(label: str) -> list[dict]:
    method, rows = METHODS[label.partition("@")[0]][0], []
    draws, sets, cost = np.random.default_rng(len(label)), method.get("objective"), method.get("cost")
    lam, steps = float(label.partition("@")[2] or 3.0), int(20 * (cost or 1))
    for seed in range(SEEDS):
        for step in range(1, steps + 1):
            row = {"seed": seed, "step": step, "ce": 1.5 + 2 / (1 + step / 5) + draws.normal(0, 0.2), "grad_norm": draws.gamma(2, 2)}
            row |= {"flops": UNIT * cost * step / steps, "checked": 8 * step if sets else 0} if cost else {}
            if sets:
                row |= {"objective": 0.1 + step / 400 + draws.normal(0, 0.02), "objective_clipped": float(draws.random() < 0.3)}
            rows.append(row)
        after = {
            "eval_loss": 2.0 + (0.03 * lam if sets else 0) + 0.01 * seed,
            "kl_to_base": 6.0 + (lam if sets else 0),
            "reply_tokens": 4.0,
        }
        rows.append({"seed": seed, "step": steps} | after)
    return rows


@cache
def _made() -> dict[str, dict]:
    """Split -> compare.json of list questions."""
    params, here, found = Params.model_validate(values()), Path.cwd(), {}
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        os.chdir(name)
        patch.setattr(stage, "check_sealed", lambda root: None)
        try:
            for split in ("dev", "test"):
                folder, rows = paths.RESULTS / "listqa" / split, []
                for cell in params.cells("listqa", split):
                    label = cell.method if cell.lam in (None, 3.0) else f"{cell.method}@{cell.lam}"
                    scores = _scores(label, split)
                    for k, seed, item in np.ndindex(len(TEMPERATURES), len(cell.seeds), PROMPTS):
                        about = {"method": cell.method, "lambda": cell.lam, "seed": seed, "temperature": TEMPERATURES[k].item()}
                        metrics = {name: one[k, seed, item].item() for name, one in scores.items()}
                        rows.append(about | {"split": split, "id": f"q{item:02}", "metrics": metrics})
                    if params.methods[cell.method].adapter == "lora":
                        write_jsonl(folder / cell.name / paths.HISTORY, _history(label))
                write_jsonl(folder / "scores.jsonl.gz", rows)
                for made, content in (("calibration", None), ("signatures", {}), ("machines", {"a CPU_with & marks": ["lora"]})):
                    write_json(folder / f"{made}.json", content)
                stage.compare(params, "listqa", split)
                found[split] = read_json(paths.compare_file("listqa", split))
        finally:
            os.chdir(here)
    return found


def make_drafts(split: str) -> dict:
    """drafts.json of a domain: one prompt with four drafts of two systems, of which the first repeats itself."""
    chosen = _made()[split]["chosen"]
    rows = [["lora", chosen["lora"], [1, 2, 3, 1], 3], ["polychromic", chosen["polychromic"], [0, 1, 3, 3], 2]]
    prompt = {"id": "p", "prompt": "Say <b> & $x", "texts": ["a_1", "b", "b!", "c"], "valid": "1110", "group": [0, 1, 1, 2], "rows": rows}
    return {"prompts": [prompt]}


def make(domain: str, split: str = "dev") -> dict:
    """compare.json as a dict, for each test to change. Sentences ("creative") have no judge of their own and no counted FLOPs;
    on functions ("code") the first pair has no match."""
    found = copy.deepcopy(_made()[split]) | {"domain": domain}
    if domain == "creative":
        for system in found["systems"]:
            for name in ("held_out_quality", "held_out_coverage@10"):
                system["metrics"].pop(name)
        for row in (*found["costs"].values(), *(row for rows in found["budgets"].values() for row in rows)):
            row |= {"flops": None, "relative": None}
        for rows in found.get("histories", {}).values():
            for row in rows:
                row["flops"] = None
    if domain == "code":
        lost = next(row for row in found["contrasts"] if row["rule"] == "front")
        lost |= {"match": False, "p_adjusted": 1.0, "shared": [0.3, 0.2]}
        lost |= dict.fromkeys(("delta", "low", "high", "p", "se", "variances", "detectable", "over_prompts"))
        lost |= {"dominates": "a", "certainty": 0.9}
    return found


def parsed(document: dict) -> Compare:
    """compare.json as the report reads it."""
    return Compare(document, paths.compare_file(document["domain"], document["split"]).as_posix())


def measured(name: str, **changes) -> Fields:  # noqa: ANN003 - fields of the document
    """A file of benchmarks/results/, as the report reads it."""
    document = (make_benchmarks() | {"fronts.json": make_designs(), "first_opening.json": make_opening()})[f"{name}.json"]
    return Fields(document | changes, f"benchmarks/results/{name}.json")


def make_benchmarks() -> dict[str, dict]:
    """File name -> document, of benchmarks/results/."""
    ratios = {"plain": 1.0, "lora": 0.95, "polychromic": 1.3, "polychromic_quarter": 1.18, "rft": 1.1, "naive": 3.4}
    shares = {"prefill": 0.1, "decode": 0.3, "encode": 0.0, "score": 0.05, "backward": 0.45, "other": 0.1}
    variants = {
        name: {
            "mean_seconds": 0.5 * ratio, "ratio_to_plain": ratio, "ratio_to_lora": ratio / 0.95, "low": ratio - 0.04, "high": ratio + 0.04,
            "rho": 0.5 if name.startswith("poly") else None, "every": 1 if name.startswith("poly") else None,
            "part_seconds": {k: 0.5 * ratio * v for k, v in shares.items()} if name.startswith("poly") else None,
        }
        for name, ratio in ratios.items()
    }  # fmt: skip
    head = {"device": "a CPU_with & marks", "commit": "abc1234"}
    steps = {"threads": 1, "domain": "listqa", "batch_size": 8, "precision": "float32", "steps": 50, "variants": variants}
    of_marginal = {"marginal": 1.0, "others": 0.8, "leave_one_out": 0.98, "set": 3.1, "wrong": 0.5}
    rows = [{"n": n, "baseline": name, "relative_to_marginal": x, "low": x - 0.05, "high": x + 0.05, "biased": name == "wrong"}
            for n in (4, 8) for name, x in of_marginal.items()]  # fmt: skip
    variance = {"objective": "coverage", "prompts": 16, "draws": 64, "rows": rows}
    documents = {"step_cost-listqa": steps, "gradient_variance": variance}
    return {f"{name}.json": head | document for name, document in documents.items()}


def make_designs() -> dict:
    """fronts.json in the right shape."""
    rate = lambda covered: {"coverage": covered, "coverage_se": 0.005, "false_positives": 1 - covered, "false_positives_se": 0.005}
    rows = [{"domain": domain, "shape": shape, "seeds": 3, "prompts": prompts, "detectable": 0.41,
             "rules": {"ours": rate(0.955 if prompts == 150 else 0.94), "normal": rate(0.81)}}
            for domain in ("listqa", "creative") for shape in ("same", "itself") for prompts in (150, 300)]  # fmt: skip
    return {"commit": "abc", "runs": 600, "rows": rows}


def make_opening() -> dict:
    """first_opening.json: one contrast as expected, one of another domain."""
    row = lambda domain, b, delta, p, expected: {
        "domain": domain, "a": "polychromic", "b": b, "metric": "valid_distinct@10", "delta": delta, "low": delta - 0.1,
        "high": delta + 0.1, "p_adjusted": p, "n_prompts": 120, "seeds": [0, 1, 2], "expected": expected}  # fmt: skip
    rows = [row("listqa", "lora", 0.3, 0.0004, "higher"), row("creative", "rft", -0.25, 0.03, "open & close")]
    return {"commit": "abc1234", "rows": rows}


def make_people() -> dict:
    """compare.json of calibration: people match most, systems less, floors least; R of the headline is not told apart from LoRA's."""
    curve = lambda level: [{"k": k, "value": level * k, "low": 0.9 * level * k, "high": 1.1 * level * k} for k in (1, 3, 5, 10)]
    matched = lambda level: {"human_recall": curve(level), "pass": curve(4 * level)}
    beside = lambda level: matched(level) | {"floor": {"human_recall": curve(level / 5), "pass": curve(level)}}
    systems = {}
    for name, r, level in (("zero_shot", 1.7, 0.006), ("few_shot", 1.6, 0.007), ("lora", 1.5, 0.008), ("polychromic", 1.45, 0.009)):
        above = {"value": 8 * level, "low": -0.01 if name == "zero_shot" else 6 * level, "high": 10 * level}
        systems[name] = beside(level) | {"seeds": [0, 1], "ratio": {"value": r, "low": r - 0.1, "high": r + 0.1}, "above_floor": above}
    contrasts = [{"a": "polychromic", "b": name, "value": 1.45 - one["ratio"]["value"], "low": -0.12, "high": 0.02}
                 for name, one in systems.items() if name != "polychromic"]  # fmt: skip
    return {"n_prompts": 34, "temperature": 1.0, "drafts": 10, "targets": 10, "human_collision": 0.21, "people": beside(0.012),
            "systems": systems, "contrasts": contrasts}  # fmt: skip
