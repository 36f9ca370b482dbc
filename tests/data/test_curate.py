"""Curation writes all or nothing, the same bytes each time, and its check names the line that differs."""

from unittest.mock import Mock

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.data import curate as module
from polychromic.data.curate import BUILDERS, check, curate
from polychromic.data.records import Record, read_records


def record(key: str) -> Record:
    common = {"domain": "toy", "stratum": "few", "checker": "person", "source": "s", "licence": "l"}
    return Record(id=key, prompt=f"Say {key}, Zoë.", references=[key], group=key, **common)


@pytest.fixture(autouse=True)
def builders(monkeypatch) -> dict:
    monkeypatch.setattr(module, "BUILDERS", {"toy": lambda: [record("a"), record("b")]})
    return module.BUILDERS


def test_round_trip_summary_and_licences(tmp_path):
    assert set(BUILDERS) == {"code", "creative", "listqa", "replies"}
    assert curate(tmp_path)["toy.jsonl"] == 2
    assert read_records(tmp_path / "toy.jsonl") == [record("a"), record("b")]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["LICENSES.txt", "toy.jsonl"] and check(tmp_path) == []
    text = (tmp_path / "LICENSES.txt").read_text()
    for notice in ("WordNet 3.0 Copyright 2006 by Princeton University", "Porimol Chandro", "Perception, Control and Cognition Lab"):
        assert notice in text, "redistribution asks for it"


def test_check_names_file_and_line(tmp_path):
    curate(tmp_path)
    path = tmp_path / "toy.jsonl"
    first, second = path.read_text().splitlines(keepends=True)
    for text, line, lines in ((first + second.replace("Say b", "Say B"), 2, 2), (first, 2, 1), ("", 1, 0)):
        path.write_text(text)
        assert check(tmp_path) == [f"{path}:{line}: differs from curation ({lines} lines, 2 expected)"]
    path.unlink()
    assert check(tmp_path) == [f"{path}:1: differs from curation (0 lines, 2 expected)"]


def test_a_failure_writes_nothing(tmp_path, builders):
    builders["worse"] = Mock(side_effect=PolychromicError("source missing"))
    with pytest.raises(PolychromicError, match="source missing"):
        curate(tmp_path)
    assert list(tmp_path.iterdir()) == []
