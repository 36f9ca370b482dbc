"""The appendix's tables: a row for every record that the text prints, every figure and table, and every source with its inputs, by the
hashes of what lies here."""

import re

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.provenance import appendix
from polychromic.provenance.lock import Lock, md5_of
from polychromic.provenance.printed import Manuscript
from polychromic.provenance.workspace import Workspace, evidence, is_code
from tests.provenance.conftest import COMPARE, FIGURE, KEY, NUMBERS, RECORDS, TABLE, TEST, TEST_KEY, TEST_ROW, packed, put, record


def written(folder, name: str) -> list[str]:
    return (folder / f"paper/tables/provenance-{name}.tex").read_text(encoding="utf-8").replace(r"\allowbreak{}", "").splitlines()


def row_of(folder, name: str, target: str) -> list[str]:
    (line,) = [line for line in written(folder, name) if line.startswith(rf"\hypertarget{{{target}}}{{}}")]
    return [cell.strip() for cell in line.removesuffix(r" \\").split(" & ")]


def test_every_printed_record_and_every_float_has_its_row(repository):
    appendix.write(repository)
    found = [found[1] for line in written(repository, "numbers") if (found := re.match(r"\\hypertarget\{num:([^}]+)\}", line))]
    assert found == Manuscript.load(repository).keys and KEY in found
    for key, cells in {
        KEY: [r"\ensuremath{-}0.08", r"[\ensuremath{-}0.20, +0.04]", "141", "0, 1", "dev"],
        TEST_KEY: ["+0.17", "[0.05, 0.31]", "300", "0, 1, 2", "test"],
        "setup.lambda": ["3", "--", "--", "--", "--"],
    }.items():
        assert row_of(repository, "numbers", f"num:{key}")[1:6] == cells
    for path, target in ((FIGURE, r"figure.\getrefnumber{fig:listqa-frontier}"), (TABLE, r"table.\getrefnumber{tab:contrasts}")):
        cells = [rf"\texttt{{{text}}}" for text in (path, "report-dev@listqa", md5_of(repository / path)[:8])]
        assert row_of(repository, "outputs", f"stage:{target}")[1:] == cells


def test_every_source_has_the_hashes_that_a_trace_shows(repository):
    """Once the pipeline is up to date: from the files that lie here as from dvc.lock."""
    appendix.write(repository)
    mark = lambda key: re.search(r"\{(S\d+)\}$", row_of(repository, "numbers", f"num:{key}")[6])[1]
    source = lambda key: row_of(repository, "sources", f"source:{mark(key)}")
    lock = Workspace(repository).lock
    for key, path, stage in ((KEY, COMPARE, "compare-dev"), (TEST_KEY, TEST, "compare-test")):
        found = evidence(lock, lock.stages["numbers"], [path])
        (md5,) = found["data"].values()
        texts = (f"{path} ({stage})", f"listqa.jsonl {md5[:8]}", found["params_hash"], found["code_hash"])
        assert source(key)[1:] == [rf"\texttt{{{text}}}" for text in texts]
    assert source("setup.lambda")[1:3] == [r"\texttt{params.yaml}", "--"]
    assert source("listqa.cost.sentence")[2].startswith(r"\texttt{cost.json ")


def test_a_sentence_names_the_row_it_is_made_from(repository):
    long = record(KEY, "Of all that was compared, this is the one that stands out.", source=f"{TEST}#contrasts/{TEST_ROW}")
    put(repository, {NUMBERS: packed([long, *RECORDS[1:]])})
    appendix.write(repository)
    text = row_of(repository, "numbers", f"num:{KEY}")[1]
    assert text.startswith(r"Of all that was compared, this is the~\dots (\texttt{contrasts/") and len(text) < 200


def test_a_record_or_a_file_that_does_not_exist_is_named(repository):
    (repository / "polychromic/train").rename(repository / "trained")
    with pytest.raises(PolychromicError, match=r"polychromic/train: file not found"):
        appendix.write(repository)
    main = repository / "paper/main.tex"
    main.write_text(main.read_text().replace(rf"\num{{{KEY}}}", r"\num{listqa.primary.nothing}", 1))
    with pytest.raises(PolychromicError, match=r"main\.tex:5: \\num\{listqa\.primary\.nothing\} has no record"):
        appendix.write(repository)


def hashes(lock: Lock) -> tuple[str, str, dict]:
    found = evidence(lock, lock.producers["results/numbers.json.gz"], [COMPARE])
    return found["params_hash"], found["code_hash"], found["data"]


def test_an_edit_of_code_or_parameters_shows_in_its_hash_alone(repository):
    params, code, data = hashes(Workspace(repository).as_locked())
    assert (params, code, data) == hashes(Workspace(repository).lock) and list(data) == ["data/listqa.jsonl"]
    put(repository, {"polychromic/train/trainer.py": "loss = 2\n", "polychromic/train/__pycache__/x.pyc": "new"})
    found = hashes(Workspace(repository).as_locked())
    assert found == (params, found[1], data) and found[1] != code
    text = (repository / "params.yaml").read_text()
    put(repository, {"polychromic/train/trainer.py": "loss = 1\n", "params.yaml": text.replace("steps: 4", "steps: 5")})
    found = hashes(Workspace(repository).as_locked())
    assert found[0] != params and found[1:] == (code, data)
    put(repository, {"params.yaml": text.replace("train:", "trained:")})
    with pytest.raises(DataError, match=r"params\.yaml: no key 'train'"):
        Workspace(repository).as_locked()


def test_code_is_told_from_data():
    assert all(map(is_code, ("polychromic", "polychromic/train", "polychromic/data/seen_words.txt", "requirements.lock", "params.yaml")))
    assert not any(map(is_code, ("data/listqa.jsonl", "benchmarks/results", "paper/main.tex")))
