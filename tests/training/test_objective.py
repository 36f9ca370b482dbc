"""Set objectives on sets whose value is known by counting."""

import numpy as np
import pytest

from polychromic.training.objective import OBJECTIVES, effective_coverage, evaluate, plain_diversity


def same_answer(answers) -> np.ndarray:
    a = np.asarray(answers)
    return (a[..., :, None] == a[..., None, :]).astype(float)


def test_coverage_of_zeros_and_ones_counts_distinct_valid_replies():
    """Against a set of strings, over all 4^4 sets; answer 0 is invalid."""
    answers = np.array(np.meshgrid(*[range(4)] * 4)).reshape(4, -1).T
    expected = [len({a for a in row if a > 0}) / 4 for row in answers.tolist()]
    np.testing.assert_allclose(evaluate(effective_coverage, (answers > 0).astype(float), same_answer(answers)), expected, atol=1e-15)


def test_coverage_by_hand_for_graded_scores():
    q = np.array([[1.0, 0.5, 0.0]])
    s = np.array([[[1.0, 0.4, 1.0], [0.4, 1.0, 0.2], [1.0, 0.2, 1.0]]])
    assert evaluate(effective_coverage, q, s)[0] == pytest.approx((1 / (1 + 0.2) + 0.5 / (0.4 + 0.5)) / 3)


def test_coverage_does_not_change_when_all_qualities_are_scaled():
    rng = np.random.default_rng(0)
    q, s = rng.uniform(0.1, 1, (5, 4)), rng.uniform(size=(5, 4, 4))
    s = (s + s.transpose(0, 2, 1)) / 2
    np.testing.assert_allclose(evaluate(effective_coverage, q / 7, s), evaluate(effective_coverage, q, s), rtol=1e-12)


def test_coverage_without_a_good_reply_is_zero():
    assert evaluate(effective_coverage, np.zeros((2, 3)), np.ones((2, 3, 3))).tolist() == [0.0, 0.0]


def test_plain_diversity_is_the_mean_distance_of_pairs_and_ignores_quality():
    s = np.array([[[1.0, 0.1, 0.5], [0.1, 1.0, 0.9], [0.5, 0.9, 1.0]]])
    for q in (np.zeros((1, 3)), np.ones((1, 3))):
        assert evaluate(plain_diversity, q, s)[0] == pytest.approx((0.9 + 0.5 + 0.1) / 3)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_objectives_are_symmetric_bounded_and_one_at_best(name):
    rng = np.random.default_rng(1)
    q, s = rng.uniform(size=(50, 5)), rng.uniform(size=(50, 5, 5))
    s = (s + s.transpose(0, 2, 1)) / 2
    s[:, range(5), range(5)] = 1.0
    value, order = evaluate(OBJECTIVES[name], q, s), rng.permutation(5)
    np.testing.assert_allclose(evaluate(OBJECTIVES[name], q[:, order], s[:, order][:, :, order]), value, rtol=1e-12)
    assert (value >= 0).all() and (value <= 1).all() and np.ptp(value) > 0.01
    assert evaluate(OBJECTIVES[name], np.ones((1, 5)), np.eye(5)[None])[0] == pytest.approx(1.0)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_a_reply_that_is_not_kept_leaves_the_divisor(name):
    rng = np.random.default_rng(2)
    q, s = rng.uniform(size=(1, 4)), rng.uniform(size=(1, 4, 4))
    s = (s + s.transpose(0, 2, 1)) / 2
    s[:, range(4), range(4)] = 1.0
    keep = np.array([True, True, False, True])
    small = OBJECTIVES[name](q[:, keep], s[:, keep][:, :, keep], np.ones(3, dtype=bool))
    divisor = {"coverage": 3 / 4, "plain": 6 / 12}[name]
    np.testing.assert_allclose(OBJECTIVES[name](q, s, keep), small * divisor, rtol=1e-12)


def test_wrong_input_is_refused():
    ones, eye = np.ones((1, 3)), np.eye(3)[None]
    with pytest.raises(ValueError, match="N >= 2"):
        evaluate(effective_coverage, np.ones((1, 1)), np.ones((1, 1, 1)))
    with pytest.raises(ValueError, match=r"shape \(1, 2, 2\), expected \(1, 3, 3\)"):
        evaluate(effective_coverage, ones, np.eye(2)[None])
    for bad in (1.2, -0.1, np.nan):
        with pytest.raises(ValueError, match="quality must lie in"):
            evaluate(effective_coverage, np.array([[1.0, bad, 0.0]]), eye)
        with pytest.raises(ValueError, match="similarity must lie in"):
            evaluate(plain_diversity, ones, np.where(eye == 1, bad, eye))
