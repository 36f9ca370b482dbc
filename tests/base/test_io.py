"""Files: old content or new, never half; bytes that depend on the content alone; errors with file and line."""

from __future__ import annotations

import gzip
import json
import os

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import atomic_open, dumps, read_json, read_jsonl, sha256_file, sha256_json, write_json, write_jsonl


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_error_keeps_the_old_file_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_open(path) as file:
        file.write(b"half")
        file.flush()
        assert path.read_text() == "old"
        raise RuntimeError
    assert path.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_an_interrupt_without_an_old_file_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic_open(tmp_path / "new" / "a.txt") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert names(tmp_path / "new") == []


def test_success_replaces_the_file_and_others_may_read_it(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_open(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new" and names(tmp_path) == ["a.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_row_that_fails_keeps_the_old_file(tmp_path):
    for name in ("rows.jsonl", "rows.jsonl.gz"):
        path = tmp_path / name
        write_jsonl(path, [{"a": 1}])
        before = path.read_bytes()
        with pytest.raises(ValueError, match="JSON compliant"):
            write_jsonl(path, [{"a": 2}, {"a": float("nan")}])
        assert path.read_bytes() == before
    assert names(tmp_path) == ["rows.jsonl", "rows.jsonl.gz"]


def test_gzip_bytes_do_not_depend_on_time_or_name(tmp_path, monkeypatch):
    rows = [{"b": 1, "a": "é"}, {"c": [1.5, None]}]
    write_jsonl(tmp_path / "one.jsonl.gz", rows)
    write_json(tmp_path / "one.json.gz", rows)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    write_jsonl(tmp_path / "sub" / "other name.jsonl.gz", rows)
    write_json(tmp_path / "sub" / "other name.json.gz", rows)
    for suffix in ("jsonl.gz", "json.gz"):
        one = (tmp_path / f"one.{suffix}").read_bytes()
        assert one == (tmp_path / "sub" / f"other name.{suffix}").read_bytes()
        assert one[4:8] == bytes(4) and one[3] == 0, "no clock and no name in the header"
    assert gzip.decompress((tmp_path / "one.jsonl.gz").read_bytes()).decode() == '{"a": "é", "b": 1}\n{"c": [1.5, null]}\n'


def test_keys_are_sorted_so_that_insertion_order_does_not_show():
    assert dumps({"b": {"d": 1, "c": 2}, "a": 0}) == dumps({"a": 0, "b": {"c": 2, "d": 1}}) == '{"a": 0, "b": {"c": 2, "d": 1}}'
    assert sha256_json({"b": 1, "a": 2}) == sha256_json({"a": 2, "b": 1}) != sha256_json({"a": 1, "b": 2})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [-float("inf")]])
def test_values_that_json_lacks_are_refused(value, tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"x": value})
    assert names(tmp_path) == []


def test_rows_come_back_with_their_lines(tmp_path):
    rows = [{"id": "ä", "n": 1}, {"id": "b"}]
    for name in ("rows.jsonl", "rows.jsonl.gz"):
        path = tmp_path / name
        write_jsonl(path, rows)
        assert list(read_jsonl(path)) == [(f"{path}:1", rows[0]), (f"{path}:2", rows[1])]


