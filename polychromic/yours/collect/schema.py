"""The raw record: what a source said about one reply to one post, before any judgement, and with a pseudonym for who wrote it.

An item that cannot be read is not an error of the run: it is rejected, with a reason that is counted. A pseudonym is an HMAC of the
handle under a secret salt of this machine, so that one person keeps one name in every log made here, the cap on authors works, and nobody
who is given a log can try handles against it. Texts are not searched for handles.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, ValidationInfo, field_validator

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.locks import single_writer
from polychromic.base.paths import cache_dir

VARIABLE = "POLYCHROMIC_SALT"
SHORTEST = 16  # characters of a salt from the environment
# A constraint, even one that holds always, makes pydantic refuse half of a surrogate pair, which JSON may spell and no UTF-8 file holds.
Line = Annotated[str, StringConstraints(min_length=0)]
Text = Annotated[str, StringConstraints(pattern=r"\S")]


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

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, regex_engine="python-re")

    id: Text | None = None
    post: Text
    reply: Text
    author: Text | None = None
    engagement: Annotated[int, Field(strict=False)] | Annotated[float, Field(strict=False, allow_inf_nan=False)] | None = None
    created: Line | None = None
    post_id: Text | None = None
    source: str

    @field_validator("id", "author", "engagement", "created", "post_id", mode="before")
    @classmethod
    def _told(cls, value: object, about: ValidationInfo) -> object:
        """An empty cell and NaN mean that the source does not say. Whole numbers and times become text, but no other number: 1.7e18 has
        lost digits of the id that it was."""
        if value != value or isinstance(value, str) and not value.strip():
            return None
        if isinstance(value, datetime.date | datetime.time):
            return value.isoformat()
        as_text = (int, float) if about.field_name == "created" else () if about.field_name == "engagement" else (int,)
        return str(value) if type(value) in as_text else value


FIELDS = tuple(name for name in RawRecord.model_fields if name != "source")
REASONS = {"string_unicode": "{} is not valid Unicode", "string_pattern_mismatch": "empty {}", "missing": "no {}"}
ABSENT = object()


def pick(item: Mapping[str, Any], column: str) -> Any:
    """The column of that name; else, for "a.b", column "b" of the object in column "a"; ABSENT when there is none."""
    if column in item:
        return item[column]
    head, dot, rest = column.partition(".")
    inner = item.get(head) if dot else None
    return pick(inner, rest) if isinstance(inner, Mapping) else ABSENT


def read_item(item: object, columns: Mapping[str, str | None], source: str, salt: bytes | None) -> RawRecord | str:
    """One item of a source as a record, or the reason why it is none. A field that `columns` gives no column is that of its own name.

    salt: of the pseudonyms (see `hidden`).
    """
    if not isinstance(item, Mapping):
        return "not an object"
    found = {name: pick(item, columns.get(name) or name) for name in FIELDS}
    try:
        return hidden(RawRecord(**{name: value for name, value in found.items() if value not in (ABSENT, None)}, source=source), salt)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
    name = str(first["loc"][0])
    return "engagement is not a number" if name == "engagement" else REASONS.get(first["type"], "{} is not text").format(name)


def hidden(record: RawRecord, salt: bytes | None) -> RawRecord:
    """The record with an id where the source gave none and, where there is a salt, pseudonyms for its author and for ids that may name
    somebody."""
    changes: dict[str, str] = {}
    if salt is not None:
        bare = re.escape((record.author or "").strip().lstrip("@"))
        # Ids are kept as given, but not addresses (https://host/HANDLE/status/1) and not those in which the author's handle stands.
        somebody = re.compile(rf"[/@]|(?<![^\W_]){bare}(?![^\W_])" if bare else "[/@]", re.IGNORECASE)
        named = {name: value for name in ("id", "post_id") if (value := getattr(record, name)) and somebody.search(value)}
        changes = {name: f"i-{_hash(salt, 'id', value)}" for name, value in named.items()}
        if record.author is not None:
            changes["author"] = f"a-{_hash(salt, 'author', record.author.strip())}"
    if record.id is None:
        # The same post, reply and author are the same record: this keeps a source without ids from giving it twice.
        content = (changes.get("author", record.author) or "", record.post, record.reply)
        changes["id"] = hashlib.sha256("\x1f".join(content).encode()).hexdigest()[:24]
    return record.model_copy(update=changes)


def fingerprint(salt: bytes | None) -> str:
    """Tells two salts apart without giving either away; "kept" when handles are."""
    return "kept" if salt is None else _hash(salt, "which salt is this", "")


def _hash(salt: bytes, kind: str, text: str) -> str:
    return hmac.new(salt, f"{kind}\x1f{text}".encode(), hashlib.sha256).hexdigest()[:16]


def read_salt() -> bytes:
    """$POLYCHROMIC_SALT, else the random salt in the cache, made at the first call and readable by this user only.

    Raises UsageError where the variable is too short to be a secret, PolychromicError where the file in the cache is damaged.
    """
    if (given := os.environ.get(VARIABLE)) is not None:
        if len(given) < SHORTEST:
            allowed = f"{SHORTEST} or more, kept secret; or unset it to use this machine's salt"
            raise UsageError(f"{VARIABLE} has {len(given)} characters. Allowed: {allowed}.")
        return os.fsencode(given)
    path = cache_dir() / "collect" / "salt"
    with single_writer(path):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_bytes(secrets.token_bytes(32))
    if len(salt := path.read_bytes()) != 32:
        allowed = "the 32 random bytes that collect wrote. Restore them; if they are lost, delete it: new logs name people differently"
        raise PolychromicError(f"{path}: {len(salt)} bytes. Allowed: {allowed}.")
    return salt
