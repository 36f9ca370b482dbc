"""Files: old content or new, never half; bytes that depend on the content alone; errors with file and line."""

from __future__ import annotations

import gzip
import hashlib
import json

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import atomic_open, dumps, read_json, read_jsonl, sha256_file, sha256_json, write_json, write_jsonl

HASH = "5d41402abc4b2a76"  # as DVC names a file it keeps


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [None, "old"])
def test_what_fails_keeps_the_old_file_and_what_succeeds_replaces_it(tmp_path, error, old):
    path = tmp_path / "new" / "a.txt"
    if old:
        path.parent.mkdir()
        path.write_text(old)
    with pytest.raises(error), atomic_open(path) as file:
        file.write(b"half")
        file.flush()
        assert not old or path.read_text() == old
        raise error
    assert names(tmp_path) == (["new"] if old else []), "no folder is made for what failed"
    assert not old or (names(path.parent) == ["a.txt"] and path.read_text() == old)
    with atomic_open(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new" and names(path.parent) == ["a.txt"] and path.stat().st_mode & 0o777 == 0o644, "others may read it"
    assert sha256_file(path) == hashlib.sha256(b"new").hexdigest()


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "a.json", "a.json.gz"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), [-float("inf")]])
def test_values_that_json_lacks_are_refused_and_the_old_file_stays(name, value, tmp_path):
    write = write_jsonl if "jsonl" in name else write_json
    write(tmp_path / name, [{"a": 1}])
    before = (tmp_path / name).read_bytes()
    with pytest.raises(ValueError, match="JSON compliant"):
        write(tmp_path / name, [{"a": 2}, {"a": value}])
    assert (tmp_path / name).read_bytes() == before and names(tmp_path) == [name]


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


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", HASH])
def test_rows_come_back_with_their_lines(tmp_path, name):
    rows, path = [{"id": "ä", "n": 1}, {"id": "b"}], tmp_path / name
    write_jsonl(written := tmp_path / (f"{HASH}.gz" if name == HASH else name), rows)
    written.rename(path)
    assert list(read_jsonl(path)) == [(f"{path}:1", rows[0]), (f"{path}:2", rows[1])]


def test_blank_lines_are_skipped_but_counted(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\n{"a": 1}\r\n   \n{"a": 2}')
    assert list(read_jsonl(path)) == [(f"{path}:2", {"a": 1}), (f"{path}:4", {"a": 2})]


@pytest.mark.parametrize(("line", "problem"), [
    (b'{"a": "\xff"}', "invalid UTF-8 (invalid start byte at byte 7)"), (b'{"a": 1', "not JSON"),
    (b"hello", "not JSON (Expecting value at column 1)"), (b"[1, 2]", "a JSON list"), (b'"text"', "a JSON str"),
    (b"null", "a JSON NoneType"), (b"\xef\xbb\xbf{", "not JSON"),
    (b"{} \xef\xbb\xbf", "not JSON (Extra data"),
])  # fmt: skip
def test_a_bad_line_is_named(line, problem, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n\n' + line + b'\n{"a": 2}\n')
    rows = read_jsonl(path)
    assert next(rows)[1] == {"a": 1}
    with pytest.raises(DataError) as error:
        next(rows)
    assert str(error.value).startswith(f"{path}:3: {problem}") and "Allowed:" in str(error.value)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_byte_order_mark_is_no_content(pack, tmp_path):
    """As editors and exports write it; where files were joined, one stands within."""
    mark, (rows, document) = b"\xef\xbb\xbf", (tmp_path / "rows.jsonl", tmp_path / "a.json")
    rows.write_bytes(pack(mark + '{"a": "\ufeffé"}\r\n'.encode() + mark + b'{"a": 2}\n' + mark + b"\n"))
    document.write_bytes(pack(mark + b'{"a": 1}'))
    assert list(read_jsonl(rows)) == [(f"{rows}:1", {"a": "\ufeffé"}), (f"{rows}:2", {"a": 2})] and read_json(document) == {"a": 1}


def test_what_is_missing_or_no_json_is_named_with_a_remedy(tmp_path):
    for read in (read_json, lambda path: list(read_jsonl(path))):
        with pytest.raises(PolychromicError, match="file not found.*dvc pull.*dvc repro"):
            read(tmp_path / "results" / "none")
        with pytest.raises(PolychromicError, match=r"mine\.jsonl: file not found\. Allowed: a file that is there\. Check the path\.$"):
            read("mine.jsonl")
    for content, said in ((b"{", "not JSON"), (b"\xff\xfe", r"invalid UTF-8 \(invalid start byte at byte 0\)")):
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(DataError, match=rf"a\.json: {said}.*Allowed: "):
            read_json(tmp_path / "a.json")


def test_a_document_comes_back_packed_or_not_whatever_its_name(tmp_path):
    document = [{"b": [1, 2.5], "a": "ß"}] * 50
    write_json(tmp_path / "a.json", document)
    write_json(tmp_path / "a.json.gz", document)
    plain, packed = (tmp_path / "a.json").read_bytes(), (tmp_path / "a.json.gz").read_bytes()
    assert gzip.decompress(packed) == plain and len(packed) < len(plain) / 5 and plain.endswith(b"]\n") and json.loads(plain) == document
    (tmp_path / HASH).write_bytes(packed)
    (tmp_path / "plain.json.gz").write_bytes(plain)
    assert all(read_json(path) == document for path in tmp_path.iterdir())


@pytest.mark.parametrize("broken", [
    lambda packed: packed[:-9],  # cut in the data
    lambda packed: packed[:5],  # in the header
    lambda packed: packed[:-8] + b"\0" * 8,  # of other content
    lambda packed: packed[:20] + b"\xff" * 20 + packed[40:],
    lambda packed: packed + b"more",
])  # fmt: skip
@pytest.mark.parametrize("name", ["a.json.gz", HASH])
def test_a_broken_gzip_file_is_named_with_what_it_should_hold(broken, name, tmp_path):
    write_json(tmp_path / "packed.gz", [{"n": n} for n in range(50)])
    (tmp_path / name).write_bytes(broken((tmp_path / "packed.gz").read_bytes()))
    for read, content in ((read_json, "one JSON document"), (lambda path: list(read_jsonl(path)), "JSON lines")):
        with pytest.raises(DataError, match=rf"{name}: not a whole gzip file.*gzip of {content}.*dvc repro"):
            read(tmp_path / name)
