"""One collection, from where it stands to its end: page by page from a source, through the schema, into a folder.

The folder holds raw.jsonl (append-only) and summary.json; a kill at any moment loses and doubles nothing. A page is first appended to the
log; it is stored when the summary, replaced by one atomic rename, says that the log is longer. What lies beyond that length after a kill
is cut off, and asked for again. One process at a time (base.locks.single_writer).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import dumps, read_json, write_json
from polychromic.base.locks import single_writer
from polychromic.yours.collect.schema import ABSENT, FIELDS, fingerprint, pick, read_item
from polychromic.yours.collect.sources import Page, Source, Withheld

LOG, SUMMARY = "raw.jsonl", "summary.json"
LOCK_SECONDS = 5.0  # a process that was killed lets go at once
EXAMPLES = 3  # places that are remembered per reason of rejection


class Store:
    """What is collected so far in a folder, which is made with the first record and holds one collection (what is collected, and how).

    Attributes: records: those in the log, in order. summary: "items" that are done with, of these "accepted" and "rejected" {reason:
        {"count", "first" places}}, "authors", records "without_author", "complete", the "log" with its size and digest, "collection".

    Raises PolychromicError: the folder holds another collection, a log without a summary, or a log that somebody changed.
    """

    def __init__(self, folder: Path, collection: dict[str, Any]):
        self._log, self._file, self._digest = folder / LOG, folder / SUMMARY, hashlib.sha256()
        self.summary: dict[str, Any] = {"items": 0, "accepted": 0, "rejected": {}, "authors": 0, "without_author": 0, "complete": False}
        self.summary |= {"collection": collection, "log": {"file": LOG, "bytes": 0, "sha256": self._digest.hexdigest()}}
        self.records: list[dict[str, Any]] = []
        self._empty = self.summary
        if self._file.exists():
            self._resume(collection)
        elif self._log.exists():
            raise PolychromicError(f"{self._log}: a log without {SUMMARY}. Allowed: a folder of `polychromic collect`. Choose another.")

    def commit(self, lines: list[str], **changes: Any) -> None:
        """Store the records of a page, one JSON text each, and what they change in the summary; before the first record, nothing."""
        page = "".join(f"{line}\n" for line in lines).encode()
        if not self._file.exists():
            if not lines:
                self.summary = self.summary | changes
                return
            write_json(self._file, self._empty)
        with self._log.open("ab") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        self._digest.update(page)
        log = {"file": LOG, "bytes": self.summary["log"]["bytes"] + len(page), "sha256": self._digest.hexdigest()}
        write_json(self._file, summary := self.summary | changes | {"log": log})
        self.summary = summary

    def stored(self) -> int:
        """Items that another call need not read."""
        return self.summary["items"] if self._file.exists() else 0

    def _resume(self, collection: dict[str, Any]) -> None:
        self.summary = read_json(self._file)
        theirs, size = self.summary["collection"], self.summary["log"]["bytes"]
        if changed := sorted(key for key in theirs.keys() | collection.keys() if theirs.get(key) != collection.get(key)):
            told = "; ".join(f"{key} was {dumps(theirs.get(key))}, is {dumps(collection.get(key))}" for key in changed)
            allowed = "the same source and options, to go on with it. Choose another --out, or use the options of before"
            raise PolychromicError(f"{self._log.parent}: it holds another collection: {told}. Allowed: {allowed}.")
        content = self._log.read_bytes() if self._log.exists() else b""
        self._digest.update(content[:size])
        if self._digest.hexdigest() != self.summary["log"]["sha256"]:
            got = f"{len(content)} bytes, of which the first {size} are not those that collect wrote"
            raise PolychromicError(f"{self._log}: {got}. Allowed: a log that nobody edits. Restore it, or collect again elsewhere.")
        self.records = [json.loads(line) for line in content[:size].splitlines()]
        if len(content) > size:
            os.truncate(self._log, size)
        for rest in self._log.parent.glob(f".{SUMMARY}.*"):
            rest.unlink()  # of a process that was killed while it wrote


def collect(
    source: Source, columns: Mapping[str, str | None], salt: bytes | None, out: Path, say: Callable[[str], None],
    page_size: int, author_cap: int | None = None, max_items: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Collect what is not yet collected; returns the summary, which also stands in `out`.

    Args: columns: field -> column that the user named for it, or None. say is told what it will cost, before it costs. page_size,
        max_items: items of the source. author_cap: most records of one author; unknown authors are not one author, and are left alone.

    Raises UsageError: a column is in no item of the first page; nothing is written then; PolychromicError: see Store and the source; what
    was stored stays, and the next call goes on after it.
    """
    named = {name: columns.get(name) for name in FIELDS}
    collection = source.identity | {"columns": named, "author_cap": author_cap, "authors": fingerprint(salt)}
    with single_writer(out, LOCK_SECONDS):
        store, total = Store(out, collection), source.size()
        end = min((count for count in (total, max_items) if count is not None), default=None)
        stored = store.stored()
        pages = "" if end is None else f"; {math.ceil(max(end - stored, 0) / page_size)} page(s) of up to {page_size} to go"
        count = "the source does not say how many items it has" if total is None else f"{total} items"
        say(f"{source.name}: {count}{f', {end} are wanted' if max_items else ''}; {stored} are stored already{pages}")
        ids, per_author = {row["id"] for row in store.records}, Counter(row["author"] for row in store.records)
        full = lambda author: None not in (author, author_cap) and per_author[author] >= author_cap
        try:
            for page in source.pages(stored, max_items, page_size):
                if store.summary["items"] == 0:
                    _check_columns(page, named)
                lines, rejected = [], dict(store.summary["rejected"])
                for where, item in page:
                    found = item.reason if isinstance(item, Withheld) else read_item(item, named, source.name, salt)
                    if not isinstance(found, str):
                        found = "duplicate id" if found.id in ids else "author cap" if full(found.author) else found
                    if isinstance(found, str):
                        before = rejected.get(found, {"count": 0, "first": []})
                        rejected[found] = {"count": before["count"] + 1, "first": [*before["first"], where][:EXAMPLES]}
                    else:
                        ids.add(found.id)
                        per_author[found.author] += 1
                        lines.append(dumps(found.model_dump()))
                people = {"authors": len(per_author.keys() - {None}), "without_author": per_author[None]}
                items, accepted = store.summary["items"] + len(page), store.summary["accepted"] + len(lines)
                store.commit(lines, items=items, accepted=accepted, rejected=rejected, complete=False, **people)
                say(f"collect: {items} of {end or '?'}")
            if items := store.summary["items"]:
                store.commit([], complete=max_items is None or items < max_items or items == total)
        except (KeyboardInterrupt, OSError) as error:
            why = "by Ctrl-C" if isinstance(error, KeyboardInterrupt) else f"({out} cannot be written: {error.strerror})"
            raise PolychromicError(f"stopped {why}; {store.stored()} items are stored. Run the same command again to go on.") from None
    if not (summary := store.summary)["accepted"]:
        reasons = ", ".join(f"{reason} ({entry['count']}, {entry['first'][0]})" for reason, entry in sorted(summary["rejected"].items()))
        found = f"none of {summary['items']} items gives a record: {reasons or 'it is empty'}"
        allowed = "a post and a reply, both text. Name the columns (`polychromic collect --help`)"
        raise PolychromicError(f"{source.name}: {found}. Allowed: {allowed}.")
    return summary


