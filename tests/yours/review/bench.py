"""Candidates, a session over them, and the program in a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from io import StringIO
from pathlib import Path

from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console

from polychromic.base.io import write_jsonl
from polychromic.data.records import Record
from polychromic.yours.review.log import Action, Candidates, Log, log_path, read_candidates, read_log
from polychromic.yours.review.session import Session
from tests.page_tools import environment

STRATA = ("long_high", "short_low", "short_high")
PATIENCE = 180  # seconds; only a failure, or a machine that does other things, takes as long


def candidate(number: int, prompt: str = "", reply: str = "") -> Record:
    texts = {"prompt": prompt or f"post {number}", "references": [reply or f"reply {number}"]}
    about = {"domain": "replies", "group": f"post-{number}", "checker": "person", "source": "tests", "licence": "MIT"}
    return Record(id=f"replies-{number:03}", stratum=STRATA[number % 3], **texts, **about)


def write_candidates(folder: Path, *records: Record) -> Candidates:
    write_jsonl(folder / "candidates.jsonl", (record.model_dump() for record in records))
    return read_candidates(folder)


def begin(folder: Path, *records: Record) -> Log:
    """anna's log over these candidates, or over six of them."""
    return read_log(log_path(folder, "anna"), write_candidates(folder, *(records or map(candidate, range(6)))), "anna")


def play(log: Log, keys: str) -> tuple[Session, list[str]]:
    """A session over the log in which these keys are pressed, then q; and the screens that it drew."""
    drawn = Console(file=StringIO(), width=80)
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        pipe.send_text(keys + "q")
        session = Session(log, drawn)
        session.run()
    return session, re.split("^anna  ", drawn.file.getvalue(), flags=re.MULTILINE)[1:]


def acts(log: Log) -> dict[int, str]:
    return {int(name[-3:]): found.act for name, found in log.decisions.items()}


def passed(candidates: Candidates, reviewer: str, said: str) -> Log:
    """A pass that accepts (a), rejects as spam (s) or off topic (o), edits (e) or leaves out (.) candidate after candidate."""
    log = read_log(log_path(candidates.path.parent, reviewer), candidates, reviewer)
    values = {"a": {"act": "accept"}, "s": {"act": "reject", "reason": "spam"}, "o": {"act": "reject", "reason": "off_topic"}}
    values["e"] = {"act": "edit", "prompt": "p", "reply": "[red]r[/red]\x1b"}
    for name, letter in zip(candidates.records, said, strict=False):
        if letter != ".":
            log.append(Action(id=name, **values[letter]))
    return log


class Terminal:
    """`polychromic ARGUMENTS` in a pseudo-terminal."""

    def __init__(self, folder: Path, *arguments: str):
        self._mine, self._its = pty.openpty()
        termios.tcsetwinsize(self._its, (24, 80))
        self._before = termios.tcgetattr(self._its)
        ends = {"stdin": self._its, "stdout": self._its, "stderr": self._its}
        command = [sys.executable, "-m", "polychromic", *arguments]
        self.process = subprocess.Popen(command, cwd=folder, env=environment(folder) | {"TERM": "xterm-256color"}, **ends)
        self.output = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._mine)
        os.close(self._its)

    def press(self, keys: str) -> None:
        os.write(self._mine, keys.encode())

    def until(self, text: str) -> None:
        """Read what is drawn until this was."""
        started = time.monotonic()
        while text not in self.output:
            if select.select([self._mine], [], [], 1)[0]:
                self.output += os.read(self._mine, 65536).decode(errors="replace")
            else:
                assert self.process.poll() is None and time.monotonic() - started < PATIENCE, self.output

    def same_settings(self) -> bool:
        return termios.tcgetattr(self._its) == self._before
