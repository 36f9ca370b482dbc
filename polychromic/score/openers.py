"""Stages `openers` and `beside`: messages that many people answered, answered by the systems: how alike are drafts beside people?

The messages are those that the match threshold was fitted on (split `calibration`): no system trains on them and no choice
reads them. A cell's drafts are drawn at temperature 1, the policy's own, so that they depend on no choice either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from polychromic.base import paths
from polychromic.base.cache import code_fingerprint
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import read_json, read_jsonl, sha256_json, write_json, write_jsonl
from polychromic.base.seeds import derive_seed
from polychromic.compare.systems import POLICY
from polychromic.data.records import Record
from polychromic.models.load import rows_at_once
from polychromic.params import Params
from polychromic.sample.cells import Workbench, cell_name, load_split
from polychromic.sample.draw import sample_prompts
from polychromic.score.diversity import semantic_diversity
from polychromic.score.people import TARGETS, held_out, human_ratio, mean_over_messages, rates_by_message
from polychromic.score.probes import Embedder

KS = (1, 3, 5, 10)  # drafts a person sees; the last one stands in the table
HEADLINE = "polychromic"  # the system whose R is compared with that of each other one
SYSTEMS = ("zero_shot", "few_shot", "lora", "rft", "polychromic")
CODE = ("base/seeds.py", "models", "sample/draw.py")


def run(params: Params, domain: str, method: str, lam: float | None, out: Path) -> None:
    """Draw params.sampling.n replies of each seed to each message, and write them to `out`.

    Raises:
        UsageError: the domain has no messages that many people answered.
    """
    bench = Workbench(params, domain, method, lam)
    records = bench.splits["calibration"]
    if not records:
        raise UsageError(f"domain {domain!r} has no messages that many people answered. Allowed: a domain with records of stratum opener.")
    rows = []
    for seed in params.seeds_of(method, lam):
        rows += [{"seed": seed, "id": record.id, **row} for record, row in zip(records, _drafts(bench, records, seed), strict=True)]
    write_jsonl(out, rows)


def _drafts(bench: Workbench, records: Sequence[Record], seed: int) -> list[dict]:
    """The replies of one seed, from the cache where they were drawn before."""
    params = bench.params
    model, tokenizer, _, identity = bench.system(seed)
    encoded = bench.encoded_prompts(tokenizer, records)
    settings = {"n": params.sampling.n, "rows": rows_at_once(params.sampling.rows), "max_new_tokens": bench.settings.max_new_tokens}
    settings |= {"temperature": POLICY, "min_p": bench.method.min_p, "seed": seed}
    key = sha256_json([identity, encoded, settings, bench.method.scale, params.sampling.precision, params.threads, code_fingerprint(CODE)])
    path = paths.cache_dir() / "samples" / f"{key}.jsonl.gz"
    if not path.exists():
        write_jsonl(path, sample_prompts(model, tokenizer, encoded, what=f"openers, seed {seed}", **settings))
    return [row for _, row in read_jsonl(path)]


def beside(params: Params, domain: str) -> None:
    """Write results/{domain}/openers.json from the drafts of SYSTEMS: see `summarise`.

    Raises:
        UsageError: the domain has no person-match.
        PolychromicError: a system's drafts are missing.
    """
    calibration = read_json(paths.RESULTS / domain / "calibration.json")
    if calibration is None:
        raise UsageError(f"domain {domain!r} has no person-match. Allowed: a domain whose checker is people.")
    rows = []
    for method in SYSTEMS:
        path = (
            paths.cell_dir(domain, cell_name(method, params.lam if params.methods[method].lam == "lambda" else None)) / "openers.jsonl.gz"
        )
        if not path.exists():
            raise PolychromicError(f"{path}: the messages were not answered. Run `dvc repro`, which makes it.")
        rows += [{"label": method, **row} for _, row in read_jsonl(path)]
    records = load_split(domain)["calibration"]
    write_json(paths.RESULTS / domain / "openers.json", summarise(params, rows, records, calibration["threshold"]))


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
    ratio: Callable = lambda values: asdict(human_ratio(values, alike, _stream(params, "messages"), **settings))
    mean: Callable = lambda values: asdict(mean_over_messages(values, _stream(params, "messages"), **settings))

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
