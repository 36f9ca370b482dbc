"""One writer per output, and no orphan: a cell holds a lock and dies with the `dvc` that started it.

`kill -9` of dvc leaves the process of its stage alive; the next `dvc repro` would start a second writer.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from polychromic.base import paths, processes
from polychromic.base.errors import PolychromicError
from polychromic.base.io import sha256_json

LOCKS = Path("/proc/locks")


def _guardian() -> psutil.Process | None:
    """The nearest ancestor that runs dvc, when dvc started this process (it sets DVC_STAGE)."""
    if "DVC_STAGE" not in os.environ:
        return None
    for parent in psutil.Process().parents():
        if any(Path(word).name == "dvc" or word == "dvc" for word in parent.cmdline()[:3]):
            return parent
    return None


def die_with_parent(poll_seconds: float = 1.0) -> None:
    """From now on, end this process at once when the dvc process that started it is gone."""
    guardian = _guardian()
    if guardian is None:
        if "DVC_STAGE" in os.environ and os.getppid() == 1:
            raise PolychromicError("the dvc process that started this stage is gone. Run `dvc repro` again.")
        return

    def watch() -> None:
        try:
            while guardian.is_running() and guardian.status() != psutil.STATUS_ZOMBIE:
                time.sleep(poll_seconds)
        except psutil.NoSuchProcess:
            pass  # it went between the two questions
        os.kill(os.getpid(), signal.SIGKILL)  # nothing to clean up: all outputs are written atomically

    threading.Thread(target=watch, daemon=True, name="die-with-parent").start()


def holder(lock: Path) -> str:
    """Who holds the lock of a file: number and command of the process, where the system tells."""
    try:
        wanted = f":{lock.stat().st_ino}"
        rows = [line.split() for line in LOCKS.read_text(encoding="utf-8").splitlines()]
        number = next(int(row[4]) for row in rows if row[1] == "FLOCK" and row[5].endswith(wanted) and int(row[4]))
        process = psutil.Process(number)
        since = time.strftime("%H:%M", time.localtime(process.create_time()))
        return f"process {number}, `{' '.join(process.cmdline())[:100]}`, which runs since {since}"
    except (OSError, StopIteration, IndexError, ValueError, psutil.Error):
        return "who it is, the system does not tell"


@contextmanager
def single_writer(target: Path, wait_seconds: float = 20.0) -> Iterator[None]:
    """Hold the lock of `target` while the block runs. Of the processes of one command (torchrun) the first one holds it for all.

    Raises:
        PolychromicError: another process holds it and does not let go within `wait_seconds`; the first process says so for all.
    """
    if not processes.first():
        if not processes.told(True):  # what is wrong, the first one says
            raise SystemExit(1)
        yield
        return
    folder = paths.cache_dir() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file := folder / f"{sha256_json(os.path.realpath(target))[:32]}.lock")
    try:
        lock.acquire(timeout=wait_seconds)
    except Timeout:
        processes.told(False)
        said = f"{target}: another process is writing it ({holder(file)}, lock {file}). One writer at a time is allowed."
        raise PolychromicError(f"{said} Wait until it ends, or stop it, and run the command again.") from None
    try:
        processes.told(True)
        yield
    finally:
        lock.release()
