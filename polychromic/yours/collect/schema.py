"""The raw record: what a source said about one reply to one post, before any judgement. One schema for every source.

A record that cannot be read is not an error of the run: it is rejected, with a reason that is counted.
"""

from __future__ import annotations

import datetime
import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

NUMBER = re.compile(r"\s*[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?\s*")


def _writable(text: str) -> str:
    """JSON may hold half of a surrogate pair, which no UTF-8 file can."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("unwritable", "unwritable") from None
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "blank")
    return text


Line = Annotated[str, AfterValidator(_writable)]
Text = Annotated[Line, AfterValidator(_not_blank)]


class RawRecord(BaseModel):
    """One reply, as the source gave it; texts are kept as typed.

    Attributes:
        id: the source's id of the reply, or a hash of author, post and reply where it has none. Unique within a log.
        post: what was answered.
        reply: the answer.
        author: who wrote the reply: a pseudonym, or the handle with --keep-authors; None where the source does not say.
        engagement: likes or the like, a finite number in the source's own unit; None where the source does not say.
        created: when the reply was written, as the source spells it.
        post_id: the source's id of the post.
        source: where the record is from, such as "apify:DATASET".
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Text
    post: Text
    reply: Text
    author: Text | None = None
    engagement: Annotated[int | float, Field(allow_inf_nan=False)] | None = None
    created: Line | None = None
    post_id: Text | None = None
    source: str


@dataclass(frozen=True)
class Columns:
    """Which column of an item is which field; None: the column of the field's own name, if there is one.

    "a.b" is the column of that name, else column "b" of the object in column "a".
    """

    post: str | None = None
    reply: str | None = None
    author: str | None = None
    engagement: str | None = None
    id: str | None = None
    post_id: str | None = None
    created: str | None = None

    def chosen(self) -> dict[str, str]:
        """Field -> column, for every field."""
        return {field.name: getattr(self, field.name) or field.name for field in fields(self)}

    def expected(self) -> dict[str, str]:
        """Field -> column, for the fields that must be there: the two texts, and what the user named."""
        named = {field.name for field in fields(self) if getattr(self, field.name) is not None}
        return {name: column for name, column in self.chosen().items() if name in named | {"post", "reply"}}


@dataclass(frozen=True)
class Rejected:
    """Why an item gives no record."""

    reason: str


def has_column(item: Mapping[str, Any], column: str) -> bool:
    return _pick(item, column) is not _ABSENT


_ABSENT = object()


def _pick(item: Mapping[str, Any], column: str) -> Any:
    if column in item:
        return item[column]
    head, dot, rest = column.partition(".")
    inner = item.get(head) if dot else None
    return _pick(inner, rest) if isinstance(inner, Mapping) else _ABSENT


def read_item(
    item: object, columns: Columns, source: str, hide: Callable[[RawRecord], RawRecord] = lambda record: record
) -> RawRecord | Rejected:
    """One item of a source as a record, or the reason why it is none.

    Args:
        hide: takes the author's handle out of the record, before an id is made of it.
    """
    if isinstance(item, Rejected):
        return item
    if not isinstance(item, Mapping):
        return Rejected("not an object")
    found = {name: _pick(item, column) for name, column in columns.chosen().items()}
    values = {name: None if value is _ABSENT else value for name, value in found.items()}
    values["engagement"] = _number(values["engagement"])
    values["created"] = _moment(values["created"])
    for name in ("author", "id", "post_id"):
        values[name] = _identifier(values[name])
    nameless = values["id"] is None
    record = _validated(values | {"source": source} | ({"id": "none yet"} if nameless else {}))
    if isinstance(record, Rejected):
        return record
    record = hide(record)
    return record.model_copy(update={"id": _content_id(record)}) if nameless else record


def _validated(values: dict[str, Any]) -> RawRecord | Rejected:
    try:
        return RawRecord.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = str(first["loc"][0])
        if name == "engagement":
            return Rejected("engagement is not a number")
        if first["input"] is None:
            return Rejected(f"no {name}")
        return Rejected({"blank": f"empty {name}", "unwritable": f"{name} is not valid Unicode"}.get(first["type"], f"{name} is not text"))


def _content_id(record: RawRecord) -> str:
    """The same post, reply and author are the same record: this is what keeps a source without ids from giving it twice."""
    return hashlib.sha256("\x1f".join((record.author or "", record.post, record.reply)).encode()).hexdigest()[:24]


def _number(value: object) -> object:
    """Numbers typed as text become numbers; an empty cell and NaN mean that the source does not say."""
    if isinstance(value, str):
        if not value.strip():
            return None
        if NUMBER.fullmatch(value) and len(value) < 100:
            return float(value) if re.search("[.eE]", value) else int(value)
    return None if isinstance(value, float) and math.isnan(value) else value


def _identifier(value: object) -> object:
    """Whole numbers become text. Other numbers do not: 1.7e18 has lost digits of the id that it was."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    empty = (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and math.isnan(value))
    return None if empty else value


def _moment(value: object) -> object:
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, float) and math.isnan(value):
        return None
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
