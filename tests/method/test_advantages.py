"""Advantages by hand; that their mean is the gradient is test_enumeration.py's matter."""

from functools import partial

import numpy as np
import pytest

from polychromic.method.advantages import (  # fmt: skip
    BASELINES,
    BIASED,
    OWN,
    advantages,
    check_baseline,
    leave_one_out,
    marginal_contributions,
    mean_of_others,
)
from polychromic.method.objective import (
    diverse_reward,
    effective_coverage,
    evaluate,
    gated_pairs,
    make_objective,
    mean_reward,
    plain_diversity,
)


def random_scores(b: int, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    q, s = rng.uniform(size=(b, n)), rng.uniform(size=(b, n, n))
    s = (s + s.transpose(0, 2, 1)) / 2
    s[:, range(n), range(n)] = 1.0
    return q, s


def pair_means(s: np.ndarray) -> np.ndarray:
    """(B, N) mean distance of each reply to the others."""
    n = s.shape[-1]
    return np.array([[np.mean([1 - row[i, j] for j in range(n) if j != i]) for i in range(n)] for row in s])


def test_coverage_rewards_a_good_reply_that_nobody_else_gives_and_may_fall_by_a_poor_one():
    answers = np.array([1, 1, 2, 0])  # 0 is invalid
    q, s = (answers > 0).astype(float)[None], (answers[:, None] == answers[None]).astype(float)[None]
    assert marginal_contributions(effective_coverage, q, s).tolist() == [[0.0, 0.0, 0.25, 0.0]]
    crowd = np.array([[[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.5, 0.5, 1.0]]])  # the third resembles both others
    whole, without = (0.1 / 0.6 + 0.1 / 0.6 + 1 / 1.1) / 3, (1 + 1) / 3
    assert whole < without
    assert marginal_contributions(effective_coverage, np.array([[0.1, 0.1, 1.0]]), crowd)[0, 2] == pytest.approx(whole - without)


@pytest.mark.parametrize("n", [3, 5])
def test_marginals_and_leave_one_out_of_reward_and_of_pairs_by_hand(n):
    """A reply's own share and RLOO; of pairs 2/N times the mean distance m_i and 2/(N-2) * (m_i - D), which sums to zero."""
    q, s = random_scores(3, n)
    np.testing.assert_allclose(marginal_contributions(mean_reward, q, s), q / n, rtol=1e-12)
    rloo = [[(row[i] - np.mean(np.delete(row, i))) / n for i in range(n)] for row in q]
    np.testing.assert_allclose(leave_one_out(mean_reward, q, s), rloo, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(marginal_contributions(plain_diversity, q, s), 2 / n * pair_means(s), rtol=1e-12)
    deviation = 2 / (n - 2) * (pair_means(s) - evaluate(plain_diversity, q, s)[:, None])
    np.testing.assert_allclose(leave_one_out(plain_diversity, q, s), deviation, atol=1e-14)
    np.testing.assert_allclose(deviation.sum(axis=1), 0, atol=1e-14)


def test_passk_marginal_counts_the_subsets_that_only_this_reply_saves():
    """q in {0, 1}, N = 4, k = 2: the one right reply saves its 3 pairs of 6; of two right ones each is alone in 2 and shares 1."""
    passk, s = make_objective("passk", 4, 2), np.eye(4)[None]
    assert marginal_contributions(passk, np.array([[1.0, 0, 0, 0]]), s)[0, 0] == pytest.approx(3 / 6)
    found = marginal_contributions(passk, np.array([[1.0, 1, 0, 0]]), s)[0]
    # a subset without i counts 0 however good its others are, so the marginal of a wrong reply is the value of its subsets
    assert found.tolist() == pytest.approx([3 / 6, 3 / 6, 2 / 6, 2 / 6])


@pytest.mark.parametrize(
    ("objective", "n"),
    [(plain_diversity, 2), (gated_pairs, 2), (make_objective("passk", 4, 4), 4), (make_objective("poly_epo", 3, 2), 2)],
)
def test_leave_one_out_refuses_objectives_that_n_minus_one_replies_do_not_have(objective, n):
    with pytest.raises(ValueError, match=rf"leave_one_out scores sets of N - 1 = {n - 1} replies: .* Raise n or take another"):
        advantages("leave_one_out", objective, *random_scores(2, n))
    with pytest.raises(ValueError, match="leave_one_out"):
        check_baseline("leave_one_out", objective, n)
    for name in set(BASELINES) - {"leave_one_out"}:
        if not (isinstance(objective, partial) and n == 2):
            check_baseline(name, objective, n)


def test_what_each_baseline_subtracts():
    q, s = random_scores(3, 4)
    marginals = marginal_contributions(effective_coverage, q, s)
    means = marginals.mean(axis=1)
    elsewhere = np.array([[(means[1] + means[2]) / 2], [(means[0] + means[2]) / 2], [(means[0] + means[1]) / 2]])
    expected = {
        "marginal": marginals,
        "others": marginals - elsewhere,
        "running": marginals - 0.3,
        "mix": marginals - elsewhere / 2 - 0.15,
        "leave_one_out": leave_one_out(effective_coverage, q, s),
        "set": np.tile(evaluate(effective_coverage, q, s)[:, None], (1, 4)),
        "negative": marginals - 1 / 4,
        "negative_first": marginals - 1 / 4.4,
    }
    assert set(expected) == set(BASELINES)
    for name, value in expected.items():
        np.testing.assert_allclose(advantages(name, effective_coverage, q, s, running=0.3), value, rtol=1e-12, err_msg=name)
    np.testing.assert_array_equal(advantages("running", effective_coverage, q, s), marginals)
    three, one = np.array([2.0, 1.0, 6.0]), np.array([2.0])
    assert mean_of_others(three, three).tolist() == [3.5, 4.0, 1.5] and mean_of_others(one, one).tolist() == [0.0]
    np.testing.assert_allclose(advantages("mix", effective_coverage, q, s), marginals - elsewhere / 2, rtol=1e-12)


def test_with_reward_the_constants_are_those_of_negative_sample_reinforcement():
    q = np.array([[1.0, 0.0, 1.0, 1.0]])
    nsr, weighted = (4 * advantages(name, mean_reward, q, np.ones((1, 4, 4))) for name in ("negative", "negative_first"))
    np.testing.assert_allclose(nsr, [[0, -1, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(1.1 * weighted, [[0.1, -1, 0.1, 0.1]], atol=1e-12)


def test_own_terms_of_darling_by_hand():
    q = np.array([[1.0, 0.5, 0.0]])
    s = np.array([[[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
    terms = np.array([[1.0 * 1 / 2, 0.5 * 1 / 2, 0.0]]) / 3
    np.testing.assert_allclose(advantages(OWN, diverse_reward, q, s), terms - terms.mean(), atol=1e-12)
    assert evaluate(diverse_reward, q, s)[0] == pytest.approx(terms.sum())
    with pytest.raises(ValueError, match="own is for objective darling"):
        advantages(OWN, mean_reward, q, s)


def test_means_over_prompts_of_other_processes_may_be_given():
    q, s = random_scores(2, 3)
    marginals, given = marginal_contributions(mean_reward, q, s), np.array([0.2, 0.4])
    expected = {"others": marginals - given[:, None], "mix": marginals - given[:, None] / 2 - 0.3}
    for name, value in expected.items():
        np.testing.assert_allclose(advantages(name, mean_reward, q, s, others=given, running=0.6), value, rtol=1e-12)
    for name in ("group_mean", "median"):
        with pytest.raises(ValueError, match=f"'{name}'; allowed: marginal, others, running, mix, leave_one_out, set"):
            check_baseline(name, mean_reward, 4)


def test_group_mean_and_std_are_those_of_the_marginals_of_one_set():
    q, s = random_scores(3, 4)
    marginals = marginal_contributions(effective_coverage, q, s)
    centred, scaled = (BIASED[name](effective_coverage, q, s) for name in ("group_mean", "group_std"))
    np.testing.assert_allclose(centred, marginals - marginals.mean(axis=1, keepdims=True), atol=1e-15)
    np.testing.assert_allclose(scaled, centred / marginals.std(axis=1, keepdims=True), rtol=1e-12)
    # Rounding of equal marginals leaves a spread of about 1e-17, which must not be blown up to 1.
    q, s = np.full((1, 3), 0.1), np.full((1, 3, 3), 0.7)
    s[:, range(3), range(3)] = 1.0
    assert BIASED["group_std"](effective_coverage, q, s).tolist() == [[0.0, 0.0, 0.0]]
