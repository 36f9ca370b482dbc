"""What a design can see: variance components of pass rates, and the smallest difference that a number of prompts detects.

Planning alone: it tests nothing (polychromic.compare.stats does) and draws nothing (benchmarks.simulation does). The design is that
of every contrast: S declared seeds by P prompts by n samples, two systems, paired over prompts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from polychromic.base.errors import PolychromicError


@dataclass(frozen=True)
class Components:
    """Standard deviations that make up a pass rate r of one prompt, system and seed, each on the scale of a share.

    Attributes:
        mean: mean pass rate m over prompts, in (0, 1).
        prompt_sd: how prompts differ, the same for both systems.
        interaction_sd: how a prompt's rate differs between systems beyond the systems' means (prompt x system).
        prompt_seed_sd: how a prompt's rate differs between seeds of a system (prompt x seed within system).
        seed_sd: how a system's mean differs between seeds.

    Raises:
        PolychromicError: a mean outside (0, 1), a negative deviation, or prompts' deviations beyond what rates in [0, 1] can have:
            prompt_sd^2 + interaction_sd^2 + prompt_seed_sd^2 < m (1 - m).
    """

    mean: float
    prompt_sd: float
    interaction_sd: float
    prompt_seed_sd: float
    seed_sd: float

    def __post_init__(self) -> None:
        parts = (self.prompt_sd, self.interaction_sd, self.prompt_seed_sd, self.seed_sd)
        if not 0 < self.mean < 1 or not all(part >= 0 and math.isfinite(part) for part in parts):
            raise PolychromicError(f"{self}. Allowed: a mean in (0, 1), finite deviations >= 0. Give shares, not per cents.")
        if not self.sampling_variance > 0:
            raise PolychromicError(
                f"{self}: the variances of prompts sum to {self._between:.4f}. Allowed: less than mean (1 - mean) = "
                f"{self.mean * (1 - self.mean):.4f}, since rates lie in [0, 1]. Lower one of them."
            )

    @property
    def _between(self) -> float:
        return self.prompt_sd**2 + self.interaction_sd**2 + self.prompt_seed_sd**2

    @property
    def sampling_variance(self) -> float:
        """E[r (1 - r)], the variance of one sample about its rate: what is left of the m (1 - m) of a pooled sample."""
        return self.mean * (1 - self.mean) - self._between


def variance_components(a: ArrayLike, b: ArrayLike, samples: int) -> Components:
    """Moment estimates from the pass rates of two systems, prompts crossed with systems and with seeds within systems.

    With M the mean square of the residuals of prompt and seed within a system, u_a the prompts' means over seeds and
    v = sum of r (1 - r) / (n - 1): prompt x seed M - v; prompt x system var(u_a - u_b) / 2 - M / S; prompt cov(u_a, u_b); seed
    var(seed means) - M / P. Estimates below 0 are 0.

    Args:
        a, b: (S, P) shares of passing samples, S >= 2 seeds by the same P >= 3 prompts.
        samples: n >= 2 of each share.

    Raises:
        PolychromicError: other shapes, shares outside [0, 1], or estimates that Components refuses.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 2 or a.shape != b.shape or a.shape[0] < 2 or a.shape[1] < 3 or samples < 2:
        raise PolychromicError(
            f"variance components: got shapes {a.shape} and {b.shape}, {samples} samples. Allowed: the same (seeds >= 2, prompts >= 3) of "
            "both, samples >= 2. One seed says nothing about seeds: score another, or give the components by hand."
        )
    both = np.stack([a, b])  # (2, S, P)
    if not ((both >= 0) & (both <= 1)).all():
        raise PolychromicError(f"variance components: got {both.min()} to {both.max()}. Allowed: shares in [0, 1]. Pass c / n, not counts.")
    _, seeds, prompts = both.shape
    by_prompt, by_seed = both.mean(axis=1), both.mean(axis=2)
    residual = both - by_prompt[:, None, :] - by_seed[:, :, None] + both.mean(axis=(1, 2))[:, None, None]
    noise = float((residual**2).sum() / (2 * (seeds - 1) * (prompts - 1)))
    sampling = float((both * (1 - both)).mean() / (samples - 1))
    estimates = {
        "prompt_sd": float(np.cov(by_prompt)[0, 1]),
        "interaction_sd": float(np.var(by_prompt[0] - by_prompt[1], ddof=1)) / 2 - noise / seeds,
        "prompt_seed_sd": noise - sampling,
        "seed_sd": float(by_seed.var(axis=1, ddof=1).mean()) - noise / prompts,
    }
    return Components(float(both.mean()), **{name: math.sqrt(max(0.0, variance)) for name, variance in estimates.items()})


def difference_sd(components: Components, seeds: int, samples: int) -> float:
    """Standard deviation over prompts of the paired difference of two systems' rates, each a mean over S seeds by n samples.

    sqrt(2 (interaction^2 + (prompt_seed^2 + E[r (1 - r)] / n) / S)). The prompts' own variance cancels, which is what pairing is
    for; the seeds are declared, so their means move the estimand and not its error.

    Raises:
        PolychromicError: fewer than 1 seed or sample.
    """
    if seeds < 1 or samples < 1:
        raise PolychromicError(
            f"difference_sd: got {seeds} seeds, {samples} samples. Allowed: 1 or more of each. Give the design's numbers."
        )
    c = components
    return math.sqrt(2 * (c.interaction_sd**2 + (c.prompt_seed_sd**2 + c.sampling_variance / samples) / seeds))


def minimum_detectable_effect(sd: float, prompts: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """The difference that a two-sided paired test over P prompts finds with probability `power`, in sd's unit.

    (z_{1 - alpha/2} + z_power) sd / sqrt(P), the normal approximation; at power .5 it is the half-width of the interval.

    Args:
        sd: standard deviation over prompts of the paired differences, measured or from `difference_sd`.
        prompts: P.
        power: in [.5, 1); below that the other tail, which is left out here, would matter.
        alpha: level of the test, in (0, 1).

    Raises:
        PolychromicError: an argument outside of these.
    """
    if not (sd >= 0 and math.isfinite(sd)) or prompts < 2 or not 0.5 <= power < 1 or not 0 < alpha < 1:
        raise PolychromicError(
            f"minimum detectable effect: got sd = {sd}, {prompts} prompts, power = {power}, alpha = {alpha}. Allowed: a finite sd >= 0, "
            "2 or more prompts, power in [.5, 1), alpha in (0, 1). Use power = .8, alpha = .05."
        )
    return float((norm.isf(alpha / 2) + norm.ppf(power)) * sd / math.sqrt(prompts))
