"""Marginal contributions and their centring, by hand; that they are unbiased is test_enumeration.py's matter."""

import numpy as np
import pytest

from polychromic.training.advantages import BASELINES, centre_on_others, marginal_contributions
from polychromic.training.objective import effective_coverage, plain_diversity


def test_coverage_rewards_a_good_reply_that_nobody_else_gives():
    answers = np.array([1, 1, 2, 0])  # 0 is invalid
    q, s = (answers > 0).astype(float)[None], (answers[:, None] == answers[None]).astype(float)[None]
    assert marginal_contributions(effective_coverage, q, s).tolist() == [[0.0, 0.0, 0.25, 0.0]]


def test_plain_marginal_is_twice_the_mean_distance_to_the_others_by_n():
    rng = np.random.default_rng(0)
    s = rng.uniform(size=(3, 4, 4))
    s = (s + s.transpose(0, 2, 1)) / 2
    s[:, range(4), range(4)] = 1.0
    expected = np.array([[2 / 4 * np.mean([1 - s[b, i, j] for j in range(4) if j != i]) for i in range(4)] for b in range(3)])
    np.testing.assert_allclose(marginal_contributions(plain_diversity, np.ones((3, 4)), s), expected, rtol=1e-12)


def test_a_reply_may_cost_the_set_coverage():
    """A poor reply that resembles all the others crowds them."""
    s = np.array([[[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.5, 0.5, 1.0]]])
    marginals = marginal_contributions(effective_coverage, np.array([[0.1, 0.1, 1.0]]), s)
    without = (1 + 1) / 3
    whole = (0.1 / 0.6 + 0.1 / 0.6 + 1 / 1.1) / 3
    assert marginals[0, 2] == pytest.approx(whole - without)
    assert marginals[0, 2] < 0


def test_centring_subtracts_the_mean_of_the_other_prompts():
    marginals = np.array([[1.0, 3.0], [0.0, 2.0], [5.0, 7.0]])  # means 2, 1, 6
    assert centre_on_others(marginals).tolist() == [[1 - 3.5, 3 - 3.5], [0 - 4.0, 2 - 4.0], [5 - 1.5, 7 - 1.5]]


def test_one_prompt_alone_is_not_centred():
    marginals = np.array([[1.0, 3.0]])
    assert centre_on_others(marginals).tolist() == [[1.0, 3.0]]


def test_the_table_of_baselines():
    marginals = np.array([[1.0, 3.0], [0.0, 2.0]])
    assert BASELINES["marginal"](marginals) is marginals
    assert BASELINES["others"](marginals).tolist() == [[0.0, 2.0], [-2.0, 0.0]]
