"""The release copy carries commit, dirty flag and hashes, with git and without."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json
from polychromic.report.release import release


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "main.pdf").write_bytes(b"%PDF-1.5 test")
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\n")
    (tmp_path / ".gitignore").write_text("/release/\n")
    return tmp_path


def test_clean_and_dirty(root: Path):
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "one")
    commit = git(root, "rev-parse", "HEAD")
    pdf = release(root)
    assert pdf == root / "release" / f"polychromic-{commit[:7]}.pdf"
    assert pdf.read_bytes() == b"%PDF-1.5 test"
    assert read_json(pdf.with_suffix(".json")) == {
        "commit": commit,
        "dirty": False,
        "dvc_lock_sha256": hashlib.sha256(b"schema: '2.0'\n").hexdigest(),
        "pdf_sha256": hashlib.sha256(b"%PDF-1.5 test").hexdigest(),
    }
    (root / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    assert release(root).name == f"polychromic-{commit[:7]}-dirty.pdf"


def test_before_the_first_commit(root: Path):
    git(root, "init", "-q")
    assert release(root).name == "polychromic-unknown.pdf"


def test_without_git_even_inside_another_repository(root: Path):
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "one")
    inner = root / "archive"
    (inner / "paper").mkdir(parents=True)
    (inner / "paper" / "main.pdf").write_bytes(b"x")
    (inner / "dvc.lock").write_text("y")
    pdf = release(inner)
    assert pdf.name == "polychromic-unknown.pdf"
    facts = read_json(pdf.with_suffix(".json"))
    assert (facts["commit"], facts["dirty"]) == ("unknown", None)


@pytest.mark.parametrize("name", ["paper/main.pdf", "dvc.lock"])
def test_a_missing_file_is_named(root: Path, name: str):
    (root / name).unlink()
    with pytest.raises(PolychromicError, match=f"{name}: file not found"):
        release(root)
