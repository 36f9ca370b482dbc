"""One reader for all data files: every malformed line is refused with file and line."""

import json

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.data.records import Record, read_records

GOOD = {
    "id": "a", "domain": "listqa", "prompt": "Name one kind of tree.", "references": ["oak"], "group": "tree", "stratum": "few",
    "checker": "set", "valid": ["oak", "elm"], "source": "by hand", "licence": "CC0-1.0",
}  # fmt: skip


def write(tmp_path, *lines):
    path = tmp_path / "bad.jsonl"
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"\n".join(texts) + b"\n")
    return path


def test_reads_good_lines_skips_blank_ones_and_refuses_no_file_and_no_record(tmp_path):
    assert read_records(write(tmp_path, GOOD, b"", GOOD | {"id": "b"})) == [Record(**GOOD), Record(**GOOD | {"id": "b"})]
    with pytest.raises(PolychromicError, match="file not found"):
        read_records(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="holds no record"):
        read_records(write(tmp_path, b""))


@pytest.mark.parametrize(("line", "said"), [
    (b"{not json", "not JSON"), ({"id": "a"}, "prompt: Field required"), (GOOD | {"prompt": "  "}, "prompt"),
    (GOOD | {"references": []}, "references: List should have at least 1 item"), (GOOD | {"references": ["oak", " "]}, "references.1"),
    (GOOD | {"valid": []}, "valid is empty"), (GOOD | {"checker": "judge"}, "checker"), (GOOD | {"promt": "x"}, "promt"),
    (GOOD, "id 'a' was already used at"),
])  # fmt: skip
def test_bad_line_is_named_with_file_and_line(tmp_path, line, said):
    path = write(tmp_path, GOOD, b"", line)
    with pytest.raises(DataError) as caught:
        read_records(path)
    assert str(caught.value).startswith(f"{path}:3: ") and said in str(caught.value) and caught.value.exit_code == 1
    assert "Allowed: " in str(caught.value) and (line is not GOOD or f"{path}:1" in str(caught.value))
