"""Pass rates drawn with a known truth, and what each design of analysis concludes from them: are the intervals right?

A prompt's rate is a chain of Beta draws: prompts about the mean, systems about their prompt, seeds about their system, so that
every rate lies in [0, 1] and every mean is exact. A difference of systems or seeds moves rates linearly towards 1 or 0. Nothing
here reads a file or a model; polychromic.compare.stats analyses real scores with the same estimators, one contrast at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats as st

from benchmarks.components import Components
from polychromic.base.errors import PolychromicError

BLOCK = 100  # runs at a time, which share the resamples' counts and the sign patterns
TIE = 1e-12  # sums that differ by rounding alone
# What each design takes as the estimand: the declared seeds, or all seeds that could have been drawn.
DECLARED = ("percentile", "bca", "sign_flip", "pooled", "welch", "mann_whitney")
RANDOM = ("seed_t", "percentile_random")


@dataclass(frozen=True)
class Design:
    """Sizes of one experiment, and how it is analysed: level alpha, resamples, sign patterns."""

    prompts: int
    seeds: int
    samples: int
    alpha: float = 0.05
    n_boot: int = 1_000
    n_perm: int = 1_000

    def __post_init__(self) -> None:
        if self.prompts < 3 or self.seeds < 2 or self.samples < 1 or not 0 < self.alpha < 1 or min(self.n_boot, self.n_perm) < 100:
            raise PolychromicError(
                f"{self}. Allowed: 3 or more prompts, 2 or more seeds, 1 or more samples, alpha in (0, 1), 100 or more resamples and "
                "sign patterns. Enlarge what is too small."
            )


@dataclass(frozen=True)
class Verdicts:
    """Of R runs, (R,) bools: whether the interval holds the truth, None for a test without one, and whether 0 is rejected."""

    covers: np.ndarray | None
    rejects: np.ndarray


@dataclass(frozen=True)
class Rate:
    """A share of runs and its Monte-Carlo standard error."""

    value: float
    se: float


@dataclass(frozen=True)
class Calibration:
    """How a design behaves: coverage of its interval (None without one), rejections under no difference, and under the effect."""

    coverage: Rate | None
    false_positives: Rate
    power: Rate


def simulate(
    components: Components, effect: float, design: Design, runs: int, rng: np.random.Generator, random_seeds: bool = False
) -> np.ndarray:
    """Passing samples (R, 2, S, P) of n: system 0 is better than system 1 by `effect`.

    Args:
        effect: true difference of the means, in the share's unit.
        random_seeds: True draws the seeds' means at random, so `effect` is the mean over all seeds there could be; False centres
            them in every run, so `effect` is the mean over the declared seeds.

    Raises:
        PolychromicError: the effect would move the mean out of (0, 1).
    """
    c = components
    if not 0 < c.mean + effect < 1:
        raise PolychromicError(f"effect: got {effect} on a mean of {c.mean}. Allowed: their sum in (0, 1). Choose a smaller effect.")
    left = c.mean * (1 - c.mean)  # variance still to give out
    base = _spread(np.full((runs, 1, 1, design.prompts), c.mean), c.prompt_sd**2 / left, rng)
    means = np.array([c.mean + effect, c.mean])[None, :, None, None]
    rate = _moved(np.repeat(base, 2, axis=1), means - c.mean, c.mean)
    rate = _spread(rate, c.interaction_sd**2 / (left - c.prompt_sd**2), rng)  # (R, 2, 1, P)
    shifts = rng.normal(0, c.seed_sd, (runs, 2, design.seeds, 1))
    if not random_seeds:
        shifts -= shifts.mean(axis=2, keepdims=True)
    rate = _moved(np.repeat(rate, design.seeds, axis=2), shifts, means)
    return rng.binomial(design.samples, _spread(rate, c.prompt_seed_sd**2 / (left - c.prompt_sd**2 - c.interaction_sd**2), rng))


def _spread(mean: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Beta draws with these means and variance `share` of mean (1 - mean)."""
    if share == 0:
        return mean
    size, mean = 1 / share - 1, np.clip(mean, 1e-12, 1 - 1e-12)  # Beta(0, .) is a point that numpy refuses
    return rng.beta(mean * size, (1 - mean) * size)


def _moved(rate: np.ndarray, shift: np.ndarray, mean: np.ndarray | float) -> np.ndarray:
    """Rates with that mean, moved by `shift` in the mean towards 1 or 0: they stay in [0, 1] and come a little closer together."""
    up, down = np.clip(shift / (1 - mean), 0, 1), np.clip(-shift / mean, 0, 1)
    return rate + up * (1 - rate) - down * rate


