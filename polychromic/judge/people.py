"""People answer the same questions: in the terminal, by keys, or in a CSV file that goes out and comes back. Records are as a model's."""

from __future__ import annotations

import csv
import io
import os
import re
import sys
from pathlib import Path

from prompt_toolkit.application import create_app_session
from prompt_toolkit.output.vt100 import Vt100_Output
from rich.console import RenderableType
from rich.rule import Rule
from rich.text import Text

from polychromic.base.errors import DataError, UsageError
from polychromic.base.io import dumps, read_bytes, sha256_json, write_text
from polychromic.base.locks import single_writer
from polychromic.base.visible import Terminal, visible
from polychromic.judge.prompt import ASKS, VERDICTS
from polychromic.judge.providers import PERSON
from polychromic.judge.questions import Asked
from polychromic.judge.results import Judge, Plan
from polychromic.judge.store import Reply, Store, record
from polychromic.judge.verdicts import read
from polychromic.yours.review.session import QUIT, read_key

KEYS = {"1": "first", "2": "second", "t": "tie"}
COLUMNS = ("question", "criteria", "message", "first", "second", "verdict", "rationale")
LONGEST_CELL = 2**31 - 1  # characters; csv's own limit is 131072
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would compute what begins so


def person(name: str) -> Judge:
    """Raises UsageError for a name that a table or a file could not hold."""
    if not re.fullmatch(r"[\w-][\w.-]*", name):
        raise UsageError(f"--reviewer is {name!r}. Allowed: letters, digits, dots, - and _, such as anna or anna-2.")
    return Judge(PERSON, name)


def answer(plan: Plan, who: Judge, asked: Asked, verdict: str, rationale: str = "") -> dict:
    """The record of a person's answer."""
    return record(plan.request(who, asked), Reply(dumps({"rationale": rationale, "verdict": verdict}), "end"), 0.0, False)


class Session:
    """Questions in the input and output of prompt_toolkit's current session. Each answer is on the disk before the next is shown."""

    def __init__(self, plan: Plan, who: Judge, store: Store, console: Terminal):
        self._plan, self._who, self._store, self._console = plan, who, store, console
        self._asked = plan.asks(who)
        self._keys = [sha256_json(plan.request(who, one)) for one in self._asked]
        self.at = next((place for place, key in enumerate(self._keys) if key not in store), 0)

    def run(self) -> None:
        """Until the person quits."""
        meanings = KEYS | {"s": "skip", "b": "back", QUIT: "quit"}
        while True:
            self._console.clear()
            self._console.print(*self.view(), sep="\n")
            key = read_key(meanings if self._asked else {QUIT: "quit"})
            if key == QUIT:
                return
            if key in KEYS:
                self._store.extend([answer(self._plan, self._who, self._asked[self.at], KEYS[key])])
            self.at = (self.at + (-1 if key == "b" else 1)) % len(self._asked)

    @property
    def progress(self) -> str:
        done = sum(key in self._store for key in self._keys)
        return f"{done:,} of {len(self._keys):,} questions answered"

    def view(self) -> list[RenderableType]:
        """Progress, what is asked, the message, both sides, and the answer that holds."""
        head = Text(f"{self._who.model}  {self.progress}", "bold")
        if not self._asked:
            return [head, Text("No question: all pairs of replies are the same.")]
        asked, key = self._asked[self.at], self._keys[self.at]
        question, (first, second) = asked.question, sides(asked)
        criteria = ", ".join(self._plan.rubrics[question.domain].of(question.kind))
        ask = ASKS[question.kind].format(size=len(first))
        given = read(self._store[key]).value if key in self._store else "not answered"
        shown = [head, Text(f"{self.at + 1:,}  {ask} Criteria: {criteria}.", "dim"), Rule("message", align="left")]
        shown += [Text(visible(question.prompt, breaks=True))]
        for number, texts in (("1", first), ("2", second)):
            mark = "- " * (len(texts) > 1)
            shown += [Rule(number, align="left"), *(Text(f"{mark}{visible(text, breaks=True)}", "bold") for text in texts)]
        return [*shown, Rule(), Text(str(given), "dim")]


