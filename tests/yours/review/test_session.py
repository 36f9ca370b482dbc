"""Keys to decisions, filters and places, without a terminal."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.review.candidates import candidate, some

from polychromic.base.errors import PolychromicError
from polychromic.yours.review.browse import Filter
from polychromic.yours.review.session import KEYS, Session
from polychromic.yours.review.state import Action, Decision, Review, replay


class Bench:
    """A session over `n` candidates, and its log."""

    def __init__(self, n: int = 6, log: tuple[Action, ...] = ()):
        self.records, self.log = some(n), list(log)
        self.session = Session(self.records, replay(tuple(self.records), log), self.log.append, log[-1] if log else None)

    def keys(self, *keys: str) -> str | None:
        for key in keys:
            event = self.session.press(key)
        return event

    def type(self, text: str) -> None:
        self.keys(*text)

    @property
    def at(self) -> int | None:
        name = self.session.browser.at
        return None if name is None else int(name[-3:])

    @property
    def verdicts(self) -> dict[int, str]:
        return {int(name[-3:]): found.verdict for name, found in self.session.review.decisions.items()}


def test_accept_reject_skip_and_undo_move_along():
    bench = Bench()
    bench.keys("a", "r", "4", "s")
    assert bench.verdicts == {0: "accept", 1: "reject"} and bench.at == 3
    assert bench.session.review.decisions["replies-001"] == Decision("reject", "spam")
    bench.keys("u")
    assert bench.at == 2 and bench.session.message == "undone: skip"
    bench.keys("u", "u", "u")
    assert bench.verdicts == {} and bench.at == 0 and bench.session.message == "nothing to undo"
    assert [action.act for action in bench.log] == ["accept", "reject", "skip", "undo", "undo", "undo"]


def test_a_reason_in_ones_own_words():
    bench = Bench()
    bench.keys("r", "9")
    bench.keys("enter")
    assert bench.session.mode == "note" and "write a reason" in bench.session.message
    bench.type("  too [b]odd[/b] q ")
    bench.keys("enter")
    assert bench.session.review.decisions["replies-000"] == Decision("reject", "other", "too [b]odd[/b] q")
    bench.keys("r", "0")
    assert bench.session.mode == "reason", "no such number"
    bench.keys("esc")
    assert bench.session.mode == "browse" and 1 not in bench.verdicts


def test_editing_the_reply_and_the_post():
    bench = Bench()
    bench.keys("e", *["backspace"] * 7, *"new  text", "enter")
    assert bench.session.review.decisions["replies-000"].texts == ("post 0", "new text") and bench.at == 1
    bench.keys("b", "p", "ctrl-u", *"Why?", "enter")
    assert bench.session.review.decisions["replies-000"].texts == ("Why?", "new text"), "the first edit is kept"
    bench.keys("u")
    assert bench.session.texts() == ("post 0", "new text")
    bench.keys("e", "ctrl-u", "enter")
    assert bench.session.mode == "reply" and "an empty text" in bench.session.message
    bench.keys("esc")
    assert bench.session.texts() == ("post 0", "new text") and len(bench.log) == 3


def test_an_edit_that_changes_nothing_decides_nothing():
    bench = Bench()
    bench.keys("e", "enter")
    assert bench.log == [] and bench.session.message == "nothing changed"
    assert bench.keys("o") == "editor"
    assert bench.session.edited("post 0", "better") and bench.log[-1] == Action("edit", "replies-000", prompt="post 0", reply="better")
    assert not bench.session.edited("x\x07y", "z") and "control character U+0007" in bench.session.message


def test_looking_around_decides_nothing():
    bench = Bench()
    bench.keys("n", "right", "down", "b", "left", "up", "left")
    assert bench.at == 5 and bench.log == []
    bench.keys("?", "x", " ", "x")
    assert bench.session.mode == "browse" and "key 'x' does nothing" in bench.session.message
    bench.keys("paste:aaaa")
    assert bench.log == []


def test_a_paste_is_text_only_while_text_is_edited():
    bench = Bench()
    bench.keys("e", "paste: and\nmore ", "enter")
    assert bench.session.review.decisions["replies-000"].texts == ("post 0", "reply 0and more")


def test_filters_by_state_and_stratum():
    bench = Bench(9)
    bench.keys("a", "a", "r", "1", "f", "3")
    assert bench.session.browser.filter == Filter("accepted") and bench.session.browser.place() == (1, 2)
    bench.keys("f", "a")  # the first stratum: long_high
    assert bench.session.browser.passing() == ["replies-000"] and str(bench.session.browser.filter) == "accepted, long_high"
    bench.keys("f", "5")
    assert bench.at is None and "no candidate passes the filter: edited, long_high" in bench.session.message
    bench.keys("a", "e")
    assert len(bench.log) == 3 and "f changes it" in bench.session.message
    bench.keys("f", "z", "1")
    assert bench.session.browser.filter == Filter() and bench.session.browser.place()[1] == 9


def test_decisions_within_a_filter_stay_in_it():
    bench = Bench(9)
    bench.keys("f", "2", "f", "c")  # undecided, short_low: 1, 4, 7
    seen = []
    while bench.at is not None:
        seen.append(bench.at)
        bench.keys("a")
    assert seen == [1, 4, 7]
    bench.keys("u")
    assert bench.at == 7 and bench.session.browser.place() == (1, 1)


def test_undo_shows_what_the_filter_hides():
    bench = Bench(9)
    bench.keys("a", "f", "4", "u")
    assert bench.at == 0 and bench.session.browser.filter == Filter()


def test_searching():
    bench = Bench(12)
    bench.keys("/", *"PLY 1", "enter")
    assert bench.session.browser.passing() == ["replies-001", "replies-010", "replies-011"] and bench.at == 1
    bench.keys("/", "ctrl-u", "enter")
    assert bench.session.browser.place() == (2, 12), "an empty search shows all, from where one is"
    bench.keys("/", *"zzz", "enter")
    assert bench.at is None
    bench.keys("/", "esc")
    assert bench.session.message == "nothing changed"


def test_skipped_ones_come_again_and_the_end_is_said():
    bench = Bench(3)
    bench.keys("s", "a", "a")
    assert bench.at == 0
    bench.keys("s")
    assert bench.at == 0, "the only one left"
    bench.keys("a")
    assert "every candidate is decided" in bench.session.message


def test_quitting_from_anywhere():
    assert Bench().keys("q") == "quit" and Bench().keys("ctrl-c") == "quit"
    bench = Bench()
    assert bench.keys("r", "q") is None and bench.session.mode == "browse"
    assert bench.keys("e", "q") is None and bench.keys("ctrl-c") is None and bench.session.mode == "browse"
    assert bench.log == []


def test_a_session_goes_on_where_the_last_one_ended():
    log = (Action("accept", "replies-000"), Action("accept", "replies-003"))
    assert Bench(6, log).at == 4
    assert Bench(6, (*log, Action("undo", "replies-003"))).at == 3
    assert Bench(6, (*log, Action("skip", "replies-005"))).at == 1, "around the end"
    assert Bench(6).at == 0


def test_a_decision_that_is_not_on_the_disk_is_none():
    def fail(action: Action) -> None:
        raise PolychromicError("the disk is full")

    records = some(2)
    session = Session(records, Review(tuple(records)), fail)
    session.press("a")
    assert session.review.decisions == {} and session.message == "the disk is full" and session.browser.at == "replies-000"


def test_help_names_every_key_of_browsing():
    assert {key.split()[0] for key in KEYS} == {*"arepousnbf/?q", "space"}


@given(st.lists(st.sampled_from([*"arepousnbf/?q123456789xz ", "enter", "esc", "left", "backspace", "ctrl-u", "pagedown", "paste:a q"])))
@settings(max_examples=100, deadline=None)
def test_whatever_is_pressed_the_log_replays_to_the_same_state(keys):
    bench = Bench(5)
    for key in keys:
        bench.keys(key)
    again = replay(tuple(bench.records), bench.log)
    assert again.decisions == bench.session.review.decisions
    assert bench.at is None or 0 <= bench.at < 5
    bench.keys("esc", "esc")
    for _ in range(len(bench.log)):
        bench.keys("u")
    assert bench.session.review.decisions == {}


def test_markup_in_texts_is_text():
    records = {"x": candidate(1, "[red]a[/red]", "[/]").model_copy(update={"id": "x"})}
    session = Session(records, Review(("x",)))
    assert session.texts() == ("[red]a[/red]", "[/]")
