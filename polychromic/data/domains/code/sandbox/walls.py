"""Tries each wall of the sandbox with real programs, those of walls.toml, for `polychromic doctor --sandbox` and for the tests."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import polychromic
from polychromic.data.domains.code.sandbox import run, values

_TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
# The programs by wall and by what each tries.
WALLS: dict[str, dict[str, str]] = {
    wall: {name: _TABLE["head"] + text for name, text in programs.items()} for wall, programs in _TABLE["wall"].items()
}


@contextmanager
def place(folder: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """What the programs are to reach, in a new folder within `folder`: their argument, and the secret that they are to find, of which they
    know the mark it begins with: another process may have made a place of its own."""
    mark = f"s3cret-{secrets.token_hex(8)}-"
    secret = mark + secrets.token_hex(16)
    with ExitStack() as stack:
        new = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="walls-", dir=folder)))
        new.chmod(0o777)  # the wall is to stop a program, not the rights of its user
        (new / "private").write_text(secret)
        os.mkfifo(new / "fifo")
        shm = stack.enter_context(tempfile.NamedTemporaryFile(dir="/dev/shm" if os.path.isdir("/dev/shm") else new))
        shm.write(secret.encode())
        shm.flush()
        ends = [os.open(new / "fifo", os.O_RDWR), os.open(new / "private", os.O_RDONLY), *os.openpty()]
        for fd in ends:
            stack.callback(os.close, fd)
        os.set_inheritable(ends[1], True)
        for path in ("private", "fifo"):
            (new / path).chmod(0o666)
        tcp, unix = stack.enter_context(socket.create_server(("127.0.0.1", 0))), stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(str(new / "socket"))
        unix.listen(64)
        (new / "socket").chmod(0o777)
        sleeping = [sys.executable, "-S", "-c", "import time; time.sleep(600)", secret]
        other = stack.enter_context(subprocess.Popen(sleeping, cwd=new, env={"TOKEN": secret}))
        stack.callback(other.kill)
        yield {
            "mark": mark, "folder": str(new), "fifo": str(new / "fifo"), "terminal": os.ttyname(ends[3]), "socket": str(new / "socket"),
            "port": tcp.getsockname()[1], "pid": other.pid, "python": sys.executable, "package": str(Path(polychromic.__file__).parents[1]),
        }, secret  # fmt: skip


def got_through(program: str, at: dict[str, Any], secret: str) -> bool:
    """Whether a program gets through, in the sandbox, after one that was told the secret. Raises as `run.call`."""
    run.call("def f(x): return x", [("f", (secret,))])
    answers = run.call(program, [("f", (at,))])
    return answers is not None and answers[0] in [("value", values.encode(True)), ("value", values.encode(secret))]


def try_walls(folder: Path) -> dict[str, list[str]]:
    """By wall, the names of the programs that got through, tried on things in `folder`. Raises as `run.call`."""
    with place(folder) as (at, secret):
        return {wall: [name for name, text in programs.items() if got_through(text, at, secret)] for wall, programs in WALLS.items()}
