"""The person-match: when does a draft say what a person said? The threshold comes from humans alone, never from a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from polychromic.data.records import Record
from polychromic.errors import PolychromicError
from polychromic.metrics.passk import pass_at_k
from polychromic.metrics.quality import chrf_matrix

RATIO = 5.0  # a match within a prompt must be this many times as frequent as across prompts
GRID = np.round(np.arange(0.05, 0.80, 0.005), 3)


@dataclass(frozen=True)
class Calibration:
    """chrF above `threshold` is a match. Rates are over ordered pairs of human replies, in [0, 1].

    within / across: match rate of two replies to one prompt / to different prompts.
    ceiling / floor: pass@10 of ten human replies to the prompt / to other prompts, against one held-out human reply.
    """

    threshold: float
    within: float
    across: float
    ceiling: float
    floor: float
    n_prompts: int
    n_replies: int

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def calibrate(records: Sequence[Record], seed: int) -> Calibration:
    """Fit the threshold on prompts with many human replies: the lowest of GRID at which a match within a prompt is
    RATIO times as frequent as across prompts.

    Raises:
        PolychromicError: no threshold separates them, or there are not two prompts with eleven replies each.
    """
    usable = [record for record in records if len(record.references) >= 11]
    if len(usable) < 2:
        raise PolychromicError(
            f"calibration has {len(usable)} prompts with 11 or more human replies. "
            "Needed: 2. Add such records (stratum opener) to the data."
        )
    replies = [reply for record in usable for reply in record.references]
    prompt = np.repeat(np.arange(len(usable)), [len(record.references) for record in usable])
    scores = chrf_matrix(replies, replies)
    same = prompt[:, None] == prompt[None, :]
    inside = same & ~np.eye(len(replies), dtype=bool)
    for threshold in GRID:
        hit = scores > threshold
        within, across = float(hit[inside].mean()), float(hit[~same].mean())
        if within > 0 and within >= RATIO * across:
            break
    else:
        raise PolychromicError(
            f"no chrF threshold makes human replies match {RATIO:g} times as often within a prompt as across prompts. "
            "Check the calibration records (stratum opener)."
        )
    rng = np.random.default_rng(seed)
    ceiling = [pass_at_k(len(drafts), int(drafts.sum()), 10) for drafts in (hit[inside[:, i], i] for i in range(len(replies)))]
    floor = []
    for i in range(len(replies)):
        pool = np.flatnonzero(~same[i])
        others = rng.choice(pool, size=min(20, len(pool)), replace=False)
        floor.append(pass_at_k(len(others), int(hit[others, i].sum()), 10))
    return Calibration(float(threshold), within, across, float(np.mean(ceiling)), float(np.mean(floor)), len(usable), len(replies))


@dataclass(frozen=True)
class Ratio:
    """A ratio of means with its bootstrap interval over prompts."""

    value: float
    low: float
    high: float


def human_ratio(model: np.ndarray, human: np.ndarray, rng: np.random.Generator, n_boot: int = 10_000, confidence: float = 0.95) -> Ratio:
    """R = mean collision of a model's drafts / mean collision of people's replies to the same prompts; 1: as alike as people are.

    A ratio of means and not a mean of ratios, which one prompt on which people hardly agree would rule. The interval is the
    percentile bootstrap over prompts, both means from the same draw.

    Args:
        model, human: (P,) mean similarity of two replies to one prompt, P >= 2.

    Raises:
        PolychromicError: unequal or too few prompts, a value that is not finite, or people whose mean is not above 0.
    """
    a, b = np.asarray(model, dtype=np.float64), np.asarray(human, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or len(a) < 2 or not (np.isfinite(a).all() and np.isfinite(b).all()) or b.mean() <= 0:
        raise PolychromicError(
            f"human ratio: got shapes {a.shape} and {b.shape}, mean similarity of people {b.mean() if b.size else 'none'}. "
            "Allowed: (P,) twice, P >= 2, finite, people's mean above 0. Check the encoder and the prompts."
        )
    draws = rng.integers(0, len(a), (n_boot, len(a)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(a[draws].mean(axis=1) / b[draws].mean(axis=1), [tail, 1 - tail])
    return Ratio(float(a.mean() / b.mean()), float(low), float(high))
