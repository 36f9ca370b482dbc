"""Synthetic compare.json of each split and benchmark files, in the shapes that the pipeline and `make bench` write. Numbers without
meaning, the same ones at every call."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from polychromic.base import paths
from polychromic.params import read_yaml
from polychromic.report.results import Compare, Fields

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = ["objective", "pass@1", "pass@3", "pass@5", "pass@10", "distinct@10", "semantic_diversity", "self_bleu", "rouge_l", "tokens"]
OWN = {"replies": ["distinct_2", "quality"], "creative": ["valid_distinct@10", "perplexity"]}
METRICS = {domain: SHARED + OWN.get(domain, ["valid_distinct@10"]) for domain in ("listqa", "replies", "creative", "code")}
PRIMARY = {domain: "pass@10" if domain == "replies" else "valid_distinct@10" for domain in METRICS}
TEMPERATURES = {"listqa": [0.3, 0.5, 0.7, 0.85, 1.0], "replies": [0.5, 0.8, 1.0], "creative": [0.7, 1.0], "code": [0.5, 1.0]}
SYSTEMS = {  # label -> (temperature, strength)
    "zero_shot": (1.0, 0.25), "few_shot": (0.7, 0.5), "lora": (0.7, 0.75), "gem": (0.7, 0.78), "polychromic_plain": (0.7, 0.7),
    "lora_long": (0.5, 0.76), "some_new_peer": (1.0, 0.4), "rft": (0.7, 0.9), "poly_epo": (0.85, 0.88), "polychromic": (0.85, 1.0),
    "polychromic@0.3": (0.7, 0.85), "polychromic@10": (0.85, 0.95), "polychromic_quarter": (0.85, 0.93),
}  # fmt: skip
REPLIES = ("zero_shot", "few_shot", "lora", "rft", "polychromic", "polychromic@0.3", "polychromic@10")
PEERS = {"listqa": ("gem", "rft"), "replies": ("lora", None), "creative": ("lora", "rft"), "code": ("lora", None)}
BEST = {domain: {"best_without_checker": without, "best_with_checker": seeing} for domain, (without, seeing) in PEERS.items()}
LAMBDA = {"polychromic": 3.0, "polychromic@0.3": 0.3, "polychromic@10": 10.0}
PROMPTED = ("zero_shot", "few_shot")


def _mean(metric: str, strength: float, temperature: float) -> float:
    k = int(metric.partition("@")[2] or 1)
    single = max(0.02, (0.2 + 0.2 * strength) * (1.25 - 0.6 * temperature))
    if metric.startswith("pass@"):
        return 1 - (1 - single) ** (k ** (0.4 + 0.35 * temperature * strength))
    return {
        "objective": 0.1 + 0.1 * strength,
        "valid_distinct@10": 0.7 + strength * (0.9 - 2.2 * (temperature - 0.75) ** 2),
        "distinct@10": 2 + 7 * temperature,
        "semantic_diversity": 0.1 + 0.4 * temperature * strength,
        "self_bleu": 0.9 - 0.5 * temperature,
        "perplexity": 60 + 40 * temperature,
        "tokens": 3 + 4 * temperature,
    }.get(metric, single)


def _system(domain: str, label: str, lam: float | None, temperature: float, chosen: float, strength: float, **about) -> dict:
    means = {name: _mean(name, strength, temperature) for name in METRICS[domain]}
    metrics = {name: {"mean": mean, "low": 0.93 * mean, "high": 1.07 * mean, "by_seed": [mean] * 3} for name, mean in means.items()}
    row = {"label": label, "method": label.partition("@")[0], "lambda": lam, "temperature": temperature, "chosen": temperature == chosen}
    return row | {"n_prompts": 80, "n_samples": 20, "metrics": metrics} | about


def _document(domain: str, split: str, systems: list[dict], contrasts: list[dict]) -> dict:
    frontiers = {s["label"]: {"pareto_temperatures": [s["temperature"]], "hypervolume": 0.1 + 0.01 * len(s["label"])} for s in systems}
    head = {"domain": domain, "split": split, "primary": PRIMARY[domain], "quality": "pass@1", "headline": "polychromic"}
    return head | {"systems": systems, "frontiers": frontiers, "contrasts": contrasts}


def make_compare(domain: str) -> dict:
    """compare.json of dev."""
    rng, systems, best = np.random.default_rng(7), [], BEST[domain]
    for label, (chosen, strength) in SYSTEMS.items():
        if domain == "listqa" or label in REPLIES:
            chosen = min(TEMPERATURES[domain], key=lambda t: abs(t - chosen))
            for temperature in TEMPERATURES[domain]:
                seeds = {"seeds": [0] if label in PROMPTED else [0, 1, 2]}
                systems.append(_system(domain, label, LAMBDA.get(label), temperature, chosen, strength, **seeds))
    by_cell = {row["label"]: row for row in systems if row["chosen"]}
    pairs = [("few_shot", "zero_shot"), ("lora", "few_shot"), ("polychromic", "lora"), ("polychromic_plain", "lora")]
    pairs += [("polychromic", peer) for peer in best.values() if peer not in ("lora", None)]
    family = lambda a: "primary" if a == "polychromic" else "secondary"
    contrasts = [c for a, b in pairs if a in by_cell for c in _contrasts(domain, a, b, by_cell, "matched", family(a))]
    contrasts += [_contrast("polychromic", b, "objective", by_cell, "policy") for b in ("lora", "zero_shot")]
    names = [label for label in by_cell if "@" not in label]
    shape = lambda name, s: {"ce_mean": 1.5 + 2 / (1 + s / 10), "objective_mean": 0.1 + 0.2 * s / 100 if name == "polychromic" else None}
    shown, rates = sorted({*PROMPTED, "lora", "polychromic", *filter(None, best.values())}), (PRIMARY[domain], "pass@1")
    human = {"threshold": 0.3141, "within": 0.125, "across": 0.021, "n_prompts": 34, "n_replies": 2103, "ceiling": 0.11, "floor": 0.02}
    return _document(domain, "dev", systems, contrasts) | {
        "selection": _selection(domain, systems),
        "methods": {name: _about(name) for name in names},
        "profiles": {label: {name: (rng.integers(0, 21, (2, 80)) / 20).tolist() for name in rates} for label in shown},
        "calibration": human if domain == "replies" else None,
        "histories": {name: [{"step": s} | shape(name, s) for s in range(1, 101, 3)] for name in names if name not in PROMPTED},
    }


def make_test(domain: str) -> dict:
    """compare.json of what params.yaml declares for test; stronger with every system, the plainest ones aside."""
    plan = read_yaml(REPOSITORY / "params.yaml")["analysis"]["test"][domain]
    systems = []
    for place, (name, opened) in enumerate(plan["systems"].items()):
        strength, (chosen, *_) = SYSTEMS.get(name, (0, 0.9 + place / 40))[1], opened["temperatures"]
        about = {"seeds": plan["seeds"][: opened["seeds"]], "n_prompts": plan.get("prompts", 240)}
        systems += [_system(domain, name, opened.get("lam"), t, chosen, strength, **about) for t in opened["temperatures"]]
    by_cell = {row["label"]: row for row in systems if row["chosen"]}
    declared = [{"rule": "matched"} | contrast for contrast in plan["contrasts"]]
    contrasts = [c for one in declared for c in _contrasts(domain, one["a"], one["b"], by_cell, one["rule"], one["family"])]
    sides = {name: {"ours": name.startswith("polychromic"), "sees_checker": name.startswith(("polychromic", "rft"))} for name in by_cell}
    return _document(domain, "test", systems, contrasts) | {
        "machines": {"GPU_0, torch 2": ["lora"], "a processor": ["few_shot"]},
        "training": {"runs": 24, "steps": 3360},
        "declared": declared,
        "methods": sides,
    }


def _about(name: str) -> dict:
    ours = name.startswith("polychromic") and name != "polychromic_plain"
    longer = {"budget": 1.25, "trains_like": "lora"} if name == "lora_long" else {"budget": 1.0, "trains_like": name}
    return {"ours": ours, "sees_checker": ours or name in ("rft", "poly_epo"), "trained": name not in PROMPTED} | longer


def _selection(domain: str, systems: list[dict]) -> dict:
    """choices.json; the KL and the validation cross-entropy grow with lambda, D as in the systems at temperature 1. Where training has a
    quality of its own, each weight stands beside LoRA at two temperatures: nothing is shown, either way."""
    rows, gaming, ends = [], [], {"quality": (0.02, -0.01, 0.05), "pass@1": (0.0, -0.02, 0.02), "perplexity": (-1.0, -2.0, 0.5)}
    for label, lam in {"lora": 0.0, "polychromic@0.3": 0.3, "polychromic": 3.0, "polychromic@10": 10.0}.items():
        policy = next(row for row in systems if row["label"] == label and row["temperature"] == 1)
        after = {"validation_ce": 2.0 + 0.03 * lam, "kl_to_base": 6.0 + lam / 2, "reply_tokens": 4.0 + lam / 20}
        by_seed = {name: [value - 0.1, value, value + 0.1] for name, value in after.items()}
        rows.append({"lambda": lam, "label": label, **after, "by_seed": by_seed, "objective": policy["metrics"]["objective"]["mean"]})
        for temperature in (0.8, 1.0) if lam else ():
            differences = {name: dict(zip(("delta", "low", "high"), three, strict=True)) for name, three in ends.items()}
            gaming.append({"label": label, "lambda": lam, "temperature": temperature, "n_prompts": 80, "metrics": differences})
    levels, means = [row["lambda"] for row in rows], [row["objective"] for row in rows]
    trend = {"levels": levels, "means": means, "page_l": 2000.0, "p": 0.0004, "n_prompts": 80}
    values = {"quality": "pass@1", "primary": PRIMARY[domain], "objective": "objective"}
    tried = lambda row: {key: row[key] for key in ("label", "method", "lambda", "temperature", "seeds")}
    return {
        "best": BEST[domain], "fronts": {row["label"]: [row["temperature"]] for row in systems if row["chosen"]},
        "lambda": {"rows": rows, "headline": 3.0, "ce_margin": 0.1, "recommended": 3.0, "trend": trend,
                   "gaming": gaming if "quality" in METRICS[domain] else None},
        "tries": [tried(row) | {k: row["metrics"][name]["mean"] for k, name in values.items()} for row in systems],
    }  # fmt: skip


def _contrasts(domain: str, a: str, b: str, by_cell: dict, rule: str, family: str) -> list[dict]:
    """Each side as chosen on three metrics, and matched on the primary one, which belongs to the family under `rule`."""
    primary = PRIMARY[domain]
    pairs = [(primary, "chosen"), ("pass@1", "chosen"), ("semantic_diversity", "chosen"), (primary, "matched")]
    return [_contrast(a, b, name, by_cell, how, family if (name, how) == (primary, rule) else "secondary") for name, how in pairs]


def _contrast(a: str, b: str, metric: str, by_cell: dict, rule: str, family: str = "secondary") -> dict:
    delta = by_cell[a]["metrics"][metric]["mean"] - by_cell[b]["metrics"][metric]["mean"]
    half = 0.05 * abs(by_cell[b]["metrics"][metric]["mean"]) + 0.004
    p, guarded = 0.0002 if abs(delta) > half else 0.31, metric == "pass@1"
    return {
        "id": f"{a}-{b}-{metric}-{rule}", "a": a, "b": b, "a_temperature": by_cell[a]["temperature"],
        "b_temperature": 0.612345 if rule == "matched" else by_cell[b]["temperature"], "metric": metric, "rule": rule, "family": family,
        "delta": delta, "low": delta - half, "high": delta + half, "p_value": p, "p_adjusted": min(1.0, 4 * p), "p_wilcoxon": p,
        "p_mannwhitney": 0.04, "d_z": 0.41 if delta > 0 else -0.41, "cliffs_delta": 0.2, "mde": 2.8 * half / 1.96, "n_prompts": 80,
        "seeds": [0, 1, 2], "delta_by_seed": [delta - 0.01, delta, delta + 0.01], "clamped_share": 0.0312 if rule == "matched" else None,
        "margin": 0.03 if guarded else None, "non_inferior": bool(delta - half > -0.03) if guarded else None,
    }  # fmt: skip


def parsed(values: dict) -> Compare:
    """compare.json as the report reads it."""
    return Compare(values, paths.compare_file(values["domain"], values["split"]).as_posix())


def measured(name: str, **changes) -> Fields:  # noqa: ANN003 - fields of the document
    """A file of benchmarks/results/, as the report reads it."""
    document = make_designs() if name == "calibration" else make_benchmarks()[f"{name}.json"]
    return Fields(document | changes, f"benchmarks/results/{name}.json")


def find(values: dict, a: str, b: str, metric: str | None = None, rule: str = "matched") -> dict:
    """A contrast of compare.json, found without the code under test; on the primary metric where none is named."""
    key = (a, b, metric or values["primary"], rule)
    return next(c for c in values["contrasts"] if (c["a"], c["b"], c["metric"], c["rule"]) == key)


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
    speeds = [{"prompts": b, "n": 4, "horizon": 10, "tokens_per_second": 100.0 * b, "generate_tokens_per_second": 50.0, "ratio": 2.0 * b}
              for b in (1, 8)]  # fmt: skip
    of_marginal = {"marginal": 1.0, "others": 0.8, "leave_one_out": 0.98, "set": 3.1, "wrong": 0.5}
    rows = [{"n": n, "baseline": name, "relative_to_marginal": x, "low": x - 0.05, "high": x + 0.05, "biased": name == "wrong"}
            for n in (4, 8) for name, x in of_marginal.items()]  # fmt: skip
    variance = {"objective": "coverage", "prompts": 16, "draws": 64, "rows": rows}
    documents = {"step_cost-listqa": steps, "sampler": {"rows": speeds}, "gradient_variance": variance}
    return {f"{name}.json": head | document for name, document in documents.items()}


def make_designs() -> dict:
    """calibration.json in the right shape: ours covers 95 and 94 %, pooling finds 41 % where there is nothing."""
    rows = []
    for prompts, coverage, mde in ((60, 0.95, 0.034), (300, 0.94, 0.015)):
        shared = {"prompts": prompts, "minimum_detectable_effect": mde, "seeds": "declared", "power": 0.6, "power_se": 0.011}
        for design, covered, found in (("percentile", coverage, 0.05), ("sign_flip", None, 0.05), ("pooled", None, 0.41)):
            error = {"false_positives": found, "false_positives_se": 0.011, "coverage": covered, "coverage_se": covered and 0.005}
            rows.append(shared | error | {"design": design, "ours": design != "pooled"})
    own = {"domain": "listqa", "metric": "valid_distinct@10", "prompts": 141, "truth": 0.2, "coverage_se": 0.005}
    observed = [own | {"rule": "chosen", "coverage": 0.951}, own | {"rule": "matched", "coverage": 0.962}]
    shared = {"commit": "abc", "source": "made", "runs": 2000, "seeds": 2, "samples": 20, "effect": 0.03}
    return shared | {"rows": rows, "observed": observed}


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
