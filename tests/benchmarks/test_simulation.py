"""The simulated data have the variances that they claim, which are found again; the vectorised analyses agree with the libraries'; bad
designs are caught."""

from dataclasses import astuple, replace

import numpy as np
import pytest
from scipy import stats as st
from statsmodels.stats.proportion import proportions_ztest
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from benchmarks.components import Components, variance_components
from benchmarks.simulation import BLOCK, DECLARED, RANDOM, Design, calibrate, judge, simulate
from polychromic.base.errors import PolychromicError
from polychromic.compare.stats import minimum_detectable_effect, paired_contrast

# Prompts differ a lot, and each has a liking for one of the systems.
WIDE = Components(mean=0.3, prompt_sd=0.3, interaction_sd=0.15, prompt_seed_sd=0.05, seed_sd=0.03)
PROMPT = np.array([0.2, 0.4, 0.6])


def rng(seed=0):
    return np.random.default_rng(seed)


def test_components_by_hand():
    assert Components(0.5, 0.3, 0.2, 0.1, 0.4).sampling_variance == pytest.approx(0.25 - 0.09 - 0.04 - 0.01)
    # interaction .04, prompt x seed .01, sampling .11 of 10 samples, two seeds
    assert Components(0.5, 0.3, 0.2, 0.1, 0.4).difference_sd(2, 10) == pytest.approx(np.sqrt(2 * (0.04 + (0.01 + 0.011) / 2)))
    for a, b, variances in (
        # differences .1, 0, -.1 have variance .01; covariance of (.3, .4, .5) and (.2, .4, .6) is .02
        ([PROMPT + [0.1, 0, -0.1]] * 2, [PROMPT] * 2, (0.02, 0.005, 0, 0)),
        ([PROMPT, PROMPT + 0.1], [PROMPT + 0.1, PROMPT], (0.04, 0, 0, 0.005)),
    ):
        assert np.square(astuple(variance_components(a, b, samples=10**9))[1:]) == pytest.approx(variances, abs=1e-8)


@pytest.mark.parametrize("known", [Components(0.3, 0.3, 0.12, 0.1, 0.02), Components(0.6, 0.2, 0.05, 0.2, 0.0)])
def test_components_are_found_again(known):
    passes = simulate(known, 0.0, Design(10_000, 20, 10), 1, rng(1), random_seeds=True)[0]
    found = variance_components(passes[0] / 10, passes[1] / 10, 10)
    for name in ("prompt_sd", "interaction_sd", "prompt_seed_sd"):
        assert getattr(found, name) == pytest.approx(getattr(known, name), rel=0.05)  # seeds that move the mean squeeze the prompts
    assert found.seed_sd == pytest.approx(known.seed_sd, rel=0.5, abs=0.003)  # 20 seeds


@pytest.mark.parametrize("effect", [0.0, 0.1, -0.1])
def test_means_are_those_of_the_components(effect):
    exact = simulate(Components(0.3, 0, 0, 0, 0), effect, Design(5, 2, 10**6), 4, rng()) / 10**6
    assert exact.shape == (4, 2, 2, 5) and exact[:, 0] == pytest.approx(0.3 + effect, abs=0.003)
    for random_seeds in (False, True):
        rates = simulate(WIDE, effect, Design(400, 3, 10), 300, rng(1), random_seeds) / 10
        difference = (rates[:, 0] - rates[:, 1]).mean(axis=(1, 2))
        error = difference.std(ddof=1) / np.sqrt(len(difference))
        assert difference.mean() == pytest.approx(effect, abs=4 * error) and error < 0.003
        assert rates[:, 1].mean() == pytest.approx(0.3, abs=0.005)


