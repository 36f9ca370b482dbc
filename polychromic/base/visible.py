"""Texts from elsewhere, made safe for a terminal: what would move the cursor, change colours or turn the reading order is shown instead.

All that the program shows goes through here: what Rich draws by `Terminal`, the only console, in which a text is never markup, and what
is printed, by whatever library, by the streams of `guarded`. Who shows a text in a table may call `visible` first, so that columns fit.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

# Of the format characters, those that join emoji and letters do no harm and belong to the text.
JOINERS = "\u200c\u200d"
FORMULAS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # and their full-width forms, which some spreadsheets read alike
BREAKS = re.compile("(\n)")


def visible(text: str, breaks: bool = False) -> str:
    """`text` with each control, format, private, unassigned or lone surrogate character replaced by a visible name.

    C0 controls become their pictures (escape: U+241B), all others "<U+202E>". No other character changes, so a harmless text
    is returned as it is. Markup is not touched: to `Terminal` no text is markup.

    Args:
        breaks: keep line feeds, each after its picture, instead of running the lines together.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(c, breaks) for c in text)


def _shown(c: str, breaks: bool) -> str:
    if c == "\n" and breaks:
        return "\u240a\n"
    if c < " ":
        return chr(0x2400 + ord(c))
    if c == "\x7f":
        return "\u2421"
    harmful = unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") and c not in JOINERS
    # Tags spell the flags of England, Scotland and Wales; alone they show nothing and move nothing.
    return f"<U+{ord(c):04X}>" if harmful and not 0xE0020 <= ord(c) <= 0xE007F else c


def visible_lines(text: str) -> str:
    """As `visible`, with line feeds kept as they are."""
    return "".join(part if part == "\n" else visible(part) for part in BREAKS.split(text))


def visible_json(document: str) -> str:
    """A JSON document with the same values, in which the characters that `visible` replaces are spelled as JSON spells them."""
    if document.isascii():
        return document
    return "".join(c if c == "\n" or _shown(c, False) == c else _spelled(c) for c in document)


def cell(value: Any) -> Any:
    """A value for a CSV file: a text that a spreadsheet would take for a formula begins with an apostrophe; numbers stay numbers."""
    return f"'{value}" if isinstance(value, str) and value.lstrip().startswith(FORMULAS) else value


def _spelled(c: str) -> str:
    units = c.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


class Terminal(Console):
    """Rich's console, to which a text is a text: no markup, no emoji codes, no escape sequence but Rich's own."""

    def __init__(self, **about: Any):
        super().__init__(markup=False, emoji=False, highlight=False, **about)

    def render_str(self, text: str, **about: Any) -> Text:
        return super().render_str(visible_lines(text), **about)  # before a table measures it

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible_lines(segment.text), segment.style)


class _Guard:
    """A stream whose texts are made visible; Rich, which has done that, goes past it."""

    def __init__(self, stream: TextIO):
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        rewound = text.startswith("\r")  # a bar that draws itself again, at the beginning of its line
        self.rich_proxied_file.write("\r" * rewound + visible_lines(text[rewound:]))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


@contextmanager
def guarded() -> Iterator[None]:
    """Standard output and standard error as guards, which no text crashes, whatever the encoding, while the block runs."""
    before = sys.stdout, sys.stderr
    for stream in filter(None, before):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = (_Guard(stream) if stream else None for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
