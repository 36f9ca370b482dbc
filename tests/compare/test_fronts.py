import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hs
from scipy import stats as st

from polychromic.base.errors import PolychromicError
from polychromic.compare.crossed import Variances, crossed_means, estimate
from polychromic.compare.fronts import RARE, STEPS, Front, front_contrast, offered, self_contrast

SEEDS, PROMPTS = 3, 8
LINE = np.arange(5.0)


def rng(seed=0):
    return np.random.default_rng(seed)


def constant(temperatures, quality, value):
    """A front whose every seed and prompt scores the mean."""
    spread = np.ones((1, SEEDS, PROMPTS))
    return Front(temperatures, np.asarray(quality)[:, None, None] * spread, np.asarray(value)[:, None, None] * spread)


def noisy(seed, temperatures=LINE, lift=0.0, shape=(SEEDS, PROMPTS), sd=(0.02, 0.05, 0.05), prompts=None):
    """quality .5 - .1 T, value T + lift, with random seeds, prompts (drawn from `prompts`, where given) and cells."""
    draw, scores = rng(seed), []
    for mean in (0.5 - 0.1 * temperatures, temperatures + lift):
        of_prompts = (rng(prompts) if prompts is not None else draw).normal(0, sd[1], (1, 1, shape[1]))
        seeds, cells = draw.normal(0, sd[0], (1, shape[0], 1)), draw.normal(0, sd[2], (len(temperatures), *shape))
        scores.append(mean[:, None, None] + seeds + of_prompts + cells)
    return Front(temperatures, *scores)


def gap(a, b, **options):
    return front_contrast(a, b, rng(), **{"n_boot": 50, **options})


@pytest.mark.parametrize(
    ("a", "b", "expected", "shared"),
    [
        # parallel: a is .3 above b at every quality
        ((LINE, 0.5 - 0.1 * LINE, LINE + 0.3), (LINE, 0.5 - 0.1 * LINE, LINE), 0.3, (0.1, 0.5)),
        # the same line shifted by .1 in quality, that is by 1 in value, and shared over a part of it
        ((LINE, 0.5 - 0.1 * LINE, LINE), (LINE, 0.6 - 0.1 * LINE, LINE), -1.0, (0.2, 0.5)),
        # 2 T against T, mean over T of 0 to 4
        ((LINE, 0.5 - 0.1 * LINE, 2 * LINE), (LINE, 0.5 - 0.1 * LINE, LINE), 2.0, (0.1, 0.5)),
        # other temperatures of the same line, in any order
        ((LINE[[3, 0, 4]], 0.5 - 0.1 * LINE[[3, 0, 4]], LINE[[3, 0, 4]]), (LINE, 0.5 - 0.1 * LINE, LINE), 0.0, (0.1, 0.5)),
        # a parabola with its top halfway, flat at 1 behind it: mean (2/3 + 1) / 2
        (([0, 1, 2], [0.3, 0.2, 0.1], [0, 1, 0]), ([0, 2], [0.3, 0.1], [1, 1]), -1 / 6, (0.1, 0.3)),
        # hotter than the optimum there is nothing to lose
        (([0, 2], [0.3, 0.1], [1, 0]), ([0, 2], [0.3, 0.1], [1, 1]), 0.0, (0.1, 0.3)),
    ],
)
def test_gaps_by_hand(a, b, expected, shared):
    found = gap(constant(*a), constant(*b))
    assert found.gap.delta == pytest.approx(expected, abs=2e-4) and found.shared == pytest.approx(shared)
    assert found.gap.low == found.gap.delta == found.gap.high, "nothing varies"
    assert found.gap.p == pytest.approx(float(abs(expected) < 1e-9)) and found.unmatched == 0


