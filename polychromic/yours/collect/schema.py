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
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.paths import cache_dir

VARIABLE = "POLYCHROMIC_SALT"
SHORTEST = 16  # characters of a salt from the environment
NUMBER = re.compile(r"\s*[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?\s*")


def _known(value: object) -> object:
    """An empty cell and NaN mean that the source does not say."""
    return None if value != value or isinstance(value, str) and not value.strip() else value


def _number(value: object) -> object:
    """Numbers typed as text become numbers."""
    if isinstance(value, str) and len(value) < 100 and NUMBER.fullmatch(value):
        return float(value) if re.search("[.eE]", value) else int(value)
    return _known(value)


def _identifier(value: object) -> object:
    """Whole numbers become text. Other numbers do not: 1.7e18 has lost digits of the id that it was."""
    return str(value) if type(value) is int else _known(value)


def _moment(value: object) -> object:
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value) if type(value) in (int, float) and value == value else _known(value)


# A constraint, even one that holds always, makes pydantic refuse half of a surrogate pair, which JSON may spell and no UTF-8 file holds.
Line = Annotated[str, StringConstraints(min_length=0)]
Text = Annotated[str, StringConstraints(pattern=r"\S")]
Name = Annotated[Text | None, BeforeValidator(_identifier)]


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

    id: Name = None
    post: Text
    reply: Text
    author: Name = None
    engagement: Annotated[Annotated[int | float, Field(allow_inf_nan=False)] | None, BeforeValidator(_number)] = None
    created: Annotated[Line | None, BeforeValidator(_moment)] = None
    post_id: Name = None
    source: str


FIELDS = tuple(name for name in RawRecord.model_fields if name != "source")
REASONS = {"string_unicode": "{} is not valid Unicode", "string_pattern_mismatch": "empty {}"}
ABSENT = object()


class Rejected(str):
    """An item that no record can be made of, by its reason."""


def pick(item: Mapping[str, Any], column: str) -> Any:
    """The column of that name; else, for "a.b", column "b" of the object in column "a"; ABSENT when there is none."""
    if column in item:
        return item[column]
    head, dot, rest = column.partition(".")
    inner = item.get(head) if dot else None
    return pick(inner, rest) if isinstance(inner, Mapping) else ABSENT


def read_item(item: object, columns: Mapping[str, str | None], source: str, authors: Authors) -> RawRecord | str:
    """One item of a source as a record, or the reason why it is none. A field that `columns` gives no column is that of its own name."""
    if not isinstance(item, Mapping):
        return item if isinstance(item, Rejected) else "not an object"
    found = {name: pick(item, columns.get(name) or name) for name in FIELDS}
    try:
        return authors.hide(RawRecord(**{name: value for name, value in found.items() if value is not ABSENT}, source=source))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
    name = str(first["loc"][0])
    if name == "engagement":
        return "engagement is not a number"
    absent = first["type"] == "missing" or first["input"] is None
    return f"no {name}" if absent else REASONS.get(first["type"], "{} is not text").format(name)


class Authors:
    """Takes the handles out of records. `salt` None keeps them."""

    def __init__(self, salt: bytes | None):
        self._salt = salt

    @property
    def fingerprint(self) -> str:
        """Tells two salts apart without giving either away; "kept" when handles are."""
        return "kept" if self._salt is None else self._hash("which salt is this", "")

    def hide(self, record: RawRecord) -> RawRecord:
        """The record with a pseudonym for its author and for ids that may name somebody, and an id where the source gave none."""
        changes: dict[str, str] = {}
        if self._salt is not None:
            bare = re.escape((record.author or "").strip().lstrip("@"))
            # Ids are kept as given, but not addresses (https://host/HANDLE/status/1) and not those in which the author's handle stands.
            somebody = re.compile(rf"[/@]|(?<![^\W_]){bare}(?![^\W_])" if bare else "[/@]", re.IGNORECASE)
            named = {name: value for name in ("id", "post_id") if (value := getattr(record, name)) and somebody.search(value)}
            changes = {name: f"i-{self._hash('id', value)}" for name, value in named.items()}
            if record.author is not None:
                changes["author"] = f"a-{self._hash('author', record.author.strip())}"
        if record.id is None:
            # The same post, reply and author are the same record: this keeps a source without ids from giving it twice.
            content = (changes.get("author", record.author) or "", record.post, record.reply)
            changes["id"] = hashlib.sha256("\x1f".join(content).encode()).hexdigest()[:24]
        return record.model_copy(update=changes)

    def _hash(self, kind: str, text: str) -> str:
        return hmac.new(self._salt, f"{kind}\x1f{text}".encode(), hashlib.sha256).hexdigest()[:16]


def read_salt() -> bytes:
    """$POLYCHROMIC_SALT, else the random salt in the cache, made at the first call and readable by this user only.

    Raises UsageError where the variable is too short to be a secret, PolychromicError where the file in the cache is damaged.
    """
    if (given := os.environ.get(VARIABLE)) is not None:
        if len(given) < SHORTEST:
            allowed = f"{SHORTEST} or more, kept secret; or unset it to use this machine's salt"
            raise UsageError(f"{VARIABLE} has {len(given)} characters. Allowed: {allowed}.")
        return given.encode("utf-8", "surrogateescape")
    path = cache_dir() / "collect" / "salt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # A complete file is linked into place: of two processes that do so at once, both read the one that came first.
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".salt.") as file, suppress(FileExistsError):  # mode 0600
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
            os.link(file.name, path)
    if len(salt := path.read_bytes()) != 32:
        raise PolychromicError(
            f"{path}: {len(salt)} bytes. Allowed: the 32 random bytes that collect wrote. Restore the file; if it is lost, delete it: "
            "logs begun with it cannot be continued then, and new ones name the same people differently."
        )
    return salt
