import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hs

from polychromic.base.errors import PolychromicError
from polychromic.compare.matched import hypervolume, match_quality, matched_contrast, pareto_front

grid_points = hs.lists(hs.tuples(hs.integers(0, 6), hs.integers(0, 6)), min_size=1, max_size=10)


@given(grid_points)
def test_front_and_area_against_the_definitions(points):
    def beaten(p):
        return any(r[0] >= p[0] and r[1] >= p[1] and r != p for r in points)

    assert pareto_front(points).tolist() == [i for i, p in enumerate(points) if not beaten(p)]
    cells = sum(any(x < p[0] and y < p[1] for p in points) for x in range(6) for y in range(6))
    assert hypervolume(points) == hypervolume(points[::-1]) == hypervolume([*points, points[0], (0, 0)]) == pytest.approx(cells)


SLOPE = [0.2, 0.4, 0.3], [3.0, 1.0, 2.5]
# greedy (.30, .9) is beaten by (.31, 1.1): at quality .30 the system offers more than .9
BEATEN = [0.30, 0.31, 0.27], [0.9, 1.1, 1.4]


@pytest.mark.parametrize(
    ("points", "at", "value", "clamped"),
    [
        *((SLOPE, at, value, False) for at, value in ((0.3, 2.5), (0.35, 1.75), (0.2, 3.0), (0.4, 1.0))),
        (SLOPE, 0.19, 3.0, True),
        (SLOPE, 0.41, 1.0, True),
        (BEATEN, 0.30, 1.1 + 0.3 * (0.01 / 0.04), False),
        # within the measured range, left of the front: the end of the front
        (([0.1, 0.2, 0.3], [0.5, 2.0, 1.0]), 0.15, 2.0, False),
        (([0.2, 0.2, 0.3], [0.5, 2.0, 1.0]), 0.2, 2.0, False),
    ],
)
def test_match_by_hand(points, at, value, clamped):
    found, _, outside = match_quality(*points, at)
    assert found == pytest.approx(value) and outside == clamped


@given(hs.lists(hs.tuples(hs.floats(0, 1), hs.floats(0, 10)), min_size=1, max_size=6), hs.floats(0, 1), hs.randoms(use_true_random=False))
def test_match_bounds_weights_and_order(points, at, random):
    quality, coverage = np.array(points).T
    value, weights, clamped = match_quality(quality, coverage, at)
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all() and (weights > 0).sum() <= 2
    assert weights @ coverage == pytest.approx(value)
    assert clamped or weights @ quality >= at - 1e-9, "never below the quality asked for"
    assert match_quality(*np.array(random.sample(points, len(points))).T, at)[0] == pytest.approx(value)
    assert match_quality(quality, coverage, min(at + 0.1, 1))[0] <= value + 1e-9, "more quality never gives more coverage"


def frontier_data(seed=0, prompts=80, gain=0.0):
    """Quality falls and value rises with temperature, on noisy prompts; a lies on b's curve at T = .6, plus the gain."""
    draws = np.random.default_rng(seed)
    level, temperatures = draws.normal(0, 0.05, prompts), [0.3, 0.5, 0.7, 1.0]

    def at(t):
        noise = draws.normal(0, 0.03, (2, 3, prompts))
        return 0.5 - 0.3 * t + level + noise[0], 1 + t + level + noise[1]

    quality, value = zip(*(at(t) for t in temperatures), strict=True)
    aq, av = at(0.6)
    return aq, av + gain, list(quality), list(value), temperatures


def matched(a_quality, a_value, quality, value, temperatures, n_boot=300):
    return matched_contrast(a_quality, a_value, quality, value, temperatures, np.random.default_rng(0), n_boot)


def test_matched_contrast_finds_the_gain():
    a_quality, a_value, quality, value, temperatures = data = frontier_data(gain=0.2)
    result = matched(*data, n_boot=2000)
    assert result.delta == pytest.approx(0.2, abs=0.03) and result.low < 0.2 < result.high and result.n_prompts == 80
    assert [w > 0 for w in result.b_weights] == [False, True, True, False] and sum(result.b_weights) == pytest.approx(1)
    assert result.clamped_share == 0 and result.p_two_sided < 0.01
    peer, *_ = match_quality([x.mean() for x in quality], [x.mean() for x in value], a_quality.mean())
    assert result.delta == pytest.approx(a_value.mean() - peer, abs=1e-10)
    backward = matched(a_quality, a_value, quality[::-1], value[::-1], temperatures[::-1], n_boot=2000)
    assert (result.delta, result.low, result.high) == pytest.approx((backward.delta, backward.low, backward.high))
    assert result.b_weights == pytest.approx(backward.b_weights[::-1])


def test_matched_contrast_against_a_plain_loop():
    a_quality, a_value, quality, value, _ = data = frontier_data(seed=3, prompts=30)
    draws, deltas = np.random.default_rng(11), []
    for _ in range(1500):
        rows = draws.integers(0, 30, 30)
        peer, *_ = match_quality([x[:, rows].mean() for x in quality], [x[:, rows].mean() for x in value], a_quality[:, rows].mean())
        deltas.append(a_value[:, rows].mean() - peer)
    result = matched(*data, n_boot=1500)
    assert (result.low, result.high) == pytest.approx(tuple(np.quantile(deltas, [0.025, 0.975])), abs=0.3 * np.std(deltas))
    beyond = min(np.mean(np.array(deltas) <= 0), np.mean(np.array(deltas) >= 0))
    assert result.p_two_sided == pytest.approx(2 * beyond, abs=0.1)
    assert result.mde == pytest.approx(2.8 * np.std(deltas), rel=0.1)


@pytest.mark.parametrize("which", [0, 1])
def test_matched_contrast_with_itself(which):
    _, _, quality, value, temperatures = frontier_data()
    same = matched(quality[which], value[which], quality, value, temperatures)
    assert same.delta == pytest.approx(0, abs=1e-10) and np.flatnonzero(same.b_weights).tolist() == [which]
    assert same.p_two_sided == 1 and same.clamped_share == 0


def test_matched_contrast_clamps_and_says_so():
    a_quality, a_value, quality, value, temperatures = frontier_data()
    result = matched(a_quality + 1, a_value, quality, value, temperatures)
    assert result.clamped_share == 1 and result.b_weights == (1, 0, 0, 0)
    assert result.delta == pytest.approx(a_value.mean() - value[0].mean(), abs=1e-10)


def test_scores_of_other_prompts_are_an_error():
    with pytest.raises(PolychromicError, match=r"matched contrast, b's value at 0.5: got shape \(2, 4\)"):
        matched(np.ones((2, 5)), np.ones((2, 5)), [np.ones((2, 5))], [np.ones((2, 4))], [0.5])
