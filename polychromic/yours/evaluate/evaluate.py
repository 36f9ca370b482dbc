"""Metrics of files of replies: their values per prompt, means with intervals, paired contrasts with verdicts.

Values come from polychromic.score.compute, statistics from polychromic.compare.stats; nothing is sampled and nothing is written here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations

import numpy as np

from polychromic import __version__
from polychromic.base.errors import PolychromicError
from polychromic.base.progress import progress
from polychromic.compare import stats
from polychromic.compare.families import holm
from polychromic.score.catalogue import metric
from polychromic.score.compute import Prompt, compute
from polychromic.score.compute import signature as definition
from polychromic.score.text import answer_key, answer_key_signature
from polychromic.yours.evaluate.choice import empty_replies, sizes, undefined
from polychromic.yours.evaluate.inputs import Row, System, common_ids, other_prompts

ALPHA = 0.05
PERMUTATIONS = 10_000  # at least; 100 for each test, so that the adjusted p can fall below ALPHA
Embed = Callable[[Sequence[str]], np.ndarray]
Values = dict[str, dict[str, np.ndarray]]  # system -> metric -> (seeds, prompts)


def _prompt(row: Row, embed: Embed | None, n: int) -> Prompt:
    samples = list(row.samples[:n])
    return Prompt(
        samples=samples,
        answers=None if row.answers is None else row.answers[:n],
        keys=[answer_key(text) for text in samples],
        references=row.references,
        vectors=embed(samples) if embed else None,
    )


def scores(
    system: System, ids: Sequence[str], counts: Mapping[str, int], embed: Embed | None
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Of one system: (metric -> (seeds, prompts) in the order of `ids`, metric -> why it does not exist for a line).

    Args:
        counts: metric -> how many of each line's first samples it reads.
    """
    found = {name: np.empty((len(system.seeds), len(ids))) for name in counts}
    lost: dict[str, str] = {}
    with progress(f"metrics of {system.name}", len(ids)) as tick:
        for column, name_of_prompt in enumerate(ids):
            for place, seed in enumerate(system.seeds):
                row = system.rows[seed, name_of_prompt]
                prompts = {n: _prompt(row, embed, n) for n in set(counts.values())}
                for name, n in counts.items():
                    if name in lost:
                        continue
                    try:
                        found[name][place, column] = compute(name, prompts[n])
                    except PolychromicError as error:
                        lost[name] = undefined(row, name, str(error))
            tick(column + 1)
    return {name: array for name, array in found.items() if name not in lost}, lost


def score_all(
    systems: Sequence[System], ids: Mapping[str, Sequence[str]], counts: Mapping[str, Mapping[str, int]], embed: Embed | None, asked: bool
) -> tuple[Values, list[str]]:
    """(values of every system, notes on metrics that do not exist for some line and are left out of all systems).

    Args:
        ids: system -> its prompts. counts: metric -> system -> samples, see choice.sizes.
        asked: the metrics were asked for by name; one that does not exist for a line is then an error.

    Raises:
        PolychromicError: a metric that was asked for does not exist for a line, which is named; or no metric is left.
    """
    values, left_out = {}, {}
    for system in systems:
        own = {name: n[system.name] for name, n in counts.items() if name not in left_out}
        values[system.name], lost = scores(system, ids[system.name], own, embed)
        left_out |= lost
    reasons: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        reasons.setdefault(reason, []).append(name)
    notes = [f"{', '.join(names)} left out: {reason}" for reason, names in reasons.items()]
    if notes and (asked or len(left_out) == len(counts)):
        raise PolychromicError(
            f"{notes[0].replace(' left out:', ' cannot be computed:')}. Allowed: replies for which the metric exists. "
            "Take the line out, or ask for other --metrics."
        )
    return {system: {name: array for name, array in found.items() if name not in left_out} for system, found in values.items()}, notes


def signature(name: str, encoder: str, ns: Sequence[int]) -> str:
    """What a result must name so that another can repeat it: definition, tokenizer, encoder, answer key, samples, version.

    Args:
        ns: samples per prompt that the metric read, of each system.
    """
    parts = [definition(name, encoder)]
    if {"answers", "keys"} & set(metric(name).needs):
        parts.append(answer_key_signature())
    return "|".join([*parts, f"n:{','.join(map(str, dict.fromkeys(ns)))}", f"polychromic:{__version__}"])


