import gzip
import math
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from polychromic.base.errors import PolychromicError
from polychromic.score.diversity import (
    compression_ratio,
    distinct_counts,
    distinct_n,
    ead,
    effective_diversity,
    self_bleu,
    self_bleu_signature,
    self_bleu_tokens,
    semantic_diversity,
    vendi,
)
from polychromic.score.text import tokenize

# The three references of nltk's BLEU documentation, which fast-bleu's README scores against each other.
TRIPLE_TEXT = """
It is a guide to action that ensures that the military will forever heed Party commands
It is the guiding principle which guarantees the military forces always being under the command of the Party
It is the practical guide for the army always to heed the directions of the party
"""
TRIPLE = [sentence.split() for sentence in TRIPLE_TEXT.strip().splitlines()]


def nltk_loop(replies, max_n):
    """The definition: n sentence_bleu calls, uniform weights over the orders that the reply has."""
    scores = []
    for i, reply in enumerate(replies):
        others = replies[:i] + replies[i + 1 :]
        if not reply:
            scores.append(float([] in others))
            continue
        order = min(max_n, len(reply))
        scores.append(sentence_bleu(others, reply, (1 / order,) * order, SmoothingFunction().method1))
    return scores


@pytest.mark.parametrize(
    ("max_n", "values", "tolerance"),
    [
        (2, [0.25819888974716115, 0.3615507630310936, 0.37080992435478316], 1e-14),
        (3, [0.07808966062765045, 0.20140620205719248, 0.21415334758254043], 2e-8),  # fast-bleu holds 1/3 as a float32
    ],
)
def test_self_bleu_equals_fast_bleu(max_n, values, tolerance):
    assert self_bleu_tokens(TRIPLE, max_n) == pytest.approx(values, abs=tolerance)
    assert self_bleu_tokens(TRIPLE, max_n) == pytest.approx(nltk_loop(TRIPLE, max_n), abs=1e-14)


words = hs.sampled_from(["a", "b", "c", "the", "😂", "你", "é"])
token_lists = hs.lists(hs.lists(words, max_size=8), min_size=2, max_size=7)


@given(token_lists, hs.integers(1, 5))
def test_self_bleu_equals_the_nltk_loop(replies, max_n):
    assert self_bleu_tokens(replies, max_n) == pytest.approx(nltk_loop(replies, max_n), abs=1e-14)


@given(token_lists, hs.integers(1, 5), hs.randoms(use_true_random=False))
def test_self_bleu_bounds_and_permutation(replies, max_n, random):
    scores = self_bleu_tokens(replies, max_n)
    assert ((scores >= 0) & (scores <= 1 + 1e-12)).all()
    order = list(range(len(replies)))
    random.shuffle(order)
    assert self_bleu_tokens([replies[i] for i in order], max_n) == pytest.approx(scores[order], abs=1e-15)


@given(token_lists, hs.integers(1, 5))
def test_a_duplicated_reply_scores_one(replies, max_n):
    assert self_bleu_tokens([*replies, replies[0]], max_n)[[0, -1]] == pytest.approx([1, 1], abs=1e-12)


@pytest.mark.parametrize("reply", ["too right", "yes", "😂", "你好", ""])
def test_equal_short_replies_score_one(reply):
    assert self_bleu([reply, reply]) == pytest.approx(1, abs=1e-15)


def test_nltk_s_fixed_orders_give_two_equal_tokens_a_third():
    """Orders 3 and 4 do not exist there; method1 smooths them to (.1 / 1)^(1/4) each: .1^(1/2)."""
    pair = ["too", "right"]
    fixed = sentence_bleu([pair], pair, smoothing_function=SmoothingFunction().method1)
    assert fixed == pytest.approx(math.sqrt(0.1)) == pytest.approx(0.316, abs=5e-4)
    assert self_bleu_tokens([pair, pair]) == pytest.approx([1, 1], abs=1e-15)


def test_nothing_in_common_scores_zero():
    assert self_bleu(["red fish", "blue bird", "", "😂"]) == 0


def test_self_bleu_text_is_tokenised():
    replies = ["It's fine, I guess", "it\u2019s FINE , i guess"]
    assert self_bleu(replies) == pytest.approx(1)
    assert "effective" in self_bleu_signature() and "TweetTokenizer" in self_bleu_signature(2)


