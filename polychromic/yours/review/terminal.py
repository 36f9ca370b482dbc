"""A session in the terminal: its screen, and keys and lines back (prompt_toolkit). Control characters are shown, never sent."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import fragment_list_to_text
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import BufferControl, ConditionalContainer, FormattedTextControl, HSplit, Layout, Window
from prompt_toolkit.layout.processors import BeforeInput, Processor, Transformation, TransformationInput
from rich.console import Console
from rich.text import Text

from polychromic.base.errors import UsageError
from polychromic.base.locks import single_writer
from polychromic.base.visible import visible
from polychromic.yours.review.log import REASONS, Candidates, log_path, open_log
from polychromic.yours.review.session import Session

OTHER_NAMES = {" ": "space", "pagedown": "space", "right": "n", "down": "n", "left": "b", "up": "b", "/": "f", "c-c": "q"}
LEAST = 9  # lines in which post, reply and decision can be seen side by side, each cut short
EDITED = 5  # lines for a text that is edited; a longer one is scrolled

Line = tuple[str, str]  # (style of prompt_toolkit, text)
BLANK, DIM, NOTE = ("", ""), "ansibrightblack", "ansiyellow"


def draw(session: Session, width: int, height: int) -> list[Line]:
    """The whole screen: progress above, the pair and reasons to choose from between, message and keys below; `height` lines."""
    counts, passing, at = session.log.counts(), session.passing(), session.at
    bar = ("\u2588" * (20 * counts["reviewed"] // counts["candidates"])).ljust(20, "\u2591")
    decided = f"{counts['accepted']:,} accepted ({counts['edited']:,} edited)  {counts['rejected']:,} rejected"
    progress = f"{session.log.reviewer}  {bar} {counts['reviewed']:,} of {counts['candidates']:,} reviewed  {decided}"
    place = f"filter: {session.filter or 'all'}  {passing.index(at) + 1 if at in passing else 0:,} of {len(passing):,}"
    place += f"  {session.records[at].stratum}  {at}" if at is not None else ""
    keys = [f"{key} {what}" for key, (what, _) in session.browse.items()] if session.keys is session.browse else ["Esc back"]
    if session.question is not None:
        keys = ["Enter keep", "Esc back", "Ctrl-O opens $VISUAL or $EDITOR"]
    unparted = "  ".join(key.replace(" ", "\xa0") for key in keys)
    above = [*_wrap(progress, width, "bold"), *_wrap(place, width, DIM)]
    below = [BLANK, *_wrap(session.message, width, NOTE), *((DIM, line.replace("\xa0", " ")) for line in textwrap.wrap(unparted, width))]
    room = max(height - len(above) - len(below), 1)
    middle = []
    if session.keys is session.reasons:
        middle = [_rule("why", width), *(("", f"{key:>6}  {text}") for key, (text, _) in session.reasons.items())]
    if not middle or room - len(middle) >= LEAST:  # else the pair has just been read
        middle = [*_pair(session, width, room - len(middle)), *middle]
    return [*above, *middle, *[BLANK] * (room - len(middle)), *below][:height]


def _pair(session: Session, width: int, room: int) -> list[Line]:
    """Post, reply and decision. Nobody decides on a reply that a long post has pushed off the screen: both are shown page by page."""
    if session.at is None:
        return _wrap("No candidate passes the filter. f changes it, u undoes.", width)
    post, reply = session.log.texts(session.at)
    decision = session.log.decisions.get(session.at)
    status = DIM, "undecided"
    if decision is not None and decision.act == "reject":
        status = "ansired", f"rejected: {visible(decision.note) or REASONS[decision.reason]}"
    elif decision is not None:
        status = "ansigreen", "accepted, edited" if decision.act == "edit" else "accepted"
    upper, lower, left = _wrap(post, width), _wrap(reply, width, "bold"), room - 5
    for_reply = min(len(lower), max(left - len(upper), left // 2))
    shown = _page(upper, left - for_reply, session.page), _page(lower, for_reply, session.page)
    return [_rule("post", width), *shown[0], BLANK, _rule("reply", width), *shown[1], BLANK, status]


def _page(lines: list[Line], room: int, page: int) -> list[Line]:
    """As many of the lines as there is room for; pages follow each other around the end."""
    if len(lines) <= room:
        return lines
    step = max(room - 1, 1)
    start = page % -(-len(lines) // step) * step
    shown = lines[start : start + step]
    note = f"\u2026 lines {start + 1}\u2013{start + len(shown)} of {len(lines)}: space, PgUp"
    return [*shown, *[BLANK] * (step - len(shown)), (NOTE, note)]


def _rule(title: str, width: int) -> Line:
    return DIM, f"\u2500 {title} ".ljust(width, "\u2500")


def _wrap(text: str, width: int, style: str = "") -> list[Line]:
    """`text` in lines of the width, parted between words; no markup is obeyed."""
    return [(style, line.plain.rstrip()) for line in Text(visible(text, breaks=True)).wrap(Console(width=width), width)]


class Visible(Processor):
    """The edited line with its control characters shown; the cursor stays at its character."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        text = fragment_list_to_text(transformation_input.fragments)
        return Transformation([("", visible(text))], source_to_display=lambda place: len(visible(text[:place])))


