"""Hostile programs stop within their limits, leave nothing behind and count as failed; honest ones are judged by their values."""

import errno
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polychromic.base.errors import PolychromicError
from polychromic.base.sandbox import run, session
from polychromic.base.sandbox.child import decode, encode
from polychromic.base.sandbox.run import Limits, Outcome, Test, call, passes, same
from polychromic.base.sandbox.session import Broken, Session

ADD = [Test("f", (1, 2), 3), Test("f", (-1, 1), 0)]
QUICK = Limits(seconds=3.0, cpu_seconds=1)
MARK = "hostile-7261"  # stands in the command line of whatever a program leaves behind


def alive(mark: str) -> list[str]:
    """Command lines of the processes that carry the mark, this one's apart."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue  # it ended meanwhile
        if mark.encode() in line and path.parent.name != str(os.getpid()):
            found.append(line.decode(errors="replace"))
    return found


def gone(mark: str) -> bool:
    """Whether all that carry the mark end within two seconds: the kernel's SIGKILL takes a moment."""
    until = time.monotonic() + 2
    while alive(mark) and time.monotonic() < until:
        time.sleep(0.02)
    return not alive(mark)


def test_values_decide():
    assert passes("def f(a, b): return a + b", ADD)
    assert not passes("def f(a, b): return a - b", ADD)
    assert not passes("def f(a, b): return float(a + b)", ADD)  # 3.0 is not 3
    assert not passes("def f(a, b): return True if a else a + b", [Test("f", (1, 0), 1)])  # True is not 1
    assert passes("def f(a): return a / 3", [Test("f", (1,), 1 / 3)])
    assert passes(
        "def f(a):\n    print('noise')\n    return {'a': [a, (a, None)], 2: {a}}", [Test("f", (5,), {"a": [5, (5, None)], 2: {5}})]
    )


def test_what_comes_back():
    outcome = call(
        "def f(x): return x\ndef g(): raise KeyError\ndef h(): return object()",
        [("f", (["ä\ud800", b"\0"],)), ("g", ()), ("h", ()), ("i", ())],
    )
    assert outcome == Outcome("ok", (("value", ["ä\ud800", b"\0"]), ("error", "KeyError"), ("object", "object"), ("error", "KeyError")))
    assert call("def f(:", [("f", ())]).answers == (("error", "SyntaxError"),)


