"""Can the main job (`make paper`) run here, and if not, what is to be done?

Each check looks and changes nothing: no download, no torch. A check is required (`ok` is True or False) or optional (`ok` is True, or None
where the thing is missing). Values of API keys are never read further than "present or not".
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.table import Table
from rich.text import Text

from polychromic.base import hardware
from polychromic.base.errors import PolychromicError
from polychromic.base.paths import DATA, cache_dir
from polychromic.data.domains.code.sandbox.run import Test, passes
from polychromic.data.domains.code.sandbox.walls import WALLS, try_walls
from polychromic.models.weights import Source, check_available

PYTHON = (3, 11)
KEYS = {"ANTHROPIC_API_KEY": "the judge by a large model (polychromic judge)", "APIFY_TOKEN": "collecting new posts"}
LATEX_PACKAGES = "latexmk texlive-latex-recommended texlive-pictures texlive-fonts-recommended lmodern"
FREE_BYTES = 4 * 2**30  # the model in float32 stands twice on disk while it is converted (1.1 GB); the rest is samples and adapters
STORE = Path("store/files/md5")
# A program whose calls must give what is asked, and one whose calls must not.
PROGRAM = "def double(numbers):\n    return [2 * number for number in numbers]\n"
CALLS = {True: [Test("double", ([1, 2],), [2, 4])], False: [Test("double", ([1, 2],), [1, 2])]}


class Check(NamedTuple):
    """One finding. `ok`: True; False (required and missing); None (optional and missing). remedy: what to do unless ok."""

    name: str
    ok: bool | None
    got: str
    expected: str
    remedy: str


def diagnose(root: Path, sources: Mapping[str, Source], sandbox: bool = False) -> list[Check]:
    """Run every check on the workspace `root`; `sources` names the weights that params.yaml asks for."""
    python = ".".join(map(str, PYTHON))
    remedy = f"Install Python {python}, delete .venv and run make again."
    return [
        Check("python", sys.version_info[:2] == PYTHON, platform.python_version(), python, remedy),
        _packages(root / "requirements.lock"),
        *(_weights(name, source) for name, source in sources.items()),
        _data(root),
        Check("store", (root / STORE).is_dir(), str(STORE), "the objects that `dvc pull` copies", "git checkout -- store"),
        _disk(root),
        _latex(),
        _bfloat16(),
        _gpu(),
        *(_key(name, purpose) for name, purpose in KEYS.items()),
        *(_sandbox() if sandbox else []),
    ]


def to_json(checks: list[Check]) -> dict[str, Any]:
    """ok: whether the main job can run."""
    found = [check._asdict() | {"remedy": "" if check.ok else check.remedy} for check in checks]
    return {"ok": all(check.ok is not False for check in checks), "checks": found}


def render(document: Mapping[str, Any]) -> Table:
    """What `to_json` gives as a table; texts are taken literally, without markup."""
    status = {True: Text("ok", "green"), False: Text("FAILED", "bold red"), None: Text("optional", "yellow")}
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("check", "status", "got", "expected", "what to do"):
        table.add_column(heading, overflow="fold")  # a command cut short with an ellipsis could not be copied
    for check in document["checks"]:
        # What was expected matters where it was not met; leaving it out elsewhere keeps the table narrow.
        expected = "" if check["ok"] else check["expected"]
        table.add_row(Text(check["name"]), status[check["ok"]], *map(Text, (check["got"], expected, check["remedy"])))
    return table


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


def _data(root: Path) -> Check:
    if not (root / DATA).is_dir():
        got, remedy = "missing", "dvc pull data.dvc"
    else:
        got, remedy = "not as recorded", "dvc checkout --force data.dvc (undoes your changes), or dvc add data (keeps them)"
        same = subprocess.run([sys.executable, "-m", "dvc", "status", "--quiet", "data.dvc"], cwd=root, capture_output=True, check=False)
        if same.returncode == 0:
            got = "as recorded"
    return Check("data", got == "as recorded", got, f"{DATA}/*.jsonl as data.dvc records them", remedy)


def _disk(root: Path) -> Check:
    cache = cache_dir().absolute()
    free = min(shutil.disk_usage(path).free for path in (root, next(path for path in (cache, *cache.parents) if path.exists())))
    remedy = "Free some space, or set POLYCHROMIC_CACHE to a folder on a larger disk."
    return Check("free disk", free >= FREE_BYTES, f"{free / 2**30:.1f} GiB", f"{FREE_BYTES / 2**30:.0f} GiB, here and in the cache", remedy)


def _latex() -> Check:
    missing = [program for program in ("latexmk", "pdflatex") if shutil.which(program) is None]
    got, remedy = f"no {', '.join(missing)}" if missing else "found", f"apt-get install --no-install-recommends {LATEX_PACKAGES}"
    said = f"Needed only to change the paper; as root `make paper` does: {remedy}"
    return Check("latex", not missing or None, got, "latexmk, pdflatex", said)


def _bfloat16() -> Check:
    fast, name = hardware.fast_bfloat16(), hardware.cpu_model()
    got = {True: "fast", False: f"about {hardware.SLOWER} times slower than float32", None: "unknown"}[fast]
    remedy = "Nothing to restore the paper. To run cells: another processor, or train.precision and sampling.precision float32."
    return Check("bfloat16", fast or None, f"{got}: {name}", "a processor with AVX-512, or Arm with bf16", remedy)


def _gpu() -> Check:
    there, build = shutil.which("nvidia-smi") is not None, _version("torch")
    got = f"{'a driver' if there else 'none (no nvidia-smi)'}; torch {build}"
    remedy = "Nothing: everything runs on the CPU. To use a GPU, install its driver and a CUDA build of torch (Dockerfile: build argument)."
    return Check("gpu", (there and not build.endswith("+cpu")) or None, got, "an NVIDIA GPU and a CUDA build of torch", remedy)


def _key(name: str, purpose: str) -> Check:
    present = bool(os.environ.get(name))  # no more is read of it
    expected, remedy = f"set, for {purpose}", f"export {name}=..., only if you want {purpose}"
    return Check(name, present or None, "present" if present else "not set", expected, remedy)


def _sandbox() -> list[Check]:
    """Whether a program of domain code can be run and is judged by what it returns, and then each wall: whether programs get through it."""
    remedy = "Only domain code needs it: docs/reproduce.md."
    try:
        judged = {expected: passes(PROGRAM, tests) for expected, tests in CALLS.items()}
        ok, got = all(expected is found for expected, found in judged.items()), f"{judged[True]}, {judged[False]}"
        through = try_walls(Path(tempfile.gettempdir())) if ok else {}
    except PolychromicError as error:
        ok, got, through = False, str(error), {}
    checks = [Check("sandbox", ok, got, "True, False: a right program passes, a wrong one fails", remedy)]
    for wall, names in through.items():
        got = f"got through: {', '.join(names)}" if names else f"stands against {len(WALLS[wall])} programs"
        checks.append(Check(f"wall: {wall}", not names, got, "no program gets through", remedy))
    return checks