def judge(passes: np.ndarray, truth: float, design: Design, rng: np.random.Generator) -> dict[str, Verdicts]:
    """What every design makes of the runs (R, 2, S, P), by the names of DECLARED and RANDOM.

    percentile, bca, sign_flip: paired over prompts, means over seeds, as stats.paired_contrast; pooled: all samples as independent,
    two-proportion z; welch, mann_whitney: the prompts' means as two independent groups; seed_t: t over the S seeds' differences;
    percentile_random: the paired interval again, to be read as a claim about random seeds.
    """
    rates = passes / design.samples
    x, y = rates[:, 0].mean(axis=1), rates[:, 1].mean(axis=1)  # (R, P)
    found = _paired(x - y, truth, design, rng) | {"pooled": _pooled(passes, truth, design)}
    welch = st.ttest_ind(x, y, axis=1, equal_var=False).confidence_interval(1 - design.alpha)
    found["welch"] = _interval(welch.low, welch.high, truth)
    p = st.mannwhitneyu(x, y, axis=1, method="asymptotic").pvalue
    found["mann_whitney"] = Verdicts(None, p <= design.alpha)
    by_seed = (rates[:, 0] - rates[:, 1]).mean(axis=-1)  # (R, S)
    delta, half = by_seed.mean(axis=1), st.t.isf(design.alpha / 2, design.seeds - 1) * st.sem(by_seed, axis=1)
    found["seed_t"] = _interval(delta - half, delta + half, truth)
    found["percentile_random"] = found["percentile"]
    return found


def _interval(low: np.ndarray, high: np.ndarray, truth: float) -> Verdicts:
    return Verdicts((low <= truth) & (truth <= high), (low > 0) | (high < 0))


def _pooled(passes: np.ndarray, truth: float, design: Design) -> Verdicts:
    size = design.seeds * design.prompts * design.samples
    a, b = (passes.sum(axis=(2, 3)) / size).T
    both, z = (a + b) / 2, st.norm.isf(design.alpha / 2)
    half = z * np.sqrt((a * (1 - a) + b * (1 - b)) / size)
    return Verdicts(np.abs(a - b - truth) <= half, np.abs(a - b) > z * np.sqrt(2 * both * (1 - both) / size))


def _paired(d: np.ndarray, truth: float, design: Design, rng: np.random.Generator) -> dict[str, Verdicts]:
    """Percentile and BCa bootstrap over prompts (Efron 1987) and the sign-flip test of differences (R, P)."""
    alpha, prompts = design.alpha, design.prompts
    counts = rng.multinomial(prompts, np.full(prompts, 1 / prompts), design.n_boot)
    means = np.sort(counts @ d.T / prompts, axis=0)  # (n_boot, R)
    mean = d.mean(axis=1)
    percentile = _interval(*np.quantile(means, [alpha / 2, 1 - alpha / 2], axis=0), truth)
    below = ((means < mean - TIE).mean(axis=0) + (means <= mean + TIE).mean(axis=0)) / 2
    bias = st.norm.ppf(np.clip(below, 0.5 / design.n_boot, 1 - 0.5 / design.n_boot))
    centred = d - mean[:, None]
    skew = (centred**3).sum(axis=1) / (6 * np.maximum((centred**2).sum(axis=1), 1e-100) ** 1.5)
    ends = []
    for z in (st.norm.ppf(alpha / 2), st.norm.isf(alpha / 2)):
        place = st.norm.cdf(bias + (bias + z) / (1 - skew * (bias + z))) * (design.n_boot - 1)
        floor = np.minimum(place.astype(int), design.n_boot - 2)
        lower, upper = (np.take_along_axis(means, (floor + step)[None], axis=0)[0] for step in (0, 1))
        ends.append(lower + (place - floor) * (upper - lower))
    signs = rng.integers(0, 2, (design.n_perm, prompts)) * 2.0 - 1
    sums, total = np.abs(signs @ d.T), np.abs(d.sum(axis=1)) - TIE
    p = (1 + (sums >= total).sum(axis=0)) / (1 + design.n_perm)
    return {"percentile": percentile, "bca": _interval(*ends, truth), "sign_flip": Verdicts(None, p <= alpha)}


def calibrate(
    components: Components, effect: float, design: Design, runs: int, rng: np.random.Generator, tick: Callable[[int], None] = lambda n: None
) -> dict[str, Calibration]:
    """Every design of DECLARED and RANDOM over `runs` experiments without a difference and as many with `effect`.

    Args:
        tick: called with the number of runs done.

    Raises:
        PolychromicError: fewer than 2 runs, or what `simulate` raises.
    """
    if runs < 2:
        raise PolychromicError(f"runs: got {runs}. Allowed: 2 or more. Use 2000, for standard errors below .5 points at 95 %.")
    names = DECLARED + RANDOM
    covers, false, true = ({name: [] for name in names} for _ in range(3))
    for start in range(0, runs, BLOCK):
        size = min(BLOCK, runs - start)
        for group, random_seeds in ((DECLARED, False), (RANDOM, True)):
            null, other = (judge(simulate(components, e, design, size, rng, random_seeds), e, design, rng) for e in (0.0, effect))
            for name in group:
                false[name].append(null[name].rejects)
                true[name].append(other[name].rejects)
                if other[name].covers is not None:
                    covers[name].append(other[name].covers)
        tick(start + size)
    return {n: Calibration(_rate(covers[n]) if covers[n] else None, _rate(false[n]), _rate(true[n])) for n in names}


def _rate(blocks: list[np.ndarray]) -> Rate:
    values = np.concatenate(blocks)
    share = float(values.mean())
    return Rate(share, math.sqrt(share * (1 - share) / len(values)))
