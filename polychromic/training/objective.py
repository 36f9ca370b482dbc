"""Set objectives: f(S) in [0, 1] for a set S of N replies to one prompt. Pure functions of arrays, no model.

Every objective takes the same three arrays and is symmetric in the replies:

    q     (B, N)     quality of each reply, in [0, 1]
    s     (B, N, N)  similarity of each pair, in [0, 1], s_ii = 1, symmetric
    keep  (N,)       which replies stand in the set; the divisor stays that of the full set

`keep` is what makes one estimator serve all of them: f(all) - f(all but i) is reply i's marginal
contribution (polychromic/training/advantages.py). A new objective is one function and one line in OBJECTIVES.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SetObjective = Callable[[Array, Array, NDArray[np.bool_]], Array]


def effective_coverage(q: Array, s: Array, keep: NDArray[np.bool_]) -> Array:
    """(1/N) * sum_i q_i / sum_j q_j s_ij over kept replies; a reply with q_i = 0 counts 0.

    1/N times the similarity-sensitive diversity of order 0 (Leinster and Cobbold 2012, eq. 1, with
    weights q) of the good replies. With q and s in {0, 1} it is exactly "distinct valid replies among N" / N.

    Returns: (B,) in [0, 1].
    """
    q = q * keep
    crowd = np.einsum("bij,bj->bi", s, q)  # (B, N) how much good mass stands at reply i, itself included
    good = q > 0
    return np.divide(q, crowd, out=np.zeros_like(q), where=good).sum(axis=-1) / q.shape[-1]


def plain_diversity(q: Array, s: Array, keep: NDArray[np.bool_]) -> Array:
    """Mean of 1 - s_ij over the ordered pairs i != j of the full set; pairs that are not kept count 0. q is not used.

    The "L = L_quality - lambda * D" of the published implementation, which there has no gradient.

    Returns: (B,) in [0, 1].
    """
    n = s.shape[-1]
    pairs = np.outer(keep, keep) & ~np.eye(n, dtype=bool)
    return ((1.0 - s) * pairs).sum(axis=(-2, -1)) / (n * (n - 1))


OBJECTIVES: dict[str, SetObjective] = {"coverage": effective_coverage, "plain": plain_diversity}


def evaluate(objective: SetObjective, q: Array, s: Array) -> Array:
    """f of the whole set, (B,). Raises ValueError for arrays of the wrong shape or outside [0, 1]."""
    b, n = q.shape
    if n < 2:
        raise ValueError(f"a set objective needs N >= 2 replies per prompt, got {n}")
    if s.shape != (b, n, n):
        raise ValueError(f"similarity has shape {s.shape}, expected {(b, n, n)}")
    for name, array in (("quality", q), ("similarity", s)):
        if not ((array >= 0) & (array <= 1)).all():  # also false for NaN
            raise ValueError(f"{name} must lie in [0, 1], got a range of [{array.min()}, {array.max()}]")
    return objective(q, s, np.ones(n, dtype=bool))
