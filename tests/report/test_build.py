"""The stages write the files they declare, all or nothing, and the same bytes twice."""

import subprocess
import sys
from pathlib import Path

import pytest

from polychromic.errors import PolychromicError
from polychromic.io import read_json, sha256_file, write_json
from polychromic.report.build import build, build_setup
from tests.report.synthetic import PARAMS


def run(workspace: Path, domain: str) -> list[str]:
    return [path.relative_to(workspace).as_posix() for path in build(domain, workspace / "results", workspace / "paper")]


def test_build_writes_the_declared_files_and_the_same_bytes_twice(workspace: Path):
    written = run(workspace, "listqa")
    assert written == [
        "paper/figures/listqa-frontier.pdf",
        "paper/figures/listqa-frontier.svg",
        "paper/figures/listqa-lambda.pdf",
        "paper/figures/listqa-passk.pdf",
        "paper/figures/listqa-training.pdf",
        "paper/numbers/listqa.tex",
        "paper/tables/listqa-contrasts.tex",
        "paper/tables/listqa-lambda.tex",
        "paper/tables/listqa-systems.md",
        "paper/tables/listqa-systems.tex",
        "results/listqa/numbers.json",
    ]
    first = {name: sha256_file(workspace / name) for name in written}
    run(workspace, "listqa")
    assert {name: sha256_file(workspace / name) for name in written} == first


def test_macros_and_records_say_the_same(workspace: Path):
    run(workspace, "replies")
    records = read_json(workspace / "results/replies/numbers.json")
    macros = (workspace / "paper/numbers/replies.tex").read_text().splitlines()[1:]
    assert macros == [f"\\definenumber{{{record['key']}}}{{{record['text']}}}%" for record in records]
    assert set(records[0]) == {"key", "value", "text", "unit", "low", "high", "n", "seeds", "split", "source"}


def test_an_error_leaves_the_old_files(workspace: Path):
    written = run(workspace, "listqa")
    before = {name: sha256_file(workspace / name) for name in written}
    path = workspace / "results/listqa/compare.json"
    compare = read_json(path)
    compare["histories"] = {}
    write_json(path, compare)
    with pytest.raises(PolychromicError, match="no history has objective_mean"):
        run(workspace, "listqa")
    assert {name: sha256_file(workspace / name) for name in written} == before


def test_build_setup(workspace: Path):
    written = build_setup(PARAMS, workspace / "paper")
    assert [path.relative_to(workspace).as_posix() for path in written] == ["paper/numbers/setup.tex", "paper/tables/setup.tex"]
    assert "\\definenumber{setup.objective.n}{4}%" in written[0].read_text()


def test_the_report_needs_no_torch():
    code = "import sys, polychromic.report.build; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
