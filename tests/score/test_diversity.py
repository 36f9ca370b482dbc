import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hs
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from polychromic.base.errors import PolychromicError
from polychromic.score import diversity
from polychromic.score.diversity import compression_ratio, distinct_counts, distinct_n, ead, effective_diversity, semantic_diversity, vendi
from polychromic.score.text import tokenize


def nltk_loop(replies, max_n):
    """The definition: n sentence_bleu calls, uniform weights over the orders that the reply has."""
    scores = []
    for i, reply in enumerate(replies):
        others, order = replies[:i] + replies[i + 1 :], min(max_n, len(reply))
        smooth = SmoothingFunction().method1
        scores.append(sentence_bleu(others, reply, (1 / order,) * order, smooth) if reply else float([] in others))
    return scores


words = hs.sampled_from(["a", "b", "c", "the", "😂", "你", "é"])


@given(hs.lists(hs.lists(words, max_size=8), min_size=2, max_size=7), hs.integers(1, 5), hs.randoms(use_true_random=False))
def test_self_bleu_equals_the_nltk_loop_in_any_order(replies, max_n, random):
    scores = diversity.self_bleu_tokens(replies, max_n)
    assert scores == pytest.approx(nltk_loop(replies, max_n), abs=1e-14)
    assert ((scores >= 0) & (scores <= 1 + 1e-12)).all()
    order = random.sample(range(len(replies)), len(replies))
    assert diversity.self_bleu_tokens([replies[i] for i in order], max_n) == pytest.approx(scores[order], abs=1e-15)
    assert diversity.self_bleu_tokens([*replies, replies[0]], max_n)[[0, -1]] == pytest.approx([1, 1], abs=1e-12), "a copy scores 1"


@pytest.mark.parametrize(
    ("replies", "value"),
    [
        *((pair, 1) for pair in (["too right"] * 2, ["yes"] * 2, ["😂"] * 2, ["你好"] * 2, [""] * 2)),
        (["red fish", "blue bird", "", "😂"], 0),
        (["It's fine, I guess", "it\u2019s FINE , i guess"], 1),
    ],
)
def test_self_bleu_of_texts(replies, value):
    """nltk's four fixed orders give two equal tokens a third: orders 3 and 4, which they lack, are smoothed to (.1 / 1)^(1/4) each."""
    assert diversity.self_bleu(replies) == pytest.approx(value, abs=1e-15)


@given(hs.lists(hs.text(hs.sampled_from("ab 😂你"), max_size=8), min_size=1, max_size=6), hs.integers(1, 3))
def test_distinct_counts_within_replies(replies, n):
    grams = [tuple(t[i : i + n]) for t in map(tokenize, replies) for i in range(len(t) - n + 1)]
    assert distinct_counts(replies, n) == (len(set(grams)), len(grams))
    if grams:
        assert 0 < distinct_n(replies, n) <= 1
        assert distinct_n(replies * 2, n) == pytest.approx(distinct_n(replies, n) / 2)
        assert distinct_n(replies[::-1], n) == distinct_n(replies, n)


@given(hs.integers(1, 10**6), hs.integers(2, 10**6))
def test_ead_against_its_formula(total, vocabulary):
    expected = vocabulary * (1 - ((vocabulary - 1) / vocabulary) ** total)
    assert ead(1, total, vocabulary) == pytest.approx(1 / expected, rel=1e-8)


matrices = hs.tuples(hs.integers(2, 7), hs.integers(1, 4), hs.integers(0, 2**32 - 1)).map(
    lambda s: np.random.default_rng(s[2]).normal(size=s[:2])
)


