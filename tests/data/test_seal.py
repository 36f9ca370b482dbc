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
IDENTITY |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
DEV, TEST = "results/listqa/dev/scores.jsonl.gz", "results/listqa/test/lora/samples.jsonl.gz"


class Repository:
    """A folder with params.yaml and dvc.lock, committed step by step."""

    def __init__(self, root: Path):
        self.root = root
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | IDENTITY
        return subprocess.check_output(["git", *arguments], cwd=self.root, env=environment, stderr=subprocess.PIPE, text=True).strip()

    def declare(self, margin: str = "0.03", more: str = "", seeds: int = 3, commit: bool = True) -> str:
        plan = f"  test:\n    listqa:\n      systems: {{lora: {{seeds: {seeds}}}}}\n"
        return self.write("params.yaml", f"seeds: [0, 1]\n\n# About the test.\nanalysis:\n  margin: {margin}\n{more}{plan}", commit)

    def run(self, out: str = TEST, commit: bool = True) -> str:
        """dvc.lock as after `dvc repro`: a cell of dev, and a stage with this out."""
        files = enumerate(("results/listqa/dev/lora/samples.jsonl.gz", out))
        stages = "".join(f"  stage-{n}:\n    cmd: x\n    outs:\n    - path: {path}\n      md5: 0\n" for n, path in files)
        return self.write("dvc.lock", f"schema: '2.0'\nstages:\n{stages}", commit)

    def write(self, name: str, text: str, commit: bool) -> str:
        """The short hash of the commit."""
        (self.root / name).write_text(text, encoding="utf-8")
        return self.commit() if commit else ""

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=x")
        return self.git("rev-parse", "--short", "HEAD")

    def refused(self, said: str) -> None:
        with pytest.raises(PolychromicError, match=said) as caught:
            check_sealed(self.root)
        assert "\n" not in str(caught.value)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Scored on dev, then declared for test."""
    made = Repository(tmp_path)
    made.declare(seeds=1, commit=False)
    made.run(DEV)
    made.declare()
    return made


@pytest.fixture
def quietly(repository, capsys):
    def check() -> None:
        check_sealed(repository.root)
        assert capsys.readouterr() == ("", "")

    return check


def test_declared_before_the_first_look_and_changed_before_that_or_back(repository, quietly):
    """Comments, order and other sections are free."""
    quietly()
    repository.declare("0.02")
    repository.run(commit=False)
    quietly()
    repository.commit()
    text = "seeds: [3]\nanalysis: {test: {listqa: {systems: {lora: {seeds: 3}}}}, margin: 2.0e-2}  # as before\n"
    repository.write("params.yaml", text, commit=False)
    quietly()
    repository.declare("0.05")
    repository.declare("0.02")
    quietly()


@pytest.mark.parametrize(
    ("changes", "key"), [({"margin": "0.05"}, "margin"), ({"more": "  ce_margin: 0.1\n"}, "ce_margin"), ({"seeds": 5}, "test")]
)
def test_a_change_that_is_not_committed_is_refused(repository, changes, key):
    repository.declare(**changes, commit=False)
    repository.refused(rf"params\.yaml: analysis differs from the last commit \({key}\)\. .*Commit the section")


def test_before_the_first_commit_nothing_is_declared_and_what_git_cannot_read_is_an_error(tmp_path):
    repository = Repository(tmp_path)
    repository.declare(commit=False)
    repository.refused(r"differs from the last commit \(margin, test\)")
    (tmp_path / ".git" / "HEAD").unlink()
    repository.refused("git rev-parse --git-dir failed in .*mend the repository")


@pytest.mark.parametrize(("changes", "keys"), [
    ({"seeds": 4}, "test"), ({"margin": "0.05", "more": "  ce_margin: 0.1\n"}, "ce_margin, margin"),
])  # fmt: skip
def test_a_change_after_test_was_opened_names_both_commits_and_where_the_declared_section_stands(repository, changes, keys):
    declared, opened = repository.git("rev-parse", "HEAD")[:7], repository.run()
    repository.commit()
    changed = repository.declare(**changes)
    if "margin" in changes:
        repository.declare(**changes | {"margin": "0.06"})
    repository.run(DEV)
    since = rf"changed \({keys}\) in commit {changed} \(.* test is open since commit {opened} \("
    repository.refused(rf"{since}.*Restore the section \(`git show {declared}:params\.yaml")


def test_a_change_together_with_the_opening_or_with_a_merge_is_refused(repository):
    repository.git("switch", "--quiet", "--create", "side")
    changed = repository.declare("0.05")
    repository.git("switch", "--quiet", "main")
    opened = repository.run()
    repository.git("merge", "--quiet", "--no-edit", "side")
    repository.refused(rf"in commit {changed} .* since commit {opened} ")
    repository.git("reset", "--quiet", "--hard", f"{opened}^")
    repository.run(commit=False)
    both = repository.declare("0.05")
    repository.refused(rf"\(margin\) in commit {both} .* since commit {both} ")


@pytest.mark.parametrize(("out", "look"), [
    (DEV, False), ("results/replies/calibration/lora/samples.jsonl.gz", False), ("paper/tables/listqa-test.tex", False),
    (TEST, True), ("results/code/test/scores.jsonl.gz", True), ("results/code/test/lora.jsonl.gz", True),
])  # fmt: skip
def test_each_file_of_test_is_a_look_and_none_of_dev(repository, out, look, quietly):
    opened = repository.run(out)
    repository.declare("0.05")
    if look:
        repository.refused(rf"test is open since commit {opened} ")
    else:
        quietly()


def test_every_stage_that_reads_what_is_declared_for_test_writes_there():
    """So that dvc.lock says that test was read; dev's comparison has the whole section, of which it takes its own contrasts."""
    found = stages(REPOSITORY)
    lock = lambda stage: "".join(f"    - path: {path}\n" for path in stage.outs)
    opening = {name for name, stage in found.items() if OPENED.search(lock(stage))}
    declared = {n for n, s in found.items() if any(key.startswith("analysis.test") for key in s.params.get("params.yaml", ()))}
    of_test = {name for name, stage in found.items() if stage.axes.get("split") == "test" and stage.group != "report-test"}
    assert opening == declared == of_test