def test_self_bleu_is_far_faster_than_the_loop():
    """400 replies: all values of both, and the processor time of both; the loop's own setup costs nothing beside it."""
    rng = np.random.default_rng(0)
    frequency = 1 / np.arange(1, 301)
    replies = [[f"w{i}" for i in rng.choice(300, size=rng.integers(5, 25), p=frequency / frequency.sum())] for _ in range(400)]
    start = time.process_time()
    ours = self_bleu_tokens(replies)
    linear = time.process_time() - start
    start = time.process_time()
    loop = nltk_loop(replies, 4)
    quadratic = time.process_time() - start
    assert ours == pytest.approx(loop, abs=1e-14)
    assert quadratic / linear > 50


@given(hs.lists(hs.text(hs.sampled_from("ab 😂你"), max_size=8), min_size=1, max_size=6), hs.integers(1, 3))
def test_distinct_counts_within_replies(replies, n):
    grams = [tuple(t[i : i + n]) for t in map(tokenize, replies) for i in range(len(t) - n + 1)]
    assert distinct_counts(replies, n) == (len(set(grams)), len(grams))
    if grams:
        assert 0 < distinct_n(replies, n) <= 1
        assert distinct_n(replies * 2, n) == pytest.approx(distinct_n(replies, n) / 2)
        assert distinct_n(replies[::-1], n) == distinct_n(replies, n)


def test_distinct_ngrams_never_span_replies():
    assert distinct_counts(["a b", "a b", "b a"], 2) == (2, 3)
    assert distinct_n(["cat", "cat", "dog", "猫"], 1) == 0.75
    with pytest.raises(PolychromicError, match="without one 2-gram"):
        distinct_n(["cat", "dog"], 2)


@pytest.mark.parametrize(
    ("distinct", "total", "vocabulary", "value"), [(50, 100, 100, 0.788683765), (3, 4, 10, 0.872346612), (1, 5, 1, 1.0)]
)
def test_ead_oracles(distinct, total, vocabulary, value):
    assert ead(distinct, total, vocabulary) == pytest.approx(value, abs=1e-9)


@given(hs.integers(1, 10**6), hs.integers(1, 10**6))
def test_ead_against_its_formula(total, vocabulary):
    expected = vocabulary * (1 - ((vocabulary - 1) / vocabulary) ** total)
    assert ead(1, total, vocabulary) == pytest.approx(1 / expected, rel=1e-8)


matrices = hs.tuples(hs.integers(2, 7), hs.integers(1, 4), hs.integers(0, 2**32 - 1)).map(
    lambda s: np.random.default_rng(s[2]).normal(size=s[:2])
)


@given(matrices, hs.floats(0.01, 100))
def test_semantic_diversity_against_all_pairs(x, scale):
    u = x / np.linalg.norm(x, axis=1, keepdims=True)
    pairs = [1 - u[i] @ u[j] for i in range(len(u)) for j in range(i)]
    value = semantic_diversity(x * scale)
    assert value == pytest.approx(np.mean(pairs), abs=1e-12)
    assert semantic_diversity(x[::-1]) == pytest.approx(value, abs=1e-12)
    assert 0 <= value <= len(x) / (len(x) - 1)


def test_semantic_diversity_ends():
    assert semantic_diversity(np.ones((5, 3), dtype=np.float32)) == pytest.approx(0, abs=1e-12)
    assert semantic_diversity(np.eye(4)) == pytest.approx(1)
    assert semantic_diversity([[1, 0], [-2, 0]]) == pytest.approx(2)


