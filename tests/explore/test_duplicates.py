"""Near-duplicates: equal keys, and texts that share most of their letters, without chains."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from polychromic.explore.duplicates import ALIKE, described, grouped
from polychromic.score.quality import chrf_matrix

CAT, CATS, DOG = "the cat sat on the mat today", "the cat sat on the mats today", "a dog ran home"


def test_equal_keys_are_one_group_in_the_order_in_which_they_come():
    assert grouped(["b", "a", "b", "c", "a"], near=False) == [0, 1, 0, 2, 1]
    assert grouped([CAT, CATS], near=False) == [0, 1]
    assert grouped([], near=True) == [] and grouped(["one"], near=True) == [0]


def test_near_duplicates_share_a_group_and_others_do_not():
    assert grouped([DOG, CAT, CATS, DOG], near=True) == [0, 1, 1, 0]


def test_what_shows_nothing_is_one_group_of_its_own():
    assert grouped(["", "x", "\u200b", " "], near=True) == [0, 1, 0, 0]


@given(st.lists(st.text("ab c", max_size=12), max_size=8))
def test_any_two_of_a_group_are_alike_and_order_does_not_matter(texts):
    found = grouped(texts, near=True)
    shown = [text for text in texts if text.strip()]
    alike = chrf_matrix(shown, shown) if shown else []
    for i, one in enumerate(shown):
        for j, other in enumerate(shown):
            if found[texts.index(one)] == found[texts.index(other)] and one != other:
                assert (alike[i][j] + alike[j][i]) / 2 >= ALIKE - 1e-8
    assert len(set(found)) == len(set(grouped(texts[::-1], near=True)))


def test_the_page_says_what_a_colour_means():
    assert described(False, "the same answer") == "the same answer"
    assert f"chrF of {ALIKE:g}" in described(True, "the same answer")
