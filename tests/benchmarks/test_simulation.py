"""The simulated data have the variances that they claim; the vectorised analyses agree with the library's; bad designs are caught."""

from dataclasses import replace

import numpy as np
import pytest
from statsmodels.stats.proportion import proportions_ztest
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from benchmarks.simulation import BLOCK, DECLARED, RANDOM, Design, calibrate, judge, simulate
from polychromic.base.errors import PolychromicError
from polychromic.compare.power import Components, difference_sd, minimum_detectable_effect
from polychromic.compare.stats import paired_contrast

# Prompts differ a lot, and each has a liking for one of the systems.
WIDE = Components(mean=0.3, prompt_sd=0.3, interaction_sd=0.15, prompt_seed_sd=0.05, seed_sd=0.03)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("effect", [0.0, 0.1, -0.1])
def test_means_are_exact_without_spread(effect):
    passes = simulate(Components(0.3, 0, 0, 0, 0), effect, Design(5, 2, 10**6), 4, rng())
    assert passes.shape == (4, 2, 2, 5)
    assert passes[:, 0] / 10**6 == pytest.approx(0.3 + effect, abs=0.003)
    assert passes[:, 1] / 10**6 == pytest.approx(0.3, abs=0.003)


@pytest.mark.parametrize("effect", [0.1, -0.1])
def test_means_hold_with_every_spread(effect):
    for random_seeds in (False, True):
        rates = simulate(WIDE, effect, Design(400, 3, 10), 300, rng(1), random_seeds) / 10
        difference = (rates[:, 0] - rates[:, 1]).mean(axis=(1, 2))
        error = difference.std(ddof=1) / np.sqrt(len(difference))
        assert difference.mean() == pytest.approx(effect, abs=4 * error) and error < 0.003
        assert rates[:, 1].mean() == pytest.approx(0.3, abs=0.005)


def test_variances_are_those_of_the_components():
    still = replace(WIDE, seed_sd=0.0)  # means that move squeeze the prompts a little
    rates = simulate(still, 0.0, Design(500, 3, 10), 200, rng(2)) / 10
    a, b = rates[:, 0].mean(axis=1), rates[:, 1].mean(axis=1)
    covariance = np.mean([np.cov(x, y)[0, 1] for x, y in zip(a, b, strict=True)])
    assert covariance == pytest.approx(still.prompt_sd**2, rel=0.02)
    assert (a - b).var(axis=1, ddof=1).mean() == pytest.approx(difference_sd(still, 3, 10) ** 2, rel=0.02)
    # a sample alone is a Bernoulli draw of the mean, whatever makes up its rate
    single = simulate(still, 0.0, Design(500, 3, 1), 200, rng(3))
    assert single.var() == pytest.approx(0.3 * 0.7, rel=0.02)


def test_seeds_vary_when_they_are_random_and_cancel_when_declared():
    design = Design(2000, 3, 20)
    centred, drawn = (simulate(WIDE, 0.0, design, 300, rng(4), random_seeds).mean(axis=(2, 3)) / 20 for random_seeds in (False, True))
    noise = difference_sd(WIDE, 3, 20) ** 2 / 2000
    assert (centred[:, 0] - centred[:, 1]).var() == pytest.approx(noise, rel=0.25)
    assert (drawn[:, 0] - drawn[:, 1]).var() == pytest.approx(noise + 2 * WIDE.seed_sd**2 / 3, rel=0.25)


@pytest.fixture(scope="module")
def judged():
    """60 runs near the detectable effect, where verdicts differ."""
    design = Design(80, 2, 10)
    effect = minimum_detectable_effect(difference_sd(WIDE, 2, 10), 80, power=0.5)
    passes = simulate(WIDE, effect, design, 60, rng(5))
    return passes, effect, judge(passes, effect, design, rng(6))


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_paired_verdicts_are_those_of_paired_contrast(judged, method):
    passes, effect, found = judged
    rates = passes / 10
    single = [paired_contrast(a, b, rng(7), 1000, 1000, method=method) for a, b in rates]
    covers, rejects = [c.low <= effect <= c.high for c in single], [c.low > 0 or c.high < 0 for c in single]
    flips = [c.p_permutation <= 0.05 for c in single]
    # other resamples: a verdict on the edge may fall the other way
    assert np.sum(found[method].covers != covers) <= 3 and np.sum(found[method].rejects != rejects) <= 4
    assert np.sum(found["sign_flip"].rejects != flips) <= 4
    assert 10 < np.sum(rejects) < 50


