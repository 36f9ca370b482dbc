"""The appendix's tables: a row for every record that the text prints, every figure and table, and every source with its inputs."""

import re

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.provenance import appendix
from polychromic.provenance.lock import md5_of
from polychromic.provenance.printed import Manuscript
from polychromic.provenance.workspace import Workspace, evidence
from tests.provenance.conftest import COMPARE, FIGURE, KEY, NUMBERS, RECORDS, TABLE, TEST, TEST_KEY, TEST_ROW, packed, put, record


@pytest.fixture
def tables(repository) -> dict[str, list[str]]:
    written = appendix.write(repository)
    assert [path.name for path in written] == [f"provenance-{name}.tex" for name in ("numbers", "outputs", "sources")]
    return {path.stem.removeprefix("provenance-"): path.read_text(encoding="utf-8").splitlines() for path in written}


def row_of(lines: list[str], target: str) -> list[str]:
    (line,) = [line for line in lines if line.startswith(rf"\hypertarget{{{target}}}{{}}")]
    return [cell.replace(r"\allowbreak{}", "").strip() for cell in line.removesuffix(r" \\").split(" & ")]


def source_of(tables: dict[str, list[str]], key: str) -> list[str]:
    mark = re.search(r"\{(S\d+)\}$", row_of(tables["numbers"], f"num:{key}")[6])[1]
    return row_of(tables["sources"], f"source:{mark}")


def test_every_printed_record_has_its_row(repository, tables):
    rows = [found[1] for line in tables["numbers"] if (found := re.match(r"\\hypertarget\{num:([^}]+)\}", line))]
    assert rows == Manuscript.load(repository).keys and KEY in rows
    assert row_of(tables["numbers"], f"num:{KEY}")[1:6] == [
        r"\ensuremath{-}0.08", r"[\ensuremath{-}0.20, +0.04]", "141", "0, 1", "dev",
    ]  # fmt: skip
    assert row_of(tables["numbers"], f"num:{TEST_KEY}")[1:6] == ["+0.17", "[0.05, 0.31]", "300", "0, 1, 2", "test"]
    assert row_of(tables["numbers"], "num:setup.lambda")[1:6] == ["3", "--", "--", "--", "--"]


def test_every_source_has_the_hashes_that_a_trace_shows(repository, tables):
    """Once the pipeline is up to date: from the files that lie here as from dvc.lock."""
    lock = Workspace(repository).lock
    for key, path, stage in ((KEY, COMPARE, "compare-dev"), (TEST_KEY, TEST, "compare-test")):
        found = evidence(lock, lock.stages["numbers"], [path])
        texts = (f"{path} ({stage})", found.data_text(), found.params_hash, found.code_hash)
        assert source_of(tables, key)[1:] == [rf"\texttt{{{text}}}" for text in texts]
    assert source_of(tables, "setup.lambda")[1:3] == [r"\texttt{params.yaml}", "--"]
    assert source_of(tables, "listqa.cost.sentence")[2].startswith(r"\texttt{cost.json ")


def test_a_sentence_names_the_row_it_is_made_from(repository):
    long = record(KEY, "Of all that was compared, this is the one that stands out.", source=f"{TEST}#contrasts/{TEST_ROW}")
    put(repository, {NUMBERS: packed([long, *RECORDS[1:]])})
    text = row_of((appendix.write(repository)[0]).read_text().splitlines(), f"num:{KEY}")[1]
    assert text.startswith(r"Of all that was compared, this is the~\dots (\texttt{contrasts/") and len(text) < 200


def test_every_figure_and_table_has_its_stage(repository, tables):
    text = "\n".join(tables["outputs"]).replace(r"\allowbreak{}", "")
    for path, target in ((FIGURE, r"figure.\getrefnumber{fig:listqa-frontier}"), (TABLE, r"table.\getrefnumber{tab:contrasts}")):
        md5 = md5_of(repository / path)[:8]
        cells = rf"\texttt{{{path}}} & \texttt{{report-dev@listqa}} & \texttt{{{md5}}}"
        assert rf"\hypertarget{{stage:{target}}}" in text and cells in text


def test_a_record_or_a_file_that_does_not_exist_is_named(repository):
    (repository / "polychromic/train").rename(repository / "trained")
    with pytest.raises(PolychromicError, match=r"polychromic/train: file not found"):
        appendix.write(repository)
    main = repository / "paper/main.tex"
    main.write_text(main.read_text().replace(rf"\num{{{KEY}}}", r"\num{listqa.primary.nothing}", 1))
    with pytest.raises(PolychromicError, match=r"main\.tex:5: \\num\{listqa\.primary\.nothing\} has no record"):
        appendix.write(repository)
