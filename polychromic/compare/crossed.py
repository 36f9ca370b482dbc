"""Seeds and prompts both random, and crossed: the error of any estimate made of means over them, and its t interval.

An estimate is a function of means over (S, P) scores. It is made anew in each resample of the seeds, of the prompts, and of both. The
percentiles of the last would not do: over S seeds they are too close by (S - 1) / S and know nothing of t, while what a cell has for itself
(the sampling of its replies) is counted three times. benchmarks/fronts.py simulates the rule used here, and those it was chosen from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats as st
from scipy.optimize import brentq
from scipy.special import stdtrit

from polychromic.base.errors import PolychromicError

SMALLEST = 1e-30  # p-values below are 0


@dataclass(frozen=True)
class Variances:
    """Variance of an estimate, by what it is due to: seeds alone, prompts alone, and single cells (sampling of replies included).

    n_seeds, n_prompts: the sizes that these belong to; prompts are clusters where prompts were resampled in clusters. One seed: of prompts
    alone, the other two are 0.
    """

    seeds: float
    prompts: float
    cells: float
    n_seeds: int
    n_prompts: int

    @property
    def se(self) -> float:
        """Standard error of the estimate."""
        return math.sqrt(self.seeds + self.prompts + self.cells)

    def at(self, n_seeds: int, n_prompts: int) -> Variances:
        """What a design of other sizes would have: each part falls with the number of what it is due to.

        Raises:
            PolychromicError: fewer than 2 of either.
        """
        if n_seeds < 2 or n_prompts < 2:
            raise PolychromicError(f"design: got {n_seeds} seeds, {n_prompts} prompts. Allowed: 2 or more of each. Add some.")
        s, p = self.n_seeds / n_seeds, self.n_prompts / n_prompts
        return Variances(self.seeds * s, self.prompts * p, self.cells * s * p, n_seeds, n_prompts)

    def half_width(self, alpha: float) -> float:
        """Half the width of the two-sided 1 - alpha interval: sqrt(t_S^2 (seeds + cells) + t_P^2 prompts).

        t_S, t_P: the quantiles of S - 1 and P - 1 degrees of freedom. A few seeds widen what is due to them, and that alone.
        """
        by_seeds, by_prompts = self._quantiles(alpha)
        return math.hypot(by_seeds * math.sqrt(self.seeds + self.cells), by_prompts * math.sqrt(self.prompts))

    def _quantiles(self, alpha: float) -> tuple[float, float]:
        # stdtrit is what scipy.stats.t.isf calls, without a tenth of a millisecond of checks
        return tuple(-float(stdtrit(max(1, size - 1), alpha / 2)) for size in (self.n_seeds, self.n_prompts))

    def p(self, delta: float) -> float:
        """Two-sided p of an estimate `delta` of 0: the alpha whose interval ends at 0. Without any variance 0, or 1 for a delta of 0."""
        if delta == 0 or self.se == 0 or self.half_width(SMALLEST) <= abs(delta):
            return float(delta == 0)
        # over its logarithm, since small alphas differ by orders of magnitude
        return math.exp(brentq(lambda x: self.half_width(math.exp(x)) - abs(delta), math.log(SMALLEST), 0.0, xtol=1e-10))

    def power(self, delta: float, alpha: float = 0.05) -> float:
        """Probability that the two-sided test at level alpha finds a true difference `delta`.

        The estimate is normal, and what S seeds say of their own variance is a chi-square of S - 1: the interval's width is luck, too.
        """
        if self.se == 0:
            return float(delta != 0)
        middles = (np.arange(200) + 0.5) / 200
        degrees = max(1, self.n_seeds - 1)
        luck = st.chi2.ppf(middles, degrees) / degrees
        by_seeds, by_prompts = self._quantiles(alpha)
        half = np.hypot(by_seeds * np.sqrt((self.seeds + self.cells) * luck), by_prompts * math.sqrt(self.prompts))
        return float(np.mean(st.norm.sf((half - delta) / self.se) + st.norm.cdf((-half - delta) / self.se)))

    def detectable(self, power: float = 0.8, alpha: float = 0.05) -> float:
        """The smallest true difference, above 0, that the test at level alpha finds with probability `power`; 0 without any variance.

        Raises:
            PolychromicError: power or alpha outside of (0, 1), or a power of no more than alpha.
        """
        if not 0 < alpha < power < 1:
            raise PolychromicError(f"detectable: got power {power}, alpha {alpha}. Allowed: 0 < alpha < power < 1. Use .8 and .05.")
        if self.se == 0:
            return 0.0
        top = self.se
        while self.power(top, alpha) < power:
            top *= 2
        # a test may find nothing with a little more or less than alpha
        return float(brentq(lambda x: self.power(x, alpha) - power, 0.0, top)) if self.power(0.0, alpha) < power else 0.0


@dataclass(frozen=True)
class Estimate:
    """An estimate, its interval, and its two-sided p, which is below 1 - confidence just when the interval leaves out 0."""

    delta: float
    low: float
    high: float
    p: float
    variances: Variances


def crossed_means(
    scores: np.ndarray, rng: np.random.Generator, n_boot: int, clusters: ArrayLike | None = None
) -> tuple[np.ndarray, tuple[int, int]]:
    """Means (M, 1 + 3 n_boot) of M arrays of scores (M, S, P), and (S, number of clusters), for `estimate`.

    The columns: the means themselves, then n_boot each with seeds resampled, with prompts, and with both, the same draws for all M and
    in all three; `rng` draws prompts, then seeds. With both, a cell counts as often as its seed times its prompt.

    Args:
        clusters: (P,) labels of prompts that belong together, resampled as a whole; a mean stays one over prompts. None: no clusters.

    Raises:
        PolychromicError: a label too many or too few, fewer than 2 clusters.
    """
    _, n_seeds, n_prompts = scores.shape
    labels = np.arange(n_prompts) if clusters is None else np.asarray(clusters)
    kinds, member = np.unique(labels, return_inverse=True)
    if labels.shape != (n_prompts,) or len(kinds) < 2:
        raise PolychromicError(
            f"clusters: got labels of shape {labels.shape}, {len(kinds)} different ones. Allowed: one per prompt ({n_prompts}), 2 or more "
            "different ones. Give None where prompts stand alone."
        )
    sums = scores if clusters is None else scores @ np.eye(len(kinds))[member]  # (M, S, C)
    prompts = rng.multinomial(len(kinds), np.full(len(kinds), 1 / len(kinds)), n_boot).astype(float)  # times drawn
    seeds = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), n_boot) / n_seeds
    flat = sums.reshape(-1, len(kinds)) @ prompts.T / (prompts @ np.bincount(member))
    by_seed = flat.reshape(len(scores), n_seeds, n_boot)
    parts = scores.mean(axis=2) @ seeds.T, by_seed.mean(axis=1), np.einsum("msb,bs->mb", by_seed, seeds)
    return np.concatenate([scores.mean(axis=(1, 2))[:, None], *parts], axis=1), (n_seeds, len(kinds))


def estimate(deltas: np.ndarray, sizes: tuple[int, int], confidence: float = 0.95, fixed: bool = False) -> Estimate:
    """The estimate whose values over the columns of `crossed_means` are `deltas` (1 + 3 n_boot,); NaN where a resample has none.

    Resampling S seeds, or P prompts, has (S - 1) / S, or (P - 1) / P, of their variance. What is beyond both is due
    to cells, and is in each.

    Args:
        fixed: about these seeds alone: of the resamples of prompts only, which know nothing of other seeds.

    Raises:
        PolychromicError: fewer than 2 seeds that are not fixed.
    """
    (n_seeds, n_prompts), delta = sizes, float(deltas[0])
    by_seeds, by_prompts, by_both = (float(np.nanvar(x)) for x in np.split(deltas[1:] - delta, 3))
    by_prompts *= n_prompts / (n_prompts - 1)
    if fixed:
        variances = Variances(0.0, by_prompts, 0.0, 1, n_prompts)
    elif n_seeds < 2:
        raise PolychromicError(f"seeds: got {n_seeds}. Allowed: 2 or more, better 5. One seed says nothing about seeds; train another.")
    else:
        s, p = n_seeds / (n_seeds - 1), n_prompts / (n_prompts - 1)
        cells = (by_both - by_seeds - by_prompts / p) * s * p
        by_seeds *= s
        cells = min(max(cells, 0.0), by_seeds, by_prompts)
        variances = Variances(by_seeds - cells, by_prompts - cells, cells, *sizes)
    half = variances.half_width(1 - confidence)
    return Estimate(delta, delta - half, delta + half, variances.p(delta), variances)
