"""Pass@k and its relatives: what a person gets who draws k of n samples without replacement.

In all of them n is the number of samples drawn for the prompt, c how many of them pass, k how many a person looks at; not 1 <= k <= n is
a PolychromicError. All values are for one prompt and lie in [0, 1] unless stated; averages over prompts are the caller's. Draw n >= 2k
samples for estimates with a usable variance. Nothing here decides what passes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from polychromic.base.errors import PolychromicError


@lru_cache(maxsize=1 << 14)
def pass_at_k(n: int, c: int, k: int) -> float:
    """1 - C(n-c, k) / C(n, k), unbiased for P(some of k passes) (Chen et al. 2021, 2107.03374, eq. 1)."""
    from scipy.stats import hypergeom  # scipy.stats takes a second to import, which a refused command must not wait for

    if not 1 <= k <= n:
        raise PolychromicError(f"k: got k = {k} with n = {n} samples of the prompt. Allowed: 1 <= k <= n. Lower k, or draw more samples.")
    return float(hypergeom.sf(0, n, c, k))


@lru_cache(maxsize=1 << 10)
def chances(n: int, k: int) -> np.ndarray:
    """(n + 1,) pass@k of c = 0, 1, ..., n passing samples of n: the table by which many prompts are scored at once."""
    table = np.array([pass_at_k(n, c, k) for c in range(n + 1)])
    table.setflags(write=False)
    return table


def pass_hat_k(n: int, c: int, k: int) -> float:
    """C(c, k) / C(n, k), unbiased for P(all of k pass) (pass^k, Yao et al. 2024, 2406.12045)."""
    from scipy.stats import hypergeom

    return float(hypergeom.pmf(k, n, c, k))


def distinct_at_k(answers: Sequence[Hashable | None], k: int) -> float:
    """Expected number of distinct answers among k of the n normalised ones, in [0, k]; None, an invalid answer, is not counted.

    The sum over distinct answers a, drawn c_a times, of 1 - C(n - c_a, k) / C(n, k): a U-statistic, hence unbiased.
    """
    counts = Counter(answer for answer in answers if answer is not None)
    # sorted, so that the sum does not depend on the order of the samples
    return sum(pass_at_k(len(answers), c, k) for c in sorted(counts.values()))


def best_at_k(scores: ArrayLike, k: int) -> float:
    """Expected best score among k of the (n,) scores, in their unit: sum_j x_(j) C(j-1, k-1) / C(n, k), x_(1) <= ... <= x_(n)."""
    from scipy.stats import hypergeom

    x = np.sort(np.asarray(scores, dtype=np.float64))
    # P(the k drawn all rank <= j) = C(j, k) / C(n, k); its increments are the weights above.
    at_most = hypergeom.pmf(k, len(x), np.arange(1, len(x) + 1), k)
    return float(x @ np.diff(at_most, prepend=0.0))


def cover_at_tau(rates: ArrayLike, tau: float) -> float:
    """Cover@tau: the share of (P,) prompts that the model solves with probability >= tau, all in [0, 1].

    For known rates p: integral over tau of k (1-tau)^(k-1) Cover@tau = mean of 1 - (1-p)^k. For estimated rates c/n
    that integral is the plug-in pass@k, which is biased downwards.
    """
    return float(np.mean(np.asarray(rates, dtype=np.float64) >= tau))


def human_recall_at_k(matches: ArrayLike, k: int) -> float:
    """Expected share of a prompt's H >= 1 held-out human replies that k of the n drafts match.

    matches: (n, H) booleans, draft i matches human reply h.
    """
    m = np.asarray(matches)
    return float(chances(len(m), k)[m.sum(axis=0)].mean())
