"""What dev decides: the temperature of each method, the best peers, and what each weight of D costs and brings.

`lora` is lambda = 0: training at that weight gives its bytes (tests/train/test_trainer.py). No torch, no text.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_jsonl
from polychromic.compare.matched import hypervolume, pareto_front
from polychromic.compare.stats import mean_cis, trend_test
from polychromic.compare.systems import Systems
from polychromic.params import BEST, HEADLINE, POLICY, Params

# Of a domain whose training sees another quality than the evaluation, and what is set beside it: none of it is seen in training.
TRAINED, UNSEEN = "quality", ("best_rouge_l@10", "bertscore", "perplexity")
AFTER_TRAINING = {"validation_ce": "eval_loss", "kl_to_base": "kl_to_base", "reply_tokens": "reply_tokens"}


def choose(params: Params, domain: str, systems: Systems) -> dict:
    """Every choice, from the systems of dev alone: what choices.json says.

    chosen: per label the temperature with the highest primary metric, the lower one of equals.
    fronts: per label the temperatures that no other beats in both metrics, which matched contrasts interpolate.
    best: per role of BEST, with or without the checker's knowledge, the peer (no method of ours) with the highest primary metric at its
        chosen temperature; null where no peer has the role.
    lambda: see `lambda_grid`.
    tries: every system that was scored, with its means.
    """
    primary, quality = params.endpoint(domain).primary, params.endpoint(domain).quality
    value = {key: system.mean(primary) for key, system in systems.items()}
    chosen: dict[str, float] = {}
    for label, temperature in sorted(systems):
        if label not in chosen or value[label, temperature] > value[label, chosen[label]]:
            chosen[label] = temperature
    if HEADLINE not in chosen:
        raise PolychromicError(f"scores of {domain} hold no cell at lambda = {params.lam}. Run `dvc repro score-dev-{domain}`.")
    best: dict[str, str | None] = dict.fromkeys(BEST)
    for name in (name for name, method in params.methods.items() if name in chosen and not method.ours):
        role = BEST[params.methods[name].sees_checker]
        leader = best[role]
        if leader is None or value[name, chosen[name]] > value[leader, chosen[leader]]:
            best[role] = name
    means = {"quality": quality, "primary": primary, "objective": "objective"}
    return {
        "domain": domain,
        "split": "dev",
        "primary": primary,
        "quality": quality,
        "headline": HEADLINE,
        "chosen": chosen,
        "fronts": {label: found["pareto_temperatures"] for label, found in frontiers(systems, quality, primary).items()},
        "best": best,
        "lambda": lambda_grid(params, domain, systems, chosen),
        "tries": [
            {**system.about(), "seeds": list(system.seeds), **{key: system.mean(metric) for key, metric in means.items()}}
            for _, system in sorted(systems.items())
        ],
    }


def frontiers(systems: Systems, quality: str, primary: str) -> dict[str, dict]:
    """Per label, over its temperatures: which no other beats in both metrics, and the area that they dominate above (0, 0).

    Descriptive: both are maxima of noisy values, biased upwards.
    """
    found = {}
    for label in dict.fromkeys(label for label, _ in sorted(systems)):
        temperatures = sorted(temperature for name, temperature in systems if name == label)
        points = [[systems[label, temperature].mean(metric) for metric in (quality, primary)] for temperature in temperatures]
        front = [temperatures[i] for i in pareto_front(points)]
        found[label] = {"pareto_temperatures": front, "hypervolume": hypervolume(points)}
    return found


def lambda_grid(params: Params, domain: str, systems: Systems, chosen: dict[str, float]) -> dict:
    """What choices.json says about lambda: a row per weight of the grid, ascending from `lora` at 0; all on dev.

    Returns:
        rows: {"lambda", "label", "temperature" (chosen), "seeds", "validation_ce" (nats per token), "kl_to_base" (nats per
            reply), "reply_tokens", "objective" (D at temperature 1; null where it was not sampled), "primary" and "quality" at
            the chosen temperature}, means over seeds, and "by_seed" of the three that training leaves.
        recommended: the largest weight, 0 allowed, whose validation cross-entropy is at most `ce_margin` above lora's.
        trend: Page's test that D at temperature 1 rises with lambda, prompts as blocks, with its levels; null below three
            levels or where a cell was not sampled at temperature 1.
        gaming: see `against_lora`; null where training's quality is none of the domain's metrics.

    Raises PolychromicError: a training history is missing, or a seed of it lacks what was measured after training.
    """
    endpoint = params.endpoint(domain)
    weights = {system.label: system.lam for system in systems.values() if system.method == "polychromic" and system.lam}
    rows, policies = [], []
    for label, lam in sorted({"lora": 0.0, **weights}.items(), key=lambda item: item[1]):
        system, policy = systems[label, chosen[label]], systems.get((label, POLICY))
        history = paths.cell_dir(domain, "dev", paths.cell_name(system.method, system.lam)) / paths.HISTORY
        which = {"lambda": lam, "label": label, "temperature": system.temperature, "seeds": list(system.seeds)}
        means = {"primary": system.mean(endpoint.primary), "quality": system.mean(endpoint.quality)}
        policies.append(policy)
        rows.append({**which, **after_training(history), "objective": policy.mean("objective") if policy else None, **means})
    trend, bound = None, rows[0]["validation_ce"] + params.analysis.ce_margin
    if len(rows) >= 3 and all(policies):
        d, levels = np.stack([policy.scores["objective"].mean(axis=0) for policy in policies]), [row["lambda"] for row in rows]
        trend = {"levels": levels, "n_prompts": d.shape[1], **trend_test(levels, d)}
    return {
        "rows": rows,
        "headline": params.lam,
        "ce_margin": params.analysis.ce_margin,
        "recommended": max(row["lambda"] for row in rows if row["validation_ce"] <= bound),
        "trend": trend,
        "gaming": against_lora(params, domain, systems, [row["label"] for row in rows[1:]]),
    }


def against_lora(params: Params, domain: str, systems: Systems, labels: list[str]) -> list[dict] | None:
    """What each weight of D does, beside lora at the same temperature, to the quality q that training sees and to what it does not see.

    Returns:
        {"label", "lambda", "temperature", "n_prompts", "metrics": metric -> {"delta", "low", "high"}} for each weight and temperature
        that lora has, too: paired differences over the seeds that the two share, with bootstrap intervals over prompts. Metrics: q, the
        domain's quality metric, and those of UNSEEN that the domain has. None where q is none of its metrics.
    """
    names = params.domain(domain).metrics
    if TRAINED not in names:
        return None
    wanted = [TRAINED, params.endpoint(domain).quality, *(name for name in UNSEEN if name in names)]
    rows = []
    for label, temperature in sorted(systems):
        if label not in labels or ("lora", temperature) not in systems:
            continue
        ours, lora = systems[label, temperature], systems["lora", temperature]
        ours, lora = ours.only(lora.seeds), lora.only(ours.seeds)
        differences = {name: ours.scores[name] - lora.scores[name] for name in wanted}
        # The same resamples for all rows: they differ by what was trained, and not by the prompts that were drawn.
        rng = np.random.default_rng(params.analysis.seed)
        found = mean_cis(differences, rng, params.analysis.bootstrap, params.analysis.confidence)
        rows.append({
            "label": label, "lambda": ours.lam, "temperature": temperature, "n_prompts": found[TRAINED].n_prompts,
            "metrics": {name: {"delta": ci.mean, "low": ci.low, "high": ci.high} for name, ci in found.items()},
        })  # fmt: skip
    return sorted(rows, key=lambda row: (row["lambda"], row["temperature"]))


def after_training(history: Path) -> dict[str, float | dict[str, list[float]]]:
    """The last validation cross-entropy, KL divergence to the base model and reply length: means over seeds, and "by_seed".

    Raises PolychromicError: a seed has no such row.
    """
    last: dict[int, dict[str, float]] = defaultdict(dict)
    for _, row in read_jsonl(history):
        last[row["seed"]].update({key: row[key] for key in AFTER_TRAINING.values() if key in row})
    by_seed = {}
    for name, key in AFTER_TRAINING.items():
        if missing := [seed for seed, found in last.items() if key not in found]:
            said = f"no {key} of seed {missing[0]}. Each seed ends with one"
            raise PolychromicError(f"{history}: {said}. Run `dvc repro` to train the cell again.")
        by_seed[name] = [last[seed][key] for seed in sorted(last)]
    return {name: float(np.mean(values)) for name, values in by_seed.items()} | {"by_seed": by_seed}
