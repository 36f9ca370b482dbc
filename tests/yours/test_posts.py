"""`polychromic curate`, `review-export`, `agreement`, `rebuild-data`: exit codes, messages, streams."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from polychromic.data import curate as shipped
from polychromic.data.records import read_records
from polychromic.yours.curate.rules import DEFAULT
from tests.workspace import REPOSITORY
from tests.yours.collect.conftest import write
from tests.yours.review.bench import candidate, passed, write_candidates

ROWS = [{"post": f"What is the use of thing {n}?", "reply": f"[red]you[/red] can put it on shelf {n} a{n} b{n}"} for n in range(5)]
LOGS = ("mine/review-anna.jsonl", "mine/review-ben.jsonl")


@pytest.fixture
def work(command, monkeypatch, tmp_path):
    """Run the command line in a folder that holds raw.jsonl, and `mine` with six candidates and three reviewers' logs."""
    monkeypatch.chdir(tmp_path)
    write("raw.jsonl", [*ROWS, ROWS[0] | {"reply": "a \x1b[31m b c"}])
    candidates = write_candidates(tmp_path / "mine", *map(candidate, range(6)))
    for reviewer, said in (("anna", "aass"), ("ben", "asaa"), ("cy", "")):
        passed(candidates, reviewer, said)
    return command


def test_a_log_gives_candidates_a_report_and_a_table_or_json(work, tmp_path):
    code, out, err = work("curate", "raw.jsonl", "--rules", str(DEFAULT), "--out", "new")
    assert code == 0 and "filtering: 10 of 10" in err and "near-duplicates: 5 of 5" in err
    assert "unreadable" in out and "\x1b[31m" not in out and "5 candidates in 5 groups" in out
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["candidates.jsonl", "report.json"]
    code, out, _ = work("curate", "raw.jsonl", "--out", "new", "--json")
    assert code == 0 and json.loads(out) == json.loads((tmp_path / "new" / "report.json").read_text())


def test_the_export_says_how_many_were_reviewed(work, tmp_path):
    export = ["review-export", "mine", "--reviewer", "anna", "--out"]
    assert work(*export, "one")[::2] == (0, "")
    with (tmp_path / LOGS[0]).open("a") as log:
        log.write('{"act": "acc')
    code, out, err = work(*export, "two")
    assert code == 0 and err == ""
    for name in ("replies.jsonl", "replies-review.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert [record.id for record in read_records(tmp_path / "one" / "replies.jsonl")] == ["replies-000", "replies-001"]
    summary = json.loads(out)
    assert summary == json.loads((tmp_path / "one" / "replies-review.json").read_text())
    assert set(summary.pop("made_from")) == {"candidates.jsonl", "review-anna.jsonl"}
    assert summary == {"candidates": 6, "reviewed": 4, "accepted": 2, "edited": 0, "rejected": 2, "undecided": 2} | {
        "exported": 2, "unread": 0, "reasons": {"spam": 2}, "reviewer": "anna", "strata": {"long_high": 1, "short_low": 1}
    }  # fmt: skip


def test_the_log_is_not_written_over(work, tmp_path):
    log = (tmp_path / "raw.jsonl").rename(tmp_path / "candidates.jsonl").read_bytes()
    code, _, err = work("curate", "candidates.jsonl", "--out", ".")
    assert code == 1 and "is the log that is read" in " ".join(err.split()) and (tmp_path / "candidates.jsonl").read_bytes() == log
    assert not (tmp_path / "report.json").exists()


def test_agreement(work):
    code, out, _ = work("agreement", "mine", *LOGS)
    assert code == 0 and "agreement 25.0%" in out and "Cohen's kappa -0.50" in out and "replies-001" in out
    code, out, _ = work("agreement", "mine", *LOGS, "--json")
    assert code == 0 and json.loads(out)["table"] == [[1, 1], [2, 0]]


@pytest.mark.parametrize(("arguments", "exit_code", "fragment"), [
    ("curate raw.jsonl", 2, "Missing option '--out'"), ("curate raw.jsonl --out data/mine", 2, "lies in data/"),
    ("curate raw.jsonl --out x --rules none.yaml", 2, "--rules none.yaml: file not found. Allowed: "),
    ("curate none.jsonl --out x", 1, "none.jsonl: file not found"), ("review none", 1, "none/candidates.jsonl: file not found"),
    ("review mine", 2, "is not a terminal that can draw a screen (TERM is"),
    ("review-export mine --reviewer a/b --out x", 2, "--reviewer is 'a/b'"),
    ("review-export mine --reviewer cy --out x", 1, "none of 0 reviewed candidates is accepted"),
    ("agreement mine a.jsonl b.jsonl", 1, "a.jsonl: no file with a whole line"),
])  # fmt: skip
def test_what_is_refused(arguments, exit_code, fragment, work, tmp_path):
    code, out, err = work(*arguments.split())
    assert code == exit_code and out == "" and fragment in " ".join(err.split()) and "Traceback" not in err
    assert not (tmp_path / "x").exists()


def test_the_shipped_data_are_rebuilt_or_compared(work, monkeypatch):
    built = []
    monkeypatch.setattr(shipped, "curate", lambda out: built.append(str(out)) or {"listqa": {}})
    assert work("rebuild-data")[:2] == (0, '{\n  "listqa": {}\n}\n')
    assert work("rebuild-data", "--out", "elsewhere")[0] == 0 and built == ["data-rebuilt", "elsewhere"]
    for differences, expected in (([], (0, "data/ equals the rebuild\n")), (["data/listqa.jsonl: missing"], (1, ""))):
        monkeypatch.setattr(shipped, "check", lambda data, found=differences: found)
        code, out, err = work("rebuild-data", "--check")
        assert (code, out) == expected and all(difference in err for difference in differences)


def test_no_heavy_import():
    modules = "curate.run", "collect.run", "review.session", "review.results"
    code = f"import sys, {', '.join(f'polychromic.yours.{name}' for name in modules)}; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "pandas", "scipy", "statsmodels"} & set(found)
