"""The only part that touches the terminal: single keys from it, screens to it, and its settings back as they were.

Pasted text arrives in brackets (xterm's bracketed paste), so that a paste is never taken for a row of decisions.
"""

from __future__ import annotations

import codecs
import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.control import Control

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.locks import single_writer
from polychromic.yours.review import log
from polychromic.yours.review.editor import edit_outside
from polychromic.yours.review.screen import draw
from polychromic.yours.review.session import Session

# Bracketed paste on, wrapping off: where terminal and Rich disagree on the width of an emoji, a line is cut instead of moving the next.
ENTER, LEAVE = "\x1b[?2004h\x1b[?7l", "\x1b[?2004l\x1b[?7h"
PASTE_END = b"\x1b[201~"
RESIZE_SECONDS = 0.25  # how often the size is looked at while no key comes
ESCAPE_SECONDS = 0.05  # what follows Esc within this time belongs to the same key
SEQUENCES = {
    "[A": "up", "[B": "down", "[C": "right", "[D": "left", "OA": "up", "OB": "down", "OC": "right", "OD": "left",
    "[H": "home", "[F": "end", "OH": "home", "OF": "end", "[1~": "home", "[4~": "end", "[7~": "home", "[8~": "end",
    "[3~": "delete", "[5~": "pageup", "[6~": "pagedown",
}  # fmt: skip
CONTROLS = {"\r": "enter", "\n": "enter", "\x7f": "backspace", "\x08": "backspace", "\t": "tab", "\x03": "ctrl-c"}


class Keys:
    """Keys of a terminal, one at a time.

    Args:
        fd: of the terminal, in raw mode.
    """

    def __init__(self, fd: int):
        self._fd = fd
        self._waiting = b""

    def read(self, seconds: float) -> str | None:
        """The next key; None when none comes within `seconds`. Raises EOFError when the terminal is gone."""
        if not self._more(seconds):
            return None
        first, self._waiting = self._waiting[:1], self._waiting[1:]
        if first == b"\x1b":
            return self._escape()
        if first < b"\x80":
            c = first.decode()
            return CONTROLS.get(c) or (f"ctrl-{chr(ord(c) + 96)}" if c < " " else c)
        # A character of several bytes; the terminal sends them together.
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        c = decoder.decode(first)
        while not c and self._more(ESCAPE_SECONDS):
            first, self._waiting = self._waiting[:1], self._waiting[1:]
            c = decoder.decode(first)
        return c or "\ufffd"

    def _more(self, seconds: float) -> bool:
        if not self._waiting and select.select([self._fd], [], [], seconds)[0]:
            try:
                self._waiting = os.read(self._fd, 4096)
            except OSError:
                self._waiting = b""  # the other end of a pseudo-terminal is closed
            if not self._waiting:
                raise EOFError
        return bool(self._waiting)

    def _escape(self) -> str:
        """A named key, a paste, or "esc"; sequences that are not known are swallowed whole and called "unknown"."""
        if not self._more(ESCAPE_SECONDS) or self._waiting[:1] not in (b"[", b"O"):
            return "esc"
        found, self._waiting = self._waiting[:1].decode(), self._waiting[1:]
        while self._more(ESCAPE_SECONDS):
            c, self._waiting = chr(self._waiting[0]), self._waiting[1:]
            found += c
            if "@" <= c <= "~":  # the final byte of a control sequence
                break
        return self._paste() if found == "[200~" else SEQUENCES.get(found, "unknown")

    def _paste(self) -> str:
        text = self._waiting
        while PASTE_END not in text:
            self._waiting = b""
            if not self._more(1.0):
                break  # the end never came: what there is was pasted
            text += self._waiting
        text, _, self._waiting = text.partition(PASTE_END)
        return "paste:" + text.decode("utf-8", "replace")


@contextmanager
def raw_terminal(fd: int, console: Console) -> Iterator[None]:
    """Keys come one by one, unechoed, and the screen is a second one; both are put back whatever happens."""
    before = termios.tcgetattr(fd)
    with console.screen():
        try:
            # Not at once raw: output keeps its line ends. Signals are keys, so that Ctrl-Z leaves no half-drawn screen behind.
            tty.setcbreak(fd)
            now = termios.tcgetattr(fd)
            now[0] &= ~(termios.IXON | termios.ICRNL)
            now[3] &= ~(termios.ISIG | termios.IEXTEN)
            termios.tcsetattr(fd, termios.TCSADRAIN, now)
            console.file.write(ENTER)
            yield
        finally:
            console.file.write(LEAVE)
            console.file.flush()
            termios.tcsetattr(fd, termios.TCSADRAIN, before)


def check_terminal(console: Console) -> None:
    """Raises UsageError where keys cannot be read or screens drawn."""
    remedy = "Allowed: a terminal that keys come from. --export and --agreement work without one."
    for name, stream in (("standard input", sys.stdin), ("standard output", sys.stdout)):
        if stream is None or not stream.isatty():
            raise UsageError(f"review: {name} is not a terminal. {remedy}")
    if console.is_dumb_terminal:
        raise UsageError(f"review: TERM is {os.environ.get('TERM')!r}, which cannot draw a screen. {remedy}")


def run(candidates: log.Candidates, folder: Path, reviewer: str) -> str:
    """Review in this terminal until the reviewer quits; a line that says how far the review is.

    Raises:
        UsageError: no terminal, or a name that is no file's.
        PolychromicError: the log is of other candidates, or another process reviews under this name.
    """
    console = Console(highlight=False)
    path = log.log_path(folder, reviewer)
    check_terminal(console)
    with single_writer(path, wait_seconds=1.0):
        found, writer = log.open_log(folder, reviewer, candidates)
        session = Session(candidates.records, found.review, writer.append, found.last)
        if found.cut:
            session.message = log.CUT
        try:
            _loop(session, reviewer, console)
        finally:
            writer.close()
    counts = found.review.counts()
    return (
        f"{counts['reviewed']:,} of {counts['candidates']:,} reviewed: {counts['accepted']:,} accepted ({counts['edited']:,} edited), "
        f"{counts['rejected']:,} rejected, {counts['undecided']:,} undecided. Every decision is in {path}."
    )


def _loop(session: Session, reviewer: str, console: Console) -> None:
    fd = sys.stdin.fileno()
    wanted: str | None = None
    while wanted != "quit":
        with raw_terminal(fd, console):
            wanted = _until_event(session, reviewer, console, Keys(fd))
        if wanted == "editor":
            try:
                session.edited(*edit_outside(*session.texts()))
            except PolychromicError as error:
                session.message = str(error)


def _until_event(session: Session, reviewer: str, console: Console, keys: Keys) -> str:
    """Draw, read a key, apply it, until the session wants to quit or needs the terminal for an editor."""
    while True:
        size = console.size
        console.control(Control.home())
        console.print(draw(session, reviewer, console), end="")
        try:
            while (key := keys.read(RESIZE_SECONDS)) is None and console.size == size:
                pass
        except EOFError:
            return "quit"
        if key is not None and (event := session.press(key)):
            return event
