"""A review in the terminal: Rich shows a candidate, prompt_toolkit reads a key or a line, the log keeps it. Control characters are shown,
never sent."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application, create_app_session
from prompt_toolkit.formatted_text import fragment_list_to_text
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.layout import FormattedTextControl, Layout, Window
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.validation import Validator
from rich.console import Console, RenderableType
from rich.rule import Rule
from rich.text import Text

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.locks import single_writer
from polychromic.base.visible import Terminal, visible
from polychromic.yours.review.log import REASONS, Action, Candidates, Log, log_path, read_log

# What a filter can ask for -> the acts that pass; None: undecided.
STATES = {"undecided": (None,), "accepted": ("accept", "edit"), "rejected": ("reject",), "edited": ("edit",)}
QUIT, BACK = "q", "escape"
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
ESCAPE = 0.05  # seconds: what follows Esc within this time belongs to the same key


class Session:
    """A review in progress, in the input and output of prompt_toolkit's current session.

    Attributes:
        at: id of the record on the screen; None when none passes the filter.
        filter: with commas between: states (of STATES), strata, and texts that post or reply hold, whatever the case. All must hold.
    """

    def __init__(self, log: Log, console: Console):
        self.log, self.records, self._console = log, log.candidates.records, console
        self.at = log.last.id if log.last else None
        self.filter = self.message = ""
        if log.last is None or log.last.act != "undo":
            self._go(undecided=True)

    def run(self) -> None:
        """Until the reviewer quits. A decision that could not be written is none: the message says why."""
        does = {
            "a": ("accept", lambda: self._decide("accept")),
            "r": ("reject", self._reject),
            "e": ("edit reply", lambda: self._edit("reply")),
            "p": ("edit post", lambda: self._edit("post")),
            "s": ("skip", lambda: self._decide("skip")),
            "n": ("next", self._go),
            "b": ("back", lambda: self._go(back=True)),
            "u": ("undo", self._undo),
            "f": ("filter", self._filter),
            QUIT: ("quit", None),
        }
        while True:
            self._console.clear()
            self._console.print(*self.view(), sep="\n")
            self.message = ""
            if (key := read_key({key: what for key, (what, _) in does.items() if self.at is not None or key in "ufq"})) == QUIT:
                return
            try:
                does[key][1]()
            except PolychromicError as error:
                self.message = str(error)

    def view(self) -> list[RenderableType]:
        """Progress, place, the pair and its decision; the reply below the post, so that it is in sight however long the post is."""
        counts, passing = self.log.counts(), [name for name in self.records if self.passes(name)]
        place = f"filter: {self.filter or 'all'}  {passing.index(self.at) + 1 if self.at in passing else 0:,} of {len(passing):,}"
        pair = [Text("No candidate passes the filter. f changes it, u undoes.")]
        if self.at is not None:
            place += f"  {self.records[self.at].stratum}  {self.at}"
            post, reply = (visible(text, breaks=True) for text in self.log.texts(self.at))
            state, style, decision = "undecided", "dim", self.log.decisions.get(self.at)
            if decision is not None and decision.act == "reject":
                state, style = f"rejected: {visible(decision.note) or REASONS[decision.reason]}", "red"
            elif decision is not None:
                state, style = "accepted, edited" if decision.act == "edit" else "accepted", "green"
            pair = [Rule("post", align="left"), Text(post), Rule("reply", align="left"), Text(reply, "bold"), Rule(), Text(state, style)]
        head = Text(f"{self.log.reviewer}  {progress(counts)}", "bold"), Text(visible(place), "dim")
        return [*head, *pair, Text(visible(self.message), "yellow")]

    def passes(self, name: str) -> bool:
        """Whether a record passes the filter."""
        decision = self.log.decisions.get(name)
        texts = [text.casefold() for text in self.log.texts(name)]
        for term in filter(None, map(str.strip, self.filter.casefold().split(","))):
            of_texts = term == self.records[name].stratum.casefold() or any(term in text for text in texts)
            if not ((decision and decision.act) in STATES[term] if term in STATES else of_texts):
                return False
        return True

    def _go(self, back: bool = False, undecided: bool = False) -> None:
        """To the next record that passes, around the end, the one on the screen last; where asked, to an undecided one if there is any."""
        names = list(self.records)
        place = names.index(self.at) if self.at is not None else len(names) - 1
        ring = names[:place][::-1] + names[place:][::-1] if back else names[place + 1 :] + names[: place + 1]
        found = [name for name in ring if self.passes(name)]
        wanted = [name for name in found if name not in self.log.decisions] if undecided else []
        self.at = next(iter(wanted or found), None)

    def _decide(self, act: str, **values: str) -> None:
        self.log.append(Action(act, self.at, **values))
        self._go(undecided=True)
        if not self.log.counts()["undecided"]:
            self.message = "every candidate is decided; q quits, and `polychromic review-export` writes the set"

    def _undo(self) -> None:
        if (last := self.log.undoable) is None:
            self.message = "nothing to undo"
            return
        self.log.append(Action("undo", last.id))
        self.at, self.message = last.id, f"undone: {last.act}"
        self.filter = self.filter if self.passes(last.id) else ""

    def _reject(self) -> None:
        names = dict(enumerate(REASONS, start=1))
        if (key := read_key({str(number): REASONS[name] for number, name in names.items()} | {BACK: "back"}, "\n")) == BACK:
            return
        reason = names[int(key)]
        note = read_line("reason in your own words", "") if reason == "other" else ""
        if note is not None:
            self._decide("reject", reason=reason, note=note)

    def _edit(self, part: str) -> None:
        texts = dict(zip(("post", "reply"), self.log.texts(self.at), strict=True))
        if (edited := read_line(part, texts[part])) in (None, texts[part]):
            self.message = "nothing changed"
        else:
            texts[part] = edited
            self._decide("edit", prompt=texts["post"], reply=texts["reply"])

    def _filter(self) -> None:
        asked = read_line(f"show only ({', '.join(STATES)}, a stratum, a text; empty: all)", self.filter, empty=True)
        self.filter = self.filter if asked is None else asked
        if self.at is None or not self.passes(self.at):
            self._go()


def progress(counts: dict[str, int]) -> str:
    decided = f"{counts['accepted']:,} accepted ({counts['edited']:,} edited), {counts['rejected']:,} rejected"
    return f"{counts['reviewed']:,} of {counts['candidates']:,} reviewed: {decided}, {counts['undecided']:,} undecided"


def read_key(meanings: Mapping[str, str], between: str = "  ") -> str:
    """Wait for one of the keys; what each does stands below the candidate. Others, and pasted texts, do nothing."""
    keys = KeyBindings()
    meant = {name: name for name in meanings} | {"c-c": BACK if BACK in meanings else QUIT, "/": "f" if "f" in meanings else None}
    for name, result in meant.items():
        if result:
            keys.add(name, eager=True)(lambda event, result=result: event.app.exit(result=result))
    hint = FormattedTextControl(between.join(f"{name} {what}" for name, what in meanings.items()), show_cursor=False)
    layout = Layout(Window(hint, wrap_lines=True, dont_extend_height=True))
    app: Application[str] = Application(layout, key_bindings=keys, erase_when_done=True)
    app.ttimeoutlen = ESCAPE
    return app.run()


class Visible(Processor):
    """The edited line with its control characters shown; the cursor stays at its character."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        text = fragment_list_to_text(transformation_input.fragments)
        return Transformation([("", visible(text))], source_to_display=lambda place: len(visible(text[:place])))