def application(session: Session) -> Application[None]:
    """The session in the whole terminal, or in the input and output of prompt_toolkit's current session."""
    keys, buffer = KeyBindings(), Buffer()
    asked = Condition(lambda: session.question is not None)

    def drawn() -> list[tuple[str, str]]:
        size = app.output.get_size()
        lines = draw(session, size.columns, size.rows - (EDITED if asked() else 0))
        return [(style, text + "\n" * (number < len(lines))) for number, (style, text) in enumerate(lines, start=1)]

    label = BeforeInput(lambda: f"{session.question.label}: " if session.question else "", style="ansiyellow")
    screen = Window(FormattedTextControl(drawn, focusable=True, show_cursor=False))
    line = Window(BufferControl(buffer, input_processors=[Visible(), label]), wrap_lines=True, height=EDITED)
    layout = Layout(HSplit([screen, ConditionalContainer(line, asked)]))
    app: Application[None] = Application(layout, key_bindings=keys, full_screen=True)
    app.ttimeoutlen = 0.05  # seconds: what follows Esc within this time belongs to the same key

    def press(key: str) -> None:
        session.press(key)
        if session.over:
            app.exit()
        elif session.question is not None:
            buffer.reset(Document(session.question.text))
            layout.focus(line)

    def answer(text: str | None) -> None:
        session.answer(text)
        layout.focus(screen if session.question is None else line)

    keys.add(Keys.Any, filter=~asked)(lambda event: press(event.data))
    keys.add(Keys.BracketedPaste, filter=~asked)(lambda event: None)  # a pasted text is no row of decisions
    for name, key in {**OTHER_NAMES, "pageup": "pageup", "escape": "escape"}.items():
        keys.add(name, filter=~asked, eager=True)(lambda event, key=key: press(key))
    for name in ("escape", "c-c"):
        keys.add(name, filter=asked, eager=True)(lambda event: answer(None))
    keys.add("enter", filter=asked)(lambda event: answer(buffer.text))
    keys.add("c-o", filter=asked)(lambda event: buffer.open_in_editor() and None)
    return app


def run(candidates: Candidates, folder: Path, reviewer: str) -> str:
    """Review in this terminal until the reviewer quits; a line that says how far the review is.

    Raises UsageError: no terminal, or a name that is no file's; PolychromicError: see read_log, or somebody reviews under this name.
    """
    path = log_path(folder, reviewer)
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") in ("dumb", "unknown"):
        found = f"standard input or output is not a terminal that can draw a screen (TERM is {os.environ.get('TERM')!r})"
        raise UsageError(f"review: {found}. Allowed: a terminal that keys come from. `polychromic review-export` works without one.")
    with single_writer(path, wait_seconds=1.0):
        log = open_log(folder, reviewer, candidates)
        try:
            application(Session(log)).run()
        except EOFError:
            pass  # the terminal is gone; every decision is on the disk
    c = log.counts()
    decided = f"{c['accepted']:,} accepted ({c['edited']:,} edited), {c['rejected']:,} rejected, {c['undecided']:,} undecided"
    return f"{c['reviewed']:,} of {c['candidates']:,} reviewed: {decided}. Every decision is in {path}."
