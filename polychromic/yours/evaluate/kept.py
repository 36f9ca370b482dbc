"""Scores that were computed before, so that a second command on the same replies computes none: a number under a hash of what decides it.

One small database in the cache holds those of all files. What decides a score is the prompt's replies with what they are held against, the
metric, the code that computes it and the libraries under that; of metrics of sentence vectors also what decides those
(polychromic.yours.evaluate.vectors). So a command prints the same whether scores were known or not. No metric is computed here.
"""

from __future__ import annotations

import platform
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

from polychromic.base import paths
from polychromic.base.cache import code_fingerprint, versions
from polychromic.base.errors import PolychromicError
from polychromic.base.io import sha256_json
from polychromic.score.metrics import Prompt

CODE = ("score", "method/objective.py", "yours/evaluate/evaluate.py")
LIBRARIES = ("nltk", "numpy", "regex", "rouge-score", "scipy")  # under it
MOST = 500_000  # numbers, 30 MB; beyond that the oldest go
AT_ONCE = 500  # of a question; SQLite takes 999 and more


class Store:
    """Hash -> number. What cannot be read or written here is not kept, and scores are computed: no command fails by it."""

    def get(self, keys: Iterable[bytes]) -> dict[bytes, float]:
        """Those that are known."""
        found: dict[bytes, float] = {}
        with suppress(sqlite3.Error, OSError, PolychromicError), self._open() as database:
            asked = list(dict.fromkeys(keys))
            for first in range(0, len(asked), AT_ONCE):
                some = asked[first : first + AT_ONCE]
                places = ",".join("?" * len(some))
                found |= dict(database.execute(f"SELECT key, value FROM scores WHERE key IN ({places})", some))
        return found

    def put(self, values: Mapping[bytes, float]) -> None:
        """All of them, or none where it is killed; the oldest go beyond MOST."""
        if not values:
            return
        with suppress(sqlite3.Error, OSError, PolychromicError), self._open() as database, database:
            database.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?)", values.items())
            database.execute("DELETE FROM scores WHERE rowid <= (SELECT max(rowid) FROM scores) - ?", (MOST,))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        path = paths.cache_dir() / "evaluate" / "scores.sqlite"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            database = _connected(path)
        except sqlite3.OperationalError:  # locked, or a place where nothing can be written
            raise
        except sqlite3.DatabaseError:  # something else lies there, or half of it: it holds nothing that cannot be had again
            path.unlink()
            database = _connected(path)
        with closing(database):
            yield database


def _connected(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=5)
    try:
        database.execute("CREATE TABLE IF NOT EXISTS scores (key BLOB PRIMARY KEY, value REAL NOT NULL)")
    except sqlite3.Error:
        database.close()
        raise
    return database


@cache
def identity() -> str:
    """Hash of what every score depends on beside its replies."""
    return sha256_json([code_fingerprint(CODE), versions(LIBRARIES), platform.python_version()])


def content(prompt: Prompt) -> str:
    """Hash of all that a metric may read of a prompt but for vectors."""
    return sha256_json([one and list(one) for one in (prompt.samples, prompt.answers, prompt.keys, prompt.references)])


def key(*parts: str) -> bytes:
    """(16,) of what a number depends on."""
    return sha256("\0".join(parts).encode()).digest()[:16]
