"""Variance components of pass rates, and the error of a contrast that they imply: what a design can see.

The design is that of every contrast: S declared seeds by P prompts by n samples, two systems, paired over prompts. Nothing here draws
(benchmarks.simulation does) or tests (polychromic.compare.stats does).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from polychromic.base.errors import PolychromicError


@dataclass(frozen=True)
class Components:
    """Standard deviations that make up a pass rate r of one prompt, system and seed, each on the scale of a share.

    Raises:
        PolychromicError: a mean outside (0, 1), a negative deviation, or prompts' deviations beyond what rates in [0, 1] can have:
            prompt_sd^2 + interaction_sd^2 + prompt_seed_sd^2 < m (1 - m).
    """

    mean: float  # mean pass rate m over prompts, in (0, 1)
    prompt_sd: float  # how prompts differ, the same for both systems
    interaction_sd: float  # how a prompt's rate differs between systems beyond the systems' means (prompt x system)
    prompt_seed_sd: float  # how a prompt's rate differs between seeds of a system (prompt x seed within system)
    seed_sd: float  # how a system's mean differs between seeds

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

    def difference_sd(self, seeds: int, samples: int) -> float:
        """Standard deviation over prompts of the paired difference of two systems' rates, each a mean over S seeds by n samples.

        sqrt(2 (interaction^2 + (prompt_seed^2 + E[r (1 - r)] / n) / S)). The prompts' own variance cancels, which is what pairing is
        for; the seeds are declared, so their means move the estimand and not its error. Raises PolychromicError for no seed or sample.
        """
        if seeds < 1 or samples < 1:
            raise PolychromicError(
                f"difference_sd: got {seeds} seeds, {samples} samples. Allowed: 1 or more of each. Give the design's numbers."
            )
        return math.sqrt(2 * (self.interaction_sd**2 + (self.prompt_seed_sd**2 + self.sampling_variance / samples) / seeds))


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
