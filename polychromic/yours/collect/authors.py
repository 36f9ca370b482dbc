"""Who wrote what, without saying who: handles become pseudonyms before anything is written.

A pseudonym is an HMAC of the handle under a secret salt of this machine, so that one person keeps one name in every log made
here, the cap on authors works, and nobody who is given a log can try handles against it. Texts are not searched for handles.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import tempfile
from pathlib import Path

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.paths import cache_dir
from polychromic.yours.collect.schema import RawRecord

VARIABLE = "POLYCHROMIC_SALT"
SHORTEST = 16  # characters of a salt from the environment


def read_salt() -> bytes:
    """$POLYCHROMIC_SALT, else the random salt in the cache, made at the first call and readable by this user only.

    Raises:
        UsageError: the variable is too short to be a secret.
        PolychromicError: the file in the cache is damaged.
    """
    if VARIABLE in os.environ:
        given = os.environ[VARIABLE]
        if len(given) < SHORTEST:
            raise UsageError(
                f"{VARIABLE} has {len(given)} characters. Allowed: {SHORTEST} or more, kept secret; or unset it to use this machine's salt."
            )
        return given.encode("utf-8", "surrogateescape")
    path = cache_dir() / "collect" / "salt"
    if not path.exists():
        _make(path)
    salt = path.read_bytes()
    if len(salt) != 32:
        raise PolychromicError(
            f"{path}: {len(salt)} bytes. Allowed: the 32 random bytes that collect wrote. Restore the file; if it is lost, delete it: "
            "logs begun with it cannot be continued then, and new ones name the same people differently."
        )
    return salt


def _make(path: Path) -> None:
    """Link a complete file into place: of two processes that do so at once, both read the one that came first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".salt.")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()


class Authors:
    """Takes the handles out of records. `salt` None keeps them."""

    def __init__(self, salt: bytes | None):
        self._salt = salt

    @property
    def fingerprint(self) -> str | None:
        """Tells two salts apart without giving either away; None when handles are kept."""
        return None if self._salt is None else self._hash("which salt is this", "")

    def _hash(self, kind: str, text: str) -> str:
        return hmac.new(self._salt, f"{kind}\x1f{text}".encode(), hashlib.sha256).hexdigest()[:16]

    def hide(self, record: RawRecord) -> RawRecord:
        """The record with a pseudonym for its author, and for ids that may name somebody."""
        if self._salt is None:
            return record
        handle = record.author
        changes = {"author": None if handle is None else f"a-{self._hash('author', handle.strip())}"}
        for name in ("id", "post_id"):
            value = getattr(record, name)
            if value is not None and _names_somebody(value, handle):
                changes[name] = f"i-{self._hash('id', value)}"
        return record.model_copy(update=changes)


def _names_somebody(value: str, handle: str | None) -> bool:
    """Ids are kept as given, but not addresses (https://host/HANDLE/status/1) and not those in which the author's handle stands."""
    bare = (handle or "").strip().lstrip("@")
    return bool(re.search(r"[/@]", value)) or bool(bare and re.search(rf"(?<![^\W_]){re.escape(bare)}(?![^\W_])", value, re.IGNORECASE))