def test_blank_lines_are_skipped_but_counted(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\n{"a": 1}\r\n   \n{"a": 2}')
    assert list(read_jsonl(path)) == [(f"{path}:2", {"a": 1}), (f"{path}:4", {"a": 2})]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"a": "\xff"}', "invalid UTF-8 (invalid start byte at byte 7)"),
        (b'{"a": 1', "not JSON"),
        (b"hello", "not JSON (Expecting value at column 1)"),
        (b"[1, 2]", "a JSON list"),
        (b'"text"', "a JSON str"),
        (b"null", "a JSON NoneType"),
        (b"\xef\xbb\xbf{}", "not JSON (Unexpected UTF-8 BOM"),
    ],
)
def test_a_bad_line_is_named(line, problem, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n\n' + line + b'\n{"a": 2}\n')
    rows = read_jsonl(path)
    assert next(rows)[1] == {"a": 1}
    with pytest.raises(DataError) as error:
        next(rows)
    assert str(error.value).startswith(f"{path}:3: {problem}")
    assert "Allowed:" in str(error.value)


def test_missing_files_are_errors_with_a_remedy(tmp_path):
    with pytest.raises(PolychromicError, match="file not found.*dvc pull"):
        list(read_jsonl(tmp_path / "none.jsonl"))
    with pytest.raises(PolychromicError, match="file not found.*dvc repro"):
        read_json(tmp_path / "none.json")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe"])
def test_a_file_that_is_not_json_is_named(content, tmp_path):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.json: not JSON"):
        read_json(tmp_path / "a.json")


def test_a_truncated_gzip_file_is_named(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    write_jsonl(path, [{"n": n, "text": os.urandom(20).hex()} for n in range(200)])
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(PolychromicError, match=r"rows\.jsonl\.gz"):
        list(read_jsonl(path))


def test_a_packed_document_comes_back_whatever_its_name(tmp_path):
    document = [{"b": [1, 2.5], "a": "ß"}] * 50
    write_json(tmp_path / "a.json", document)
    write_json(tmp_path / "a.json.gz", document)
    packed = (tmp_path / "a.json.gz").read_bytes()
    assert gzip.decompress(packed) == (tmp_path / "a.json").read_bytes() and len(packed) < (tmp_path / "a.json").stat().st_size / 5
    (tmp_path / "5d41402abc4b2a76").write_bytes(packed)  # as DVC keeps it
    (tmp_path / "plain.json.gz").write_bytes((tmp_path / "a.json").read_bytes())
    assert all(read_json(tmp_path / name) == document for name in ("a.json", "a.json.gz", "5d41402abc4b2a76", "plain.json.gz"))


def test_packed_rows_come_back_without_a_suffix(tmp_path):
    write_jsonl(tmp_path / "rows.jsonl.gz", [{"n": 1}])
    path = (tmp_path / "rows.jsonl.gz").rename(tmp_path / "5d41402abc4b2a76")
    assert list(read_jsonl(path)) == [(f"{path}:1", {"n": 1})]


def test_a_packed_document_that_fails_keeps_the_old_file(tmp_path):
    write_json(tmp_path / "a.json.gz", {"x": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json.gz", {"x": float("nan")})
    assert read_json(tmp_path / "a.json.gz") == {"x": 1} and names(tmp_path) == ["a.json.gz"]


@pytest.mark.parametrize(
    "broken",
    [
        lambda packed: packed[:-9],  # cut in the data
        lambda packed: packed[:5],  # in the header
        lambda packed: packed[:-8] + b"\0" * 8,  # of other content
        lambda packed: packed[:20] + b"\xff" * 20 + packed[40:],
        lambda packed: packed + b"more",
    ],
)
def test_a_broken_gzip_file_is_named_with_what_it_should_hold(broken, tmp_path):
    write_json(tmp_path / "packed.gz", [{"n": n} for n in range(50)])
    content = broken((tmp_path / "packed.gz").read_bytes())
    for name in ("a.json.gz", "5d41402abc4b2a76"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"{name}: not a whole gzip file.*gzip of one JSON document.*dvc repro"):
            read_json(tmp_path / name)
        with pytest.raises(DataError, match=rf"{name}: not a whole gzip file.*gzip of JSON lines.*dvc repro"):
            list(read_jsonl(tmp_path / name))


def test_json_round_trip_and_hash_of_a_file(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, 2.5], "a": "ß"})
    assert read_json(tmp_path / "a.json") == json.loads((tmp_path / "a.json").read_text()) == {"a": "ß", "b": [1, 2.5]}
    assert (tmp_path / "a.json").read_bytes().endswith(b"}\n")
    (tmp_path / "empty").write_bytes(b"")
    assert sha256_file(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