def read_line(label: str, text: str, empty: bool = False) -> str | None:
    """A line edited from `text`, runs of blanks as one; it holds no control character, and something if not `empty`. None: given up."""
    fine = lambda typed: not CONTROL.search(" ".join(typed.split())) and (empty or typed.strip() != "")
    keys = KeyBindings()
    for name in (BACK, "c-c"):
        keys.add(name, eager=True)(lambda event: event.app.exit(result=None))
    prompt: PromptSession[str | None] = PromptSession(
        f"{label}: ", key_bindings=keys, input_processors=[Visible()], bottom_toolbar="Enter keep  Esc back",
        validator=Validator.from_callable(fine, "empty, or holds a control character"), validate_while_typing=False,
    )  # fmt: skip
    prompt.app.ttimeoutlen = ESCAPE
    found = prompt.prompt(default=text)
    return None if found is None else " ".join(found.split())


def review(candidates: Candidates, folder: Path, reviewer: str) -> str:
    """Review in this terminal until the reviewer quits; a line that says how far the review is.

    Raises UsageError: no terminal, or a name that is no file's; PolychromicError: see read_log, or somebody reviews under this name.
    """
    path = log_path(folder, reviewer)
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") in ("dumb", "unknown"):
        found = f"standard input or output is not a terminal that can draw a screen (TERM is {os.environ.get('TERM')!r})"
        raise UsageError(f"review: {found}. Allowed: a terminal that keys come from. `polychromic review-export` works without one.")
    with single_writer(path, wait_seconds=1.0):
        log = read_log(path, candidates, reviewer)
        output = Vt100_Output.from_pty(sys.stdout)
        output.enable_cpr = False  # to ask where the cursor is would cost a second per key where a terminal does not answer
        with create_app_session(output=output) as here, here.input.raw_mode():
            try:
                Session(log, Terminal()).run()
            except (EOFError, KeyboardInterrupt):
                pass  # the terminal is gone; every decision is on the disk
    return f"{progress(log.counts())}. Every decision is in {path}."
