from dataclasses import asdict
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs
from scipy import stats as st
from statsmodels.stats.power import TTestPower

from polychromic.base.errors import PolychromicError
from polychromic.compare import stats
from polychromic.compare.stats import mean_cis, minimum_detectable_effect, paired_contrast, sign_flip, trend_test

# Darwin (1876), crossed minus self-fertilised Zea mays, eighths of an inch; Student (1908), hours of sleep gained on two drugs.
DARWIN = np.array([6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75], dtype=float)
SLEEP_1 = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
SLEEP_2 = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
# Benjamini and Hochberg (1995), section 3.2
BH_1995 = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]


def rng(seed=0):
    return np.random.default_rng(seed)


def contrast(a, b, **options):
    return paired_contrast(np.atleast_2d(a), np.atleast_2d(b), rng(), **{"n_boot": 500, "n_perm": 500, **options})


def test_darwin():
    result = contrast(DARWIN, np.zeros(15))
    assert result.p_wilcoxon == pytest.approx(0.041259765625, abs=1e-14)
    # Fisher (1935) counted the 2^15 patterns: 1726 have a sum as large
    assert result.permutation_exact and result.p_permutation == pytest.approx(1726 / 2**15, abs=1e-14)


def test_student_sleep():
    result = contrast(SLEEP_2, SLEEP_1)
    assert (result.delta, result.d_z, result.cliffs_delta) == pytest.approx((1.58, 1.284558, 0.49), abs=1e-6)
    assert result.p_permutation == pytest.approx(0.00390625, abs=1e-15)
    assert result.p_mannwhitney == pytest.approx(st.mannwhitneyu(SLEEP_2, SLEEP_1).pvalue)


def test_adjusted_p_values():
    assert (stats.holm(BH_1995) <= 0.05).sum() == 3 and (stats.benjamini_hochberg(BH_1995) <= 0.05).sum() == 4
    assert stats.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert stats.benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])


@given(hs.lists(hs.integers(-4, 4), min_size=2, max_size=8))
def test_exact_sign_flip_against_enumeration(d):
    # tenths: sums that tie in the integers tie here as well
    sums = [abs(sum(s * x for s, x in zip(signs, d, strict=True))) for signs in product((-1, 1), repeat=len(d))]
    p, exact = sign_flip(np.array(d) / 10, rng())
    assert exact and p == pytest.approx(np.mean([s >= abs(sum(d)) for s in sums]))


def test_drawn_sign_flip_agrees_with_scipy_has_its_level_and_is_never_zero():
    d, draws = rng(1).normal(0.25, 1, 40), rng(2)
    p, exact = sign_flip(d, rng(), 20_000)
    reference = st.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=20_000, rng=rng(5), vectorized=True).pvalue
    assert not exact and p == pytest.approx(reference, abs=0.015)
    assert sign_flip(np.ones(40), rng(), 999)[0] == pytest.approx(1 / 1000)
    level = np.mean([sign_flip(draws.normal(size=20), draws, 199)[0] <= 0.05 for _ in range(600)])
    assert level == pytest.approx(0.05, abs=0.027)  # three standard errors


def test_interval_against_theory():
    a, b = rng(1).random((3, 200)), rng(2).random((3, 200))
    d = a.mean(axis=0) - b.mean(axis=0)
    result = paired_contrast(a, b, rng(), n_boot=20_000, n_perm=100)
    half = 1.96 * d.std(ddof=1) / np.sqrt(200)
    assert (result.low, result.high) == pytest.approx((d.mean() - half, d.mean() + half), abs=0.05 * half)
    # found four times out of five: a normal mean of that size lies beyond 1.96 standard errors with probability .8
    assert st.norm.sf(1.959964 - result.mde / (d.std(ddof=1) / np.sqrt(200))) == pytest.approx(0.8, abs=1e-6)
    wider = paired_contrast(a, b, rng(), n_perm=100, confidence=0.99)
    assert wider.low < result.low and wider.high > result.high
    assert contrast(a, b) == contrast(a, b) != paired_contrast(a, b, rng(7), n_boot=500, n_perm=500), "a generator is a record"


