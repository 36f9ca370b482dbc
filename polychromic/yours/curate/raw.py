"""The log of raw posts and replies: one JSON object a line, checked and read line by line, never held as a whole."""

from __future__ import annotations

import difflib
import gzip
import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import read_jsonl
from polychromic.data.text import words

COLUMNS = ("post", "reply", "author", "engagement", "source", "id")


_WORD = re.compile(r"\w+(?:'\w+)*")


def fast_words(text: str) -> list[str]:
    """data.text.words; of ASCII, which has no accents to take away, in a fifth of the time."""
    return _WORD.findall(text.lower()) if text.isascii() else words(text)


class Text(str):
    """A text with what several filters read of it, computed once."""

    @cached_property
    def words(self) -> list[str]:
        """Lower-case words and numbers, without accents and punctuation."""
        return fast_words(self)

    @cached_property
    def folded(self) -> str:
        """Lower case, with straight apostrophes: what phrases and word lists are compared with."""
        return self.casefold().replace("\u2019", "'")


@dataclass(frozen=True, slots=True)
class Pair:
    """A post and one reply to it, blanks collapsed and else as typed.

    Attributes:
        where: "file:line" of the log.
        author: who wrote the reply, by whatever name the log has; it never reaches a record.
        engagement: in the log's own unit (likes, rating …).
        source: where the pair is from; the file's name when the log does not say.
    """

    where: str
    post: str
    reply: str
    author: str | None
    engagement: float | None
    source: str

    @property
    def digest(self) -> str:
        """An order that has nothing to do with content or place, and is the same everywhere; its head is the record's id."""
        return hashlib.sha256(f"{self.post}\x1f{self.reply}".encode()).hexdigest()


def read_pairs(path: Path) -> Iterator[Pair]:
    """Pairs in the order of the file.

    Raises:
        PolychromicError: no such file.
        DataError: the first line that is not as COLUMNS says, with file and line.
    """
    for where, row in read_jsonl(path):
        yield parse_pair(where, row)


def parse_pair(where: str, row: dict[str, Any]) -> Pair:
    """One line, checked. Columns that are not known are left alone."""
    short = Path(where).name  # reports name the file, never a folder of this machine
    for column in ("post", "reply"):
        if column not in row:
            near = difflib.get_close_matches(column, [name for name in row if name not in COLUMNS], n=1, cutoff=0.5)
            remedy = f"Did you mean {near[0]!r}? Rename it to {column!r}." if near else "Add it and run the command again."
            allowed = f"columns {', '.join(COLUMNS)}, of which post and reply are needed"
            raise DataError(where, f"no column {column!r}; found: {', '.join(map(repr, row)) or 'none'}", allowed, remedy)
        if not isinstance(row[column], str):
            raise DataError(where, f"{column} is {_short(row[column])}", "text")
    engagement, source = row.get("engagement"), row.get("source")
    number = isinstance(engagement, int | float) and not isinstance(engagement, bool) and -math.inf < engagement < math.inf
    if engagement is not None and not number:
        raise DataError(where, f"engagement is {_short(engagement)}", "a finite number, or null")
    if source is not None and not isinstance(source, str):
        raise DataError(where, f"source is {_short(source)}", "text, or null")
    post, reply = (" ".join(row[column].split()) for column in ("post", "reply"))
    source = " ".join(written(source or "").split()) or short.rpartition(":")[0]
    return Pair(short, post, reply, _name(where, row.get("author")), engagement, source)


def written(text: str) -> str:
    """`text` as UTF-8 can hold it: halves of surrogate pairs, which JSON may spell, become their escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _name(where: str, author: Any) -> str | None:
    if author is None or isinstance(author, str):
        return author or None
    if isinstance(author, int) and not isinstance(author, bool):
        return str(author)
    raise DataError(where, f"author is {_short(author)}", "a name or a whole number, or null")


def count_lines(path: Path) -> int:
    """Lines of the log, for the progress bar; read in pieces."""
    if not path.is_file():
        raise PolychromicError(f"{path}: file not found. Allowed: JSONL with {', '.join(COLUMNS)}. Check the path.")
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            return sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))
    except (OSError, EOFError):
        return 0  # what is wrong with the file, its reader says


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
