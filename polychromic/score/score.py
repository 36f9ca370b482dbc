"""Stage `score`: every metric of a domain for each (cell, seed, temperature, prompt). One process per domain.

Generations are read, never made. What needs a model is cached by content (polychromic.score.models), so scoring again calls none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from polychromic import __version__
from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, read_jsonl, together, write_json, write_jsonl
from polychromic.base.progress import progress
from polychromic.data.domains import Domain, Readers, get_domain
from polychromic.data.records import Record, load_split
from polychromic.method.objective import evaluate, make_objective
from polychromic.method.sets import set_functions
from polychromic.models.load import tell_cut
from polychromic.params import Params
from polychromic.sample.prompts import prompts_of
from polychromic.score.diversity import distinct_counts
from polychromic.score.metrics import Prompt, compute, metric, signature
from polychromic.score.models import Embedder, Likelihoods, Pieces, bertscores
from polychromic.score.people import Calibration, calibrate, checker_signature
from polychromic.score.quality import chrf
from polychromic.score.text import said

Scored = tuple[str, float | None, Sequence[dict]]  # method, lambda of the grid or None, rows of samples


@dataclass(frozen=True)
class Known:
    """What scoring reads beside a row: people's threshold, and what models say about replies."""

    calibration: Calibration | None  # where people decide what is valid
    readers: Recorded  # what the domain may ask
    first: int  # replies of a prompt, or of a list, whose likelihood metrics read
    models: Mapping[str, Callable[[str, Sequence[str]], Any]] = field(default_factory=dict)  # field of Prompt -> of (prompt id, replies)


def score(params: Params, domain_name: str, split: str) -> None:
    """Score the cells that a split has (`Params.cells`); another one that lies in the folder is left alone.

    Writes scores.jsonl.gz into results/{domain}/{split}; beside it on dev signatures.json and calibration.json (null where a checker
    decides what is valid), on test machines.json (machine -> the systems that were sampled on it).

    Raises PolychromicError: a cell was not sampled, or on other prompts; test, and its declaration is not what was sealed.
    """
    records = {record.id: record for record in prompts_of(params, domain_name, split)}
    domain, calibration = given(params, domain_name)
    cells, on = sampled(params, domain_name, split, records), params.on(domain_name, split)
    asked = ask_models(on, domain, records, [row for _, _, rows in cells for row in rows])
    known, scores = Known(calibration, Recorded(on, domain), on.scoring.likelihood_samples, asked), []
    with progress(f"score {domain.name}", len(cells)) as tick:
        for done, cell in enumerate(cells, start=1):
            scores += score_cell(on, domain, records, cell, known)
            tick(done)
    tell_cut(f"score {domain.name}", known.readers.cut)
    with together():
        write_jsonl(paths.scores_file(domain_name, split), scores)
        if split == "dev":
            write_json(paths.calibration_file(domain_name), asdict(calibration) if calibration else None)
            write_json(paths.signatures_file(domain_name), signatures(params, domain, calibration))
        if split == "test":
            used = {method: {row["machine"] for row in rows} for method, _, rows in cells}
            machines = {machine: [method for method in used if machine in used[method]] for machine in set().union(*used.values())}
            write_json(paths.machines_file(domain_name), machines)


class Recorded:
    """Readers (polychromic.data.domains) of replies that are all known: models are asked once, for what the cache lacks."""

    def __init__(self, params: Params, domain: Domain):
        norms, self._domain = read_json(paths.norms_file(domain.name)), domain
        self.norms = norms["training"] | norms["held_out"]
        self._embedder, self._vectors = Embedder(params), {}
        self.cut = self._embedder.cut
        self._likelihoods, self._likely, self._fluent = Likelihoods(params, domain.name), {}, {}
        self._count = params.scoring.likelihood_samples if "log_likelihood" in _needs(params.domain(domain.name).metrics) else 0

    def prepare(self, records: Mapping[str, Record], rows: Sequence[dict]) -> None:
        """Asks for what follows of one cell's rows: vectors at once, likelihoods by seed and temperature, so that a kill loses little."""
        humans = [text for record in records.values() for text in (record.prompt, *record.references)]
        judged = [self._domain.judged(records[row["id"]], text) for row in rows for text in row["samples"]]
        unique = list(dict.fromkeys([text for row in rows for text in row["samples"]] + judged + humans))
        self._fluent = {}
        self._vectors, self._likely = dict(zip(unique, self._embedder(unique), strict=True)), {}
        for seed, temperature in dict.fromkeys((row["seed"], row["temperature"]) for row in rows):
            of = [row for row in rows if (row["seed"], row["temperature"]) == (seed, temperature)]
            said = [list(dict.fromkeys(text for block in _blocks(row) for text in block["samples"][: self._count])) for row in of]
            asked = [(records[row["id"]].prompt, texts) for row, texts in zip(of, said, strict=True) if texts]
            where = f"seed {seed}, temperature {temperature}"
            if asked:
                names = [row["id"] for row, texts in zip(of, said, strict=True) if texts]
                for name, (_, texts), found in zip(names, asked, self._likelihoods(asked, f"likelihood, {where}"), strict=True):
                    self._likely |= {(name, text): pair for text, pair in zip(texts, found, strict=True)}
            if texts := [text for row in of for text in row["samples"] if self._domain.asks_fluency(records[row["id"]], text)]:
                self._fluent |= dict(zip(texts, self._likelihoods.fluency(texts, f"fluency, {where}"), strict=True))

    def sums(self, name: str, replies: Sequence[str]) -> np.ndarray:
        """(n, 2): log-probability of replies to the prompt of that id, and tokens."""
        return np.array([self._likely[name, reply] for reply in replies])

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack([self._vectors[text] for text in texts])

    def fluency(self, replies: Sequence[str]) -> np.ndarray:
        return np.array([self._fluent[reply] for reply in replies])