def test_too_cold_to_be_best_in_anything_counts_for_nothing():
    cold = constant([-2, -1, *LINE], [0.3, 0.4, *(0.5 - 0.1 * LINE)], [-2, -1, *LINE])
    found = gap(cold, constant(LINE, 0.5 - 0.1 * LINE, LINE))
    assert found.shared == pytest.approx((0.1, 0.5)) and found.gap.delta == pytest.approx(0, abs=0.02)


def test_no_match_and_who_dominates():
    good, poor = constant(LINE, 0.9 - 0.1 * LINE, LINE + 1), constant(LINE, 0.4 - 0.1 * LINE, LINE)
    found = gap(good, poor)
    assert found.gap is None and found.above is None and found.unmatched == 1 and found.shared == pytest.approx((0.5, 0.4))
    assert found.dominates == "a" and found.certainty == 1
    assert found.best_quality.delta == pytest.approx(0.5) and found.best_value.delta == pytest.approx(1)
    assert gap(poor, good).dominates == "b"
    # better in one and worse in the other
    assert gap(constant(LINE, 0.9 - 0.1 * LINE, LINE / 9), poor).dominates is None
    short = constant(LINE, 0.5 - 0.1 * LINE, LINE)
    assert gap(short, constant(LINE, 0.885 - 0.1 * LINE, LINE)).gap is None, "shared over .015 of quality"
    assert gap(short, constant(LINE, 0.885 - 0.1 * LINE, LINE), least=0.01).gap is not None


def test_a_match_in_too_few_resamples_is_none():
    a, b = noisy(0, sd=(0.0, 0.1, 0.0)), noisy(1, sd=(0.0, 0.1, 0.0))
    found = gap(a, Front(LINE, b.quality + 0.36, b.value), n_boot=400)
    assert found.shared[1] - found.shared[0] > 0.02 and found.unmatched > RARE and found.gap is None


def test_itself_is_zero_and_sides_swap():
    a, b = noisy(0), noisy(1, lift=0.2)
    same = gap(a, Front(a.temperatures, a.quality[:, ::-1][:, ::-1], a.value.copy()))
    assert (same.gap.delta, same.gap.low, same.gap.high, same.gap.p, same.dominates) == (0, 0, 0, 1, None)
    one, other = gap(a, b), gap(b, a)
    assert one.gap.delta == -other.gap.delta and one.gap.p == pytest.approx(other.gap.p) and one.above == 1 - other.above
    assert (one.gap.low, one.gap.high) == pytest.approx((-other.gap.high, -other.gap.low))
    order = rng(3).permutation(PROMPTS)
    moved = gap(*(Front(x.temperatures, x.quality[:, :, order], x.value[:, :, order]) for x in (a, b)), n_boot=4000)
    assert moved.gap.delta == pytest.approx(one.gap.delta, abs=1e-12)
    assert moved.gap.variances.se == pytest.approx(gap(a, b, n_boot=4000).gap.variances.se, rel=0.1)


def test_clusters_are_drawn_whole():
    a, b = noisy(0), noisy(1)
    three = [Front(x.temperatures, np.repeat(x.quality, 3, axis=2), np.repeat(x.value, 3, axis=2)) for x in (a, b)]
    alone, whole = gap(a, b), gap(*three, clusters=np.repeat([f"family {i}" for i in range(PROMPTS)], 3))
    assert whole.gap.variances.n_prompts == PROMPTS and whole.n_prompts == 3 * PROMPTS
    assert (whole.gap.delta, whole.gap.low, whole.gap.p) == pytest.approx((alone.gap.delta, alone.gap.low, alone.gap.p))
    assert gap(*three).gap.variances.prompts < whole.gap.variances.prompts
    # a mean stays one over prompts, however large the clusters are
    scores = rng().normal(size=(2, 3, 6))
    means, sizes = crossed_means(scores, rng(), 4, [0, 1, 1, 1, 2, 2])
    assert means[:, 0] == pytest.approx(scores.mean(axis=(1, 2))) and sizes == (3, 3)


