"""What a session looks like at the size of the terminal. Texts are drawn as they are: no markup, and control characters shown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.segment import ControlType, Segment, Segments
from rich.text import Text

from polychromic.base.visible import visible
from polychromic.yours.review.session import KEYS, PROMPTS, Session
from polychromic.yours.review.state import REASONS, Decision

ERASE = Segment("\x1b[2K", None, [(ControlType.ERASE_IN_LINE, 2)])  # what an emoji of another width left there
FOOTER = ("a accept", "r reject", "e edit reply", "p edit post", "u undo", "s skip", "n/b next/back", "f filter", "/ search", "? help",
          "q quit")  # fmt: skip
EDITING = ("Enter: keep", "Esc: back", "Ctrl-U, Ctrl-K, Ctrl-W: delete")
HINTS = {
    "browse": FOOTER,
    "reason": ("number: reject for this reason", "Esc: back"),
    "filter": ("number or letter: choose", "Esc: back"),
    "help": (),
}
LEAST = 8  # lines in which post, reply and decision can be seen side by side, each cut short
Lines = list[list[Segment]]


def draw(session: Session, reviewer: str, console: Console) -> RenderableType:
    """The whole screen: progress above, the pair (or a list to choose from) between, keys and messages below; cut to the terminal."""
    width, height = console.size
    above = _lines(console, [_progress(session, reviewer, width), *_head(session)])
    below = _lines(console, _foot(session, width))
    room = max(height - len(above) - len(below), 1)
    middle, pages = _middle(session, console, room)
    if len(middle) > room:
        start = _start(session, middle, room, pages)
        more = f" lines {start + 1}\u2013{start + room} of {len(middle)}: space, PgUp "
        below = [*_lines(console, [Rule(more, style="yellow")]), *below[1:]]
        middle = middle[start : start + room]
    else:
        session.scroll = min(session.scroll, pages)
        middle += [[Segment(" " * width)]] * (room - len(middle))
    lines = (above + middle + below)[:height]
    return Segments([segment for place, line in enumerate(lines) for segment in [*([Segment.line()] if place else []), ERASE, *line]])


def _start(session: Session, lines: Lines, room: int, pages: int) -> int:
    """The first line shown: where the cursor is seen, else as far as was scrolled (by all lines of a screen but one).

    pages: 1 where one press of space led from the overview to the first page, else 0.
    """
    cursor = next((place for place, line in enumerate(lines) if any(s.style and s.style.reverse for s in line)), None)
    if cursor is not None:
        return min(max(cursor - room // 2, 0), len(lines) - room)
    step = max(room - 1, 1)
    session.scroll = min(session.scroll, pages - (-(len(lines) - room) // step))
    return min((session.scroll - pages) * step, len(lines) - room)


def _lines(console: Console, parts: Sequence[RenderableType]) -> Lines:
    return console.render_lines(Group(*parts), pad=True)


def _progress(session: Session, reviewer: str, width: int) -> Text:
    counts = session.review.counts()
    n, total = counts["reviewed"], counts["candidates"]
    share = n / total
    bar = max(0, min(20, width - 60))
    filled = int(share * bar)
    text = Text(f"{visible(reviewer)}  ", style="bold")
    text.append("\u2588" * filled, style="green").append("\u2591" * (bar - filled), style="dim")
    text.append(f" {n:,} of {total:,} reviewed", style="bold")
    edited = f" ({counts['edited']:,} edited)" if counts["edited"] else ""
    text.append(f"  {counts['accepted']:,} accepted{edited}  {counts['rejected']:,} rejected", style="not bold")
    return text


def _head(session: Session) -> list[RenderableType]:
    place, passing = session.browser.place()
    text = Text(f"filter: {visible(str(session.browser.filter))}  {place:,} of {passing:,}", style="dim")
    name = session.browser.at
    if name is not None:
        text.append(f"  {visible(session.records[name].stratum)}  {visible(name)}")
    return [text]


def _middle(session: Session, console: Console, room: int) -> tuple[Lines, int]:
    """(lines between head and foot, of which more than `room` are shown page by page; how many presses of space the first page took)."""
    if session.mode == "help":
        keys = (Text(f"{key:>8}  {what}") for key, what in KEYS.items())
        return _lines(console, [_rule("keys"), *keys, Text(), Text("Esc goes back", style="dim")]), 0
    if session.mode == "filter":
        return _lines(console, [_rule("show only"), *(Text(f"{key:>4}  {visible(what)}") for key, what in session.filters())]), 0
    if session.browser.at is None:
        return _lines(console, [_rule("no candidate"), Text("No candidate passes the filter. f changes it, u undoes.")]), 0
    post, reply, status = (_lines(console, parts) for parts in _pair(session))
    whole = [*post, *_lines(console, [Text()]), *reply, *status]
    if session.mode in ("post", "reply", "search"):
        return whole, 0
    # The reasons are always in sight; where that leaves no room for the texts, they have just been read.
    reasons = [_rule("why"), *(Text(f"{key:>4}  {what}") for key, _, what in session.reasons())] if session.mode == "reason" else []
    below = _lines(console, reasons) if reasons else []
    left = room - len(below)
    if len(whole) <= left:
        return whole + below, 0
    if below and left < LEAST:
        return below, 0
    if left < LEAST:
        return whole, 0
    return (whole, 1) if session.scroll and not below else (_overview(console, post, reply, status, left) + below, 1)


def _pair(session: Session) -> tuple[list[RenderableType], ...]:
    """Post, reply, and what was decided."""
    post, reply = session.texts()
    decision = session.review.decisions.get(session.browser.at)
    return (
        [_rule("post"), _with_cursor(session) if session.mode == "post" else Text(visible(post, breaks=True))],
        [_rule("reply"), _with_cursor(session) if session.mode == "reply" else Text(visible(reply, breaks=True), style="bold")],
        [Text(), _status(decision) if session.mode not in ("post", "reply") else Text()],
    )


def _overview(console: Console, post: Lines, reply: Lines, status: Lines, room: int) -> Lines:
    """Both texts at once, cut short: nobody decides on a reply that a long post has pushed off the screen."""
    texts = room - len(status) - 1
    for_reply = min(len(reply), max(texts - len(post), texts // 2))
    cut = [*_cut(console, post, texts - for_reply), *_lines(console, [Text()]), *_cut(console, reply, for_reply)]
    return cut + status


def _cut(console: Console, lines: Lines, room: int) -> Lines:
    if len(lines) <= room:
        return lines
    left_out = len(lines) - room + 1
    return [*lines[: room - 1], *_lines(console, [Text(f"\u2026 {left_out} more lines: space", style="yellow", no_wrap=True)])]


def _foot(session: Session, width: int) -> list[RenderableType]:
    message = Text(visible(session.message), style="yellow")
    if session.mode in ("note", "search"):
        message = Text(f"{PROMPTS[session.mode]}: ").append_text(_with_cursor(session))
        message = message.append(f"  {visible(session.message)}", style="yellow") if session.message else message
    return [Rule(style="dim"), message, *(Text(line, style="dim") for line in _joined(HINTS.get(session.mode, EDITING), width))]


def _joined(items: Sequence[str], width: int) -> list[str]:
    """Items side by side in as few lines as they need, none of them parted."""
    lines = [""]
    for item in items:
        longer = f"{lines[-1]}  {item}" if lines[-1] else item
        if lines[-1] and len(longer) > width:
            lines.append(item)
        else:
            lines[-1] = longer
    return lines


def _rule(title: str) -> Rule:
    return Rule(title, align="left", style="dim")


def _status(decision: Decision | None) -> Text:
    if decision is None:
        return Text("undecided", style="dim")
    if decision.verdict == "accept":
        return Text("accepted, edited" if decision.edited else "accepted", style="green")
    return Text(f"rejected: {visible(decision.note) or REASONS[decision.reason]}", style="red")


def _with_cursor(session: Session) -> Text:
    """The line being edited, the character at the cursor reversed."""
    line = session.line
    text = Text(visible(line.text[: line.cursor]))
    text.append(visible(line.text[line.cursor : line.cursor + 1]) or " ", style="reverse")
    return text.append(visible(line.text[line.cursor + 1 :]))
