"""One collection, from where it stands to its end: page by page from a source, through the schema, into the store."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import dumps
from polychromic.base.locks import single_writer
from polychromic.base.progress import progress
from polychromic.yours.collect.schema import ABSENT, FIELDS, Authors, RawRecord, pick, read_item
from polychromic.yours.collect.sources import Page, Source
from polychromic.yours.collect.store import Store

LOCK_SECONDS = 5.0  # a process that was killed lets go at once


def collect(
    source: Source, columns: Mapping[str, str | None], authors: Authors, out: Path, say: Callable[[str], None],
    page_size: int, author_cap: int | None = None, max_items: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Collect what is not yet collected; returns the summary, which also stands in `out`.

    Args: columns: field -> column that the user named for it, or None. say is told what it will cost, before it costs. page_size,
        max_items: items of the source. author_cap: most records of one author; unknown authors are not one author, and are left alone.

    Raises:
        UsageError: a column is in no item of the first page; nothing is written then.
        PolychromicError: see Store and the source; what was stored stays, and the next call goes on after it.
    """
    named = {name: columns.get(name) for name in FIELDS}
    collection = source.identity | {"columns": named, "author_cap": author_cap, "authors": authors.fingerprint}
    with single_writer(out, LOCK_SECONDS):
        store = Store(out, collection)
        total = source.size()
        end = min((count for count in (total, max_items) if count is not None), default=None)
        say(_announcement(source.name, total, end, store.position, page_size))
        ids, per_author = set(), Counter()
        for row in store.records():
            ids.add(row["id"])
            per_author[row["author"]] += 1

        def take(page: Page) -> None:
            lines = []
            store.tally.items += len(page)
            for where, item in page:
                found = read_item(item, named, source.name, authors)
                if isinstance(found, RawRecord) and found.id in ids:
                    found = "duplicate id"
                elif isinstance(found, RawRecord) and found.author is not None and author_cap is not None:
                    found = "author cap" if per_author[found.author] >= author_cap else found
                if isinstance(found, str):
                    store.tally.reject(found, where)
                    continue
                ids.add(found.id)
                per_author[found.author] += 1
                store.tally.accepted += 1
                store.tally.without_author += found.author is None
                lines.append(dumps(found.model_dump()))
            store.commit(lines, store.position + len(page))

        # Progress over what is left, so that the time that remains follows from this run alone.
        start, known = store.position, end is not None and end > store.position
        try:
            with progress("collect", end - start) if known else nullcontext() as tick:
                for page in source.pages(start, max_items, page_size):
                    if store.position == 0:
                        _check_columns(page, named)
                    take(page)
                    tick(min(store.position, end) - start) if known else say(f"collect: {store.position} items")
        except KeyboardInterrupt:
            raise PolychromicError(f"stopped by Ctrl-C; {store.position} items are stored. Run the same command again to go on.") from None
        if store.position == 0:
            raise PolychromicError(f"{source.name}: no items. Allowed: a source with one or more. Check that it is the right one.")
        whole = max_items is None or store.position < max_items or store.position == total
        summary = store.finish({"collection": collection, "complete": whole, "authors": len(per_author.keys() - {None})})
    if not summary["accepted"]:
        reasons = ", ".join(f"{reason} ({entry['count']}, {entry['first'][0]})" for reason, entry in sorted(summary["rejected"].items()))
        raise PolychromicError(
            f"{source.name}: none of {summary['items']} items gives a record: {reasons}. Allowed: a post and a reply, both text. "
            "Name the columns (`polychromic collect --help`) and choose another --out."
        )
    return summary


def _announcement(name: str, total: int | None, end: int | None, position: int, page_size: int) -> str:
    before = f"; {position} are stored already" if position else ""
    if total is None:
        return f"{name}: the source does not say how many items it has; pages of {page_size}{before}"
    limit = f", of which {end} are wanted" if end < total else ""
    return f"{name}: {total} items{limit}{before}; {math.ceil(max(end - position, 0) / page_size)} page(s) of up to {page_size} to go"


def _check_columns(page: Page, columns: Mapping[str, str | None]) -> None:
    """A column in no item of the first page is a slip of the pen, not a thousand rejections."""
    items = [item for _, item in page if isinstance(item, dict)]
    expected = {"post": "post", "reply": "reply"} | {name: column for name, column in columns.items() if column}
    for name, column in expected.items():
        if items and all(pick(item, column) is ABSENT for item in items):
            known = sorted({key for item in items for key in _names(item)})
            near, option = difflib.get_close_matches(column, known, n=1, cutoff=0.5), f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{page[0][0]} to {page[-1][0]}: no item has the column {column!r} for {name}. Allowed: "
                f"{', '.join(known[:30]) or 'none, the items are empty'}. "
                f"{f'Did you mean {option} {near[0]}?' if near else f'Name one with {option}.'} Nothing was written."
            )


def _names(item: dict) -> Iterator[str]:
    for key, value in item.items():
        yield (name := str(key).encode("utf-8", "replace").decode())
        if isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in value)
