"""A workspace is the source and the data, never a result; it replaces only what it made; it commits the same bytes always."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from polychromic.declared import BEST
from ruamel.yaml import YAML

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.params import load_params, read_yaml
from polychromic.pipeline import workspace
from polychromic.pipeline.workspace import MARKER, SMOKE, SMOKE_METHODS, make_workspace, run_smoke, workspace_environment

REPOSITORY = Path(__file__).resolve().parents[1]
DVC_YAML = """stages:
  split:
    matrix: {domain: "${domains}"}
    cmd: python -m polychromic split ${item.domain}
    deps: ["data/${item.domain}.jsonl"]
    outs: ["results/${item.domain}/split.json"]
  report:
    foreach: [listqa]
    do:
      cmd: python -m polychromic report ${item}
      deps: ["results/${item}/split.json"]
      outs: ["paper/tables/${item}-systems.tex": {cache: false}]
"""


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=somebody", "-c", "user.email=somebody@localhost", "-c", "commit.gpgSign=false"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def put(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small repository with everything that may and may not be copied."""
    root = tmp_path / "root"
    root.mkdir()
    shutil.copy(REPOSITORY / "params.yaml", root)
    put(
        root,
        {
            "dvc.yaml": DVC_YAML,
            ".dvc/config": "[core]\n    remote = store\n['remote \"store\"']\n    url = ../store\n",
            ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
            ".dvc/config.local": "[core]\n    remote = mine\n",
            ".dvc/cache/files/md5/00/00": "cached",
            ".gitignore": "/data\n/.work/\n*.secret\n",
            "data/listqa.jsonl": "{}\n",
            "dvc.lock": "schema: '2.0'\nstages: {}\n",
            "store/files/md5/11/11": "stored",
            "results/listqa/split.json": "{}",
            "paper/tables/listqa-systems.tex": "made by a stage",
            "paper/tables/by-hand.tex": "written",
            "paper/main.tex": "text",
            "code.py": "committed = 1\n",
            "gone.py": "",
        },
    )
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "first")
    put(root, {"code.py": "edited = 2\n", "new.py": "untracked\n", "key.secret": "hidden", ".work/old/file": ""})
    (root / "gone.py").unlink()
    return root


COPIED = {".dvc/.gitignore", ".dvc/config", ".gitignore", MARKER, "code.py", "dvc.yaml", "new.py", "paper/main.tex", "params.yaml"} | {
    "paper/tables/by-hand.tex"
}


def test_it_holds_the_sources_as_they_are_now_and_no_result(root: Path, tmp_path: Path):
    target = make_workspace(root, tmp_path / "copy", {"listqa.steps": 7})
    assert set(git(target, "ls-files").splitlines()) == COPIED
    assert (target / "code.py").read_text() == "edited = 2\n"
    assert (target / "data" / "listqa.jsonl").read_text() == "{}\n"
    assert not any((target / name).exists() for name in ("results", "dvc.lock", "store", ".dvc/cache", "key.secret", "gone.py"))
    assert git(target, "status", "--porcelain") == ""


def test_without_git_it_holds_the_same_but_for_what_git_would_have_hidden(root: Path, tmp_path: Path):
    shutil.rmtree(root / ".git")
    (root / "key.secret").unlink()
    put(root, {".venv/bin/python": "", "package/__pycache__/x.pyc": "", ".dvc/tmp/lock": "", "package/module.py": ""})
    (root / ".dvc" / "config.local").unlink()
    target = make_workspace(root, root / ".work" / "copy", {})
    assert set(git(target, "ls-files").splitlines()) == COPIED | {"package/module.py"}
    assert (target / "data" / "listqa.jsonl").exists()


