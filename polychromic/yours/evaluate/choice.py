"""Which metrics an input allows, on how many samples each is computed, and what a user reads about those that are left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polychromic.base.errors import PolychromicError
from polychromic.score.catalogue import metric
from polychromic.score.compute import FUNCTIONS, Prompt, lacking
from polychromic.yours.evaluate.inputs import Row, System

DEFAULT_KS = (1, 3, 5, 10)
# In printed order; k stands for each of the ks. Those that the input lacks something for are left out.
DEFAULT_METRICS = (
    "pass@k", "valid_distinct@k", "distinct@k", "semantic_diversity", "self_bleu", "distinct_1", "distinct_2", "vendi", "vocabulary",
    "compression_ratio", "rouge_l", "chrf", "words",
)  # fmt: skip
# Their expected value changes with the number of replies; the others are means over replies, pairs or draws of k.
OF_THE_NUMBER = frozenset({"self_bleu", "distinct_n", "ead", "vendi", "vendi_2", "compression_ratio", "vocabulary", "cover@tau"})
COLUMNS = {"answers": "valid", "references": "references"}  # what a metric reads -> the user's column


def chosen_metrics(
    names: Sequence[str] | None, ks: Sequence[int] | None, systems: Sequence[System], embedded: bool
) -> tuple[list[str], list[str]]:
    """(metrics to compute, notes on what was left out). What depends on a line's text alone is found when it is scored.

    Args:
        names: asked for by name; None takes what DEFAULT_METRICS and the input allow.
        ks: asked for; None takes those of DEFAULT_KS that the number of samples allows, with a note.
        embedded: whether sentence vectors will be there.

    Raises:
        UsageError: an unknown metric.
        PolychromicError: a metric or k that was asked for and that the input does not allow (file, line, id, k).
    """
    least = min(systems, key=lambda system: system.n)
    where, notes = least.first.where, []
    if ks is not None and (large := [k for k in ks if k > least.n]):
        raise PolychromicError(
            f"{where}: id {least.first.id!r} has {least.n} samples, and --k asks for {large[0]}. Allowed: k up to the number of samples. "
            f"Draw {large[0]} or more per prompt, or lower --k."
        )
    if names is not None:
        for name in names:
            for system in systems:
                if found := _obstacle(name, system, embedded):
                    raise PolychromicError(f"{name} cannot be computed: {found[0]}. {found[1]}")
        return list(dict.fromkeys(names)), notes
    fitting = [k for k in (ks or DEFAULT_KS) if k <= least.n]
    if ks is None and len(fitting) < len(DEFAULT_KS):
        notes.append(f"k = {', '.join(str(k) for k in DEFAULT_KS if k > least.n)} left out: {where} has {least.n} samples per prompt")
    wanted = [name.replace("@k", f"@{k}") for name in DEFAULT_METRICS for k in (fitting if name.endswith("@k") else [None])]
    wanted = [name for name in wanted if name not in ("distinct@1", "valid_distinct@1")]  # 1, and pass@1
    left_out: dict[str, list[str]] = {}
    for name in wanted:
        if obstacles := [found for system in systems if (found := _obstacle(name, system, embedded))]:
            left_out.setdefault(obstacles[0][0], []).append(name)
    notes += [f"{', '.join(lost)} left out: {reason}" for reason, lost in left_out.items()]
    return [name for name in wanted if not any(name in lost for lost in left_out.values())], notes


def _obstacle(name: str, system: System, embedded: bool) -> tuple[str, str] | None:
    """(what the input lacks for the metric, in the user's words; what to do), None where nothing is lacking."""
    known = Prompt(system.first.samples, answers=system.first.answers, keys=system.first.samples, references=system.first.references,
                   vectors=np.empty(0) if embedded else None)  # fmt: skip
    missing, file = lacking(name, known), system.first.where.rpartition(":")[0]
    if inside := [field for field in missing if field not in (*COLUMNS, "vectors")]:
        return f"it reads `{inside[0]}`, which the pipeline alone has", f"Leave {name} out."
    if metric(name).family not in FUNCTIONS:
        return "it needs the parameters of training, which the pipeline alone has", f"Leave {name} out."
    if columns := [f"`{COLUMNS[field]}`" for field in missing if field in COLUMNS]:
        return f"no column {' and '.join(columns)} in {file}, or only empty ones", f"Add the column, or leave {name} out."
    if missing:
        return "no sentence vectors, because of --no-encoder", f"Leave --no-encoder out, or {name}."
    least = metric(name).least
    if least > system.n:
        return f"{system.first.where} has {system.n} sample(s) per prompt, {least} are needed", f"Draw more, or leave {name} out."
    return None


def sizes(systems: Sequence[System], names: Sequence[str]) -> tuple[dict[str, dict[str, int]], list[str]]:
    """(metric -> system -> how many of its first samples the metric reads, notes): equally many where the number changes the metric."""
    counts = {system.name: system.n for system in systems}
    least = min(counts.values())
    cut = [name for name in names if metric(name).family in OF_THE_NUMBER] if len(set(counts.values())) > 1 else []
    found = {name: dict.fromkeys(counts, least) if name in cut else counts for name in names}
    if not cut:
        return found, []
    said = ", ".join(f"{name} has {n}" for name, n in counts.items())
    return found, [f"samples per prompt differ ({said}): {', '.join(cut)} depend on their number and read the first {least} of each "
                   "system; the other metrics read all, which does not shift their mean"]  # fmt: skip


def undefined(row: Row, name: str, error: str) -> str:
    """Why a metric does not exist for a line: the line, its id, and the reason in one clause."""
    if not any(text.strip() for text in row.samples):
        return f"{row.where}: id {row.id!r} has only empty replies, for which it does not exist"
    return f"{row.where}: id {row.id!r}: {error.removeprefix(name).removeprefix(': ').partition('. ')[0]}"


def empty_replies(system: System) -> int:
    """Replies that show nothing: each is wrong, has no word, and is like no reference."""
    return sum(not text.strip() for row in system.rows.values() for text in row.samples)
