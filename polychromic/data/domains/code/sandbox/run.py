"""Call functions of a program that nobody has read, in a process that can harm nothing, and compare what they return.

A program passes by its outputs alone: exit status, printed text and exceptions decide nothing, and the expected values never
enter the process that runs it. isolate.py says what it is shut off from, serve.py what runs there: both are started from here,
by their source, as the other process has no way to import this package. Its answers are compared as text (values.py) and are never built.
"""

from __future__ import annotations

import atexit
import inspect
import json
import os
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from polychromic.base.errors import PolychromicError
from polychromic.data.domains.code.sandbox import isolate, serve, values

UNISOLATED = "POLYCHROMIC_UNISOLATED"  # set to 1: run with limits alone where the system grants no namespaces
SET_UP, GRACE = 30.0, 30.0  # seconds to start the server and shut a program off, and to clear up after it; a program's own are apart
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}
LOOK = 0.05  # seconds between two looks at a program's page tables, which its limit on memory does not count
CREDENTIALS = struct.Struct("3i")  # of a sender: process, user and group

Answer = tuple[str, Any]  # ("value", as `values.encode` tags it) or ("error", the exception's name); of a program, so that nothing is sure


@dataclass(frozen=True)
class Limits:
    """What one run may use."""

    seconds: float = 5.0  # of wall-clock time
    cpu_seconds: int = 2
    memory_bytes: int = 512 << 20  # of address space, of the one process that a program may have; page tables may have an eighth of it
    file_bytes: int = 1 << 20  # of one file; all files together may hold twice that
    output_bytes: int = 1 << 20  # of results
    threads: int = 16  # at once; the first and three processes of the sandbox are among them
    open_files: int = 32


class Test(NamedTuple):
    """One call of a program's function with plain data, and what it must return."""

    function: str
    arguments: tuple
    expected: Any


Test.__test__ = False  # no test of pytest's


def passes(program: str, tests: Sequence[Test], limits: Limits = Limits()) -> bool:
    """Whether every call returns what it must, as `values.same` says. Whatever a program answers is a verdict.

    Raises: PolychromicError, no test, or no verdict for a reason that `call` names; TypeError, an expected value is no plain data.
    """
    if not tests:
        raise PolychromicError("sandbox: got no test. Allowed: one or more. A program without tests neither passes nor fails.")
    expected = [values.encode(test.expected) for test in tests]
    answers = call(program, [test[:2] for test in tests], limits) or [("error", None)] * len(tests)
    try:
        return all(kind == "value" and values.same(found, aim) for (kind, found), aim in zip(answers, expected, strict=True))
    except Exception:  # what `encode` never returns, from a program that wrote its answer itself, or too large a number
        return False


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
            "failed program. Needed: Linux 5.12 or newer with user namespaces and a whole /proc, on x86_64 or aarch64, with memory and "
            f"processes to spare. Run the command again; on a machine that holds nothing of value, {UNISOLATED}=1 runs programs with "
            "limits on time, memory and files alone."
        ) from error


