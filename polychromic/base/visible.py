"""Texts from elsewhere, made safe for a terminal: what would move the cursor, change colours or turn the reading order is shown instead."""

from __future__ import annotations

import unicodedata

# Of the format characters, those that join emoji and letters do no harm and belong to the text.
JOINERS = "\u200c\u200d"


def visible(text: str, breaks: bool = False) -> str:
    """`text` with each control, format, private, unassigned or lone surrogate character replaced by a visible name.

    C0 controls become their pictures (escape: U+241B), all others "<U+202E>". No other character changes, so a harmless text
    is returned as it is. Markup is not touched: use rich.text.Text or rich.markup.escape for that.

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
