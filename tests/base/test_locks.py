"""Real processes: a second writer is refused, and a cell dies with the dvc that started it. All are addressed by their pid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest

from polychromic.base import locks
from polychromic.base.errors import PolychromicError
from polychromic.base.locks import die_with_parent, single_writer
from tests.workspace import REPOSITORY


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def wait_for(condition, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def test_who_holds_a_lock_is_said_only_where_the_system_tells(tmp_path, monkeypatch):
    (tmp_path / "lock").touch()
    assert locks.holder(tmp_path / "lock") == locks.holder(tmp_path / "none") == "who it is, the system does not tell"
    monkeypatch.setattr(locks, "LOCKS", tmp_path / "none")
    assert locks.holder(tmp_path / "lock") == "who it is, the system does not tell"


HOLD = """
import sys, time
from pathlib import Path
from polychromic.base.locks import single_writer
with single_writer(Path(sys.argv[1])):
    print("holding", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def held(tmp_path):
    """(target, the process that holds its lock)."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", HOLD, str(tmp_path / "cell")]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert holder.stdout.readline() == "holding\n", holder.stderr.read()
        yield tmp_path / "cell", holder
    finally:
        holder.kill()
        holder.wait()


def test_a_second_writer_waits_and_is_then_refused(held, tmp_path):
    started = time.monotonic()
    with pytest.raises(PolychromicError) as error, single_writer(held[0], wait_seconds=0.6):
        pytest.fail("two writers")
    assert 0.5 < time.monotonic() - started < 10 and error.value.exit_code == 1
    who = f"process {held[1].pid}, `{sys.executable} -c"
    said = (str(held[0]), "another process is writing it", who, "which runs since", "One writer at a time", "run the command again")
    for fragment in said:
        assert fragment in str(error.value)
    with single_writer(tmp_path / "other", wait_seconds=0.1):
        pass


def test_a_waiting_writer_goes_on_when_the_first_is_killed(held):
    """kill -9 leaves the lock file; the lock itself goes with the process."""
    started = time.monotonic()
    threading.Timer(0.4, held[1].kill).start()
    with single_writer(held[0], wait_seconds=20):
        assert 0.4 < time.monotonic() - started < 20


def test_the_lock_is_the_target_s_by_whatever_name_and_freed_after_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    with pytest.raises(RuntimeError), single_writer(Path("cell"), wait_seconds=0.1):
        with pytest.raises(PolychromicError, match="another process"), single_writer(tmp_path / "sub" / ".." / "cell", wait_seconds=0.1):
            pytest.fail("two writers")
        raise RuntimeError
    with single_writer(tmp_path / "cell", wait_seconds=0.1):
        pass


# A file named dvc that starts, as dvc does, a shell that starts the stage's command.
FAKE_DVC = """#!{python}
import os, subprocess, sys, time
os.environ["DVC_STAGE"] = "lora@listqa"
subprocess.Popen(["/bin/sh", "-c", "'{python}' -c '{child}' ; true"])
time.sleep(60)
"""
CHILD = (
    "import os, time; from polychromic.base.locks import die_with_parent; "
    "die_with_parent(0.1); print(os.getpid(), flush=True); time.sleep(60)"
)


@pytest.mark.parametrize("buried", [True, False])
def test_the_stage_dies_with_a_killed_dvc(tmp_path, buried):
    """Also where nobody waits for dvc: it is a zombie then, and its pid is still there."""
    script = tmp_path / "dvc"
    script.write_text(FAKE_DVC.format(python=sys.executable, child=CHILD))
    script.chmod(0o755)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    parent = subprocess.Popen([str(script), "repro"], stdout=subprocess.PIPE, text=True, env=environment)
    child = psutil.Process(int(parent.stdout.readline()))
    shell = child.parent()
    try:
        assert child.ppid() != parent.pid, "a shell stands between them"
        time.sleep(0.5)
        assert not gone(child)
        os.kill(parent.pid, signal.SIGKILL)
        assert (parent.wait() == -9) if buried else wait_for(lambda: psutil.Process(parent.pid).status() == psutil.STATUS_ZOMBIE)
        assert wait_for(lambda: gone(child))
    finally:
        for one in (parent, child, shell):
            if one is parent or one.is_running():
                one.kill()
        parent.wait()


def gone(child: psutil.Process) -> bool:
    try:
        return child.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize(("command", "found"), [
    ("/x/bin/python /x/bin/dvc repro", True), ("dvc repro", True), ("python -m dvc repro", True), (None, False),
    ("/usr/bin/python my-dvc-notes.py dvc.yaml", False),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_dvc_is_watched_however_it_was_started_until_it_is_gone(command, found, monkeypatch):
    """Gone it is, too, when it vanishes between two questions."""
    monkeypatch.delenv("DVC_STAGE", raising=False)
    if command:
        monkeypatch.setenv("DVC_STAGE", "lora@listqa")
    dvc = Mock(**{"cmdline.return_value": (command or "").split(), "status.side_effect": psutil.NoSuchProcess(1)})
    monkeypatch.setattr(psutil.Process, "parents", lambda self: [dvc])
    killed = threading.Event()
    monkeypatch.setattr(locks.os, "kill", lambda pid, how: killed.set())
    die_with_parent(0.01)
    assert killed.wait(2 if found else 0.2) == found
