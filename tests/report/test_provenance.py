"""The appendix's tables: a row for every record that the text prints, every figure and table, and every source with its inputs."""

import re
from pathlib import Path

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.provenance import appendix
from polychromic.provenance.lock import Lock
from polychromic.provenance.manuscript import Manuscript
from polychromic.provenance.records import Record, load_records
from tests.report.synthetic import repository_lock


@pytest.fixture
def tables(paper: Path) -> dict[str, list[str]]:
    names = ("outputs", "sources", "numbers")
    return {name: (paper / "tables" / f"provenance-{name}.tex").read_text(encoding="utf-8").splitlines() for name in names}


def row_of(lines: list[str], target: str) -> list[str]:
    (line,) = [line for line in lines if line.startswith(rf"\hypertarget{{{target}}}{{}}")]
    return [cell.replace(r"\allowbreak{}", "").strip() for cell in line.removesuffix(r" \\").split(" & ")]


def test_every_printed_record_has_its_row(paper, tables):
    manuscript = Manuscript.load(paper.parent)
    rows = [found[1] for line in tables["numbers"] if (found := re.match(r"\\hypertarget\{num:([^}]+)\}", line))]
    assert rows == manuscript.keys and "listqa.primary.delta" in rows
    records = {record.key: record for record in load_records(paper.parent)}
    delta = records["listqa.primary.delta"]
    row = row_of(tables["numbers"], "num:listqa.primary.delta")
    assert row[1:6] == [delta.text, records["listqa.primary.ci"].text, str(delta.n), ", ".join(map(str, delta.seeds)), delta.split]
    mark = re.search(r"\{(S\d+)\}$", row[6])[1]
    source = row_of(tables["sources"], f"source:{mark}")
    assert source[1:3] == [r"\texttt{report@listqa}", r"\texttt{results/listqa/compare.json (compare@listqa)}"]
    assert re.fullmatch(r"\\texttt\{listqa.jsonl [0-9a-f]{8}\}", source[3])
    assert all(re.fullmatch(r"\\texttt\{[0-9a-f]{8}\}", cell) for cell in source[4:])


def test_a_number_of_test_names_its_own_stage_and_file(tables):
    row = row_of(tables["numbers"], "num:listqa.test.primary.delta")
    assert row[3:6] == ["80", "0, 1, 2", "test"]
    source = row_of(tables["sources"], f"source:{re.search(r'{(S[0-9]+)}$', row[6])[1]}")
    assert source[1:3] == [r"\texttt{report\_test@listqa}", r"\texttt{results/listqa/test.json (compare\_test@listqa)}"]


def test_a_sentence_names_the_row_it_is_made_from(tables):
    row = row_of(tables["numbers"], "num:listqa.best_with_checker.sentence")
    assert r"\dots" in row[1] and r"(\texttt{contrasts/polychromic-" in row[1] and len(row[1]) < 200
    assert row_of(tables["numbers"], "num:setup.lambda")[1:6] == ["3", "--", "--", "--", "--"]


def test_every_figure_and_table_has_its_stage(paper, tables):
    text = "\n".join(tables["outputs"]).replace(r"\allowbreak{}", "")
    for one in Manuscript.load(paper.parent).floats:
        assert rf"\hypertarget{{stage:{one.kind}.\getrefnumber{{{one.label}}}}}" in text
        for path in one.files:
            assert re.search(
                re.escape(rf"\texttt{{{path}}}").replace("_", r"\\?_") + r" & \\texttt\{[^}]+\} & \\texttt\{[0-9a-f]{8}\}", text
            ), path


def test_every_source_is_a_file_of_the_pipeline(paper):
    lock = repository_lock()
    inputs = {dep.path for stage in lock.stages.values() for dep in stage.deps} | {"params.yaml"}
    for record in load_records(paper.parent):
        assert record.sources(), record.key
        for path, _ in record.sources():
            assert path in inputs or lock.producer(path), f"{record.key}: {record.source}"


def test_a_record_that_does_not_exist_is_named(paper):
    main = paper / "main.tex"
    main.write_text(main.read_text().replace(r"\num{listqa.primary.verdict}", r"\num{listqa.primary.nothing}", 1))
    records = {record.key: record for record in load_records(paper.parent)}
    with pytest.raises(PolychromicError, match=r"main\.tex:\d+: \\num\{listqa\.primary\.nothing\} has no record"):
        appendix.tables(Manuscript.load(paper.parent), Lock({}), records, lambda path: "")


def test_intervals_are_printed_as_the_paper_prints_them():
    ends = {"low": 0.0312, "high": 0.1454}
    ci = Record("a.ci", None, "[3.1, 14.5]", **ends)
    records = {"a.ci": ci, "a": Record("a", 0.1, "10.0", **ends), "b.delta": Record("b.delta", 0.1, "10.0", unit="points", **ends)}
    assert appendix.interval(records["a"], records) == "[3.1, 14.5]"
    assert appendix.interval(records["b.delta"], records) == "[3.12, 14.5]"
    assert appendix.interval(ci, records) == "" and appendix.interval(Record("c", 1, "1"), records) == ""
    assert appendix.interval(Record("d", -1, "-1", low=-2.0, high=1.0), {}) == r"[\ensuremath{-}2, 1]"
