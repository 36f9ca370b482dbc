"""The commit of a repository, of an unpacked archive, of neither; since when a text is in a file; and the release copy that says it."""

import hashlib

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json
from polychromic.provenance.commit import Commit, current, introduced, release
from tests.provenance.conftest import COMPARE, MACROS, archive, commit, git, put

LINE = r"\definenumber{listqa.n_prompts}{141}%"


def edit(repository, old: str, new: str) -> None:
    path = repository / MACROS
    path.write_text(path.read_text().replace(old, new))


def test_a_repository_is_clean_or_dirty_or_broken(repository, tmp_path):
    head = git(repository, "rev-parse", "HEAD")
    assert current(repository) == Commit(head, False)
    (repository / "params.yaml").write_text("changed")
    assert current(repository) == Commit(head, True)
    put(tmp_path, {"new/a": "x"})
    git(tmp_path / "new", "init", "--quiet")
    assert current(tmp_path / "new") == Commit(None, None)
    (repository / ".git" / "HEAD").write_text("nonsense")
    with pytest.raises(PolychromicError, match="git .* failed in"):
        introduced(repository, MACROS)


def test_an_archive_knows_its_commit_even_inside_another_repository(repository, tmp_path):
    head, inside = git(repository, "rev-parse", "HEAD"), archive(repository, repository / "unpacked")
    assert current(inside) == Commit(head, None)
    for found in (introduced(inside, MACROS, LINE), introduced(inside, MACROS)):
        assert (found["commit"], found["exact"], found["note"]) == (head, False, "archive without history") and found["date"]
    put(tmp_path, {"copy/.git_archival.txt": (repository / ".git_archival.txt").read_text()})  # not filled in
    assert current(tmp_path / "copy") == Commit(None, None)
    assert introduced(tmp_path / "copy", MACROS, LINE)["note"] == "no Git history here"


def test_the_first_commit_of_the_present_value(repository):
    first = git(repository, "rev-parse", "HEAD")
    edit(repository, "{141}", "{140}")
    commit(repository, "Another value")
    edit(repository, "{140}", "{141}")
    back = commit(repository, "The old value again")
    put(repository, {"other.txt": "x"})
    commit(repository, "Something else")
    found = introduced(repository, MACROS, LINE)
    assert (found["commit"], found["subject"], found["exact"]) == (back, "The old value again", True)
    assert introduced(repository, MACROS, r"\definenumber{listqa.lora.pass@1}{24.2\,\%}%")["commit"] == first
    assert introduced(repository, MACROS)["commit"] == back
    found = introduced(repository, MACROS, r"\definenumber{listqa.n_prompts}{7}%")
    assert found["commit"] is None and "not committed" in found["note"]
    (repository / MACROS).write_text("changed")
    assert "differs from the last commit" in introduced(repository, MACROS)["note"]
    assert introduced(repository, COMPARE)["note"] == "not tracked by Git"


def test_a_value_that_a_merge_brought(repository):
    git(repository, "checkout", "--quiet", "-b", "side")
    edit(repository, "n_prompts}{141}", "n_prompts}{150}")
    brought = commit(repository, "On the side")
    git(repository, "checkout", "--quiet", "main")
    put(repository, {"other.txt": "x"})
    commit(repository, "On the main line")
    git(repository, "merge", "--quiet", "--no-ff", "--message", "Merge", "side")
    assert introduced(repository, MACROS, r"\definenumber{listqa.n_prompts}{150}%")["commit"] == brought


def test_the_release_says_its_commit(repository):
    head = git(repository, "rev-parse", "HEAD")
    pdf = release(repository)
    assert pdf == repository / "release" / f"polychromic-{head[:7]}.pdf"
    assert pdf.read_bytes() == (repository / "paper/main.pdf").read_bytes()
    sha256 = lambda name: hashlib.sha256((repository / name).read_bytes()).hexdigest()
    hashes = {"dvc_lock_sha256": sha256("dvc.lock"), "pdf_sha256": sha256("paper/main.pdf")}
    assert read_json(pdf.with_suffix(".json")) == {"commit": head, "dirty": False} | hashes
    assert release(repository).name == f"polychromic-{head[:7]}-dirty.pdf"  # release/ is not ignored here
    inner = repository / "inside"
    put(inner, {"paper/main.pdf": "x", "dvc.lock": "y"})
    assert release(inner).name == "polychromic-unknown.pdf"
    assert read_json(inner / "release/polychromic-unknown.json")["dirty"] is None
    (inner / "paper/main.pdf").unlink()
    with pytest.raises(PolychromicError, match=r"main\.pdf: file not found.*dvc repro"):
        release(inner)
