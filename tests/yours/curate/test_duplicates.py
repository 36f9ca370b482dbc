"""Near-duplicates against a comparison of all with all, and that a swarm of copies stays cheap."""

from __future__ import annotations

import time
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polychromic.yours.curate.duplicates import PAIR_PREFIX, SHARED, NearDuplicates, compared_words, exact_key, jaccard, word_frequency
from polychromic.yours.curate.raw import parse_pair

THRESHOLDS = (0.51, 0.55, 0.6, 2 / 3, 0.7, 0.8, 0.9, 1.0)


def greedy(sets: list[frozenset[str]], threshold: float) -> list[int | None]:
    """By the definition: the first kept set with a Jaccard index of the threshold or more, in whole numbers."""
    kept, found, at = [], [], Fraction(str(threshold))
    for s in sets:
        match = next((i for i, other in enumerate(kept) if s and other and len(s & other) >= at * len(s | other)), None)
        found.append(match)
        if match is None:
            kept.append(s)
    return found


def indexed(sets: list[frozenset[str]], threshold: float) -> list[int | None]:
    known, found = NearDuplicates(word_frequency(sets), threshold), []
    for s in sets:
        found.append(known.closest(s))
        if found[-1] is None:
            known.keep(s)
    return found


words = st.frozensets(st.sampled_from([f"w{n}" for n in range(14)]), max_size=10)


@given(st.lists(words, max_size=30), st.sampled_from(THRESHOLDS))
@settings(max_examples=120, deadline=None)
def test_short_texts_like_a_comparison_of_all_with_all(sets, threshold):
    assert indexed(sets, threshold) == greedy(sets, threshold)


@given(st.integers(0, 2**32 - 1), st.sampled_from(THRESHOLDS))
@settings(max_examples=40, deadline=None)
def test_texts_of_any_length_like_a_comparison_of_all_with_all(seed, threshold):
    """Around the length at which the index changes from pairs to single words: texts of 1 to 120 words and their mutations."""
    rng = np.random.default_rng(seed)
    vocabulary = [f"w{n}" for n in range(150)]
    sets: list[frozenset[str]] = []
    for _ in range(40):
        if sets and rng.random() < 0.6:
            mutated = set(sets[rng.integers(len(sets))])
            for word in rng.choice(vocabulary, size=rng.integers(0, 12)):
                mutated ^= {str(word)}
            sets.append(frozenset(mutated))
        else:
            sets.append(frozenset(str(w) for w in rng.choice(vocabulary, size=rng.integers(1, 120), replace=False)))
    assert indexed(sets, threshold) == greedy(sets, threshold)


def test_the_threshold_is_no_float():
    """0.55 * 20 is 11.000000000000002 in floats: 11 shared words of 20 are enough all the same."""
    a, b = frozenset(map(str, range(15))), frozenset(map(str, range(4, 20)))
    assert len(a & b) == 11 and len(a | b) == 20
    assert indexed([a, b], 0.55) == [None, 0]


def test_texts_without_words_are_never_alike():
    assert indexed([frozenset(), frozenset()], 0.8) == [None, None]
    assert jaccard(frozenset(), frozenset()) == 0


def test_a_swarm_of_copies_is_linear():
    """10,000 variants of one text: pairs of them would be fifty million."""
    base = [f"w{n}" for n in range(20)]
    sets = [frozenset([*base[: n % 20], *base[n % 20 + 1 :], f"own{n}"]) for n in range(10_000)]
    started = time.process_time()
    found = indexed(sets, 0.8)
    assert sum(match is None for match in found) <= 2
    assert time.process_time() - started < 5


def test_the_keys_of_a_text_are_few_and_of_the_right_kind():
    known = NearDuplicates(Counter(), 0.8)
    for n in range(2, 400):
        pairs, words = len(list(known._pairs(tuple(range(n))))), len(known._words(tuple(range(n))))
        assert pairs <= PAIR_PREFIX * (PAIR_PREFIX - 1) / 2 and words <= 0.2 * n + SHARED
        assert (pairs > 0) == (n <= 54) and (words > 0) == (n >= 44), "from 44 words on a match may have 55"


def pair(post: str, reply: str):  # noqa: ANN202
    return parse_pair("raw.jsonl:1", {"post": post, "reply": reply})


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("It's GREAT!", "it\u2019s great", True),
        ("caf\u00e9 ol\u00e9", "cafe ole", True),
        ("1000 users", "1000 users!", True),
        ("1000 users", "2000 users", False),
        ("\U0001f602", "\U0001f62d", False),  # no words: the emoji count
        ("\U0001f602", "\U0001f602", True),
    ],
)
def test_equal_but_for_case_accents_punctuation_and_blanks(a, b, same):
    assert (exact_key(pair("p", a), "reply") == exact_key(pair("q", b), "reply")) == same
    assert (exact_key(pair("p", a), "pair") == exact_key(pair("P!", b), "pair")) == same
    assert exact_key(pair("p", a), "pair") != exact_key(pair("q", a), "pair")


def test_which_text_is_compared():
    found = pair("one two", "two three")
    assert [compared_words(found, of) for of in ("post", "reply", "pair")] == [
        {"one", "two"},
        {"two", "three"},
        {"one", "two", "three"},
    ]
