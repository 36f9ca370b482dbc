"""Lives of a command in children of this process: a life costs milliseconds and not a start of Python, and can be ended at any line."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from polychromic.cli import app as cli
from tests.workspace import REPOSITORY

PACKAGE = str(REPOSITORY / "polychromic")


class Life(NamedTuple):
    """signal: of its death, 0 where it ended by itself, with exit code and the lines of the package that it ran."""

    signal: int
    code: int
    lines: int


def live(
    arguments: Sequence[str], folder: Path, cache: Path, line: int | None = None, size: int | None = None,
    traced: str | tuple[str, ...] = PACKAGE, said: str | None = None,
) -> Life:  # fmt: skip
    """Run the command line in `folder`.

    Args:
        line: die before that line of what is traced, counted over the life.
        size: let no file grow beyond it: the kernel cuts the write that would, and kills the process at the next.
        traced: what the names of the files begin with whose lines count.
        said: where the command prints to; None: said.txt beside the folder.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code, counted = 99, 0
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(1)  # the pool of this process did not survive the fork: whoever asks it for work waits for ever

        def count(frame, event, argument):  # noqa: ANN001, ANN202
            nonlocal counted
            if event == "line":
                counted += 1
                if counted == line:
                    os.kill(os.getpid(), signal.SIGKILL)
            return count

        try:
            terminal = open(said or folder.parent / "said.txt", "w", encoding="utf-8")
            sys.stdout, sys.stderr, sys.argv = terminal, terminal, ["polychromic", *arguments]
            os.chdir(folder)
            os.environ |= {"POLYCHROMIC_CACHE": str(cache)}
            if size is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it, and would make an exception of it
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            sys.settrace(lambda frame, event, argument: count if frame.f_code.co_filename.startswith(traced) else None)
            try:
                cli.main()
            except SystemExit as stop:
                code = int(stop.code or 0)
            sys.settrace(None)
            terminal.flush()
            os.write(writing, str(counted).encode())
        finally:
            os._exit(code)
    os.close(writing)
    lines = int(os.read(reading, 20) or 0)
    os.close(reading)
    status = os.waitpid(child, 0)[1]
    return Life(os.WTERMSIG(status), os.WEXITSTATUS(status), lines)
