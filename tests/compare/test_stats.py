import time
from dataclasses import asdict
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs
from scipy import stats as st
from statsmodels import api as sm

from polychromic.base.errors import PolychromicError
from polychromic.compare.effects import hedges_j, iqm, mann_whitney, probability_of_improvement
from polychromic.compare.families import benjamini_hochberg, holm, trend_test
from polychromic.compare.frontier import match_quality
from polychromic.compare.matched import matched_contrast
from polychromic.compare.stats import mean_cis, non_inferior, paired_contrast, sign_flip

settings.register_profile("repeatable", deadline=None, derandomize=True)  # as tests/metrics/conftest.py
settings.load_profile("repeatable")

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


def test_mann_whitney_oracle():
    u, p, cliff = mann_whitney([19, 22, 16, 29, 24], [20, 11, 17, 12])
    assert (u, p, cliff) == pytest.approx((17, 0.1111111111, 0.7))


def test_darwin():
    result = contrast(DARWIN, np.zeros(15))
    assert st.wilcoxon(DARWIN).statistic == 24
    assert result.p_wilcoxon == pytest.approx(0.041259765625, abs=1e-14)
    # Fisher (1935) counted the 2^15 patterns: 1726 have a sum as large
    assert result.permutation_exact and result.p_permutation == pytest.approx(1726 / 2**15, abs=1e-14)


def test_student_sleep():
    result = contrast(SLEEP_2, SLEEP_1)
    assert result.delta == pytest.approx(1.58)
    assert result.d_z == pytest.approx(1.284558, abs=1e-6)
    assert result.d_z * np.sqrt(10) == pytest.approx(4.062128, abs=1e-6)
    assert result.p_permutation == pytest.approx(0.00390625, abs=1e-15)
    assert result.cliffs_delta == pytest.approx(0.49)
    pooled = np.sqrt((SLEEP_1.var(ddof=1) + SLEEP_2.var(ddof=1)) / 2)
    assert result.cohen_d == pytest.approx(1.58 / pooled)
    assert result.hedges_g == pytest.approx(1.58 / pooled * (1 - 3 / (4 * 18 - 1)), rel=1e-3)


def test_clustered_standard_error_is_that_of_statsmodels():
    """Samples nested in prompts: cluster-robust OLS of samples on the system, and the paired differences of prompts, have one error."""
    draws, prompts, n = rng(4), 40, 6
    level = draws.random(prompts)
    samples = np.stack([draws.random((prompts, n)) < level[:, None], draws.random((prompts, n)) < 0.8 * level[:, None]]).astype(float)
    system = np.repeat([1.0, 0.0], prompts * n)
    groups = np.tile(np.repeat(np.arange(prompts), n), 2)
    options = {"groups": groups, "use_correction": False}
    fit = sm.OLS(samples.ravel(), sm.add_constant(system)).fit(cov_type="cluster", cov_kwds=options)
    result = contrast(samples[0].mean(axis=1), samples[1].mean(axis=1))
    assert fit.params[1] == pytest.approx(result.delta)
    standard_error = result.delta / result.d_z / np.sqrt(prompts)
    assert standard_error == pytest.approx(fit.bse[1] * np.sqrt(prompts / (prompts - 1)))  # statsmodels divides by P, an sd by P - 1


def test_seed_level_t_on_the_sleep_data():
    # ten "seeds" whose means differ as the ten patients do
    result = paired_contrast(np.tile(SLEEP_2[:, None], (1, 3)), np.tile(SLEEP_1[:, None], (1, 3)), rng(), n_boot=100)
    assert result.delta_by_seed == pytest.approx(tuple(SLEEP_2 - SLEEP_1))
    assert result.p_seed_t == pytest.approx(0.0028329, abs=1e-7)
    assert (result.n_seeds_a, result.n_seeds_b, result.n_prompts) == (10, 10, 3)


def test_bh_1995():
    assert (holm(BH_1995) <= 0.05).sum() == 3
    assert (benjamini_hochberg(BH_1995) <= 0.05).sum() == 4
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])


