"""Call functions of a program that nobody has read, in a process that can harm nothing, and compare what they return.

A program passes by its outputs alone: exit status, printed text and exceptions decide nothing, and the expected values never
enter the process that runs it. isolate.py says what it is shut off from, serve.py what runs there: both are started from here,
by their source, as the other process has no way to import this package.
"""

from __future__ import annotations

import atexit
import inspect
import json
import math
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from polychromic.base.errors import PolychromicError
from polychromic.data.domains.code.sandbox import isolate, serve

UNISOLATED = "POLYCHROMIC_UNISOLATED"  # set to 1: run with limits alone where the system grants no namespaces
GRACE = serve.SET_UP + 20.0  # seconds that the server has on top of a program's, to start, to shut it off and to clear up

Answer = tuple[str, Any]  # ("value", plain data) or ("error", the exception's name)


@dataclass(frozen=True)
class Limits:
    """What one run may use."""

    seconds: float = 5.0  # of wall-clock time
    cpu_seconds: int = 2
    memory_bytes: int = 512 << 20  # of address space
    file_bytes: int = 1 << 20  # of one file; all files together may hold twice that
    output_bytes: int = 1 << 20  # of results
    processes: int = 16  # at once, the interpreter included
    open_files: int = 32


class Test(NamedTuple):
    """One call of a program's function with plain data, and what it must return."""

    function: str
    arguments: tuple
    expected: Any


Test.__test__ = False  # no test of pytest's


def passes(program: str, tests: Sequence[Test], limits: Limits = Limits()) -> bool:
    """Whether every call returns what it must, as `same` says. PolychromicError: no test, or no verdict for a reason that `call` names."""
    if not tests:
        raise PolychromicError("sandbox: got no test. Allowed: one or more. A program without tests neither passes nor fails.")
    answers = call(program, [test[:2] for test in tests], limits) or [("error", None)] * len(tests)
    return all(kind == "value" and same(value, test.expected) for (kind, value), test in zip(answers, tests, strict=True))


def same(value: Any, expected: Any) -> bool:
    """Equal in type and value; an int may stand for a float of the same value, and floats agree to 1e-9 of their size."""
    if isinstance(expected, float) and type(value) in (int, float):
        return value == expected or math.isclose(value, expected, rel_tol=1e-9, abs_tol=1e-12) or value != value and expected != expected
    if type(value) is not type(expected):
        return False
    if isinstance(expected, list | tuple):
        return len(value) == len(expected) and all(map(same, value, expected))
    if isinstance(expected, dict):
        return value.keys() == expected.keys() and all(same(value[key], expected[key]) for key in expected)
    return value == expected


def call(program: str, calls: Sequence[tuple[str, tuple]], limits: Limits = Limits()) -> list[Answer] | None:
    """Run the program once and call its functions in order, each with its own arguments of plain data.

    Returns: An answer per call; what is no plain data is a TypeError. None where the program ran into a limit, wrote too much or left.
    Raises: PolychromicError, this system grants no namespaces, and the environment does not say UNISOLATED=1. Or twice, the second time
        with a server started anew, the program could not be shut off, or the server broke or gave no answer in time. A program that is
        shut off cannot bring this about; one that runs with UNISOLATED=1 can, as it may kill the server.
    """
    try:
        if os.environ.get(UNISOLATED) == "1":
            with closing(Session(shut_off=False)) as session:  # of its own: nothing else clears up after the program
                return session.ask(program, calls, limits)
        return _ask(program, calls, limits)
    except OSError as error:
        raise PolychromicError(
            f"sandbox: no verdict on a program ({error}). Allowed: an answer, or a limit that it ran into; a failure of this machine is no "
            "failed program. Needed: Linux 5.12 or newer with user namespaces, on x86_64 or aarch64, with memory, processes and disk to "
            f"spare. Run the command again; on a machine that holds nothing of value, {UNISOLATED}=1 runs programs with limits on time, "
            "memory and files alone."
        ) from error


