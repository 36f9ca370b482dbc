"""Call functions of a program that nobody has read, in a process that can harm nothing, and compare what they return.

A program passes by its outputs alone: exit status, printed text and exceptions decide nothing, and the expected values never
enter the process that runs it. isolate.py says what it is shut off from.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from polychromic.base.errors import PolychromicError
from polychromic.data.domains.code.sandbox import child
from polychromic.data.domains.code.sandbox.session import Broken, Limits, Session

UNISOLATED = "POLYCHROMIC_UNISOLATED"  # set to 1: run with limits alone where the system grants no namespaces
_lock = threading.Lock()
_sessions: list[Session] = []  # of this process, one at most


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
        PolychromicError: no test, or no verdict for a reason that `call` names.
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
        PolychromicError: this system grants no namespaces, and the environment does not say UNISOLATED=1. Or twice, the second time with
            a server started anew, the program could not be shut off, or the server broke or gave no answer in time. A program that is
            shut off cannot bring this about; one that runs with UNISOLATED=1 can, as it may kill the server.
    """
    try:
        if os.environ.get(UNISOLATED) == "1":
            with Session(shut_off=False) as session:  # of its own: nothing else clears up after the program
                return _ask(session, program, calls, limits)
        require_isolation()
        return _run(program, calls, limits)
    except Broken as error:
        raise PolychromicError(
            f"sandbox: no verdict on a program ({error}). Allowed: an answer, or a limit that it ran into; a failure of this machine is no "
            "failed program. Is it out of memory, processes or disk, or overloaded? Run the command again."
        ) from error


@cache
def require_isolation() -> None:
    """Try the isolation once per process.

    Raises:
        PolychromicError: it does not work here, with the system's reason.
    """
    try:
        outcome = _run("def f(): return 1", [("f", ())], Limits())
        reason = None if outcome.answers == (("value", 1),) else f"a program that returns 1 did not: {outcome.status}"
    except Broken as error:
        reason = str(error)
    if reason is not None:
        raise PolychromicError(
            f"programs cannot be shut off here ({reason}), so none is run. Needed: Linux 5.12 or newer with user namespaces, on x86_64 or "
            "aarch64. "
            f"On a machine that holds nothing of value, {UNISOLATED}=1 runs them with limits on time, memory and files alone."
        )


def _run(program: str, calls: Sequence[tuple[str, tuple]], limits: Limits) -> Outcome:
    """Raises Broken where there is no verdict, and none from a server started anew."""
    with _lock:
        if _sessions and _sessions[0].owner != os.getpid():
            close()
        try:
            return _once(program, calls, limits)
        except Broken:
            return _once(program, calls, limits)


def _once(program: str, calls: Sequence[tuple[str, tuple]], limits: Limits) -> Outcome:
    """Raises Broken, and leaves no server then."""
    try:
        if not _sessions:
            _sessions.append(Session(shut_off=True))
        return _ask(_sessions[0], program, calls, limits)
    except Broken:
        close()
        raise


def close() -> None:
    """End this process's server, or in a fork of its owner let go of it; the next call starts another."""
    while _sessions:
        _sessions.pop().close()


atexit.register(close)


def _ask(session: Session, program: str, calls: Sequence[tuple[str, tuple]], limits: Limits) -> Outcome:
    nonce = secrets.token_hex(16)
    job = {"nonce": nonce, "program": program, "calls": [[name, child.encode(tuple(arguments))] for name, arguments in calls]}
    status, data = session.ask(job, limits)
    return _read(data, nonce, len(calls)) if status == "ended" else Outcome(status)


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