def test_variances_are_those_of_the_components_and_seeds_count_when_they_are_random_alone():
    still = replace(WIDE, seed_sd=0.0)  # means that move squeeze the prompts a little
    rates = simulate(still, 0.0, Design(500, 3, 10), 200, rng(2)) / 10
    a, b = rates[:, 0].mean(axis=1), rates[:, 1].mean(axis=1)
    covariance = np.mean([np.cov(x, y)[0, 1] for x, y in zip(a, b, strict=True)])
    assert covariance == pytest.approx(still.prompt_sd**2, rel=0.02)
    assert (a - b).var(axis=1, ddof=1).mean() == pytest.approx(still.difference_sd(3, 10) ** 2, rel=0.02)
    # a sample alone is a Bernoulli draw of the mean, whatever makes up its rate
    assert simulate(still, 0.0, Design(500, 3, 1), 200, rng(3)).var() == pytest.approx(0.3 * 0.7, rel=0.02)
    for random_seeds, seeds in ((False, 0), (True, 2 * WIDE.seed_sd**2 / 3)):
        a, b = simulate(WIDE, 0.0, Design(1000, 3, 20), 300, rng(4), random_seeds).mean(axis=(2, 3)).T / 20
        assert (a - b).var() == pytest.approx(WIDE.difference_sd(3, 20) ** 2 / 1000 + seeds, rel=0.25)


@pytest.fixture(scope="module")
def judged():
    """Rates of 60 runs near the detectable effect, where verdicts differ; the effect; the verdicts."""
    design = Design(80, 2, 10)
    effect = minimum_detectable_effect(WIDE.difference_sd(2, 10), 80, power=0.5)
    passes = simulate(WIDE, effect, design, 60, rng(5))
    return passes / 10, effect, judge(passes, effect, design, rng(6))


def test_paired_verdicts_are_those_of_paired_contrast_and_of_scipy(judged):
    rates, effect, found = judged
    single = [paired_contrast(a, b, rng(7), 1000, 1000) for a, b in rates]
    ends = {"percentile": [(c.low, c.high) for c in single]}
    bca = [st.bootstrap(((a - b).mean(axis=0),), np.mean, n_resamples=1000, method="BCa", rng=rng(7)) for a, b in rates]
    ends["bca"] = [tuple(result.confidence_interval) for result in bca]
    for method, intervals in ends.items():
        covers, rejects = [low <= effect <= high for low, high in intervals], [low > 0 or high < 0 for low, high in intervals]
        # other resamples: a verdict on the edge may fall the other way
        assert np.sum(found[method].covers != covers) <= 3 and np.sum(found[method].rejects != rejects) <= 4
        assert 10 < np.sum(rejects) < 50
    assert np.sum(found["sign_flip"].rejects != [c.p_permutation <= 0.05 for c in single]) <= 4


def test_failing_designs_are_computed_as_statsmodels_does(judged):
    rates, effect, found = judged
    for run, (a, b) in enumerate(rates):
        assert found["pooled"].rejects[run] == (proportions_ztest([10 * a.sum(), 10 * b.sum()], [80 * 2 * 10] * 2)[1] <= 0.05)
        low, high = CompareMeans(DescrStatsW(a.mean(axis=0)), DescrStatsW(b.mean(axis=0))).tconfint_diff(usevar="unequal")
        assert found["welch"].covers[run] == (low <= effect <= high) and found["welch"].rejects[run] == (low > 0 or high < 0)
        low, high = DescrStatsW((a - b).mean(axis=1)).tconfint_mean()
        assert found["seed_t"].covers[run] == (low <= effect <= high)
    assert found["mann_whitney"].covers is None and found["mann_whitney"].rejects.shape == (60,)


def test_ours_keeps_its_level_and_has_the_power_that_was_planned_and_others_do_not():
    effect = minimum_detectable_effect(WIDE.difference_sd(3, 10), 60)
    wide = calibrate(WIDE, effect, Design(60, 3, 10, n_boot=400, n_perm=400), 300, rng(8))
    assert set(wide) == {*DECLARED, *RANDOM}
    assert wide["pooled"].false_positives.value > 0.2 and wide["pooled"].coverage.value < 0.8
    for name in ("percentile", "bca", "sign_flip"):
        assert wide[name].false_positives.value < 0.1
    for name in ("percentile", "bca"):
        assert wide[name].coverage.value == pytest.approx(0.945, abs=0.045)  # three standard errors and the bootstrap's bias
    assert wide["sign_flip"].power.value == pytest.approx(0.8, abs=0.08)
    for name in ("welch", "mann_whitney"):
        assert wide[name].power.value < wide["sign_flip"].power.value - 0.2
        assert wide[name].false_positives.value < 0.02


