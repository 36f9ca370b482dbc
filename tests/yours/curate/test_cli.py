"""`polychromic curate`, with a log and without: exit codes, messages, streams."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from polychromic.data import curate as shipped
from polychromic.yours.curate.rules import DEFAULT
from tests.workspace import REPOSITORY

ROWS = [{"post": f"What is the use of thing {n}?", "reply": f"[red]you[/red] can put it on shelf {n} a{n} b{n}"} for n in range(5)]


@pytest.fixture
def command(command, monkeypatch, tmp_path):
    """Run the command line in this process, in a folder of its own that holds raw.jsonl: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*ROWS, ROWS[0] | {"reply": "a \x1b[31m b c"}]))
    return command


def test_a_log_gives_candidates_a_report_and_a_table(command, tmp_path):
    code, out, err = command("curate", "raw.jsonl", "--rules", str(DEFAULT), "--out", "mine")
    assert code == 0 and "reading and filtering: 6 of 6" in err
    assert "unreadable" in out and "\x1b[31m" not in out and "5 candidates in 5 groups" in out
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["candidates.jsonl", "report.json"]


def test_the_report_as_json(command, tmp_path):
    code, out, _ = command("curate", "raw.jsonl", "--out", "mine", "--json")
    assert code == 0 and json.loads(out) == json.loads((tmp_path / "mine" / "report.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "exit_code", "fragment"),
    [
        (["raw.jsonl"], 2, "RAW needs --out"),
        (["raw.jsonl", "--out", "mine", "--check"], 2, "--check compares the shipped data"),
        (["--check", "--out", "mine", "--json"], 2, "curate --check makes no use of --out, --json."),
        (["--rules", "rules.yaml"], 2, "--rules needs RAW"),
        (["raw.jsonl", "--out", "data/mine"], 2, "lies in data/"),
        (["raw.jsonl", "--out", "mine", "--rules", "none.yaml"], 2, "--rules none.yaml: No such file"),
        (["none.jsonl", "--out", "mine"], 1, "none.jsonl: file not found"),
    ],
)
def test_what_is_refused(arguments, exit_code, fragment, command, tmp_path):
    code, out, err = command("curate", *arguments)
    assert code == exit_code and out == "" and fragment in " ".join(err.split()) and "Traceback" not in err
    assert not (tmp_path / "mine").exists()


def test_without_a_log_the_shipped_data_are_rebuilt(command, monkeypatch):
    built = []
    monkeypatch.setattr(shipped, "curate", lambda out: built.append(str(out)) or {"listqa": {}})
    assert command("curate")[:2] == (0, '{\n  "listqa": {}\n}\n')
    assert command("curate", "--out", "elsewhere")[0] == 0
    assert built == ["data-rebuilt", "elsewhere"]
    monkeypatch.setattr(shipped, "check", lambda data: [])
    assert command("curate", "--check")[:2] == (0, "data/ equals the rebuild\n")
    monkeypatch.setattr(shipped, "check", lambda data: ["data/listqa.jsonl: missing"])
    code, _, err = command("curate", "--check")
    assert code == 1 and "data/listqa.jsonl: missing" in err and "dvc checkout" in err


def test_neither_package_imports_torch():
    modules = ("curation.run", "curation.report", "review.terminal", "review.export", "review.agreement")
    code = f"import sys, {', '.join(f'polychromic.{name}' for name in modules)}; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "pandas", "scipy", "statsmodels"} & set(found)
