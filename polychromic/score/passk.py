"""Pass@k and its relatives: what a person gets who draws k of n samples without replacement.

In all of them n is the number of samples drawn for the prompt, c how many of them pass, k how many a person looks at; not 1 <= k <= n or
not 0 <= c <= n is a PolychromicError. All values are for one prompt and lie in [0, 1] unless stated; averages over prompts are the
caller's. Draw n >= 2k samples for estimates with a usable variance. Nothing here decides what passes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from functools import lru_cache
from operator import index

import numpy as np
from numpy.typing import ArrayLike

from polychromic.base.errors import PolychromicError


def _check(n: int, k: int, c: int = 0) -> tuple[int, int, int]:
    n, c, k = index(n), index(c), index(k)
    if n < 1:
        raise PolychromicError(f"samples: got n = {n}. Allowed: 1 or more samples of the prompt. Sample the prompt first.")
    if not 1 <= k <= n:
        raise PolychromicError(
            f"k: got k = {k} with n = {n} samples of the prompt. Allowed: 1 <= k <= n. "
            f"Lower k, or draw at least {max(k, 1)} samples per prompt."
        )
    if not 0 <= c <= n:
        raise PolychromicError(f"correct samples: got c = {c} of n = {n}. Allowed: 0 <= c <= n. Count each sample once.")
    return n, c, k


@lru_cache(maxsize=1 << 14)
def _some(n: int, c: int, k: int) -> float:
    """P(at least one of the c is among k drawn of n)."""
    from scipy.stats import hypergeom  # scipy.stats takes a second to import, which a refused command must not wait for

    return float(hypergeom.sf(0, n, c, k))


def pass_at_k(n: int, c: int, k: int) -> float:
    """1 - C(n-c, k) / C(n, k), unbiased for P(some of k passes) (Chen et al. 2021, 2107.03374, eq. 1)."""
    return _some(*_check(n, k, c))


@lru_cache(maxsize=1 << 10)
def chances(n: int, k: int) -> np.ndarray:
    """(n + 1,) pass@k of c = 0, 1, ..., n passing samples of n: the table by which many prompts are scored at once."""
    _check(n, k)
    table = np.array([_some(n, c, k) for c in range(n + 1)])
    table.setflags(write=False)
    return table


def pass_hat_k(n: int, c: int, k: int) -> float:
    """C(c, k) / C(n, k), unbiased for P(all of k pass) (pass^k, Yao et al. 2024, 2406.12045)."""
    from scipy.stats import hypergeom

    n, c, k = _check(n, k, c)
    return float(hypergeom.pmf(k, n, c, k))


def distinct_at_k(answers: Sequence[Hashable], k: int) -> float:
    """Expected number of distinct answers among k of the n, valid or not, in [1, k]; two are the same when they are equal.

    Raises:
        PolychromicError: an answer is None (see `valid_distinct_at_k`), or k.
    """
    if any(answer is None for answer in answers):
        raise PolychromicError(
            "distinct@k: got None among the answers. Allowed: answers. Use valid_distinct_at_k, where None is an invalid answer."
        )
    return valid_distinct_at_k(answers, k)


def valid_distinct_at_k(answers: Sequence[Hashable | None], k: int) -> float:
    """Expected number of distinct valid answers among k of the n normalised ones, None for an invalid one; in [0, k].

    The sum over distinct valid answers a, drawn c_a times, of 1 - C(n - c_a, k) / C(n, k): a U-statistic, hence unbiased.
    """
    _check(len(answers), k)
    counts = Counter(answer for answer in answers if answer is not None)
    # sorted, so that the sum does not depend on the order of the samples
    return sum(_some(len(answers), c, k) for c in sorted(counts.values()))


def best_at_k(scores: ArrayLike, k: int) -> float:
    """Expected best score among k of the (n,) scores, in their unit: sum_j x_(j) C(j-1, k-1) / C(n, k), x_(1) <= ... <= x_(n).

    Raises:
        PolychromicError: a score is not finite, or k.
    """
    from scipy.stats import hypergeom

    x = np.sort(np.asarray(scores, dtype=np.float64).ravel())
    _check(len(x), k)
    if not np.isfinite(x).all():
        raise PolychromicError(
            "best@k: got a score that is NaN or infinite. Allowed: finite scores. Find out which sample could not be scored."
        )
    # P(the k drawn all rank <= j) = C(j, k) / C(n, k); its increments are the weights above.
    at_most = hypergeom.pmf(k, len(x), np.arange(1, len(x) + 1), k)
    return float(x @ np.diff(at_most, prepend=0.0))


def cover_at_tau(rates: ArrayLike, tau: float) -> float:
    """Cover@tau: the share of (P,) prompts that the model solves with probability >= tau, all in [0, 1].

    For known rates p: integral over tau of k (1-tau)^(k-1) Cover@tau = mean of 1 - (1-p)^k. For estimated rates c/n
    that integral is the plug-in pass@k, which is biased downwards.

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

    Raises:
        PolychromicError: H = 0, not a matrix of booleans, or k.
    """
    m = np.asarray(matches)
    if m.ndim != 2 or m.shape[1] == 0 or not ((m == 0) | (m == 1)).all():
        raise PolychromicError(
            f"human_recall@k: got shape {m.shape}. Allowed: booleans (n drafts, H >= 1 human replies). Hold out human replies."
        )
    return float(chances(len(m), k)[(m != 0).sum(axis=0)].mean())
