"""Decisions as a state machine, and the log on the disk: what it holds, a line that a crash cut, a full disk, logs that do not belong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polychromic.base.errors import DataError, PolychromicError, UsageError
from polychromic.yours.review.log import REASONS, Action, Candidates, Log, log_path, read_candidates, read_log
from tests.yours.review.bench import candidate, play, write_candidates

CANDIDATES = Candidates(Path("candidates.jsonl"), "0" * 64, {record.id: record for record in map(candidate, range(6))})
IDS = tuple(CANDIDATES.records)
EDIT = Action("edit", IDS[0], prompt="p", reply="r")
NOTED = Action("reject", IDS[2], "other", 'so "\U0001f602"\n')
ACTIONS = [Action("accept", IDS[1]), NOTED, EDIT, Action("undo", IDS[0]), Action("skip", IDS[0])]
names = st.sampled_from(IDS)
texts = st.sampled_from(["one", "two [b]x[/b]", "caf\u00e9 \U0001f602"])
actions = st.one_of(
    st.builds(Action, st.sampled_from(["accept", "skip"]), names),
    st.builds(Action, st.just("reject"), names, st.sampled_from(sorted(REASONS)), texts),
    st.builds(Action, st.just("edit"), names, prompt=texts, reply=texts),
)


def replay(*done: Action) -> Log:
    log = Log(CANDIDATES.path, CANDIDATES, "anna")
    for action in done:
        log.apply(action)
    return log


@given(st.lists(actions | st.just("undo"), max_size=40), actions)
def test_undo_is_the_inverse_of_any_action_and_counts_add_up(steps, action):
    log = replay()
    for step in steps:
        if step != "undo" or log.undoable:
            log.apply(Action("undo", log.undoable.id) if step == "undo" else step)
    before, undoable = dict(log.decisions), log.undoable
    log.apply(action)
    log.apply(Action("undo", action.id))
    assert log.decisions == before and log.undoable == undoable
    counts = log.counts()
    assert counts["accepted"] + counts["rejected"] == counts["reviewed"] == counts["candidates"] - counts["undecided"]
    assert 0 <= counts["edited"] <= counts["accepted"]
    while log.undoable is not None:
        log.apply(Action("undo", log.undoable.id))
    assert log.decisions == {}, "undoing everything is the start"


def test_the_last_decision_holds_and_a_skip_decides_nothing():
    spam = Action("reject", IDS[0], "spam")
    assert replay(Action("accept", IDS[0]), spam, Action("skip", IDS[0]), Action("skip", IDS[1])).decisions == {IDS[0]: spam}
    assert replay(EDIT, Action("accept", IDS[0])).texts(IDS[0]) == ("p", "r"), "accepting an edited pair keeps the edit"
    assert replay(EDIT, spam, Action("accept", IDS[0])).texts(IDS[0]) == ("post 0", "reply 0"), "rejecting drops it"


@pytest.fixture
def folder(tmp_path):
    write_candidates(tmp_path, *map(candidate, range(4)))
    return tmp_path


def record(folder: Path, done: list[Action]) -> Log:
    log = read_log(log_path(folder, "anna"), read_candidates(folder), "anna")
    for action in done:
        log.append(action)
    return log


def test_a_log_says_who_what_and_of_which_candidates_and_no_time(folder):
    once = record(folder, ACTIONS)
    whole = once.path.read_bytes()
    assert [json.loads(line) for line in whole.decode().splitlines()] == [
        {"candidates": read_candidates(folder).sha256, "reviewer": "anna"},
        {"act": "accept", "id": "replies-001", "reviewer": "anna"},
        {"act": "reject", "id": "replies-002", "note": 'so "\U0001f602"\n', "reason": "other", "reviewer": "anna"},
        {"act": "edit", "id": "replies-000", "prompt": "p", "reply": "r", "reviewer": "anna"},
        {"act": "undo", "id": "replies-000", "reviewer": "anna"},
        {"act": "skip", "id": "replies-000", "reviewer": "anna"},
    ]
    once.path.unlink()
    for action in ACTIONS:  # opened again each time
        again = record(folder, [action])
    assert again.path.read_bytes() == whole and again.decisions == once.decisions, "the same key presses, the same bytes"
    found = read_log(again.path, read_candidates(folder))
    assert (found.reviewer, found.last, found.bytes) == ("anna", ACTIONS[-1], len(whole))


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_a_crash_at_any_byte_costs_at_most_the_line_it_cut(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cut")
    write_candidates(folder, *map(candidate, range(4)))
    path = record(folder, ACTIONS).path
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:at])
    log = read_log(log_path(folder, "anna"), read_candidates(folder), "anna")
    lines = whole[:at].count(b"\n")
    assert log.last == (ACTIONS[lines - 2] if lines > 1 else None)
    for action in ACTIONS[max(lines - 1, 0) :]:
        log.append(action)
    assert path.read_bytes() == whole


def test_a_disk_that_is_full_leaves_the_log_as_it_was_and_is_said_on_the_screen(folder, monkeypatch):
    log = record(folder, ACTIONS[:1])
    before = log.path.read_bytes()
    monkeypatch.setattr("polychromic.base.io.os.fsync", Mock(side_effect=OSError(28, "No space left on device")))
    session, screens = play(log, "a")
    assert re.search(r"the decision was not written \(.*No space\s+left on device\)", screens[-1])
    assert log.path.read_bytes() == before and list(log.decisions) == [IDS[1]] and session.at == "replies-002"


@pytest.mark.parametrize(("line", "fragment"), [
    ("{oops", "Expecting property name"), ("[1]", "a JSON list"), ("\xff", "invalid UTF-8 (invalid start byte"),
    ('{"act": "like", "id": "replies-001"}', "act: Input should be 'accept', 'reject', 'edit', 'skip' or 'undo' (got 'like')"),
    ('{"act": "accept", "id": "replies-001", "mood": "x"}', "mood: Unexpected"),
    ('{"act": "accept", "id": 3}', """id: Input should be a valid string (got '3')"""),
    ('{"act": "accept", "id": "replies-999"}', "id 'replies-999' is none of the candidates"),
    ('{"act": "undo", "id": "replies-001"}', "not what was done last"),
    ('{"act": "reject", "id": "replies-001", "reason": "dull"}', "reason 'dull'; allowed: off_topic"),
    ('{"act": "reject", "id": "replies-001", "reason": "other"}', "other with a note"),
    ('{"act": "edit", "id": "replies-001", "prompt": " ", "reply": "x"}', "an edit with an empty text"),
])  # fmt: skip
def test_a_damaged_line_is_named(line, fragment, folder):
    path = record(folder, []).path
    path.write_bytes(path.read_bytes() + line.encode("latin-1") + b'\n{"act": "skip", "id": "replies-001", "reviewer": "anna"}\n')
    with pytest.raises(DataError) as caught:
        read_log(path, read_candidates(folder))
    assert all(part in str(caught.value) for part in ["review-anna.jsonl:2: ", fragment, "Allowed: ", "Restore the log"])


def test_a_log_of_other_candidates_and_no_log_are_refused(folder):
    path = record(folder, ACTIONS).path
    candidates = write_candidates(folder, *map(candidate, range(5)))
    for content, message in ((None, "reviews other"), ('{"post": "x"}\n', "reviews other candidates"), ("", "no file with a whole line")):
        path.write_text(path.read_text() if content is None else content)
        with pytest.raises(PolychromicError, match=message):
            read_log(path, candidates)
    with pytest.raises(PolychromicError, match=r"candidates\.jsonl: file not found.*polychromic curate"):
        read_candidates(folder / "none")


def test_a_reviewer_is_a_part_of_a_files_name(folder):
    for name in ("", "a/b", "..", ".hidden", "a b", "x\n"):
        with pytest.raises(UsageError, match="--reviewer is "):
            log_path(folder, name)
    assert log_path(folder, "J\u00fcrgen-2.b").name == "review-J\u00fcrgen-2.b.jsonl", "letters of any language"
