"""The folder of a collection: raw.jsonl (append-only), checkpoint.json, summary.json. A kill at any moment loses and doubles nothing.

A page is stored by one atomic rename: the checkpoint holds the lines of the page with the length of the log before them. Then they
are appended to the log. After a kill the log is brought to what the checkpoint says, by appending what is missing of the page;
so there is no moment at which a page is in the log and would be asked for again. One process at a time (base.locks.single_writer).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import dumps, write_json, write_text

LOG, CHECKPOINT, SUMMARY = "raw.jsonl", "checkpoint.json", "summary.json"
VERSION = 1
EXAMPLES = 3  # places that are remembered per reason of rejection


@dataclass
class Tally:
    """What became of the items so far. rejected: reason -> {"count", "first": places of the first few}."""

    items: int = 0
    accepted: int = 0
    without_author: int = 0
    rejected: dict[str, dict[str, Any]] = field(default_factory=dict)

    def reject(self, reason: str, where: str) -> None:
        entry = self.rejected.setdefault(reason, {"count": 0, "first": []})
        entry["count"] += 1
        if len(entry["first"]) < EXAMPLES:
            entry["first"].append(where)


class Store:
    """What is collected so far in a folder, which is made with the first page and holds one collection (what is collected, and how).

    Raises:
        PolychromicError: the folder holds another collection, a log without a checkpoint, or a log that somebody changed.
        DataError: the checkpoint is damaged.
    """

    def __init__(self, folder: Path, collection: dict[str, Any]):
        self.folder, self.collection = folder, collection
        self.log, self._checkpoint = folder / LOG, folder / CHECKPOINT
        self.position, self.tally = 0, Tally()  # position: items of the source that are done with, accepted or not
        self._bytes, self._digest = 0, hashlib.sha256()
        if self._checkpoint.exists():
            self._resume()
        elif self.log.exists():
            raise PolychromicError(
                f"{self.log}: a log without its {CHECKPOINT}. Allowed: a new folder, or one in which `polychromic collect` was stopped. "
                "Choose another --out, or restore the checkpoint."
            )
        elif folder.exists() and not folder.is_dir():
            raise PolychromicError(f"{folder}: a file. Allowed: a folder, which is made if need be. Choose another --out.")

    def records(self) -> Iterator[dict[str, Any]]:
        """The records in the log, in order."""
        if self.log.exists():
            with self.log.open("rb") as file:
                yield from map(json.loads, file)

    def commit(self, lines: list[str], position: int) -> None:
        """Store a page (its records, one JSON text each), the position after it and the tally. Raises PolychromicError: a full disk."""
        pending = "".join(f"{line}\n" for line in lines).encode()
        self.position = position
        with self._writing():
            self._write_checkpoint(pending)
            self._append(pending)

    def finish(self, summary: dict[str, Any]) -> dict[str, Any]:
        """Write the summary, and a checkpoint without a page in it. Returns the summary with the log's size and digest."""
        document = summary | asdict(self.tally) | {"log": {"file": LOG, **self._state()}}
        with self._writing():
            self._write_checkpoint(b"")
            write_json(self.folder / SUMMARY, document)
        return document

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise PolychromicError(
                f"{self.folder}: cannot be written ({error.strerror or error}). Allowed: a folder on a disk with room. "
                "What was stored is safe: make room, and run the same command again to go on."
            ) from None

    def _state(self) -> dict[str, Any]:
        return {"bytes": self._bytes, "sha256": self._digest.hexdigest()}

    def _write_checkpoint(self, pending: bytes) -> None:
        document = {"version": VERSION, "collection": self.collection, "position": self.position, "tally": asdict(self.tally)}
        write_text(self._checkpoint, dumps(document | {"log": self._state(), "pending": pending.decode()}, indent=1) + "\n")
        _sync(self.folder)  # else the rename could be lost with the power, and the log be ahead of its checkpoint

    def _append(self, pending: bytes, length: int | None = None) -> None:
        """Bring the log to `length` bytes, by default all that it has, and to those of `pending` after them."""
        with self.log.open("ab") as file:
            file.truncate(length)
            file.write(pending)
            file.flush()
            os.fsync(file.fileno())
        _sync(self.folder)  # the log may be new
        self._bytes += len(pending)
        self._digest.update(pending)

    def _resume(self) -> None:
        try:
            document = json.loads(self._checkpoint.read_bytes())
            if document["version"] != VERSION:
                raise ValueError(f"version {document['version']!r}")
            theirs, pending = document["collection"], document["pending"].encode()
            self.position, self.tally = int(document["position"]), Tally(**document["tally"])
            self._bytes, digest = int(document["log"]["bytes"]), document["log"]["sha256"]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problem, allowed = f"not a checkpoint of this version ({error!r})", "the file as collect wrote it"
            raise DataError(str(self._checkpoint), problem, allowed, "Choose another --out.") from None
        if changed := sorted(key for key in theirs.keys() | self.collection.keys() if theirs.get(key) != self.collection.get(key)):
            told = "; ".join(f"{key} was {dumps(theirs.get(key))}, is {dumps(self.collection.get(key))}" for key in changed)
            raise PolychromicError(
                f"{self.folder}: it holds another collection: {told}. Allowed: the same source and options, to go on with it. "
                "Choose another --out, or use the options of before."
            )
        for rest in (rest for name in (CHECKPOINT, SUMMARY) for rest in self.folder.glob(f".{name}.*")):
            rest.unlink()  # of a process that was killed while it wrote
        self._complete_log(pending, digest)

    def _complete_log(self, pending: bytes, digest: str) -> None:
        """The log before the last page is what was written; of that page what is missing is appended, and a torn line after it is cut."""
        content = self.log.read_bytes() if self.log.exists() else b""
        tail, left = content[self._bytes :], self._bytes - len(content)
        self._digest.update(content[: self._bytes])
        if self._digest.hexdigest() != digest:
            got = f"{left} bytes are missing" if left > 0 else "its sha256 is another"
            allowed = "a log that nobody edits. Restore the file, or collect again with another --out"
            raise PolychromicError(f"{self.log}: it is not what collect wrote ({got}). Allowed: {allowed}.")
        if b"\n" in tail[len(pending) :]:
            raise PolychromicError(
                f"{self.log}: whole lines follow the last stored page, from byte {self._bytes + len(pending)} on. Allowed: only what "
                "collect wrote. Move those lines to a file of their own, and run the command again."
            )
        self._append(pending, self._bytes)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
