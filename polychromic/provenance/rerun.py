"""Run one stage again where it cannot see what it made before: a workspace of its own, its recorded inputs, an empty cache.

Only weights and packages are shared, which are pinned by hash. The workspace is under .work/audit/ and is made anew each time, so a
kill leaves nothing that a later run would read; the stage dies with the process that started it.
"""

from __future__ import annotations

import ctypes
import gzip
import os
import shlex
import shutil
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.locks import single_writer
from polychromic.params import read_yaml
from polychromic.pipeline.workspace import make_workspace, workspace_environment
from polychromic.provenance.declared import Declared
from polychromic.provenance.lock import File, Stage, stored
from polychromic.provenance.pipeline import md5_file
from polychromic.provenance.reach import command_of
from polychromic.provenance.state import State, briefly
from polychromic.report.audit import AuditedOut

FOLDER = Path(".work") / "audit"
SHARED = ("weights", "packages")  # content-addressed, and the hash is checked against params.yaml or the source's pins
BINARY = (".pdf", ".svg")
PR_SET_PDEATHSIG = 1


@contextmanager
def laboratory(here: State) -> Iterator[Path]:
    """A fresh workspace with the sources of `here` and no result; gone afterwards.

    Raises:
        PolychromicError: another audit is running here.
    """
    base = (here.folder / FOLDER).resolve()
    with single_writer(base):
        shutil.rmtree(base, ignore_errors=True)
        try:
            target = make_workspace(here.folder, base / "workspace", {})
            for source in (here.folder, target):  # a model of one's own may be named relative to the workspace
                for section in ("model", "encoder"):
                    _link_model(read_yaml(source / paths.PARAMS).get(section, {}), here.folder, target)
            yield target
        finally:
            shutil.rmtree(base, ignore_errors=True)


def _link_model(source: dict, root: Path, target: Path) -> None:
    path = Path(str(source.get("path", "")))
    if source.get("source") == "folder" and not path.is_absolute() and not (target / path).exists():
        place = Path(os.path.normpath(target / path))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to((root / path).resolve())


def place(here: State, target: Path, file: File) -> None:
    """Put the file into the workspace with the bytes that dvc.lock records.

    Raises:
        PolychromicError: neither the workspace nor the store has these bytes.
    """
    path = here.folder / file.path
    found = path if path.is_file() and here.md5(path) == file.md5 else stored(here.folder, file.md5) if file.md5 else None
    if found is None or md5_file(found) != file.md5:
        got = f"md5 {briefly(here.md5(path))}" if path.is_file() else "not here"
        raise PolychromicError(
            f"{file.path}: {got}, dvc.lock has {briefly(file.md5)}, and store/ has no such object. A stage runs again on what it read. "
            "Run `dvc pull`; if the file was changed since, `polychromic verify` says what is stale."
        )
    (target / file.path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(found, target / file.path)


def environment(target: Path) -> dict[str, str]:
    """That of a workspace, with a cache that holds nothing but what is pinned by hash."""
    cache = target.parent / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for name in SHARED:
        (paths.cache_dir() / name).mkdir(parents=True, exist_ok=True)
        if not (cache / name).exists():
            (cache / name).symlink_to((paths.cache_dir() / name).resolve())
    return workspace_environment(target) | {"POLYCHROMIC_CACHE": str(cache)}


def run(command: str | Sequence[str], target: Path) -> bool:
    """Run a command in the workspace, its output on stderr; whether it ended well."""
    words = command
    if isinstance(command, str) and command_of(command):
        words = [sys.executable, *shlex.split(command)[1:]]  # no shell between: who is killed with us is the stage itself
    done = subprocess.run(words, shell=isinstance(words, str), cwd=target, env=environment(target), stdin=subprocess.DEVNULL,
                          stdout=sys.stderr, preexec_fn=_die_with_parent, check=False)  # fmt: skip # noqa: S602
    return done.returncode == 0


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def run_stage(here: State, stage: Declared, ran: Stage, target: Path) -> list[AuditedOut]:
    """Run the stage on the inputs that dvc.lock records, and compare what it makes with the outs that dvc.lock records.

    Raises:
        PolychromicError: an input is not to be had, or code has changed since the stage ran.
    """
    for dep in ran.deps:
        if (target / dep.path).is_file() and md5_file(target / dep.path) == dep.md5:
            continue
        if dep.path.endswith((".py", ".lock", ".yaml", ".txt")):
            raise PolychromicError(
                f"{dep.path} is not the file that {stage.name} ran with ({briefly(dep.md5)}). An audit runs a stage again as it ran. "
                "Run `dvc repro` first, or take the edit back."
            )
        place(here, target, dep)
    for out in ran.outs:
        (target / out.path).unlink(missing_ok=True)
        (target / out.path).parent.mkdir(parents=True, exist_ok=True)
    ended = run(stage.cmd, target)
    return [compared(here, out, target / out.path if ended else None) for out in ran.outs]


def compared(here: State, out: File, again: Path | None) -> AuditedOut:
    """The recorded out beside the one that was made again; None where it was not made."""
    path = again if again is not None and again.is_file() else None
    got = md5_file(path) if path else None
    before = here.place(out)
    one, other = (lines(file) if file and not out.path.endswith(BINARY) else None for file in (before, path))
    if one is None or other is None:
        return AuditedOut(path=out.path, expected=str(out.md5), got=got)
    equal = sum(a == b for a, b in zip(one, other, strict=False))
    return AuditedOut(path=out.path, expected=str(out.md5), got=got, rows=max(len(one), len(other)), rows_equal=equal)


def lines(path: Path) -> list[bytes] | None:
    """The lines of a text file, unpacked where it is packed; None where it cannot be."""
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            return None
    return content.splitlines()
