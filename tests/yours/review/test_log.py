"""The log on the disk: what it holds, a line that a crash cut, a disk that is full, and logs that do not belong."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.review.candidates import candidate, some, write_candidates

from polychromic.base.errors import DataError, PolychromicError, UsageError
from polychromic.yours.review.log import CUT, log_path, open_log, read_candidates, read_log
from polychromic.yours.review.state import Action

ACTIONS = [
    Action("accept", "replies-001"),
    Action("reject", "replies-002", "other", 'so-so "\U0001f602"\n'),
    Action("edit", "replies-000", prompt="p", reply="r"),
    Action("undo", "replies-000"),
    Action("skip", "replies-000"),
]


@pytest.fixture
def folder(tmp_path):
    write_candidates(tmp_path, list(some(4).values()))
    return tmp_path


def record(folder, actions, reviewer="anna"):
    candidates = read_candidates(folder)
    log, writer = open_log(folder, reviewer, candidates)
    for action in actions:
        log.review.do(action)
        writer.append(action)
    writer.close()
    return log


def test_a_log_says_who_what_and_of_which_candidates_and_no_time(folder):
    record(folder, ACTIONS)
    lines = [json.loads(line) for line in log_path(folder, "anna").read_text().splitlines()]
    assert lines[0] == {"candidates": read_candidates(folder).sha256, "reviewer": "anna"}
    assert lines[1] == {"act": "accept", "id": "replies-001", "reviewer": "anna"}
    assert lines[2] == {"act": "reject", "id": "replies-002", "note": 'so-so "\U0001f602"\n', "reason": "other", "reviewer": "anna"}
    assert lines[3] == {"act": "edit", "id": "replies-000", "prompt": "p", "reply": "r", "reviewer": "anna"}
    first = log_path(folder, "anna").read_bytes()
    log_path(folder, "anna").unlink()
    record(folder, ACTIONS)
    assert log_path(folder, "anna").read_bytes() == first, "the same key presses, the same bytes"


def test_a_log_that_is_opened_again_goes_on(folder):
    once = record(folder, ACTIONS)
    whole = log_path(folder, "anna").read_bytes()
    log_path(folder, "anna").unlink()
    for action in ACTIONS:
        again = record(folder, [action])
    assert again.review.decisions == once.review.decisions and log_path(folder, "anna").read_bytes() == whole
    found = read_log(log_path(folder, "anna"), read_candidates(folder))
    assert (found.reviewer, found.last, found.bytes, found.cut) == ("anna", ACTIONS[-1], len(whole), False)


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_a_crash_at_any_byte_costs_at_most_the_line_it_cut(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cut")
    candidates = write_candidates(folder, list(some(4).values()))
    record(folder, ACTIONS)
    path = log_path(folder, "anna")
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:at])
    log, writer = open_log(folder, "anna", candidates)
    lines = whole[:at].count(b"\n")
    assert log.last == (ACTIONS[lines - 2] if lines > 1 else None) and log.cut == (at not in (0, *_ends(whole)))
    for action in ACTIONS[max(lines - 1, 0) :]:
        writer.append(action)
    writer.close()
    assert path.read_bytes() == whole


def _ends(whole: bytes) -> list[int]:
    return [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]


def test_a_disk_that_is_full_leaves_the_log_as_it_was(folder, monkeypatch):
    candidates = read_candidates(folder)
    _, writer = open_log(folder, "anna", candidates)
    writer.append(ACTIONS[0])
    before = log_path(folder, "anna").read_bytes()

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("polychromic.yours.review.log.os.fsync", fail)
    with pytest.raises(PolychromicError, match=r"the decision was not written .*No space left on device"):
        writer.append(ACTIONS[1])
    assert log_path(folder, "anna").read_bytes() == before


@pytest.mark.parametrize(
    ("line", "fragments"),
    [
        ("{oops", ["review-anna.jsonl:2: not a JSON object"]),
        ("[1]", ["not a JSON object"]),
        ('{"act": "like", "id": "replies-001"}', ["act 'like'", "accept, reject, edit, skip, undo"]),
        ('{"act": "accept"}', ["id None"]),
        ('{"act": "accept", "id": "replies-001", "mood": "x"}', ["unknown key 'mood'"]),
        ('{"act": "accept", "id": 3}', ["id 3"]),
        ('{"act": "accept", "id": "replies-999"}', ["id 'replies-999' is none of the candidates"]),
        ('{"act": "undo", "id": "replies-001"}', ["what can be undone is nothing"]),
        ('{"act": "reject", "id": "replies-001", "reason": "dull"}', ["reason 'dull'; allowed: off_topic"]),
    ],
)
def test_a_damaged_line_is_named(line, fragments, folder):
    record(folder, [])
    path = log_path(folder, "anna")
    path.write_text(path.read_text() + line + "\n" + '{"act": "skip", "id": "replies-001", "reviewer": "anna"}\n')
    with pytest.raises(DataError) as caught:
        read_log(path, read_candidates(folder))
    assert all(fragment in str(caught.value) for fragment in [":2: ", "Allowed: ", *fragments])


def test_a_log_of_other_candidates_is_refused(folder):
    record(folder, ACTIONS)
    candidates = write_candidates(folder, [*some(4).values(), candidate(9)])
    with pytest.raises(PolychromicError, match="the log reviews other candidates"):
        open_log(folder, "anna", candidates)
    other = folder / "other.jsonl"
    other.write_text('{"post": "x"}\n')
    with pytest.raises(DataError, match="candidates and reviewer"):
        read_log(other, candidates)
    other.write_text("")
    with pytest.raises(DataError, match="no whole line"):
        read_log(other, candidates)
    with pytest.raises(PolychromicError, match="none.jsonl: file not found"):
        read_log(folder / "none.jsonl", candidates)


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "x\n"])
def test_a_reviewer_is_a_part_of_a_files_name(name, folder):
    with pytest.raises(UsageError, match="--reviewer is "):
        log_path(folder, name)


def test_names_with_letters_of_any_language(folder):
    assert log_path(folder, "J\u00fcrgen-2.b").name == "review-J\u00fcrgen-2.b.jsonl"


def test_a_folder_without_candidates(tmp_path):
    with pytest.raises(PolychromicError, match=r"candidates\.jsonl: file not found.*polychromic curate"):
        read_candidates(tmp_path)


def test_the_note_on_a_cut_line_is_said():
    assert "not counted" in CUT
