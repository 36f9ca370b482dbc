"""The repository as `git archive` gives it, without .git: it knows its commit, answers, and DVC works in it."""

import subprocess
import sys
from pathlib import Path

import pytest

from polychromic.pipeline.workspace import workspace_environment
from polychromic.provenance.commit import current
from polychromic.provenance.trace import trace
from tests.provenance.conftest import git
from tests.provenance.test_commit import archive

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    if not (REPO / ".git").exists():
        pytest.skip("this is an archive itself")
    return archive(REPO, tmp_path_factory.mktemp("archive") / "polychromic")


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=workspace_environment(folder), capture_output=True, text=True)


def test_it_knows_its_commit_and_traces_from_the_store(unpacked):
    head = git(REPO, "rev-parse", "HEAD")
    assert current(unpacked).hash == head and current(unpacked).source == "archive"
    found = trace("listqa.primary.delta", unpacked)
    assert (found["commit"]["commit"], found["commit"]["exact"]) == (head, False)
    assert found["sources"][0]["values"] and found["cells"] and found["data"][0]["data_dvc"] == "same"


def test_dvc_works_there_after_make_archive(unpacked):
    """`make paper` and `make test` begin with it; what it writes is ignored by Git, and does nothing in a clone."""
    link = unpacked / "paper" / "pipeline.yaml"
    link.unlink()
    link.write_text("../dvc.yaml")  # what an unpacker without links leaves
    venv = Path(sys.prefix)
    done = run(unpacked, "make", "archive", f"VENV={venv}", f"--assume-old={venv}/installed")
    assert done.returncode == 0, done.stderr
    assert link.is_symlink() and link.read_text() == (unpacked / "dvc.yaml").read_text()
    assert "no_scm = true" in (unpacked / ".dvc" / "config.local").read_text()
    done = run(unpacked, sys.executable, "-m", "dvc", "pull", "--quiet", "split@listqa")
    assert done.returncode == 0, done.stderr
    assert (unpacked / "results/listqa/split.json").exists()


def test_a_comparison_needs_git(unpacked):
    done = run(unpacked, sys.executable, "-m", "polychromic", "diff")
    assert done.returncode == 1 and "no Git history to compare with" in done.stderr
