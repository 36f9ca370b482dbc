"""Call functions of a program that nobody has read, in a process that can harm nothing, and compare what they return.

A program passes by its outputs alone: exit status, printed text and exceptions decide nothing, and the expected values never
enter the process that runs it. polychromic.sandbox.isolate says what it is shut off from.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from polychromic.errors import PolychromicError
from polychromic.sandbox import child, isolate

UNISOLATED = "POLYCHROMIC_UNISOLATED"  # set to 1: run with limits alone where the system grants no namespaces
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Limits:
    """What one run may use.

    Attributes:
        seconds: of wall-clock time; cpu_seconds: of processor time.
        memory_bytes: address space. file_bytes: of one file; all files together may hold twice that. output_bytes: of results.
        processes: at once, the interpreter included. open_files: descriptors.
    """

    seconds: float = 5.0
    cpu_seconds: int = 2
    memory_bytes: int = 512 << 20
    file_bytes: int = 1 << 20
    output_bytes: int = 1 << 20
    processes: int = 16
    open_files: int = 32


@dataclass(frozen=True)
class Test:
    """One call of a program's function with plain data, and what it must return."""

    __test__ = False  # no test of pytest's

    function: str
    arguments: tuple
    expected: Any


@dataclass(frozen=True)
class Outcome:
    """What came back.

    Attributes:
        status: "ok" when every call was answered; "timeout", "output" (too much of it) or "ended" (no answer: killed by a
            limit, or it left on its own) else.
        answers: per call ("value", data), ("object", type name) for what is no plain data, or ("error", exception's name).
    """

    status: Literal["ok", "timeout", "output", "ended"]
    answers: tuple[tuple[str, Any], ...] = ()


def passes(program: str, tests: Sequence[Test], limits: Limits = Limits()) -> bool:
    """Whether every call returns what it must: equal in type and value, floats to 1e-9 of their size.

    Raises:
        PolychromicError: no test, or no isolation here.
    """
    if not tests:
        raise PolychromicError("sandbox: got no test. Allowed: one or more. A program without tests neither passes nor fails.")
    outcome = call(program, [(test.function, test.arguments) for test in tests], limits)
    answered = outcome.status == "ok" and len(outcome.answers) == len(tests)
    return answered and all(
        kind == "value" and same(value, test.expected) for (kind, value), test in zip(outcome.answers, tests, strict=True)
    )


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


def call(program: str, calls: Sequence[tuple[str, tuple]], limits: Limits = Limits()) -> Outcome:
    """Run the program once and call its functions in order, each with its own arguments.

    Raises:
        PolychromicError: this system grants no namespaces, and the environment does not say UNISOLATED=1.
    """
    shut_off = os.environ.get(UNISOLATED) != "1"
    if shut_off:
        require_isolation()
    return _run(program, calls, limits, shut_off)[0]


@cache
def require_isolation() -> None:
    """Try the isolation once per process.

    Raises:
        PolychromicError: it does not work here, with the system's reason.
    """
    outcome, said = _run("def f(): return 1", [("f", ())], Limits(), True)
    if outcome.answers != (("value", 1),):
        reason = said.strip() or outcome.status
        raise PolychromicError(
            f"programs cannot be shut off here ({reason}), so none is run. Needed: Linux 5.12 or newer with user namespaces, on x86_64 or "
            "aarch64. "
            f"On a machine that holds nothing of value, {UNISOLATED}=1 runs them with limits on time, memory and files alone."
        )


