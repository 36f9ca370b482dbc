"""The log of raw posts and replies: one JSON object a line, checked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, FiniteFloat, ValidationInfo
from pydantic.dataclasses import dataclass

from polychromic.base.io import read_jsonl
from polychromic.data.text import words
from polychromic.yours.lines import checked

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


def _name(value: object) -> object:
    return str(value) if type(value) is int else None if value == "" else value


def _source(text: str | None, about: ValidationInfo) -> str:
    return written(" ".join((text or "").split())) or about.data["where"].rpartition(":")[0]


Line = Annotated[str, AfterValidator(lambda text: " ".join(text.split()))]


@dataclass(frozen=True, slots=True, config=ConfigDict(strict=True))
class Pair:
    """A post and one reply to it, blanks collapsed and else as typed.

    Attributes:
        where: "file:line" of the log.
        author: who wrote the reply, by whatever name the log has; it never reaches a record.
        engagement: in the log's own unit (likes, rating …).
        source: where the pair is from; the file's name when the log does not say.
    """

    where: str
    post: Line = Field(description="text")
    reply: Line = Field(description="text")
    author: Annotated[str | None, BeforeValidator(_name)] = Field(None, description="a name or a whole number, or null")
    engagement: int | FiniteFloat | None = Field(None, description="a finite number, or null")
    source: Annotated[str | None, AfterValidator(_source)] = Field(None, validate_default=True, description="text, or null")

    @property
    def digest(self) -> str:
        """An order that has nothing to do with content or place, and is the same everywhere; its head is the record's id."""
        return hashlib.sha256(f"{self.post}\x1f{self.reply}".encode()).hexdigest()


def read_pairs(path: Path) -> Iterator[Pair]:
    """Pairs in the order of the file. Raises PolychromicError: no such file; DataError: a line that is no Pair, with file and line."""
    return (parse_pair(where, row) for where, row in read_jsonl(path))


def parse_pair(where: str, row: dict[str, Any]) -> Pair:
    """One line, checked. Columns that are not known are left alone."""
    return checked(Pair, where, row, where=Path(where).name)  # reports name the file, never a folder of this machine


def written(text: str) -> str:
    """`text` as UTF-8 can hold it: halves of surrogate pairs, which JSON may spell, become their escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
