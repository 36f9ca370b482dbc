"""The command, its page, and what must hold wherever it runs: no heavy import, no crash without a pipeline, exit codes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.provenance import check_files
from polychromic.provenance import verify as checks
from polychromic.provenance.state import Row, failed, not_checked, row
from tests.provenance.conftest import git

REPO = Path(__file__).resolve().parents[2]
PAGE = (REPO / "docs" / "verify.md").read_text(encoding="utf-8")
# command of the page -> the test that runs it
RUN_BY = {
    "polychromic verify": "test_tampering.py::test_the_committed_state_is_whole",
    "polychromic verify --no-fresh": "test_tampering.py::test_the_command_ends_with_one_and_prints_the_remedy",
    "polychromic audit --plan": "test_a_plan_is_printed_and_nothing_runs",
    "polychromic audit --cell split@listqa": "test_tampering.py::test_only_an_audit_sees_a_forged_input_of_everything",
}


def test_every_command_of_the_page_is_run_by_a_test():
    (block,) = re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL)
    assert {line.split("#")[0].strip() for line in block.splitlines()} == set(RUN_BY)


def test_the_page_explains_every_check():
    named = re.findall(r"^\| ([^|]+) \|", PAGE, flags=re.MULTILINE)
    listed = {part.strip() for cell in named[1:] for part in cell.split(";")}
    assert {name.removeprefix("parameters ") for name in [*checks.INTEGRITY, *checks.FRESHNESS]} == {
        name.removeprefix("parameters ") for name in listed
    }


def test_a_plan_is_printed_and_nothing_runs(command, monkeypatch):
    monkeypatch.chdir(REPO)
    before = (REPO / "benchmarks/results/audit.json").read_bytes()
    code, out, _ = command("audit", "--plan", "--seed-from", "text")
    assert code == 0 and "to run again: 1" in out
    assert (REPO / "benchmarks/results/audit.json").read_bytes() == before


def test_usage_errors(command, monkeypatch):
    monkeypatch.chdir(REPO)
    assert command("verify", "--fresh")[0] == 2
    assert command("audit", "--cells", "-1")[0] == 2
    code, _, err = command("audit", "--cell", "nothing@all")
    assert code == 2 and "'nothing@all' is no stage that has run" in " ".join(err.split())


def test_no_model_and_no_dvc_is_loaded():
    code = "import sys; from polychromic.provenance import verify; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "peft", "sentence_transformers", "dvc"} & set(found)


def test_a_folder_without_a_pipeline_is_refused(tmp_path):
    with pytest.raises(PolychromicError, match=r"dvc\.yaml: file not found"):
        checks.verify(tmp_path)


def test_a_row_names_the_first_findings_and_keeps_them_all():
    found = row("x", "none", "good", list("abcde"), "Do it.")
    assert (found.ok, found.got, found.remedy) == (False, "a; b; c; and 2 more", "Do it.") and found.findings == tuple("abcde")
    assert row("x", "none", "good", [], "Do it.") == Row("x", True, "none", "good")
    assert failed([found]) and not failed([row("x", "none", "good", [], ""), not_checked("y", "z", "no history")])


def test_a_draft_notes_what_only_a_commit_must_hold(repository):
    """Where nothing differs from the last commit, --draft changes nothing."""
    named = lambda draft: {one.check: one.ok for one in checks.verify(repository, draft=draft)}
    lock = repository / ".dvc/config.local"
    assert named(True)["store"] is named(False)["store"] is False, lock  # this pipeline was never pushed
    with (repository / "params.yaml").open("a") as file:
        file.write("# mine\n")
    assert named(False)["parameters committed"] is False and named(False)["store"] is False
    assert named(True)["parameters committed"] is named(True)["store"] is None


def test_a_remote_of_ones_own_is_not_the_store(repository):
    (repository / ".dvc/config.local").write_text("['remote \"store\"']\n    url = /elsewhere\n")
    found = check_files.store(checks.State(repository))
    assert found.ok is None and "another remote" in found.got


def test_the_hash_on_a_pdf(tmp_path):
    import zlib

    page = b"BT [(Records)]TJ/F68 9 Tf 35 0 Td [(3945d7f664bb)]TJ ET"
    pdf = tmp_path / "main.pdf"
    pdf.write_bytes(b"%PDF\nstream\n\x00\x01\nendstream\nstream\n" + zlib.compress(page) + b"\nendstream")
    assert check_files.carried_hash(pdf) == "3945d7f664bb"
    pdf.write_bytes(b"%PDF\nstream\n" + zlib.compress(b"nothing") + b"\nendstream")
    assert check_files.carried_hash(pdf) is None


def test_make_paper_verifies_before_the_release():
    done = subprocess.run(["make", "--dry-run", "paper"], cwd=REPO, capture_output=True, text=True, check=True).stdout
    steps = [done.index(step) for step in ("dvc repro", "polychromic verify --no-fresh", "polychromic release")]
    assert steps == sorted(steps)


def test_a_changed_input_is_stale_in_any_pipeline(repository):
    """What is asked of dvc.yaml and dvc.lock alone needs nothing of this project's."""
    state = lambda: {one.check: one for one in checks.verify(repository)}
    assert state()["freshness"].ok and state()["dvc.lock"].ok and state()["dvc.lock in itself"].ok and state()["results"].ok
    (repository / "polychromic/compare/compare.py").write_text("analysis = 2\n")
    found = state()["freshness"]
    assert not found.ok and found.got.startswith("polychromic/compare/compare.py changed since compare@listqa ran")
    git(repository, "checkout", "polychromic/compare/compare.py")
    (repository / "params.yaml").write_text((repository / "params.yaml").read_text().replace("steps: 4", "steps: 5"))
    assert "listqa.steps is 5, dvc.lock has 4" in state()["parameters recorded"].got
