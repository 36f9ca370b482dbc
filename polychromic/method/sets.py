"""From sampled replies to what the gradient of D needs: which replies to score, and with which weight.

Sits between the pure maths (objective, advantages), the user's quality and similarity functions, and the Trainer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from polychromic.data.domains import Domain, Readers
from polychromic.data.records import Record
from polychromic.method import advantages as adv
from polychromic.method.objective import SetObjective, evaluate, make_objective

ROUNDING = 1e-12  # advantages are sums of a few numbers in [0, 1]
DIAGONAL_TOLERANCE = 1e-3  # cosines of float32 vectors with themselves are within 1e-6 of 1

Example = dict[str, Any]
Quality = Callable[[Example, Sequence[str]], np.ndarray]  # (row of the dataset, N replies) -> (N,) in [0, 1]
Similarity = Callable[[Example, Sequence[str]], np.ndarray]  # the same -> (N, N) in [0, 1], s_ii = 1, symmetric


def equal_text(example: Example, replies: Sequence[str]) -> np.ndarray:
    """1 where two replies are the same text, else 0."""
    return np.array([[float(a == b) for b in replies] for a in replies])


def checked(function: Quality | Similarity, example: Example, replies: Sequence[str], ndim: int) -> np.ndarray:
    """What the function says of N replies: (N,) for ndim 1, (N, N) for ndim 2.

    Raises ValueError: it returned another shape, NaN, a value outside [0, 1], or a reply whose similarity to itself is not 1 (names the
    function, the place and the replies).
    """
    values, shape = np.asarray(function(example, replies), dtype=float), (len(replies),) * ndim
    name = getattr(function, "__qualname__", repr(function))
    if values.shape != shape:
        raise ValueError(f"{name} returned shape {values.shape} for {len(replies)} replies, expected {shape}.")
    wrong = ~((values >= 0) & (values <= 1))  # true for NaN
    if ndim == 2:
        wrong |= (np.abs(values - 1.0) > DIAGONAL_TOLERANCE) & np.eye(len(replies), dtype=bool)
    if wrong.any():
        place = tuple(map(int, np.argwhere(wrong)[0]))
        expected = "numbers in [0, 1]" + (", 1 on the diagonal" if ndim == 2 else "")
        raise ValueError(f"{name} returned {values[place]} at {place}, expected {expected}; replies: {[reply[:40] for reply in replies]}.")
    return values


def cosines(vectors: np.ndarray) -> np.ndarray:
    """Similarity (n, n) in [0, 1] of unit vectors (n, d): the cosine, 0 where it is negative, 1 on the diagonal."""
    vectors = vectors.astype(float)
    same = np.clip(vectors @ vectors.T, 0.0, 1.0)
    np.fill_diagonal(same, 1.0)
    return same


def set_functions(domain: Domain, records: Sequence[Record], similarity: str, readers: Readers) -> tuple[Quality, Similarity]:
    """Quality and similarity of replies to the record that a training row names, as the set objective takes them.

    similarity: "exact", "semantic" (the cosine, calibrated on people), or "domain" for the domain's own.
    """

    def quality(example: Example, replies: Sequence[str]) -> np.ndarray:
        return domain.training_quality(records[example["record"]], replies, readers)

    def alike(example: Example, replies: Sequence[str]) -> np.ndarray:
        return domain.alike(records[example["record"]], replies, readers, similarity)

    return quality, alike


@dataclass(frozen=True)
class SetObjectiveConfig:
    """How D enters the loss. Raises ValueError for a value outside its range, at construction."""

    quality: Quality  # q of replies to one prompt
    similarity: Similarity = equal_text  # s of each pair
    name: str = "coverage"  # a set objective of polychromic.method.objective
    lam: float = 1.0  # weight of D in L = L_quality - lam * D; 0 draws rollouts and leaves training untouched
    n: int = 4  # replies per set, N >= 2
    subset: int | None = None  # k of passk, n of poly_epo
    max_new_tokens: int = 64  # horizon T; replies are cut there
    unfinished: bool = False  # whether a reply that was cut may be good; else its quality is 0, whatever `quality` says of its text
    share: float = 1.0  # share rho of the batch's prompts that get a rollout, in (0, 1]
    every: int = 1  # rollouts at every m-th step, where D's gradient is multiplied by m. Neither share nor every moves its mean
    after: int = 0  # optimiser steps of pure L_quality before the first rollout, which then meets no model whose replies are all bad
    # Times the learning rate from the first rollout on: the gradient of D is noisier than that of L_quality.
    rate: float = 1.0
    # The norm at which a step's gradient of D, before lam, is clipped apart from that of L_quality: D cannot take L_quality's share of a
    # common clip, and lam acts in proportion. None: both are clipped together, as the Trainer does.
    max_grad_norm: float | None = None
    baseline: str = "marginal"  # a key of polychromic.method.advantages.BASELINES, or OWN
    seed: int = 0  # of the rollout streams

    def __post_init__(self) -> None:
        adv.check_baseline(self.baseline, make_objective(self.name, self.n, self.subset), self.n)
        ranges = {
            "lam": (0 <= self.lam < np.inf, "a number from 0 up"),
            "max_new_tokens": (self.max_new_tokens >= 1, "1 or more, the horizon of replies"),
            "share": (0 < self.share <= 1, "above 0, at most 1"),
            "every": (self.every >= 1, "1 or more"),
            "after": (self.after >= 0, "0 or more"),
            "rate": (0 < self.rate <= 1, "above 0, at most 1"),
            "max_grad_norm": (self.max_grad_norm is None or 0 < self.max_grad_norm < np.inf, "a number above 0, or None"),
        }
        if wrong := [f"{name} is {getattr(self, name)}, allowed: {rule}" for name, (fits, rule) in ranges.items() if not fits]:
            raise ValueError(f"set objective: {'; '.join(wrong)}.")

    @cached_property
    def objective(self) -> SetObjective:
        return make_objective(self.name, self.n, self.subset)


@dataclass(frozen=True)
class ScoredSets:
    """B sets of N replies: quality q (B, N), similarity s (B, N, N), value f (B,) and marginal contributions (B, N)."""

    q: np.ndarray
    s: np.ndarray
    f: np.ndarray
    marginals: np.ndarray


def score_sets(
    config: SetObjectiveConfig, examples: Sequence[Example], texts: Sequence[str], finished: Sequence[bool] | None = None
) -> ScoredSets:
    """Score the replies to each example; `texts` holds N per example, one example after the other.

    finished: of each text, whether it ended before the horizon; None: all did. Raises ValueError as `checked`.
    """
    sets = [(example, texts[i * config.n : (i + 1) * config.n]) for i, example in enumerate(examples)]
    q = np.stack([checked(config.quality, example, replies, 1) for example, replies in sets])
    if finished is not None and not config.unfinished:
        q = q * np.asarray(finished, dtype=float).reshape(q.shape)
    s = np.stack([checked(config.similarity, example, replies, 2) for example, replies in sets])
    return ScoredSets(q, s, evaluate(config.objective, q, s), adv.marginal_contributions(config.objective, q, s))


def merge_equal(rows: Sequence[tuple[int, tuple[int, ...]]], weight: np.ndarray) -> tuple[list[tuple], np.ndarray]:
    """Replies that are the same tokens to the same prompt have the same log-probability: score one, with the sum of weights.

    A sum of 0 (up to rounding) drops out: with the `marginal` baseline every reply that adds nothing to its set does.

    Args: rows (prompt number, tokens) of each reply; weight (R,).
    Returns: the rows to score, each once, in the order of their first reply, and their weights.
    """
    total: dict[tuple, float] = {}
    for row, value in zip(rows, weight, strict=True):
        total[row] = total.get(row, 0.0) + float(value)
    kept = {row: value for row, value in total.items() if abs(value) > ROUNDING}
    return list(kept), np.array(list(kept.values()))
