"""Metrics of files of replies: their values per prompt, means with intervals, paired contrasts with verdicts.

Values come from polychromic.score.metrics, statistics from polychromic.compare.stats; nothing is sampled and nothing is written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, product
from typing import NamedTuple

import numpy as np

from polychromic import __version__
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.progress import progress
from polychromic.score.metrics import Prompt, compute, lacking, metric
from polychromic.score.metrics import signature as definition
from polychromic.score.text import answer_key, answer_key_signature, said, shows
from polychromic.yours.evaluate.inputs import Row, System, other_prompts

ALPHA = 0.05
PERMUTATIONS = 10_000  # at least; 100 for each test, so that the adjusted p can fall below ALPHA
DEFAULT_KS = (1, 3, 5, 10)
# In printed order; k stands for each of the ks. Those that the input lacks something for are left out.
DEFAULT_METRICS = (
    "pass@k", "valid_distinct@k", "distinct@k", "semantic_diversity", "self_bleu", "distinct_1", "distinct_2", "vendi", "vocabulary",
    "compression_ratio", "rouge_l", "chrf", "words",
)  # fmt: skip
LACKS = {  # what a metric reads -> what the input lacks, in the user's words
    "answers": "no column `valid` in {}, or only empty ones", "references": "no column `references` in {}, or only empty ones",
    "vectors": "no sentence vectors, because of --no-encoder",
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What is to be computed.

    Attributes:
        metrics: by name, and an error where one does not exist; None takes what DEFAULT_METRICS and the input allow.
        ks: of DEFAULT_METRICS; None takes those of DEFAULT_KS that the samples reach.
        encoder: whether metrics may read sentence vectors. seed, n_boot: of the bootstrap, and its resamples.
    """

    metrics: Sequence[str] | None = None
    ks: Sequence[int] | None = None
    encoder: bool = True
    seed: int = 0
    n_boot: int = 10_000


class Scores(NamedTuple):
    """values: system -> metric -> (seeds, prompts), of the same metrics for all systems; counts: metric -> system -> samples it reads;
    signatures: metric -> definition, tokenizer, encoder, answer key, samples, version: what another needs to repeat it."""

    values: dict[str, dict[str, np.ndarray]]
    counts: dict[str, dict[str, int]]
    signatures: dict[str, str]
    notes: list[str]


def evaluate(systems: Sequence[System], asked: Asked) -> dict:
    """The document of `polychromic evaluate`: per system and metric the mean over seeds and prompts with a 95 % interval over prompts.

    Raises as `score`.
    """
    from polychromic.compare import stats  # scipy and statsmodels: a bad line must not wait for them

    scores = score(systems, {system.name: list(system.prompts) for system in systems}, asked)
    found = []
    for system in systems:
        arrays, means = scores.values[system.name], {}
        intervals = stats.mean_cis(arrays, np.random.default_rng(asked.seed), asked.n_boot) if len(system.prompts) > 1 else {}
        for name, array in arrays.items():
            low, high = (intervals[name].low, intervals[name].high) if intervals else (None, None)
            means[name] = {"mean": float(array.mean()), "low": low, "high": high, "n_samples": scores.counts[name][system.name]}
        found.append(_about(system, len(system.prompts)) | {"label": system.label, "temperature": system.temperature, "metrics": means})
    apart = [f"{differ}: do not compare their means" for system in systems[1:] if (differ := other_prompts(systems[0], system))]
    return {"systems": found, "signatures": scores.signatures, "notes": [*apart, *scores.notes]}


