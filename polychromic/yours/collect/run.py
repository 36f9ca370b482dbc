"""One collection, from where it stands to its end: page by page from a source, through the schema, into the store."""

from __future__ import annotations

import difflib
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import dumps
from polychromic.base.locks import single_writer
from polychromic.base.progress import progress
from polychromic.yours.collect.authors import Authors
from polychromic.yours.collect.schema import Columns, RawRecord, Rejected, has_column, read_item
from polychromic.yours.collect.source import Page, Source
from polychromic.yours.collect.store import Store

LOCK_SECONDS = 5.0  # a process that was killed lets go at once


@dataclass(frozen=True)
class Options:
    """page_size: items per page. author_cap: most records of one author. max_items: stop after so many items of the source."""

    page_size: int
    author_cap: int | None = None
    max_items: int | None = None


class Intake:
    """Decides about one item after the other; what the log already holds counts."""

    def __init__(self, source: Source, columns: Columns, authors: Authors, author_cap: int | None, store: Store):
        self._source, self._columns, self._authors, self._cap = source.name, columns, authors, author_cap
        self._ids: set[str] = set()
        self.per_author: Counter[str] = Counter()
        for row in store.records():
            self._remember(row["id"], row["author"])

    def _remember(self, name: str, author: str | None) -> None:
        self._ids.add(name)
        if author is not None:  # unknown authors are not one author: the cap leaves them alone
            self.per_author[author] += 1

    def take(self, item: object) -> RawRecord | Rejected:
        record = read_item(item, self._columns, self._source, self._authors.hide)
        if isinstance(record, Rejected):
            return record
        if record.id in self._ids:
            return Rejected("duplicate id")
        if self._cap is not None and record.author is not None and self.per_author[record.author] >= self._cap:
            return Rejected("author cap")
        self._remember(record.id, record.author)
        return record


def collect(source: Source, columns: Columns, authors: Authors, out: Path, options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """Collect what is not yet collected; returns the summary, which also stands in `out`.

    Raises:
        UsageError: a column is in no item of the first page; nothing is written then.
        PolychromicError: see Store and the source; what was stored stays, and the next call goes on after it.
    """
    collection = source.identity | {"columns": asdict(columns), "author_cap": options.author_cap, "authors": authors.fingerprint or "kept"}
    with single_writer(out, LOCK_SECONDS):
        store = Store(out, collection)
        total = source.size()
        _announce(source.name, total, store.position, options, say)
        intake = Intake(source, columns, authors, options.author_cap, store)
        end = None if total is None else max(total, store.position)
        if options.max_items is not None:
            end = options.max_items if end is None else min(end, options.max_items)
        try:
            with _ticker(end, store.position) as tick:
                for page in source.pages(store.position, options.max_items, options.page_size):
                    if store.position == 0:
                        _check_columns(page, columns)
                    _store(page, intake, store)
                    tick(store.position)
        except KeyboardInterrupt:
            raise PolychromicError(f"stopped by Ctrl-C; {store.position} items are stored. Run the same command again to go on.") from None
        if store.position == 0:
            raise PolychromicError(f"{source.name}: no items. Allowed: a source with one or more. Check that it is the right one.")
        whole = options.max_items is None or store.position < options.max_items or store.position == total
        known = {"collection": collection, "complete": whole, "authors": len(intake.per_author)}
        summary = store.finish(known)
    if not summary["accepted"]:
        reasons = ", ".join(f"{reason} ({entry['count']}, {entry['first'][0]})" for reason, entry in sorted(summary["rejected"].items()))
        raise PolychromicError(
            f"{source.name}: none of {summary['items']} items gives a record: {reasons}. Allowed: a post and a reply, both text. "
            "Name the columns (`polychromic collect --help`) and choose another --out."
        )
    return summary


def _announce(name: str, total: int | None, position: int, options: Options, say: Callable[[str], None]) -> None:
    """What it will cost, before it costs."""
    before = f"; {position} are stored already" if position else ""
    if total is None:
        say(f"{name}: the source does not say how many items it has; pages of {options.page_size}{before}")
        return
    wanted = total if options.max_items is None else min(total, options.max_items)
    pages = math.ceil(max(wanted - position, 0) / options.page_size)
    limit = f", of which {wanted} are wanted" if wanted < total else ""
    say(f"{name}: {total} items{limit}{before}; {pages} page(s) of up to {options.page_size} to go")


@contextmanager
def _ticker(end: int | None, start: int) -> Iterator[Callable[[int], None]]:
    """Progress over what is left: the time that remains follows from this run alone."""
    if end is not None:
        if end <= start:
            yield lambda position: None
            return
        with progress("collect", end - start) as bar:
            yield lambda position: bar(min(position, end) - start)
        return
    told = start

    def tick(position: int) -> None:
        nonlocal told
        if position >= max(2 * told, 1):
            told = position
            print(f"collect: {position} items", file=sys.stderr, flush=True)

    yield tick


def _store(page: Page, intake: Intake, store: Store) -> None:
    lines = []
    for where, item in page.items:
        found = intake.take(item)
        store.tally.items += 1
        if isinstance(found, Rejected):
            store.tally.reject(found.reason, where)
            continue
        store.tally.accepted += 1
        store.tally.without_author += found.author is None
        lines.append(dumps(found.model_dump()))
    store.commit(lines, store.position + len(page.items))


def _check_columns(page: Page, columns: Columns) -> None:
    """A column in no item of the first page is a slip of the pen, not a thousand rejections."""
    items = [item for _, item in page.items if isinstance(item, dict)]
    for name, column in columns.expected().items():
        if items and not any(has_column(item, column) for item in items):
            known = sorted({key for item in items for key in _names(item)})
            near = difflib.get_close_matches(column, known, n=1, cutoff=0.5)
            guess = f"Did you mean --{name.replace('_', '-')} {near[0]}?" if near else f"Name one with --{name.replace('_', '-')}."
            raise UsageError(
                f"{page.items[0][0]} to {page.items[-1][0]}: no item has the column {column!r} for {name}. Allowed: "
                f"{', '.join(known[:30]) or 'none, the items are empty'}. {guess} Nothing was written."
            )


def _names(item: dict) -> Iterator[str]:
    for key, value in item.items():
        yield (name := str(key).encode("utf-8", "replace").decode())
        if isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in value)
