"""Metrics of files of replies: their values per prompt, means with intervals, paired contrasts with verdicts.

Values come from polychromic.score.metrics, or were computed before (polychromic.yours.evaluate.kept), statistics from
polychromic.compare.stats; nothing is sampled here, and of files nothing but the scores' own cache is written.
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
from polychromic.yours.evaluate import kept
from polychromic.yours.evaluate.inputs import Row, System, other_prompts
from polychromic.yours.evaluate.kept import Store
from polychromic.yours.evaluate.vectors import Vectors

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
        anew: whether scores are computed that are known from before.
    """

    metrics: Sequence[str] | None = None
    ks: Sequence[int] | None = None
    encoder: bool = True
    seed: int = 0
    n_boot: int = 10_000
    anew: bool = False


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
    store = Store()
    vectors = Vectors(systems, store) if asked.encoder and any(map(_of_vectors, names)) else None
    lost: dict[str, str] = {}  # metric -> why
    reads = lambda system: {name: counts[name][system.name] for name in names}
    values = {system.name: _values(system, ids[system.name], reads(system), asked, store, vectors, lost) for system in systems}
    gone = {why: ", ".join(name for name in lost if lost[name] == why) for why in lost.values()}
    if gone and (asked.metrics is not None or len(lost) == len(names)):
        why, first = next(iter(gone.items()))
        allowed = "input for which the metric exists. Add what it lacks, take the line out, or ask for other --metrics"
        raise PolychromicError(f"{first} cannot be computed: {why}. Allowed: {allowed}.")
    names = [name for name in names if name not in lost]
    if any(system.n > least for system in systems) and (cut := [name for name in names if metric(name).of_number]):
        said = ", ".join(f"{system.name} has {system.n}" for system in systems)
        notes.append(f"samples per prompt differ ({said}): {', '.join(cut)} depend on their number and read the first {least} of each")
    notes += [f"{first} left out: {why}" for why, first in gone.items()]
    notes += [cut] if vectors and (cut := vectors.note()) else []
    left = {system: {name: arrays[name] for name in names} for system, arrays in values.items()}
    encoder = vectors.name if vectors else ""
    return Scores(left, counts, {name: _signature(name, encoder, counts[name].values()) for name in names}, notes)


def _values(
    system: System, ids: Sequence[str], reads: Mapping[str, int], asked: Asked, store: Store, vectors: Vectors | None, lost: dict[str, str]
) -> dict[str, np.ndarray]:
    """Metric -> (seeds, prompts), from the store or computed, and then put there.

    Args: reads, metric -> the first samples of a prompt that it reads; lost, metric -> why it does not exist, which is added to.
    """
    places = list(product(range(len(system.seeds)), range(len(ids))))
    rows = {(place, column): system.rows[system.seeds[place], ids[column]] for place, column in places}
    prompts = {(at, n): _prompt(row, n) for at, row in rows.items() for n in set(reads.values())}
    contents = {place: kept.content(prompt) for place, prompt in prompts.items()}
    keys = {(at, name): _key(name, contents[at, n], vectors) for at in places for name, n in reads.items()}
    known = {} if asked.anew else store.get(keys.values())
    for name in [name for name in reads if name not in lost]:
        if lacking(name, whole := _foreseen(prompts[places[0], reads[name]], asked)):
            lost[name] = _why(name, rows[places[0]], whole, PolychromicError())
    if todo := [at for at in places if any(keys[at, name] not in known for name in reads.keys() - lost.keys())]:
        new: dict[bytes, float] = {}
        with progress(f"metrics of {system.name}", len(todo)) as tick:
            for done, at in enumerate(todo, start=1):
                for name in [name for name in reads if name not in lost and keys[at, name] not in known]:
                    prompt = _with_vectors(name, prompts[at, reads[name]], vectors)
                    try:
                        new[keys[at, name]] = compute(name, prompt)
                    except PolychromicError as error:
                        lost[name] = _why(name, rows[at], prompt, error)
                tick(done)
        store.put(new)
        known |= new
    found = {name: np.full((len(system.seeds), len(ids)), np.nan) for name in reads}  # which remains of a metric that is lost
    for (at, name), hashed in keys.items():
        found[name][at] = known.get(hashed, np.nan)
    return found


def check(systems: Sequence[System], asked: Asked) -> None:
    """Raises as `score` for what no metric can be computed of, whatever the replies will say: too few of them, or columns that lack."""
    first = min(systems, key=lambda system: system.n).first
    for name in _wanted(systems, asked) if asked.metrics is not None or asked.ks else ():
        prompt = _foreseen(_prompt(first, len(first.samples)), asked)
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


def _of_vectors(name: str) -> bool:
    return "vectors" in metric(name).needs


def _key(name: str, content: str, vectors: Vectors | None) -> bytes:
    """Of a score, in the store."""
    return kept.key(kept.identity(), name, content, vectors.identity if vectors and _of_vectors(name) else "")


def _prompt(row: Row, n: int) -> Prompt:
    """What metrics may read of the first n replies, but for vectors."""
    samples = [said(text) for text in row.samples[:n]]
    keys = [answer_key(text) for text in samples]
    return Prompt(samples, answers=row.answers and row.answers[:n], keys=keys, references=row.references)


def _foreseen(prompt: Prompt, asked: Asked) -> Prompt:
    """With all that there will be, in place of vectors something of their shape."""
    return replace(prompt, vectors=np.ones((len(prompt.samples), 1)) if asked.encoder else None)


def _with_vectors(name: str, prompt: Prompt, vectors: Vectors | None) -> Prompt:
    """The prompt as the metric reads it."""
    return replace(prompt, vectors=vectors.of(prompt.samples)) if vectors and _of_vectors(name) else prompt


def _why(name: str, row: Row, prompt: Prompt, error: PolychromicError) -> str:
    """Why a metric does not exist for a line, in one clause."""
    if missing := lacking(name, prompt):
        why = LACKS.get(missing[0], f"it reads `{missing[0]}`, which the pipeline alone has")
        return why.format(row.where.rpartition(":")[0])
    if not any(shows(text) for text in row.samples):
        return f"{row.where}: id {row.id!r} has only empty replies, for which it does not exist"
    return f"{row.where}: id {row.id!r}: {str(error).removeprefix(name).removeprefix(': ').partition('. ')[0]}"
