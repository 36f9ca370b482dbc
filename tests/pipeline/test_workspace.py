"""A workspace is the source and the data, never a result; it replaces only what it made; it commits the same bytes always."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.params import ALWAYS, BEST, load_params, read_yaml
from polychromic.pipeline import workspace
from polychromic.pipeline.stages import stages, to_yaml
from polychromic.pipeline.workspace import MARKER, SMOKE, SMOKE_METHODS, make_workspace, run_smoke, workspace_environment
from tests.pipeline_tools import git
from tests.provenance.conftest import put
from tests.workspace import FURTHER, PEOPLE, REPOSITORY, small_plan


def comments(folder: Path) -> list[str]:
    return [line.split("#", 1)[1] for line in (folder / "params.yaml").read_text().splitlines() if "#" in line]


SOURCES = {
    ".dvc/config": "[core]\n    remote = store\n['remote \"store\"']\n    url = ../store\n",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".gitignore": "/data\n/.work/\n*.secret\n__pycache__/\n",
    "dvc.yaml": "printed anew", "paper/main.tex": "text", "paper/tables/by-hand.tex": "written", "code.py": "committed = 1\n",
}  # fmt: skip
NO_SOURCES = {
    ".dvc/config.local": "[core]\n    remote = mine\n", ".dvc/cache/files/md5/00/00": "cached", "store/files/md5/11/11": "stored",
    "data/listqa.jsonl": "{}\n", "dvc.lock": "schema: '2.0'\nstages: {}\n", "results/listqa/split.json": "{}",
    "paper/tables/listqa-systems.tex": "made by a stage", "gone.py": "",
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small repository with the package and with everything that may and may not be copied."""
    root = tmp_path / "root"
    shutil.copytree(REPOSITORY / "polychromic", root / "polychromic", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "params.yaml", root)
    put(root, SOURCES | NO_SOURCES)
    for arguments in ("init --quiet", "add --all", "commit --quiet --message first"):
        git(root, *arguments.split())
    put(root, {"code.py": "edited = 2\n", "new.py": "untracked\n", "key.secret": "hidden", ".work/old/file": ""})
    (root / "gone.py").unlink()
    return root


@pytest.mark.parametrize("by_git", [True, False])
def test_it_holds_the_sources_as_they_are_now_and_no_result(by_git: bool, root: Path, tmp_path: Path):
    """The same in an unpacked archive, which has no history."""
    package = {str(path.relative_to(root)) for path in (root / "polychromic").rglob("*") if path.is_file()}
    put(root, {"polychromic/__pycache__/x.pyc": ""})
    if not by_git:
        shutil.rmtree(root / ".git")
    target = make_workspace(root, tmp_path / "copy" if by_git else root / ".work" / "copy", {"listqa.steps": 7})
    assert set(git(target, "ls-files").splitlines()) == SOURCES.keys() | package | {MARKER, "new.py", "params.yaml"}
    assert (target / "code.py").read_text() == "edited = 2\n" and (target / "data" / "listqa.jsonl").read_text() == "{}\n"
    assert not any((target / name).exists() for name in ("results", "dvc.lock", "store", ".dvc/cache", "key.secret", "gone.py"))
    assert git(target, "status", "--porcelain") == "" and (target / "dvc.yaml").read_text() == to_yaml(target)


def test_only_the_overridden_values_differ_and_comments_stay(root: Path, tmp_path: Path):
    sizes = {"train": 24, "dev": 12, "test": 300}
    target = make_workspace(root, tmp_path / "copy", {"lambda": 0.3, "listqa.sizes": sizes, "domains": ["listqa"]})
    before, after = read_yaml(root / "params.yaml"), read_yaml(target / "params.yaml")
    before["lambda"], before["listqa"]["sizes"], before["domains"] = 0.3, sizes, ["listqa"]
    assert after == before and comments(target) == comments(REPOSITORY)


@pytest.mark.parametrize(("overrides", "methods", "message"), [
    ({"listqa.stepps": 1}, None, r"listqa\.stepps: Extra inputs"),
    ({"listqa.steps": 0}, None, r"listqa\.steps: .*greater than or equal to 1 \(got '0'\)"),
    ({}, ["zero_shot", "few_shot", "polychromic"], "methods lacks lora; the four baselines are always there"),
])  # fmt: skip
def test_what_params_may_not_hold_is_refused(overrides, methods, message, root: Path, tmp_path: Path):
    with pytest.raises(UsageError, match=message):
        make_workspace(root, tmp_path / "copy", overrides, methods)
    with pytest.raises(UsageError, match="file not found. Run the command in the folder that holds params.yaml"):
        make_workspace(tmp_path, tmp_path / "none", {})
    assert not (tmp_path / "none").exists()


