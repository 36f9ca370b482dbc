"""Tests about more than one pair: adjusted p-values of a declared family, and a trend over levels.

Arrays as in polychromic.compare.stats. Nothing here draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats as st
from statsmodels.stats.multitest import multipletests

from polychromic.base.errors import PolychromicError
from polychromic.compare.stats import check_scores, snap


@dataclass(frozen=True)
class Trend:
    """Page's test that scores rise with the level: L, one-sided p, level means in ascending order of level, their Kendall tau-b."""

    page_l: float
    p: float
    means: tuple[float, ...]
    kendall_tau: float | None


def _p_values(pvalues: ArrayLike) -> np.ndarray:
    p = np.asarray(pvalues, dtype=np.float64)
    if p.ndim != 1 or len(p) == 0 or not ((p >= 0) & (p <= 1)).all():
        raise PolychromicError(f"p-values: got {p.tolist()}. Allowed: one or more in [0, 1]. Leave out tests that have no p-value.")
    return p


def holm(pvalues: ArrayLike) -> np.ndarray:
    """Holm-adjusted p-values of one declared family, in the order given; reject those <= alpha (family-wise error)."""
    return multipletests(_p_values(pvalues), method="holm")[1]


def benjamini_hochberg(pvalues: ArrayLike) -> np.ndarray:
    """Benjamini-Hochberg (1995) adjusted p-values, in the order given; reject those <= alpha (false discovery rate)."""
    return multipletests(_p_values(pvalues), method="fdr_bh")[1]


def trend_test(levels: Sequence[float], values: ArrayLike) -> Trend:
    """Do scores rise with the level (lambda, temperature)? Page's (1963) test, prompts as blocks, one-sided.

    Levels are ranked within each prompt, so differences between prompts do not matter and only the order of levels counts.
    For a fall, negate the values. Ties make the p-value conservative (scipy corrects for none): all equal gives about .5.

    Args:
        levels: K >= 3 different levels, in any order.
        values: (K, P) scores averaged over seeds; row k belongs to levels[k].

    Raises:
        PolychromicError: fewer than 3 levels, equal ones, shapes that do not fit, fewer than 2 prompts, not finite.
    """
    x = check_scores(values, "trend_test")
    if len(levels) < 3 or len(set(levels)) < len(levels) or x.shape[0] != len(levels):
        raise PolychromicError(
            f"trend_test: got levels {list(levels)}, values {x.shape}. Allowed: 3 or more different levels, (levels, prompts). Add levels."
        )
    x = snap(x[np.argsort(levels)], float(np.abs(x).max()))
    means = x.mean(axis=1)
    result = st.page_trend_test(x.T)
    tau = None if np.ptp(means) == 0 else float(st.kendalltau(np.arange(len(means)), means).statistic)
    return Trend(float(result.statistic), float(result.pvalue), tuple(means.tolist()), tau)
