"""Quality-diversity frontiers: which points dominate, how much area, what a system reaches at a given quality.

Both axes are maximised. Fronts and hypervolume are descriptive: they are maxima, and the maximum of noisy points is
biased upwards. Inference on a matched comparison is in polychromic.compare.matched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from polychromic.base.errors import PolychromicError


def _points(points: ArrayLike) -> np.ndarray:
    p = np.asarray(points, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] != 2 or len(p) == 0 or not np.isfinite(p).all():
        raise PolychromicError(
            f"frontier: got points of shape {p.shape}, or not finite. Allowed: (n >= 1, 2) finite. Score every point first."
        )
    return p


def pareto_front(points: ArrayLike) -> np.ndarray:
    """Indices, ascending, of the points that no other point beats (at least as good in both, better in one).

    Args:
        points: (n, 2) finite, both coordinates better when higher. Equal points stand or fall together.

    Raises:
        PolychromicError: no point, not two columns, or a value that is not finite.
    """
    p = _points(points)
    order = np.lexsort((-p[:, 1], -p[:, 0]))  # first coordinate falling, second falling among equals
    kept, best, last = [], -np.inf, None
    for i in order:
        if p[i, 1] > best or (last is not None and (p[i] == p[last]).all()):
            kept.append(i)
            best, last = p[i, 1], i
    return np.sort(np.array(kept))


def hypervolume(points: ArrayLike, reference: tuple[float, float] = (0.0, 0.0)) -> float:
    """Area that the points dominate above the reference point, in the product of the two units.

    Raises:
        PolychromicError: as `pareto_front`, or a point below the reference in a coordinate.
    """
    p = _points(points)
    if (p < np.asarray(reference)).any():
        raise PolychromicError(
            f"hypervolume: a point lies below the reference {reference}. Allowed: points at or above it. Lower the reference."
        )
    front = p[pareto_front(p)]
    front = front[np.argsort(-front[:, 0], kind="stable")] - np.asarray(reference)
    steps = np.diff(front[:, 1], prepend=0.0)  # coverage gained as quality falls
    return float(front[:, 0] @ steps)


@dataclass(frozen=True)
class Match:
    """A system's coverage at a given quality, on its frontier over temperature.

    Attributes:
        value: the coverage there.
        weights: (T,) share of each temperature in `value`: at most two are not 0, their sum is 1.
        clamped: the quality was outside what the system reached, and the nearest end was taken.
    """

    value: float
    weights: tuple[float, ...]
    clamped: bool


def match_quality(quality: ArrayLike, coverage: ArrayLike, at: float) -> Match:
    """Coverage of a system at quality `at`, linear between neighbours of its Pareto front over temperature.

    Temperatures that another one beats in both are left out: they are not what a user of the system would run. Within the
    measured range but left of the front's lowest quality, the value is that of the front's end (more quality, no less
    coverage). Outside the measured range the nearest end is taken, and `clamped` says so.

    Args:
        quality: (T,) mean quality at each temperature, in any order.
        coverage: (T,) mean coverage at each temperature.
        at: the quality to match.

    Raises:
        PolychromicError: no temperature, unequal lengths, or a value that is not finite.
    """
    q, c = np.asarray(quality, dtype=np.float64), np.asarray(coverage, dtype=np.float64)
    if q.ndim != 1 or q.shape != c.shape or len(q) == 0 or not (np.isfinite(q).all() and np.isfinite(c).all() and np.isfinite(at)):
        raise PolychromicError(
            f"matched quality: got shapes {q.shape} and {c.shape}, at = {at}. Allowed: (T,) twice, T >= 1, finite. Score every temperature."
        )
    order = np.lexsort((c, q))
    falling = c[order][::-1]
    # from the best quality down, a temperature stays when it covers more than all before it
    stays = (falling > np.concatenate([[-np.inf], np.maximum.accumulate(falling)[:-1]]))[::-1]
    front = order[stays]
    fq = q[front]
    position = float(np.interp(at, fq, np.arange(len(fq))))
    left = min(int(position), len(fq) - 1)
    share = position - left
    weights = np.zeros(len(q))
    weights[front[left]] = 1 - share
    if share > 0:
        weights[front[left + 1]] = share
    return Match(float(weights @ c), tuple(weights.tolist()), bool(at < q.min() or at > q.max()))


def interpolate(quality: Sequence[float] | np.ndarray, coverage: Sequence[float] | np.ndarray, at: float) -> float | None:
    """`match_quality`'s value, None where `at` is outside the qualities measured."""
    match = match_quality(quality, coverage, at)
    return None if match.clamped else match.value