@settings(max_examples=15)  # statsmodels collects garbage on every call for Holm: 0.05 to 0.15 s
@given(hs.lists(hs.floats(0, 1), min_size=1, max_size=8), hs.randoms(use_true_random=False))
def test_adjusted_p_values_bounds_and_order(p, random):
    order = list(range(len(p)))
    random.shuffle(order)
    by_holm, by_bh = holm(p), benjamini_hochberg(p)
    assert (by_bh >= np.array(p) - 1e-12).all() and (by_holm >= by_bh - 1e-12).all() and (by_holm <= 1).all()
    shuffled = [p[i] for i in order]
    assert holm(shuffled) == pytest.approx(by_holm[order]) and benjamini_hochberg(shuffled) == pytest.approx(by_bh[order])


@given(hs.lists(hs.integers(-4, 4), min_size=2, max_size=8))
def test_exact_sign_flip_against_enumeration(d):
    # tenths: sums that tie in the integers tie here as well
    sums = [abs(sum(s * x for s, x in zip(signs, d, strict=True))) for signs in product((-1, 1), repeat=len(d))]
    p, exact = sign_flip(np.array(d) / 10, rng())
    assert exact and p == pytest.approx(np.mean([s >= abs(sum(d)) for s in sums]))


def test_drawn_sign_flip_agrees_with_scipy_and_is_never_zero():
    d = rng(1).normal(0.25, 1, 40)
    p, exact = sign_flip(d, rng(), 20_000)
    reference = st.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=20_000, rng=rng(5), vectorized=True).pvalue
    assert not exact and p == pytest.approx(reference, abs=0.015)
    assert sign_flip(np.ones(40), rng(), 999)[0] == pytest.approx(1 / 1000)


def test_drawn_sign_flip_has_its_level():
    draws = rng(2)
    p = np.array([sign_flip(draws.normal(size=20), draws, 199)[0] for _ in range(600)])
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.027)  # three standard errors


def test_interval_against_scipy_and_theory():
    a, b = rng(1).random((3, 200)), rng(2).random((3, 200))
    d = a.mean(axis=0) - b.mean(axis=0)
    result = paired_contrast(a, b, rng(), n_boot=20_000, n_perm=100)
    half = 1.96 * d.std(ddof=1) / np.sqrt(200)
    assert (result.low, result.high) == pytest.approx((d.mean() - half, d.mean() + half), abs=0.05 * half)
    # found four times out of five: a normal mean of that size lies beyond 1.96 standard errors with probability .8
    assert st.norm.sf(1.959964 - result.mde / (d.std(ddof=1) / np.sqrt(200))) == pytest.approx(0.8, abs=1e-6)
    bca = paired_contrast(a, b, rng(), n_boot=5_000, n_perm=100, method="bca")
    expected = st.bootstrap((d,), np.mean, method="BCa", n_resamples=20_000, rng=rng(9)).confidence_interval
    assert (bca.low, bca.high) == pytest.approx((expected.low, expected.high), abs=0.1 * half)
    wider = paired_contrast(a, b, rng(), n_perm=100, confidence=0.99)
    assert wider.low < result.low and wider.high > result.high


def test_interval_covers():
    draws, hits = rng(3), 0
    for _ in range(400):
        x = draws.exponential(size=(2, 60)) + draws.exponential(size=60)
        result = mean_cis({"x": x}, draws, n_boot=400)["x"]
        hits += result.low <= 2 <= result.high
    assert hits / 400 == pytest.approx(0.94, abs=0.035)


