"""One reader for all data files: every malformed line is refused with file and line."""

import json

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.data.records import Record, read_records

GOOD = {
    "id": "a",
    "domain": "listqa",
    "prompt": "Name one kind of tree.",
    "references": ["oak"],
    "group": "tree",
    "stratum": "few",
    "checker": "set",
    "valid": ["oak", "elm"],
    "source": "by hand",
    "licence": "CC0-1.0",
}


def write(tmp_path, *lines):
    path = tmp_path / "bad.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n", encoding="utf-8")
    return path


def without(key):
    return {k: v for k, v in GOOD.items() if k != key}


def test_reads_good_lines_and_skips_blank_ones(tmp_path):
    records = read_records(write(tmp_path, GOOD, "", {**GOOD, "id": "b"}))
    assert [record.id for record in records] == ["a", "b"]
    assert records[0] == Record(**GOOD)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{not json", "not JSON"),
        ("[1, 2]", "a JSON list"),
        (without("prompt"), "prompt"),
        ({**GOOD, "prompt": "  "}, "prompt"),
        ({**GOOD, "references": []}, "references is empty"),
        ({**GOOD, "references": ["oak", " "]}, "references.1"),
        ({**GOOD, "valid": []}, "valid is empty"),
        ({**GOOD, "checker": "judge"}, "checker"),
        ({**GOOD, "promt": "x"}, "promt"),
        (GOOD, "id 'a' was already used at"),
    ],
)
def test_bad_line_is_named_with_file_and_line(tmp_path, line, said):
    path = write(tmp_path, GOOD, "", line)
    with pytest.raises(DataError) as caught:
        read_records(path)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert said in str(caught.value)
    assert "Allowed: " in str(caught.value)
    assert caught.value.exit_code == 1


def test_duplicate_id_names_both_lines(tmp_path):
    path = write(tmp_path, GOOD, {**GOOD, "id": "b"}, GOOD)
    with pytest.raises(DataError, match=r"bad\.jsonl:3: .*already used at .*bad\.jsonl:1"):
        read_records(path)


def test_invalid_utf8(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n\xff\xfe\n")
    with pytest.raises(DataError, match=r"bad\.jsonl:2: invalid UTF-8"):
        read_records(path)


def test_missing_and_empty_file(tmp_path):
    with pytest.raises(PolychromicError, match="file not found"):
        read_records(tmp_path / "none.jsonl")
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    with pytest.raises(DataError, match="holds no record"):
        read_records(empty)
