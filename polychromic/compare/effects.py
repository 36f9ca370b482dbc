"""Effect sizes and robust means of scores, each a function of arrays. Nothing here draws.

What polychromic.compare.stats reports beside an interval, and what a reader may ask of scores of their own.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats as st

from polychromic.base.errors import PolychromicError


def mann_whitney(x: ArrayLike, y: ArrayLike) -> tuple[float, float, float]:
    """(U of x, two-sided p, Cliff's delta = 2U/(nm) - 1) of two samples (n,), (m,); p = 1 when all values are equal."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    result = st.mannwhitneyu(x, y, alternative="two-sided")
    p = 1.0 if np.ptp(np.concatenate([x, y])) == 0 else float(result.pvalue)
    return float(result.statistic), p, float(2 * result.statistic / (len(x) * len(y)) - 1)


def iqm(x: ArrayLike) -> float:
    """Interquartile mean of (..., ) scores, all pooled: the mean of the middle half (Agarwal et al. 2021, 2108.13264).

    Raises:
        PolychromicError: no score, or one that is not finite.
    """
    x = np.asarray(x, dtype=np.float64).ravel()
    if len(x) == 0 or not np.isfinite(x).all():
        raise PolychromicError(f"iqm: got {len(x)} scores, {int((~np.isfinite(x)).sum())} not finite. Allowed: 1 or more finite scores.")
    return float(st.trim_mean(x, 0.25))


def probability_of_improvement(a: ArrayLike, b: ArrayLike) -> float:
    """Share of prompts on which a (P,) is above b (P,), ties counting half: pairs of the same prompt, unlike Cliff's delta."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return float(np.mean((a > b) + 0.5 * (a == b)))


def hedges_j(df: int) -> float:
    """Hedges' (1981) exact small-sample factor J(df) = G(df/2) / (sqrt(df/2) G((df-1)/2)), df >= 2; towards 1."""
    if df < 2:
        raise PolychromicError(f"hedges_j: got df = {df}. Allowed: 2 or more. Use more prompts.")
    return math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)
