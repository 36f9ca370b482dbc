"""check_sealed on small Git repositories whose history is written down here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from polychromic.errors import PolychromicError
from polychromic.sealed import check_sealed

IDENTITY = {f"GIT_{role}_{key}": "tests@localhost" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}


class Repository:
    """A folder with params.yaml and dvc.lock, committed step by step."""

    def __init__(self, root: Path):
        self.root = root
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | IDENTITY
        environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        return subprocess.run(
            ["git", *arguments], cwd=self.root, env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    def declare(self, split: str = "dev", margin: str = "0.03", more: str = "") -> None:
        text = f"seeds: [0, 1]\n\n# About the test.\nanalysis:\n  split: {split}\n  margin: {margin}\n{more}"
        (self.root / "params.yaml").write_text(text, encoding="utf-8")

    def score(self, split: str, stage: str = "score@listqa") -> None:
        text = f"schema: '2.0'\nstages:\n  {stage}:\n    cmd: x\n    params:\n      params.yaml:\n        analysis.split: {split}\n"
        (self.root / "dvc.lock").write_text(text, encoding="utf-8")

    def commit(self) -> str:
        """Its short hash."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=x")
        return self.git("rev-parse", "--short", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Scored on dev, then declared for test."""
    made = Repository(tmp_path)
    made.declare("dev")
    made.score("dev")
    made.commit()
    made.declare("test")
    made.commit()
    return made


def check_quietly(repository: Repository, capsys: pytest.CaptureFixture) -> None:
    check_sealed(repository.root)
    assert capsys.readouterr() == ("", "")


def test_declared_before_the_first_look(repository, capsys):
    check_quietly(repository, capsys)
    repository.score("test")
    check_quietly(repository, capsys)
    repository.commit()
    check_quietly(repository, capsys)


@pytest.mark.parametrize(("margin", "more", "key"), [("0.05", "", "margin"), ("0.03", "  ce_margin: 0.1\n", "ce_margin")])
def test_a_change_that_is_not_committed_is_refused(repository, margin, more, key):
    repository.declare("test", margin, more)
    with pytest.raises(PolychromicError, match=rf"params\.yaml: analysis\.split is test, .*last commit \({key}\)\. .*Commit the section"):
        check_sealed(repository.root)


def test_the_split_itself_must_be_committed(tmp_path):
    repository = Repository(tmp_path)
    repository.declare("dev")
    repository.commit()
    repository.declare("test")
    with pytest.raises(PolychromicError, match=r"differs from the last commit \(split\)"):
        check_sealed(tmp_path)


def test_before_the_first_commit_nothing_is_declared(tmp_path):
    repository = Repository(tmp_path)
    repository.declare("test")
    with pytest.raises(PolychromicError, match=r"the whole section"):
        check_sealed(tmp_path)


def test_comments_order_and_other_sections_are_free(repository, capsys):
    repository.score("test")
    repository.commit()
    text = "seeds: [3]\nanalysis: {margin: 3.0e-2, split: test}  # as before\n"
    (repository.root / "params.yaml").write_text(text, encoding="utf-8")
    check_quietly(repository, capsys)
    repository.commit()
    check_quietly(repository, capsys)


def test_a_change_after_the_scores_names_both_commits(repository):
    repository.score("test")
    scored = repository.commit()
    repository.commit()
    repository.declare("test", "0.05", "  ce_margin: 0.1\n")
    changed = repository.commit()
    repository.declare("test", "0.06", "  ce_margin: 0.1\n")
    repository.score("dev")
    repository.commit()
    with pytest.raises(PolychromicError) as caught:
        check_sealed(repository.root)
    text = str(caught.value)
    assert f"changed (ce_margin, margin) in commit {changed} (" in text and f"scores on test since commit {scored} (" in text
    assert "\n" not in text and "Restore the section" in text


def test_a_change_together_with_the_scores_is_refused(repository):
    repository.score("test")
    repository.declare("test", "0.05")
    both = repository.commit()
    with pytest.raises(PolychromicError, match=rf"\(margin\) in commit {both} .* since commit {both} "):
        check_sealed(repository.root)


def test_the_message_names_where_the_declared_section_stands(repository):
    declared = repository.git("rev-parse", "HEAD")[:7]
    repository.score("test")
    repository.commit()
    repository.declare("test", "0.05")
    repository.commit()
    with pytest.raises(PolychromicError, match=rf"git show {declared}:params\.yaml"):
        check_sealed(repository.root)


def test_the_split_may_change_after_the_scores(repository, capsys):
    repository.score("test")
    repository.commit()
    for split in ("dev", "test"):
        repository.declare(split)
        repository.commit()
    check_quietly(repository, capsys)


def test_a_change_that_was_taken_back_does_no_harm(repository, capsys):
    repository.score("test")
    repository.commit()
    for margin in ("0.05", "0.03"):
        repository.declare("test", margin)
        repository.commit()
    check_quietly(repository, capsys)


def test_changes_before_the_scores_are_free(repository, capsys):
    repository.declare("test", "0.02")
    repository.commit()
    repository.score("test")
    repository.commit()
    check_quietly(repository, capsys)


def test_a_change_that_comes_with_a_merge_is_refused(repository):
    repository.git("switch", "--quiet", "--create", "side")
    repository.declare("test", "0.05")
    changed = repository.commit()
    repository.git("switch", "--quiet", "main")
    repository.score("test")
    scored = repository.commit()
    repository.git("merge", "--quiet", "--no-edit", "side")
    with pytest.raises(PolychromicError, match=rf"in commit {changed} .* since commit {scored} "):
        check_sealed(repository.root)


@pytest.mark.parametrize(("split", "stage"), [("dev", "score@listqa"), ("test", "lora@listqa")])
def test_only_score_stages_on_test_are_a_look(repository, split, stage, capsys):
    repository.score(split, stage)
    repository.commit()
    repository.declare("test", "0.05")
    repository.commit()
    check_quietly(repository, capsys)


def test_a_lock_that_is_no_yaml_declares_nothing(repository, capsys):
    (repository.root / "dvc.lock").write_text("<<<<<<< ours\nsplit: test\n=======\n", encoding="utf-8")
    repository.commit()
    check_quietly(repository, capsys)


def test_a_repository_around_it_does_not_count(repository, capsys):
    inner = repository.root / "unpacked"
    inner.mkdir()
    check_sealed(inner)
    assert "params.yaml: no Git repository here; whether analysis was committed" in capsys.readouterr().err


def test_without_git_there_is_a_notice(repository, capsys, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    repository.declare("test", "0.05")
    check_sealed(repository.root)
    assert "git is not installed; whether analysis was committed" in capsys.readouterr().err


def test_a_history_that_begins_with_scores_cannot_be_checked(tmp_path, capsys):
    repository = Repository(tmp_path)
    repository.declare("test")
    repository.score("test")
    commit = repository.commit()
    check_sealed(tmp_path)
    assert f"the history begins with scores on test, in commit {commit} (" in capsys.readouterr().err


def test_a_repository_that_git_cannot_read_is_an_error(tmp_path):
    (tmp_path / ".git").mkdir()
    with pytest.raises(PolychromicError, match="git rev-parse --git-dir failed in .*mend the repository"):
        check_sealed(tmp_path)
