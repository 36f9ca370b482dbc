"""Front against front: two systems over temperature, compared where both reach the same quality.

Estimand. q(T) and v(T) are a system's mean quality and mean value at temperature T over all seeds and prompts there could be. Its front
is what it offers to who asks for quality x, F(x) = max {v(T) : q(T) >= x}, x between its lowest and its best quality: v along the
temperatures up to its optimum and flat behind it, since nobody has to sample hotter than it pays. It needs no monotone q, and a temperature
that is too cold to be best in anything counts for nothing. The gap of a and b is the mean of F_a(x) - F_b(x) over the qualities [lo, hi]
that both cover: lo the higher of their lowest qualities, hi the lower of their best ones. Unit of the value, positive when a lies higher.

Seeds and prompts are random, crossed, and paired: the same resampled ones on both sides, curves and [lo, hi] anew in each resample.
benchmarks/fronts.py simulates the rules that are chosen here. What draws, draws from the given numpy Generator alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline, PchipInterpolator

from polychromic.base.errors import PolychromicError
from polychromic.compare.crossed import Estimate, crossed_means, estimate
from polychromic.compare.stats import snap

STEPS = 64  # cells of the grid over temperature, at least
LEAST = 0.02  # qualities shared over less than that are no match
RARE = 0.05  # with more resamples than that without a match, the data do not say that there is one


@dataclass(frozen=True)
class Front:
    """What was measured of one system over temperature.

    Attributes:
        temperatures: (K,), two or more, all different; kept in ascending order.
        quality, value: (K, S, P) scores of S seeds by P prompts, the same ones at every temperature; higher is better.

    Raises:
        PolychromicError: other temperatures, shapes that do not fit, fewer than 2 prompts, a score that is not finite.
    """

    temperatures: np.ndarray
    quality: np.ndarray
    value: np.ndarray

    def __post_init__(self) -> None:
        t, quality, value = (np.asarray(x, dtype=np.float64) for x in (self.temperatures, self.quality, self.value))
        if t.ndim != 1 or len(t) < 2 or len(np.unique(t)) < len(t) or not np.isfinite(t).all():
            raise PolychromicError(f"front: got temperatures {t.tolist()}. Allowed: 2 or more, all different. Sample at more of them.")
        if quality.ndim != 3 or quality.shape != value.shape or len(quality) != len(t) or quality.shape[2] < 2:
            raise PolychromicError(
                f"front: got {len(t)} temperatures, quality {quality.shape}, value {value.shape}. Allowed: (temperatures, seeds, prompts) "
                "twice, 2 or more prompts. Stack one (seeds, prompts) per temperature."
            )
        for name, x in (("quality", quality), ("value", value)):
            if not np.isfinite(x).all():
                place = tuple(np.argwhere(~np.isfinite(x))[0].tolist())
                raise PolychromicError(
                    f"front: got {name} {x[place]} at (temperature, seed, prompt) {place}. Allowed: finite. Find out why it has none."
                )
        order = np.argsort(t)
        for name, x in (("temperatures", t), ("quality", quality), ("value", value)):
            object.__setattr__(self, name, x[order])

    def at(self, places: list[int]) -> Front:
        """The same at some of its temperatures, by their places in ascending order."""
        return Front(self.temperatures[places], self.quality[places], self.value[places])


@dataclass(frozen=True)
class FrontContrast:
    """Front a against front b; all differences are a - b.

    Attributes:
        gap: the mean gap over the shared qualities. None is "no match": read `dominates`, `best_quality` and `best_value` then.
        shared: (lo, hi) in the quality's unit; hi < lo when no quality is covered by both.
        unmatched: share of the resamples that share qualities over less than `least`.
        above: share of the shared qualities at which a lies above b; None without a match.
        best_quality, best_value: a's best against b's best. Maxima of noisy means: biased upwards, on both sides.
        over_prompts: the gap once more, about these seeds alone; by_seed: seed by seed, NaN where one has no match.
        dominates: "a" when a offers at least b's value to every quality of b's, and more to some; "b" the other way; else None.
        certainty: share of the resamples with the same answer in `dominates`.
    """

    gap: Estimate | None
    shared: tuple[float, float]
    unmatched: float
    above: float | None
    best_quality: Estimate
    best_value: Estimate
    dominates: str | None
    certainty: float
    over_prompts: Estimate | None
    by_seed: tuple[float, ...]
    n_prompts: int


Fronts = tuple[np.ndarray, np.ndarray]  # of B resamples: (G, B) qualities, best first, and values


def offered(temperatures: np.ndarray, quality: np.ndarray, value: np.ndarray) -> Fronts:
    """Fronts through the means of B resamples: qualities (G, B), best first, and the values F there.

    Quality by a monotone cubic in temperature (PCHIP), which adds no rise or fall between two temperatures; value by a cubic spline, since
    its optimum lies between temperatures as a rule, and PCHIP cuts it off there. Linear through two temperatures.

    Args:
        temperatures: (K,) ascending. quality, value: (K, B) means over seeds and prompts.
    """
    cells = len(temperatures) - 1
    # the given temperatures are points of the grid, so that it holds the best quality itself
    grid = np.interp(np.linspace(0, cells, cells * math.ceil(STEPS / cells) + 1), np.arange(cells + 1), temperatures)
    q, v = PchipInterpolator(temperatures, quality)(grid), CubicSpline(temperatures, value)(grid)
    # few columns rise anywhere, and sorting is what takes long
    (rises,) = np.nonzero((q[1:] > q[:-1]).any(axis=0))
    order = np.argsort(-q[:, rises], axis=0, kind="stable")
    q[:, rises], v[:, rises] = (np.take_along_axis(x[:, rises], order, 0) for x in (q, v))
    return q, np.maximum.accumulate(v, axis=0)


def vertical_gaps(a: Fronts, b: Fronts, least: float = LEAST) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(B,) mean gaps of the fronts a and b of B resamples, and the ends of the qualities that they share; NaN for less than `least`."""
    low, high = np.maximum(a[0][-1], b[0][-1]), np.minimum(a[0][0], b[0][0])
    width = np.where(high - low >= least, high - low, np.nan)
    return (_area(*a, low, high) - _area(*b, low, high)) / width, low, high