def test_semantic_diversity_of_ten_thousand_in_little_memory():
    x = np.random.default_rng(0).normal(size=(10_000, 384)).astype(np.float32)
    tracemalloc.start()
    semantic_diversity(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


def test_vendi_oracles():
    kernel = [[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]]
    assert vendi(kernel) == pytest.approx(2.1573004834, abs=1e-9)
    assert vendi(kernel, q=2) == pytest.approx(1.9480519481, abs=1e-9)
    assert vendi(kernel, q=math.inf) == pytest.approx(3 / 1.9)
    assert vendi(kernel, q=0) == pytest.approx(3)


@given(matrices, hs.sampled_from([0.5, 1, 2, math.inf]))
def test_vendi_bounds_duplicates_and_permutation(x, q):
    u = x / np.linalg.norm(x, axis=1, keepdims=True)
    value = vendi(u @ u.T, q)
    assert 1 - 1e-9 <= value <= len(x) + 1e-9
    assert vendi((u @ u.T)[::-1, ::-1], q) == pytest.approx(value, rel=1e-6)
    doubled = np.vstack([u, u])
    assert vendi(doubled @ doubled.T, q) == pytest.approx(value, rel=1e-5)
    assert vendi(np.eye(len(x)), q) == pytest.approx(len(x))
    assert vendi(np.ones((3, 3)), q) == pytest.approx(1)


def test_vendi_falls_with_the_order():
    kernel = np.array([[1, 0.5, 0.1], [0.5, 1, 0.2], [0.1, 0.2, 1]])
    values = [vendi(kernel, q) for q in (0, 0.5, 1, 2, 10, math.inf)]
    assert values == sorted(values, reverse=True)


def test_compression_ratio():
    assert compression_ratio(["the same reply"] * 50) > 5
    assert compression_ratio(["x"]) < 1
    data = "a 😂\nbb".encode()
    assert compression_ratio(["a 😂", "bb"]) == len(data) / len(gzip.compress(data, 9, mtime=0))


@given(hs.integers(2, 6), hs.integers(0, 2**32 - 1))
def test_effective_diversity_against_all_pairs(n, seed):
    rng = np.random.default_rng(seed)
    q, d = rng.random(n), rng.random((n, n))
    d = (d + d.T) / 2
    expected = np.mean([q[i] * q[j] * d[i, j] for i in range(n) for j in range(n) if i != j])
    assert effective_diversity(q, d) == pytest.approx(expected, abs=1e-14)
    assert effective_diversity(np.zeros(n), d) == 0


@settings(max_examples=20)
@given(matrices)
def test_effective_diversity_of_good_replies_is_semantic_diversity(x):
    u = x / np.linalg.norm(x, axis=1, keepdims=True)
    assert effective_diversity(np.ones(len(x)), np.maximum(1 - u @ u.T, 0)) == pytest.approx(semantic_diversity(x), abs=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: self_bleu(["one"]), "2 or more"),
        (lambda: self_bleu(["one", "two"], 0), "max_n = 0"),
        (lambda: distinct_n([], 1), "0 replies"),
        (lambda: distinct_n(["", " "], 1), "without one 1-gram"),
        (lambda: ead(0, 0, 10), "N = 0"),
        (lambda: ead(11, 20, 10), "V = 10"),
        (lambda: semantic_diversity([[1.0, 0.0]]), "2 or more"),
        (lambda: semantic_diversity([1.0, 0.0]), r"\(n, d\)"),
        (lambda: semantic_diversity([[1.0, 0.0], [0.0, 0.0]]), "row 1 has length 0"),
        (lambda: semantic_diversity([[np.nan, 0.0], [1.0, 0.0]]), "row 0 has length nan"),
        (lambda: vendi([[1, 0.5]]), r"\(n, n\)"),
        (lambda: vendi([[1, 0.5], [0.4, 1]]), "symmetric"),
        (lambda: vendi([[2, 0], [0, 2]]), "unit diagonal"),
        (lambda: vendi([[1, -1, -1], [-1, 1, -1], [-1, -1, 1]]), "eigenvalue -1"),
        (lambda: vendi([[1]], q=-1), "q = -1"),
        (lambda: compression_ratio([]), "0 replies"),
        (lambda: compression_ratio(["", " "]), "without text"),
        (lambda: effective_diversity([1.0, 2.0], np.ones((2, 2))), r"outside \[0, 1\]"),
        (lambda: effective_diversity([1.0, 1.0], -np.ones((2, 2))), "below 0"),
        (lambda: effective_diversity([1.0, 1.0], np.ones((3, 3))), "shape|quality"),
        (lambda: effective_diversity([1.0], np.ones((1, 1))), "2 or more"),
    ],
)
def test_impossible_input_is_an_error(call, message):
    with pytest.raises(PolychromicError, match=message):
        call()