def test_failing_designs_are_computed_as_statsmodels_does(judged):
    passes, effect, found = judged
    rates = passes / 10
    for run in range(60):
        p = proportions_ztest(passes[run].sum(axis=(1, 2)), [80 * 2 * 10] * 2)[1]
        assert found["pooled"].rejects[run] == (p <= 0.05)
        means = CompareMeans(DescrStatsW(rates[run, 0].mean(axis=0)), DescrStatsW(rates[run, 1].mean(axis=0)))
        low, high = means.tconfint_diff(usevar="unequal")
        assert found["welch"].covers[run] == (low <= effect <= high) and found["welch"].rejects[run] == (low > 0 or high < 0)
        low, high = DescrStatsW((rates[run, 0] - rates[run, 1]).mean(axis=1)).tconfint_mean()
        assert found["seed_t"].covers[run] == (low <= effect <= high)
    assert found["mann_whitney"].covers is None and found["mann_whitney"].rejects.shape == (60,)


@pytest.fixture(scope="module")
def wide():
    design = Design(60, 3, 10, n_boot=400, n_perm=400)
    effect = minimum_detectable_effect(difference_sd(WIDE, 3, 10), 60)
    return calibrate(WIDE, effect, design, 300, rng(8))


def test_ours_keeps_its_level_and_pooling_does_not(wide):
    assert set(wide) == {*DECLARED, *RANDOM}
    assert wide["pooled"].false_positives.value > 0.2 and wide["pooled"].coverage.value < 0.8
    for name in ("percentile", "bca", "sign_flip"):
        assert wide[name].false_positives.value < 0.1
    for name in ("percentile", "bca"):
        assert wide[name].coverage.value == pytest.approx(0.945, abs=0.045)  # three standard errors and the bootstrap's bias


def test_pairing_has_the_power_that_was_planned_and_unpaired_tests_have_not(wide):
    assert wide["sign_flip"].power.value == pytest.approx(0.8, abs=0.08)
    for name in ("welch", "mann_whitney"):
        assert wide[name].power.value < wide["sign_flip"].power.value - 0.2
        assert wide[name].false_positives.value < 0.02


@pytest.mark.parametrize(("seed_sd", "design"), [(0.01, "seed_t"), (0.04, "percentile_random")])
def test_few_seeds_carry_no_claim_about_random_seeds(seed_sd, design):
    """A t over seeds forgets that the prompts are a sample; an interval over prompts forgets that the seeds are."""
    components = Components(0.3, 0.3, 0.15, 0.02, seed_sd)
    found = calibrate(components, 0.05, Design(60, 3, 10, n_boot=300, n_perm=100), 300, rng(9))
    assert found["percentile"].coverage.value > 0.9
    assert found[design].coverage.value < 0.88


def test_standard_errors_are_binomial_and_ticks_count_runs():
    ticks, runs = [], BLOCK + 20
    found = calibrate(WIDE, 0.1, Design(20, 2, 5, n_boot=100, n_perm=100), runs, rng(10), ticks.append)
    assert ticks == [BLOCK, runs]
    for calibration in found.values():
        for rate in (calibration.false_positives, calibration.power):
            assert rate.value * runs == pytest.approx(round(rate.value * runs))
            assert rate.se == pytest.approx(np.sqrt(rate.value * (1 - rate.value) / runs))
    assert found["sign_flip"].coverage is None and found["mann_whitney"].coverage is None


def test_same_generator_same_calibration():
    design = Design(20, 2, 5, n_boot=100, n_perm=100)
    assert calibrate(WIDE, 0.1, design, 30, rng(11)) == calibrate(WIDE, 0.1, design, 30, rng(11))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # scipy's t of constant samples
def test_runs_without_any_spread_cover_and_reject_nothing():
    found = judge(np.full((3, 2, 2, 10), 4), 0.0, Design(10, 2, 8, n_boot=100, n_perm=100), rng())
    for name in ("percentile", "bca", "pooled"):
        assert found[name].covers.all() and not found[name].rejects.any()
    assert not found["sign_flip"].rejects.any() and not found["welch"].rejects.any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Design(2, 3, 10), "prompts=2.*3 or more prompts"),
        (lambda: Design(60, 1, 10), "seeds=1.*2 or more seeds"),
        (lambda: Design(60, 3, 10, alpha=5), "alpha=5"),
        (lambda: Design(60, 3, 10, n_boot=10), "n_boot=10.*100 or more"),
        (lambda: simulate(WIDE, 0.8, Design(60, 3, 10), 2, rng()), r"effect: got 0\.8 on a mean of 0\.3"),
        (lambda: calibrate(WIDE, 0.1, Design(60, 3, 10), 1, rng()), "runs: got 1"),
    ],
)
def test_impossible_input_is_an_error(call, message):
    with pytest.raises(PolychromicError, match=message):
        call()