class Session:
    """One server of programs, for one thread at a time; without shut_off, limits alone, in a temporary folder, for one program.

    OSError: the system grants no process, descriptor or folder.
    """

    def __init__(self, shut_off: bool):
        self.owner = os.getpid()  # a fork of this process must not speak to its server
        # Not a TemporaryDirectory: its finalizer would delete the folder when a fork of this process ends.
        self._folder = None if shut_off else tempfile.mkdtemp(prefix="sandbox-")
        texts = {"isolate_text": inspect.getsource(isolate), "values_text": inspect.getsource(values)}
        order = {"of": self.owner, "isolate": shut_off, "folder": self._folder, **texts}
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # The interpreter itself, no environment's link. -I would not let the hashes of texts be fixed; the variables are ours.
            self._process = subprocess.Popen(
                [os.path.realpath(sys._base_executable), "-P", "-s", "-S", "-c", inspect.getsource(serve), json.dumps(order)],
                stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", env=ENVIRONMENT, start_new_session=True,
            )  # fmt: skip

    def close(self) -> None:
        """End the server and all that it runs, and the folder; in a fork of the owner, let go of both."""
        if self.owner == os.getpid():
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._process.wait()
            if self._folder:
                shutil.rmtree(self._folder, ignore_errors=True)  # what a program left there may resist; it decides nothing
        for stream in (self._socket, self._process.stderr):
            stream.close()

    def ask(self, program: str, calls: Sequence[tuple[str, tuple]], limits: Limits) -> list[Answer] | None:
        """What `call` returns. OSError: the server is gone, is late or could not shut the program off; close the session."""
        nonce = secrets.token_hex(16)
        job = {"nonce": nonce, "program": program, "calls": [(name, values.encode(tuple(arguments))) for name, arguments in calls]}
        ours, theirs = socket.socketpair()
        with ours:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self._socket.settimeout(GRACE)
            try:
                with theirs:
                    socket.send_fds(self._socket, [json.dumps(asdict(limits)).encode()], [theirs.fileno()])
                try:
                    data = heard(ours, json.dumps(job).encode() + b"\n", limits)
                finally:
                    self._socket.send(b".")
                    if not self._socket.recv(1):
                        raise BrokenPipeError
            except TimeoutError:
                raise OSError("no answer in time") from None
            except (BrokenPipeError, ConnectionResetError):
                os.killpg(self._process.pid, signal.SIGKILL)  # so that stderr ends
                said = self._process.stderr.read(500).decode(errors="replace").strip()
                raise OSError(said or "the server ended without a word") from None
        line = next((line for line in (data or b"").split(b"\n") if line.startswith(nonce.encode())), b"")
        try:
            if b"{" in line:
                return None  # the wire has no objects, and the keys of one could be chosen to collide
            found = [(kind, body) for kind, body in json.loads(line[len(nonce) :])]
        except Exception:  # whatever a program brings about that wrote this line itself: it is no answer
            return None
        return found if len(found) == len(calls) else None


def heard(ours: socket.socket, job: bytes, limits: Limits) -> bytes | None:
    """What the program's process writes until it ends, once it is shut off and has got its job; None where it takes too long, writes too
    much or spreads its memory so thin that the tables of its pages outgrow it. OSError: it could not be shut off.

    The kernel names the sender of each block, and a program can name nobody else. The first block comes from our own code: it says whose
    are the program's, so that an answer of a process that the program forked is none, whichever of the two ends first, and that a
    program cannot claim not to have been shut off.
    """
    program, received, data, deadline, look = None, 0, bytearray(), time.monotonic() + SET_UP, 0.0
    while (left := deadline - time.monotonic()) > 0:
        if program is not None and time.monotonic() > look:  # also at one that never falls silent
            if page_tables(program) > limits.memory_bytes // 8:
                break
            look = time.monotonic() + LOOK
        ours.settimeout(min(left, LOOK))
        try:  # there is room for credentials alone: the kernel drops descriptors that a program sends along
            block, sent_with, _, _ = ours.recvmsg(1 << 16, socket.CMSG_SPACE(CREDENTIALS.size))
        except TimeoutError:
            continue
        except OSError:
            block = b""  # a program may do to its end what it likes: that ends the program, not the server
        sender = CREDENTIALS.unpack(sent_with[0][2])[0] if block else None
        if program is None:
            if block != serve.READY:
                raise OSError(block.decode(errors="replace") or "not isolated: its process ended before that")
            program, deadline, look = sender, time.monotonic() + limits.seconds, time.monotonic() + LOOK
            ours.settimeout(limits.seconds)
            try:
                ours.sendall(job)
            except OSError:
                break  # it ended or took too long while it read
            continue
        if not block:
            return bytes(data)
        received += len(block)
        if received > limits.output_bytes:
            break
        if sender == program:
            data += block
    if program is None:
        raise OSError(f"not isolated within {SET_UP:g} s")
    return None


def page_tables(process: int) -> int:
    """Bytes of a process's page tables; 0 where it has ended."""
    try:
        with open(f"/proc/{process}/status") as file:
            return 1024 * int((re.search(r"^VmPTE:\s+(\d+) kB", file.read(), re.MULTILINE) or ["", 0])[1])
    except OSError:
        return 0


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
                    if _sessions[0].ask("def f(): return 1", [("f", ())], Limits()) != [("value", values.encode(1))]:
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
