"""Statistics of a contrast: arrays (S, P), S paired seeds by P prompts, NaN where a question has no answer.

Estimand: the mean over seeds and prompts, both drawn; a resample draws seeds and prompts, crossed (Owen 2007, 0709.4102), and means are
over the questions in it that have an answer.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

CHUNK = 1 << 21  # numbers held at once while resampling: 16 MB
RIDGE = 1e-3  # per question, on the slope alone: keeps it finite where length decides every answer
STEPS = 60  # of Newton's method at most
FLAT = 1e-7  # step at which it ends


def weights(shape: tuple[int, int], rng: np.random.Generator, size: int) -> np.ndarray:
    """(size, S * P) times that each question is drawn: those of its seed times those of its prompt."""
    counts = [rng.multinomial(n, np.full(n, 1 / n), size).astype(float) for n in shape]
    return (counts[0][:, :, None] * counts[1][:, None, :]).reshape(size, -1)


def bootstrap(
    estimate: Callable[[np.ndarray], np.ndarray], shape: tuple[int, int], rng: np.random.Generator, n_boot: int, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """(K,) lower and upper ends, percentiles of `estimate`, which takes weights (B, S * P) and gives (B, K); resamples without an answer
    give NaN there and are left out."""
    out = []
    for start in range(0, n_boot, step := max(1, CHUNK // (shape[0] * shape[1]))):
        out.append(estimate(weights(shape, rng, min(step, n_boot - start))))
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(np.concatenate(out), [tail, 1 - tail], axis=0)
    return low, high


def weighted_means(values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The estimate of the means of the rows of `values` (K, S * P), over what is not NaN."""
    there = ~np.isnan(values)
    filled = np.where(there, values, 0.0)

    def estimate(w: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return (w @ filled.T) / (w @ there.T)

    return estimate


def length_feature(difference: ArrayLike) -> np.ndarray:
    """tanh of the length difference over its standard deviation (Dubois et al. 2024, 2404.04475); 0 where all are equal."""
    d = np.asarray(difference, dtype=float)
    sd = d.std()
    return np.tanh(d / sd) if sd > 0 else np.zeros_like(d)


def length_controlled(score: np.ndarray, feature: np.ndarray, w: np.ndarray) -> np.ndarray:
    """(B, 2): win rate at equal length and slope of a logistic model of `score` (n,) in [0, 1] on `feature` (n,), under weights (B, n).

    score ~ sigmoid(intercept + slope * feature), the binomial GLM with a ridge of RIDGE / 2 per question on the slope; the rate is
    sigmoid(intercept). Newton's method for all weights at once; its log-odds are kept within 15 (no rate is nearer to 0 or 1 than 3e-7).
    """
    there = ~np.isnan(score)
    y, x, w = score[there], feature[there], w[:, there]
    total = w.sum(axis=1)
    beta = np.zeros((len(w), 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        for _ in range(STEPS):
            p = 1 / (1 + np.exp(-(beta[:, :1] + beta[:, 1:] * x)))
            residual, spread = w * (y - p), w * (p * (1 - p))
            gradient = np.stack([residual.sum(axis=1), residual @ x - RIDGE * total * beta[:, 1]], axis=1)
            aa, ab = spread.sum(axis=1) + 1e-9 * total, spread @ x
            bb = spread @ (x * x) + RIDGE * total
            determinant = aa * bb - ab * ab
            step = np.stack([bb * gradient[:, 0] - ab * gradient[:, 1], aa * gradient[:, 1] - ab * gradient[:, 0]], axis=1)
            step = np.clip(step / determinant[:, None], -2, 2)  # far from the optimum a whole step may overshoot
            beta = np.clip(beta + step, -15, 15)
            if not np.nanmax(np.abs(np.nan_to_num(step)), initial=0) > FLAT:
                break
    beta[total == 0] = np.nan
    return np.stack([1 / (1 + np.exp(-beta[:, 0])), beta[:, 1]], axis=1)
