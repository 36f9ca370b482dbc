"""The log and its checkpoint: every state in which a kill can leave them is mended, and every other one is refused."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.yours.collect.store import Store

WHAT = {"source": "here", "columns": {"post": None}}
PAGES = [['{"id": "a"}', '{"id": "\u00e4"}'], [], ['{"id": "c"}']]
WHOLE = '{"id": "a"}\n{"id": "ä"}\n{"id": "c"}\n'.encode()


def fill(folder: Path, pages: list[list[str]] = PAGES) -> Store:
    store = Store(folder, WHAT)
    for lines in pages:
        store.tally.items += 2
        store.commit(lines, store.position + 2)
    return store


def test_a_log_torn_at_any_byte_of_the_last_page_is_completed(tmp_path):
    """The checkpoint of a page comes first: whatever part of the page reached the log, the page is there afterwards, once."""
    fill(tmp_path)
    log, before = tmp_path / "raw.jsonl", len(WHOLE) - len('{"id": "c"}\n')
    for length in range(before, len(WHOLE) + 1):
        log.write_bytes(WHOLE[:length])
        again = Store(tmp_path, WHAT)
        assert log.read_bytes() == WHOLE and [row["id"] for row in again.records()] == ["a", "ä", "c"]
        assert (again.position, again.tally.items) == (6, 6)
    for tail in (b"{", b'{"id": "torn', b"\0" * 50):
        log.write_bytes(WHOLE + tail)
        Store(tmp_path, WHAT)
        assert log.read_bytes() == WHOLE
    fill(tmp_path / "new", PAGES[:1])
    (tmp_path / "new" / "raw.jsonl").unlink()
    assert len(list(Store(tmp_path / "new", WHAT).records())) == 2, "of the first page there need be no log"


def test_the_summary_says_what_is_in_the_log(tmp_path):
    store = fill(tmp_path)
    for place in range(9):
        store.tally.reject("no reply", f"line {place}")
    document = store.finish({"complete": True})
    assert json.loads((tmp_path / "summary.json").read_bytes()) == document
    assert document["log"]["bytes"] == len(WHOLE)
    assert document["rejected"] == {"no reply": {"count": 9, "first": ["line 0", "line 1", "line 2"]}}
    assert json.loads((tmp_path / "checkpoint.json").read_bytes())["pending"] == ""
    assert Store(tmp_path, WHAT).finish({"complete": True}) == document


def test_what_a_killed_writer_left_behind_goes_away(tmp_path):
    fill(tmp_path)
    (tmp_path / ".checkpoint.json.x1").write_text("half")
    (tmp_path / ".summary.json.x2").write_text("half")
    (tmp_path / ".mine").write_text("not collect's")
    Store(tmp_path, WHAT)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mine", "checkpoint.json", "raw.jsonl"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda log: log.write_bytes(WHOLE + b'{"id": "mine"}\n'), "whole lines follow the last stored page, from byte 37"),
        (lambda log: log.write_bytes(WHOLE.replace(b"a", b"b", 1)), "its sha256 is another"),
        (lambda log: log.write_bytes(WHOLE[:5]), "20 bytes are missing"),
        (lambda log: log.unlink(), "25 bytes are missing"),
        (lambda log: log.with_name("checkpoint.json").unlink(), "a log without its checkpoint.json"),
        (lambda log: log.with_name("checkpoint.json").write_text("{"), "not a checkpoint of this version"),
        (lambda log: log.with_name("checkpoint.json").write_text("[]"), "not a checkpoint of this version"),
        (lambda log: log.with_name("checkpoint.json").write_text('{"version": 2}'), "version 2"),
    ],
)
def test_what_no_kill_leaves_is_refused_and_left_alone(damage, said, tmp_path):
    fill(tmp_path)
    damage(tmp_path / "raw.jsonl")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(PolychromicError, match=said) as caught:
        Store(tmp_path, WHAT)
    assert "Allowed: " in str(caught.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_another_collection_and_a_file_are_refused(tmp_path):
    fill(tmp_path)
    with pytest.raises(PolychromicError, match='columns was {"post": null}, is {"post": "text"}; source was "here"'):
        Store(tmp_path, {"source": "there", "columns": {"post": "text"}})
    (tmp_path / "file").write_text("")
    with pytest.raises(PolychromicError, match="a file. Allowed: a folder"):
        Store(tmp_path / "file", WHAT)


def test_a_full_disk_loses_nothing(tmp_path):
    """The limit on a file's size stands for it: the same short write and the same kind of error."""
    store = fill(tmp_path, PAGES[:2])
    many = [json.dumps({"id": str(i), "post": "x" * 100}) for i in range(100)]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (3000, 11_000):  # within the checkpoint; and it is longer than the log, so this is within it, too
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
        try:
            with pytest.raises(PolychromicError, match="cannot be written .*make room") as caught:
                store.commit(many, 104)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert not isinstance(caught.value, DataError)
        again = Store(tmp_path, WHAT)
        assert again.position == 4 and len(list(again.records())) == 2
        store = again
    store.commit(many, 104)
    assert len(list(Store(tmp_path, WHAT).records())) == 102


def test_a_log_that_cannot_be_appended_to_is_completed_later(tmp_path, monkeypatch):
    store = fill(tmp_path, PAGES[:1])

    def full(pending: bytes) -> None:
        with store.log.open("ab") as log:
            log.write(pending[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_append", full)
    with pytest.raises(PolychromicError, match="No space left on device"):
        store.commit(['{"id": "c"}'], 4)
    again = Store(tmp_path, WHAT)
    assert again.position == 4 and [row["id"] for row in again.records()] == ["a", "ä", "c"]