def test_mean_cis():
    x = np.array([[0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    found = mean_cis({"x": x, "minus": -x, "constant": np.full((2, 4), 0.3)}, rng(), n_boot=2_000)
    assert (found["x"].mean, found["x"].by_seed, found["x"].n_prompts) == (0.75, (0.5, 1.0), 4)
    ends = {name: (interval.low, interval.high) for name, interval in found.items()}
    assert ends == {"x": (0.5, 1.0), "minus": (-1.0, -0.5), "constant": (0.3, 0.3)}, "one set of resamples for all metrics"


@settings(max_examples=20)
@given(hs.integers(1, 3), hs.integers(1, 3), hs.integers(2, 8), hs.randoms(use_true_random=False))
def test_contrast_is_antisymmetric_bounded_and_ignores_the_order_of_prompts(seeds_a, seeds_b, prompts, random):
    draws = rng(random.getrandbits(32))
    a, b = draws.integers(0, 5, (seeds_a, prompts)) / 10, draws.integers(0, 5, (seeds_b, prompts)) / 10
    order = random.sample(range(prompts), prompts)
    one, two, other = contrast(a, b, n_boot=200), contrast(b, a, n_boot=200), contrast(a[:, order], b[:, order], n_boot=200)
    assert one.delta == pytest.approx(a.mean() - b.mean(), abs=1e-11) and one.delta == pytest.approx(-two.delta, abs=1e-12)
    assert one.low - 1e-12 <= one.delta <= one.high + 1e-12
    assert (one.low, one.high) == pytest.approx((-two.high, -two.low), abs=1e-9)
    assert one.cliffs_delta == pytest.approx(-two.cliffs_delta) and -1 <= one.cliffs_delta <= 1
    for name in ("p_permutation", "p_wilcoxon", "p_mannwhitney"):
        assert getattr(one, name) == pytest.approx(getattr(two, name)) and 0 < getattr(one, name) <= 1
    for name in ("delta", "p_permutation", "p_wilcoxon", "p_mannwhitney", "cliffs_delta"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-12)
    assert np.mean(one.delta_by_seed) == pytest.approx(one.delta, abs=1e-11)
    assert (len(one.delta_by_seed), one.n_seeds_a, one.n_seeds_b) == (max(seeds_a, seeds_b), seeds_a, seeds_b)
    assert all(np.isfinite(v) for v in asdict(one).values() if isinstance(v, float))


def test_seeds_of_unequal_number():
    a, b = rng(1).random((1, 9)), rng(2).random((3, 9))
    assert contrast(a, b).delta_by_seed == pytest.approx(tuple(a.mean() - b.mean(axis=1)))
    assert contrast(b, a).delta_by_seed == pytest.approx(tuple(b.mean(axis=1) - a.mean()))
    assert contrast(b, b + 0.1).delta_by_seed == pytest.approx((-0.1,) * 3)


@pytest.mark.parametrize("a", [rng(0).random((3, 30)), np.full((1, 20), 0.4)])
def test_all_differences_zero(a):
    result = contrast(a, a)
    assert (result.delta, result.low, result.high, result.mde, result.d_z, result.cliffs_delta) == (0,) * 6
    assert (result.p_permutation, result.p_wilcoxon) == (1, 1) and result.p_mannwhitney == pytest.approx(1)


def test_constant_difference_has_no_effect_size():
    result = contrast(np.full((1, 20), 0.7), np.full((1, 20), 0.4))
    assert result.d_z is None and result.cliffs_delta == 1 and (result.low, result.high) == pytest.approx((0.3, 0.3))


def test_rounding_makes_no_ranks():
    # .3 - .2 and .2 - .1 differ by 3e-17; as ranks they must tie, and .1 + .2 against .3 is no difference
    a, b = np.array([0.3, 0.2, 0.4, 0.1 + 0.2]), np.array([0.2, 0.1, 0.5, 0.3])
    result = contrast(a, b)
    assert result.p_wilcoxon == pytest.approx(st.wilcoxon([1, 1, -1, 0]).pvalue)
    assert result.p_permutation == pytest.approx(1.0)
    assert contrast(a * 1e-9, b * 1e-9).p_wilcoxon == result.p_wilcoxon


@pytest.mark.parametrize(("prompts", "power", "alpha"), [(60, 0.8, 0.05), (300, 0.6, 0.01), (1000, 0.9, 0.05), (80, 0.5, 0.05)])
def test_detectable_effect_is_detected_that_often(prompts, power, alpha):
    sd = 0.3
    effect = minimum_detectable_effect(sd, prompts, power, alpha)
    assert minimum_detectable_effect(2 * sd, 4 * prompts, power, alpha) == pytest.approx(effect)
    if prompts >= 300:
        assert effect == pytest.approx(sd * TTestPower().solve_power(nobs=prompts, power=power, alpha=alpha), rel=0.01)
    means = rng(2).normal(effect, sd / np.sqrt(prompts), 20_000)
    assert np.mean(2 * st.norm.sf(np.abs(means) / (sd / np.sqrt(prompts))) <= alpha) == pytest.approx(power, abs=0.014)  # four errors
    if power == 0.5:
        assert effect == pytest.approx(1.959964 * sd / np.sqrt(prompts)), "the half-width of the interval"


def test_trend_against_page():
    # the example of scipy's documentation: ten students rate tutorial, lecture and seminar; expected order tutorial < lecture < seminar
    table = np.array([[3, 4, 3], [2, 2, 4], [3, 3, 5], [1, 3, 2], [2, 3, 2], [2, 4, 5], [1, 2, 4], [3, 4, 4], [2, 4, 5], [1, 3, 4]])
    result = trend_test([1, 2, 3], table.T)
    assert result["page_l"] == st.rankdata(table, axis=1).sum(axis=0) @ [1, 2, 3] == 133.5
    assert result["p"] == pytest.approx(0.0018191161948127822)
    assert result["means"] == pytest.approx(table.mean(axis=0).tolist()) and result["kendall_tau"] == pytest.approx(1)


def test_trend_sees_a_rise_and_only_a_rise():
    draws, levels, shuffled = rng(0), [0, 0.1, 0.3, 1, 3], [3, 0, 4, 1, 2]
    x = draws.normal(size=(5, 60)) + draws.normal(size=60) * 10 + 0.4 * np.arange(5)[:, None]
    assert trend_test(levels, x)["p"] < 1e-4 and trend_test(levels, -x)["p"] > 0.99
    assert trend_test([levels[i] for i in shuffled], x[shuffled]) == trend_test(levels, x)
    flat = trend_test(levels, np.zeros((5, 60)))
    assert flat["p"] == pytest.approx(0.5) and flat["kendall_tau"] is None


X = np.ones((2, 5))


@pytest.mark.parametrize(("call", "message"), [
    (lambda: paired_contrast(X, np.ones((2, 4)), rng()), r"contrast, b: got shape \(2, 4\), .* \(the first has 5\)"),
    (lambda: paired_contrast(np.ones(5), X, rng()), r"contrast, a: got shape \(5,\)"),
    (lambda: paired_contrast(np.ones((2, 1)), np.ones((2, 1)), rng()), r"got shape \(2, 1\), .* 2 or more prompts"),
    (lambda: paired_contrast(X, X * np.nan, rng()), "contrast, b: got .* 10 scores not finite"),
    (lambda: mean_cis({"x": X, "y": np.ones((2, 4))}, rng()), r"y: got shape \(2, 4\)"),
])  # fmt: skip
def test_impossible_input_is_an_error(call, message):
    with pytest.raises(PolychromicError, match=message):
        call()
