"""Stage `score`: every metric of a domain for each (cell, seed, temperature, prompt). One process per domain.

Generations are read, never made. Sentence vectors are cached by content, so scoring again costs no encoder call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from polychromic import paths
from polychromic.cells import load_split, sampled_splits
from polychromic.data.records import Record
from polychromic.domains import get_domain
from polychromic.domains.base import Domain, Embed
from polychromic.errors import PolychromicError
from polychromic.io import read_jsonl, sha256_json, write_json, write_jsonl
from polychromic.metrics.diversity import distinct_counts, distinct_n, self_bleu, semantic_diversity
from polychromic.metrics.passk import distinct_at_k, pass_at_k, valid_distinct_at_k
from polychromic.metrics.person import Calibration, calibrate
from polychromic.metrics.quality import chrf, rouge_l
from polychromic.models import weights
from polychromic.params import Params
from polychromic.progress import progress
from polychromic.training.objective import evaluate, make_objective
from polychromic.training.run import set_functions

SAMPLES = "samples.jsonl.gz"


def run(params: Params, domain_name: str, files: Sequence[Path]) -> None:
    """Write results/{domain}/scores.jsonl.gz and calibration.json (null where a checker decides what is valid).

    Args:
        files: samples of the cells to score; another cell that lies in the folder is left alone.
    """
    domain = get_domain(domain_name)
    splits = load_split(domain_name)
    records = {record.id: record for split in sampled_splits(params) for record in splits[split]}
    calibration = calibrate(splits["calibration"], params.split.seed) if domain.checker == "person" else None
    rows: list[dict] = []
    cells = scored_cells(params, files)
    embed = Embedder(params)
    with progress(f"score {domain_name}", len(cells)) as tick:
        for done, (method, lam, path) in enumerate(cells, start=1):
            rows += _score_cell(params, domain, records, calibration, method, lam, path, embed)
            tick(done)
    out = paths.RESULTS / domain_name
    write_jsonl(out / "scores.jsonl.gz", rows)
    write_json(out / "calibration.json", calibration.as_dict() if calibration else None)


def declared_samples(domain: str) -> list[Path]:
    """The samples that stage score@{domain} of dvc.yaml depends on: the one list of cells that a table is made of."""
    from dvc.repo import Repo

    with Repo(".") as repo:
        deps = [Path(dep.def_path) for dep in repo.stage.load_one(name=f"score@{domain}").deps]
    return [path for path in deps if path.name == SAMPLES]


def scored_cells(params: Params, files: Sequence[Path]) -> list[tuple[str, float | None, Path]]:
    """(method, lambda of the grid or None, samples file) of each cell, once, in a fixed order.

    Raises:
        PolychromicError: a cell was not sampled, its folder names no method, or a baseline is missing.
    """
    cells = []
    for path in sorted(set(files)):
        name, dash, weight = path.parent.name.partition("-")
        try:
            lam = float(weight) if dash else None
        except ValueError:
            name = ""
        if name not in params.methods or (params.methods[name].lam == "lambda") != bool(dash):
            allowed = ", ".join(params.methods)
            raise PolychromicError(f"{path}: its folder names no method of params.yaml. Allowed: {allowed}, with -LAMBDA for a grid.")
        if not path.exists():
            raise PolychromicError(f"{path}: the cell was not sampled. Run `dvc repro`, which makes it.")
        cells.append((name, lam, path))
    if missing := sorted({"zero_shot", "few_shot", "lora", "polychromic"} - {name for name, _, _ in cells}):
        raise PolychromicError(
            f"no samples of {', '.join(missing)} among the cells to score; the four baselines are always there. See dvc.yaml."
        )
    return cells


class Embedder:
    """Sentence vectors of texts; loads the encoder only for texts that the cache does not hold."""

    def __init__(self, params: Params):
        self.source = params.encoder
        self.identity = weights.fingerprint(params.encoder)
        self.threads = params.threads
        self._encoder = None

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """n texts -> (n, d) float32, unit length."""
        unique = sorted(set(texts))
        path = paths.cache_dir() / "vectors" / f"{sha256_json([self.identity, unique])}.npy"
        if path.exists():
            vectors = np.load(path)
        else:
            vectors = self._encode(unique)
            from polychromic.io import atomic_open

            with atomic_open(path) as file:
                np.save(file, vectors)
        place = {text: i for i, text in enumerate(unique)}
        return vectors[[place[text] for text in texts]]

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        from polychromic.models.load import embed, load_encoder

        if self._encoder is None:
            import torch

            torch.set_num_threads(self.threads)
            self._encoder = load_encoder(weights.obtain(self.source))
        return embed(self._encoder, texts)


def _score_cell(
    params: Params,
    domain: Domain,
    records: dict[str, Record],
    calibration: Calibration | None,
    method: str,
    lam: float | None,
    path: Path,
    embed: Embedder,
) -> list[dict]:
    rows = [row for _, row in read_jsonl(path)]
    strange = {row["id"] for row in rows} ^ set(records)
    if strange:
        raise PolychromicError(
            f"{path}: its prompts are not those of the split ({len(strange)} differ, such as {min(strange)!r}). Run `dvc repro`."
        )
    texts = [text for row in rows for text in row["samples"]]
    humans = [text for record in records.values() for text in (record.prompt, *record.references)]
    unique = list(dict.fromkeys(texts + humans))
    vectors = dict(zip(unique, embed(unique), strict=True))
    lookup: Embed = lambda wanted: np.stack([vectors[text] for text in wanted])
    scored = []
    for row in rows:
        record = records[row["id"]]
        metrics = score_blocks(params.domain(domain.name).metrics, domain, record, row, calibration, lookup)
        block = row.get("block", len(row["samples"]))
        metrics["objective"] = round(set_objective(params, domain, record, row["samples"], lookup, block), 12)
        which = {key: row[key] for key in ("seed", "temperature", "split", "id")}
        scored.append({"method": method, "lambda": lam, **which, "metrics": metrics})
    return scored


def set_objective(params: Params, domain: Domain, record: Record, samples: Sequence[str], embed: Embed, block: int) -> float:
    """D of the headline method's objective for one prompt: the mean of f over disjoint sets of N samples, in [0, 1]."""
    method, n = params.methods["polychromic"], params.objective.n
    similarity = domain.similarity if method.similarity == "domain" else method.similarity
    objective = make_objective(method.objective, n, method.subset)
    quality, pairs = set_functions(domain, [record], similarity, embed)
    # Sets within blocks: replies of one list are a set that a person sees together.
    starts = [first for begin in range(0, len(samples), block) for first in range(begin, min(begin + block, len(samples)) - n + 1, n)]
    sets = [samples[i : i + n] for i in starts]
    q, s = (np.stack([np.asarray(function({"record": 0}, replies)) for replies in sets]) for function in (quality, pairs))
    return float(evaluate(objective, q, s).mean())