def test_mean_cis():
    x = np.array([[0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    found = mean_cis({"x": x, "minus": -x, "constant": np.full((2, 4), 0.3)}, rng(), n_boot=2_000)
    assert (found["x"].mean, found["x"].by_seed, found["x"].n_prompts) == (0.75, (0.5, 1.0), 4)
    assert (found["x"].low, found["x"].high) == (0.5, 1.0)
    assert (found["minus"].low, found["minus"].high) == (-1.0, -0.5), "one set of resamples for all metrics"
    assert (found["constant"].low, found["constant"].high) == (0.3, 0.3)


arrays = hs.tuples(hs.integers(1, 3), hs.integers(1, 3), hs.integers(2, 12), hs.integers(0, 2**32 - 1))


def make(shape):
    seeds_a, seeds_b, prompts, seed = shape
    draws = rng(seed)
    return draws.integers(0, 5, (seeds_a, prompts)) / 10, draws.integers(0, 5, (seeds_b, prompts)) / 10


@settings(max_examples=50)
@given(arrays)
def test_contrast_is_antisymmetric_bounded_and_finite(shape):
    a, b = make(shape)
    one, two = contrast(a, b, n_boot=200), contrast(b, a, n_boot=200)
    assert one.delta == pytest.approx(a.mean() - b.mean(), abs=1e-11) and one.delta == pytest.approx(-two.delta, abs=1e-12)
    assert one.low - 1e-12 <= one.delta <= one.high + 1e-12
    assert (one.low, one.high) == pytest.approx((-two.high, -two.low), abs=1e-9)
    assert one.cliffs_delta == pytest.approx(-two.cliffs_delta) and -1 <= one.cliffs_delta <= 1
    for name in ("p_permutation", "p_wilcoxon", "p_mannwhitney"):
        assert getattr(one, name) == pytest.approx(getattr(two, name)) and 0 < getattr(one, name) <= 1
    assert np.mean(one.delta_by_seed) == pytest.approx(one.delta, abs=1e-11)
    assert len(one.delta_by_seed) == max(len(a), len(b))
    assert all(np.isfinite(v) for v in asdict(one).values() if isinstance(v, float))


@settings(max_examples=25)
@given(arrays, hs.randoms(use_true_random=False))
def test_rank_and_permutation_tests_ignore_the_order_of_prompts(shape, random):
    a, b = make(shape)
    order = list(range(a.shape[1]))
    random.shuffle(order)
    one, two = contrast(a, b), contrast(a[:, order], b[:, order])
    for name in ("delta", "p_permutation", "p_wilcoxon", "p_mannwhitney", "cliffs_delta"):
        assert getattr(one, name) == pytest.approx(getattr(two, name), abs=1e-12)


def test_same_generator_same_record():
    a, b = rng(1).random((2, 50)), rng(2).random((2, 50))
    assert contrast(a, b) == contrast(a, b)
    assert contrast(a, b) != paired_contrast(a, b, rng(7), n_boot=500, n_perm=500)


def test_seeds_of_unequal_number():
    a, b = rng(1).random((1, 9)), rng(2).random((3, 9))
    assert contrast(a, b).delta_by_seed == pytest.approx(tuple(a.mean() - b.mean(axis=1)))
    assert contrast(b, a).delta_by_seed == pytest.approx(tuple(b.mean(axis=1) - a.mean()))
    assert contrast(a, a + 0.1).p_seed_t is None
    assert contrast(b, b + 0.1).p_seed_t is None  # the same difference for every seed: no spread to test against
    assert contrast(b, b).p_seed_t == 1.0


def test_interquartile_mean_drops_a_quarter_on_each_side():
    assert iqm([0, 1, 2, 3, 4, 5, 6, 100]) == 3.5
    assert iqm([[7, 100], [-50, 8]]) == 7.5
    for wrong in ([], [1.0, np.nan]):
        with pytest.raises(PolychromicError, match="Allowed: 1 or more finite scores"):
            iqm(wrong)


def test_probability_of_improvement_pairs_prompts():
    a, b = np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[0.0, 2.0, 4.0, 3.0]])
    assert contrast(a, b).p_improvement == probability_of_improvement(a[0], b[0]) == (1 + 0.5 + 0 + 1) / 4
    assert contrast(a, a).p_improvement == 0.5


def test_all_differences_zero():
    a = rng(0).random((3, 30))
    result = contrast(a, a)
    assert (result.delta, result.low, result.high, result.mde) == (0, 0, 0, 0)
    assert (result.p_permutation, result.p_wilcoxon) == (1, 1) and result.p_mannwhitney == pytest.approx(1)
    assert (result.d_z, result.cohen_d, result.hedges_g, result.cliffs_delta) == (0, 0, 0, 0)


def test_constant_difference_has_no_effect_size():
    result = contrast(np.full((1, 20), 0.7), np.full((1, 20), 0.4))
    assert result.d_z is None and result.cohen_d is None and result.hedges_g is None
    assert result.cliffs_delta == 1 and (result.low, result.high) == pytest.approx((0.3, 0.3))
    both = contrast(np.full((1, 20), 0.4), np.full((1, 20), 0.4))
    assert both.p_mannwhitney == 1 and both.d_z == 0


def test_rounding_makes_no_ranks():
    # .3 - .2 and .2 - .1 differ by 3e-17; as ranks they must tie, and .1 + .2 against .3 is no difference
    a, b = np.array([0.3, 0.2, 0.4, 0.1 + 0.2]), np.array([0.2, 0.1, 0.5, 0.3])
    result = contrast(a, b)
    assert result.p_wilcoxon == pytest.approx(st.wilcoxon([1, 1, -1, 0]).pvalue)
    assert result.p_permutation == pytest.approx(1.0)
    assert contrast(a * 1e-9, b * 1e-9).p_wilcoxon == result.p_wilcoxon


def test_hedges_j():
    assert hedges_j(2) == pytest.approx(1 / np.sqrt(np.pi))
    assert hedges_j(3) == pytest.approx(np.sqrt(np.pi / 6))
    assert hedges_j(10) == pytest.approx(24 * 16 / (105 * np.sqrt(5 * np.pi)))
    assert hedges_j(10**6) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("low", "margin", "verdict"), [(-0.02, 0.03, True), (-0.03, 0.03, False), (-0.04, 0.03, False), (0.01, 0.0, True)])
