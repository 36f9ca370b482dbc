"""The log of raw posts and replies: one JSON object a line, read by the schema of polychromic.yours.collect."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from polychromic.base.io import read_jsonl
from polychromic.data.text import words
from polychromic.yours.collect.schema import Authors, read_item

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
        where: "file:line" of the log; of this machine no folder is named.
        author: who wrote the reply, by whatever name the log has; it never reaches a record.
        engagement: in the log's own unit (likes, rating …).
        source: where the pair is from; the file's name when the log does not say.
        problem: why the line is no such pair; "" where it is one.
    """

    where: str
    post: str
    reply: str
    author: str | None
    engagement: float | None
    source: str
    problem: str = ""

    @property
    def digest(self) -> str:
        """An order that has nothing to do with content or place, and is the same everywhere; its head is the record's id."""
        return hashlib.sha256(f"{self.post}\x1f{self.reply}".encode()).hexdigest()


def read_pairs(path: Path) -> Iterator[Pair]:
    """Pairs in the order of the file; columns are those of collect.schema.RawRecord, and others are left alone.

    Raises PolychromicError: no such file; DataError: a line that is no JSON object.
    """
    return (read_pair(Path(where).name, row) for where, row in read_jsonl(path))


def read_pair(where: str, row: dict[str, Any]) -> Pair:
    source = " ".join(str(row.get("source") or "").split()) or where.rpartition(":")[0]
    found = read_item(row, {}, source, Authors(None))
    if isinstance(found, str):
        return Pair(where, str(row.get("post") or ""), str(row.get("reply") or ""), None, None, source, found)
    post, reply = (" ".join(text.split()) for text in (found.post, found.reply))
    return Pair(where, post, reply, found.author, found.engagement, written(source))


def written(text: str) -> str:
    """`text` as UTF-8 can hold it: halves of surrogate pairs, which JSON may spell, become their escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