def sides(asked: Asked) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is shown first, and second."""
    other = "b" if asked.first == "a" else "a"
    return asked.question.replies[asked.first], asked.question.replies[other]


def terminal(plan: Plan, who: Judge, store: Store) -> str:
    """Ask in this terminal; a line that says how far it is. Raises UsageError: no terminal; PolychromicError: the store is in use."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") in ("dumb", "unknown"):
        found = f"standard input or output is not a terminal that can draw a screen (TERM is {os.environ.get('TERM')!r})"
        raise UsageError(f"judge --people: {found}. Allowed: a terminal that keys come from, or --export and --import FILE.csv.")
    with single_writer(store.path, wait_seconds=1.0):
        store.reread()
        output = Vt100_Output.from_pty(sys.stdout)
        output.enable_cpr = False  # to ask where the cursor is would cost a second per key where a terminal does not answer
        session = Session(plan, who, store, Terminal())
        with create_app_session(output=output) as here, here.input.raw_mode():
            try:
                session.run()
            except (EOFError, KeyboardInterrupt):
                pass  # the terminal is gone; every answer is on the disk
    return f"{session.progress}. Every answer is in {store.path}."


def export_csv(plan: Plan, who: Judge, path: Path) -> int:
    """Write a person's questions, a row each, with the columns verdict and rationale to fill in; how many. System names are not in it.

    Raises UsageError: something is there already, which may hold answers.
    """
    if os.path.lexists(path):
        raise UsageError(f"--export {path}: is there already, perhaps with answers. Allowed: a new file. Name another, or take it away.")
    rows = []
    for asked in plan.asks(who):
        first, second = sides(asked)
        rubric = plan.rubrics[asked.question.domain].of(asked.question.kind)
        criteria = "; ".join(f"{name}: {' '.join(what.split())}" for name, what in rubric.items())
        cells = [criteria, _listed((asked.question.prompt,)), _listed(first), _listed(second)]
        rows.append([sha256_json(plan.request(who, asked)), *map(_cell, cells), "", ""])
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([COLUMNS, *rows])
    write_text(path, out.getvalue())
    return len(rows)


def import_csv(plan: Plan, who: Judge, path: Path, store: Store) -> int:
    """Take the verdicts of a file that `export_csv` wrote for the same person; how many. Rows without a verdict are left out.

    Raises DataError: a line whose question is none of the person's, or whose verdict is none; then nothing was taken. UsageError: no file.
    """
    by_key = {sha256_json(plan.request(who, asked)): asked for asked in plan.asks(who)}
    allowed = f"the file that --export wrote for {who.model}, with {', '.join(VERDICTS)} (or 1, 2, t) in column verdict"
    if not path.exists():
        raise UsageError(f"--import {path}: file not found. Allowed: {allowed}.")
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(str(path), f"not UTF-8 ({error.reason})", allowed, "Save the file as CSV in UTF-8.") from None
    first_line = text.partition("\n")[0]
    delimiter = ";" if first_line.count(";") > first_line.count(",") else ","  # as spreadsheets write it where the comma is decimal
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        head, *rows = [(reader.line_num, row) for row in reader] or [(0, [])]
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}", f"not CSV ({error})", allowed) from None
    head = head[1]
    if not {"question", "verdict"} <= set(head):
        raise DataError(f"{path}:1", f"columns {', '.join(head) or 'none'}", allowed)
    at, found = {name: place for place, name in enumerate(head)}, []
    for line, row in rows:
        where = f"{path}:{line}"
        cell = lambda name, row=row: row[at[name]].strip() if name in at and at[name] < len(row) else ""
        if not (given := cell("verdict").lower()):
            continue
        verdict = KEYS.get(given, given)
        if verdict not in VERDICTS:
            raise DataError(where, f"verdict {given!r}", allowed)
        if (asked := by_key.get(cell("question"))) is None:
            raise DataError(where, f"question {cell('question')[:12]!r} is none that {who.model} was asked", allowed)
        found.append(answer(plan, who, asked, verdict, cell("rationale")))
    with single_writer(store.path, wait_seconds=1.0):
        store.reread()
        store.extend(found)
    return len(found)


def _listed(texts: tuple[str, ...]) -> str:
    shown = ["\n".join(visible(line) for line in text.split("\n")) for text in texts]
    return shown[0] if len(shown) == 1 else "\n".join(f"{number}. {text}" for number, text in enumerate(shown, start=1))


def _cell(text: str) -> str:
    """A text that a spreadsheet takes as one."""
    return f"'{text}" if text.startswith(FORMULA) else text
