"""Set objectives on sets whose value is known by counting, against brute force, and as properties over random scores."""

import itertools
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hs
from hypothesis.extra import numpy as hnp

from polychromic.method.objective import OBJECTIVES, SUBSET_OBJECTIVES, effective_coverage, evaluate, make_objective, plain_diversity

ALL = {name: make_objective(name, 5) for name in OBJECTIVES} | {
    f"{name}-{size}": make_objective(name, 5, size)
    for name, size in [("passk", 1), ("passk", 3), ("passk", 5), ("poly_epo", 2), ("poly_epo", 4)]
}


def same_answer(answers) -> np.ndarray:
    a = np.asarray(answers)
    return (a[..., :, None] == a[..., None, :]).astype(float)


def symmetric(s: np.ndarray) -> np.ndarray:
    """Symmetric with a diagonal of ones, from any array (..., N, N)."""
    s = (s + np.swapaxes(s, -1, -2)) / 2
    s[..., range(s.shape[-1]), range(s.shape[-1])] = 1.0
    return s


@hs.composite
def scores(draw, n: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """q (1, N) and s (1, N, N); exact zeros and ones are common."""
    share = hs.one_of(hs.sampled_from([0.0, 1.0]), hs.floats(0, 1))
    return draw(hnp.arrays(float, (1, n), elements=share)), symmetric(draw(hnp.arrays(float, (1, n, n), elements=share)))


def brute_force(name: str, q: np.ndarray, s: np.ndarray, keep: np.ndarray, size: int) -> float:
    """passk and poly_epo of one set by a loop over subsets, from their definitions."""
    total = 0.0
    for subset in itertools.combinations(np.flatnonzero(keep), size):
        if name == "passk":
            total += 1 - np.prod([1 - q[i] for i in subset])
        else:
            total += sum(q[i] for i in subset) / size * sum(1 / sum(s[i, j] for j in subset) for i in subset) / size
    return total / comb(len(q), size)


def test_coverage_of_zeros_and_ones_counts_distinct_valid_replies():
    """Against a set of strings, over all 4^4 sets; answer 0 is invalid."""
    answers = np.array(np.meshgrid(*[range(4)] * 4)).reshape(4, -1).T
    expected = [len({a for a in row if a > 0}) / 4 for row in answers.tolist()]
    np.testing.assert_allclose(evaluate(effective_coverage, (answers > 0).astype(float), same_answer(answers)), expected, atol=1e-15)


def covered(q, s) -> np.ndarray:
    """Coverage times N of the first 1, 2, ... replies of a set."""
    q, s, n = np.asarray(q, dtype=float)[None], np.asarray(s, dtype=float)[None], len(q)
    return np.array([n * effective_coverage(q, s, np.arange(n) < kept)[0] for kept in range(1, n + 1)])


def test_coverage_with_graded_similarity_may_fall_with_a_good_reply_and_three_are_needed():
    half = [[1, 0, 0.5], [0, 1, 0.5], [0.5, 0.5, 1]]
    assert covered([1, 1, 1], half) == pytest.approx([1, 2, 11 / 6], abs=1e-12)
    assert np.linalg.eigvalsh(half).min() > 0, "and cosines may be these"
    for q, s in itertools.product([(1, 1), (1, 0.3), (0.3, 1), (0.01, 0.9)], np.linspace(0, 1, 21)):
        one, two = covered(q, [[1, s], [s, 1]])
        assert one == 1 and two >= 1 - 1e-12, "a second reply never lowers it"


@given(hnp.arrays(float, 5, elements=hs.sampled_from([0.0, 0.2, 1.0])), hs.lists(hs.integers(0, 3), min_size=5, max_size=5))
def test_coverage_of_same_and_different_never_falls(q, answers):
    assert (np.diff(covered(q, same_answer(answers))) >= -1e-12).all()


@pytest.mark.parametrize(
    ("name", "size", "q", "distance", "expected"),  # distance: of the pairs 01, 02 and 12
    [
        ("coverage", None, [1, 0.5, 0], (0.6, 0, 0.8), (1 / (1 + 0.2) + 0.5 / (0.4 + 0.5)) / 3),
        ("coverage", None, [0, 0, 0], (0, 0, 0), 0),
        ("plain", None, [0, 0, 0], (0.9, 0.5, 0.1), (0.9 + 0.5 + 0.1) / 3),
        ("plain", None, [1, 1, 1], (0.9, 0.5, 0.1), (0.9 + 0.5 + 0.1) / 3),
        ("gated", None, [1, 0.5, 0.2], (0.9, 0.5, 0.1), (0.5 * 0.9 + 0.2 * 0.5 + 0.1 * 0.1) / 3),
        ("reward", None, [1, 0.5, 0.2], (0.9, 0.5, 0.1), 1.7 / 3),
        ("passk", 2, [1, 0, 0], (1, 1, 1), 2 / 3),  # pass@k, 1 - C(n - c, k) / C(n, k)
        ("poly_epo", 2, [1, 1, 0], (0, 1, 1), 0.5),  # pairs of the answers a, a, b are worth 1 * 1/2, 1/2 * 1, 1/2 * 1
    ],
)
def test_objectives_by_hand(name, size, q, distance, expected):
    s = np.eye(3)
    for (i, j), value in zip(((0, 1), (0, 2), (1, 2)), distance, strict=True):
        s[i, j] = s[j, i] = 1 - value
    assert evaluate(make_objective(name, 3, size), np.array([q], dtype=float), s[None])[0] == pytest.approx(expected)


def test_coverage_ignores_the_scale_of_quality_and_may_fall_when_one_quality_rises():
    """A mediocre reply that resembles two good ones crowds both: monotonicity in q holds for the others, not here."""
    rng = np.random.default_rng(0)
    q, s = rng.uniform(0.1, 1, (5, 4)), symmetric(rng.uniform(size=(5, 4, 4)))
    np.testing.assert_allclose(evaluate(effective_coverage, q / 7, s), evaluate(effective_coverage, q, s), rtol=1e-12)
    s = np.array([[[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.5, 0.5, 1.0]]])
    low, high = (evaluate(effective_coverage, np.array([[0.1, 0.1, x]]), s)[0] for x in (0.0, 1.0))
    assert (low, high) == pytest.approx((2 / 3, (2 * 0.1 / 0.6 + 1 / 1.1) / 3))


@given(scores(), hs.sampled_from(["passk", "poly_epo"]), hs.integers(1, 5), hs.lists(hs.booleans(), min_size=5, max_size=5))
def test_subset_objectives_against_brute_force(scored, name, size, keep):
    q, s = scored
    found = SUBSET_OBJECTIVES[name](size)(q, s, np.array(keep))
    assert found.shape == (1,) and found[0] == pytest.approx(brute_force(name, q[0], s[0], keep, size), abs=1e-12)


@given(scores(), hs.permutations(range(5)))
@pytest.mark.parametrize("name", ALL)
def test_objectives_lie_in_the_unit_interval_and_do_not_see_the_order(name, scored, order):
    q, s = scored
    value = evaluate(ALL[name], q, s)[0]
    assert -1e-12 <= value <= 1 + 1e-12
    assert evaluate(ALL[name], q[:, order], s[:, order][:, :, order])[0] == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_objectives_are_one_for_perfect_different_replies_and_vary_below(name):
    rng = np.random.default_rng(1)
    q, s = rng.uniform(size=(50, 5)), symmetric(rng.uniform(size=(50, 5, 5)))
    if name == "passk-5":
        q = q / 5  # 1 - prod(1 - q) of five replies saturates
    assert np.ptp(evaluate(ALL[name], q, s)) > 0.05
    assert evaluate(ALL[name], np.ones((1, 5)), np.eye(5)[None])[0] == pytest.approx(1.0)


@given(scores(), hs.integers(0, 4), hs.floats(0, 1))
@pytest.mark.parametrize("name", [name for name in ALL if name != "coverage"])
def test_objectives_other_than_coverage_do_not_fall_when_a_quality_rises(name, scored, i, share):
    q, s = scored
    better = q.copy()
    better[0, i] += share * (1 - q[0, i])
    assert evaluate(ALL[name], better, s)[0] >= evaluate(ALL[name], q, s)[0] - 1e-12


@pytest.mark.parametrize("name", ALL)
def test_a_reply_that_is_not_kept_leaves_the_divisor(name):
    """Against the objective of the three that stay, times the ratio of the divisors C(3, k) / C(5, k)."""
    rng = np.random.default_rng(2)
    q, s = rng.uniform(size=(2, 5)), symmetric(rng.uniform(size=(2, 5, 5)))
    keep = np.array([True, True, False, True, False])
    kind, _, size = name.partition("-")
    if kind == "setpo":  # half of reward and half of plain
        parts = [ALL[part](q, s, keep) for part in ("reward", "plain")]
        np.testing.assert_allclose(ALL[name](q, s, keep), sum(parts) / 2, rtol=1e-12)
        return
    size = int(size) if size else {"coverage": 1, "reward": 1, "plain": 2, "gated": 2, "darling": 2}[kind]
    if size > 3:
        expected = np.zeros(2)
    else:
        expected = comb(3, size) / comb(5, size) * ALL[name](q[:, keep], s[:, keep][:, :, keep], np.ones(3, dtype=bool))
    np.testing.assert_allclose(ALL[name](q, s, keep), expected, rtol=1e-12)


def test_what_is_not_defined_for_so_few_replies_is_refused():
    alone = (np.ones((1, 1)), np.ones((1, 1, 1)), np.ones(1, dtype=bool))
    for objective, message in ((plain_diversity, "pairs needs N >= 2"), (make_objective("passk", 3, 2), "at least 2 replies, got 1")):
        with pytest.raises(ValueError, match=message):
            objective(*alone)


@pytest.mark.parametrize(("arguments", "message"), [
    (("unknown", 4), "'unknown'; allowed: coverage, plain, gated, reward, setpo, darling, passk, poly_epo"),
    (("coverage", 1), "N = 1 .* needs N >= 2"),
    (("coverage", 4, 2), "coverage takes no subset, got 2; only passk, poly_epo do"),
    (("passk", 4), "passk has subset = None .*; allowed: 1 to 4"),
    (("passk", 4, 5), "passk has subset = 5 for sets of N = 4 replies; allowed: 1 to 4"),
    (("passk", 4, 0), "passk has subset = 0 .*; allowed: 1 to 4"),
    (("poly_epo", 4, 1), "poly_epo has subset = 1 .*; allowed: 2 to 3"),
    (("poly_epo", 4, 4), "poly_epo has subset = 4 .*; allowed: 2 to 3"),
    (("passk", 30, 15), "with at most 20,000 subsets"),
])  # fmt: skip
def test_what_cannot_be_trained_is_refused_before_training(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_objective(*arguments)
