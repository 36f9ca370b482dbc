"""Variance components by hand and from draws with known ones; detectable effects against statsmodels and by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs
from scipy import stats as st
from statsmodels.stats.power import TTestPower

from benchmarks.simulation import Design, simulate
from polychromic.base.errors import PolychromicError
from polychromic.compare.power import Components, difference_sd, minimum_detectable_effect, variance_components

settings.register_profile("repeatable", deadline=None, derandomize=True)  # as tests/metrics/conftest.py
settings.load_profile("repeatable")


def test_what_is_left_is_sampling():
    assert Components(0.5, 0.3, 0.2, 0.1, 0.4).sampling_variance == pytest.approx(0.25 - 0.09 - 0.04 - 0.01)
    assert Components(0.2, 0, 0, 0, 0).sampling_variance == pytest.approx(0.16)


def test_difference_sd_by_hand():
    # interaction .04, prompt x seed .01, sampling .11 of 10 samples, two seeds
    assert difference_sd(Components(0.5, 0.3, 0.2, 0.1, 0.4), 2, 10) == pytest.approx(np.sqrt(2 * (0.04 + (0.01 + 0.011) / 2)))


def test_components_without_noise_by_hand():
    prompt = np.array([0.2, 0.4, 0.6])
    found = variance_components([prompt + [0.1, 0, -0.1]] * 2, [prompt] * 2, samples=10**9)
    # differences .1, 0, -.1 have variance .01; covariance of (.3, .4, .5) and (.2, .4, .6) is .02
    assert (found.mean, found.prompt_sd**2, found.interaction_sd**2) == pytest.approx((0.4, 0.02, 0.005))
    assert (found.prompt_seed_sd, found.seed_sd) == pytest.approx((0, 0), abs=1e-4)


def test_seeds_that_differ_by_a_constant_have_that_variance():
    prompt = np.array([0.2, 0.4, 0.6])
    found = variance_components([prompt, prompt + 0.1], [prompt + 0.1, prompt], samples=10**9)
    assert found.seed_sd**2 == pytest.approx(0.005) and found.prompt_seed_sd == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("known", [Components(0.3, 0.3, 0.12, 0.1, 0.02), Components(0.6, 0.2, 0.05, 0.2, 0.0)])
def test_components_are_found_again(known):
    passes = simulate(known, 0.0, Design(20_000, 20, 10), 1, np.random.default_rng(1), random_seeds=True)[0]
    found = variance_components(passes[0] / 10, passes[1] / 10, 10)
    assert found.prompt_sd == pytest.approx(known.prompt_sd, rel=0.05)  # seeds that move the mean squeeze the prompts
    assert found.interaction_sd == pytest.approx(known.interaction_sd, rel=0.05)
    assert found.prompt_seed_sd == pytest.approx(known.prompt_seed_sd, rel=0.05)
    assert found.seed_sd == pytest.approx(known.seed_sd, rel=0.5, abs=0.002)  # 20 seeds


def test_detectable_effect_against_statsmodels():
    for prompts, power in ((300, 0.8), (1000, 0.9)):
        expected = TTestPower().solve_power(nobs=prompts, power=power, alpha=0.05)
        assert minimum_detectable_effect(2.0, prompts, power) == pytest.approx(2 * expected, rel=0.01)


@pytest.mark.parametrize(("prompts", "power", "alpha"), [(60, 0.8, 0.05), (300, 0.6, 0.01)])
def test_detectable_effect_is_detected_that_often(prompts, power, alpha):
    rng, sd = np.random.default_rng(2), 0.3
    effect = minimum_detectable_effect(sd, prompts, power, alpha)
    z = rng.normal(effect, sd, (20_000, prompts)).mean(axis=1) / (sd / np.sqrt(prompts))
    assert np.mean(2 * st.norm.sf(np.abs(z)) <= alpha) == pytest.approx(power, abs=0.012)  # four standard errors


def test_at_power_one_half_it_is_the_half_width():
    assert minimum_detectable_effect(0.3, 60, power=0.5) == pytest.approx(1.959964 * 0.3 / np.sqrt(60))


@given(hs.floats(0, 10), hs.integers(2, 10_000), hs.floats(0.5, 0.99), hs.floats(0.001, 0.5))
def test_four_times_the_prompts_see_half_the_effect(sd, prompts, power, alpha):
    effect = minimum_detectable_effect(sd, prompts, power, alpha)
    assert minimum_detectable_effect(sd, 4 * prompts, power, alpha) == pytest.approx(effect / 2)
    assert minimum_detectable_effect(2 * sd, prompts, power, alpha) == pytest.approx(2 * effect)
    assert effect >= 0 and minimum_detectable_effect(sd, prompts, 0.995, alpha) >= effect


FINE = Components(0.3, 0.2, 0.1, 0.1, 0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Components(1.0, 0, 0, 0, 0), r"mean=1\.0.*mean in \(0, 1\)"),
        (lambda: Components(0.5, -0.1, 0, 0, 0), "prompt_sd=-0.1.*>= 0"),
        (lambda: Components(0.5, float("nan"), 0, 0, 0), "finite"),
        (lambda: Components(0.1, 0.31, 0, 0, 0), r"sum to 0\.0961.*0\.0900"),
        (lambda: variance_components(np.zeros((1, 5)), np.zeros((1, 5)), 10), r"shapes \(1, 5\).*One seed says nothing"),
        (lambda: variance_components(np.zeros((2, 5)), np.zeros((3, 5)), 10), r"\(3, 5\)"),
        (lambda: variance_components(np.full((2, 5), 3.0), np.zeros((2, 5)), 10), "0.0 to 3.0.*not counts"),
        (lambda: difference_sd(FINE, 0, 10), "0 seeds"),
        (lambda: minimum_detectable_effect(-1, 60), "sd = -1"),
        (lambda: minimum_detectable_effect(1, 1), "1 prompts"),
        (lambda: minimum_detectable_effect(1, 60, power=80), "power = 80"),
        (lambda: minimum_detectable_effect(1, 60, power=0.04), "power = 0.04"),
        (lambda: minimum_detectable_effect(1, 60, alpha=0), "alpha = 0"),
    ],
)
def test_impossible_input_is_an_error(call, message):
    with pytest.raises(PolychromicError, match=message):
        call()
