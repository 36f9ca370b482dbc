"""Pass@k and its relatives: what a person gets who draws k of n samples without replacement.

All values are for one prompt and lie in [0, 1] unless stated; averages over prompts are the caller's. Draw
n >= 2k samples for estimates with a usable variance. Nothing here decides what passes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from functools import lru_cache
from operator import index

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import hypergeom

from polychromic.base.errors import PolychromicError


def _check_k(n: int, k: int) -> None:
    if n < 1:
        raise PolychromicError(f"samples: got n = {n}. Allowed: 1 or more samples of the prompt. Sample the prompt first.")
    if not 1 <= k <= n:
        raise PolychromicError(
            f"k: got k = {k} with n = {n} samples of the prompt. Allowed: 1 <= k <= n. "
            f"Lower k, or draw at least {max(k, 1)} samples per prompt."
        )


def _check_counts(n: int, c: int, k: int) -> tuple[int, int, int]:
    n, c, k = index(n), index(c), index(k)
    _check_k(n, k)
    if not 0 <= c <= n:
        raise PolychromicError(f"correct samples: got c = {c} of n = {n}. Allowed: 0 <= c <= n. Count each sample once.")
    return n, c, k


@lru_cache(maxsize=1 << 14)
def _some(n: int, c: int, k: int) -> float:
    """P(at least one of the c is among k drawn of n)."""
    return float(hypergeom.sf(0, n, c, k))


def pass_at_k(n: int, c: int, k: int) -> float:
    """1 - C(n-c, k) / C(n, k), unbiased for P(some of k passes) (Chen et al. 2021, 2107.03374, eq. 1).

    Args:
        n: samples drawn for the prompt.
        c: how many of them pass.
        k: how many a person looks at.

    Raises:
        PolychromicError: k > n, k < 1, or c outside [0, n].
    """
    return _some(*_check_counts(n, c, k))


@lru_cache(maxsize=1 << 10)
def chances(n: int, k: int) -> np.ndarray:
    """(n + 1,) pass@k of c = 0, 1, ..., n passing samples of n: the table by which many prompts are scored at once.

    Raises:
        PolychromicError: k > n or k < 1.
    """
    _check_k(n, k)
    table = np.array([_some(n, c, k) for c in range(n + 1)])
    table.setflags(write=False)
    return table


def pass_hat_k(n: int, c: int, k: int) -> float:
    """C(c, k) / C(n, k), unbiased for P(all of k pass) (pass^k, Yao et al. 2024, 2406.12045). Arguments as in `pass_at_k`."""
    n, c, k = _check_counts(n, c, k)
    return float(hypergeom.pmf(k, n, c, k))


def distinct_at_k(answers: Sequence[Hashable], k: int) -> float:
    """Expected number of distinct answers among k of the n answers, valid or not; in [1, k].

    Args:
        answers: n answers, already normalised: two are the same answer when they are equal.
        k: how many a person looks at.

    Raises:
        PolychromicError: k > n or k < 1, or an answer is None (see `valid_distinct_at_k`).
    """
    if any(answer is None for answer in answers):
        raise PolychromicError(
            "distinct@k: got None among the answers. Allowed: answers. Use valid_distinct_at_k, where None is an invalid answer."
        )
    return valid_distinct_at_k(answers, k)


def valid_distinct_at_k(answers: Sequence[Hashable | None], k: int) -> float:
    """Expected number of distinct valid answers among k of the n answers; in [0, k].

    The sum over distinct valid answers a, drawn c_a times, of 1 - C(n - c_a, k) / C(n, k): a U-statistic, hence unbiased.

    Args:
        answers: n normalised answers, None for an invalid one.
        k: how many a person looks at.

    Raises:
        PolychromicError: k > n or k < 1.
    """
    n = len(answers)
    _check_k(n, k)
    counts = Counter(answer for answer in answers if answer is not None)
    # sorted, so that the sum does not depend on the order of the samples
    return sum(_some(n, c, k) for c in sorted(counts.values()))


def best_at_k(scores: ArrayLike, k: int) -> float:
    """Expected best score among k of the n scores: sum_j x_(j) C(j-1, k-1) / C(n, k), x_(1) <= ... <= x_(n).

    Args:
        scores: (n,) graded scores, finite, in any unit (the result has the same).
        k: how many a person looks at.

    Raises:
        PolychromicError: k > n or k < 1, or a score is not finite.
    """
    x = np.sort(np.asarray(scores, dtype=np.float64).ravel())
    n = len(x)
    _check_k(n, k)
    if not np.isfinite(x).all():
        raise PolychromicError(
            "best@k: got a score that is NaN or infinite. Allowed: finite scores. Find out which sample could not be scored."
        )
    rank = np.arange(1, n + 1)
    # P(the k drawn all rank <= j) = C(j, k) / C(n, k); its increments are the weights above.
    at_most = hypergeom.pmf(k, n, rank, k)
    return float(x @ np.diff(at_most, prepend=0.0))


def cover_at_tau(rates: ArrayLike, tau: float) -> float:
    """Cover@tau: the share of prompts that the model solves with probability >= tau.

    For known rates p: integral over tau of k (1-tau)^(k-1) Cover@tau = mean of 1 - (1-p)^k. For estimated rates c/n
    that integral is the plug-in pass@k, which is biased downwards.

    Args:
        rates: (P,) share of passing samples of each prompt, in [0, 1].
        tau: threshold in [0, 1].

    Raises:
        PolychromicError: no prompt, a rate or tau outside [0, 1] or NaN.
    """
    p = np.asarray(rates, dtype=np.float64).ravel()
    if len(p) == 0:
        raise PolychromicError("Cover@tau: got no prompt. Allowed: at least one rate. Score the prompts first.")
    if not ((p >= 0) & (p <= 1)).all() or not 0 <= tau <= 1:
        raise PolychromicError(
            f"Cover@tau: got tau = {tau}, rates {p.min()} to {p.max()}. Allowed: all in [0, 1]. Pass shares, not counts."
        )
    return float(np.mean(p >= tau))


def human_recall_at_k(matches: ArrayLike, k: int) -> float:
    """Expected share of a prompt's held-out human replies that k of the n drafts match.

    Args:
        matches: (n, H) booleans, draft i matches human reply h.
        k: how many a person looks at.

    Raises:
        PolychromicError: k > n or k < 1, H = 0, or not a matrix of booleans.
    """
    m = np.asarray(matches)
    if m.ndim != 2 or m.shape[1] == 0 or not ((m == 0) | (m == 1)).all():
        raise PolychromicError(
            f"human_recall@k: got shape {m.shape}. Allowed: booleans (n drafts, H >= 1 human replies). Hold out human replies."
        )
    n = m.shape[0]
    _check_k(n, k)
    return float(np.mean([_some(n, int(c), k) for c in (m != 0).sum(axis=0)]))
