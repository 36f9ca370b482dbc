"""Statistics over per-prompt scores: arrays (S, P), S seeds by P prompts, the same prompts for every system and seed.

Estimand of every contrast: the mean over the declared seeds and the population of prompts that these P stand for. Seeds are
fixed, so intervals and p-values are over prompts, paired; the seed-level t is a sensitivity analysis, since a few seeds carry
no claim about random seeds. This module draws from the given numpy Generator alone and never sees samples or text. Contrasts at
matched quality: polychromic.compare.matched; tests over more than one pair: polychromic.compare.families.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats as st

from polychromic.base.errors import PolychromicError
from polychromic.compare.effects import hedges_j, mann_whitney, probability_of_improvement
from polychromic.compare.power import minimum_detectable_effect

EXACT_PROMPTS = 16  # 2^16 sign patterns are all tried; above it they are drawn
_CHUNK = 1 << 21  # numbers held at once while resampling: 16 MB


@dataclass(frozen=True)
class MeanCI:
    """A system's mean with its bootstrap interval over prompts, in the metric's unit."""

    mean: float
    low: float
    high: float
    confidence: float
    by_seed: tuple[float, ...]
    n_prompts: int


@dataclass(frozen=True)
class Contrast:
    """System a against system b on one metric, per-prompt scores paired; positive when a is higher.

    Attributes:
        delta: mean(a) - mean(b) over seeds and prompts, in the metric's unit.
        low, high: bootstrap interval of delta over prompts, at level `confidence`.
        p_permutation: two-sided sign-flip test of the prompts' differences; exact when `permutation_exact`.
        p_wilcoxon: two-sided signed-rank test of the differences (zeros dropped).
        p_mannwhitney: two-sided rank-sum test; ignores the pairing, secondary.
        d_z: delta / sd of the differences (paired); None when they are all equal and not 0 (infinite).
        cohen_d: delta / root mean variance of a's and b's prompts; None when both do not vary and differ.
        hedges_g: cohen_d with Hedges' correction J(2P - 2).
        cliffs_delta: P(a > b) - P(a < b) over all pairs of prompts, in [-1, 1].
        delta_by_seed: seed s of a minus seed s of b; with unequal numbers of seeds, each seed of the side that has more
            against the other side's mean.
        p_seed_t: two-sided one-sample t of delta_by_seed, df = S - 1; None for one seed, or for equal ones that are not 0.
        p_improvement: share of prompts on which a is above b, ties counting half.
        mde: minimum detectable effect: the difference that a test over these prompts finds four times out of five
            (power.minimum_detectable_effect of the differences' sd).
    """

    delta: float
    low: float
    high: float
    confidence: float
    p_permutation: float
    permutation_exact: bool
    p_wilcoxon: float
    p_mannwhitney: float
    d_z: float | None
    cohen_d: float | None
    hedges_g: float | None
    cliffs_delta: float
    p_improvement: float
    delta_by_seed: tuple[float, ...]
    p_seed_t: float | None
    mde: float
    n_prompts: int
    n_seeds_a: int
    n_seeds_b: int


def check_scores(x: ArrayLike, name: str) -> np.ndarray:
    """(S, P) float64, checked."""
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2 or x.shape[0] < 1:
        raise PolychromicError(f"{name}: got shape {x.shape}. Allowed: (seeds, prompts). Stack one row of per-prompt scores per seed.")
    if x.shape[1] < 2:
        raise PolychromicError(f"{name}: got {x.shape[1]} prompts. Allowed: 2 or more. One prompt has no spread to infer from; score more.")
    if not np.isfinite(x).all():
        seed, prompt = np.argwhere(~np.isfinite(x))[0]
        raise PolychromicError(
            f"{name}: got {x[seed, prompt]} at seed row {seed}, prompt {prompt}. Allowed: finite scores. Find out why it has no score."
        )
    return x


def check_same_prompts(a: np.ndarray, b: np.ndarray, name: str) -> None:
    if a.shape[1] != b.shape[1]:
        raise PolychromicError(
            f"{name}: got {a.shape[1]} and {b.shape[1]} prompts. Allowed: the same prompts, in the same order. Align by prompt id."
        )


def check_level(confidence: float, **counts: int) -> None:
    if not 0 < confidence < 1:
        raise PolychromicError(f"confidence: got {confidence}. Allowed: between 0 and 1. Use 0.95.")
    for name, count in counts.items():
        if count < 1:
            raise PolychromicError(f"{name}: got {count}. Allowed: 1 or more. Use 10000.")


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


def _interval(x: np.ndarray, rng: np.random.Generator, n_boot: int, confidence: float, method: str) -> tuple[float, float]:
    """Bootstrap interval of the mean of x (P,)."""
    if np.ptp(x) == 0:
        return float(x[0]), float(x[0])
    if method == "bca":
        result = st.bootstrap(
            (x,), np.mean, n_resamples=n_boot, confidence_level=confidence, method="BCa", rng=rng, batch=max(1, _CHUNK // len(x))
        )
        return float(result.confidence_interval.low), float(result.confidence_interval.high)
    if method != "percentile":
        raise PolychromicError(f"method: got {method!r}. Allowed: 'percentile', 'bca'. Use one of them.")
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled_means(x[:, None], rng, n_boot)[:, 0], [tail, 1 - tail])
    return float(low), float(high)


def mean_cis(
    scores: Mapping[str, ArrayLike], rng: np.random.Generator, n_boot: int = 10_000, confidence: float = 0.95
) -> dict[str, MeanCI]:
    """Means over seeds and prompts, with percentile bootstrap intervals over prompts: the same resamples for all metrics.

    Args:
        scores: metric -> (S, P), all of the same shape.

    Raises:
        PolychromicError: fewer than 2 prompts, unequal numbers of prompts, a score that is not finite, a bad level.
    """
    arrays = {name: check_scores(x, name) for name, x in scores.items()}
    check_level(confidence, n_boot=n_boot)
    first = next(iter(arrays.values()))
    for name, x in arrays.items():
        check_same_prompts(first, x, name)
    columns = np.stack([x.mean(axis=0) for x in arrays.values()], axis=1)  # (P, metrics)
    tail = (1 - confidence) / 2
    lows, highs = np.quantile(resampled_means(columns, rng, n_boot), [tail, 1 - tail], axis=0)
    found = {}
    for (name, x), column, low, high in zip(arrays.items(), columns.T, lows, highs, strict=True):
        if np.ptp(column) == 0:
            low = high = column[0]  # resampling leaves rounding
        found[name] = MeanCI(float(x.mean()), float(low), float(high), confidence, tuple(x.mean(axis=1).tolist()), x.shape[1])
    return found


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


def _ratio(mean: float, sd: float) -> float | None:
    """mean / sd; 0 when the mean is 0, None where it would be infinite."""
    if mean == 0:
        return 0.0
    return mean / sd if sd > 0 else None


def paired_contrast(
    a: ArrayLike,
    b: ArrayLike,
    rng: np.random.Generator,
    n_boot: int = 10_000,
    n_perm: int = 10_000,
    confidence: float = 0.95,
    method: Literal["percentile", "bca"] = "percentile",
) -> Contrast:
    """Compare per-prompt scores a (S_a, P) with b (S_b, P) of the same prompts; see `Contrast` for what comes back.

    Differences below 1e-12 of the largest score are 0, and such ties are ties. All differences 0: every p is 1, d_z is 0.

    Args:
        a, b: scores; column p is the same prompt in both.
        rng: draws the bootstrap first, then the permutations.
        n_boot, n_perm: resamples and drawn sign patterns.
        confidence: level of the interval.
        method: "percentile", or "bca" (scipy).

    Raises:
        PolychromicError: unequal numbers of prompts, fewer than 2 prompts, a score that is not finite, a bad level.
    """
    a, b = check_scores(a, "contrast, a"), check_scores(b, "contrast, b")
    check_same_prompts(a, b, "contrast")
    check_level(confidence, n_boot=n_boot, n_perm=n_perm)
    scale = float(max(np.abs(a).max(), np.abs(b).max()))
    mean_a, mean_b = snap(a.mean(axis=0), scale), snap(b.mean(axis=0), scale)  # (P,)
    d = snap(mean_a - mean_b, scale)
    delta = float(d.mean())
    low, high = _interval(d, rng, n_boot, confidence, method)
    p_permutation, exact = sign_flip(d, rng, n_perm)
    _, p_mannwhitney, cliffs_delta = mann_whitney(mean_a, mean_b)
    cohen_d = _ratio(delta, _sd(mean_a, mean_b))

    if a.shape[0] >= b.shape[0]:
        by_seed = a.mean(axis=1) - (b.mean(axis=1) if a.shape[0] == b.shape[0] else b.mean())
    else:
        by_seed = a.mean() - b.mean(axis=1)
    by_seed = snap(by_seed, scale)

    return Contrast(
        delta=delta,
        low=low,
        high=high,
        confidence=confidence,
        p_permutation=p_permutation,
        permutation_exact=exact,
        p_wilcoxon=float(st.wilcoxon(d).pvalue) if d.any() else 1.0,
        p_mannwhitney=p_mannwhitney,
        d_z=_ratio(delta, _sd(d)),
        cohen_d=cohen_d,
        hedges_g=None if cohen_d is None else cohen_d * hedges_j(2 * len(d) - 2),
        cliffs_delta=cliffs_delta,
        p_improvement=probability_of_improvement(mean_a, mean_b),
        delta_by_seed=tuple(by_seed.tolist()),
        p_seed_t=_seed_t(by_seed),
        mde=minimum_detectable_effect(_sd(d), len(d), alpha=1 - confidence),
        n_prompts=len(d),
        n_seeds_a=a.shape[0],
        n_seeds_b=b.shape[0],
    )


def _sd(*samples: np.ndarray) -> float:
    """Root of the mean variance (ddof 1); exactly 0 for constant samples, where numpy leaves rounding."""
    return math.sqrt(float(np.mean([x.var(ddof=1) if np.ptp(x) > 0 else 0.0 for x in samples])))


def _seed_t(by_seed: np.ndarray) -> float | None:
    if len(by_seed) < 2:
        return None
    if np.ptp(by_seed) == 0:
        return None if by_seed.any() else 1.0
    return float(st.ttest_1samp(by_seed, 0).pvalue)


def non_inferior(low: float, margin: float) -> bool:
    """True when the interval of a - b excludes a loss of `margin`: low > -margin.

    Args:
        low: lower end of the interval of a metric where higher is better.
        margin: the loss that would matter, >= 0, in the metric's unit (0.03 for 3 points of a share).
    """
    if not margin >= 0 or not math.isfinite(low):
        raise PolychromicError(
            f"non-inferiority: got low = {low}, margin = {margin}. Allowed: finite low, margin >= 0. Give the margin as a loss."
        )
    return low > -margin