HOSTILE = {
    "exit 0": "import sys; sys.exit(0)",
    "exit 0 in the call": "import sys\ndef f(a, b): sys.exit(0)",
    "os._exit": "import os; os._exit(0)",
    "os._exit in the call": "import os\ndef f(a, b): os._exit(0)",
    "hook at exit": "import atexit\natexit.register(print, 3)\ndef f(a, b): return None",
    "equal to everything": "class E:\n    def __eq__(self, other): return True\n    def __hash__(self): return 3\ndef f(a, b): return E()",
    "an int that equals everything": "class E(int):\n    def __eq__(self, other): return True\ndef f(a, b): return E()",
    "asks for input": "def f(a, b): return int(input())",
    "reads all input": "import sys\ndef f(a, b): return int(sys.stdin.read() or 'none')",
    "closes stdio": "import os\nfor fd in range(0, 30):\n    try: os.close(fd)\n    except OSError: pass\ndef f(a, b): return a + b",
    "sleeps": "import time\ndef f(a, b):\n    time.sleep(1000)\n    return a + b",
    "loops": "def f(a, b):\n    while True: pass",
    "loops and ignores signals": """
import signal
for s in range(1, 32):
    try: signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: pass""",
    "memory": "def f(a, b):\n    x = [bytes(1 << 20) for _ in range(10_000)]\n    return a + b",
    "deep recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef f(a, b): return f(a, b)",
    "huge result": "def f(a, b): return 'x' * (64 << 20)",
    "floods the results": "import os\ndef f(a, b):\n    while True: os.write(3, b'x' * 65536)",
    "floods stdout": "import sys\ndef f(a, b):\n    while True: print('x' * 65536)",
    "floods stderr": "import os\ndef f(a, b):\n    while True: os.write(2, b'x' * 65536)",
    "forged answer": "import os\nos.write(3, b'0' * 32 + b'[[\"v\", [\"i\", \"0x3\"]], [\"v\", [\"i\", \"0x0\"]]]\\n')\nos._exit(0)",
    "file hog": "def f(a, b):\n    with open('big', 'wb') as file:\n        while True: file.write(b'x' * 65536)",
    "many files": "def f(a, b):\n    for i in range(10**6): open(str(i), 'w').close()\n    return a + b",
    "fills the disk": """
def f(a, b):
    for i in range(40):
        with open(str(i), 'wb') as file: file.write(b'x' * (1 << 20))
    return a + b""",
    "fork bomb": "import os\ndef f(a, b):\n    while True: os.fork()",
    "patient fork bomb": """
import os
def f(a, b):
    while True:
        try: os.fork()
        except OSError: pass""",
    "zombies": """
import os
def f(a, b):
    for _ in range(1000):
        if os.fork() == 0: os._exit(0)
    return a + b""",
    "becomes a daemon": """
import os, time
def f(a, b):
    if os.fork() or os.setsid() or os.fork(): os._exit(0)
    time.sleep(600)
    return a + b""",
    "a daemon answers": """
import os
def f(a, b):
    if os.fork(): os._exit(0)
    os.setsid()
    return a + b""",
    "a child answers while its parent waits": """
import os
def f(a, b):
    if os.fork():
        os.wait()
        os._exit(0)
    return a + b""",
    "a child answers in place of its parent": """
import os, time
def f(a, b):
    if os.fork():
        while True: time.sleep(1)
    return a + b""",
    "children flood the results": """
import os, time
def f(a, b):
    while os.fork():
        time.sleep(0.1)
    while True: os.write(3, b'x' * 65536)""",
    "says that it is not shut off": "import os\nos.write(3, b'not isolated: no namespaces')\nos._exit(120)",
    "a child says that it is not shut off": """
import os
if os.fork(): os.wait()
os.write(3, b'not isolated: no namespaces')
os._exit(120)""",
    "says that it is ready": "import os\nos.write(3, b'+')\nif os.fork() == 0: os.write(3, b'+')\nos._exit(0)",
    "shuts the results down": "import socket\nsocket.socket(fileno=3).shutdown(socket.SHUT_RDWR)\ndef f(a, b): return a + b",
    "sends descriptors and urgent bytes": """
import socket
def f(a, b):
    results = socket.socket(fileno=3)
    for _ in range(100):
        socket.send_fds(results, [b'x'], [0, 1, 2, 3])
        results.send(b'x', socket.MSG_OOB)""",
    "kills its process group": "import os, signal\ndef f(a, b):\n    os.killpg(0, signal.SIGKILL)",
    "stops its process group": "import os, signal\ndef f(a, b):\n    os.killpg(0, signal.SIGSTOP)\n    return a + b",
    "threads": """
import threading, time
def f(a, b):
    for _ in range(10_000): threading.Thread(target=time.sleep, args=(100,)).start()
    return a + b""",
    "kills its parents": """
import os, signal
def f(a, b):
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(-1, signal.SIGKILL)
    return a + b""",
    "connects": "import socket\ndef f(a, b):\n    socket.create_connection(('127.0.0.1', 22), 1)\n    return a + b",
    "sends a datagram": """
import socket
def f(a, b):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))
    return a + b""",
    "asks a name server": "import socket\ndef f(a, b):\n    socket.getaddrinfo('example.org', 80)\n    return a + b",
    "a raw socket": "import socket\ndef f(a, b):\n    socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n    return a + b",
    "writes outside": "def f(a, b):\n    open('/tmp/written-by-hostile', 'w').write('x')\n    return a + b",
    "deletes outside": f"import os\ndef f(a, b):\n    os.remove({__file__!r})\n    return a + b",
    "reads a private file": "def f(a, b):\n    open('/etc/shadow').read()\n    return a + b",
    "reads the memory of its parents": f"import os\ndef f(a, b):\n    open('/proc/{os.getpid()}/mem', 'rb')\n    return a + b",
    "replaces json": "import json, os\njson.dumps = lambda x: '[]'\nos.write = lambda *a: 0\ndef f(a, b): return 0",
}  # fmt: skip