@pytest.mark.parametrize(("seed_sd", "design"), [(0.01, "seed_t"), (0.04, "percentile_random")])
def test_few_seeds_carry_no_claim_about_random_seeds(seed_sd, design):
    """A t over seeds forgets that the prompts are a sample; an interval over prompts forgets that the seeds are."""
    components = Components(0.3, 0.3, 0.15, 0.02, seed_sd)
    found = calibrate(components, 0.05, Design(60, 3, 10, n_boot=300, n_perm=100), 300, rng(9))
    assert found["percentile"].coverage.value > 0.9 and found[design].coverage.value < 0.88


def test_standard_errors_are_binomial_and_ticks_count_runs():
    ticks, runs, design = [], BLOCK + 20, Design(20, 2, 5, n_boot=100, n_perm=100)
    found = calibrate(WIDE, 0.1, design, runs, rng(10), ticks.append)
    assert ticks == [BLOCK, runs] and found == calibrate(WIDE, 0.1, design, runs, rng(10))
    for rate in (rate for each in found.values() for rate in (each.false_positives, each.power)):
        assert rate.value * runs == pytest.approx(round(rate.value * runs))
        assert rate.se == pytest.approx(np.sqrt(rate.value * (1 - rate.value) / runs))
    assert found["sign_flip"].coverage is None and found["mann_whitney"].coverage is None


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # scipy's t of constant samples
def test_runs_without_any_spread_cover_and_reject_nothing():
    found = judge(np.full((3, 2, 2, 10), 4), 0.0, Design(10, 2, 8, n_boot=100, n_perm=100), rng())
    assert all(found[name].covers.all() for name in ("percentile", "bca", "pooled"))
    assert not any(found[name].rejects.any() for name in ("percentile", "bca", "pooled", "sign_flip", "welch"))


@pytest.mark.parametrize(("call", "message"), [
    (lambda: Components(1.0, 0, 0, 0, 0), r"mean=1\.0.*mean in \(0, 1\)"), (lambda: Components(0.5, float("nan"), 0, 0, 0), "finite"),
    (lambda: Components(0.5, -0.1, 0, 0, 0), "prompt_sd=-0.1.*>= 0"), (lambda: Components(0.1, 0.31, 0, 0, 0), r"sum to 0\.0961.*0\.0900"),
    (lambda: variance_components(np.zeros((1, 5)), np.zeros((1, 5)), 10), r"shapes \(1, 5\).*One seed says nothing"),
    (lambda: variance_components(np.zeros((2, 5)), np.zeros((3, 5)), 10), r"\(3, 5\)"),
    (lambda: variance_components(np.full((2, 5), 3.0), np.zeros((2, 5)), 10), "0.0 to 3.0.*not counts"),
    (lambda: WIDE.difference_sd(0, 10), "0 seeds"),
    (lambda: Design(2, 3, 10), "prompts=2.*3 or more prompts"), (lambda: Design(60, 1, 10), "seeds=1.*2 or more seeds"),
    (lambda: Design(60, 3, 10, alpha=5), "alpha=5"), (lambda: Design(60, 3, 10, n_boot=10), "n_boot=10.*100 or more"),
    (lambda: simulate(WIDE, 0.8, Design(60, 3, 10), 2, rng()), r"effect: got 0\.8 on a mean of 0\.3"),
    (lambda: calibrate(WIDE, 0.1, Design(60, 3, 10), 1, rng()), "runs: got 1"),
])  # fmt: skip
def test_impossible_input_is_an_error(call, message):
    with pytest.raises(PolychromicError, match=message):
        call()
