"""Declared comparisons a - b of two systems, tested: at chosen temperatures, at matched quality, and at the policy's own.

Which pairs is params.yaml's choice, at which temperature and which peers are best was chosen on dev; the tests are
polychromic.compare.stats' and polychromic.compare.matched's. No torch, no text.
"""

from __future__ import annotations

import numpy as np

from polychromic.base.errors import PolychromicError
from polychromic.base.seeds import derive_seed
from polychromic.compare import stats
from polychromic.compare.matched import matched_contrast
from polychromic.compare.systems import System, Systems
from polychromic.params import BEST, POLICY, ContrastParams, Params

# What a row may hold of its test, in this order; null where the kind of test has none.
FOUND = (
    "delta", "low", "high", "p_value", "p_permutation", "p_wilcoxon", "p_mannwhitney", "d_z", "cliffs_delta", "mde", "n_prompts",
    "delta_by_seed", "margin", "non_inferior", "clamped_share",
)  # fmt: skip


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


def contrasts(params: Params, pairs: dict[tuple[str, str], ContrastParams], systems: Systems, selection: dict) -> list[dict]:
    """All rows of "contrasts" of compare.json.

    Per pair: the primary metric, the quality metric (with the margin) and semantic diversity, each side at its chosen
    temperature; the primary metric at matched quality, b's frontier being the temperatures that stood on it on dev; and D at
    temperature 1 where a trains on a set objective; all of it over the seeds that the two share (`on_shared_seeds`). One row per
    pair can be primary: the primary metric under the declared rule. p_adjusted: Holm's in the primary family, Benjamini and
    Hochberg's in the secondary one. `a_role`, `b_role`: of the best peers of dev. pairs: of `contrast_pairs`; selection: of `choose`.

    Raises PolychromicError: a contrast names a method that has no scores.
    """
    primary, quality, chosen = selection["primary"], selection["quality"], selection["chosen"]
    rows = []
    for pair, declared in pairs.items():
        if lacking := [name for name in pair if name not in chosen]:
            scored = ", ".join(sorted(chosen))
            raise PolychromicError(f"analysis.contrasts names {lacking[0]!r}, which has no scores. Scored: {scored}. Run `dvc repro`.")
        read = [(name, chosen[name]) for name in pair] + [(pair[1], temperature) for temperature in sorted(selection["fronts"][pair[1]])]
        a, b, *frontier = on_shared_seeds(params, *(systems[key] for key in read))
        family = {"chosen": "secondary", "matched": "secondary", declared.rule: declared.family}
        rows += [
            _paired(params, a, b, primary, "chosen", family["chosen"]),
            _paired(params, a, b, quality, "chosen", "secondary", params.analysis.margin),
            _paired(params, a, b, "semantic_diversity", "chosen", "secondary"),
            _matched(params, a, frontier, primary, quality, family["matched"]),
        ]
        policy = [(name, POLICY) for name in pair]
        if params.methods[pair[0]].objective != "none" and all(key in systems for key in policy):  # did D rise?
            rows.append(_paired(params, *on_shared_seeds(params, *(systems[key] for key in policy)), "objective", "policy", "secondary"))
    for name, adjust in (("primary", stats.holm), ("secondary", stats.benjamini_hochberg)):
        if members := [row for row in rows if row["family"] == name]:
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


def _paired(params: Params, a: System, b: System, metric: str, rule: str, family: str, margin: float | None = None) -> dict:
    """a against b, prompt by prompt, each at its own temperature."""
    settings, stream = params.analysis, generator(params, "contrast", a.label, b.label, metric, rule)
    found = stats.paired_contrast(
        a.scores[metric], b.scores[metric], stream, settings.bootstrap, settings.permutations, settings.confidence
    )
    # the interval excludes a loss of `margin`
    about = {"p_value": found.p_permutation, "margin": margin, "non_inferior": None if margin is None else found.low > -margin}
    return _row(params, a, b.label, b.temperature, metric, rule, family, vars(found) | about)


def _matched(params: Params, a: System, frontier: list[System], primary: str, quality: str, family: str) -> dict:
    """a against b's frontier over temperature, ascending, at the quality that a has."""
    settings, label = params.analysis, frontier[0].label
    qualities, values = ([system.scores[metric] for system in frontier] for metric in (quality, primary))
    temperatures, stream = [system.temperature for system in frontier], generator(params, "matched", a.label, label)
    own = a.scores[quality], a.scores[primary]
    found = matched_contrast(*own, qualities, values, temperatures, stream, settings.bootstrap, settings.confidence)
    weights = np.asarray(found.b_weights)
    # Each seed of a against b's mean over seeds, at the match that the pooled quality chose.
    peer = float(weights @ np.array([value.mean() for value in values]))
    about = {"p_value": found.p_two_sided, "delta_by_seed": [float(value) - peer for value in a.scores[primary].mean(axis=1)]}
    return _row(params, a, label, float(weights @ np.array(temperatures)), primary, "matched", family, vars(found) | about)


def _row(params: Params, a: System, b: str, b_temperature: float, metric: str, rule: str, family: str, found: dict) -> dict:
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
        **{key: found.get(key) for key in FOUND},
    }