SERVER = f'"of": {os.getpid()}'  # in the command line of this process's server and of whatever it forks

IDLE = 3  # the process that shut itself off, the first one of its namespace, the server


def settled(count: int) -> bool:
    """Whether the server's processes are `count` within two seconds."""
    until = time.monotonic() + 2
    while len(alive(SERVER)) != count and time.monotonic() < until:
        time.sleep(0.02)
    return len(alive(SERVER)) == count


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_fails_in_time_and_leaves_nothing(name):
    """It leaves the server as it was, too: the same one judges the next program right."""
    assert passes("def f(a, b): return a + b", ADD)
    (server,) = run._sessions
    started = time.monotonic()
    assert not passes(HOSTILE[name], ADD, QUICK)
    assert time.monotonic() - started < QUICK.seconds + 5
    assert settled(IDLE)
    assert os.listdir(Path(server._base, "work")) == []  # what it wrote was in memory
    assert not any(Path(folder, "written-by-hostile").exists() for folder in ("/tmp", "/dev/shm")) and Path(__file__).exists()
    assert passes("import os\ndef f(a, b): return a + b + len(os.listdir())", ADD)
    assert run._sessions == [server]


def test_the_end_leaves_no_server_and_no_folder():
    assert passes("def f(a, b): return a + b", ADD) and alive(SERVER)
    folder = run._sessions[0]._base
    run.close()
    assert settled(0) and not os.path.exists(folder)
    assert passes("def f(a, b): return a + b", ADD)


def test_a_server_that_broke_is_started_again():
    assert passes("def f(a, b): return a + b", ADD)
    os.killpg(run._sessions[0]._process.pid, signal.SIGKILL)
    assert settled(0)
    assert passes("def f(a, b): return a + b", ADD)


NO_VERDICT = r"no verdict on a program \({}\)\. Allowed: .*Run the command again\."


def test_a_server_that_breaks_twice_is_no_verdict(monkeypatch):
    class Dying(Session):
        def ask(self, *job: object) -> tuple[str, bytes]:
            os.killpg(self._process.pid, signal.SIGKILL)
            return super().ask(*job)

    run.require_isolation()
    run.close()
    monkeypatch.setattr(run, "Session", Dying)
    with pytest.raises(PolychromicError, match=NO_VERDICT.format("the server ended without a word")):
        passes("def f(a, b): return a + b", ADD)
    assert run._sessions == [] and settled(0)


def test_a_server_without_an_answer_is_no_verdict(monkeypatch):
    class Stopped(Session):
        def ask(self, *job: object) -> tuple[str, bytes]:
            os.killpg(self._process.pid, signal.SIGSTOP)
            return super().ask(*job)

    run.require_isolation()
    run.close()
    monkeypatch.setattr(run, "Session", Stopped)
    monkeypatch.setattr(session, "GRACE", 0.2)
    with pytest.raises(PolychromicError, match=NO_VERDICT.format("no answer in time")):
        passes("def f(a, b): return a + b", ADD, Limits(seconds=0.1))
    assert run._sessions == [] and settled(0)


def test_a_server_that_cannot_start_is_no_verdict(monkeypatch, tmp_path):
    run.require_isolation()
    run.close()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(PolychromicError, match=NO_VERDICT.format("not started: .*missing.*")):
        passes("def f(a, b): return a + b", ADD)


