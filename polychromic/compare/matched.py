"""A system against another one's frontier over temperature, at the quality that the first has: estimand and interval.

Arrays and seeds as in polychromic.compare.stats. Which temperatures stand on the frontier is the caller's choice, made on dev.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from polychromic.base.errors import PolychromicError
from polychromic.compare.frontier import match_quality
from polychromic.compare.power import minimum_detectable_effect
from polychromic.compare.stats import check_level, check_same_prompts, check_scores, resampled_means, snap


@dataclass(frozen=True)
class MatchedContrast:
    """System a against system b's frontier over temperature at a's quality; positive when a is higher.

    Attributes:
        delta: a's mean value - b's value at a's mean quality (frontier.match_quality).
        low, high: percentile interval over prompts; every resample matches anew.
        p_two_sided, p_greater: bootstrap p of delta = 0, and of delta <= 0, (1 + count) / (1 + n_boot).
        a_quality: the quality that was matched.
        b_value: b's value there.
        b_temperatures: the one or two temperatures that b_value lies between, ascending.
        b_weights: (T,) weight of every temperature of b, in the order given.
        clamped: a's quality is outside b's range; b's nearest end was taken.
        clamped_share: share of the resamples where that happened.
        mde: as in Contrast, from the standard error of the resamples.
    """

    delta: float
    low: float
    high: float
    confidence: float
    p_two_sided: float
    p_greater: float
    a_quality: float
    b_value: float
    b_temperatures: tuple[float, ...]
    b_weights: tuple[float, ...]
    clamped: bool
    clamped_share: float
    mde: float
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

    Estimand: E[a's value] - F(E[a's quality]), F the linear interpolation of b's Pareto front over the temperatures given (which
    the caller takes from dev); means are over the declared seeds, the population is that of the prompts. The front is a maximum
    over b's temperatures: noise in them favours b, so read a as the proposal and b as the peer. When a's
    quality is outside b's range b's nearest end counts; above it, that grants b its coverage at a lower quality.

    Args:
        a_quality, a_value: (S, P) at a's one temperature.
        b_quality, b_value: one (S, P) per temperature of b, the same prompts.
        b_temperatures: (T,) all different.
        rng: draws prompts, the same for a and all temperatures of b.

    Raises:
        PolychromicError: lengths or prompts that do not fit, fewer than 2 prompts, a score that is not finite, a bad level.
    """
    check_level(confidence, n_boot=n_boot)
    count = len(b_temperatures)
    if not count == len(b_quality) == len(b_value) >= 1 or len(set(b_temperatures)) < count:
        raise PolychromicError(
            f"matched contrast: got {count} temperatures, {len(b_quality)} qualities, {len(b_value)} values of b. "
            "Allowed: one of each per different temperature. Pass them in the same order."
        )
    arrays = [check_scores(x, "matched contrast") for x in (a_quality, a_value, *b_quality, *b_value)]
    for x in arrays[1:]:
        check_same_prompts(arrays[0], x, "matched contrast")
    columns = np.stack([x.mean(axis=0) for x in arrays], axis=1)  # (P, 2 + 2T)
    # exact ties (b compared with itself) must not become clamped or matched by rounding
    scale = float(np.abs(columns).max())
    columns = snap(columns, scale)

    def contrast(means: np.ndarray) -> tuple[float, bool]:
        match = match_quality(means[2 : 2 + count], means[2 + count :], means[0])
        return means[1] - match.value, match.clamped

    means = snap(columns.mean(axis=0), scale)
    point = match_quality(means[2 : 2 + count], means[2 + count :], means[0])
    draws = [contrast(row) for row in snap(resampled_means(columns, rng, n_boot), scale)]
    deltas, clamped = np.array([x for x, _ in draws]), np.array([x for _, x in draws])
    tail = (1 - confidence) / 2
    low, high = np.quantile(deltas, [tail, 1 - tail])
    tolerance = 1e-12 * scale
    p_greater, p_less = ((1 + int(side.sum())) / (1 + n_boot) for side in (deltas <= tolerance, deltas >= -tolerance))
    return MatchedContrast(
        delta=float(means[1] - point.value),
        low=float(low),
        high=float(high),
        confidence=confidence,
        p_two_sided=min(1.0, 2 * min(p_greater, p_less)),
        p_greater=p_greater,
        a_quality=float(means[0]),
        b_value=point.value,
        b_temperatures=tuple(sorted(float(t) for t, w in zip(b_temperatures, point.weights, strict=True) if w > 0)),
        b_weights=point.weights,
        clamped=point.clamped,
        clamped_share=float(clamped.mean()),
        mde=minimum_detectable_effect(float(deltas.std()) * math.sqrt(columns.shape[0]), columns.shape[0], alpha=1 - confidence),
        n_prompts=columns.shape[0],
    )
