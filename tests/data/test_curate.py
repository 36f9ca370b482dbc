"""Curation writes all or nothing, the same bytes each time, and its check names the line that differs."""

import pytest

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.data.curate import BUILDERS, LICENCES, check, contents, curate
from polychromic.data.records import Record, read_records


def record(key):
    return Record(
        id=key, domain="toy", prompt=f"Say {key}, Zoë.", references=[key], group=key, stratum="few",
        checker="person", source="s", licence="l",
    )  # fmt: skip


TOY = {"toy": lambda: [record("a"), record("b")]}


def test_round_trip_and_summary(tmp_path):
    summary = curate(tmp_path, ["toy"], TOY)
    assert summary == {"toy": {"records": 2, "groups": 2, "strata": {"few": 2}}}
    assert read_records(tmp_path / "toy.jsonl") == TOY["toy"]()
    assert sorted(p.name for p in tmp_path.iterdir()) == [LICENCES, "toy.jsonl"]
    assert check(tmp_path, ["toy"], TOY) == []


def test_licences_hold_the_notices_that_redistribution_asks_for(tmp_path):
    curate(tmp_path, ["toy"], TOY)
    text = (tmp_path / LICENCES).read_text()
    for notice in ("WordNet 3.0 Copyright 2006 by Princeton University", "Porimol Chandro", "Perception, Control and Cognition Lab"):
        assert notice in text


def test_check_names_file_and_line(tmp_path):
    curate(tmp_path, ["toy"], TOY)
    path = tmp_path / "toy.jsonl"
    path.write_text(path.read_text().replace("Say b", "Say B"))
    assert check(tmp_path, ["toy"], TOY) == [f"{path}:2: differs from curation (2 lines, 2 expected)"]
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    assert check(tmp_path, ["toy"], TOY) == [f"{path}:2: differs from curation (1 lines, 2 expected)"]
    path.unlink()
    assert check(tmp_path, ["toy"], TOY) == [f"{path}: missing"]


def test_nothing_is_written_when_one_domain_fails(tmp_path):
    def broken():
        raise PolychromicError("source missing")

    with pytest.raises(PolychromicError, match="source missing"):
        curate(tmp_path, ["toy", "broken"], {**TOY, "broken": broken})
    assert list(tmp_path.iterdir()) == []


def test_bad_requests():
    with pytest.raises(UsageError, match="cannot curate jokes; allowed domains: code, creative, listqa, replies"):
        contents(["jokes"])
    with pytest.raises(UsageError, match="cannot curate nothing"):
        contents([])
    with pytest.raises(PolychromicError, match="id 'a' is made twice"):
        contents(["toy"], {"toy": lambda: [record("a"), record("a")]})
    assert list(BUILDERS) == ["code", "creative", "listqa", "replies"]