def test_one_program_that_cannot_be_shut_off_is_no_verdict():
    """The namespaces are granted, but this program's file system cannot be made; the next one is judged."""
    with pytest.raises(PolychromicError, match=NO_VERDICT.format("not isolated: .*mount .*")):
        passes("def f(a, b): return a + b", ADD, Limits(file_bytes=-1))
    assert passes("def f(a, b): return a + b", ADD)


def test_what_another_process_writes_is_no_answer():
    """Both halves of a fork return: that of the first process counts, which comes last here."""
    program = """
import os, time
def f(a, b):
    if os.fork() == 0: return a - b
    os.wait()
    return a + b
"""
    assert passes(program, ADD[:1], QUICK)


def test_a_thread_and_a_child_may_help():
    program = """
import os, threading
def f(a, b):
    found = []
    thread = threading.Thread(target=lambda: found.append(a))
    thread.start()
    thread.join()
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, str(b).encode())
        os._exit(0)
    return found[0] + int(os.read(read, 9))
"""
    assert passes(program, ADD, QUICK)


def test_a_fork_of_this_process_has_a_server_of_its_own():
    """It ends as a program does, with finalizers and hooks: server and folder of the first process are still there, and serve it."""
    script = """
import os, sys
from polychromic.base.sandbox import run
from polychromic.base.sandbox.run import Test, passes
right = lambda: passes("def f(a, b): return a + b", [Test("f", (1, 2), 3)])
assert right()
(server,) = run._sessions
other = os.fork()
if other == 0:
    assert right() and run._sessions[0] is not server and run._sessions[0]._base != server._base
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) == 7
assert os.path.isdir(server._base) and right() and run._sessions == [server]
print(server._base)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not os.path.exists(done.stdout.strip())


def test_a_program_reaches_neither_the_server_nor_the_next_program():
    """It sees no process but its own, may not read the server's memory, has no capability, and its shared memory goes with it."""
    program = """
import ctypes, os
def f():
    killed = []
    for pid in range(1, 40):
        try:
            os.kill(pid, 0)
            killed.append(pid)
        except OSError:
            pass
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    readable = []
    for name in os.listdir("/proc"):
        if name.isdigit() and name not in ("self", os.readlink("/proc/self")):
            try:
                open(f"/proc/{name}/mem", "rb").close()
                readable.append(open(f"/proc/{name}/cmdline").read()[:60])
            except OSError:
                pass
    made = ctypes.CDLL(None).shmget(7261, 4096, 0o1666)
    return [killed, int(status["CapEff"], 16), [r for r in readable if "Script" not in r], made]
"""
    first, second = (call(program, [("f", ())]).answers[0] for _ in range(2))
    assert first == second and first[0] == "value"  # the second one makes the segment anew: same number in a namespace of its own
    killed, capabilities, readable, made = first[1]
    assert set(killed) <= {1, 2} and capabilities == 0 and readable == [] and made >= 0


@pytest.mark.parametrize("leaves", ["os.fork()", "os.setsid()", "os.setsid() and 0 or os.fork()"])
def test_no_child_outlives_the_run(leaves):
    """Whoever is left when the answers are out is killed, in a session of its own or not."""
    program = f"""
import os, subprocess, sys
def f(a, b):
    if os.fork() == 0:
        {leaves}
        os.execv(sys.executable, [sys.executable, '-I', '-S', '-c', 'import time; time.sleep(600)', '{MARK}'])
    return a + b
"""
    assert passes(program, ADD[:1], QUICK)  # it did what was asked
    assert gone(MARK)