def test_only_the_overridden_values_differ_and_comments_stay(root: Path, tmp_path: Path):
    sizes = {"train": 24, "dev": 12, "test": 300}
    target = make_workspace(root, tmp_path / "copy", {"lambda": 0.3, "listqa.sizes": sizes, "domains": ["listqa"]})
    before, after = read_yaml(root / "params.yaml"), read_yaml(target / "params.yaml")
    before["lambda"], before["listqa"]["sizes"], before["domains"] = 0.3, sizes, ["listqa"]
    assert after == before
    assert after["train"]["learning_rate"] == 5e-4
    comments = [line for line in (root / "params.yaml").read_text().splitlines() if line.startswith("#")]
    assert set(comments) <= set((target / "params.yaml").read_text().splitlines())
    assert (root / "params.yaml").read_bytes() == (REPOSITORY / "params.yaml").read_bytes()


def test_unknown_keys_are_refused_all_at_once_before_anything_is_written(root: Path, tmp_path: Path):
    with pytest.raises(UsageError) as caught:
        make_workspace(root, tmp_path / "copy", {"listqa.stepps": 1, "seeds": [0], "seeds.first": 0, "lamda": 1.0})
    message = str(caught.value)
    assert "3 unknown key(s)" in message
    assert "listqa.stepps: no key 'stepps'. Allowed there: sizes, steps" in message
    assert "seeds.first" in message and "lamda: no key 'lamda'. Allowed there: lambda, domains" in message
    assert not (tmp_path / "copy").exists()


def test_a_value_that_params_may_not_hold_is_refused(root: Path, tmp_path: Path):
    with pytest.raises(UsageError, match=r"listqa\.steps: .*greater than or equal to 1 \(got 0\)"):
        make_workspace(root, tmp_path / "copy", {"listqa.steps": 0})