def test_non_inferior(low, margin, verdict):
    assert non_inferior(low, margin) is verdict


def test_trend_against_page():
    # the example of scipy's documentation: ten students rate tutorial, lecture and seminar; expected order tutorial < lecture < seminar
    table = np.array([[3, 4, 3], [2, 2, 4], [3, 3, 5], [1, 3, 2], [2, 3, 2], [2, 4, 5], [1, 2, 4], [3, 4, 4], [2, 4, 5], [1, 3, 4]])
    result = trend_test([1, 2, 3], table.T)
    ranks = np.apply_along_axis(st.rankdata, 1, table)
    page_l = ranks.sum(axis=0) @ [1, 2, 3]
    assert result.page_l == page_l == 133.5
    assert result.p == pytest.approx(0.0018191161948127822)
    assert result.means == pytest.approx(tuple(table.mean(axis=0))) and result.kendall_tau == pytest.approx(1)


def test_trend_sees_a_rise_and_only_a_rise():
    draws = rng(0)
    x = draws.normal(size=(5, 60)) + draws.normal(size=60) * 10 + 0.4 * np.arange(5)[:, None]
    levels = [0, 0.1, 0.3, 1, 3]
    assert trend_test(levels, x).p < 1e-4
    assert trend_test(levels, -x).p > 0.99
    shuffled = [3, 0, 4, 1, 2]
    assert trend_test([levels[i] for i in shuffled], x[shuffled]) == trend_test(levels, x)
    flat = trend_test(levels, np.zeros((5, 60)))
    assert flat.p == pytest.approx(0.5) and flat.kendall_tau is None


def frontier_data(seed=0, prompts=80, gain=0.0):
    """Quality falls and value rises with temperature, on noisy prompts; a lies on b's curve at T = .6, plus the gain."""
    draws = rng(seed)
    level = draws.normal(0, 0.05, prompts)
    temperatures = [0.3, 0.5, 0.7, 1.0]

    def at(t):
        noise = draws.normal(0, 0.03, (2, 3, prompts))
        return 0.5 - 0.3 * t + level + noise[0], 1 + t + level + noise[1]

    quality, value = zip(*(at(t) for t in temperatures), strict=True)
    aq, av = at(0.6)
    return aq, av + gain, list(quality), list(value), temperatures


def test_matched_contrast_finds_the_gain():
    result = matched_contrast(*frontier_data(gain=0.2), rng())
    assert result.delta == pytest.approx(0.2, abs=0.03) and result.low < 0.2 < result.high
    assert result.b_temperatures == (0.5, 0.7) and sum(result.b_weights) == pytest.approx(1)
    assert not result.clamped and result.clamped_share == 0
    assert result.p_two_sided < 0.01 and result.p_greater < 0.01
    a_quality, a_value, quality, value, _ = frontier_data(gain=0.2)
    match = match_quality([x.mean() for x in quality], [x.mean() for x in value], a_quality.mean())
    assert result.delta == pytest.approx(a_value.mean() - match.value, abs=1e-10)


def test_matched_contrast_against_a_plain_loop():
    a_quality, a_value, quality, value, temperatures = frontier_data(seed=3, prompts=30)
    draws, deltas = rng(11), []
    for _ in range(1500):
        rows = draws.integers(0, 30, 30)
        match = match_quality([x[:, rows].mean() for x in quality], [x[:, rows].mean() for x in value], a_quality[:, rows].mean())
        deltas.append(a_value[:, rows].mean() - match.value)
    result = matched_contrast(a_quality, a_value, quality, value, temperatures, rng(), n_boot=1500)
    width = np.std(deltas)
    assert (result.low, result.high) == pytest.approx(tuple(np.quantile(deltas, [0.025, 0.975])), abs=0.3 * width)
    assert result.p_greater == pytest.approx(np.mean(np.array(deltas) <= 0), abs=0.05)


