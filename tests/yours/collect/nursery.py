"""Runs `polychromic collect` in children that die where they are told to. A program: one order as JSON per line on stdin, one
answer per line on stdout. It imports everything once and forks, so that a life costs milliseconds and not a start of Python.

Order: {"arguments": [...], "log": file for what the child says, and one of: "line": die before that line of collect's code,
counted over the life; "bytes": let no file grow beyond that size, so that the kernel cuts the write that would and kills the
process at the next; neither: live}. Answer: {"signal", "code", "lines": lines counted, in a life that ended by itself}.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys

from polychromic.base import io
from polychromic.cli.app import app as cli
from polychromic.yours.collect import apify, authors, files, http, run, schema, source, store

HEAVY = {"torch", "transformers", "pandas", "scipy", "sklearn", "matplotlib"}
http.FIRST_WAIT = 0.001
CODE = frozenset(module.__file__ for module in (apify, authors, files, http, run, schema, source, store, io))
counted = 0


def on_every_line(last: int | None) -> None:
    """Count the lines of CODE that are run; die before number `last`."""

    def line(frame, event, argument):  # noqa: ANN001, ANN202
        global counted
        if event == "line":
            counted += 1
            if counted == last:
                os.kill(os.getpid(), signal.SIGKILL)
        return line

    sys.settrace(lambda frame, event, argument: line if frame.f_code.co_filename in CODE else None)


def live(order: dict, answer: int) -> None:
    """The child: never returns."""
    code = 1
    try:
        say = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for descriptor in (1, 2):
            os.dup2(say, descriptor)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        sys.argv = ["polychromic", "collect", *order["arguments"]]
        if "bytes" in order:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it, and would make an exception of it
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (order["bytes"], resource.RLIM_INFINITY))
        else:
            on_every_line(order.get("line"))
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        sys.settrace(None)
        assert not HEAVY & set(sys.modules), "collect must start without these"
        os.write(answer, str(counted).encode())
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def main() -> None:
    for text in sys.stdin:
        order = json.loads(text)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            live(order, writing)
        os.close(writing)
        lines = int(os.read(reading, 20) or 0)
        os.close(reading)
        _, status = os.waitpid(child, 0)
        died = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        print(json.dumps({"signal": died, "code": 0 if died else os.WEXITSTATUS(status), "lines": lines}), flush=True)


if __name__ == "__main__":
    main()