class Session:
    """One server of programs and its temporary folder, for one thread at a time; without shut_off, limits alone, for one program.

    OSError: the system grants no process, descriptor or folder.
    """

    def __init__(self, shut_off: bool):
        self.owner = os.getpid()  # a fork of this process must not speak to its server
        # Not a TemporaryDirectory: its finalizer would delete the folder when a fork of this process ends.
        self._base = tempfile.mkdtemp(prefix="sandbox-")
        os.chmod(self._base, 0o711)
        folder, shown = os.path.join(self._base, "work"), os.path.join(self._base, "python")
        for name in (folder, shown):
            os.mkdir(name, 0o755)
        script = [os.path.realpath(sys.executable), "-I", "-S", "-c"]  # no environment's link: its folder need not be readable inside
        both = {"of": self.owner, "isolate": shut_off, "folder": folder}
        server = [*script, inspect.getsource(serve), json.dumps(both | {"source": inspect.getsource(isolate)})]
        order = both | {"command": server, "prefix": os.path.realpath(sys.base_prefix), "python": shown, "file_bytes": Limits.file_bytes}
        order |= {"home": os.path.realpath(os.path.expanduser("~"))}
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [*script, inspect.getsource(isolate), json.dumps(order)],
                stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", env={}, start_new_session=True,
            )  # fmt: skip
        self._answers = self._socket.makefile("rb")

    def close(self) -> None:
        """End the server and all that it runs (the end of the reaper takes along whoever left the process group), and the folder; in a
        fork of the owner, let go of both."""
        if self.owner == os.getpid():
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._process.wait()
            shutil.rmtree(self._base, ignore_errors=True)  # what a program without namespaces left there may resist; it decides nothing
        for stream in (self._answers, self._socket, self._process.stderr):
            stream.close()

    def ask(self, program: str, calls: Sequence[tuple[str, tuple]], limits: Limits) -> list[Answer] | None:
        """What `call` returns. OSError: the server is gone, is late or could not shut the program off; close the session."""
        nonce = secrets.token_hex(16)
        job = {"nonce": nonce, "program": program, "calls": [(name, serve.encode(tuple(arguments))) for name, arguments in calls]}
        try:
            self._socket.settimeout(limits.seconds + GRACE)
            self._socket.sendall(json.dumps(job | {"limits": asdict(limits)}).encode() + b"\n")
            about = json.loads(self._answers.readline())
            if len(data := self._answers.read(about["size"])) < about["size"]:
                raise OSError("cut short")
        except TimeoutError:
            raise OSError("no answer in time") from None
        except (OSError, ValueError):
            os.killpg(self._process.pid, signal.SIGKILL)  # so that stderr ends
            said = self._process.stderr.read(500).decode(errors="replace").strip()
            raise OSError(said or "the server ended without a word") from None
        if about["failed"]:
            raise OSError(data.decode(errors="replace"))
        line = next((line for line in data.split(b"\n") if line.startswith(nonce.encode())), b"")
        try:
            found = [(kind, serve.decode(body) if kind == "value" else body) for kind, body in json.loads(line[len(nonce) :])]
        except Exception:  # whatever a program brings about that wrote this line itself: it is no answer
            return None
        return found if len(found) == len(calls) else None


_lock = threading.Lock()
_sessions: list[Session] = []  # of this process, one at most


def _ask(program: str, calls: Sequence[tuple[str, tuple]], limits: Limits) -> list[Answer] | None:
    """What `call` returns, from this process's server. OSError: no verdict, and none from a server started anew."""
    with _lock:
        if _sessions and _sessions[0].owner != os.getpid():
            close()
        for is_last in (False, True):
            try:
                if not _sessions:
                    _sessions.append(Session(shut_off=True))
                    if _sessions[0].ask("def f(): return 1", [("f", ())], Limits()) != [("value", 1)]:
                        raise OSError("a program that returns 1 did not")
                return _sessions[0].ask(program, calls, limits)
            except BaseException as error:  # an interrupted server would give the next program this one's answer
                close()
                if is_last or not isinstance(error, OSError):
                    raise


def close() -> None:
    """End this process's server, or in a fork of its owner let go of it; the next call starts another."""
    while _sessions:
        _sessions.pop().close()


atexit.register(close)