def _run(program: str, calls: Sequence[tuple[str, tuple]], limits: Limits, shut_off: bool) -> tuple[Outcome, str]:
    nonce = secrets.token_hex(16)
    job = {"nonce": nonce, "program": program, "calls": [[name, child.encode(tuple(arguments))] for name, arguments in calls]}
    python = os.path.realpath(sys.executable)  # not the environment's link: its folder need not be readable inside
    with tempfile.TemporaryDirectory(prefix="sandbox-") as base:
        os.chmod(base, 0o711)
        folder, shown = os.path.join(base, "work"), os.path.join(base, "python")
        for name in (folder, shown):
            os.mkdir(name, 0o755)
        with open(_FOLDER / "child.py", encoding="utf-8") as source:
            command = [python, "-I", "-S", "-c", source.read()]
        results, written = os.pipe()
        order = asdict(limits) | {"folder": folder, "isolate": shut_off, "command": command, "results": written}
        order |= {"prefix": os.path.realpath(sys.base_prefix), "python": shown, "home": os.path.realpath(os.path.expanduser("~"))}
        with open(_FOLDER / "isolate.py", encoding="utf-8") as source:
            outer = [python, "-I", "-S", "-c", source.read(), json.dumps(order)]
        process = subprocess.Popen(
            outer, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", env={}, start_new_session=True,
            pass_fds=(written,),
        )  # fmt: skip
        os.close(written)
        try:
            data, said, status = _exchange(process, results, json.dumps(job).encode(), limits)
        finally:
            _end(process)
            os.close(results)
    if status is not None:
        return Outcome(status), said
    return _read(data, nonce, len(calls)), said if process.returncode == isolate.NOT_ISOLATED else ""


def _exchange(process: subprocess.Popen, results: int, job: bytes, limits: Limits) -> tuple[bytes, str, str | None]:
    """Feed the job, and read results and messages until both pipes close, time is up, or one says too much."""
    read: dict[int, bytearray] = {results: bytearray(), process.stderr.fileno(): bytearray()}
    deadline = time.monotonic() + limits.seconds
    stdin = process.stdin.fileno()
    with selectors.DefaultSelector() as waiting:
        for fd in (*read, stdin):
            os.set_blocking(fd, False)
        waiting.register(stdin, selectors.EVENT_WRITE)
        waiting.register(results, selectors.EVENT_READ)
        waiting.register(process.stderr.fileno(), selectors.EVENT_READ)
        while results in {key.fd for key in waiting.get_map().values()}:
            left = deadline - time.monotonic()
            if left <= 0:
                return b"", "", "timeout"
            for key, _ in waiting.select(left):
                if key.fd == stdin:
                    try:
                        job = job[os.write(stdin, job[: 1 << 16]) :]
                    except BrokenPipeError:
                        job = b""
                    if not job:
                        waiting.unregister(stdin)
                        process.stdin.close()
                    continue
                block = os.read(key.fd, 1 << 16)
                if not block:
                    waiting.unregister(key.fd)
                elif len(read[key.fd]) < limits.output_bytes:
                    read[key.fd] += block
                elif key.fd == results:
                    return b"", "", "output"
        while True:  # what isolate said last
            try:
                if not (block := os.read(process.stderr.fileno(), 1 << 16)):
                    break
            except BlockingIOError:
                break
            read[process.stderr.fileno()] += block[: 1 << 12]
    return bytes(read[results]), read[process.stderr.fileno()].decode(errors="replace")[:500], None


def _end(process: subprocess.Popen) -> None:
    """Kill the session; with namespaces, the end of the reaper takes along whoever left it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    for stream in (process.stdin, process.stderr):
        stream.close()


def _read(data: bytes, nonce: str, count: int) -> Outcome:
    """The first line that carries the nonce; a line that does not parse is no answer."""
    for line in data.split(b"\n"):
        if not line.startswith(nonce.encode()):
            continue
        try:
            found = json.loads(line[len(nonce) :])
            answers = tuple(_answer(*entry) for entry in found)
        except (ValueError, TypeError, KeyError, RecursionError):
            break
        return Outcome("ok", answers) if len(answers) == count else Outcome("ended")
    return Outcome("ended")


def _answer(kind: str, body: Any) -> tuple[str, Any]:
    if kind == "e":
        return "error", str(body)
    try:
        return "value", child.decode(body)
    except (ValueError, TypeError):
        return "object", str(body[-1])[:80]