@given(hs.lists(hs.integers(-50, 50), min_size=3, max_size=8, unique=True))
def test_quality_rises_nowhere_between_falling_means_and_fronts_never_fall_towards_less(values):
    t = np.arange(len(values), dtype=float)
    quality = np.sort(np.array(values))[::-1, None]
    q, f = offered(t, quality, np.array(values)[:, None])
    assert q.shape == f.shape and len(q) > STEPS and (np.diff(q[:, 0]) <= 0).all() and (np.diff(f[:, 0]) >= 0).all()
    assert q[0, 0] == pytest.approx(max(values)) and q[-1, 0] == pytest.approx(min(values))
    assert f[-1, 0] >= max(values[0], values[-1]) - 1e-12


@pytest.mark.parametrize("count", [6, 7, 8])
def test_a_system_against_itself_is_zero_within_a_hundredth(count):
    t = np.linspace(0.2, 1.1, count)
    front = constant(t, 0.36 / (1 + np.exp(5 * (t - 0.95))), 1.36 * np.exp(-2.2 * (t - 0.72) ** 2))
    found = self_contrast(front, rng(), 10)
    assert abs(found.gap.delta) <= 0.01 and found.shared == pytest.approx((front.quality[-1, 0, 0], front.quality[0, 0, 0]))


def test_variances_against_the_analysis_of_variance():
    draw = rng(5)
    x = draw.normal(0, 1, (4, 1)) + draw.normal(0, 2, (1, 30)) + draw.normal(0, 3, (4, 30))
    means, sizes = crossed_means(x[None], rng(), 40_000)
    found = estimate(means[0], sizes)
    residual = x - x.mean(axis=0) - x.mean(axis=1, keepdims=True) + x.mean()
    cells = (residual**2).sum() / (3 * 29) / x.size
    assert found.delta == pytest.approx(x.mean()) and found.variances.cells == pytest.approx(cells, rel=0.06)
    assert found.variances.seeds + found.variances.cells == pytest.approx(x.mean(axis=1).var(ddof=1) / 4, rel=0.03)
    assert found.variances.prompts + found.variances.cells == pytest.approx(x.mean(axis=0).var(ddof=1) / 30, rel=0.03)


def test_t_where_one_part_makes_the_error():
    d = np.array([0.3, 0.1, -0.2, 0.4, 0.2])
    expected = st.ttest_1samp(d, 0)
    only = Variances(d.var(ddof=1) / 5, 0, 0, 5, 300)
    assert only.p(d.mean()) == pytest.approx(expected.pvalue, rel=1e-6)
    interval = expected.confidence_interval(0.9)
    assert 2 * only.half_width(0.1) == pytest.approx(interval.high - interval.low)
    assert Variances(0, d.var(ddof=1) / 5, 0, 3, 5).p(d.mean()) == pytest.approx(expected.pvalue, rel=1e-6)


@given(hs.floats(1e-6, 1), hs.floats(0, 1), hs.floats(0, 1), hs.integers(2, 9), hs.floats(-20, 20))
def test_p_is_the_level_of_the_interval_that_ends_at_zero(seeds, prompts, cells, count, delta):
    v = Variances(seeds, prompts, cells, count, 100)
    p = v.p(delta)
    assert 0 <= p <= 1 and (p in (0, 1) or v.half_width(p) == pytest.approx(abs(delta), rel=1e-6, abs=1e-9))
    assert (p < 0.05) == (abs(delta) > v.half_width(0.05)) or v.half_width(0.05) == pytest.approx(abs(delta))