def test_another_opening_is_declared_anew_and_sealed_by_itself(repository, quietly):
    """The first look is without a number; what 2 declares is free until test is looked at again."""
    repository.run()
    repository.declare("0.05", "  opening: 2\n")
    quietly()
    lock = (repository.root / "dvc.lock").read_text()
    repository.write("dvc.lock", lock + "  of-dev:\n    cmd: y\n", commit=True)
    repository.declare("0.06", "  opening: 2\n")
    quietly()
    opened = repository.write("dvc.lock", lock.replace("md5: 0", "md5: 1"), commit=True)
    quietly()
    changed = repository.declare("0.07", "  opening: 2\n")
    repository.refused(rf"\(margin\) in commit {changed} .* since commit {opened} ")
    repository.declare("0.08", "  opening: 3\n")
    quietly()
    repository.declare("0.06", "  opening: 2\n")
    quietly()


@pytest.mark.parametrize(("more", "said"), [("", "left out"), ("  opening: 1\n", "1")])
def test_an_opening_does_not_go_back(repository, quietly, more, said):
    """Not even to the section that was sealed then."""
    repository.declare(more=more)
    repository.run()
    repository.declare("0.05", "  opening: 2\n")
    repository.declare(more=more)
    quietly()
    repository.declare("0.05", "  opening: 2\n")
    opened = repository.run("results/code/test/scores.jsonl.gz")
    repository.declare(more=more)
    repository.refused(rf"analysis.opening is {said}, but test was opened under 2 in commit {opened} \(.*Allowed: 2, or more")


def test_a_look_while_an_opening_was_taken_back_counts_for_it(repository, quietly):
    repository.run()
    repository.declare("0.05", "  opening: 2\n")
    repository.declare(commit=False)
    looked = repository.run("results/code/test/scores.jsonl.gz")
    quietly()
    repository.declare("0.06", "  opening: 2\n")
    repository.refused(rf" since commit {looked} ")
    repository.declare("0.06", "  opening: 3\n")
    quietly()


def test_a_history_that_begins_with_a_later_opening_is_sealed_as_any_other(tmp_path):
    repository = Repository(tmp_path)
    repository.declare(more="  opening: 2\n")
    looked = repository.run()
    repository.declare("0.05", "  opening: 2\n")
    repository.refused(rf" since commit {looked} ")


def test_an_opening_that_is_declared_with_its_first_look_is_refused(repository):
    repository.run()
    repository.run("results/code/test/scores.jsonl.gz", commit=False)
    both = repository.declare("0.05", "  opening: 2\n")
    repository.refused(rf"\(margin, opening\) in commit {both} .* since commit {both} ")


def test_where_git_tells_nothing_there_is_a_notice(repository, tmp_path, capsys, monkeypatch):
    """A repository around the folder does not count; a history that begins with test opened cannot be checked."""
    notice = r"{}; whether analysis was committed before test was opened could not be checked"
    inner, late = repository.root / "unpacked", tmp_path / "late"
    for folder in (inner, late):
        folder.mkdir()
    check_sealed(inner)
    assert notice.format("no Git repository here") in capsys.readouterr().err
    other = Repository(late)
    other.declare(commit=False)
    commit = other.run()
    check_sealed(late)
    assert f"the history begins with test opened, in commit {commit} (" in capsys.readouterr().err
    monkeypatch.setattr(shutil, "which", lambda name: None)
    check_sealed(repository.root)
    assert notice.format("git is not installed") in capsys.readouterr().err
