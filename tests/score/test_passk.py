from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hs
from scipy.integrate import quad

from polychromic.base.errors import PolychromicError
from polychromic.score.passk import best_at_k, chances, cover_at_tau, distinct_at_k, human_recall_at_k, pass_at_k, pass_hat_k


@pytest.mark.parametrize("n", [1, 7, 10, 20, 100, 400])
def test_pass_at_k_and_pass_hat_k_against_exact_fractions(n):
    for c in sorted({0, 1, n // 3, n - 1, n}):
        for k in sorted({1, (n + 1) // 2, n}):
            assert pass_at_k(n, c, k) == pytest.approx(float(1 - Fraction(comb(n - c, k), comb(n, k))), rel=1e-11, abs=1e-14)
            assert pass_hat_k(n, c, k) == pytest.approx(float(Fraction(comb(c, k), comb(n, k))), rel=1e-11, abs=1e-14)
            assert chances(n, k)[c] == pass_at_k(n, c, k)
            assert c in (0, n) or k == 1 or pass_at_k(n, c, k) >= pass_at_k(n, c, 1) == pytest.approx(c / n)
    with pytest.raises(ValueError, match="read-only"):
        chances(n, 1)[0] = 1


@given(hs.lists(hs.sampled_from(["cat", "dog", "😀", "猫", "", None]), min_size=1, max_size=7), hs.data())
def test_answers_against_enumeration(drawn, data):
    k = data.draw(hs.integers(1, len(drawn)))
    subsets, good = list(combinations(drawn, k)), sum(a is not None for a in drawn)
    assert distinct_at_k(drawn, k) == pytest.approx(np.mean([len(set(s) - {None}) for s in subsets]), abs=1e-12)
    assert pass_at_k(len(drawn), good, k) == pytest.approx(np.mean([any(a is not None for a in s) for s in subsets]), abs=1e-12)
    assert pass_hat_k(len(drawn), good, k) == pytest.approx(np.mean([all(a is not None for a in s) for s in subsets]), abs=1e-12)
    assert distinct_at_k(data.draw(hs.permutations(drawn)), k) == distinct_at_k(drawn, k)


@given(hs.lists(hs.floats(-5, 5), min_size=1, max_size=7), hs.data())
def test_best_at_k_against_enumeration(scores, data):
    k = data.draw(hs.integers(1, len(scores)))
    assert best_at_k(scores, k) == pytest.approx(np.mean([max(s) for s in combinations(scores, k)]), abs=1e-10)


def test_cover_at_tau_integrates_to_pass_at_k():
    p, k = np.array([0.0, 0.1, 0.35, 0.35, 1.0]), 4
    integral, _ = quad(lambda t: k * (1 - t) ** (k - 1) * cover_at_tau(p, t), 0, 1, points=[0.1, 0.35])
    # tau = 0 alone counts the prompt with p = 0, a null set of the integral
    assert integral == pytest.approx(np.mean(1 - (1 - p) ** k), abs=1e-9)
    assert [cover_at_tau(p, t) for t in (0, 0.35, 0.36, 1)] == [1.0, 0.6, 0.2, 0.2]


@given(hs.integers(1, 6), hs.integers(1, 4), hs.data())
def test_human_recall_against_enumeration(n, humans, data):
    m = np.array(data.draw(hs.lists(hs.lists(hs.booleans(), min_size=humans, max_size=humans), min_size=n, max_size=n)))
    k = data.draw(hs.integers(1, n))
    assert human_recall_at_k(m, k) == pytest.approx(np.mean([m[list(s)].any(axis=0).mean() for s in combinations(range(n), k)]), abs=1e-12)


def test_more_drafts_than_samples_are_an_error():
    with pytest.raises(PolychromicError, match="k = 6 with n = 5"):
        pass_at_k(5, 2, 6)
