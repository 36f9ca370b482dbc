"""Metrics of files of replies: which ones the input allows, their values per prompt, means with intervals, paired contrasts.

Values come from polychromic.metrics.compute, statistics from polychromic.stats; nothing is sampled and nothing is written here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import combinations

import numpy as np

from polychromic import stats
from polychromic.domains.text import normalise
from polychromic.errors import PolychromicError, UsageError
from polychromic.metrics.catalogue import metric
from polychromic.metrics.compute import Prompt, compute, lacking, signature
from polychromic.oneoff.inputs import Row, System, common_ids
from polychromic.progress import progress

DEFAULT_KS = (1, 3, 5, 10)
# In printed order; k stands for each of the ks. Those that the input lacks something for are left out.
DEFAULT_METRICS = (
    "pass@k", "valid_distinct@k", "distinct@k", "semantic_diversity", "self_bleu", "distinct_1", "distinct_2", "vendi", "vocabulary",
    "compression_ratio", "rouge_l", "chrf", "words",
)  # fmt: skip
Embed = Callable[[Sequence[str]], np.ndarray]


def chosen_metrics(
    names: Sequence[str] | None, ks: Sequence[int] | None, systems: Sequence[System], embedded: bool
) -> tuple[list[str], list[str]]:
    """(metrics to compute, notes on what was left out).

    Args:
        names: asked for by name; None takes what DEFAULT_METRICS and the input allow.
        ks: asked for; None takes those of DEFAULT_KS that the number of samples allows, with a note.
        embedded: whether sentence vectors will be there.

    Raises:
        UsageError: an unknown metric.
        PolychromicError: a metric or k that was asked for and that the input does not allow (file, line, id, k).
    """
    least = min(systems, key=lambda system: system.n)
    row, notes = next(iter(least.rows.values())), []
    if ks is not None and (large := [k for k in ks if k > least.n]):
        raise PolychromicError(
            f"{row.where}: id {row.id!r} has {least.n} samples, and --k asks for {large[0]}. Allowed: k up to the number of samples. "
            f"Draw {large[0]} or more per prompt, or lower --k."
        )
    fitting = [k for k in (ks or DEFAULT_KS) if k <= least.n]
    if ks is None and len(fitting) < len(DEFAULT_KS):
        notes.append(f"k = {', '.join(str(k) for k in DEFAULT_KS if k > least.n)} left out: {row.where} has {least.n} samples per prompt")
    if names is not None:
        for name in names:
            for system in systems:
                sample = _prompt(next(iter(system.rows.values())), None if not embedded else lambda texts: np.zeros((len(texts), 1)))
                if missing := lacking(name, sample):
                    where = next(iter(system.rows.values())).where
                    raise PolychromicError(
                        f"{where}: {name} reads {' and '.join(missing)}, which this file does not have. {_remedy(missing)}"
                    )
        return list(dict.fromkeys(names)), notes
    wanted = [name.replace("@k", f"@{k}") for name in DEFAULT_METRICS for k in (fitting if name.endswith("@k") else [None])]
    wanted = [name for name in wanted if name not in ("distinct@1", "valid_distinct@1")]  # 1, and pass@1
    found = []
    for name in wanted:
        problem = _problem(name, systems, embedded)
        if problem is None:
            found.append(name)
        else:
            notes.append(f"{name} left out: {problem}")
    return found, notes


def _problem(name: str, systems: Sequence[System], embedded: bool) -> str | None:
    for system in systems:
        for row in system.rows.values():
            vectors = (lambda texts: np.eye(len(texts))) if embedded else None
            try:
                compute(name, _prompt(row, vectors))
            except UsageError:
                raise
            except PolychromicError as error:
                return str(error).partition(". ")[0]
            if metric(name).family != "distinct_n":
                break  # only these depend on every line's text
    return None


def _remedy(missing: Sequence[str]) -> str:
    columns = {"answers": "Add the column `valid`.", "references": "Add the column `references`.", "vectors": "Leave --no-encoder out."}
    return " ".join(columns.get(field, f"{field} exists in the pipeline only; leave the metric out.") for field in missing)


def _prompt(row: Row, embed: Embed | None) -> Prompt:
    samples = list(row.samples)
    return Prompt(
        samples=samples,
        answers=row.answers,
        keys=[normalise(text) or text for text in samples],
        references=row.references,
        vectors=embed(samples) if embed else None,
    )


def scores(system: System, ids: Sequence[str], names: Sequence[str], embed: Embed | None) -> dict[str, np.ndarray]:
    """Metric -> (seeds, prompts) of one system, the prompts in the order of `ids`.

    Raises:
        PolychromicError: a metric does not exist for a line, which is named.
    """
    found = {name: np.empty((len(system.seeds), len(ids))) for name in names}
    with progress(f"metrics of {system.name}", len(ids)) as tick:
        for column, name_of_prompt in enumerate(ids):
            for place, seed in enumerate(system.seeds):
                row = system.rows[seed, name_of_prompt]
                prompt = _prompt(row, embed)
                for name in names:
                    try:
                        found[name][place, column] = compute(name, prompt)
                    except PolychromicError as error:
                        raise PolychromicError(f"{row.where}: id {row.id!r}: {error}") from None
            tick(column + 1)
    return found


def evaluate(systems: Sequence[System], names: Sequence[str], embed: Embed | None, seed: int, n_boot: int, encoder: str = "") -> dict:
    """The document of `polychromic evaluate`: per system and metric the mean over seeds and prompts with a 95 % interval over prompts."""
    found = []
    for system in systems:
        values = scores(system, system.ids, names, embed)
        intervals = stats.mean_cis(values, np.random.default_rng(seed), n_boot) if len(system.ids) > 1 else None
        means = {
            name: {"mean": float(array.mean()), "low": None, "high": None} if intervals is None else
            {"mean": intervals[name].mean, "low": intervals[name].low, "high": intervals[name].high}
            for name, array in values.items()
        }  # fmt: skip
        about = {"system": system.name, "n_prompts": len(system.ids), "n_samples": system.n, "seeds": system.seeds}
        found.append(about | {"metrics": means})
    return {"systems": found, "signatures": {name: signature(name, encoder) for name in names}}


def compare(
    systems: Sequence[System], primary: str, names: Sequence[str], embed: Embed | None, seed: int, n_boot: int, common: bool
) -> list[dict]:
    """Paired contrasts a - b of every pair of systems on every metric, over the prompts that they share; Holm over pairs on `primary`."""
    ids = common_ids(systems, common)
    values = {system.name: scores(system, ids, names, embed) for system in systems}
    rows = []
    for a, b in combinations(systems, 2):
        for name in names:
            rng = np.random.default_rng(seed)
            contrast = stats.paired_contrast(values[a.name][name], values[b.name][name], rng, n_boot, n_boot)
            rows.append({"a": a.name, "b": b.name, "metric": name, **asdict(contrast), "p_holm": None})
    family = [row for row in rows if row["metric"] == primary]
    for row, adjusted in zip(family, stats.holm([row["p_permutation"] for row in family]), strict=True):
        row["p_holm"] = float(adjusted)
    return rows
