"""Set objectives: f(S) in [0, 1] for a set S of N replies to one prompt. Pure functions of arrays, no model.

Every objective takes the same three arrays and is symmetric in the replies:

    q     (B, N)     quality of each reply, in [0, 1]
    s     (B, N, N)  similarity of each pair, in [0, 1], s_ii = 1, symmetric
    keep  (N,)       which replies stand in the set; the divisor stays that of the full set

`keep` is what makes one estimator serve all of them: f(all) - f(all but i) is reply i's marginal
contribution (polychromic/method/advantages.py). A new objective is one function and one line in OBJECTIVES,
or in SUBSET_OBJECTIVES where it also takes the size of the subsets that it averages over.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
SetObjective = Callable[[Array, Array, Mask], Array]

MAX_SUBSETS = 20_000  # all subsets of a set are held in memory at once; C(16, 8) = 12,870


def effective_coverage(q: Array, s: Array, keep: Mask) -> Array:
    """(1/N) * sum_i q_i / sum_j q_j s_ij over kept replies; a reply with q_i = 0 counts 0.

    1/N times the similarity-sensitive diversity of order 0 (Leinster and Cobbold 2012, eq. 1, with
    weights q) of the good replies. With q and s in {0, 1} it is exactly "distinct valid replies among N" / N.

    Where s tells only same from different (an equivalence), one more good reply never lowers it. With graded s it may: it is not
    monotone. Two replies that have nothing in common (s = 0) cover 2; a third, good one that is half like each (s = .5) crowds both
    and leaves 2 / 1.5 + 1 / 2 = 11/6. That is the smallest example: a second reply never lowers it, 2 / (1 + s) >= 1. So a reply's
    marginal contribution may be negative although it is good.

    Returns: (B,) in [0, 1].
    """
    q = q * keep
    crowd = np.einsum("bij,bj->bi", s, q)  # (B, N) how much good mass stands at reply i, itself included
    good = q > 0
    return np.divide(q, crowd, out=np.zeros_like(q), where=good).sum(axis=-1) / q.shape[-1]


def plain_diversity(q: Array, s: Array, keep: Mask) -> Array:
    """Mean of 1 - s_ij over the ordered pairs i != j of the full set; pairs that are not kept count 0. q is not used.

    The "L = L_quality - lambda * D" of the published implementation, which there has no gradient.

    Returns: (B,) in [0, 1]. Raises ValueError for N = 1, which has no pair.
    """
    return gated_pairs(np.ones_like(q), s, keep)


def gated_pairs(q: Array, s: Array, keep: Mask) -> Array:
    """Mean of q_i q_j (1 - s_ij) over the ordered pairs i != j: a pair counts as far as both are good and they differ.

    Returns: (B,) in [0, 1]. Raises ValueError for N = 1, which has no pair.
    """
    n = q.shape[-1]
    if n < 2:
        raise ValueError(f"an objective over pairs needs N >= 2 replies, got {n}")
    q = q * keep
    pairs = q[:, :, None] * q[:, None, :] * (1.0 - s)
    return np.where(np.eye(n, dtype=bool), 0.0, pairs).sum(axis=(-2, -1)) / (n * (n - 1))


def mean_reward(q: Array, s: Array, keep: Mask) -> Array:
    """Mean of q: plain expected reward, whose gradient is that of REINFORCE. s is not used. Returns: (B,) in [0, 1]."""
    return (q * keep).sum(axis=-1) / q.shape[-1]


def pass_at_k(q: Array, s: Array, keep: Mask, k: int) -> Array:
    """Mean over the k-subsets of 1 - prod_i (1 - q_i): the chance that one of k drafts passes, if q_i is i's own chance.

    For q in {0, 1} the unbiased pass@k, 1 - C(N - c, k) / C(N, k) (PKPO, arXiv 2505.15201). s is not used.

    Args: k, size of the subsets, 1..N. Subsets with a dropped reply count 0.
    Returns: (B,) in [0, 1]. Raises ValueError for k > N.
    """
    members, divisor = _subsets(q.shape[-1], k, keep)
    return (1.0 - (1.0 - q[:, members]).prod(axis=-1)).sum(axis=-1) / divisor


def poly_epo(q: Array, s: Array, keep: Mask, size: int) -> Array:
    """Mean over the subsets of the given size of (mean q) * (distinct share), both of the subset (Poly-EPO, arXiv 2604.17654).

    Distinct share: (1/n) * sum_i 1 / sum_j s_ij within the subset of n, 1/n times its diversity of order 0; with
    s in {0, 1} "distinct replies" / n. Unlike coverage, a poor reply that differs earns as much variety as a good one.

    Args: size n of the subsets, 1..N. Subsets with a dropped reply count 0.
    Returns: (B,) in [0, 1]. Raises ValueError for n > N.
    """
    members, divisor = _subsets(q.shape[-1], size, keep)
    within = s[:, members[:, :, None], members[:, None, :]]  # (B, subsets, n, n)
    distinct = (1.0 / within.sum(axis=-1)).mean(axis=-1)
    return (q[:, members].mean(axis=-1) * distinct).sum(axis=-1) / divisor


def reward_plus_diversity(q: Array, s: Array, keep: Mask) -> Array:
    """Half of mean q plus half of the mean of 1 - s_ij over pairs: variety beside quality, not of what is good.

    SetPO (arXiv 2602.01062) without its division by the group's standard deviation: a reply's advantage is its reward relative to
    the group plus its leave-one-out share of the set's diversity, which is baseline leave_one_out of this sum.

    Returns: (B,) in [0, 1]. Raises ValueError for N = 1, which has no pair.
    """
    return 0.5 * (mean_reward(q, s, keep) + plain_diversity(q, s, keep))


def diverse_reward(q: Array, s: Array, keep: Mask) -> Array:
    """Mean of q_i (1 - s_ij) over the ordered pairs i != j: each reply's quality times the share of the others that differ from it.

    The reward of DARLING (arXiv 2509.02534), which credits a reply with its own term alone: baseline `own`. The other baselines
    give the gradient of the whole, in which a reply is also credited with how it sets the others apart.

    Returns: (B,) in [0, 1]. Raises ValueError for N = 1, which has no pair.
    """
    n = q.shape[-1]
    if n < 2:
        raise ValueError(f"an objective over pairs needs N >= 2 replies, got {n}")
    differ = ((1.0 - s) * keep).sum(axis=-1) / (n - 1)
    return (q * keep * differ).sum(axis=-1) / n


OBJECTIVES: dict[str, SetObjective] = {
    "coverage": effective_coverage,
    "plain": plain_diversity,
    "gated": gated_pairs,
    "reward": mean_reward,
    "setpo": reward_plus_diversity,
    "darling": diverse_reward,
}
SUBSET_OBJECTIVES: dict[str, Callable[[int], SetObjective]] = {
    "passk": lambda size: partial(pass_at_k, k=size),
    "poly_epo": lambda size: partial(poly_epo, size=size),
}


def make_objective(name: str, n: int, subset: int | None = None) -> SetObjective:
    """The set objective of that name for sets of n replies, so that what cannot be trained is refused before training.

    Args:
        name: a key of OBJECTIVES or SUBSET_OBJECTIVES.
        n: replies per set, N >= 2.
        subset: size of the subsets of passk (1..N) and poly_epo (2..N-1: with N the only subset is the whole set, all replies share one
            advantage, and the centred gradient is zero); None for the others.

    Raises ValueError: an unknown name, N < 2, or a subset size that is missing, superfluous or out of range.
    """
    if name not in OBJECTIVES and name not in SUBSET_OBJECTIVES:
        raise ValueError(f"set objective is {name!r}; allowed: {', '.join([*OBJECTIVES, *SUBSET_OBJECTIVES])}.")
    if n < 2:
        raise ValueError(f"set objective {name} has N = {n} replies per set; a set needs N >= 2. Raise n.")
    if name in OBJECTIVES:
        if subset is not None:
            raise ValueError(f"set objective {name} takes no subset, got {subset}; only {', '.join(SUBSET_OBJECTIVES)} do. Remove it.")
        return OBJECTIVES[name]
    low, high = (1, n) if name == "passk" else (2, n - 1)
    if subset is None or not low <= subset <= high or comb(n, subset) > MAX_SUBSETS:
        raise ValueError(
            f"set objective {name} has subset = {subset} for sets of N = {n} replies; allowed: {low} to {high}, with at most "
            f"{MAX_SUBSETS:,} subsets of that size. Change subset or n."
        )
    return SUBSET_OBJECTIVES[name](subset)


def evaluate(objective: SetObjective, q: Array, s: Array) -> Array:
    """f of the whole set, (B,)."""
    return objective(q, s, np.ones(q.shape[1], dtype=bool))


def _subsets(n: int, size: int, keep: Mask) -> tuple[NDArray[np.intp], int]:
    """Kept members (subsets, size) of the subsets that lost nobody, and C(n, size), the divisor of the full set."""
    if size > n:
        raise ValueError(f"an objective over subsets of {size} needs at least {size} replies, got {n}")
    members = _all_subsets(n, size)
    return members[keep[members].all(axis=-1)], len(members)


@lru_cache(maxsize=32)
def _all_subsets(n: int, size: int) -> NDArray[np.intp]:
    return np.array(list(combinations(range(n), size)), dtype=np.intp)