def given(params: Params, domain_name: str) -> tuple[Domain, Calibration | None]:
    """The domain, and its calibration where people decide what is valid."""
    domain = get_domain(domain_name)
    return domain, calibrate(load_split(domain_name)["calibration"], params.split.seed) if domain.checker == "person" else None


def sampled(params: Params, domain: str, split: str, records: Mapping[str, Record]) -> list[Scored]:
    """The samples of the split's cells, on dev in the order of their names; a reply that shows nothing is "".

    Raises PolychromicError: a cell was not sampled, or its prompts are not those of `records`.
    """
    cells, found = params.cells(domain, split), []
    for cell in sorted(cells, key=lambda cell: cell.name) if split == "dev" else cells:
        path = paths.cell_dir(domain, split, cell.name) / paths.SAMPLES
        if not path.exists():
            raise PolychromicError(f"{path}: the cell was not sampled. Run `dvc repro`, which makes it.")
        rows = [row | {"samples": [said(reply) for reply in row["samples"]]} for _, row in read_jsonl(path)]
        if strange := {row["id"] for row in rows} ^ set(records):
            raise PolychromicError(
                f"{path}: its prompts are not those of the split ({len(strange)} differ, such as {min(strange)!r}). Run `dvc repro`."
            )
        found.append((cell.method, cell.lam, rows))
    return found


def signatures(params: Params, domain: Domain, calibration: Calibration | None) -> dict[str, str]:
    """Metric -> what another needs to repeat it: definition, tokenizer, encoder, checker, model, samples, versions."""
    checker = f"{domain.name}|valid answers of the data" if calibration is None else checker_signature(calibration.threshold)
    model = f"{params.model}|precision:{params.sampling.precision}|first:{params.scoring.likelihood_samples}"
    known = {"encoder": str(params.encoder), "checker": checker, "model": model, "samples": params.sampling.n}
    return {name: f"{signature(name, **known)}|polychromic:{__version__}" for name in params.domain(domain.name).metrics}


def ask_models(params: Params, domain: Domain, records: Mapping[str, Record], rows: Sequence[dict]) -> dict[str, Callable]:
    """Known.models, as far as the domain's metrics read them. BERTScores are asked here, for all cells at once: of the
    first few replies of a prompt, or of a list."""
    needs, count = _needs(params.domain(domain.name).metrics), params.scoring.likelihood_samples
    replies: dict[str, set[str]] = {}
    for row in rows:
        for block in _blocks(row):
            replies.setdefault(row["id"], set()).update(block["samples"][:count])
    looked_up = lambda table: lambda name, samples: np.array([table[name, text] for text in samples[:count]])
    found: dict[str, Callable] = {}
    if "pieces" in needs:
        pieces = Pieces(params)
        found |= {"pieces": lambda name, samples: pieces(samples), "vocabulary": lambda name, samples: pieces.vocabulary}
    if "bertscore" in needs:
        found["bertscore"] = looked_up(bertscores(params, {i: (texts, records[i].references) for i, texts in replies.items()}))
    return found


def score_cell(params: Params, domain: Domain, records: Mapping[str, Record], cell: Scored, known: Known) -> list[dict]:
    """The rows of scores.jsonl.gz of one cell (method, lambda of the grid or None, rows of samples)."""
    method, lam, rows = cell
    known.readers.prepare(records, rows)
    scored = []
    for row in rows:
        record = records[row["id"]]
        metrics = score_blocks(params.domain(domain.name).metrics, domain, record, row, known)
        metrics["objective"] = round(set_objective(params, domain, record, row, known.readers), 12)
        which = {key: row[key] for key in ("seed", "temperature", "split", "id")}
        scored.append({"method": method, "lambda": lam, **which, "metrics": metrics})
    return scored