def compare(systems: Sequence[System], asked: Asked) -> dict:
    """The document of `polychromic compare-files`: paired contrasts a - b of all pairs of systems and metrics, and a verdict for each.

    A verdict needs two things: the interval excludes 0, and the permutation p, adjusted by Holm over all contrasts of the
    document, is below ALPHA. An interval alone would call one metric in twenty different between equal systems.

    Raises UsageError: one system; PolychromicError: the systems answer different prompts; and as `score`.
    """
    if len(systems) < 2:
        raise UsageError(f"compare-files has one system, {systems[0].name!r}. Allowed: two or more in files or folders. Add a file.")
    if differ := next(filter(None, (other_prompts(systems[0], system) for system in systems[1:])), None):
        raise PolychromicError(f"{differ}. Allowed: the same prompts under the same ids. Correct the ids, or take the others out.")
    from polychromic.compare import stats

    ids = list(systems[0].prompts)
    scores = score(systems, {system.name: ids for system in systems}, asked)
    names, pairs = list(scores.signatures), list(combinations([system.name for system in systems], 2))
    tests, rows = len(names) * len(pairs), []
    draws = max(PERMUTATIONS, 100 * tests)
    for (a, b), name in product(pairs, names):
        ours, theirs, rng = scores.values[a][name], scores.values[b][name], np.random.default_rng(asked.seed)
        rows.append({
            "a": a, "b": b, "metric": name, **asdict(stats.paired_contrast(ours, theirs, rng, asked.n_boot, draws)),
            "n_samples_a": scores.counts[name][a], "n_samples_b": scores.counts[name][b],
            "differences": (ours.mean(axis=0) - theirs.mean(axis=0)).tolist(),
        })  # fmt: skip
    for row, adjusted in zip(rows, stats.holm([row["p_permutation"] for row in rows]), strict=True):
        row |= {"p_holm": float(adjusted)} | verdict(row["metric"], row["a"], row["b"], row["low"], row["high"], float(adjusted))
    how = {"tests": tests, "over": f"{len(names)} metrics x {len(pairs)} pairs", "alpha": ALPHA}
    return {
        "contrasts": rows,
        "prompts": ids,
        "systems": [_about(system, len(ids)) for system in systems],
        "adjustment": how | {"method": "Holm", "test": "two-sided sign-flip permutation, paired by prompt"},
        "signatures": scores.signatures,
        "notes": scores.notes,
    }


def verdict(name: str, a: str, b: str, low: float, high: float, p_holm: float) -> dict:
    """{"distinguishable", "higher", "better"}: which system is higher, and better where the metric has a direction; else None."""
    if not (low > 0 or high < 0) or p_holm >= ALPHA:
        return {"distinguishable": False, "higher": None, "better": None}
    higher, info = (a if low > 0 else b), metric(name)
    better = None if info.direction == "none" else a if info.better(low + high) else b
    return {"distinguishable": True, "higher": higher, "better": better}


def _about(system: System, prompts: int) -> dict:
    return {"system": system.name, "n_prompts": prompts, "n_samples": system.n, "n_empty": system.empty, "seeds": system.seeds}


def score(systems: Sequence[System], ids: Mapping[str, Sequence[str]], asked: Asked) -> Scores:
    """Every metric on every prompt (`ids`: system -> its prompts). One that does not exist for some line is left out of all, with a note.

    Raises UsageError: an unknown metric; PolychromicError: k is larger than the number of samples; a metric that was asked for does not
    exist for a line, which is named; or no metric is left.
    """
    names, notes = _wanted(systems, asked), []
    least = min(system.n for system in systems)
    counts = {name: {system.name: least if metric(name).of_number else system.n for system in systems} for name in names}
    vectors, encoder, cut = _vectors(systems, names) if asked.encoder else ({}, "", "")
    values: dict[str, dict[str, np.ndarray]] = {}
    lost: dict[str, str] = {}  # metric -> why
    for system in systems:
        own = ids[system.name]
        found = values[system.name] = {name: np.empty((len(system.seeds), len(own))) for name in names}
        with progress(f"metrics of {system.name}", len(own)) as tick:
            for column, (place, seed) in product(range(len(own)), enumerate(system.seeds)):
                row = system.rows[seed, own[column]]
                prompts = {n: _prompt(row, n, vectors) for n in {least, system.n}}
                for name in [name for name in names if name not in lost]:
                    prompt = prompts[counts[name][system.name]]
                    try:
                        found[name][place, column] = compute(name, prompt)
                    except PolychromicError as error:
                        lost[name] = _why(name, row, prompt, error)
                tick(column + 1)
    gone = {why: ", ".join(name for name in lost if lost[name] == why) for why in lost.values()}
    if gone and (asked.metrics is not None or len(lost) == len(names)):
        why, first = next(iter(gone.items()))
        allowed = "input for which the metric exists. Add what it lacks, take the line out, or ask for other --metrics"
        raise PolychromicError(f"{first} cannot be computed: {why}. Allowed: {allowed}.")
    names = [name for name in names if name not in lost]
    if any(system.n > least for system in systems) and (cut := [name for name in names if metric(name).of_number]):
        said = ", ".join(f"{system.name} has {system.n}" for system in systems)
        notes.append(f"samples per prompt differ ({said}): {', '.join(cut)} depend on their number and read the first {least} of each")
    notes += [f"{first} left out: {why}" for why, first in gone.items()] + ([cut] if cut else [])
    kept = {system: {name: arrays[name] for name in names} for system, arrays in values.items()}
    return Scores(kept, counts, {name: _signature(name, encoder, counts[name].values()) for name in names}, notes)


