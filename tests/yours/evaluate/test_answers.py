"""The form in which two replies are one answer: what is said counts, how it is written does not."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as some

from polychromic.score.text import answer_key, shows

DIFFERENT = [
    ("C++", "C"), ("C#", "C"), ("C++", "C#"), ("ok \U0001f389", "ok"), ("\U0001f44d", "\U0001f44e"), ("x\u00b2", "x2"), ("-1", "1"),
    ("\u304c\u304f", "\u304b\u304f"),  # gaku, kaku: a sound mark
    ("\u30cf\u30b9", "\u30d0\u30b9"),  # hasu, basu
    ("caf\u00e9", "cafe"),  # as "a\u00f1o" (year) is not "ano": who takes both lists both
    ("the Who", "Who"), ("1.5", "15"), ("yes!", "yes"), ("...", "."),
]  # fmt: skip
SAME = [
    ("Red.", "red"), ("  two   words ", "Two words"), ('"Red."', "red"), ('"Red".', "red"), ("\u201cRed\u201d", "red"),
    ("\u2018red\u2019", "red"), ("don\u2019t", "don't"), ("STRASSE", "Stra\u00dfe"),
    ("\u300c\u306f\u3044\u3002\u300d", "\u306f\u3044"),  # hai, in corner brackets with its full stop
    ("Caf\u00e9", "CAFE\u0301"),  # composed or not
    ("\uff76\uff9e\uff78", "\u30ac\u30af"),  # half-width gaku
    ("\uff21\uff22", "ab"),  # full-width letters
    ("\u2764\ufe0f", "\u2764"),  # a heart, with and without its presentation selector
]  # fmt: skip


@pytest.mark.parametrize(("one", "other", "same"), [(*pair, same) for same, pairs in ((False, DIFFERENT), (True, SAME)) for pair in pairs])
def test_what_is_said_counts_and_not_how_it_is_written(one, other, same):
    assert (answer_key(one) == answer_key(other)) == same


@pytest.mark.parametrize("text", ["...", ".", '""', '"a" or "b"', "etc..", "\u3002"])
def test_nothing_is_taken_away_that_would_leave_nothing_or_break_a_pair(text):
    assert answer_key(text) == text


@given(some.text())
def test_a_key_is_its_own_key_and_is_empty_for_blanks_alone(text):
    key = answer_key(text)
    assert answer_key(key) == key == unicodedata.normalize("NFC", key)
    assert (key == "") == (not shows(text))