def test_what_a_design_detects():
    v = Variances(0.0004, 0.0003, 0.0002, 3, 150)
    larger = v.at(6, 300)
    assert (larger.seeds, larger.prompts, larger.cells) == pytest.approx((0.0002, 0.00015, 0.00005)) and v.at(3, 150) == v
    assert v.se == pytest.approx(0.03) and v.power(v.detectable()) == pytest.approx(0.8) and v.power(0.1) == v.power(-0.1)
    assert larger.detectable() < v.detectable() < v.detectable(0.9) and v.detectable(alpha=0.01) > v.detectable()
    # seeds alone: a t test
    only, crit = Variances(1, 0, 0, 5, 300), st.t.isf(0.025, 4)
    assert only.power(3) == pytest.approx(st.nct.sf(crit, 4, 3) + st.nct.cdf(-crit, 4, 3), abs=2e-3)
    assert only.power(0) == pytest.approx(0.05, abs=2e-3)
    # a thousand seeds and prompts: the normal approximation
    assert Variances(1, 1, 0, 1000, 1000).detectable() == pytest.approx((1.96 + 0.8416) * 2**0.5, rel=3e-3)
    still = Variances(0, 0, 0, 3, 9)
    assert still.detectable() == still.power(0) == 0 and still.power(0.1) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: constant([1.0], [0.5], [1]), r"got temperatures \[1.0\]. Allowed: 2 or more, all different"),
        (lambda: constant([1, 1], [0.5, 0.4], [1, 2]), r"got temperatures \[1.0, 1.0\]"),
        (
            lambda: Front([1, 2], np.zeros((2, 3)), np.zeros((2, 3))),
            r"got 2 temperatures, quality \(2, 3\).*Allowed: \(temperatures, seeds",
        ),
        (lambda: Front([1, 2], np.zeros((2, 3, 4)), np.zeros((2, 3, 5))), r"value \(2, 3, 5\)"),
        (lambda: Front([1, 2], np.zeros((2, 3, 1)), np.zeros((2, 3, 1))), "2 or more prompts"),
        (lambda: constant([1, 2], [0.5, np.nan], [1, 2]), r"got quality nan at \(temperature, seed, prompt\) \(1, 0, 0\). Allowed: finite"),
        (lambda: gap(noisy(0), noisy(1, shape=(SEEDS + 1, PROMPTS))), r"got \(seeds, prompts\) \(3, 8\) and \(4, 8\). Allowed: the same"),
        (lambda: gap(noisy(0, shape=(1, PROMPTS)), noisy(1, shape=(1, PROMPTS))), "seeds: got 1. Allowed: 2 or more"),
        (
            lambda: gap(noisy(0), noisy(1), clusters=[0, 1]),
            r"clusters: got labels of shape \(2,\), 2 different ones. Allowed: one per prompt",
        ),
        (lambda: gap(noisy(0), noisy(1), clusters=[0] * PROMPTS), "1 different ones"),
        (lambda: gap(noisy(0), noisy(1), least=0), "least: got 0. Allowed: above 0"),
        (lambda: gap(noisy(0), noisy(1), confidence=95), "confidence: got 95"),
        (lambda: self_contrast(noisy(0, temperatures=LINE[:3]), rng()), "got 3 temperatures. Allowed: 4 or more"),
        (lambda: Variances(1, 1, 1, 3, 9).at(1, 9), "got 1 seeds, 9 prompts. Allowed: 2 or more"),
        (lambda: Variances(1, 1, 1, 3, 9).detectable(0.02), "got power 0.02, alpha 0.05. Allowed"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(PolychromicError, match=message):
        call()


def test_covers_random_seeds_and_prompts():
    started, runs, held, shifts = time.monotonic(), 150, 0, []
    for run in range(runs):
        a, b = (noisy([run, side], shape=(5, 40), sd=(0.03, 0.2, 0.2), prompts=run) for side in (0, 1))
        found = front_contrast(a, b, rng(run), 100).gap
        held += found.low <= 0 <= found.high
        shifts.append(found.delta)
    # 150 runs of 95 %: three standard errors are 5.3 points
    assert 0.897 <= held / runs <= 1 and abs(np.mean(shifts)) <= 3 * np.std(shifts) / runs**0.5
    assert time.monotonic() - started < 20
