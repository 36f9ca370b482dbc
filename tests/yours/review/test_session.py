"""Keys as a terminal sends them, to decisions, filters and places; texts as they are, nothing of which a terminal obeys; the program."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polychromic.yours.review.log import Action, log_path, read_log
from tests.yours.review.bench import Terminal, acts, begin, candidate, play, write_candidates

HOSTILE = "a\x1b]0;title\x07b\x1b[2Jc\x9b31md\u202egnp.exe\u2066x\ufeffz\x00\r\x7f\x08 [red]stop[/red] [/]"
SHOWN = "a\u241b]0;title\u2407b\u241b[2Jc<U+009B>31md<U+202E>gnp.exe<U+2066>x<U+FEFF>z\u2400\u240d\u2421\u2408 [red]stop[/red] [/]"
CLEAR = "\x15"  # Ctrl-U: the line before the cursor
EVERY = st.lists(st.sampled_from([*"arepusnbf/123456789x ", "\r", "\x1b", "\x03", "\x1b[C", f"{CLEAR}better\r", f"{CLEAR}rejected\r"]))


@pytest.mark.parametrize(("keys", "expected", "at", "said"), [
    ("ar4su", {0: "accept", 1: "reject"}, 2, ["undone: skip", "2 of 6 reviewed: 1 accepted (0 edited), 1 rejected, 4 undecided"]),
    ("ar4suuuu", {}, 0, ["nothing to undo"]),
    ("r9\r\x1ba", {0: "accept"}, 1, []),  # a reason of no words is none
    (f"e{CLEAR}\r\x07\r{CLEAR}new\r", {0: "edit"}, 1, []), ("eno\x1br\x1ba", {0: "accept"}, 1, []), ("e\r", {}, 0, ["nothing changed"]),
    ("e\x03r\x03", {}, 0, []),
    ("x\x1b[C\x1b[B\x1b[1;5Ca", {0: "accept"}, 1, []),  # keys that mean nothing
    ("\x1b[200~aaa\nq\x1b[201~a", {0: "accept"}, 1, []),  # a pasted text is no row of decisions
    ("ssaaaa", {2: "accept", 3: "accept", 4: "accept", 5: "accept"}, 0, []),  # what was skipped comes again
    ("aaaaaa", dict.fromkeys(range(6), "accept"), 0, ["every candidate is decided"]),
    ("b", {}, 5, ["filter: all  6 of 6  short_high  replies-005"]), ("ab", {0: "accept"}, 0, ["accepted"]),
    (f"p{CLEAR}better\rb", {0: "edit"}, 0, ["accepted, edited", "better"]),
    ("r1b", {0: "reject"}, 0, ["rejected: the reply does not answer the post"]),
])  # fmt: skip
def test_keys(keys, expected, at, said, tmp_path):
    session, screens = play(begin(tmp_path), keys)
    assert acts(session.log) == expected and session.at == f"replies-{at:03}" and session.log.path.exists()
    assert all(part in screens[-1] for part in said), screens[-1]
    again = play(read_log(session.log.path, session.log.candidates), "")[0]
    assert again.at == session.at or keys[-1] == "b", "a session goes on where the last one ended"


def test_what_is_written_is_what_was_typed(tmp_path):
    keys = f"e{CLEAR}  new \u00a0text \rbp{CLEAR}Why?\rr4r9  too [b]odd[/b]  q \re\x1b[200~ and\nmore \x1b[201~\r"
    log = play(begin(tmp_path), keys)[0].log
    assert log.texts("replies-000") == ("Why?", "new text"), "the first edit is kept"
    assert log.decisions["replies-001"] == Action("reject", "replies-001", "spam")
    assert log.decisions["replies-002"] == Action("reject", "replies-002", "other", "too [b]odd[/b] q")
    assert log.texts("replies-003") == ("post 3", "reply 3 and more")


@pytest.mark.parametrize(("text", "passing", "at"), [
    ("accepted", [0, 1, 3], 0),  # the next that passes, around the end
    ("Accepted, long_high", [0, 3], 0), ("edited", [3], 3), ("rejected", [2], 2), ("BETTER", [3], 3), ("undecided, PLY 1", [10, 11], 10),
    ("edited, rejected", [], None), ("", list(range(12)), 4),
])  # fmt: skip
def test_filters_by_state_stratum_and_text(text, passing, at, tmp_path):
    log = begin(tmp_path, *map(candidate, range(12)))
    session, screens = play(log, f"aar1e{CLEAR}Better\rf{text}\r")
    found = [int(name[-3:]) for name in session.records if session.passes(name)]
    assert found == passing and session.at == (None if at is None else f"replies-{at:03}")
    if at is None:
        assert "No candidate passes the filter. f changes it" in screens[-1]
        session, _ = play(log, f"f{text}\rae/{CLEAR}\r")
        assert len(acts(log)) == 4 and session.filter == "" and session.at == "replies-000"


@pytest.mark.parametrize(
    ("more", "at", "kept"),
    [("", None, "undecided, short_low"), ("u", "replies-007", "undecided, short_low"), (f"uf{CLEAR}rejected\ru", "replies-004", "")],
)
def test_decisions_stay_in_the_filter_and_undo_shows_what_it_hides(more, at, kept, tmp_path):
    session, _ = play(begin(tmp_path, *map(candidate, range(9))), f"fundecided, short_low\raaa{more}")
    assert (session.at, session.filter) == (at, kept) and acts(session.log) == dict.fromkeys((1, 4, 7)[: 3 - more.count("u")], "accept")


@given(EVERY)
@settings(max_examples=40, deadline=None)
def test_whatever_is_pressed_the_log_replays_to_the_same_state(tmp_path_factory, keys):
    log = play(begin(tmp_path_factory.mktemp("any"), *map(candidate, range(5))), "".join(keys) + "\x1b")[0].log
    again = read_log(log.path, log.candidates)
    assert again.decisions == log.decisions and again.undoable == log.undoable and again.last == log.last


@given(st.text(min_size=1).filter(str.strip))
@settings(max_examples=40, deadline=None)
def test_no_text_breaks_out(tmp_path_factory, text):
    _, screens = play(begin(tmp_path_factory.mktemp("text"), candidate(0, text, text[::-1])), f"f{text.split()[0]}\r\x1b")
    for c in "".join(screens).replace("\n", ""):
        assert c.isprintable() or unicodedata.category(c) == "Zs" or c in "\u200c\u200d" or 0xE0020 <= ord(c) <= 0xE007F


def test_decide_quit_go_on_kill_in_a_pseudo_terminal(tmp_path):
    candidates = write_candidates(tmp_path, candidate(0, HOSTILE, "caf\u00e9 \U0001f469\u200d\U0001f4bb"), *map(candidate, range(1, 5)))
    command = ["review", ".", "--reviewer", "anna"]
    with Terminal(tmp_path, *command) as first:
        first.until(SHOWN[:20])
        first.press("p")
        first.until("post: " + SHOWN[:20])
        first.press("\x1bar1sar9too odd\rq")
        first.until("4 of 5 reviewed: 2 accepted (0 edited), 2 rejected, 1 undecided. Every decision is in")
        assert first.process.wait() == 0 and first.same_settings(), "the terminal is as it was"
        assert not any(raw in first.output for raw in ("\x1b]0;", "\u202e", "\x9b", "\u2066", "\x00"))
    with Terminal(tmp_path, *command) as second:
        second.until("4 of 5 reviewed")
        second.press("uu")
        second.until("undone: accept")
        second.press(f"e{CLEAR}answer 3\r")
        second.until("(1 edited)")
        second.process.kill()  # what was decided is on the disk
    found = read_log(log_path(tmp_path, "anna"), candidates)
    assert found.last == Action("edit", "replies-003", prompt="post 3", reply="answer 3")
    assert acts(found) == {0: "accept", 1: "reject", 3: "edit"}
