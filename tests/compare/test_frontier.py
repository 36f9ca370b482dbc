import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hs

from polychromic.base.errors import PolychromicError
from polychromic.compare.frontier import hypervolume, interpolate, match_quality, pareto_front

ORACLE = [(0.9, 0.1), (0.5, 0.5), (0.1, 0.9), (0.4, 0.4), (0.1, 0.1)]
grid_points = hs.lists(hs.tuples(hs.integers(0, 6), hs.integers(0, 6)), min_size=1, max_size=10)


def test_pareto_oracle():
    assert pareto_front(ORACLE).tolist() == [0, 1, 2]


@given(grid_points)
def test_pareto_against_the_definition(points):
    def beaten(p):
        return any(r[0] >= p[0] and r[1] >= p[1] and r != p for r in points)

    assert pareto_front(points).tolist() == [i for i, p in enumerate(points) if not beaten(p)]


@given(grid_points)
def test_hypervolume_against_counted_cells(points):
    cells = sum(any(x < p[0] and y < p[1] for p in points) for x in range(6) for y in range(6))
    assert hypervolume(points) == pytest.approx(cells)
    assert hypervolume(points[::-1]) == pytest.approx(cells)
    assert hypervolume([*points, points[0], (0, 0)]) == pytest.approx(cells)


def test_hypervolume_with_a_reference():
    assert hypervolume([(0.9, 0.1), (0.5, 0.5)]) == pytest.approx(0.09 + 0.5 * 0.4)
    assert hypervolume([(2, 3), (3, 2)], reference=(1, 1)) == pytest.approx(3)


def test_interpolate():
    quality, coverage = [0.2, 0.4, 0.3], [3.0, 1.0, 2.5]
    assert interpolate(quality, coverage, 0.3) == pytest.approx(2.5)
    assert interpolate(quality, coverage, 0.35) == pytest.approx(1.75)
    assert interpolate(quality, coverage, 0.2) == pytest.approx(3.0)
    assert interpolate(quality, coverage, 0.4) == pytest.approx(1.0)
    assert interpolate(quality, coverage, 0.19) is None and interpolate(quality, coverage, 0.41) is None


def test_beaten_temperatures_do_not_count():
    # greedy (.30, .9) is beaten by (.31, 1.1): at quality .30 the system offers more than .9
    quality, coverage = [0.30, 0.31, 0.27], [0.9, 1.1, 1.4]
    assert interpolate(quality, coverage, 0.30) == pytest.approx(1.1 + 0.3 * (0.01 / 0.04))
    # within the measured range, left of the front: the end of the front
    assert interpolate([0.1, 0.2, 0.3], [0.5, 2.0, 1.0], 0.15) == pytest.approx(2.0)
    assert interpolate([0.2, 0.2, 0.3], [0.5, 2.0, 1.0], 0.2) == pytest.approx(2.0)


def test_match_clamps_to_the_nearest_end():
    above, below = match_quality([0.2, 0.4], [3.0, 1.0], 0.5), match_quality([0.2, 0.4], [3.0, 1.0], 0.1)
    assert (above.value, above.weights, above.clamped) == (1.0, (0.0, 1.0), True)
    assert (below.value, below.weights, below.clamped) == (3.0, (1.0, 0.0), True)


@given(hs.lists(hs.tuples(hs.floats(0, 1), hs.floats(0, 10)), min_size=1, max_size=6), hs.floats(0, 1), hs.randoms(use_true_random=False))
def test_match_bounds_weights_and_order(points, at, random):
    quality, coverage = np.array(points).T
    match = match_quality(quality, coverage, at)
    weights = np.array(match.weights)
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all() and (weights > 0).sum() <= 2
    assert weights @ coverage == pytest.approx(match.value)
    if not match.clamped:
        assert weights @ quality >= at - 1e-9  # never below the quality asked for
    random.shuffle(points)
    assert match_quality(*np.array(points).T, at).value == pytest.approx(match.value)
    # more quality asked for never gives more coverage
    assert match_quality(quality, coverage, min(at + 0.1, 1)).value <= match.value + 1e-9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pareto_front([]), "n >= 1"),
        (lambda: pareto_front([(1, 2, 3)]), r"shape \(1, 3\)"),
        (lambda: pareto_front([(1, float("nan"))]), "finite"),
        (lambda: hypervolume([(0.5, -0.1)]), "below the reference"),
        (lambda: interpolate([], [], 0.5), "T >= 1"),
        (lambda: interpolate([0.1], [1.0, 2.0], 0.5), "shapes"),
        (lambda: interpolate([0.1], [float("nan")], 0.1), "finite"),
    ],
)
def test_impossible_input_is_an_error(call, message):
    with pytest.raises(PolychromicError, match=message):
        call()
