"""Keys to decisions, filters and places, without a terminal."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polychromic.base.errors import PolychromicError
from polychromic.yours.review.log import Action, read_log
from polychromic.yours.review.session import Session
from tests.yours.review.bench import Bench


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_accept_reject_skip_and_undo_move_along(bench):
    bench.keys("ar4s")
    assert bench.acts == {0: "accept", 1: "reject"} and bench.at == 3
    assert bench.log.decisions["replies-001"] == Action("reject", "replies-001", "spam")
    bench.keys("u")
    assert bench.at == 2 and bench.session.message == "undone: skip"
    bench.keys("uuu")
    assert bench.acts == {} and bench.at == 0 and bench.session.message == "nothing to undo"


def test_a_reason_in_ones_own_words(bench):
    bench.keys("r0")
    assert "press a number" in bench.session.message
    bench.keys("9")
    bench.session.answer(" ")
    assert bench.session.question is not None and "write a reason" in bench.session.message
    bench.session.answer("  too [b]odd[/b]  q ")
    assert bench.log.decisions["replies-000"] == Action("reject", "replies-000", "other", "too [b]odd[/b] q") and bench.at == 1


def test_editing_the_reply_and_the_post(bench):
    bench.keys("e")
    assert bench.session.question.text == "reply 0"
    bench.session.answer("  new\u00a0\n text ")
    assert bench.log.texts("replies-000") == ("post 0", "new text") and bench.at == 1
    bench.keys("bp")
    bench.session.answer("Why?")
    assert bench.log.texts("replies-000") == ("Why?", "new text"), "the first edit is kept"
    bench.keys("ue")
    controls = {"x\x07y": "character U+0007", "x\x9b": "character U+009B", "\x7f": "character U+007F"}
    for text, message in {" \n": "an empty text", **controls}.items():
        bench.session.answer(text)
        assert bench.session.question is not None and message in bench.session.message
    bench.session.answer(None)
    assert bench.session.message == "nothing changed" and bench.log.texts("replies-000") == ("post 0", "new text")
    bench.keys("e")
    bench.session.answer("new text")
    assert bench.session.message == "nothing changed" and bench.log.last.act == "undo", "an edit that changes nothing decides nothing"


def test_looking_around_and_quitting_decide_nothing(bench):
    bench.keys("nnnbbbb")
    assert bench.at == 5
    bench.keys("nx")
    assert bench.at == 0 and "key 'x' does nothing" in bench.session.message
    bench.keys("rq")
    assert not bench.session.over and bench.session.keys is bench.session.browse, "back from the reasons"
    bench.keys("q")
    assert bench.session.over and bench.acts == {}


def narrow(bench: Bench, text: str) -> list[int]:
    """Filter; the numbers of those that pass."""
    bench.keys("f")
    bench.session.answer(text)
    return [int(name[-3:]) for name in bench.session.passing()]


def test_filters_by_state_stratum_and_text(tmp_path):
    bench = Bench(tmp_path, 12)
    bench.keys("aar1e")
    bench.session.answer("Better")
    assert narrow(bench, "accepted") == [0, 1, 3] and bench.at == 0, "the next that passes, around the end"
    assert narrow(bench, "Accepted, long_high") == [0, 3] and narrow(bench, "edited") == [3] and narrow(bench, "rejected") == [2]
    assert narrow(bench, "BETTER") == [3] and narrow(bench, "undecided, PLY 1") == [10, 11] and bench.at == 10
    assert narrow(bench, "edited, rejected") == [] and bench.at is None
    bench.keys("ae")
    assert "f changes it" in bench.session.message and len(bench.acts) == 4
    assert narrow(bench, "") == list(range(12)) and bench.at == 0
    bench.keys("nf")
    bench.session.answer(None)
    assert bench.session.filter == "" and bench.at == 1


def test_decisions_stay_in_the_filter_and_undo_shows_what_it_hides(tmp_path):
    bench = Bench(tmp_path, 9)
    assert narrow(bench, "undecided, short_low") == [1, 4, 7] and bench.at == 1
    bench.keys("aaa")
    assert bench.at is None and sorted(bench.acts) == [1, 4, 7]
    bench.keys("u")
    assert bench.at == 7 and bench.session.filter == "undecided, short_low"
    assert narrow(bench, "rejected") == []
    bench.keys("u")
    assert bench.at == 4 and bench.session.filter == ""


def test_skipped_ones_come_again_and_the_end_is_said(tmp_path):
    bench = Bench(tmp_path, 3)
    bench.keys("saa")
    assert bench.at == 0
    bench.keys("s")
    assert bench.at == 0, "the only one left"
    bench.keys("a")
    assert "every candidate is decided" in bench.session.message


@pytest.mark.parametrize(("keys", "at"), [("", 0), ("anna", 4), ("aau", 1), ("abbs", 1)])
def test_a_session_goes_on_where_the_last_one_ended(keys, at, bench):
    bench.keys(keys)
    assert Session(read_log(bench.log.path, bench.log.candidates)).at == f"replies-{at:03}" == bench.session.at


def test_a_decision_that_is_not_on_the_disk_is_none(bench, monkeypatch):
    monkeypatch.setattr(bench.log, "write", Mock(side_effect=PolychromicError("the disk is full")))
    bench.keys("a")
    assert bench.acts == {} and bench.session.message == "the disk is full" and bench.at == 0
    bench.keys("e")
    bench.session.answer("better")
    assert bench.session.question is not None and bench.session.message == "the disk is full", "the edited text is not lost"


@given(st.lists(st.sampled_from([*"arepusnbfq123456789x ", "escape", "pageup", "answer: better", "answer:", "answer: rejected"])))
@settings(max_examples=60, deadline=None)
def test_whatever_is_pressed_the_log_replays_to_the_same_state(tmp_path_factory, keys):
    bench = Bench(tmp_path_factory.mktemp("any"), 5)
    for key in keys:
        if bench.session.question is not None:
            bench.session.answer(key.removeprefix("answer:") if key.startswith("answer:") else None)
        elif not key.startswith("answer:"):
            bench.session.press("space" if key == " " else key)
    again = read_log(bench.log.path, bench.log.candidates)
    assert again.decisions == bench.log.decisions and again.undoable == bench.log.undoable and again.last == bench.log.last
