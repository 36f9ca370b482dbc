"""The reviewer in a real (pseudo-)terminal: decide, quit, go on, undo, a kill, export; and keys as terminals send them."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager

import pytest
from tests.review.candidates import candidate, write_candidates
from tests.review.terminal import Terminal

from polychromic.data.records import read_records
from polychromic.yours.review.log import Candidates, log_path, read_log
from polychromic.yours.review.session import Session
from polychromic.yours.review.state import Review, accepted
from polychromic.yours.review.terminal import Keys

N = 25
HOSTILE = "\x1b]0;owned\x07 [red]stop[/red] \x1b[2J\u202e"
# The keys of twenty decisions, one after the other: accepted, rejected (by number, in words), edited, skipped on the way.
DECISIONS = [
    *("a", "a", "r1", "a", "r9too odd\r", "e!\r", "a", "r4", "sa", "a"),
    *("p?\r", "a", "a", "r7", "a", "a", "e\x15new words\r", "a", "r2", "a"),
]


@pytest.fixture
def candidates(tmp_path) -> Candidates:
    records = [candidate(n) for n in range(N)]
    records[0] = candidate(0, HOSTILE, "caf\u00e9 \U0001f469\u200d\U0001f4bb")
    return write_candidates(tmp_path, records)


@contextmanager
def terminal(folder, *arguments: str):
    opened = Terminal(folder, *arguments)
    try:
        yield opened
    finally:
        opened.close()


def pressed(candidates: Candidates, *keys: str) -> Review:
    """What the same keys give without a terminal."""
    names = {"\r": "enter", "\x15": "ctrl-u"}
    session = Session(candidates.records, Review(candidates.ids))
    for key in "".join(keys):
        session.press(names.get(key, key))
    return session.review


def test_twenty_decisions_quit_resume_undo_export(tmp_path, candidates):
    assert len(DECISIONS) == 20
    review = ["review", ".", "--reviewer", "anna"]
    with terminal(tmp_path, *review) as first:
        first.wait(f"0 of {N} reviewed")
        first.wait("\u241b]0;owned\u2407 [red]stop[/red] \u241b[2J<U+202E>")
        for number, keys in enumerate(DECISIONS, start=1):
            first.press(keys)
            first.wait(f"{number} of {N} reviewed")
        first.press("q")
        assert first.end() == 0
        assert b"20 of 25 reviewed: 15 accepted (3 edited), 5 rejected, 5 undecided." in first.output.replace(b"\r\n", b"")
        assert first.settings() == first.before, "the terminal is as it was"
        assert b"\x1b[?1049h" in first.output and first.output.rstrip().rfind(b"\x1b[?1049l") > first.output.rfind(b"\x1b[?1049h")
        for raw in (b"\x1b]0;", b"\x1b[2J", "\u202e".encode()):
            assert raw not in first.output
    path = log_path(tmp_path, "anna")
    assert read_log(path, candidates).review.decisions == pressed(candidates, *DECISIONS).decisions

    with terminal(tmp_path, *review) as second:
        second.wait(f"20 of {N} reviewed")
        second.press("u")
        second.wait("undone: accept")
        second.press("u")
        second.wait("undone: reject")
        second.wait(f"18 of {N} reviewed")
        second.press("a")
        second.wait(f"19 of {N} reviewed")
        second.process.kill()  # what was drawn is on the disk
        second.process.wait()
    expected = pressed(candidates, *DECISIONS, "uua")
    assert read_log(path, candidates).review.decisions == expected.decisions

    written = []
    for name in ("one", "two"):
        with terminal(tmp_path, *review, "--export", name) as third:
            assert third.end() == 0 and b"reviewed by anna" in third.output
        written.append((tmp_path / name / "replies.jsonl").read_bytes())
    assert written[0] == written[1]
    records = read_records(tmp_path / "one" / "replies.jsonl")
    assert records == accepted(list(candidates.records.values()), expected) and len(records) == 15
    assert "new words" in [record.references[0] for record in records]
    summary = json.loads((tmp_path / "one" / "replies-review.json").read_text())
    assert (summary["reviewed"], summary["exported"], summary["undecided"]) == (19, 15, 6)


@pytest.fixture
def keys():
    """Send bytes, read keys."""
    mine, its = os.pipe()
    reader = Keys(mine)

    def call(sent: bytes) -> list[str]:
        os.write(its, sent)
        found = []
        while (key := reader.read(0)) is not None:
            found.append(key)
        return found

    yield call
    os.close(its)
    with pytest.raises(EOFError):
        reader.read(1)
    os.close(mine)


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (b"aq?/ 1", ["a", "q", "?", "/", " ", "1"]),
        (b"\r\n\x7f\x08\t\x03\x15\x00", ["enter", "enter", "backspace", "backspace", "tab", "ctrl-c", "ctrl-u", "ctrl-`"]),
        ("\u00e9\U0001f602\u4eca".encode(), ["\u00e9", "\U0001f602", "\u4eca"]),
        (b"\xff\xc3", ["\ufffd", "\ufffd"]),
        (b"\x1b", ["esc"]),
        (b"\x1b[A\x1b[B\x1bOC\x1b[D\x1b[H\x1b[4~\x1b[3~", ["up", "down", "right", "left", "home", "end", "delete"]),
        (b"\x1b[1;5Ca\x1b[<0;3;4M", ["unknown", "a", "unknown"]),
        (b"\x1b[200~aaa\nq\x1b[A \xc3\xa9\x1b[201~b", ["paste:aaa\nq\x1b[A \u00e9", "b"]),
        (b"\x1bq", ["esc", "q"]),
    ],
)
def test_keys_as_terminals_send_them(sent, found, keys):
    assert keys(sent) == found
