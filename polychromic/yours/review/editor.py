"""A line of text that is edited: keys in, text and cursor out (pure); and the same in the program that $VISUAL or $EDITOR names."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
from pathlib import Path

from polychromic.base.errors import PolychromicError

POST_HEAD, REPLY_HEAD = "# --- the post, below this line ---", "# --- the reply, below this line ---"


class Line:
    """Text with a cursor; `cursor` is a place between characters, 0 to len(text)."""

    def __init__(self, text: str = ""):
        self.text, self.cursor = text, len(text)

    def press(self, key: str) -> bool:
        """Apply a key: a character, a pasted text ("paste:…"), or a named key; False for one that means nothing here."""
        before, after = self.text[: self.cursor], self.text[self.cursor :]
        if key.startswith("paste:"):
            key = " ".join(key.removeprefix("paste:").split())
        elif len(key) > 1 or not key.isprintable() and key != "\u200d":
            return self._move(key, before, after)
        self.text, self.cursor = before + key + after, self.cursor + len(key)
        return True

    def _move(self, key: str, before: str, after: str) -> bool:
        last_word = re.search(r"\S*\s*$", before).start()
        moves = {
            "left": (before, after, -1),
            "right": (before, after, 1),
            "home": (before, after, -len(before)),
            "end": (before, after, len(after)),
            "backspace": (before[:-1], after, 0),
            "delete": (before, after[1:], 0),
            "ctrl-u": ("", after, 0),
            "ctrl-k": (before, "", 0),
            "ctrl-w": (before[:last_word], after, 0),
        }
        moves |= {"ctrl-a": moves["home"], "ctrl-e": moves["end"]}
        if key not in moves:
            return False
        head, tail, by = moves[key]
        self.text = head + tail
        self.cursor = min(max(len(head) + by, 0), len(self.text))
        return True


def clean(text: str) -> str:
    """Runs of blanks become one blank, as in curation.

    Raises:
        ValueError: empty, or with a control character; the message says so.
    """
    text = " ".join(text.split())
    if not text:
        raise ValueError("an empty text is no edit; reject the pair instead")
    if bad := next((c for c in text if ord(c) < 32 or 127 <= ord(c) < 160), None):
        raise ValueError(f"the text holds the control character U+{ord(bad):04X}; remove it")
    return text


def edit_outside(post: str, reply: str) -> tuple[str, str]:
    """Both texts after the program of $VISUAL or $EDITOR has been at them; the terminal must be the program's meanwhile.

    Raises:
        PolychromicError: no such program, it failed, or what it left cannot be read.
    """
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not command:
        raise PolychromicError("neither $VISUAL nor $EDITOR is set. Allowed: a program such as nano. Set one, or edit with e and p.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pair.txt"
        path.write_text(f"{POST_HEAD}\n{post}\n\n{REPLY_HEAD}\n{reply}\n", encoding="utf-8")
        try:
            done = subprocess.run([*shlex.split(command), str(path)], check=False)
            if done.returncode:
                raise PolychromicError(f"{command} ended with {done.returncode}. Nothing was changed.")
            return _parse(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise PolychromicError(f"{command}: {error}. Nothing was changed.") from None


def _parse(text: str) -> tuple[str, str]:
    head, found, tail = text.partition(f"\n{REPLY_HEAD}\n")
    if not found:
        raise ValueError(f"the line {REPLY_HEAD!r} is gone")
    post = [line for line in head.split("\n") if line != POST_HEAD]
    return clean("\n".join(post)), clean(tail)
