"""Stages `openers` and `beside`: messages that many people answered, answered by the systems: how alike are drafts beside people?

The messages are those that the match threshold was fitted on (split `calibration`): no system trains on them and no choice
reads them. A cell's drafts are drawn at temperature 1, the policy's own, so that they depend on no choice either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from polychromic import paths
from polychromic.cells import Workbench, cell_name, load_split
from polychromic.data.records import Record
from polychromic.errors import PolychromicError, UsageError
from polychromic.io import read_json, read_jsonl, sha256_json, write_json, write_jsonl
from polychromic.metrics.diversity import semantic_diversity
from polychromic.metrics.passk import human_recall_at_k, pass_at_k
from polychromic.metrics.person import human_ratio
from polychromic.metrics.quality import chrf_matrix
from polychromic.params import Params
from polychromic.probes import Embedder
from polychromic.sampling import sample_prompts
from polychromic.seeds import derive_seed
from polychromic.systems import POLICY
from polychromic.training.run import code_fingerprint

DRAFTS = 10  # drafts a person sees
SYSTEMS = ("zero_shot", "few_shot", "lora", "rft", "polychromic")
CODE = ("seeds.py", "prompts.py", "sampling.py", "training/batches.py", "training/rollout.py", "models/load.py")


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
    for seed in params.seeds_of(method):
        rows += [{"seed": seed, "id": record.id, **row} for record, row in zip(records, _drafts(bench, records, seed), strict=True)]
    write_jsonl(out, rows)


def _drafts(bench: Workbench, records: Sequence[Record], seed: int) -> list[dict]:
    """The replies of one seed, from the cache where they were drawn before."""
    params = bench.params
    model, tokenizer, _, identity = bench.system(seed)
    encoded = bench.encoded_prompts(tokenizer, records)
    settings = {"n": params.sampling.n, "rows": params.sampling.rows, "max_new_tokens": bench.settings.max_new_tokens}
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
    """openers.json from drafts with their label: means over seeds, then over messages.

    ratio: R of the mean collision (cosine of two replies to one message) of drafts to that of people, with its interval over
    messages. human_recall: share of a message's human replies that some of ten drafts match. pass: how often some of ten drafts
    matches any of them.
    """
    embed = Embedder(params)
    people = np.array([1 - semantic_diversity(embed(record.references)) for record in records])
    place = {record.id: i for i, record in enumerate(records)}
    systems = {}
    for label in dict.fromkeys(row["label"] for row in rows):
        seeds = sorted({row["seed"] for row in rows if row["label"] == label})
        collision, recall, passed = (np.full((len(seeds), len(records)), np.nan) for _ in range(3))
        for row in (row for row in rows if row["label"] == label):
            at = seeds.index(row["seed"]), place[row["id"]]
            matches = chrf_matrix(row["samples"], records[at[1]].references) > threshold
            collision[at] = 1 - semantic_diversity(embed(row["samples"]))
            recall[at] = human_recall_at_k(matches, DRAFTS)
            passed[at] = pass_at_k(len(matches), int(matches.any(axis=1).sum()), DRAFTS)
        generator = np.random.default_rng(derive_seed(params.analysis.seed, "openers", label))
        ratio = human_ratio(collision.mean(axis=0), people, generator, params.analysis.bootstrap, params.analysis.confidence)
        systems[label] = {
            "seeds": seeds,
            "ratio": asdict(ratio),
            "human_recall": float(recall.mean()),
            "pass": float(passed.mean()),
        }
    return {"n_prompts": len(records), "temperature": POLICY, "drafts": DRAFTS, "human_collision": float(people.mean()), "systems": systems}