def score_blocks(
    names: Sequence[str], domain: Domain, record: Record, row: dict, calibration: Calibration | None, embed: Embed
) -> dict[str, float]:
    """Metrics of one prompt; the mean over blocks where replies come in lists, since a person gets a list as a whole.

    A model that is asked for a list may say nothing at all: such a list has no n-gram, and its distinct-n is 0, the lowest.
    """
    if "block" not in row:
        return score_prompt(names, domain, record, row["samples"], row["tokens"], calibration, embed)
    parts = []
    for first in range(0, len(row["samples"]), row["block"]):
        part = slice(first, first + row["block"])
        listed = row["samples"][part]
        silent = {f"distinct_{n}": 0.0 for n in (1, 2) if distinct_counts(listed, n)[1] == 0}
        spoken = [name for name in names if name not in silent]
        parts.append(silent | score_prompt(spoken, domain, record, listed, row["tokens"][part], calibration, embed))
    return {name: round(float(np.mean([part[name] for part in parts])), 12) for name in names}


def score_prompt(
    names: Sequence[str],
    domain: Domain,
    record: Record,
    samples: Sequence[str],
    tokens: Sequence[int],
    calibration: Calibration | None,
    embed: Embed,
) -> dict[str, float]:
    """The metrics `names` of one prompt's samples. Raises PolychromicError for a metric that cannot be computed."""
    if calibration is None:
        answers = [domain.answer(record, reply) for reply in samples]
    else:
        answers = [
            domain.key(record, reply) if _chrf(reply, tuple(record.references)) > calibration.threshold else None for reply in samples
        ]
    n, correct = len(samples), sum(answer is not None for answer in answers)
    compute: dict[str, Callable[[], float]] = {
        **{f"pass@{k}": lambda k=k: pass_at_k(n, correct, k) for k in (1, 3, 5, 10)},
        "valid_distinct@10": lambda: valid_distinct_at_k(answers, 10),
        "distinct@10": lambda: distinct_at_k([domain.key(record, reply) for reply in samples], 10),
        "semantic_diversity": lambda: semantic_diversity(embed(samples)),
        "self_bleu": lambda: self_bleu(samples),
        "distinct_1": lambda: distinct_n(samples, 1),
        "distinct_2": lambda: distinct_n(samples, 2),
        "rouge_l": lambda: float(np.mean([_rouge(reply, tuple(record.references)) for reply in samples])),
        "quality": lambda: float(domain.training_quality(record, samples, embed).mean()),
        "tokens": lambda: float(np.mean(tokens)),
    }
    return {name: round(float(compute[name]()), 12) for name in names}


@lru_cache(maxsize=200_000)
def _rouge(reply: str, references: tuple[str, ...]) -> float:
    return rouge_l(reply, references)


@lru_cache(maxsize=200_000)
def _chrf(reply: str, references: tuple[str, ...]) -> float:
    return chrf(reply, references)
