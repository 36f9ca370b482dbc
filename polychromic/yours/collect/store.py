"""The folder of a collection: raw.jsonl (append-only), checkpoint.json, summary.json. A kill at any moment loses and doubles nothing.

A page is stored by one atomic rename: the checkpoint holds the lines of the page with the length of the log before them. Then they
are appended to the log. After a kill the log is brought to what the checkpoint says, by appending what is missing of the page;
so there is no moment at which a page is in the log and would be asked for again. One process at a time (process.single_writer).
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
    """What is collected so far.

    Args:
        folder: created when the first page is stored.
        collection: what is collected and how; a folder holds one collection.

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
        """Store a page: its records, one JSON text each, and the position after it. `tally` is stored with it.

        Raises:
            PolychromicError: the disk is full or the folder cannot be written; the pages before are safe.
        """
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

    def _append(self, pending: bytes) -> None:
        new = not self.log.exists()
        with self.log.open("ab") as file:
            file.write(pending)
            file.flush()
            os.fsync(file.fileno())
        if new:
            _sync(self.folder)
        self._bytes += len(pending)
        self._digest.update(pending)

    def _resume(self) -> None:
        try:
            document = json.loads(self._checkpoint.read_bytes())
            if document["version"] != VERSION:
                raise ValueError(f"version {document['version']!r}")
            theirs, pending = document["collection"], document["pending"].encode()
            self.position, self.tally = int(document["position"]), Tally(**document["tally"])
            length, digest = int(document["log"]["bytes"]), document["log"]["sha256"]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                str(self._checkpoint),
                f"not a checkpoint of this version ({error!r})",
                "the file as collect wrote it",
                "Choose another --out.",
            ) from None
        if theirs != self.collection:
            was, now = _flat(theirs), _flat(self.collection)
            keys = sorted(key for key in was.keys() | now.keys() if was.get(key) != now.get(key))
            told = "; ".join(f"{key} was {dumps(was.get(key))}, is {dumps(now.get(key))}" for key in keys)
            raise PolychromicError(
                f"{self.folder}: it holds another collection: {told}. Allowed: the same source and options, to go on with it. "
                "Choose another --out, or use the options of before."
            )
        for name in (CHECKPOINT, SUMMARY):
            for rest in self.folder.glob(f".{name}.*"):  # of a process that was killed while it wrote
                rest.unlink()
        self._bytes = length
        self._check_log(length, digest)
        self._complete_log(length, pending)

    def _check_log(self, length: int, digest: str) -> None:
        """The part of the log before the last page is what was written."""
        left = length
        if self.log.exists():
            with self.log.open("rb") as file:
                while left and (block := file.read(min(left, 1 << 20))):
                    self._digest.update(block)
                    left -= len(block)
        if left or self._digest.hexdigest() != digest:
            raise PolychromicError(
                f"{self.log}: it is not what collect wrote ({f'{left} bytes are missing' if left else 'its sha256 is another'}). "
                "Allowed: a log that nobody edits. Restore the file, or collect again with another --out."
            )

    def _complete_log(self, length: int, pending: bytes) -> None:
        """Append what is missing of the last page; cut a torn line after it."""
        with self.log.open("a+b") as file:
            file.seek(length)
            tail = file.read()
            if b"\n" in tail[len(pending) :]:
                raise PolychromicError(
                    f"{self.log}: whole lines follow the last stored page, from byte {length + len(pending)} on. Allowed: only what "
                    "collect wrote. Move those lines to a file of their own, and run the command again."
                )
            if tail != pending:
                file.truncate(length)
                file.write(pending)
                file.flush()
                os.fsync(file.fileno())
        self._bytes += len(pending)
        self._digest.update(pending)


def _flat(collection: dict[str, Any]) -> dict[str, Any]:
    """Nested by one level at most: {"columns": {"post": "text"}} is {"columns.post": "text"}."""
    inner = {f"{key}.{name}": value for key, part in collection.items() if isinstance(part, dict) for name, value in part.items()}
    return inner | {key: value for key, value in collection.items() if not isinstance(value, dict)}


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
