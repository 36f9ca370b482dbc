"""Declared comparisons a - b of two systems, tested: along their fronts over temperature, and at the temperatures that dev chose.

Which pairs is params.yaml's choice, at which temperature and which peers are best was chosen on dev; the estimates are
polychromic.compare.fronts' and polychromic.compare.crossed's: seeds and prompts are random, paired on the seeds that both have. Of a
single common seed an estimate is over prompts alone, says so and is secondary. No torch, no text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from polychromic.base.errors import PolychromicError
from polychromic.base.seeds import derive_seed
from polychromic.compare import stats
from polychromic.compare.crossed import Estimate, crossed_means, estimate
from polychromic.compare.fronts import Front, front_contrast
from polychromic.compare.systems import System, Systems, clusters_of
from polychromic.data.records import Record
from polychromic.params import BEST, ContrastParams, Params
from polychromic.params.sections import FRONT

# Tested, too, where the domain has them; never primary.
BESIDE = ("pass@1", "semantic_diversity", "held_out_quality", "held_out_coverage@10")
SECONDARY = ("p_permutation", "p_wilcoxon", "p_mannwhitney", "d_z", "cliffs_delta")  # of stats.Contrast, over means of seeds


def generator(params: Params, *names: str | float) -> np.random.Generator:
    """A stream of its own for each test, from analysis.seed."""
    return np.random.default_rng(derive_seed(params.analysis.seed, *names))


def tested_metrics(params: Params, domain: str) -> list[str]:
    """The primary metric, the quality metric and those of BESIDE that the domain has."""
    endpoint, names = params.endpoint(domain), params.domain(domain).metrics
    return list(dict.fromkeys([endpoint.primary, endpoint.quality, *(name for name in BESIDE if name in names)]))


def contrast_pairs(params: Params, domain: str, best: dict[str, str | None]) -> list[ContrastParams]:
    """What was declared for dev, in that order, with the words of BEST replaced by the peers that have those roles.

    A pair that is declared twice (by its names and by a role) is tested once, as a primary one if one of the two is
    primary. Left out: a method that this domain does not have, a role that no peer has, a system against itself.
    """
    pairs: dict[str, ContrastParams] = {}
    for declared in params.analysis.contrasts:
        a, b = (best[name] if name in BEST else name for name in (declared.a, declared.b))
        if a is None or b is None or a == b or not (params.runs(a, domain) and params.runs(b, domain)):
            continue
        found = declared.model_copy(update={"a": a, "b": b})
        before = pairs.get(found.name)
        if before is None or (before.family == "secondary" and found.family == "primary"):
            pairs[found.name] = found
    return list(pairs.values())


def contrasts(
    params: Params, domain: str, declared: Sequence[ContrastParams], systems: Systems, selection: dict, known: dict[str, Record]
) -> list[dict]:
    """All rows of "contrasts" of compare.json; polychromic.compare.compare says what they hold.

    Per declared pair a row of rule "chosen" for each of `tested_metrics`, each side at its chosen temperature, and one of rule "front"
    where both have FRONT temperatures. One of them can be primary: the primary metric under the declared rule.

    Args:
        selection: of `choose`. known: of `known_prompts`.

    Raises:
        PolychromicError: a contrast names a method that has no scores, two systems share no seed, fewer than 2 prompts, or groups of
            them, in a stratum.
    """
    rows, chosen = [], selection["chosen"]
    for one in declared:
        if lacking := [name for name in (one.a, one.b) if name not in chosen]:
            scored = ", ".join(sorted(chosen))
            raise PolychromicError(f"analysis.contrasts names {lacking[0]!r}, which has no scores. Scored: {scored}. Run `dvc repro`.")
        sides = [[system for (label, _), system in sorted(systems.items()) if label == name] for name in (one.a, one.b)]
        seeds = sorted(set(sides[0][0].seeds) & set(sides[1][0].seeds))
        places = [i for i, prompt in enumerate(sides[0][0].prompts) if not one.stratum or known[prompt].stratum.startswith(one.stratum)]
        a, b = ([system.only(seeds, places) for system in side] for side in sides)
        clusters = clusters_of(params, domain, a[0], known)
        groups = len(set(clusters)) if clusters else len(places)
        if not seeds or groups < 2:
            got = f"{len(seeds)} seeds that both have, {groups} prompts or groups of them"
            raise PolychromicError(f"{domain}, contrast {one.name}: got {got}. Allowed: 1 or more; 2 or more. Correct params.yaml.")
        about = {"a": one.a, "b": one.b, "stratum": one.stratum, "seeds": seeds, "over": over(seeds)}
        about |= {"n_prompts": len(places), "n_clusters": groups, "n_samples": params.sampling.n}
        found = _at_chosen(params, domain, *(next(s for s in side if s.temperature == chosen[s.label]) for side in (a, b)), clusters, about)
        if min(len(a), len(b)) >= FRONT:
            found.append(_along_fronts(params, domain, a, b, clusters, about))
        for row in found:
            decides = row["rule"] == one.rule and row["metric"] == selection["primary"] and len(seeds) > 1
            rows.append(row | {"family": one.family if decides else "secondary"})
    for name, adjust in (("primary", stats.holm), ("secondary", stats.benjamini_hochberg)):
        if members := [row for row in rows if row["family"] == name]:
            found = adjust([1.0 if row["p"] is None else row["p"] for row in members])  # no match is no difference
            for row, p in zip(members, found, strict=True):
                row["p_adjusted"] = float(p)
    roles = {label: role for role, label in selection["best"].items() if label}
    return [row | {"a_role": roles.get(row["a"]), "b_role": roles.get(row["b"])} for row in rows]


def over(seeds: Sequence[int]) -> str:
    """Of what an estimate from these seeds speaks: one says nothing about seeds."""
    return "prompts" if len(seeds) < 2 else "seeds and prompts"


def estimated(params: Params, found: Estimate | None) -> dict[str, Any]:
    """delta, low, high, p, se, variances (seeds, prompts, cells) and detectable: the smallest true difference found four times out of five.
    All null without a match."""
    if found is None:
        return dict.fromkeys(("delta", "low", "high", "p", "se", "variances", "detectable"))
    v = found.variances
    interval = {"delta": found.delta, "low": found.low, "high": found.high, "p": found.p, "se": v.se}
    variances = {"seeds": v.seeds, "prompts": v.prompts, "cells": v.cells}
    return interval | {"variances": variances, "detectable": v.detectable(alpha=1 - params.analysis.confidence)}


def _footnote(found: Estimate | None) -> dict[str, float] | None:
    return found and {"low": found.low, "high": found.high, "p": found.p}


def _at_chosen(params: Params, domain: str, a: System, b: System, clusters: list[str] | None, about: dict) -> list[dict]:
    """a against b, each at its own temperature: a row per metric, the same resamples for all."""
    names, settings, quality = tested_metrics(params, domain), params.analysis, params.endpoint(domain).quality
    stream = generator(params, "contrast", a.label, b.label, about["stratum"] or "", "chosen")
    sides = [stats.check_scores({f"{s.label}, {name}": s.scores[name] for name in names}) for s in (a, b)]
    x, y = (np.stack(list(side.values())) for side in sides)  # (metrics, seeds, prompts)
    scales = [float(max(np.abs(x[i]).max(), np.abs(y[i]).max())) for i in range(len(names))]
    differences = np.stack([stats.snap(d, scale) for d, scale in zip(x - y, scales, strict=True)])
    means, sizes = crossed_means(differences, stream, settings.resamples, clusters)
    rows = []
    for name, ours, theirs, d, deltas, scale in zip(names, x, y, differences, means, scales, strict=True):
        deltas = stats.snap(deltas, scale)
        found = estimate(deltas, sizes, settings.confidence, fixed=len(a.seeds) < 2)
        beside = stats.paired_contrast(ours, theirs, stream, settings.resamples, settings.permutations, settings.confidence)
        margin = settings.margin if name == quality else None
        rows.append({
            "id": "-".join(filter(None, (f"{a.label}-vs-{b.label}", about["stratum"], name, "chosen"))),
            **about,
            "rule": "chosen", "metric": name, "a_temperature": a.temperature, "b_temperature": b.temperature,
            **estimated(params, found),
            "over_prompts": _footnote(estimate(deltas, sizes, settings.confidence, fixed=True)),
            "by_seed": d.mean(axis=1).tolist(),
            "margin": margin, "non_inferior": None if margin is None else found.low > -margin,  # the interval excludes a loss of it
            **{key: getattr(beside, key) for key in SECONDARY},
        })  # fmt: skip
    return rows


def front_of(systems: Sequence[System], quality: str, value: str) -> Front:
    """Of one label at its temperatures."""
    return Front([s.temperature for s in systems], *(np.stack([s.scores[name] for s in systems]) for name in (quality, value)))


def _along_fronts(params: Params, domain: str, a: list[System], b: list[System], clusters: list[str] | None, about: dict) -> dict:
    """a's front against b's, over the qualities that both cover."""
    settings, endpoint = params.analysis, params.endpoint(domain)
    stream = generator(params, "contrast", a[0].label, b[0].label, about["stratum"] or "", "front")
    fronts = [front_of(side, endpoint.quality, endpoint.primary) for side in (a, b)]
    found = front_contrast(
        *fronts, stream, settings.resamples, settings.confidence, clusters, settings.least, fixed=len(about["seeds"]) < 2
    )
    return {
        "id": "-".join(filter(None, (f"{a[0].label}-vs-{b[0].label}", about["stratum"], endpoint.primary, "front"))),
        **about,
        "rule": "front", "metric": endpoint.primary, "quality": endpoint.quality, "match": found.gap is not None,
        **{f"{side}_temperatures": front.temperatures.tolist() for side, front in zip("ab", fronts, strict=True)},
        **estimated(params, found.gap),
        "over_prompts": _footnote(found.over_prompts),
        "by_seed": [None if np.isnan(gap) else gap for gap in found.by_seed],
        "shared": list(found.shared), "unmatched": found.unmatched, "above": found.above,
        "dominates": found.dominates, "certainty": found.certainty,
        "best_quality": estimated(params, found.best_quality), "best_value": estimated(params, found.best_value),
    }  # fmt: skip
