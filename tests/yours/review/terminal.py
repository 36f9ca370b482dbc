"""A program in a pseudo-terminal: keys are sent to it, and what it draws is waited for."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from tests.workspace import REPOSITORY

PATIENCE = 180  # seconds; only a failure, or a machine that does other things, takes as long
SEQUENCE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
ENVIRONMENT = {"PYTHONPATH": str(REPOSITORY), "TERM": "xterm-256color", "PYTHONUTF8": "1"}


class Terminal:
    """`polychromic ARGUMENTS` in a terminal of 30 lines of 120 characters."""

    def __init__(self, folder: Path, *arguments: str):
        self._mine, self._its = pty.openpty()
        fcntl.ioctl(self._its, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
        self.before = termios.tcgetattr(self._its)
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")} | ENVIRONMENT
        environment["POLYCHROMIC_CACHE"] = str(folder / "cache")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "polychromic", *arguments],
            cwd=folder,
            env=environment,
            stdin=self._its,
            stdout=self._its,
            stderr=self._its,
        )
        self.output = b""  # all of it
        self._seen = 0  # how much of it came before the last key

    def wait(self, text: str) -> None:
        """Until `text` was drawn after the last key."""
        until = time.monotonic() + PATIENCE
        while text.encode() not in SEQUENCE.sub(b"", self.output[self._seen :]):
            if not self._read(min(1.0, until - time.monotonic())) and (time.monotonic() > until or self.process.poll() is not None):
                raise AssertionError(f"{text!r} was not drawn, but: {SEQUENCE.sub(b'', self.output[self._seen :]).decode()}")

    def press(self, keys: str) -> None:
        self._seen = len(self.output)
        os.write(self._mine, keys.encode())

    def end(self) -> int:
        """The exit status, when the program ends by itself; reads what it still says."""
        until = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < until:
            self._read(0.1)
        while self._read(0.1):
            pass
        return self.process.wait(timeout=1)

    def settings(self) -> list:
        return termios.tcgetattr(self._its)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._mine)
        os.close(self._its)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._mine], [], [], max(seconds, 0))[0]:
            return False
        self.output += os.read(self._mine, 65536)
        return True
