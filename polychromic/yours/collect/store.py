"""The folder of a collection: raw.jsonl (append-only) and summary.json. A kill at any moment loses and doubles nothing.

A page is first appended to the log; it is stored when the summary, replaced by one atomic rename, says that the log is longer. What lies
beyond that length after a kill is cut off, and asked for again. One process at a time (base.locks.single_writer).
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from polychromic.base.errors import PolychromicError
from polychromic.base.io import dumps, read_json, write_json

LOG, SUMMARY = "raw.jsonl", "summary.json"


class Store:
    """What is collected so far in a folder, which is made with the first page and holds one collection (what is collected, and how).

    Attributes: summary: "items" that are done with, of these "accepted" and "rejected" {reason: {"count", "first" places}}, "authors",
        records "without_author", "complete", the "log" with its size and digest, and the "collection".

    Raises PolychromicError: the folder holds another collection, a log without a summary, or a log that somebody changed.
    """

    def __init__(self, folder: Path, collection: dict[str, Any]):
        self._log, self._file, self._digest = folder / LOG, folder / SUMMARY, hashlib.sha256()
        self.summary: dict[str, Any] = {"items": 0, "accepted": 0, "rejected": {}, "authors": 0, "without_author": 0, "complete": False}
        self.summary |= {"collection": collection, "log": {"file": LOG, "bytes": 0, "sha256": self._digest.hexdigest()}}
        if self._file.exists():
            self.summary = self._resumed(collection)
        elif self._log.exists():
            raise PolychromicError(f"{self._log}: a log without {SUMMARY}. Allowed: a folder of `polychromic collect`. Choose another.")

    def records(self) -> list[dict[str, Any]]:
        """The records in the log, in order."""
        return [json.loads(line) for line in self._log.read_bytes().splitlines()] if self._log.exists() else []

    def commit(self, lines: list[str], **changes: Any) -> None:
        """Store the records of a page, one JSON text each, and what they change in the summary."""
        page = "".join(f"{line}\n" for line in lines).encode()
        if not self._file.exists():
            write_json(self._file, self.summary)
        with self._log.open("ab") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        self._digest.update(page)
        log = {"file": LOG, "bytes": self.summary["log"]["bytes"] + len(page), "sha256": self._digest.hexdigest()}
        write_json(self._file, self.summary | changes | {"log": log})
        self.summary |= changes | {"log": log}

    def _resumed(self, collection: dict[str, Any]) -> dict[str, Any]:
        summary = read_json(self._file)
        theirs, size = summary["collection"], summary["log"]["bytes"]
        if changed := sorted(key for key in theirs.keys() | collection.keys() if theirs.get(key) != collection.get(key)):
            told = "; ".join(f"{key} was {dumps(theirs.get(key))}, is {dumps(collection.get(key))}" for key in changed)
            allowed = "the same source and options, to go on with it. Choose another --out, or use the options of before"
            raise PolychromicError(f"{self._log.parent}: it holds another collection: {told}. Allowed: {allowed}.")
        content = self._log.read_bytes() if self._log.exists() else b""
        self._digest.update(content[:size])
        if self._digest.hexdigest() != summary["log"]["sha256"]:
            got = f"{len(content)} bytes, of which the first {size} are not those that collect wrote"
            raise PolychromicError(f"{self._log}: {got}. Allowed: a log that nobody edits. Restore it, or collect again elsewhere.")
        if len(content) > size:
            os.truncate(self._log, size)
        for rest in self._log.parent.glob(f".{SUMMARY}.*"):
            rest.unlink()  # of a process that was killed while it wrote
        return summary
