"""Statistics over per-prompt scores: arrays (S, P), S seeds by P prompts, the same prompts for every system and seed.

Estimand here: the mean over these very seeds and the population of prompts that these P stand for: seeds are fixed, and intervals and
p-values are over prompts, paired. What verdicts rest on has seeds drawn, too: polychromic.compare.crossed. What draws, draws from the
given numpy Generator alone; nothing here sees samples or text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats as st

from polychromic.base.errors import PolychromicError

EXACT_PROMPTS = 16  # 2^16 sign patterns are all tried; above it they are drawn
_CHUNK = 1 << 21  # numbers held at once while resampling: 16 MB


@dataclass(frozen=True)
class MeanCI:
    """A system's mean with its bootstrap interval over prompts, in the metric's unit."""

    mean: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    n_prompts: int


@dataclass(frozen=True)
class Contrast:
    """System a against system b on one metric, per-prompt scores paired; positive when a is higher."""

    delta: float  # mean(a) - mean(b) over seeds and prompts, in the metric's unit
    low: float  # percentile bootstrap interval of delta over prompts, at level `confidence`
    high: float
    confidence: float
    p_permutation: float  # two-sided sign-flip test of the prompts' differences
    permutation_exact: bool
    p_wilcoxon: float  # two-sided signed-rank test of the differences (zeros dropped)
    p_mannwhitney: float  # two-sided rank-sum test; ignores the pairing, secondary
    d_z: float | None  # delta / sd of the differences (paired); None when they are all equal and not 0 (infinite)
    cliffs_delta: float  # P(a > b) - P(a < b) over all pairs of prompts, in [-1, 1]
    delta_by_seed: tuple[float, ...]  # seed by seed; with unequal numbers, each seed of the side with more against the other's mean
    mde: float  # minimum detectable effect: the difference that a test over these prompts finds four times out of five
    n_prompts: int
    n_seeds_a: int
    n_seeds_b: int


def check_scores(scores: Mapping[str, ArrayLike]) -> dict[str, np.ndarray]:
    """name -> (S, P) float64.

    Raises PolychromicError: another shape, fewer than 2 prompts, unequal numbers of prompts, a score that is not finite.
    """
    checked: dict[str, np.ndarray] = {}
    for name, values in scores.items():
        checked[name] = x = np.asarray(values, dtype=np.float64)
        prompts = next(iter(checked.values())).shape[-1]
        if x.ndim != 2 or x.shape[1] < 2 or x.shape[1] != prompts or not np.isfinite(x).all():
            raise PolychromicError(
                f"{name}: got shape {x.shape}, {int((~np.isfinite(x)).sum())} scores not finite. Allowed: finite (seeds, prompts) of 2 or "
                f"more prompts, the same for all (the first has {prompts}). Align by prompt id, and find out what has no score."
            )
    return checked


def snap(x: np.ndarray, scale: float) -> np.ndarray:
    """Round to 12 digits of `scale`, so that ranks and zeros see .3 - .2 and .2 - .1 as the tie that they are."""
    if scale == 0:
        return x
    unit = 10.0 ** (math.ceil(math.log10(scale)) - 12)
    return np.round(x / unit) * unit if unit > 0 else x


def resampled_means(x: np.ndarray, rng: np.random.Generator, n_boot: int) -> np.ndarray:
    """(n_boot, K) means of the columns of x (P, K) over prompts drawn with replacement, the same draw for all columns."""
    size = x.shape[0]
    out = np.empty((n_boot, x.shape[1]))
    for start in range(0, n_boot, step := max(1, _CHUNK // size)):
        rows = min(step, n_boot - start)
        draws = rng.integers(0, size, (rows, size)) + np.arange(rows)[:, None] * size
        counts = np.bincount(draws.ravel(), minlength=rows * size).reshape(rows, size)
        out[start : start + rows] = counts @ x / size
    return out


def _percentile_intervals(x: np.ndarray, rng: np.random.Generator, n_boot: int, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """(K,) lower and upper ends for the means of the columns of x (P, K); resampling a constant column would leave rounding."""
    constant = np.ptp(x, axis=0) == 0
    if constant.all():
        return x[0], x[0]
    tail = (1 - confidence) / 2
    lows, highs = np.quantile(resampled_means(x, rng, n_boot), [tail, 1 - tail], axis=0)
    return np.where(constant, x[0], lows), np.where(constant, x[0], highs)


def mean_cis(
    scores: Mapping[str, ArrayLike], rng: np.random.Generator, n_boot: int = 10_000, confidence: float = 0.95
) -> dict[str, MeanCI]:
    """Means over seeds and prompts, with percentile bootstrap intervals over prompts: the same resamples for all metrics.

    scores: metric -> (S, P), all of the same prompts. Raises PolychromicError as `check_scores`.
    """
    arrays = check_scores(scores)
    columns = np.stack([x.mean(axis=0) for x in arrays.values()], axis=1)  # (P, metrics)
    ends = zip(*_percentile_intervals(columns, rng, n_boot, confidence), strict=True)
    return {
        name: MeanCI(float(x.mean()), float(low), float(high), tuple(x.mean(axis=1).tolist()), x.shape[1])
        for (name, x), (low, high) in zip(arrays.items(), ends, strict=True)
    }


def sign_flip(differences: ArrayLike, rng: np.random.Generator, n_perm: int = 10_000) -> tuple[float, bool]:
    """Two-sided sign-flip (paired permutation) test of the mean of (P,) differences: (p, exact).

    Exact over all 2^P patterns for P <= EXACT_PROMPTS; else (1 + count) / (1 + n_perm) over drawn patterns (Phipson and Smyth
    2010, 1603.05766: p is never 0). All differences 0: p = 1.
    """
    d = np.asarray(differences, dtype=np.float64)
    size = len(d)
    # patterns that tie with the data must count, whatever the order of summation
    observed = abs(d.sum()) - 1e-12 * np.abs(d).sum()
    if size <= EXACT_PROMPTS:
        signs = ((np.arange(2**size)[:, None] >> np.arange(size)) & 1) * 2.0 - 1
        return float(np.mean(np.abs(signs @ d) >= observed)), True
    count = 0
    for start in range(0, n_perm, step := max(1, _CHUNK // size)):
        signs = rng.integers(0, 2, (min(step, n_perm - start), size), dtype=np.int8) * 2.0 - 1
        count += int((np.abs(signs @ d) >= observed).sum())
    return (1 + count) / (1 + n_perm), False


def paired_contrast(
    a: ArrayLike, b: ArrayLike, rng: np.random.Generator, n_boot: int = 10_000, n_perm: int = 10_000, confidence: float = 0.95
) -> Contrast:
    """Compare per-prompt scores a (S_a, P) with b (S_b, P) of the same prompts; see `Contrast` for what comes back.

    Differences below 1e-12 of the largest score are 0, and such ties are ties. All differences 0: every p is 1, d_z is 0. `rng` draws
    the `n_boot` resamples first, then the `n_perm` sign patterns. Raises PolychromicError as `check_scores`.
    """
    a, b = check_scores({"contrast, a": a, "contrast, b": b}).values()
    scale = float(max(np.abs(a).max(), np.abs(b).max()))
    mean_a, mean_b = snap(a.mean(axis=0), scale), snap(b.mean(axis=0), scale)  # (P,)
    d = snap(mean_a - mean_b, scale)
    delta, sd = float(d.mean()), float(d.std(ddof=1)) if np.ptp(d) > 0 else 0.0  # numpy's of constant differences is rounding
    (low,), (high,) = _percentile_intervals(d[:, None], rng, n_boot, confidence)
    p_permutation, exact = sign_flip(d, rng, n_perm)
    ranks = st.mannwhitneyu(mean_a, mean_b, alternative="two-sided")
    if a.shape[0] >= b.shape[0]:
        by_seed = a.mean(axis=1) - (b.mean(axis=1) if a.shape[0] == b.shape[0] else b.mean())
    else:
        by_seed = a.mean() - b.mean(axis=1)
    return Contrast(
        delta=delta,
        low=float(low),
        high=float(high),
        confidence=confidence,
        p_permutation=p_permutation,
        permutation_exact=exact,
        p_wilcoxon=float(st.wilcoxon(d).pvalue) if d.any() else 1.0,
        p_mannwhitney=1.0 if np.ptp([mean_a, mean_b]) == 0 else float(ranks.pvalue),
        d_z=delta / sd if sd > 0 else None if delta else 0.0,
        cliffs_delta=float(2 * ranks.statistic / len(d) ** 2 - 1),
        delta_by_seed=tuple(snap(by_seed, scale).tolist()),
        mde=minimum_detectable_effect(sd, len(d), alpha=1 - confidence),
        n_prompts=len(d),
        n_seeds_a=a.shape[0],
        n_seeds_b=b.shape[0],
    )


def minimum_detectable_effect(sd: float, prompts: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """The difference that a two-sided paired test over P prompts finds with probability `power`, in sd's unit.

    (z_{1 - alpha/2} + z_power) sd / sqrt(P), the normal approximation; at power .5 it is the half-width of the interval.

    Args:
        sd: standard deviation over prompts of the paired differences, measured or planned.
        power: in [.5, 1); below that the other tail, which is left out here, would matter. alpha: level of the test, in (0, 1).
    """
    return float((st.norm.isf(alpha / 2) + st.norm.ppf(power)) * sd / math.sqrt(prompts))


def holm(pvalues: Sequence[float]) -> np.ndarray:
    """Holm-adjusted p-values of one declared family, in the order given; reject those <= alpha (family-wise error)."""
    from statsmodels.stats.multitest import multipletests  # most of a second, which an evaluation without contrasts need not wait for

    return multipletests(pvalues, method="holm")[1]


def benjamini_hochberg(pvalues: Sequence[float]) -> np.ndarray:
    """Benjamini-Hochberg (1995) adjusted p-values, in the order given; reject those <= alpha (false discovery rate)."""
    from statsmodels.stats.multitest import multipletests

    return multipletests(pvalues, method="fdr_bh")[1]


def trend_test(levels: Sequence[float], values: ArrayLike) -> dict[str, Any]:
    """Do scores rise with the level (lambda, temperature)? Page's (1963) test, prompts as blocks, one-sided.

    Levels are ranked within each prompt, so differences between prompts do not matter and only the order of levels counts.
    For a fall, negate the values. Ties make the p-value conservative (scipy corrects for none): all equal gives about .5.

    levels: K >= 3 different ones, in any order. values: (K, P) scores averaged over seeds; row k belongs to levels[k].

    Returns {"page_l": L, "p": one-sided, "means": of the levels in ascending order, "kendall_tau": tau-b of the means, None where all are
    equal}.
    """
    x = np.asarray(values, dtype=np.float64)
    x = snap(x[np.argsort(levels)], float(np.abs(x).max()))
    means = x.mean(axis=1)
    result = st.page_trend_test(x.T)
    tau = None if np.ptp(means) == 0 else float(st.kendalltau(np.arange(len(means)), means).statistic)
    return {"page_l": float(result.statistic), "p": float(result.pvalue), "means": means.tolist(), "kendall_tau": tau}