def test_matched_contrast_with_itself_and_order_of_temperatures():
    _, _, quality, value, temperatures = frontier_data()
    same = matched_contrast(quality[1], value[1], quality, value, temperatures, rng(), n_boot=300)
    assert same.delta == pytest.approx(0, abs=1e-10) and same.b_temperatures == (0.5,)
    assert same.p_two_sided == 1 and same.clamped_share == 0
    end = matched_contrast(quality[0], value[0], quality, value, temperatures, rng(), n_boot=300)
    assert end.delta == pytest.approx(0, abs=1e-10) and end.clamped_share == 0
    a = frontier_data(gain=0.1)
    forward = matched_contrast(*a, rng(), n_boot=300)
    backward = matched_contrast(a[0], a[1], a[2][::-1], a[3][::-1], a[4][::-1], rng(), n_boot=300)
    assert (forward.delta, forward.low, forward.high) == pytest.approx((backward.delta, backward.low, backward.high))
    assert forward.b_weights == pytest.approx(backward.b_weights[::-1])


def test_matched_contrast_clamps_and_says_so():
    a_quality, a_value, quality, value, temperatures = frontier_data()
    result = matched_contrast(a_quality + 1, a_value, quality, value, temperatures, rng(), n_boot=200)
    assert result.clamped and result.clamped_share == 1 and result.b_temperatures == (0.3,)
    assert result.delta == pytest.approx(a_value.mean() - value[0].mean(), abs=1e-10)


def test_matched_contrast_is_fast():
    a = frontier_data(prompts=300)
    start = time.perf_counter()
    matched_contrast(*a, rng(), n_boot=2000)
    assert time.perf_counter() - start < 2


X = np.ones((2, 5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired_contrast(X, np.ones((2, 4)), rng()), "5 and 4 prompts"),
        (lambda: paired_contrast(np.ones(5), X, rng()), r"shape \(5,\)"),
        (lambda: paired_contrast(np.ones((2, 1)), np.ones((2, 1)), rng()), "1 prompts"),
        (lambda: paired_contrast(X, X * np.nan, rng()), "contrast, b: got nan at seed row 0, prompt 0"),
        (lambda: paired_contrast(X, X, rng(), confidence=95), "confidence: got 95"),
        (lambda: paired_contrast(X, X, rng(), n_boot=0), "n_boot: got 0"),
        (lambda: paired_contrast(X, rng().random((2, 5)), rng(), method="basic"), "'basic'"),
        (lambda: mean_cis({"x": np.full((1, 3), np.inf)}, rng()), "x: got inf"),
        (lambda: mean_cis({"x": X, "y": np.ones((2, 4))}, rng()), "y: got 5 and 4 prompts"),
        (lambda: holm([]), "p-values"),
        (lambda: benjamini_hochberg([0.5, float("nan")]), "nan"),
        (lambda: holm([1.5]), "1.5"),
        (lambda: non_inferior(-0.1, -0.03), "margin = -0.03"),
        (lambda: non_inferior(float("nan"), 0.03), "nan"),
        (lambda: hedges_j(1), "df = 1"),
        (lambda: trend_test([0, 1], np.ones((2, 5))), "3 or more"),
        (lambda: trend_test([0, 1, 1], np.ones((3, 5))), "different levels"),
        (lambda: trend_test([0, 1, 2], np.ones((4, 5))), r"\(4, 5\)"),
        (lambda: matched_contrast(X, X, [X], [X, X], [0.5], rng()), "2 values"),
        (lambda: matched_contrast(X, X, [X, X], [X, X], [0.5, 0.5], rng()), "different temperature"),
        (lambda: matched_contrast(X, X, [X], [np.ones((2, 4))], [0.5], rng()), "5 and 4"),
        (lambda: matched_contrast(X, X, [X], [X * np.nan], [0.5], rng()), "nan"),
    ],
)
def test_impossible_input_is_an_error(call, message):
    with pytest.raises(PolychromicError, match=message):
        call()