def _check_columns(page: Page, columns: Mapping[str, str | None]) -> None:
    """A column in no item of the first page is a slip of the pen, not a thousand rejections."""
    items = [item for _, item in page if isinstance(item, dict)]
    known = {str(key) for item in items for key in item}
    known |= {f"{key}.{inner}" for item in items for key, value in item.items() if isinstance(value, dict) for inner in value}
    for name, column in ({"post": "post", "reply": "reply"} | {name: column for name, column in columns.items() if column}).items():
        if items and all(pick(item, column) is ABSENT for item in items):
            found = f"{page[0][0]} to {page[-1][0]}: no item has the column {column!r} for {name}"
            remedy = f"Name one: --{name.replace('_', '-')} COLUMN. Nothing was written"
            raise UsageError(f"{found}. Allowed: {', '.join(sorted(known)[:30])}. {remedy}.")


def render(summary: dict[str, Any]) -> Group:
    """What became of the items, and where the first of the rejected stand."""
    state = "complete" if summary["complete"] else "stopped at --max-items"
    people = f"authors: {summary['authors']}; records without one: {summary['without_author']}"
    table = Table("items", "count", "first at")
    table.add_row("read", str(summary["items"]))
    table.add_row("accepted", str(summary["accepted"]))
    for reason, entry in sorted(summary["rejected"].items(), key=lambda pair: (-pair[1]["count"], pair[0])):
        table.add_row(f"rejected: {reason}", str(entry["count"]), ", ".join(entry["first"]))
    return Group(table, Text(f"{summary['collection']['source']}: {state}; {people}"))