def test_the_commit_depends_on_the_files_alone(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = git(make_workspace(root, tmp_path / "one", {}), "rev-parse", "HEAD")
    head = (root / ".git" / "HEAD").read_text()
    # A user's configuration and a repository that Git is busy with, as in a hook.
    put(tmp_path, {"home/.gitconfig": "[user]\n\tname = Other\n\temail = other@localhost\n[commit]\n\tgpgSign = true\n"})
    with monkeypatch.context() as patch:
        for name, value in {"HOME": tmp_path / "home", "GIT_DIR": root / ".git", "GIT_AUTHOR_DATE": "2020-02-02T02:02:02"}.items():
            patch.setenv(name, str(value))
        other = make_workspace(root, tmp_path / "another name", {})
    assert git(other, "rev-parse", "HEAD") == first and git(other, "rev-list", "--count", "HEAD") == "1"
    assert (root / ".git" / "HEAD").read_text() == head and git(root, "log", "-1", "--format=%s") == "first"


def test_it_replaces_its_own_and_nothing_else(root: Path, tmp_path: Path):
    target = make_workspace(root, tmp_path / "copy", {})
    put(target, {"results/listqa/split.json": "old"})
    make_workspace(root, target, {"listqa.steps": 5})
    assert not (target / "results").exists() and load_params(target / "params.yaml").listqa.steps == 5
    mine = tmp_path / "mine"
    put(mine, {"thesis.tex": "years of work"})
    for folder in (mine, root, mine / "thesis.tex"):
        with pytest.raises(PolychromicError, match="is no workspace and stays as it is"):
            make_workspace(root, folder, {})
    assert [path.name for path in mine.iterdir()] == ["thesis.tex"] and (root / "code.py").exists()


def test_absent_data_are_pulled_from_the_store_of_the_root(root: Path, tmp_path: Path):
    """A fresh clone in which nothing was pulled, the store being a folder of the repository."""
    for name in (".dvc/config.local", "dvc.yaml"):
        (root / name).unlink()
    for arguments in (["add", "--quiet", "data"], ["push", "--quiet", "data.dvc"]):
        subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=root, env=workspace_environment(root), check=True)
    for name in ("data", ".dvc/cache"):
        shutil.rmtree(root / name)
    target = make_workspace(root, tmp_path / "copy", {})
    assert (target / "data" / "listqa.jsonl").read_text() == "{}\n" and (target / ".dvc" / "cache").is_dir()
    assert not (root / "data").exists() and not (root / ".dvc" / "cache").exists()
    shutil.rmtree(root / "store")
    with pytest.raises(PolychromicError, match=r"dvc pull .* failed in"):
        make_workspace(root, tmp_path / "copy", {})


