"""The process in which programs are run, from outside: started with the session, asked one program at a time.

isolate.py says what it is shut off from, serve.py what runs in it.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

from polychromic.data.domains.code.sandbox import child, isolate, serve

GRACE = serve.SET_UP + 20.0  # seconds that the server has on top of a program's, to start, to shut it off and to clear up


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


class Broken(Exception):
    """No verdict on a program: the server did not start, ended, does not answer or could not shut it off. The argument says which."""


def _source(module: ModuleType) -> str:
    """What the other process is given: it has no way to import this package."""
    return Path(module.__file__).read_text(encoding="utf-8")


class Session:
    """One server and its temporary folder; a context manager. Not for several threads at once.

    Args:
        shut_off: False runs programs with limits alone; a session is then good for one of them.

    Raises:
        Broken: the system grants no process, descriptor or folder.
    """

    def __init__(self, shut_off: bool):
        self.owner = os.getpid()  # a fork of this process must not speak to its server
        self._closed = False
        try:
            # Not a TemporaryDirectory: its finalizer would delete the folder when a fork of this process ends.
            self._base = tempfile.mkdtemp(prefix="sandbox-")
            try:
                self._start(shut_off)
            except OSError:
                shutil.rmtree(self._base)
                raise
        except OSError as error:
            raise Broken(f"not started: {error}") from error

    def _start(self, shut_off: bool) -> None:
        os.chmod(self._base, 0o711)
        folder, shown = os.path.join(self._base, "work"), os.path.join(self._base, "python")
        for name in (folder, shown):
            os.mkdir(name, 0o755)
        python = os.path.realpath(sys.executable)  # not the environment's link: its folder need not be readable inside
        modules = {"isolate": _source(isolate), "child": _source(child)}
        server = {"of": self.owner, "isolate": shut_off, "folder": folder, "modules": modules}
        self._results, written = os.pipe()
        order = {"of": self.owner, "isolate": shut_off, "folder": folder, "results": written, "file_bytes": Limits.file_bytes}
        order |= {"command": [python, "-I", "-S", "-c", _source(serve), json.dumps(server)], "prefix": os.path.realpath(sys.base_prefix)}
        order |= {"python": shown, "home": os.path.realpath(os.path.expanduser("~"))}
        self._process = subprocess.Popen(
            [python, "-I", "-S", "-c", _source(isolate), json.dumps(order)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", env={}, start_new_session=True,
            pass_fds=(written,),
        )  # fmt: skip
        os.close(written)
        for fd in (self._results, self._process.stdin.fileno()):
            os.set_blocking(fd, False)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the server and all that it runs; with namespaces, the end of the reaper takes along whoever left the process group.

        In a fork of the owner it lets go of the server, which goes on as the owner's, and so does the folder.
        """
        if self._closed:
            return
        self._closed = True
        if self.owner == os.getpid():
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._process.wait()
            shutil.rmtree(self._base, ignore_errors=True)  # what a program without namespaces left there may resist; it decides nothing
        for stream in (self._process.stdin, self._process.stderr):
            stream.close()
        os.close(self._results)

    def ask(self, job: dict, limits: Limits) -> tuple[str, bytes]:
        """(status, what the program's process wrote): "ended", "timeout" or "output".

        Raises:
            Broken: the server is gone, is late or could not shut the program off; close the session.
        """
        data, found = json.dumps(job | {"limits": asdict(limits)}).encode() + b"\n", bytearray()
        deadline = time.monotonic() + limits.seconds + GRACE
        stdin = self._process.stdin.fileno()
        with selectors.DefaultSelector() as waiting:
            waiting.register(stdin, selectors.EVENT_WRITE)
            waiting.register(self._results, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                for key, _ in waiting.select(left):
                    if key.fd == stdin:
                        try:
                            data = data[os.write(stdin, data[: 1 << 16]) :]
                        except BrokenPipeError:
                            data = b""
                        if not data:
                            waiting.unregister(stdin)
                        continue
                    block = os.read(self._results, 1 << 16)
                    if not block:
                        raise Broken(self._last_words())
                    found += block
                head, mark, body = found.partition(b"\n")
                if mark and len(body) == (about := json.loads(head))["size"]:
                    if about["status"] == "failed":
                        raise Broken(body.decode(errors="replace"))
                    return about["status"], bytes(body)
        raise Broken("no answer in time")

    def _last_words(self) -> str:
        """What the server said before it ended."""
        os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.stderr.read(500).decode(errors="replace").strip() or "the server ended without a word"
