"""Candidates, a session over them, and the program in a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
from pathlib import Path

from polychromic.base.io import write_jsonl
from polychromic.data.records import Record
from polychromic.yours.review.log import Action, Candidates, Log, open_log, read_candidates
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


class Bench:
    """A session over `n` candidates, or over one of these texts."""

    def __init__(self, folder: Path, n: int = 6, *texts: str):
        candidates = write_candidates(folder, *([candidate(0, *texts)] if texts else map(candidate, range(n))))
        self.log = open_log(folder, "anna", candidates)
        self.session = Session(self.log)

    def keys(self, keys: str) -> None:
        for key in keys:
            self.session.press("space" if key == " " else key)

    @property
    def at(self) -> int | None:
        return None if self.session.at is None else int(self.session.at[-3:])

    @property
    def acts(self) -> dict[int, str]:
        return {int(name[-3:]): found.act for name, found in self.log.decisions.items()}


def passed(candidates: Candidates, reviewer: str, said: str) -> Log:
    """A pass that accepts (a), rejects as spam (s) or off topic (o), edits (e) or leaves out (.) candidate after candidate."""
    log = open_log(candidates.path.parent, reviewer, candidates)
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
        while text not in self.output:
            assert select.select([self._mine], [], [], PATIENCE)[0], self.output
            self.output += os.read(self._mine, 65536).decode(errors="replace")

    def same_settings(self) -> bool:
        return termios.tcgetattr(self._its) == self._before
