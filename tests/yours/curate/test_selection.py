"""Caps, groups, strata with ties, and the final selection."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polychromic.yours.curate.raw import Pair, parse_pair
from polychromic.yours.curate.selection import allot, cuts, groups, over_cap, quantile_class, select, strata


def pair(reply: str = "a reply", post: str = "a post", author: str | None = None, engagement: float | None = None) -> Pair:
    return parse_pair("raw.jsonl:1", {"post": post, "reply": reply, "author": author, "engagement": engagement})


def with_engagement(*values: float | None) -> list[str]:
    return [name.removeprefix("any_") for name in strata([pair(engagement=value) for value in values], 1, 2)]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([1, 2, 3, 4], ["low", "low", "high", "high"]),
        ([0, 0, 0, 9], ["low", "low", "low", "high"]),  # ties never part, however many
        ([5, 5, 5, 5], ["low"] * 4),  # all equal: one class
        ([7], ["low"]),
        ([0, 1, 1, 1], ["low", "low", "low", "low"]),  # equal to the cut: below it
        ([None, None], ["unknown", "unknown"]),
        ([None, 1, 2], ["unknown", "low", "high"]),
        ([-1.5, 10**400], ["low", "high"]),  # more than a float holds
        ([], []),
    ],
)
def test_engagement_with_ties(values, names):
    assert with_engagement(*values) == names


def test_lengths_and_engagement_name_the_stratum():
    pairs = [pair("w " * n, engagement=n) for n in (1, 2, 3, 4, 5, 6)]
    assert strata(pairs, 3, 3) == ["short_low"] * 2 + ["medium_middle"] * 2 + ["long_high"] * 2
    assert strata(pairs, 1, 1) == ["any_any"] * 6


numbers = st.one_of(st.integers(-3, 3), st.floats(allow_nan=False, allow_infinity=False), st.integers(10**300, 10**310))


@given(st.lists(st.one_of(st.none(), numbers), max_size=40), st.integers(1, 3), st.integers(1, 3))
def test_strata_never_fail_and_never_part_equal_values(values, by_length, by_engagement):
    pairs = [pair("w " * (1 + i % 4), engagement=value) for i, value in enumerate(values)]
    names = strata(pairs, by_length, by_engagement)
    assert len(names) == len(values)
    of: dict = {}
    for value, name in zip(values, names, strict=True):
        assert of.setdefault(value, name.split("_")[1]) == name.split("_")[1]


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60), st.integers(1, 3))
def test_classes_grow_with_the_value_and_without_ties_are_even(values, classes):
    at = cuts(values, classes)
    found = [quantile_class(value, at) for value in sorted(values)]
    assert found == sorted(found) and 0 <= found[0] and found[-1] < classes and at == sorted(at)
    different = sorted(set(values))
    sizes = Counter(quantile_class(value, cuts(different, classes)) for value in different)
    assert max(sizes.values()) - min(sizes.get(k, 0) for k in range(classes)) <= 1


def test_a_cap_keeps_the_first_and_ignores_who_has_no_name():
    pairs = [pair(author=a) for a in ("x", None, "x", "y", "x", None, None)]
    assert list(over_cap(pairs, lambda p: p.author, 1)) == [2, 4]
    assert list(over_cap(pairs, lambda p: p.author, 3)) == []


def test_groups_are_not_parted_and_say_nothing():
    pairs = [pair("1", "Post A", "x"), pair("2", "post a!", "y"), pair("3", "B", "y"), pair("4", "C", "z"), pair("5", "D"), pair("6", "E")]
    by_post, by_author, by_both = (groups(pairs, by) for by in ("post", "author", "both"))
    sizes = lambda names: sorted(Counter(names).values())
    assert sizes(by_post) == [1, 1, 1, 1, 2] and by_post[0] == by_post[1]
    assert sizes(by_author) == [1, 1, 1, 1, 2] and by_author[1] == by_author[2], "who has no name is alone"
    assert sizes(by_both) == [1, 1, 1, 3] and by_both[0] == by_both[1] == by_both[2]
    back = groups(pairs[::-1], "both")[::-1]
    assert back == by_both, "names do not hang on the order"


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 50), min_size=1), st.integers(1, 80))
def test_shares(counts, total):
    shares = allot(counts, total)
    assert sum(shares.values()) == min(total, sum(counts.values()))
    available = sum(counts.values())
    for name, count in counts.items():
        assert shares[name] <= count
        if total < available:
            assert abs(shares[name] - total * count / available) < 1


def test_each_stratum_keeps_its_share_and_its_first():
    names = ["a", "b", "a", "a", "b", "a", "a", "a"]
    assert select(names, 4) == [0, 1, 2, 3]
    assert select(names, 100) == list(range(8))
