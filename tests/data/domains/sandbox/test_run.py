"""Hostile programs stop within their limits, leave nothing behind and count as failed; honest ones are judged by their values."""

import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.data.domains.code.sandbox import run
from polychromic.data.domains.code.sandbox.run import Limits, Session, Test, call, passes
from polychromic.data.domains.code.sandbox.values import decode

ADD = [Test("f", (1, 2), 3), Test("f", (-1, 1), 0)]
QUICK = Limits(seconds=3.0, cpu_seconds=1)
SERVER = f'"of": {os.getpid()},'  # in the command line of this process's server and of whatever it forks


def returned(program: str, *calls: tuple) -> list:
    """What `call` returns, as values."""
    return [(kind, decode(body) if kind == "value" else body) for kind, body in call(program, calls)]


def settled(count: int, mark: str = SERVER) -> bool:
    """Whether the other processes with this mark in their command lines are so many within two seconds: a kill takes a moment."""
    until = time.monotonic() + 2
    while True:
        found = 0
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                found += mark.encode() in path.read_bytes() and path.parent.name != str(os.getpid())
            except OSError:
                continue  # it ended meanwhile
        if found == count or time.monotonic() > until:
            return found == count
        time.sleep(0.02)


PLUS = "def f(a, b): return a + b"


@pytest.mark.parametrize(("program", "tests", "right"), [
    (PLUS, ADD, True), ("def f(a, b): return a - b", ADD, False),
    ("def f(a, b): return float(a + b)", ADD, False),  # 3.0 is not 3
    ("def f(a, b): return True if a else a + b", [Test("f", (1, 0), 1)], False),  # True is not 1
    ("def f(a): return a / 3", [Test("f", (1,), 1 / 3)], True),
    ("def f(a):\n    print('noise')\n    return {'a': [a, (a, None)], 2: {a}}", [Test("f", (5,), {"a": [5, (5, None)], 2: {5}})], True),
])  # fmt: skip
def test_values_decide(program, tests, right):
    assert passes(program, tests) == right


def test_what_comes_back():
    program = "def f(x): return x\ndef g(): raise KeyError\ndef h(): return [object()]"
    answers = returned(program, ("f", (["ä\ud800", b"\0"],)), ("g", ()), ("h", ()), ("i", ()))
    assert answers == [("value", ["ä\ud800", b"\0"]), ("error", "KeyError"), ("error", "TypeError"), ("error", "KeyError")]
    assert call("def f(:", [("f", ())]) == [("error", "SyntaxError")]
    assert call("import os; os._exit(0)", [("f", ())]) is None
    with pytest.raises(PolychromicError, match="got no test"):
        passes(PLUS, [])


TABLE = tomllib.loads(Path(__file__).with_name("programs.toml").read_text(encoding="utf-8"))
HOSTILE = {name: text.replace("{file}", __file__).replace("{pid}", str(os.getpid())) for name, text in TABLE["hostile"].items()}
HONEST = TABLE["honest"]
IDLE = 2  # the server, and the process that waits for it outside of its namespaces


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_fails_in_time_and_leaves_nothing(name):
    """It leaves the server as it was, too: the same one judges the next program right."""
    assert passes(PLUS, ADD)
    (server,) = run._sessions
    started = time.monotonic()
    assert not passes(HOSTILE[name], ADD, QUICK)
    assert time.monotonic() - started < QUICK.seconds + 5
    assert settled(IDLE)
    assert not any(Path(folder, "written-by-hostile").exists() for folder in ("/tmp", "/dev/shm")) and Path(__file__).exists()
    assert passes("import os\ndef f(a, b): return a + b + len(os.listdir())", ADD)
    assert run._sessions == [server]


def test_the_end_leaves_no_server_and_a_broken_one_is_started_again():
    assert passes(PLUS, ADD) and settled(IDLE)
    run.close()
    assert settled(0) and passes(PLUS, ADD)
    os.killpg(run._sessions[0]._process.pid, signal.SIGKILL)
    assert settled(0) and passes(PLUS, ADD)


NO_VERDICT = r"no verdict on a program \({}\)\. Allowed: .*Run the command again; .*POLYCHROMIC_UNISOLATED=1"


@pytest.mark.parametrize(("signalled", "said"), [
    (signal.SIGKILL, "the server ended without a word"), (signal.SIGSTOP, "no answer in time"), (None, ".*missing.*"),
])  # fmt: skip
def test_a_server_that_breaks_twice_or_does_not_answer_or_start_is_no_verdict(monkeypatch, tmp_path, signalled, said):
    class Broke(Session):
        def ask(self, *job: object) -> list:
            os.killpg(self._process.pid, signalled)
            return super().ask(*job)

    run.close()
    if signalled is None:
        monkeypatch.setattr(sys, "_base_executable", str(tmp_path / "missing"))
    monkeypatch.setattr(run, "Session", Broke)
    for name in ("SET_UP", "GRACE"):
        monkeypatch.setattr(run, name, 0.2 if signalled == signal.SIGSTOP else run.GRACE)
    with pytest.raises(PolychromicError, match=NO_VERDICT.format(said)):
        passes(PLUS, ADD, Limits(seconds=0.1))
    assert run._sessions == [] and settled(0)