def _area(q: np.ndarray, f: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(B,) integrals of the fronts over qualities [low, high] within them: F is linear between two points, and exactly integrated."""
    fall = np.diff(q, axis=0)
    slope = np.divide(np.diff(f, axis=0), fall, out=np.zeros_like(fall), where=fall < 0)
    left, right = np.clip(q[:-1], low, high), np.clip(q[1:], low, high)
    return ((f[:-1] + slope * ((left + right) / 2 - q[:-1])) * (left - right)).sum(axis=0)


def _dominance(a: Fronts, b: Fronts) -> str | None:
    """Of one resample's fronts, each ((G,), (G,)): who offers at least the other's value everywhere, and more somewhere."""
    behind = []
    for (q, f), (x, other) in ((a, b), (b, a)):
        offer = np.interp(x, q[::-1], f[::-1], right=-np.inf)  # to less than its lowest quality, a front offers its best value
        behind.append(bool((offer < other - 1e-9 * np.abs(other).max()).any()))
    return None if behind[0] == behind[1] else "b" if behind[0] else "a"


def front_contrast(
    a: Front,
    b: Front,
    rng: np.random.Generator,
    n_boot: int = 2_000,
    confidence: float = 0.95,
    clusters: ArrayLike | None = None,
    least: float = LEAST,
    fixed: bool = False,
) -> FrontContrast:
    """The mean vertical gap of two fronts over the qualities that both cover; see the module for the estimand.

    Seed s of a is paired with seed s of b, prompt p with prompt p. Intervals and p: polychromic.compare.crossed.

    Args:
        n_boot: resamples of the seeds, as many of the prompts, and as many of both.
        clusters: (P,) labels of prompts that belong together (families of functions), resampled as a whole; None: none do.
        least: the shortest interval of shared qualities that is a match, in the quality's unit, above 0.
        fixed: about these seeds alone, of which one is enough.

    Raises:
        PolychromicError: seeds or prompts that differ between a and b, fewer than 2 seeds or clusters, a bad level or `least`.
    """
    if not 0 < confidence < 1 or n_boot < 1:
        raise PolychromicError(f"fronts: confidence: got {confidence}, n_boot: got {n_boot}. Allowed: in (0, 1); 1 or more.")
    if not 0 < least < np.inf:
        raise PolychromicError(f"least: got {least}. Allowed: above 0, finite. Use {LEAST}.")
    if a.quality.shape[1:] != b.quality.shape[1:]:
        raise PolychromicError(
            f"front contrast: got (seeds, prompts) {a.quality.shape[1:]} and {b.quality.shape[1:]}. Allowed: the same of both. "
            "Keep the seeds that both have, in one order."
        )
    ka, kb = len(a.temperatures), len(b.temperatures)
    means, sizes = crossed_means(np.concatenate([a.quality, b.quality, a.value, b.value]), rng, n_boot, clusters)
    # the same numbers summed in another order must make the same curve, and the same curve no gap
    quality, value = np.split(means, [ka + kb])
    quality_scale, value_scale = float(np.abs(quality).max()), float(np.abs(value).max())
    quality, value = snap(quality, quality_scale), snap(value, value_scale)
    fronts = offered(a.temperatures, quality[:ka], value[:ka]), offered(b.temperatures, quality[ka:], value[ka:])
    (qa, fa), (qb, fb) = fronts
    gaps, low, high = vertical_gaps(*fronts, least)
    gaps = snap(gaps, value_scale)
    unmatched = float(np.isnan(gaps[-n_boot:]).mean())
    matched = not np.isnan(gaps[0]) and unmatched <= RARE
    dominates, *again = (_dominance(*((q[:, i], f[:, i]) for q, f in fronts)) for i in (0, *range(-n_boot, 0)))
    inside = np.linspace(low[0], high[0], STEPS + 1)
    ours, theirs = (np.interp(inside, q[::-1, 0], f[::-1, 0]) for q, f in fronts)
    each = [offered(side.temperatures, side.quality.mean(axis=2), side.value.mean(axis=2)) for side in (a, b)]
    by_seed, *_ = vertical_gaps(*each, least)
    estimated = lambda deltas, scale: estimate(snap(deltas, scale), sizes, confidence, fixed)
    return FrontContrast(
        gap=estimate(gaps, sizes, confidence, fixed) if matched else None,
        shared=(float(low[0]), float(high[0])),
        unmatched=unmatched,
        above=float((ours > theirs).mean()) if matched else None,
        best_quality=estimated(qa[0] - qb[0], quality_scale),
        best_value=estimated(fa[-1] - fb[-1], value_scale),
        dominates=dominates,
        certainty=float(np.mean([one == dominates for one in again])),
        over_prompts=estimate(gaps, sizes, confidence, fixed=True) if matched else None,
        by_seed=tuple(snap(by_seed, value_scale).tolist()),
        n_prompts=a.quality.shape[2],
    )


def self_contrast(
    front: Front,
    rng: np.random.Generator,
    n_boot: int = 2_000,
    confidence: float = 0.95,
    clusters: ArrayLike | None = None,
    least: float = LEAST,
) -> FrontContrast:
    """A system against itself on interleaved temperatures: 0 but for the interpolation and the noise of the replies.

    The inner temperatures go to a and b in turn, the coldest and the hottest to both, so that both cover the same qualities.

    Raises:
        PolychromicError: fewer than 4 temperatures, or as `front_contrast`.
    """
    last = len(front.temperatures) - 1
    if last < 3:
        raise PolychromicError(f"self-contrast: got {last + 1} temperatures. Allowed: 4 or more, 6 for cubics. Sample at more of them.")
    halves = ([0, *range(start, last, 2), last] for start in (1, 2))
    return front_contrast(*(front.at(places) for places in halves), rng, n_boot, confidence, clusters, least)


# descriptive: maxima of noisy points, biased upwards


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
    steps = np.diff(front[:, 1], prepend=0.0)  # value gained as quality falls
    return float(front[:, 0] @ steps)