def test_the_environment_runs_the_workspace_code_with_this_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("GIT_DIR", "DVC_STAGE", "POLYCHROMIC_CACHE"):
        monkeypatch.setenv(name, "set")
    environment = workspace_environment(tmp_path)
    assert environment["PYTHONPATH"] == str(tmp_path) and environment["POLYCHROMIC_CACHE"] == "set"
    assert "GIT_DIR" not in environment and "DVC_STAGE" not in environment
    put(tmp_path, {"polychromic/__init__.py": "", "polychromic/__main__.py": "import sys; print('here', sys.executable)"})
    said = subprocess.run(["python", "-m", "polychromic"], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout
    assert said.split() == ["here", sys.executable]


def cells(folder: Path, split: str) -> set[str]:
    """Address and weight in one: "listqa-lora", "listqa-polychromic-3.0"."""
    found = [stage for stage in stages(folder).values() if " sample " in stage.cmd and stage.axes["split"] == split]
    return {"-".join(stage.axes[name] for name in ("domain", "method", "lam") if name in stage.axes) for stage in found}


def plans() -> dict[str, dict]:
    """A plan for test of each domain: the baselines and two peers, each with a contrast of its own."""
    found = {domain: small_plan() for domain in read_yaml(REPOSITORY / "params.yaml")["domains"]}
    for plan in found.values():
        plan["systems"] |= {name: {"seeds": 1, "temperatures": [1.0]} for name in ("rft", "reward")}
        pairs = (("rft", "lora"), ("polychromic", "reward"))
        plan["contrasts"] += [{"a": a, "b": b, "family": "secondary", "rule": "chosen"} for a, b in pairs]
    return found


def test_smoke_parameters_are_valid_for_the_real_data(tmp_path: Path):
    """The cheap half of the smoke run: its parameters load, and its split passes the checks on leakage and strata."""
    target = make_workspace(REPOSITORY, tmp_path / "smoke", SMOKE | {"analysis.test": plans()}, SMOKE_METHODS, lambdas=())
    params = load_params(target / "params.yaml")
    assert cells(target, "dev") == {"listqa-zero_shot", "listqa-few_shot", "listqa-lora", "listqa-polychromic-3.0"}
    assert cells(target, "test") == {f"listqa-{name}" for name in SMOKE_METHODS}  # declared, and not run: it ends with dev's report
    assert (params.domains, params.seeds, params.listqa.steps, params.listqa.temperatures) == (["listqa"], [0], 4, [1.0])
    assert params.sampling.n >= 10 and params.model == load_params(REPOSITORY / "params.yaml").model  # pass@10 needs ten
    subprocess.run(["python", "-m", "polychromic", "split", "listqa"], cwd=target, env=workspace_environment(target), check=True)
    splits = json.loads((target / "results" / "listqa" / "split.json").read_text())["splits"]
    assert len(splits["train"]) >= 24 and len(splits["dev"]) >= 12 and len(splits["test"]) >= 300


def test_some_cells_are_kept_with_all_that_reads_them_and_all_unless_told_otherwise(tmp_path: Path):
    opened = {"analysis.test": plans(), "methods.gem": FURTHER["gem"] | {"domains": ["listqa"]}, "listqa.lambdas": [3.0, 0.3, 10.0],
              "replies.lambdas": [0.3, 3.0], "replies.people": list(PEOPLE), "creative.lambdas": [10.0], "code.lambdas": [3.0]}  # fmt: skip
    whole_folder = make_workspace(REPOSITORY, tmp_path / "whole", opened)
    methods, whole, everything = [*ALWAYS, "rft", "gem"], stages(whole_folder), load_params(whole_folder / "params.yaml")
    target = make_workspace(whole_folder, tmp_path / "copy", {}, methods, [0.3])
    found, params = stages(target), load_params(target / "params.yaml")
    weights = {"polychromic-0.3", "polychromic-3.0"}
    kept = {"listqa": {"gem", *weights}, "replies": weights, "creative": {"polychromic-3.0"}, "code": {"polychromic-3.0"}}
    assert cells(target, "dev") == {f"{name}-{cell}" for name in kept for cell in {"zero_shot", "few_shot", "lora", "rft", *kept[name]}}
    assert cells(target, "calibration") == {f"replies-{cell}" for cell in {"zero_shot", "few_shot", "lora", "rft", *weights}}
    assert cells(target, "test") == {f"{name}-{one}" for name in kept for one in (*ALWAYS, "rft")}, "reward was declared, too"
    assert found.keys() <= whole.keys() and all(" sample " in whole[name].cmd for name in whole.keys() - found.keys())
    made = {path for stage in found.values() for path in stage.outs}
    for name, stage in found.items():
        deps = {dep for dep in whole[name].deps if not dep.startswith("results/") or dep in made}
        assert stage.outs == whole[name].outs and set(stage.deps) == deps, name
    for domain in params.domains:
        plan = params.test_plan(domain)
        pairs = {(pair.a, pair.b) for pair in plan.contrasts}
        assert {name for pair in pairs for name in pair} <= plan.systems.keys() and ("rft", "lora") in pairs
    assert list(params.methods) == [name for name in everything.methods if name in methods]
    assert {name for contrast in params.analysis.contrasts for name in (contrast.a, contrast.b)} <= {*methods, *BEST}
    target = make_workspace(REPOSITORY, tmp_path / "copy", {})
    assert (target / "dvc.yaml").read_bytes() == (REPOSITORY / "dvc.yaml").read_bytes()
    assert read_yaml(target / "params.yaml") == read_yaml(REPOSITORY / "params.yaml") and comments(target) == comments(REPOSITORY)


@pytest.mark.parametrize("code", [0, 3])
def test_smoke_says_what_it_found_or_where_it_failed(code: int, root: Path, monkeypatch, capsys):
    ran, real, target = {}, subprocess.run, root / ".work" / "smoke"

    def dvc(command, **options):
        if command[1:] != ["-m", "dvc", "repro", "report-dev@listqa"]:
            return real(command, **options)
        ran.update(options)
        put(options["cwd"], {"paper/tables/listqa-systems.md": "| LoRA | 2.346 |"})
        return subprocess.CompletedProcess(command, code)

    monkeypatch.setattr(workspace.subprocess, "run", dvc)
    with pytest.raises(PolychromicError, match="the smoke run failed in") if code else nullcontext():
        run_smoke(root, target)
    said, values = capsys.readouterr().out, read_yaml(target / "params.yaml")
    assert ran["cwd"] == target and ran["env"]["PATH"].startswith(str(Path(sys.executable).parent) + os.pathsep)
    assert values["domains"] == ["listqa"] and tuple(values["methods"]) == SMOKE_METHODS
    assert [text in said for text in ("| LoRA | 2.346 |", f"figures are in {target / 'paper'}")] == [not code] * 2