def test_one_program_that_cannot_be_shut_off_is_no_verdict():
    """The namespaces are granted, but this program's file system cannot be made; the next one is judged."""
    with pytest.raises(PolychromicError, match=NO_VERDICT.format("not isolated: .*mount .*")):
        passes(PLUS, ADD, Limits(file_bytes=-1))
    assert passes(PLUS, ADD)


def test_a_thread_may_help_and_what_another_process_writes_is_no_answer(monkeypatch):
    """Where limits alone hold, a program may fork, and both halves return: that of the first process counts, which comes last here."""
    child = HONEST["a child that answers first"]
    assert passes(HONEST["a thread helps"], ADD, QUICK) and call(child, [("f", (1, 2))]) == [("error", "PermissionError")]
    monkeypatch.setenv(run.UNISOLATED, "1")
    assert passes(child, ADD[:1], QUICK)


def test_a_fork_of_this_process_has_a_server_of_its_own():
    """It ends as a program does, with finalizers and hooks: the server of the first process is still there, and serves it."""
    script = """
import os, sys
from polychromic.data.domains.code.sandbox import run
from polychromic.data.domains.code.sandbox.run import Test, passes
right = lambda: passes("def f(a, b): return a + b", [Test("f", (1, 2), 3)])
assert right()
(server,) = run._sessions
other = os.fork()
if other == 0:
    assert right() and run._sessions[0] is not server
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) == 7
assert right() and run._sessions == [server]
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_program_sees_an_empty_place_and_each_one_the_same():
    """No environment, no process but itself, no file but the library's; what one leaves, in files or elsewhere, is gone for the next."""
    first, second = (returned(HONEST["looks around"], ("f", ())) for _ in range(2))
    assert first == second
    ((kind, (environment, processes, folders, devices, mine, packages, texts)),) = first
    assert kind == "value" and set(environment) <= {*run.ENVIRONMENT, "LC_CTYPE"} and processes == ["1"] and devices == ["null"]
    library = Path(os.__file__).resolve()
    assert folders == {"dev", "proc", "program", library.parts[1]} and mine == [] and packages == []
    script = "print(*set('abcdefgh'))"
    assert texts == subprocess.check_output([sys.executable, "-c", script], env={"PYTHONHASHSEED": "0"}, text=True).split()


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that the programs' user may enter: those of pytest are for their owner alone."""
    with tempfile.TemporaryDirectory(prefix="shared-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_no_packet_leaves(family, kind, shared):
    """Neither for 127.0.0.1, nor to a socket in a file that anybody may write to. One half of a pair of datagram sockets could send to any
    address; one of streams, as descriptor 3 is, stays with the other."""
    with socket.socket(family, kind) as server:
        server.bind(str(shared / "daemon") if family == socket.AF_UNIX else ("127.0.0.1", 0))
        (shared / "daemon").chmod(0o777) if family == socket.AF_UNIX else None
        server.listen() if kind == socket.SOCK_STREAM else None
        server.settimeout(0.5)
        came = lambda: server.recv(1) if kind == socket.SOCK_DGRAM else server.accept()[0].recv(1)
        exec(HONEST["sends"], space := {})  # noqa: S102 - outside, it arrives
        where = server.getsockname()
        assert space["send"](int(family), int(kind), where) == 1 and came() == b"x"
        pairs = [("pair", (int(half), where)) for half in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]
        sent = call(HONEST["sends"], [("send", (int(family), int(kind), where)), *pairs, ("results", (where,))])
        assert sent[0] == ("error", "PermissionError") and [kind for kind, _ in sent] == ["error"] * 4
        with pytest.raises(TimeoutError):
            came()


def test_a_socket_cannot_be_had_by_another_way():
    """io_uring makes sockets without the call `socket`; a second ABI has numbers of its own; a pair of streams within is harmless."""
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW)
    calls = [("syscall", (425,)), ("syscall", (0x40000000 + 41,)), *(("pair", (int(kind),)) for kind in kinds)]
    refused = ("value", (-1, errno.ENOSYS))
    assert returned(HONEST["sockets by other ways"], *calls) == [refused, refused, ("value", b"x"), *[("error", "PermissionError")] * 3]


def test_where_the_first_program_does_not_work_no_other_runs_unless_limits_alone_will_do(monkeypatch):
    asked = []
    monkeypatch.setattr(Session, "ask", lambda self, program, *job: asked.append(program) or [])
    run.close()
    with pytest.raises(PolychromicError, match=NO_VERDICT.format("a program that returns 1 did not")):
        passes(PLUS, ADD)
    assert asked == ["def f(): return 1"] * 2
    monkeypatch.undo()
    monkeypatch.setenv(run.UNISOLATED, "1")  # limits alone when told so
    assert passes(PLUS, ADD) and not passes(HOSTILE["loops"], ADD, QUICK) and not passes(HOSTILE["sleeps"], ADD, QUICK)
