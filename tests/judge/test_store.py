"""The store: one record a line, whole or cut off; edited, torn or foreign files are one message."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import sha256_json, write_jsonl
from polychromic.judge.models import Usage
from polychromic.judge.providers import request
from polychromic.judge.store import Reply, Store, record


def one(number: int, text: str = "{}") -> dict:
    asked = request("anthropic", "claude-haiku-5-5", "rules", f"question {number}")
    return record(asked, Reply(text, "end_turn", "", "claude-haiku-5-5", Usage(10, 5)), 0.1, False)


def filled(path: Path, count: int = 3) -> Store:
    store = Store(path)
    store.extend(map(one, range(count)))
    return store


def test_a_record_is_known_by_what_was_asked(tmp_path: Path):
    filled(tmp_path / "calls.jsonl")
    store = Store(tmp_path / "calls.jsonl")
    assert len(store.records) == 3 and one(1)["key"] in store and store[one(1)["key"]] == one(1)
    assert set(one(0)) == {"key", "request", "reply", "usage", "dollars", "batch", "day"}
    keys = {sha256_json(request("anthropic", "m", "rules", "q", repeat)) for repeat in (0, 1)}
    keys |= {sha256_json(request(*about)) for about in (("openai", "m", "rules", "q"), ("anthropic", "n", "rules", "q"),
                                                        ("anthropic", "m", "other", "q"), ("anthropic", "m", "rules", "p"))}  # fmt: skip
    assert len(keys) == 6
    assert store.judges() == [("anthropic", "claude-haiku-5-5")] and len(list(store.of("anthropic", "claude-haiku-5-5"))) == 3


@pytest.mark.parametrize("cut", [1, 40])
def test_a_last_line_that_was_cut_is_cut_off_before_the_next(tmp_path: Path, cut: int):
    path = tmp_path / "calls.jsonl"
    filled(path)
    path.write_bytes(path.read_bytes()[:-cut])
    store = Store(path)
    assert len(store.records) == 2
    store.extend([one(2), one(3)])
    assert len(Store(path).records) == 4 and len(path.read_text().splitlines()) == 4


def test_of_two_records_the_later_holds(tmp_path: Path):
    store = filled(tmp_path / "calls.jsonl", 1)
    store.extend([one(0, "later")])
    assert Store(tmp_path / "calls.jsonl")[one(0)["key"]]["reply"]["text"] == "later"


@pytest.mark.parametrize("spoil, said", [
    (lambda row: row["request"].update(user="another"), "the request does not have the key"),
    (lambda row: row.pop("day"), "not a record of a call"),
    (lambda row: row.update(reply=[]), "a request or reply that is none"),
    (lambda row: row.update(reply={"text": 1}), "a request or reply that is none"),
    (lambda row: row.update(request={}), "a request or reply that is none"),
])  # fmt: skip
def test_an_edited_file_names_the_line(tmp_path: Path, spoil, said: str):
    path = tmp_path / "calls.jsonl"
    rows = [one(0), one(1)]
    spoil(rows[1])
    write_jsonl(path, rows)
    with pytest.raises(DataError, match=rf"calls\.jsonl:2: {said}.*do not edit it"):
        Store(path)


@pytest.mark.parametrize("content", [b"no JSON\n", b"\xff\xfe\n", b"[]\n", b"\n"])
def test_a_foreign_file_is_one_message(tmp_path: Path, content: bytes):
    (tmp_path / "calls.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=r"calls\.jsonl:1: "):
        Store(tmp_path / "calls.jsonl")


def test_an_empty_file_and_none_hold_nothing(tmp_path: Path):
    (tmp_path / "calls.jsonl").write_bytes(b"")
    assert Store(tmp_path / "calls.jsonl").records == Store(tmp_path / "other.jsonl").records == {}


def test_a_packed_file_is_read(tmp_path: Path):
    filled(tmp_path / "calls.jsonl")
    (tmp_path / "calls.jsonl.gz").write_bytes(gzip.compress((tmp_path / "calls.jsonl").read_bytes()))
    assert Store(tmp_path / "calls.jsonl.gz").records == Store(tmp_path / "calls.jsonl").records


def test_a_disk_that_is_full_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = filled(tmp_path / "calls.jsonl")
    before = store.path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("polychromic.base.io.os.fsync", full)
    with pytest.raises(PolychromicError, match="calls were not written .*No space left"):
        store.extend([one(7)])
    assert store.path.read_bytes() == before and one(7)["key"] not in store


def test_the_secret_is_struck_out_of_texts_and_reasons(tmp_path: Path):
    store = Store(tmp_path / "calls.jsonl")
    asked = request("anthropic", "m", "rules", "q")
    store.extend([record(asked, Reply("key sk-1", error="bad sk-1", model="sk-1"), 0.0, False)], secret="sk-1")
    text = store.path.read_text()
    assert "sk-1" not in text and json.loads(text)["reply"] == {"text": "key [key]", "error": "bad [key]", "model": "[key]"}