def test_nothing_can_be_written_elsewhere(tmp_path):
    tmp_path.chmod(0o777)
    target = tmp_path / "written"
    for path in (target, Path("/tmp/written-by-hostile"), Path("/dev/shm/written-by-hostile"), Path.home() / "written-by-hostile"):
        program = f"def f():\n    with open({str(path)!r}, 'w') as file: file.write('x')\n    return 1"
        outcome = call(program, [("f", ())])
        assert outcome.answers[0][0] == "error" and not path.exists()
    program = "import os\ndef f():\n    with open('here', 'w') as file: file.write('x')\n    return [os.listdir('.'), open('here').read()]"
    assert call(program, [("f", ())]).answers == (("value", [["here"], "x"]),)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that the programs' user may enter: those of pytest are for their owner alone."""
    folder = Path(tempfile.mkdtemp(prefix="shared-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("kind", ["tcp", "udp", "file"])
def test_no_packet_leaves(kind, shared):
    """Somebody listens here, for 127.0.0.1 and on a socket in a file that anybody may write to: nothing comes."""
    family = socket.AF_UNIX if kind == "file" else socket.AF_INET
    address = str(shared / "daemon") if kind == "file" else ("127.0.0.1", 0)
    with socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as server:
        server.bind(address)
        if kind == "file":
            Path(address).chmod(0o777)
        if kind != "udp":
            server.listen()
        where = server.getsockname()
        program = f"""
import socket
def f():
    with socket.socket({int(family)}, {int(server.type)}) as client:
        client.connect({where!r})
        client.send(b"x")
    return 1
"""
        exec(program, space := {})  # noqa: S102 - outside, it arrives
        server.settimeout(5)
        assert space["f"]() == 1 and (server.recv(1) == b"x" if kind == "udp" else server.accept()[0].close() is None)
        assert call(program, [("f", ())]).answers == (("error", "PermissionError"),)
        server.settimeout(0.5)
        with pytest.raises(TimeoutError):
            server.recv(1) if kind == "udp" else server.accept()


def test_a_socket_cannot_be_had_by_another_way():
    """io_uring makes sockets without the call `socket`; a second ABI has numbers of its own; a pair of streams within is harmless."""
    program = """
import ctypes, socket
libc = ctypes.CDLL(None, use_errno=True)
def syscall(number):
    return libc.syscall(number, 2, 1, 0), ctypes.get_errno()
def pair(kind):
    a, b = socket.socketpair(socket.AF_UNIX, kind)
    a.send(b"x")
    return b.recv(1)
"""
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW)
    calls = [("syscall", (425,)), ("syscall", (0x40000000 + 41,)), *(("pair", (int(kind),)) for kind in kinds)]
    refused = ("value", (-1, errno.EPERM))
    assert call(program, calls).answers == (refused, refused, ("value", b"x"), *[("error", "PermissionError")] * 3)


def test_neither_a_pair_nor_the_results_reach_a_socket_of_a_file(shared):
    """One half of a pair of datagram sockets could send to any address; one of streams, as descriptor 3 is, stays with the other."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(address := str(shared / "daemon"))
        Path(address).chmod(0o777)
        program = f"""
import socket
def send(kind):
    socket.socketpair(socket.AF_UNIX, kind)[0].sendto(b"x", {address!r})
def connect():
    results = socket.socket(fileno=3)
    try:
        results.connect({address!r})
    finally:
        results.detach()
"""
        found = call(program, [("send", (int(socket.SOCK_DGRAM),)), ("send", (int(socket.SOCK_STREAM),)), ("connect", ())])
        assert found.status == "ok" and all(kind == "error" for kind, _ in found.answers)
        server.settimeout(0.5)
        with pytest.raises(TimeoutError):
            server.recv(1)


def test_secrets_are_out_of_reach(monkeypatch, shared):
    """Files of the home folder, readable as they may be, and the environment of other processes."""
    home = shared
    (home / "token").write_text("s3cret")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("MARK_TOKEN", "s3cret")
    run.close()  # the next server is started with this home
    program = """
import glob
def read(path):
    with open(path) as file: return file.read()
def listed(path):
    import os
    return os.listdir(path)
def environments():
    found = []
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            with open(path, "rb") as file: found.append(b"s3cret" in file.read())
        except OSError: pass
    return any(found)
"""
    # whoever runs the tests sees it, and a process that is started here has the variable
    assert (home / "token").read_text() == "s3cret"
    with subprocess.Popen(["sleep", "60"]) as other:
        found = call(program, [("read", (str(home / "token"),)), ("listed", (str(home),)), ("environments", ())]).answers
        other.kill()
    run.close()
    assert found == (("error", "FileNotFoundError"), ("value", []), ("value", False))


def test_temporary_files_in_the_home_folder_are_refused(monkeypatch, shared):
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    monkeypatch.setenv("HOME", str(shared))
    run.close()
    run.require_isolation.cache_clear()
    with pytest.raises(PolychromicError, match="temporary files lie in .*set TMPDIR to a folder elsewhere"):
        call("def f(): return 1", [("f", ())])
    run.require_isolation.cache_clear()
    run.close()
    assert list(shared.iterdir()) == []


def test_it_is_no_root_and_sees_no_environment_and_no_other_process():
    program = """
import os
def f():
    return [os.getuid() == 0, sorted(os.environ), os.getpid() < 10]
"""
    ((kind, value),) = call(program, [("f", ())]).answers
    assert kind == "value" and value[0] is False and set(value[1]) <= {"LANG", "PATH", "PYTHONHASHSEED", "LC_CTYPE"} and value[2] is True


def test_without_isolation_nothing_runs(monkeypatch, tmp_path):
    marker = tmp_path / "ran"

    def broken(*args: object) -> Outcome:
        raise Broken("not isolated: unshare: Operation not permitted")

    monkeypatch.setattr(run, "_run", broken)
    run.require_isolation.cache_clear()
    monkeypatch.delenv(run.UNISOLATED, raising=False)
    with pytest.raises(
        PolychromicError, match=r"cannot be shut off here \(not isolated: unshare: Operation not permitted\).*POLYCHROMIC_UNISOLATED=1"
    ):
        call(f"open({str(marker)!r}, 'w')\ndef f(): return 1", [("f", ())])
    run.require_isolation.cache_clear()
    assert not marker.exists()


def test_limits_alone_when_told_so(monkeypatch):
    monkeypatch.setenv(run.UNISOLATED, "1")
    assert passes("def f(a, b): return a + b", ADD)
    assert not passes(HOSTILE["loops"], ADD, QUICK)
    assert not passes(HOSTILE["sleeps"], ADD, QUICK)


def test_a_program_without_tests_is_refused():
    with pytest.raises(PolychromicError, match="got no test"):
        passes("def f(): return 1", [])


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(), inner) | st.sets(st.integers()),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_data_survives_the_way(value):
    back = decode(encode(value))
    assert back == value and type(back) is type(value) and same(back, value)


@settings(deadline=None)
@given(PLAIN, PLAIN)
def test_same_is_equality_of_type_and_value(a, b):
    if same(a, b) and not isinstance(b, float):
        assert type(a) is type(b)
    assert same(float("nan"), float("nan")) and not same(float("nan"), 0.0) and same(0.1 + 0.2, 0.3) and not same(math.inf, 1e300)


def test_the_program_never_sees_what_is_expected():
    """The expected value stands neither in the process's command line nor in its memory of the job."""
    secret = 918273645546372819
    program = """
import sys
def f():
    frame, seen = sys._getframe(), []
    while frame:
        seen.append(repr(frame.f_locals)[:100_000])
        frame = frame.f_back
    return str(918273645546372819 // 1)[:0] + ' '.join(seen + sys.orig_argv)
"""
    outcome = call(program.replace(str(secret) + " // 1", "1"), [("f", ())])
    assert outcome.answers[0][0] == "value" and str(secret) not in outcome.answers[0][1]


def test_importing_starts_nothing():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, polychromic.base.sandbox.run; print('torch' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
