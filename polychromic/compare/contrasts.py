"""Declared comparisons a - b of two systems, tested: at chosen temperatures, at matched quality, and at the policy's own.

Which pairs is params.yaml's choice, at which temperature and which peers are best was chosen on dev; the tests are
polychromic.compare.stats' and polychromic.compare.matched's. No torch, no text.
"""

from __future__ import annotations

import numpy as np

from polychromic.base.errors import PolychromicError
from polychromic.base.seeds import derive_seed
from polychromic.compare import stats
from polychromic.compare.families import benjamini_hochberg, holm
from polychromic.compare.matched import matched_contrast
from polychromic.compare.systems import POLICY, System
from polychromic.declared import BEST, ContrastParams
from polychromic.params import Params


def generator(params: Params, *names: str | float) -> np.random.Generator:
    """A stream of its own for each test, from analysis.seed."""
    return np.random.default_rng(derive_seed(params.analysis.seed, *names))


def contrast_pairs(params: Params, domain: str, best: dict[str, str | None]) -> dict[tuple[str, str], ContrastParams]:
    """(a, b) -> what was declared of them, in that order, with the words of BEST replaced by the peers that have those roles.

    A pair that is declared twice (by its names and by a role) is tested once, as a primary one if one of the two is
    primary. Left out: a method that this domain does not have, a role that no peer has, a system against itself.
    """
    pairs: dict[tuple[str, str], ContrastParams] = {}
    for declared in params.analysis.contrasts:
        a, b = (best[name] if name in BEST else name for name in (declared.a, declared.b))
        if a is None or b is None or a == b or not (params.runs(a, domain) and params.runs(b, domain)):
            continue
        before = pairs.get((a, b))
        if before is None or (before.family == "secondary" and declared.family == "primary"):
            pairs[a, b] = declared
    return pairs


def contrasts(
    params: Params, pairs: dict[tuple[str, str], ContrastParams], systems: dict[tuple[str, float], System], selection: dict
) -> list[dict]:
    """All rows of "contrasts" of compare.json and test.json.

    Per pair: the primary metric, the quality metric (with the margin) and semantic diversity, each side at its chosen
    temperature; the primary metric at matched quality, b's frontier being the temperatures that stood on it on dev; and D at
    temperature 1 where a trains on a set objective; all of it over the seeds that the two share (`on_shared_seeds`). One row per
    pair can be primary: the primary metric under the declared rule. p_adjusted: Holm's in the primary family, Benjamini and
    Hochberg's in the secondary one. Where a side is the best peer of dev, `a_role` or `b_role` says which.

    Args:
        pairs: (a, b) -> what was declared of them, see `contrast_pairs`.
        systems: (label, temperature) -> System on the split that the contrasts are about.
        selection: select.json; of it "primary", "quality", "chosen", "fronts" and "best".

    Raises:
        PolychromicError: a contrast names a method that has no scores.
    """
    primary, quality, chosen = selection["primary"], selection["quality"], selection["chosen"]
    rows = []
    for (a_name, b_name), declared in pairs.items():
        for name in (a_name, b_name):
            if name not in chosen:
                scored = ", ".join(sorted(chosen))
                raise PolychromicError(f"analysis.contrasts names {name!r}, which has no scores. Scored: {scored}. Run `dvc repro`.")
        a, b, *frontier = on_shared_seeds(
            params,
            systems[a_name, chosen[a_name]],
            systems[b_name, chosen[b_name]],
            *(systems[b_name, temperature] for temperature in sorted(selection["fronts"][b_name])),
        )
        families = {"chosen": "secondary", "matched": "secondary", declared.rule: declared.family}
        for metric in (primary, quality, "semantic_diversity"):
            family = families["chosen"] if metric == primary else "secondary"
            rows.append(_paired_contrast(params, a, b, metric, family, margin=params.analysis.margin if metric == quality else None))
        rows.append(_matched_contrast(params, primary, quality, a, frontier, families["matched"]))
        policy = (a_name, POLICY), (b_name, POLICY)
        if params.methods[a_name].objective != "none" and all(key in systems for key in policy):
            # Did D rise?
            pair = on_shared_seeds(params, *(systems[key] for key in policy))
            rows.append(_paired_contrast(params, *pair, "objective", "secondary", rule="policy"))
    for family, adjust in (("primary", holm), ("secondary", benjamini_hochberg)):
        members = [row for row in rows if row["family"] == family]
        if members:
            for row, p in zip(members, adjust([row["p_value"] for row in members]), strict=True):
                row["p_adjusted"] = float(p)
    roles = {label: role for role, label in selection["best"].items() if label}
    return [row | {"a_role": roles.get(row["a"]), "b_role": roles.get(row["b"])} for row in rows]


def on_shared_seeds(params: Params, *systems: System) -> list[System]:
    """The systems, trained ones with the seeds that all trained ones have: a screened method has the first few, and the order of its
    data with them. One that is only prompted keeps what it has, since its seeds say nothing about another's."""
    trained = [system for system in systems if params.methods[system.method].adapter == "lora"]
    shared = set.intersection(*(set(system.seeds) for system in trained)) if trained else set()
    return [system.only(shared) if params.methods[system.method].adapter == "lora" else system for system in systems]


def _paired_contrast(
    params: Params, a: System, b: System, metric: str, family: str, margin: float | None = None, rule: str = "chosen"
) -> dict:
    """a against b, prompt by prompt, each at its own temperature."""
    found = stats.paired_contrast(
        a.scores[metric],
        b.scores[metric],
        generator(params, "contrast", a.label, b.label, metric, rule),
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
        "p_improvement": found.p_improvement,
        "mde": found.mde,
        "n_prompts": found.n_prompts,
        "delta_by_seed": list(found.delta_by_seed),
        "margin": margin,
        "non_inferior": None if margin is None else bool(stats.non_inferior(found.low, margin)),
        "clamped_share": None,
    }


def _matched_contrast(params: Params, primary: str, quality: str, a: System, frontier: list[System], family: str) -> dict:
    """a against b's frontier over temperature, ascending, at the quality that a has."""
    found = matched_contrast(
        a.scores[quality],
        a.scores[primary],
        [system.scores[quality] for system in frontier],
        [system.scores[primary] for system in frontier],
        [system.temperature for system in frontier],
        generator(params, "matched", a.label, frontier[0].label),
        params.analysis.bootstrap,
        params.analysis.confidence,
    )
    weights = np.asarray(found.b_weights)
    temperature = float(weights @ np.array([system.temperature for system in frontier]))
    return {
        **_head(a, frontier[0].label, temperature, primary, "matched", family, params),
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
        "p_improvement": None,
        "mde": found.mde,
        "n_prompts": found.n_prompts,
        "delta_by_seed": _matched_by_seed(primary, a, frontier, weights),
        "margin": None,
        "non_inferior": None,
        "clamped_share": found.clamped_share,
    }


def _matched_by_seed(primary: str, a: System, frontier: list[System], weights: np.ndarray) -> list[float]:
    """Each seed of a against b's mean over seeds, at the match that the pooled quality chose."""
    peer = float(weights @ np.array([system.scores[primary].mean() for system in frontier]))
    return [float(value) - peer for value in a.scores[primary].mean(axis=1)]


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
