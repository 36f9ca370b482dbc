"""The form in which two replies are one answer: what is said counts, how it is written does not."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as some

from polychromic.score.text import answer_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C++", "C"),
        ("C#", "C"),
        ("C++", "C#"),
        ("ok \U0001f389", "ok"),
        ("\U0001f44d", "\U0001f44e"),
        ("\u304c\u304f", "\u304b\u304f"),  # gaku, kaku: a sound mark
        ("\u30cf\u30b9", "\u30d0\u30b9"),  # hasu, basu
        ("caf\u00e9", "cafe"),  # as "a\u00f1o" (year) is not "ano": who takes both lists both
        ("x\u00b2", "x2"),
        ("-1", "1"),
        ("the Who", "Who"),
        ("1.5", "15"),
        ("yes!", "yes"),
        ("...", "."),
    ],
)
def test_different_answers(one, other):
    assert answer_key(one) != answer_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Red.", "red"),
        ("  two   words ", "Two words"),
        ('"Red."', "red"),
        ('"Red".', "red"),
        ("\u201cRed\u201d", "red"),
        ("\u2018red\u2019", "red"),
        ("\u300c\u306f\u3044\u3002\u300d", "\u306f\u3044"),  # hai, in corner brackets with its full stop
        ("don\u2019t", "don't"),
        ("Caf\u00e9", "CAFE\u0301"),  # composed or not
        ("\uff76\uff9e\uff78", "\u30ac\u30af"),  # half-width gaku
        ("\uff21\uff22", "ab"),  # full-width letters
        ("STRASSE", "Stra\u00dfe"),
        ("\u2764\ufe0f", "\u2764"),  # a heart, with and without its presentation selector
    ],
)
def test_ways_to_write_one_answer(one, other):
    assert answer_key(one) == answer_key(other)


@pytest.mark.parametrize("text", ["...", ".", '""', '"a" or "b"', "etc..", "\u3002"])
def test_nothing_is_taken_away_that_would_leave_nothing_or_break_a_pair(text):
    assert answer_key(text) == text


@given(some.text())
def test_a_key_is_its_own_key_and_is_empty_for_blanks_alone(text):
    key = answer_key(text)
    assert answer_key(key) == key == unicodedata.normalize("NFC", key)
    assert (key == "") == (not text.replace("\ufe0e", "").replace("\ufe0f", "").strip())
