"""Messages that many people answered, answered by the systems: how alike are drafts beside people, and how many people do they match?

The messages are those that the match threshold was fitted on (split `calibration`): no system trains on them and no choice reads them.
Drafts are drawn at temperature 1, the policy's own, so that they depend on no choice either.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polychromic.base import paths
from polychromic.base.errors import UsageError
from polychromic.base.io import read_json, write_json
from polychromic.base.seeds import derive_seed
from polychromic.data.records import Record
from polychromic.models.load import tell_cut
from polychromic.params import HEADLINE, POLICY, Params
from polychromic.sample.prompts import prompts_of
from polychromic.score.diversity import semantic_diversity
from polychromic.score.models import Embedder
from polychromic.score.people import TARGETS, held_out, human_ratio, rates_by_message
from polychromic.score.score import sampled

KS = (1, 3, 5, 10)  # drafts a person sees; the last one stands in the table


def compare_people(params: Params, domain: str) -> None:
    """Write results/{domain}/calibration/compare.json from the drafts of the domain's `people` systems at the headline lambda: `summarise`.

    Raises UsageError: the domain has no person-match, or no `people`. PolychromicError: a system's drafts are missing.
    """
    calibration = read_json(paths.calibration_file(domain))
    if calibration is None:
        raise UsageError(f"domain {domain!r} has no person-match. Allowed: a domain whose checker is people.")
    records = prompts_of(params, domain, "calibration")
    cells = sampled(params, domain, "calibration", {record.id: record for record in records})
    drafts = {method: rows for method, lam, rows in cells if lam in (None, params.lam)}
    rows = [{"label": method, **row} for method in params.domain(domain).people for row in drafts[method]]
    write_json(paths.compare_file(domain, "calibration"), summarise(params, rows, records, calibration["threshold"]))


def summarise(params: Params, rows: Sequence[dict], records: Sequence[Record], threshold: float) -> dict:
    """openers.json from drafts with their label: means over seeds, then over messages, with bootstrap intervals over messages.

    ratio: R of the mean collision (cosine of two replies to one message) of drafts to that of people. contrasts: R_a - R_b, paired
    by message. human_recall, pass: shares of people matched, and of messages on which somebody is matched, by k drafts. The same
    of people's own replies is the ceiling, and of drafts (and of people's replies) put to the other messages the floor; all of
    them on the same messages, with as many held-out replies and the same k: `match_rates` of polychromic.score.people.
    above_floor: human_recall less its floor at the highest k, paired by message.
    """
    embed = Embedder(params)
    replies = [record.references for record in records]
    targets = [held_out(len(texts), _stream(params, "held out", record.id)) for texts, record in zip(replies, records, strict=True)]
    alike = np.array([1 - semantic_diversity(embed(texts)) for texts in replies])
    settings = {"n_boot": params.analysis.bootstrap, "confidence": params.analysis.confidence}
    ratio = lambda values, people=alike: human_ratio(values, people, _stream(params, "messages"), **settings)
    mean = lambda values: ratio(values, np.ones(len(values)))

    def curves(rates: np.ndarray) -> dict[str, list[dict]]:
        named = zip(("human_recall", "pass"), rates, strict=True)
        return {name: [{"k": k, **mean(values)} for k, values in zip(KS, by_k, strict=True)] for name, by_k in named}

    ceiling, floor = rates_by_message(replies, replies, targets, threshold, KS, own=True)
    systems, collisions = {}, {}
    for label in dict.fromkeys(row["label"] for row in rows):
        drafts: dict[int, dict[str, list[str]]] = {}
        for row in (row for row in rows if row["label"] == label):
            drafts.setdefault(row["seed"], {})[row["id"]] = row["samples"]
        by_seed = [[drafts[seed][record.id] for record in records] for seed in sorted(drafts)]
        collisions[label] = np.mean([[1 - semantic_diversity(embed(texts)) for texts in lists] for lists in by_seed], axis=0)
        own, elsewhere = np.mean([rates_by_message(lists, replies, targets, threshold, KS) for lists in by_seed], axis=0)
        systems[label] = {
            "seeds": sorted(drafts),
            "ratio": ratio(collisions[label]),
            **curves(own),
            "floor": curves(elsewhere),
            "above_floor": mean(own[0, -1] - elsewhere[0, -1]),
        }
    tell_cut("drafts beside people", embed.cut)
    pairs = [(HEADLINE, label) for label in systems if label != HEADLINE and HEADLINE in systems]
    return {
        "n_prompts": len(records),
        "temperature": POLICY,
        "drafts": KS[-1],
        "targets": TARGETS,
        "human_collision": float(alike.mean()),
        "people": curves(ceiling) | {"floor": curves(floor)},
        "systems": systems,
        "contrasts": [{"a": a, "b": b, **ratio(collisions[a] - collisions[b])} for a, b in pairs],
    }


def _stream(params: Params, *names: str) -> np.random.Generator:
    """Opened anew for each statistic, "messages" gives all of them the same resamples."""
    return np.random.default_rng(derive_seed(params.analysis.seed, "openers", *names))