def check(systems: Sequence[System], asked: Asked) -> None:
    """Raises as `score` for what no metric can be computed of, whatever the replies will say: too few of them, or columns that lack."""
    first = min(systems, key=lambda system: system.n).first
    for name in _wanted(systems, asked) if asked.metrics is not None or asked.ks else ():
        prompt = replace(_prompt(first, len(first.samples), {}), vectors=np.ones((len(first.samples), 1)) if asked.encoder else None)
        if asked.metrics is not None and lacking(name, prompt):
            allowed = "input for which the metric exists. Add what it lacks, or ask for other --metrics"
            raise PolychromicError(f"{name} cannot be computed: {_why(name, first, prompt, PolychromicError())}. Allowed: {allowed}.")
        if (least := metric(name).least) > len(first.samples):
            raise PolychromicError(f"{name}: {len(first.samples)} replies per prompt. Allowed: {least} or more. Raise --n, or lower k.")


def _signature(name: str, encoder: str, counts: Iterable[int]) -> str:
    key = [answer_key_signature()] if {"answers", "keys"} & set(metric(name).needs) else []
    ns = ",".join(map(str, dict.fromkeys(counts)))
    return "|".join([definition(name, encoder), *key, f"n:{ns}", f"polychromic:{__version__}"])


def _wanted(systems: Sequence[System], asked: Asked) -> list[str]:
    """The metrics to compute; by default each of DEFAULT_METRICS for each k that the samples reach."""
    first = min(systems, key=lambda system: system.n).first
    n = len(first.samples)
    if large := [k for k in asked.ks or () if k > n]:
        remedy = f"Draw {large[0]} or more per prompt, or lower --k"
        raise PolychromicError(f"{first.where} has {n} samples, and --k asks for {large[0]}. Allowed: k up to their number. {remedy}.")
    if asked.metrics is not None:
        return list(dict.fromkeys(asked.metrics))
    ks = asked.ks or [k for k in DEFAULT_KS if k <= n]
    wanted = [name.replace("@k", f"@{k}") for name in DEFAULT_METRICS for k in (ks if name.endswith("@k") else [None])]
    return [name for name in wanted if name not in ("distinct@1", "valid_distinct@1")]  # 1, and pass@1


def _vectors(systems: Sequence[System], names: Sequence[str]) -> tuple[dict[str, np.ndarray], str, str]:
    """(the vector of each reply, the encoder's name, a note of what it cut) where a metric reads them; ({}, "", "") else."""
    if not any("vectors" in metric(name).needs for name in names):
        return {}, "", ""
    from polychromic.models.load import cut_note
    from polychromic.score.models import Embedder
    from polychromic.yours.evaluate.draw import pinned

    params = pinned()
    texts = list(dict.fromkeys(said(text) for system in systems for row in system.rows.values() for text in row.samples))
    embedder = Embedder(params)
    return dict(zip(texts, embedder(texts), strict=True)), str(params.encoder), cut_note(embedder.cut)


def _prompt(row: Row, n: int, vectors: Mapping[str, np.ndarray]) -> Prompt:
    samples = [said(text) for text in row.samples[:n]]
    keys, known = [answer_key(text) for text in samples], np.stack([vectors[text] for text in samples]) if vectors else None
    return Prompt(samples, answers=row.answers and row.answers[:n], keys=keys, references=row.references, vectors=known)


def _why(name: str, row: Row, prompt: Prompt, error: PolychromicError) -> str:
    """Why a metric does not exist for a line, in one clause."""
    if missing := lacking(name, prompt):
        why = LACKS.get(missing[0], f"it reads `{missing[0]}`, which the pipeline alone has")
        return why.format(row.where.rpartition(":")[0])
    if not any(shows(text) for text in row.samples):
        return f"{row.where}: id {row.id!r} has only empty replies, for which it does not exist"
    return f"{row.where}: id {row.id!r}: {str(error).removeprefix(name).removeprefix(': ').partition('. ')[0]}"