def evaluate(
    systems: Sequence[System], names: Sequence[str], embed: Embed | None, seed: int, n_boot: int, encoder: str = "", asked: bool = False
) -> dict:
    """The document of `polychromic evaluate`: per system and metric the mean over seeds and prompts with a 95 % interval over prompts.

    Args:
        encoder: name of the sentence encoder. asked: see `score_all`.
    """
    counts, notes = sizes(systems, names)
    values, lost = score_all(systems, {system.name: system.ids for system in systems}, counts, embed, asked)
    kept = list(values[systems[0].name])
    found = []
    for system in systems:
        arrays = values[system.name]
        intervals = stats.mean_cis(arrays, np.random.default_rng(seed), n_boot) if len(system.ids) > 1 else None
        means = {}
        for name, array in arrays.items():
            n = counts[name][system.name]
            ends = (None, None) if intervals is None else (intervals[name].low, intervals[name].high)
            means[name] = {"mean": float(array.mean()), "low": ends[0], "high": ends[1], "n_samples": n,
                           "signature": signature(name, encoder, [n])}  # fmt: skip
        found.append(_about(system, system.ids) | {"label": system.label, "temperature": system.temperature, "metrics": means})
    return {
        "systems": found,
        "signatures": {name: signature(name, encoder, list(counts[name].values())) for name in kept},
        "notes": [*other_prompts(systems), *notes, *lost, *_said_of_empty(systems)],
    }


def compare(
    systems: Sequence[System], names: Sequence[str], embed: Embed | None, seed: int, n_boot: int, common: bool, encoder: str = "",
    asked: bool = False,
) -> dict:  # fmt: skip
    """The document of `polychromic compare`: paired contrasts a - b of every pair of systems on every metric, and a verdict for each.

    A verdict needs two things: the interval excludes 0, and the permutation p, adjusted by Holm over all contrasts of the
    document, is below ALPHA. An interval alone would call one metric in twenty different between equal systems.
    """
    ids = common_ids(systems, common)
    counts, notes = sizes(systems, names)
    values, lost = score_all(systems, dict.fromkeys((system.name for system in systems), ids), counts, embed, asked)
    kept, pairs = list(values[systems[0].name]), list(combinations(systems, 2))
    tests = len(kept) * len(pairs)
    rows = []
    for a, b in pairs:
        for name in kept:
            ours, theirs = values[a.name][name], values[b.name][name]
            contrast = stats.paired_contrast(ours, theirs, np.random.default_rng(seed), n_boot, max(PERMUTATIONS, 100 * tests))
            rows.append({
                "a": a.name, "b": b.name, "metric": name, **asdict(contrast),
                "n_samples_a": counts[name][a.name], "n_samples_b": counts[name][b.name],
                "signature": signature(name, encoder, [counts[name][a.name], counts[name][b.name]]),
                "differences": (ours.mean(axis=0) - theirs.mean(axis=0)).tolist(),
            })  # fmt: skip
    for row, adjusted in zip(rows, holm([row["p_permutation"] for row in rows]), strict=True):
        row |= {"p_holm": float(adjusted)} | verdict(row["metric"], row["a"], row["b"], row["low"], row["high"], float(adjusted))
    return {
        "contrasts": rows,
        "prompts": ids,
        "systems": [_about(system, ids) for system in systems],
        "adjustment": {"method": "Holm", "tests": tests, "over": f"{len(kept)} metrics x {len(pairs)} pairs", "alpha": ALPHA,
                       "test": "two-sided sign-flip permutation, paired by prompt"},
        "signatures": {name: signature(name, encoder, list(counts[name].values())) for name in kept},
        "notes": [*_said_of_common(systems, ids), *notes, *lost, *_said_of_empty(systems), *_said_of_power(len(ids), tests)],
    }  # fmt: skip


def verdict(name: str, a: str, b: str, low: float, high: float, p_holm: float) -> dict:
    """{"distinguishable", "higher", "better"}: which system is higher, and better where the metric has a direction; else None."""
    if not (low > 0 or high < 0) or p_holm >= ALPHA:
        return {"distinguishable": False, "higher": None, "better": None}
    higher, info = (a if low > 0 else b), metric(name)
    better = None if info.direction == "none" else a if info.better(low + high) else b
    return {"distinguishable": True, "higher": higher, "better": better}


def _about(system: System, ids: Sequence[str]) -> dict:
    return {"system": system.name, "n_prompts": len(ids), "n_samples": system.n, "n_empty": empty_replies(system), "seeds": system.seeds}


def _said_of_empty(systems: Sequence[System]) -> list[str]:
    counted = [(system.name, empty_replies(system), len(system.rows) * system.n) for system in systems]
    return [
        f"{empty} of {total} replies of {name!r} are empty and count as such: 0 words, like no reference"
        for name, empty, total in counted
        if empty
    ]


def _said_of_common(systems: Sequence[System], ids: Sequence[str]) -> list[str]:
    return [
        f"{len(system.ids) - len(ids)} prompts of {system.name!r} left out, which others lack"
        for system in systems
        if len(system.ids) > len(ids)
    ]


def _said_of_power(prompts: int, tests: int) -> list[str]:
    """A note where even the clearest difference could not be told apart: the smallest p of P prompts is 2 / 2^P."""
    if tests * 2.0 ** (1 - prompts) < ALPHA:
        return []
    enough = next(count for count in range(prompts, 100) if tests * 2.0 ** (1 - count) < ALPHA)
    return [f"{prompts} prompts cannot tell any difference apart: over {tests} tests, {enough} prompts are the least. "
            "Ask for fewer --metrics, or evaluate more prompts"]  # fmt: skip
