"""What lines of a log are read as; equal and nearly equal texts against a comparison of all with all; caps, groups, strata, selection."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polychromic.base.errors import DataError
from polychromic.yours.curate import selection

ROW = {"post": "A post", "reply": "A reply"}
THRESHOLDS = (0.51, 0.55, 0.6, 2 / 3, 0.7, 0.8, 0.9, 1.0)


def test_all_but_the_texts_may_be_missing_or_null():
    bare = selection.read_pair("raw.jsonl:7", ROW)
    assert bare == selection.Pair("raw.jsonl:7", "A post", "A reply", None, None, "raw.jsonl")
    assert selection.read_pair("raw.jsonl:7", ROW | dict.fromkeys(("author", "engagement", "source", "id"))) == bare
    more = {"author": 12, "engagement": -0.5, "source": "apify:x", "id": 3, "created": "then", "lang": "en"}
    assert selection.read_pair("raw.jsonl:7", ROW | more) == selection.Pair("raw.jsonl:7", "A post", "A reply", "12", -0.5, "apify:x")
    assert selection.read_pair("raw.jsonl:1", ROW | {"source": "half \ud83d"}).source == "half \\ud83d", "a record can be written"
    assert selection.read_pair("raw.jsonl:1", {"post": "x"}) == selection.Pair("raw.jsonl:1", "x", "", None, None, "raw.jsonl", "no reply")
    a, b = selection.read_pair("r:1", {"post": "a b", "reply": "c"}), selection.read_pair("r:2", {"post": "a", "reply": "b c"})
    assert a.digest != b.digest and a.digest == selection.read_pair("other:9", {"post": " a  b", "reply": "c ", "author": "x"}).digest


def test_lines_are_read_one_by_one(tmp_path):
    path = tmp_path / "raw.jsonl.gz"
    path.write_bytes(gzip.compress((json.dumps(ROW) + "\n\n" + json.dumps(ROW | {"post": "Another"}) + "\n{oops\n").encode()))
    found = selection.read_pairs(path)
    assert [next(found).where, next(found).where] == ["raw.jsonl.gz:1", "raw.jsonl.gz:3"]
    with pytest.raises(DataError, match=r"raw\.jsonl\.gz:4: not JSON"):
        next(found)


def greedy(sets: list[frozenset[str]], threshold: float) -> list[int | None]:
    """By the definition: the first kept set with a Jaccard index of the threshold or more, in whole numbers."""
    kept, found, at = {}, [], Fraction(str(threshold))
    for place, s in enumerate(sets):
        found.append(next((i for i, other in kept.items() if s and other and len(s & other) >= at * len(s | other)), None))
        if found[-1] is None:
            kept[place] = s
    return found


words = st.frozensets(st.sampled_from([f"w{n}" for n in range(14)]), max_size=10)


@st.composite
def mutations(draw) -> list[frozenset[str]]:
    """Texts of 1 to 120 words and their mutations."""
    rng, vocabulary = np.random.default_rng(draw(st.integers(0, 2**32 - 1))), [f"w{n}" for n in range(150)]
    sets: list[frozenset[str]] = []
    for _ in range(40):
        if sets and rng.random() < 0.6:
            sets.append(sets[rng.integers(len(sets))] ^ {str(word) for word in rng.choice(vocabulary, size=rng.integers(0, 12))})
        else:
            sets.append(frozenset(str(word) for word in rng.choice(vocabulary, size=rng.integers(1, 120), replace=False)))
    return sets


@given(st.lists(words, max_size=30) | mutations(), st.sampled_from(THRESHOLDS))
@settings(max_examples=160, deadline=None)
def test_near_duplicates_like_a_comparison_of_all_with_all(sets, threshold):
    assert list(selection.closest(sets, threshold)) == greedy(sets, threshold)


def test_the_threshold_is_no_float_and_texts_without_words_are_never_alike():
    """0.55 * 20 is 11.000000000000002 in floats: 11 shared words of 20 are enough all the same."""
    a, b = frozenset(map(str, range(15))), frozenset(map(str, range(4, 20)))
    assert len(a & b) == 11 and len(a | b) == 20
    assert list(selection.closest([a, b], 0.55)) == [None, 0]
    assert list(selection.closest([frozenset(), frozenset()], 0.8)) == [None, None]


def pair(reply: str = "a reply", post: str = "a post", author: str | None = None, engagement: float | None = None) -> selection.Pair:
    return selection.read_pair("raw.jsonl:1", {"post": post, "reply": reply, "author": author, "engagement": engagement})


@pytest.mark.parametrize(("a", "b", "same"), [
    ("It's GREAT!", "it\u2019s great", True), ("caf\u00e9 ol\u00e9", "cafe ole", True), ("1000 users", "1000 users!", True),
    ("1000 users", "2000 users", False),
    ("\U0001f602", "\U0001f62d", False),  # no words: the emoji count
    ("\U0001f602", "\U0001f602", True),
])  # fmt: skip
def test_equal_but_for_case_accents_punctuation_and_blanks(a, b, same):
    assert (selection.exact_key(pair(a, "p"), "reply") == selection.exact_key(pair(b, "q"), "reply")) == same
    assert (selection.exact_key(pair(a, "p"), "pair") == selection.exact_key(pair(b, "P!"), "pair")) == same
    assert selection.exact_key(pair(a, "p"), "pair") != selection.exact_key(pair(a, "q"), "pair")


@pytest.mark.parametrize(("of", "near"), [("post", {1: "0.80 like raw.jsonl:1"}), ("reply", {2: "1.00 like raw.jsonl:1"}), ("pair", {})])
def test_which_text_is_compared(of, near):
    pairs = [pair("one two", "a b c d"), pair("three", "a b c d e"), pair("two one", "z")]
    assert selection.near_duplicates(pairs, of, 0.8) == near


@pytest.mark.parametrize(("values", "names"), [
    ([0, 0, 0, 9], ["low", "low", "low", "high"]),  # ties never part, however many
    ([5, 5, 5, 5], ["low"] * 4), ([7], ["low"]),  # all equal: one class
    ([None, 1, 2], ["unknown", "low", "high"]), ([1, 2, 3], ["low", "low", "high"]),  # what is not known does not move the cut
    ([0, 1, 1, 1], ["low", "low", "low", "low"]),  # equal to the cut: below it
])  # fmt: skip
def test_engagement_with_ties(values, names):
    assert selection.quantile_names(values, ("low", "high")) == names


def test_lengths_and_engagement_name_the_stratum():
    pairs = [pair("w " * n, engagement=n) for n in (1, 2, 3, 4, 5, 6)]
    assert selection.strata(pairs, 3, 3) == ["short_low"] * 2 + ["medium_middle"] * 2 + ["long_high"] * 2
    assert selection.strata(pairs, 1, 1) == ["any_any"] * 6


numbers = st.one_of(st.integers(-3, 3), st.floats(allow_nan=False, allow_infinity=False), st.integers(10**300, 10**310))


@given(st.lists(st.one_of(st.none(), numbers), max_size=40), st.integers(1, 3))
def test_classes_grow_with_the_value_never_part_equal_values_and_without_ties_are_even(values, classes):
    found = selection.quantile_names(values, "abc"[:classes])
    assert all((name == "unknown") == (value is None) for value, name in zip(values, found, strict=True))
    known = sorted((value, name) for value, name in zip(values, found, strict=True) if value is not None)
    assert [name for _, name in known] == sorted(name for _, name in known)
    assert len({value for value, _ in known}) == len(set(known))
    if different := sorted({value for value, _ in known}):
        sizes = Counter(selection.quantile_names(different, "abc"[:classes]))
        assert max(sizes.values()) - min(sizes[name] for name in "abc"[:classes]) <= 1


def test_a_cap_keeps_the_first_and_ignores_who_has_no_name():
    pairs = [pair(author=a) for a in ("x", None, "x", "y", "x", None, None)]
    assert selection.over_cap(pairs, "author", 1) == dict.fromkeys((2, 4), "this author has 1 already")
    assert selection.over_cap(pairs, "author", 3) == {}


def test_groups_are_not_parted_and_say_nothing():
    pairs = [pair("1", "Post A", "x"), pair("2", "post a!", "y"), pair("3", "B", "y"), pair("4", "C"), pair("5", "D")]
    by_post, by_author = selection.groups(pairs, "post"), selection.groups(pairs, "author")
    assert by_post[0] == by_post[1] == f"post-{min(pair.digest for pair in pairs[:2])[:12]}" and len(set(by_post)) == 4
    assert by_author[1] == by_author[2] and len(set(by_author)) == 4, "who has no name is alone"
    assert selection.groups(pairs[::-1], "author")[::-1] == by_author, "names do not hang on the order"


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 50), min_size=1), st.integers(1, 80))
def test_each_stratum_keeps_its_share_and_its_first(counts, total):
    shares, available = selection.allot(counts, total), sum(counts.values())
    assert sum(shares.values()) == min(total, available)
    for name, count in counts.items():
        assert shares[name] <= count
        assert total >= available or abs(shares[name] - total * count / available) < 1
    names = [name for name, count in counts.items() for _ in range(count)]
    beyond = [place for place, name in enumerate(names) if names[:place].count(name) >= shares[name]]
    assert list(selection.beyond_share(names, total)) == beyond
