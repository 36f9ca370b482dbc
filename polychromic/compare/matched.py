"""Quality-diversity frontiers over temperature, and a system against another one's frontier at the quality that the first has.

Both axes are maximised. Fronts and hypervolume are descriptive: they are maxima, and the maximum of noisy points is biased upwards. Which
temperatures stand on the frontier of a contrast is the caller's choice, made on dev. Arrays and seeds as in polychromic.compare.stats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from polychromic.compare.stats import check_scores, minimum_detectable_effect, resampled_means, snap


def pareto_front(points: ArrayLike) -> np.ndarray:
    """Indices, ascending, of the (n, 2) points that no other one beats (at least as good in both, better in one).

    Equal points stand or fall together.
    """
    p = np.asarray(points, dtype=np.float64)
    beaten = (p >= p[:, None]).all(axis=2) & (p > p[:, None]).any(axis=2)  # (point, by which)
    return np.flatnonzero(~beaten.any(axis=1))


def hypervolume(points: ArrayLike) -> float:
    """Area that the (n, 2) points, none below 0, dominate above (0, 0), in the product of the two units."""
    p = np.asarray(points, dtype=np.float64)
    front = p[pareto_front(p)]
    front = front[np.argsort(-front[:, 0], kind="stable")]
    steps = np.diff(front[:, 1], prepend=0.0)  # coverage gained as quality falls
    return float(front[:, 0] @ steps)


def match_quality(quality: ArrayLike, coverage: ArrayLike, at: float) -> tuple[float, np.ndarray, bool]:
    """Coverage of a system at quality `at`, linear between neighbours of its Pareto front over temperature.

    Temperatures that another one beats in both are left out: they are not what a user of the system would run. Left of the front's lowest
    quality, and outside the measured range, the value is that of the nearest end.

    quality, coverage: (T,) means at each temperature, T >= 1, in any order.

    Returns the coverage there; (T,) the share of each temperature in it, at most two not 0, sum 1; and whether `at` is outside the range.
    """
    q, c = np.asarray(quality, dtype=np.float64), np.asarray(coverage, dtype=np.float64)
    order = np.lexsort((c, q))
    falling = c[order][::-1]
    # from the best quality down, a temperature stays when it covers more than all before it
    stays = (falling > np.concatenate([[-np.inf], np.maximum.accumulate(falling)[:-1]]))[::-1]
    front = order[stays]
    position = float(np.interp(at, q[front], np.arange(len(front))))
    left = min(int(position), len(front) - 1)
    share = position - left
    weights = np.zeros(len(q))
    weights[front[left]] = 1 - share
    if share > 0:
        weights[front[left + 1]] = share
    return float(weights @ c), weights, bool(at < q.min() or at > q.max())


@dataclass(frozen=True)
class MatchedContrast:
    """System a against system b's frontier over temperature at a's quality; positive when a is higher."""

    delta: float  # a's mean value - b's value at a's mean quality (`match_quality`)
    low: float  # percentile interval over prompts; every resample matches anew
    high: float
    p_two_sided: float  # bootstrap p of delta = 0: twice the smaller of (1 + count) / (1 + n_boot) of either side
    b_weights: tuple[float, ...]  # (T,) weight of every temperature of b, in the order given
    clamped_share: float  # share of the resamples where a's quality is outside b's range, and b's nearest end was taken
    mde: float  # as in Contrast, from the standard error of the resamples
    n_prompts: int


def matched_contrast(
    a_quality: ArrayLike,
    a_value: ArrayLike,
    b_quality: Sequence[ArrayLike],
    b_value: Sequence[ArrayLike],
    b_temperatures: Sequence[float],
    rng: np.random.Generator,
    n_boot: int = 2_000,
    confidence: float = 0.95,
) -> MatchedContrast:
    """a's value minus b's at a's quality, b interpolated on its Pareto front over temperature.

    Estimand: E[a's value] - F(E[a's quality]), F the linear interpolation of b's Pareto front over the temperatures given; means are
    over the declared seeds, the population is that of the prompts. The front is a maximum over b's temperatures: noise in them favours
    b, the peer. Where a's quality is outside b's range b's nearest end counts; above it, that grants b its coverage at a lower quality.

    a_quality, a_value: (S, P) at a's one temperature. b_quality, b_value: one (S, P) of the same prompts for each of b's (T,) temperatures,
    all different, T >= 1. rng: draws prompts, the same for all. Raises PolychromicError: as `check_scores`.
    """
    count = len(b_temperatures)
    names = ["a's quality", "a's value", *(f"b's {what} at {t}" for what in ("quality", "value") for t in b_temperatures)]
    scores = zip((f"matched contrast, {name}" for name in names), (a_quality, a_value, *b_quality, *b_value), strict=True)
    columns = np.stack([x.mean(axis=0) for x in check_scores(dict(scores)).values()], axis=1)  # (P, 2 + 2T)
    # exact ties (b compared with itself) must not become clamped or matched by rounding
    scale = float(np.abs(columns).max())
    columns = snap(columns, scale)

    def contrast(means: np.ndarray) -> tuple[float, np.ndarray, bool]:
        value, weights, clamped = match_quality(means[2 : 2 + count], means[2 + count :], means[0])
        return means[1] - value, weights, clamped

    delta, weights, _ = contrast(snap(columns.mean(axis=0), scale))
    deltas, _, clamped = zip(*(contrast(row) for row in snap(resampled_means(columns, rng, n_boot), scale)), strict=True)
    deltas, tail, tolerance = np.array(deltas), (1 - confidence) / 2, 1e-12 * scale
    low, high = np.quantile(deltas, [tail, 1 - tail])
    smaller = min((1 + int(side.sum())) / (1 + n_boot) for side in (deltas <= tolerance, deltas >= -tolerance))
    return MatchedContrast(
        delta=float(delta),
        low=float(low),
        high=float(high),
        p_two_sided=min(1.0, 2 * smaller),
        b_weights=tuple(weights.tolist()),
        clamped_share=float(np.mean(clamped)),
        mde=minimum_detectable_effect(float(deltas.std()) * math.sqrt(len(columns)), len(columns), alpha=1 - confidence),
        n_prompts=len(columns),
    )
