"""The person-match: when does a draft say what a person said? The threshold comes from humans alone, never from a model.

Systems and people are measured by one definition (`match_rates`): the same held-out replies, as many of them, the same k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from polychromic.base.errors import PolychromicError
from polychromic.data.records import Record
from polychromic.score.passk import chances, pass_at_k
from polychromic.score.quality import chrf_matrix, chrf_signature

RATIO = 5.0  # a match within a prompt must be this many times as frequent as across prompts
GRID = np.round(np.arange(0.05, 0.80, 0.005), 3)
TARGETS = 10  # human replies of a message that are held out together, for pass@k
SPLITS = 100  # draws of which ones: pass@k is the mean over them


@dataclass(frozen=True)
class Calibration:
    """chrF above `threshold` is a match. Rates are over ordered pairs of human replies, in [0, 1]."""

    threshold: float
    within: float  # match rate of two replies to one prompt
    across: float  # the same to different prompts
    ceiling: float  # pass@10 of ten human replies to the prompt, against one held-out human reply
    floor: float  # the same of replies to other prompts
    n_prompts: int
    n_replies: int


def calibrate(records: Sequence[Record], seed: int) -> Calibration:
    """Fit the threshold on prompts with many human replies: the lowest of GRID at which a match within a prompt is RATIO times as
    frequent as across prompts. Raises PolychromicError where none is, or without two prompts of eleven replies each.
    """
    usable = [record for record in records if len(record.references) >= 11]
    if len(usable) < 2:
        few = f"calibration has {len(usable)} prompts with 11 or more human replies. Needed: 2."
        raise PolychromicError(f"{few} Add such records (stratum opener) to the data.")
    replies = [reply for record in usable for reply in record.references]
    prompt = np.repeat(np.arange(len(usable)), [len(record.references) for record in usable])
    scores, same = chrf_matrix(replies, replies), prompt[:, None] == prompt
    inside = same & ~np.eye(len(replies), dtype=bool)
    for threshold in GRID:
        hit = scores > threshold
        within, across = float(hit[inside].mean()), float(hit[~same].mean())
        if within > 0 and within >= RATIO * across:
            break
    else:
        lacking = f"no chrF threshold makes human replies match {RATIO:g} times as often within a prompt as across prompts."
        raise PolychromicError(f"{lacking} Check the calibration records (stratum opener).")
    rng = np.random.default_rng(seed)
    at_ten = lambda drafts: pass_at_k(len(drafts), int(drafts.sum()), 10)
    ceiling = [at_ten(hit[inside[:, i], i]) for i in range(len(replies))]
    pools = [np.flatnonzero(~same[i]) for i in range(len(replies))]
    floor = [at_ten(hit[rng.choice(pool, size=min(20, len(pool)), replace=False), i]) for i, pool in enumerate(pools)]
    return Calibration(float(threshold), within, across, float(np.mean(ceiling)), float(np.mean(floor)), len(usable), len(replies))


def held_out(replies: int, rng: np.random.Generator) -> np.ndarray:
    """(SPLITS, TARGETS) places of the replies that are held out in each split of one message, which has more than TARGETS."""
    return np.argsort(rng.random((SPLITS, replies)), axis=1)[:, :TARGETS]


def match_rates(matches: np.ndarray, targets: np.ndarray, ks: Sequence[int], own: bool = False) -> np.ndarray:
    """What n drafts to one message match of what H people said to it, for each number k of drafts that are looked at.

    * human_recall@k: each human reply is held out in turn; the chance that some of k drafts match it, mean over the replies.
    * pass@k: TARGETS replies are held out together; the chance that some of k drafts match any of them, mean over the splits.

    People are measured likewise (`own`), as drafts to the message that they answered: a reply that is held out is no draft. Both estimates
    are unbiased whatever the number of drafts to draw from.

    Args:
        matches: (n, H) booleans, draft i matches human reply h. targets: (splits, M) from `held_out`.
        own: the drafts are these human replies, in the same order (n = H).

    Returns: (2, len(ks)) in [0, 1]. Raises PolychromicError where k is more than the drafts that are left.
    """
    n, people = matches.shape
    single, some = matches.sum(axis=0), matches[:, targets].any(axis=2)  # (H,); (n, splits)
    left, left_alone = n, n
    if own:
        single = single - matches.diagonal()
        some = some & ~(np.arange(people)[:, None, None] == targets).any(axis=2)
        left_alone, left = n - 1, n - targets.shape[1]
    passing = some.sum(axis=0)
    return np.array([[chances(left_alone, k)[single].mean() for k in ks], [chances(left, k)[passing].mean() for k in ks]])


def rates_by_message(
    drafts: Sequence[Sequence[str]], people: Sequence[Sequence[str]], targets: Sequence[np.ndarray], threshold: float, ks: Sequence[int],
    own: bool = False,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """`match_rates` at the own message, and of the same drafts put to the other messages, the floor: both (2, len(ks), P).

    The floor of a message is the mean over the drafts to all others: the average over all P - 1 shifts of the messages.

    Args:
        drafts: P lists of texts, to messages 0, ..., P - 1, P >= 2. people: P lists of human replies. targets: P results of `held_out`.
        threshold: chrF above it is a match. own: the drafts are the human replies themselves.
    """
    count = len(people)
    hits = chrf_matrix([text for texts in drafts for text in texts], [text for texts in people for text in texts]) > threshold
    rows, columns = (np.cumsum([0, *map(len, lists)]) for lists in (drafts, people))
    table = np.empty((count, count, 2, len(ks)))  # (message, message that the drafts were written to, ...)
    for i, j in np.ndindex(count, count):
        block = hits[rows[j] : rows[j + 1], columns[i] : columns[i + 1]]
        table[i, j] = match_rates(block, targets[i], ks, own=own and i == j)
    at_home = np.eye(count, dtype=bool)
    floor = table[~at_home].reshape(count, count - 1, 2, len(ks)).mean(axis=1)
    return np.moveaxis(table[at_home], 0, -1), np.moveaxis(floor, 0, -1)


def checker_signature(threshold: float) -> str:
    """The person-match as the checker of pass@k and its relatives."""
    return f"person-match|above:{threshold:g}|{chrf_signature()}"


def human_ratio(
    model: np.ndarray, human: np.ndarray, rng: np.random.Generator, n_boot: int = 10_000, confidence: float = 0.95
) -> dict[str, float]:
    """R = mean collision of a model's drafts / mean collision of people's replies to the same prompts; 1: as alike as people are.

    model, human: (P,) mean similarity of two replies to one prompt; human of ones gives the mean of `model`. A ratio of means and not a
    mean of ratios, which one prompt on which people hardly agree would rule. R_a - R_b of two systems, paired by prompt, is the ratio of
    their difference: human_ratio(a - b, human).

    Returns: {"value", "low", "high"}; the interval is the percentile bootstrap over prompts, both means from the same draw.
    """
    draws = rng.integers(0, len(model), (n_boot, len(model)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(model[draws].mean(axis=1) / human[draws].mean(axis=1), [tail, 1 - tail])
    return {"value": float(model.mean() / human.mean()), "low": float(low), "high": float(high)}
