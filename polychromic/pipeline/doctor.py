"""Can the main job (`make paper`) run here, and if not, what is to be done?

Each check looks and changes nothing: no download, no torch. A check is required (`ok` is True or False) or
optional (`ok` is True, or None where the thing is missing). Values of API keys are never read further than
"present or not".
"""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from rich import box
from rich.table import Table
from rich.text import Text
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from polychromic.base import hardware
from polychromic.base.errors import PolychromicError
from polychromic.base.paths import DATA, PAPER, cache_dir
from polychromic.models.weights import Source, cached, check_available

PYTHON = (3, 11)
KEYS = {"ANTHROPIC_API_KEY": "the judge by a large model", "APIFY_TOKEN": "collecting new posts"}
LATEX_PACKAGES = "latexmk texlive-latex-recommended texlive-pictures texlive-fonts-recommended lmodern"
FREE_BYTES = 4 * 2**30  # the model in float32 stands twice on disk while it is converted (1.1 GB); the rest is samples and adapters


@dataclass(frozen=True)
class Check:
    """One finding. `ok`: True; False (required and missing); None (optional and missing). `remedy` is empty when ok."""

    name: str
    ok: bool | None
    got: str
    expected: str
    remedy: str = ""


def diagnose(root: Path, sources: Mapping[str, Source]) -> list[Check]:
    """Run every check on the workspace `root`; `sources` names the weights that params.yaml asks for."""
    return [
        _python(),
        _packages(root / "requirements.lock"),
        *(_weights(name, source) for name, source in sources.items()),
        _data(root),
        _remote(root),
        _disk(root),
        _latex(root),
        _bfloat16(),
        _gpu(),
        *(_key(name, purpose) for name, purpose in KEYS.items()),
    ]


def sandbox_check(tick: Callable[[int], None]) -> Check:
    """HumanEval's own solutions in the sandbox of domain code: about a minute, and 40 KB are downloaded once. tick: problems done."""
    from polychromic.pipeline import human_eval

    expected = "HumanEval's own solutions pass, empty ones fail"
    try:
        found = human_eval.verdicts(human_eval.problems(), tick)
    except PolychromicError as error:
        return Check("sandbox", False, str(error), expected, "Do what the message says; domain code alone needs the sandbox.")
    got = f"{found.problems - len(found.failed)} of {found.problems} pass; {len(found.passed)} empty ones do"
    names = ", ".join([*found.failed, *found.passed])
    return _check("sandbox", found.right, got, expected, f"Judged wrongly: {names}. Is the machine overloaded? Run it again.")


def failed(checks: Sequence[Check]) -> list[Check]:
    """The checks for which the main job could not run."""
    return [check for check in checks if check.ok is False]


def render(checks: Sequence[Check]) -> Table:
    """A table with what to do for each failure; texts are taken literally, without markup."""
    status = {True: Text("ok", "green"), False: Text("FAILED", "bold red"), None: Text("optional", "yellow")}
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("check", "status", "got", "expected", "what to do"):
        table.add_column(heading, overflow="fold")  # a command cut short with an ellipsis could not be copied
    for check in checks:
        # What was expected matters where it was not met; leaving it out elsewhere keeps the table narrow.
        table.add_row(Text(check.name), status[check.ok], Text(check.got), Text("" if check.ok else check.expected), Text(check.remedy))
    return table


def to_json(checks: Sequence[Check]) -> dict[str, Any]:
    return {"ok": not failed(checks), "checks": [asdict(check) for check in checks]}


def _check(name: str, ok: bool | None, got: str, expected: str, remedy: str) -> Check:
    return Check(name, ok, got, expected, "" if ok else remedy)


def _python() -> Check:
    wanted = ".".join(map(str, PYTHON))
    remedy = f"Install Python {wanted}, delete .venv and run make again."
    return _check("python", sys.version_info[:2] == PYTHON, platform.python_version(), wanted, remedy)