def test_the_commit_depends_on_the_files_alone(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = git(make_workspace(root, tmp_path / "one", {}), "rev-parse", "HEAD")
    # A user's configuration and a repository that Git is busy with, as in a hook.
    put(tmp_path, {"home/.gitconfig": "[user]\n\tname = Other\n\temail = other@localhost\n[commit]\n\tgpgSign = true\n"})
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_DIR", str(root / ".git"))
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2020-02-02T02:02:02")
    head = (root / ".git" / "HEAD").read_text()
    make_workspace(root, tmp_path / "another name", {})
    monkeypatch.delenv("GIT_DIR")
    assert git(tmp_path / "another name", "rev-parse", "HEAD") == first
    assert git(tmp_path / "another name", "rev-list", "--count", "HEAD") == "1"
    assert (root / ".git" / "HEAD").read_text() == head and git(root, "log", "-1", "--format=%s") == "first"


def test_it_replaces_its_own_and_nothing_else(root: Path, tmp_path: Path):
    target = make_workspace(root, tmp_path / "copy", {})
    put(target, {"results/listqa/split.json": "old"})
    make_workspace(root, target, {"listqa.steps": 5})
    assert not (target / "results").exists() and load_params(target / "params.yaml").listqa.steps == 5

    mine = tmp_path / "mine"
    put(mine, {"thesis.tex": "years of work"})
    with pytest.raises(PolychromicError, match="it is no workspace and stays as it is"):
        make_workspace(root, mine, {})
    assert [path.name for path in mine.iterdir()] == ["thesis.tex"]
    with pytest.raises(PolychromicError, match="it is no workspace"):
        make_workspace(root, root, {})
    with pytest.raises(PolychromicError, match="is a file"):
        make_workspace(root, mine / "thesis.tex", {})


def test_absent_data_are_pulled_from_the_store_of_the_root(root: Path, tmp_path: Path):
    """A fresh clone in which nothing was pulled, the store being a folder of the repository."""
    dvc = [sys.executable, "-m", "dvc"]
    environment = workspace_environment(root)
    (root / ".dvc" / "config.local").unlink()
    for arguments in (["add", "--quiet", "data"], ["push", "--quiet", "data.dvc"]):
        subprocess.run([*dvc, *arguments], cwd=root, env=environment, check=True)
    shutil.rmtree(root / "data")
    shutil.rmtree(root / ".dvc" / "cache")
    target = make_workspace(root, tmp_path / "copy", {})
    assert (target / "data" / "listqa.jsonl").read_text() == "{}\n"
    assert not (root / "data").exists() and not (root / ".dvc" / "cache").exists()
    assert (target / ".dvc" / "cache").is_dir()

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


def test_smoke_parameters_are_valid_for_the_real_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The cheap half of the smoke run: its parameters load, and its split passes the checks on leakage and strata."""
    target = make_workspace(REPOSITORY, tmp_path / "smoke", SMOKE, SMOKE_METHODS, lambdas=())
    params = load_params(target / "params.yaml")
    cells = {stage for stage in pipeline(target) if stage.startswith(CELL_STAGES)}
    opened = {f"sample_test@listqa-{name}" for name in SMOKE_METHODS}  # declared, and not run: the smoke run ends with dev's report
    assert cells == {"prompted@listqa-zero_shot", "prompted@listqa-few_shot", "lora@listqa-lora", "poly@listqa-3.0"} | opened
    assert (params.domains, params.seeds, params.listqa.steps, params.listqa.temperatures) == (["listqa"], [0], 4, [1.0])
    assert params.sampling.n >= 10  # pass@10 needs ten
    assert params.model == load_params(REPOSITORY / "params.yaml").model
    subprocess.run(["python", "-m", "polychromic", "split", "listqa"], cwd=target, env=workspace_environment(target), check=True)
    splits = json.loads((target / "results" / "listqa" / "split.json").read_text())["splits"]
    assert len(splits["train"]) >= 24 and len(splits["dev"]) >= 12 and len(splits["test"]) >= 300


# a smaller grid

CELL_STAGES = ("prompted", "listed", "lora", "decoded", "losses", "rft", "objectives", "poly", "code_", "sample_test")


KEPT = [("prompted", "zero_shot"), ("prompted", "few_shot"), ("lora", "lora"), ("rft", "rft")]
POLY = {"listqa": "poly", "replies": "poly_core"}
OPENED = {"listqa": "sample_test", "replies": "sample_test_others", "creative": "sample_test_others", "code": "sample_test_code"}
PIPELINE = """
import json
from dvc.repo import Repo
stages = [stage for stage in Repo().index.stages if stage.cmd]
print(json.dumps({s.addressing: [[dep.def_path for dep in s.deps], [out.def_path for out in s.outs]] for s in stages}))
"""


def pipeline(folder: Path) -> dict[str, tuple[list[str], list[str]]]:
    """stage -> (deps, outs), as DVC reads dvc.yaml."""
    command = [sys.executable, "-c", PIPELINE]
    done = subprocess.run(command, cwd=folder, env=workspace_environment(folder), check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_some_cells_are_kept_with_all_that_reads_them(tmp_path: Path):
    methods = ["zero_shot", "few_shot", "lora", "polychromic", "rft", "gem"]
    target = make_workspace(REPOSITORY, tmp_path / "copy", {}, methods, [0.3])
    found, whole = pipeline(target), pipeline(REPOSITORY)
    assert {stage for stage in found if stage.startswith(CELL_STAGES)} == {
        *(f"{stage}@{domain}-{cell}" for domain in POLY for stage, cell in KEPT),
        *(f"{stage}@{domain}-{lam}" for domain, stage in POLY.items() for lam in (0.3, 3.0)),
        *(f"{stage}@creative-{cell}" for stage, cell in KEPT[:3]),
        *(f"code_{stage}@code-{cell}" for stage, cell in KEPT[:3]),
        *(f"{stage}@{domain}-{system}" for domain, stage in OPENED.items() for system in methods if system != "gem"),
        *("poly_headline@creative-3.0", "code_poly@code-3.0"),
        "losses@listqa-gem",
    }
    assert found.keys() <= whole.keys() and all(stage.startswith(CELL_STAGES) for stage in whole.keys() - found.keys())
    made = {out for _, outs in found.values() for out in outs}
    for stage, (deps, outs) in found.items():
        assert outs == whole[stage][1]
        assert set(deps) == {dep for dep in whole[stage][0] if not dep.startswith("results/") or dep in made}
    scored = {Path(dep).parent.name for dep in found["score@listqa"][0] if dep.endswith("samples.jsonl.gz")}
    assert scored == {"zero_shot", "few_shot", "lora", "rft", "gem", "polychromic-0.3", "polychromic-3.0"}
    on_test = {Path(dep).name.removesuffix(".jsonl.gz") for dep in found["score_test@listqa"][0] if "/test/" in dep}
    assert on_test == {"zero_shot", "few_shot", "lora", "rft", "polychromic"}
    params = load_params(target / "params.yaml")
    for domain in params.domains:
        plan = params.test_plan(domain)
        assert set(plan.systems) == on_test and {name for pair in plan.contrasts for name in (pair.a, pair.b)} <= on_test
        assert ("rft", "lora") in {(pair.a, pair.b) for pair in plan.contrasts} or domain == "replies"
    assert list(params.methods) == [name for name in load_params(REPOSITORY / "params.yaml").methods if name in methods]
    assert {name for contrast in params.analysis.contrasts for name in (contrast.a, contrast.b)} <= {*methods, *BEST}


def test_all_cells_are_kept_unless_told_otherwise(tmp_path: Path):
    target = make_workspace(REPOSITORY, tmp_path / "copy", {})
    assert (target / "dvc.yaml").read_bytes() == (REPOSITORY / "dvc.yaml").read_bytes()
    methods = load_params(REPOSITORY / "params.yaml").methods
    everything = make_workspace(REPOSITORY, tmp_path / "everything", {}, list(methods), None)
    assert YAML(typ="safe").load(everything / "dvc.yaml") == YAML(typ="safe").load(REPOSITORY / "dvc.yaml")
    comments = lambda path: [line.split("#", 1)[1] for line in path.read_text().splitlines() if "#" in line]
    assert comments(everything / "dvc.yaml") == comments(REPOSITORY / "dvc.yaml")


@pytest.mark.parametrize(
    ("methods", "lambdas", "message"),
    [
        (["lora", "dora"], None, "methods to keep: dora not in the grid. Allowed: zero_shot, few_shot"),
        (None, [0.3, 0.7], "lambdas to keep: 0.7 not in the grid. Allowed: 0.1, 0.3, 1.0, 3.0, 10.0"),
        (["zero_shot", "few_shot", "polychromic"], None, "methods to keep: lora not among them; the four baselines are always there"),
    ],
)
def test_cells_that_do_not_exist_or_may_not_go_are_refused(methods, lambdas, message, tmp_path: Path):
    with pytest.raises(UsageError, match=message):
        make_workspace(REPOSITORY, tmp_path / "copy", {}, methods, lambdas)


COMPARE = {
    "split": "dev",
    "primary": "valid_distinct@10",
    "quality": "pass@1",
    "systems": [
        {
            "label": "lora",
            "temperature": 1.0,
            "metrics": {"valid_distinct@10": {"mean": 2.34567}, "pass@1": {"mean": 0.5}, "semantic_diversity": {"mean": 0.25}},
        }
    ],
}


@pytest.mark.parametrize("code", [0, 3])
def test_smoke_says_what_it_found_or_where_it_failed(code: int, root: Path, tmp_path: Path, monkeypatch, capsys):
    ran = {}
    real = subprocess.run

    def dvc(command, **options):
        if command[1:] != ["-m", "dvc", "repro", "report@listqa"]:
            return real(command, **options)
        ran.update(options)
        put(options["cwd"], {"results/listqa/compare.json": json.dumps(COMPARE), "paper/figures/listqa-frontier.pdf": ""})
        return subprocess.CompletedProcess(command, code)

    monkeypatch.setattr(workspace.subprocess, "run", dvc)
    monkeypatch.setenv("COLUMNS", "120")
    target = root / ".work" / "smoke"
    if code:
        with pytest.raises(PolychromicError, match="the smoke run failed in"):
            run_smoke(root, target)
        return
    run_smoke(root, target)
    said = capsys.readouterr().out
    assert ran["cwd"] == target and ran["env"]["PATH"].startswith(str(Path(sys.executable).parent) + os.pathsep)
    assert "lora" in said and "2.346" in said and f"figures: {target / 'paper' / 'figures' / 'listqa-frontier.pdf'}" in said
    values = read_yaml(target / "params.yaml")
    assert values["domains"] == ["listqa"] and tuple(values["methods"]) == SMOKE_METHODS
