"""check_sealed on small Git repositories whose history is written down here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.data.seal import OPENED, check_sealed
from polychromic.pipeline.stages import stages
from tests.workspace import REPOSITORY

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

    def declare(self, margin: str = "0.03", more: str = "", seeds: int = 3) -> None:
        plan = f"  test:\n    listqa:\n      systems: {{lora: {{seeds: {seeds}}}}}\n"
        text = f"seeds: [0, 1]\n\n# About the test.\nanalysis:\n  margin: {margin}\n{more}{plan}"
        (self.root / "params.yaml").write_text(text, encoding="utf-8")

    def run(self, out: str = "results/listqa/test/lora/samples.jsonl.gz") -> None:
        """dvc.lock as after `dvc repro`: a cell of dev, and a stage with this out."""
        files = enumerate(("results/listqa/dev/lora/samples.jsonl.gz", out))
        stages = "".join(f"  stage-{n}:\n    cmd: x\n    outs:\n    - path: {path}\n      md5: 0\n" for n, path in files)
        (self.root / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n{stages}", encoding="utf-8")

    def commit(self) -> str:
        """Its short hash."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=x")
        return self.git("rev-parse", "--short", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Scored on dev, then declared for test."""
    made = Repository(tmp_path)
    made.declare(seeds=1)
    made.run("results/listqa/dev/scores.jsonl.gz")
    made.commit()
    made.declare()
    made.commit()
    return made


def check_quietly(repository: Repository, capsys: pytest.CaptureFixture) -> None:
    check_sealed(repository.root)
    assert capsys.readouterr() == ("", "")


def test_declared_before_the_first_look(repository, capsys):
    check_quietly(repository, capsys)
    repository.run()
    check_quietly(repository, capsys)
    repository.commit()
    check_quietly(repository, capsys)


@pytest.mark.parametrize(
    ("changes", "key"), [({"margin": "0.05"}, "margin"), ({"more": "  ce_margin: 0.1\n"}, "ce_margin"), ({"seeds": 5}, "test")]
)
def test_a_change_that_is_not_committed_is_refused(repository, changes, key):
    repository.declare(**changes)
    with pytest.raises(PolychromicError, match=rf"params\.yaml: analysis differs from the last commit \({key}\)\. .*Commit the section"):
        check_sealed(repository.root)


def test_before_the_first_commit_nothing_is_declared(tmp_path):
    repository = Repository(tmp_path)
    repository.declare()
    with pytest.raises(PolychromicError, match=r"the whole section"):
        check_sealed(tmp_path)


def test_comments_order_and_other_sections_are_free(repository, capsys):
    repository.run()
    repository.commit()
    text = "seeds: [3]\nanalysis: {test: {listqa: {systems: {lora: {seeds: 3}}}}, margin: 3.0e-2}  # as before\n"
    (repository.root / "params.yaml").write_text(text, encoding="utf-8")
    check_quietly(repository, capsys)
    repository.commit()
    check_quietly(repository, capsys)


def test_a_change_after_test_was_opened_names_both_commits(repository):
    repository.run()
    opened = repository.commit()
    repository.commit()
    repository.declare("0.05", "  ce_margin: 0.1\n")
    changed = repository.commit()
    repository.declare("0.06", "  ce_margin: 0.1\n")
    repository.run("results/listqa/dev/scores.jsonl.gz")
    repository.commit()
    with pytest.raises(PolychromicError) as caught:
        check_sealed(repository.root)
    text = str(caught.value)
    assert f"changed (ce_margin, margin) in commit {changed} (" in text and f"test is open since commit {opened} (" in text
    assert "\n" not in text and "Restore the section" in text


def test_another_system_or_seed_on_test_is_a_change(repository):
    repository.run()
    opened = repository.commit()
    repository.declare(seeds=4)
    changed = repository.commit()
    with pytest.raises(PolychromicError, match=rf"changed \(test\) in commit {changed} .* since commit {opened} "):
        check_sealed(repository.root)


def test_a_change_together_with_the_opening_is_refused(repository):
    repository.run()
    repository.declare("0.05")
    both = repository.commit()
    with pytest.raises(PolychromicError, match=rf"\(margin\) in commit {both} .* since commit {both} "):
        check_sealed(repository.root)


def test_the_message_names_where_the_declared_section_stands(repository):
    declared = repository.git("rev-parse", "HEAD")[:7]
    repository.run()
    repository.commit()
    repository.declare("0.05")
    repository.commit()
    with pytest.raises(PolychromicError, match=rf"git show {declared}:params\.yaml"):
        check_sealed(repository.root)


def test_a_change_that_was_taken_back_does_no_harm(repository, capsys):
    repository.run()
    repository.commit()
    for margin in ("0.05", "0.03"):
        repository.declare(margin)
        repository.commit()
    check_quietly(repository, capsys)


def test_changes_before_test_is_opened_are_free(repository, capsys):
    repository.declare("0.02")
    repository.commit()
    repository.run()
    repository.commit()
    check_quietly(repository, capsys)


def test_a_change_that_comes_with_a_merge_is_refused(repository):
    repository.git("switch", "--quiet", "--create", "side")
    repository.declare("0.05")
    changed = repository.commit()
    repository.git("switch", "--quiet", "main")
    repository.run()
    opened = repository.commit()
    repository.git("merge", "--quiet", "--no-edit", "side")
    with pytest.raises(PolychromicError, match=rf"in commit {changed} .* since commit {opened} "):
        check_sealed(repository.root)


DEV = ["results/listqa/dev/scores.jsonl.gz", "results/replies/calibration/lora/samples.jsonl.gz", "paper/tables/listqa-test.tex"]


@pytest.mark.parametrize("out", DEV)
def test_files_of_dev_are_no_look(repository, out, capsys):
    repository.run(out)
    repository.commit()
    repository.declare("0.05")
    repository.commit()
    check_quietly(repository, capsys)


@pytest.mark.parametrize(
    "out", ["results/code/test/lora/samples.jsonl.gz", "results/code/test/scores.jsonl.gz", "results/code/test/lora.jsonl.gz"]
)
def test_each_file_of_test_is_a_look(repository, out):
    repository.run(out)
    opened = repository.commit()
    repository.declare("0.05")
    repository.commit()
    with pytest.raises(PolychromicError, match=rf"test is open since commit {opened} "):
        check_sealed(repository.root)


def test_every_stage_that_reads_what_is_declared_for_test_writes_there():
    """So that dvc.lock says that test was read; dev's comparison has the whole section, of which it takes its own contrasts."""
    found = stages(REPOSITORY)
    lock = lambda stage: "".join(f"    - path: {path}\n" for path in stage.outs)
    opening = {name for name, stage in found.items() if OPENED.search(lock(stage))}
    declared = {n for n, s in found.items() if any(key.startswith("analysis.test") for key in s.params.get("params.yaml", ()))}
    assert (
        opening == declared == {name for name, stage in found.items() if stage.axes.get("split") == "test" and stage.group != "report-test"}
    )


def test_a_repository_around_it_does_not_count(repository, capsys):
    inner = repository.root / "unpacked"
    inner.mkdir()
    check_sealed(inner)
    assert "params.yaml: no Git repository here; whether analysis was committed" in capsys.readouterr().err


def test_without_git_there_is_a_notice(repository, capsys, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    repository.declare("0.05")
    check_sealed(repository.root)
    assert "git is not installed; whether analysis was committed" in capsys.readouterr().err


def test_a_history_that_begins_with_test_opened_cannot_be_checked(tmp_path, capsys):
    repository = Repository(tmp_path)
    repository.declare()
    repository.run()
    commit = repository.commit()
    check_sealed(tmp_path)
    assert f"the history begins with test opened, in commit {commit} (" in capsys.readouterr().err


def test_a_repository_that_git_cannot_read_is_an_error(tmp_path):
    (tmp_path / ".git").mkdir()
    with pytest.raises(PolychromicError, match="git rev-parse --git-dir failed in .*mend the repository"):
        check_sealed(tmp_path)