@given(matrices, hs.floats(0.01, 100))
def test_semantic_and_effective_diversity_against_all_pairs(x, scale):
    u = x / np.linalg.norm(x, axis=1, keepdims=True)
    value = semantic_diversity(x * scale)
    assert value == pytest.approx(np.mean([1 - u[i] @ u[j] for i in range(len(u)) for j in range(i)]), abs=1e-12)
    assert semantic_diversity(x[::-1]) == pytest.approx(value, abs=1e-12)
    assert 0 <= value <= len(x) / (len(x) - 1)
    q, d = np.abs(np.sin(x[:, 0])), np.maximum(1 - u @ u.T, 0)
    expected = np.mean([q[i] * q[j] * d[i, j] for i in range(len(u)) for j in range(len(u)) if i != j])
    assert effective_diversity(q, d) == pytest.approx(expected, abs=1e-14)
    assert effective_diversity(0 * q, d) == 0 and effective_diversity(0 * q + 1, d) == pytest.approx(value, abs=1e-12)


def test_semantic_diversity_ends():
    assert semantic_diversity(np.ones((5, 3), dtype=np.float32)) == pytest.approx(0, abs=1e-12)
    assert semantic_diversity(np.eye(4)) == pytest.approx(1)
    assert semantic_diversity([[1, 0], [-2, 0]]) == pytest.approx(2)


KERNEL = [[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize(("q", "value"), [(0, 3), (1, 2.1573004834), (2, 1.9480519481)])
def test_vendi_oracles(q, value):
    assert vendi(KERNEL, q) == pytest.approx(value, abs=1e-9)


@given(matrices, hs.sampled_from([0.5, 1, 2]))
def test_vendi_bounds_duplicates_and_permutation(x, q):
    u = x / np.linalg.norm(x, axis=1, keepdims=True)
    value = vendi(u @ u.T, q)
    assert 1 - 1e-9 <= value <= len(x) + 1e-9
    assert vendi((u @ u.T)[::-1, ::-1], q) == pytest.approx(value, rel=1e-6)
    doubled = np.vstack([u, u])
    assert vendi(doubled @ doubled.T, q) == pytest.approx(value, rel=1e-5)
    assert vendi(np.eye(len(x)), q) == pytest.approx(len(x)) and vendi(np.ones((3, 3)), q) == pytest.approx(1)


@pytest.mark.parametrize("n", [1, 2, 20, 200])
def test_vendi_at_large_orders_falls_to_one_over_the_largest_eigenvalue(n):
    """Renyi's bounds hold at every order: the limit, and its power q / (q - 1)."""
    alike = np.where(np.arange(n)[:, None] % 3 == np.arange(n) % 3, 0.5, 0.0)
    for kernel in (np.eye(n), np.ones((n, n)), np.where(np.eye(n, dtype=bool), 1.0, alike)):
        limit, before = float(n / np.linalg.eigvalsh(kernel).max()), np.inf
        for q in (2.0, 10.0, 99.0, 100.0, 101.0, 300.0, 1e3, 1e6, 1e15, 1e300, np.inf):
            with np.errstate(all="raise", under="ignore"):
                value = vendi(kernel, q)
            top = limit if q == np.inf else limit ** (q / (q - 1))
            assert limit * (1 - 1e-9) <= value <= min(before, top) * (1 + 1e-9)
            before = value
        assert before == pytest.approx(limit, rel=1e-12)


def test_compression_ratio():
    assert compression_ratio(["the same reply"] * 50) > 5
    assert compression_ratio(["x"]) < 1
    data = "a 😂\nbb".encode()
    assert compression_ratio(["a 😂", "bb"]) == len(data) / len(gzip.compress(data, 9, mtime=0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: distinct_n(["cat", "dog"], 2), "without one 2-gram"),
        (lambda: ead(0, 0, 10), "ead: got only replies without a token"),
        (lambda: semantic_diversity([[1.0, 0.0], [0.0, 0.0]]), "row 1 has length 0"),
        (lambda: semantic_diversity([[np.nan, 0.0], [1.0, 0.0]]), "row 0 has length nan"),
        (lambda: compression_ratio(["", " "]), "compression_ratio: got 2 replies without a token"),
    ],
)
def test_a_value_that_does_not_exist_is_an_error(call, message):
    with pytest.raises(PolychromicError, match=message):
        call()
