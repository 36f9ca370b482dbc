"""What dev decides: the temperature of each method, the best peers, and what each weight of D costs and brings.

`lora` is lambda = 0: training at that weight gives its bytes (tests/train/test_trainer.py). No torch, no text.
"""

from __future__ import annotations

import numpy as np

from polychromic.base.errors import PolychromicError
from polychromic.compare.stats import trend_test
from polychromic.compare.systems import System, Systems
from polychromic.compare.training import History, after_training, clipped, doses, sets_drawn
from polychromic.params import BEST, HEADLINE, POLICY, Params

# What training's side says and what the judge that it never sees says of the same replies: (metrics, the first that there is; held-out
# metric; what makes both shares).
HELD_OUT = {"quality": (("quality", "pass@1"), "held_out_quality", 1), "coverage": (("coverage@10",), "held_out_coverage@10", 10)}


def choose(params: Params, domain: str, systems: Systems, histories: dict[str, History]) -> dict:
    """Every choice, from the systems of dev alone: what choices.json says.

    domain, split, primary, quality, headline: as in compare.json.
    chosen: per label the temperature with the highest primary metric, the lower one of equals.
    best: per role of BEST, with or without the checker's knowledge, the peer (no method of ours) with the highest primary metric at its
        chosen temperature; null where no peer has the role.
    lambda: see `lambda_grid`.
    doses: see training.doses.
    tries: every system that was scored, with its means: {"label", "method", "lambda", "temperature", "seeds", "quality", "primary",
        "objective"}.
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
        "best": best,
        "lambda": lambda_grid(params, domain, systems, chosen, histories),
        "doses": doses(params, domain, systems, chosen, histories),
        "tries": [
            {**system.about(), "seeds": list(system.seeds), **{key: system.mean(metric) for key, metric in means.items()}}
            for _, system in sorted(systems.items())
        ],
    }


def lambda_grid(params: Params, domain: str, systems: Systems, chosen: dict[str, float], histories: dict[str, History]) -> dict:
    """What choices.json says about lambda: a row per weight of the grid, ascending from `lora` at 0; all on dev.

    Returns:
        rows: {"lambda", "label", "temperature" (chosen), "seeds", "validation_ce" (nats per token), "kl_to_base" (nats per
            reply), "reply_tokens", "objective" (D at temperature 1; null where it was not sampled), "primary" and "quality" at
            the chosen temperature, "held_out_gap" (see `held_out_gap`, less that of lora), "clipped" (training.clipped), "sets"
            (training.sets_drawn), "within" (the bounds)}, means over seeds, and "by_seed" of the three that training leaves.
        headline, bounds: as declared.
        recommended: of the weights within the bounds, 0 among them, the one of the highest primary metric, the lower of equals.
        trend: Page's test that D at temperature 1 rises with lambda, prompts as blocks, with its levels; null below three
            levels or where a cell was not sampled at temperature 1.

    Raises PolychromicError: a seed of a training history lacks what was measured after training.
    """
    endpoint, bounds = params.endpoint(domain), params.analysis.bounds
    weights = {system.label: system.lam for system in systems.values() if system.method == HEADLINE and system.lam}
    rows, policies, lora = [], [], systems["lora", chosen["lora"]]
    for label, lam in sorted({"lora": 0.0, **weights}.items(), key=lambda item: item[1]):
        system, policy, history = systems[label, chosen[label]], systems.get((label, POLICY)), histories[label]
        gaps, of_lora = held_out_gap(system), held_out_gap(lora)
        policies.append(policy)
        row = {
            "lambda": lam, "label": label, "temperature": system.temperature, "seeds": list(system.seeds), **after_training(label, history),
            "objective": policy.mean("objective") if policy else None,
            "primary": system.mean(endpoint.primary), "quality": system.mean(endpoint.quality),
            "held_out_gap": {name: None if gap is None else gap - of_lora[name] for name, gap in gaps.items()},
            "clipped": clipped(params, history), "sets": sets_drawn(params, domain, system.method, history),
        }  # fmt: skip
        first = rows[0] if rows else row
        row["within"] = (
            row["validation_ce"] - first["validation_ce"] <= bounds.ce
            and first["quality"] - row["quality"] <= bounds.quality
            and all(gap is None or gap <= bounds.gap for gap in row["held_out_gap"].values())
        )
        rows.append(row)
    trend = None
    if len(rows) >= 3 and all(policies):
        d, levels = np.stack([policy.scores["objective"].mean(axis=0) for policy in policies]), [row["lambda"] for row in rows]
        trend = {"levels": levels, "n_prompts": d.shape[1], **trend_test(levels, d)}
    return {
        "rows": rows,
        "headline": params.lam,
        "bounds": bounds.model_dump(),
        "recommended": max((row for row in rows if row["within"]), key=lambda row: row["primary"])["lambda"],
        "trend": trend,
    }


def held_out_gap(system: System) -> dict[str, float | None]:
    """How much better training's quality and coverage find the replies than the judge that it never sees; shares, null without one."""
    found = {}
    for name, (metrics, held_out, scale) in HELD_OUT.items():
        own = next((metric for metric in metrics if metric in system.scores), None)
        there = own is not None and held_out in system.scores
        found[name] = (system.mean(own) - system.mean(held_out)) / scale if there else None
    return found