def score_blocks(names: Sequence[str], domain: Domain, record: Record, row: dict, known: Known) -> dict[str, float]:
    """Metrics of one prompt's row; the mean over blocks where replies come in lists, since a person gets a list as a whole.

    A list that says nothing has no n-gram, and a ratio of n-grams does not exist for it (0/0): its mean is over the lists that have one.
    All other metrics count every list, so silence costs what it should in pass@k and in distinct valid answers.

    Raises PolychromicError: a metric exists for none of the lists, or cannot be computed.
    """
    if "block" not in row:
        return score_prompt(names, domain, record, row, known)
    found: dict[str, list[float]] = {name: [] for name in names}
    for listed in _blocks(row):
        spoken = [name for name in names if not (n := _order(name)) or distinct_counts(listed["samples"], n)[1] > 0]
        for name, value in score_prompt(spoken, domain, record, listed, known).items():
            found[name].append(value)
    if missing := [name for name in names if not found[name]]:
        raise PolychromicError(
            f"{missing[0]}: none of the lists of replies to {record.id!r} has a {_order(missing[0])}-gram. "
            "Allowed: one list with that many tokens. Check the sampler's output, or leave the metric out."
        )
    return {name: round(float(np.mean(values)), 12) for name, values in found.items()}


def score_prompt(names: Sequence[str], domain: Domain, record: Record, row: dict, known: Known) -> dict[str, float]:
    """The metrics `names` of a row's "samples" and "tokens". Raises PolychromicError for a metric that cannot be computed."""
    needs, samples, matches, whole = _needs(names), row["samples"], None, _whole(domain, row)
    distinct = dict.fromkeys(samples)  # a system repeats itself, and reading a reply is what takes the time
    form = {reply: domain.key(record, reply) for reply in distinct}
    if known.calibration is None:
        valid = dict(zip(distinct, domain.answers(record, list(distinct), known.readers), strict=True))
    else:
        matches = np.array([_matched(reply, tuple(record.references), known.calibration.threshold) for reply in samples])
        valid = {reply: form[reply] if some else None for reply, some in zip(samples, matches.any(axis=1), strict=True)}
    prompt = Prompt(
        samples=samples,
        answers=[valid[reply] for reply in samples],
        keys=[form[reply] for reply in samples],
        references=record.references,
        vectors=known.readers.embed(samples) if "vectors" in needs else None,
        quality=domain.training_quality(record, samples, known.readers) * whole if "quality" in needs else None,
        similarity=domain.alike(record, samples, known.readers) if "similarity" in needs else None,
        held_out_quality=domain.held_out_quality(record, samples, known.readers) * whole if "held_out_quality" in needs else None,
        held_out_similarity=domain.held_out_similarity(record, samples, known.readers) if "held_out_similarity" in needs else None,
        tokens=row["tokens"],
        matches=matches,
        log_likelihood=known.readers.sums(record.id, samples[: known.first]) if "log_likelihood" in needs else None,
        **{field: answer(record.id, samples) for field, answer in known.models.items() if field in needs},
    )
    return {name: round(compute(name, prompt), 12) for name in names}


def _whole(domain: Domain, row: dict) -> np.ndarray:
    """(n,) 0 for a reply that was cut at the horizon, where the domain takes it for none; else 1."""
    counts = domain.unfinished or "finished" not in row
    return np.ones(len(row["samples"])) if counts else np.array(row["finished"], dtype=float)


def _needs(names: Sequence[str]) -> set[str]:
    return {need for name in names for need in metric(name).needs}


def _blocks(row: dict) -> list[dict]:
    """The row's replies as lists that belong together; all of them where they were drawn one by one."""
    size = row.get("block", len(row["samples"]))
    keys = [key for key in ("samples", "tokens", "finished") if key in row]
    return [{key: row[key][i : i + size] for key in keys} for i in range(0, len(row["samples"]), size)]


def _order(name: str) -> int:
    """n of distinct-n, 1 of the other metrics that count distinct tokens, 0 of the rest."""
    declared = metric(name)
    return {"distinct_n": int(declared.at or 0), "ead": 1, "vocabulary": 1}.get(declared.family, 0)


def set_objective(params: Params, domain: Domain, record: Record, row: dict, readers: Readers) -> float:
    """D of the headline method's objective for one prompt: the mean of f over disjoint sets of N samples, in [0, 1].

    Sets lie within blocks: replies of one list are a set that a person sees together.
    """
    method, n = params.methods["polychromic"], params.objective.n
    quality, pairs = set_functions(domain, [record], method.similarity, readers)
    blocks = [(block["samples"], _whole(domain, block)) for block in _blocks(row)]
    sets = [(replies[i : i + n], whole[i : i + n]) for replies, whole in blocks for i in range(0, len(replies) - n + 1, n)]
    q, s = (np.stack([np.asarray(function({"record": 0}, replies)) for replies, _ in sets]) for function in (quality, pairs))
    q = q * np.stack([whole for _, whole in sets])
    return float(evaluate(make_objective(method.objective, n, method.subset), q, s).mean())


@lru_cache(maxsize=200_000)
def _matched(reply: str, references: tuple[str, ...], threshold: float) -> tuple[bool, ...]:
    """Per held-out human reply, whether the draft matches it: chrF above the threshold."""
    return tuple(chrf(reply, [reference]) > threshold for reference in references)
