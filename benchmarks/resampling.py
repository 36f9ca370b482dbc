"""Coverage of the contrasts that verdicts rest on, with the prompts that were scored as the population.

benchmarks.simulation knows the truth because it makes the rates up; here nothing is made up: experiments of P prompts are drawn
with replacement from the prompts that we have, each is analysed as the paper analyses its own, and the truth is the contrast
over all of them. It speaks about metrics that are no shares, and about matching on a frontier. Nothing here reads a file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from benchmarks.simulation import Rate
from polychromic.base.errors import PolychromicError
from polychromic.compare.matched import matched_contrast
from polychromic.compare.stats import mean_cis


@dataclass(frozen=True)
class Recovered:
    """The contrast over all prompts, and the share of experiments whose interval holds it."""

    truth: float
    coverage: Rate


def recovered(
    a: tuple[ArrayLike, ArrayLike],
    chosen: int,
    peer: Sequence[tuple[ArrayLike, ArrayLike]],
    prompts: int,
    runs: int,
    rng: np.random.Generator,
    n_boot: int = 500,
    confidence: float = 0.95,
    tick: Callable[[int], None] = lambda n: None,
) -> dict[str, Recovered]:
    """Coverage of the paired interval ("chosen") and of the interval at matched quality ("matched").

    Args:
        a: (quality, value), each (S, P0), of the system that is compared.
        chosen: which of `peer` is at the peer's chosen temperature.
        peer: (quality, value) per temperature of the peer's frontier, over the same prompts.
        prompts: P of each experiment. runs: experiments. n_boot: resamples within each.
        tick: called with the number of experiments done.

    Raises:
        PolychromicError: fewer than 2 experiments, or scores that polychromic.compare.matched refuses.
    """
    if runs < 2:
        raise PolychromicError(f"runs: got {runs}. Allowed: 2 or more. Use 2000, for standard errors below .5 points at 95 %.")
    scores = [np.asarray(x, dtype=np.float64) for pair in (a, *peer) for x in pair]
    temperatures = list(range(len(peer)))

    def matched(drawn: list[np.ndarray], resamples: int):  # noqa: ANN202
        return matched_contrast(drawn[0], drawn[1], drawn[2::2], drawn[3::2], temperatures, rng, resamples, confidence)

    truth = {
        "chosen": float(scores[1].mean() - scores[3 + 2 * chosen].mean()),
        "matched": matched(scores, 2).delta,
    }
    held = {rule: 0 for rule in truth}
    for run in range(runs):
        draw = rng.integers(0, scores[0].shape[1], prompts)
        drawn = [x[:, draw] for x in scores]
        difference = drawn[1].mean(axis=0) - drawn[3 + 2 * chosen].mean(axis=0)
        found = {
            "chosen": mean_cis({"difference": difference[None]}, rng, n_boot, confidence)["difference"],
            "matched": matched(drawn, n_boot),
        }
        for rule, interval in found.items():
            held[rule] += interval.low - 1e-12 <= truth[rule] <= interval.high + 1e-12
        tick(run + 1)
    rate = lambda share: Rate(share, math.sqrt(share * (1 - share) / runs))
    return {rule: Recovered(truth[rule], rate(held[rule] / runs)) for rule in truth}