def _packages(lock: Path) -> Check:
    expected = f"the versions of {lock.name}"
    if not lock.is_file():
        return Check("packages", False, f"no {lock.name}", expected, f"Restore it: git checkout {lock.name}")
    differences, pinned = [], 0
    for number, line in enumerate(lock.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.split(" #")[0].split(" --hash")[0].strip().rstrip("\\").strip()
        if not text or text.startswith(("#", "-")):
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            differences.append(f"{lock.name}:{number}: not a requirement: {text}")
            continue
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        pinned += 1
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            differences.append(f"{requirement.name}: not installed, {requirement.specifier} expected")
            continue
        if not requirement.specifier.contains(version, prereleases=True):  # "==2.13.0" admits a local build such as 2.13.0+cpu
            differences.append(f"{requirement.name}: {version}, {requirement.specifier} expected")
    got = "\n".join(differences) or f"{pinned} packages as pinned"
    return _check("packages", not differences and pinned > 0, got, expected, f"python -m pip install -r {lock.name}")


def _weights(name: str, source: Source) -> Check:
    expected = f"{source} in the cache, or to be had"
    try:
        found = cached(source)
        got = f"in {found}" if found else check_available(source)
    except PolychromicError as error:
        return Check(
            f"weights: {name}", False, str(error), expected, f"Do what the message says, or set `{name}` in params.yaml to source: folder."
        )
    return Check(f"weights: {name}", True, got, expected)


def _yaml(path: Path) -> dict[str, Any] | None:
    """A YAML mapping, or None where the file is missing or no such thing."""
    if not path.is_file():
        return None
    try:
        value = YAML(typ="safe", pure=True).load(path)
    except YAMLError:
        return None
    return value if isinstance(value, dict) else None


def _md5(path: Path) -> str | None:
    """The hash by which DVC knows a file, or a folder: of the JSON list of its files' hashes, in order of their paths."""
    if path.is_file():
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    if not path.is_dir():
        return None
    files = sorted(child.relative_to(path).as_posix() for child in path.rglob("*") if child.is_file())
    rows = [{"md5": _md5(path / name), "relpath": name} for name in files]
    return hashlib.md5(json.dumps(rows, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def _data(root: Path) -> Check:
    expected, remedy = f"{DATA}/*.jsonl as data.dvc records them", "dvc pull data.dvc"
    tracked = _yaml(root / "data.dvc")
    outs = [out for out in (tracked or {}).get("outs", []) if "md5" in out and "path" in out]
    if not outs:
        return Check("data", False, "no data.dvc, or nothing in it", expected, "git checkout data.dvc && dvc pull data.dvc")
    problems = []
    for out in outs:
        got = _md5(root / out["path"])
        if got is None:
            problems.append(f"{out['path']}: missing")
        elif got != out["md5"]:
            problems.append(f"{out['path']}: md5 {got}, {out['md5']} expected")
    if not problems and not list((root / DATA).glob("*.jsonl")):
        problems.append(f"{DATA}: no .jsonl file")
    if any("md5" in problem for problem in problems):
        remedy = "dvc checkout --force data.dvc (undoes your changes), or dvc add data (keeps them)"
    return _check("data", not problems, "\n".join(problems) or "as recorded", expected, remedy)


def _remote_url(root: Path) -> tuple[str, str] | None:
    """Name and URL of the default DVC remote; a relative URL starts at .dvc/."""
    config = configparser.ConfigParser()
    try:
        config.read([root / ".dvc" / "config", root / ".dvc" / "config.local"], encoding="utf-8")
    except configparser.Error:
        return None
    name = config.get("core", "remote", fallback=None)
    url = config.get(f"'remote \"{name}\"'", "url", fallback=None)
    return (name, url) if name and url else None


def _store(root: Path) -> Path | None:
    remote = _remote_url(root)
    return None if remote is None or "://" in remote[1] else (root / ".dvc" / remote[1]).resolve()


def _remote(root: Path) -> Check:
    expected, remote = "a default remote with its objects", _remote_url(root)
    if remote is None:
        return Check("dvc remote", False, "none is configured in .dvc/config", expected, "git checkout .dvc/config")
    store = _store(root)
    if store is None:
        return Check("dvc remote", True, f"{remote[0]}: {remote[1]} (not asked)", expected)
    present = (store / "files" / "md5").is_dir()
    got = f"{remote[0]}: {store.name}/" + ("" if present else " has no objects")
    return _check("dvc remote", present, got, expected, f"git checkout -- {store.name}")


def _disk(root: Path) -> Check:
    cache = cache_dir().absolute()
    places = {"workspace": root.absolute(), "cache": next(path for path in (cache, *cache.parents) if path.exists())}
    free = {name: shutil.disk_usage(path).free for name, path in places.items()}
    got = ", ".join(f"{name} {size / 2**30:.1f} GiB" for name, size in free.items())
    remedy = "Free some space, or set POLYCHROMIC_CACHE to a folder on a larger disk."
    return _check("free disk", min(free.values()) >= FREE_BYTES, got, f"at least {FREE_BYTES / 2**30:.0f} GiB each", remedy)


def _pdf_at_hand(root: Path) -> bool:
    """Whether the paper of dvc.lock is in the workspace or in the store, so that LaTeX is not needed for it."""
    stages = (_yaml(root / "dvc.lock") or {}).get("stages", {})
    outs = [out for stage in stages.values() for out in stage.get("outs", []) if out.get("path") == (PAPER / "main.pdf").as_posix()]
    if not outs or not (md5 := outs[0].get("md5")):
        return False
    store = _store(root)
    return _md5(root / PAPER / "main.pdf") == md5 or (store is not None and (store / "files" / "md5" / md5[:2] / md5[2:]).is_file())


def _missing_latex(root: Path) -> list[str]:
    """Programs and style files that the paper needs and this machine lacks."""
    missing = [program for program in ("latexmk", "pdflatex") if shutil.which(program) is None]
    main = root / PAPER / "main.tex"
    if missing or shutil.which("kpsewhich") is None or not main.is_file():
        return missing
    groups = re.findall(r"^[^%\n]*\\usepackage(?:\[[^\]]*\])?\{([^}]+)\}", main.read_text(encoding="utf-8"), re.MULTILINE)
    styles = [f"{name.strip()}.sty" for group in groups for name in group.split(",")]
    found = subprocess.run(["kpsewhich", *styles], capture_output=True, text=True, cwd=main.parent, check=False).stdout if styles else ""
    names = {Path(line).name for line in found.splitlines()}
    return [style for style in styles if style not in names]


def _latex(root: Path) -> Check:
    expected = "latexmk, pdflatex and the paper's styles"
    if not (missing := _missing_latex(root)):
        return Check("latex", True, "found", expected)
    got, install = f"no {', '.join(missing)}", f"apt-get install --no-install-recommends {LATEX_PACKAGES}"
    if _pdf_at_hand(root):
        return Check("latex", None, got + "; the recorded PDF is at hand", expected, f"Needed only to change the paper: {install}")
    if os.geteuid() == 0 and shutil.which("apt-get"):
        return Check("latex", None, got, expected, f"`make paper` installs it, as you are root: {install}")
    return Check("latex", False, got, expected, f"sudo {install}")


def _bfloat16() -> Check:
    fast, name = hardware.fast_bfloat16(), hardware.cpu_model()
    got = {True: "fast", False: f"about {hardware.SLOWER} times slower than float32", None: "unknown"}[fast]
    remedy = "Nothing to restore the paper. To run cells: another processor, or train.precision and sampling.precision float32."
    return _check("bfloat16", fast or None, f"{got}: {name}", "a processor with AVX-512, or Arm with bf16", remedy)


def _gpu() -> Check:
    expected = "an NVIDIA GPU and a CUDA build of torch (faster; not needed)"
    if shutil.which("nvidia-smi") is None:
        return Check("gpu", None, "none (no nvidia-smi)", expected, "Nothing: everything runs on the CPU.")
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode or not done.stdout.strip():
        remedy = "Check the driver with nvidia-smi, or go on: everything runs on the CPU."
        return Check("gpu", None, "nvidia-smi finds none", expected, remedy)
    got = "; ".join(done.stdout.strip().splitlines())
    try:
        build = metadata.version("torch")
    except metadata.PackageNotFoundError:
        build = "not installed"
    if build == "not installed" or build.endswith("+cpu"):
        remedy = "Install a CUDA build of torch to use it (Dockerfile: build argument)."
        return Check("gpu", None, f"{got}; torch {build}", expected, remedy)
    return Check("gpu", True, got, expected)


def _key(name: str, purpose: str) -> Check:
    present = bool(os.environ.get(name))
    got = "present" if present else "not set"
    return _check(name, present or None, got, f"set, for {purpose}", f"export {name}=..., only if you want {purpose}")
