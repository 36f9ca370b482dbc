"""One collection, from where it stands to its end: page by page from a source, through the schema, into the store."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import dumps
from polychromic.base.locks import single_writer
from polychromic.yours.collect.schema import ABSENT, FIELDS, Authors, pick, read_item
from polychromic.yours.collect.sources import Page, Source
from polychromic.yours.collect.store import Store

LOCK_SECONDS = 5.0  # a process that was killed lets go at once
EXAMPLES = 3  # places that are remembered per reason of rejection


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
        store, total = Store(out, collection), source.size()
        end = min((count for count in (total, max_items) if count is not None), default=None)
        stored, records = store.summary["items"], store.records()
        pages = "" if end is None else f"; {math.ceil(max(end - stored, 0) / page_size)} page(s) of up to {page_size} to go"
        count = "the source does not say how many items it has" if total is None else f"{total} items"
        say(f"{source.name}: {count}{f', {end} are wanted' if max_items else ''}; {stored} are stored already{pages}")
        ids, per_author = {row["id"] for row in records}, Counter(row["author"] for row in records)

        def take(page: Page) -> None:
            lines, rejected = [], dict(store.summary["rejected"])
            for where, item in page:
                record = read_item(item, named, source.name, authors)
                if isinstance(record, str):
                    reason = record
                elif record.id in ids:
                    reason = "duplicate id"
                elif record.author is not None and author_cap is not None and per_author[record.author] >= author_cap:
                    reason = "author cap"
                else:
                    ids.add(record.id)
                    per_author[record.author] += 1
                    lines.append(dumps(record.model_dump()))
                    continue
                before = rejected.get(reason, {"count": 0, "first": []})
                rejected[reason] = {"count": before["count"] + 1, "first": [*before["first"], where][:EXAMPLES]}
            people = {"authors": len(per_author.keys() - {None}), "without_author": per_author[None]}
            items, accepted = store.summary["items"] + len(page), store.summary["accepted"] + len(lines)
            store.commit(lines, items=items, accepted=accepted, rejected=rejected, complete=False, **people)
            say(f"collect: {items} of {end or '?'}")

        try:
            for page in source.pages(stored, max_items, page_size):
                if store.summary["items"] == 0:
                    _check_columns(page, named)
                take(page)
            items = store.summary["items"]
            if items:
                store.commit([], complete=max_items is None or items < max_items or items == total)
        except (KeyboardInterrupt, OSError) as error:
            why = "by Ctrl-C" if isinstance(error, KeyboardInterrupt) else f"({out} cannot be written: {error.strerror})"
            stored = store.summary["items"]
            raise PolychromicError(f"stopped {why}; {stored} items are stored. Run the same command again to go on.") from None
    if not (summary := store.summary)["accepted"]:
        reasons = ", ".join(f"{reason} ({entry['count']}, {entry['first'][0]})" for reason, entry in sorted(summary["rejected"].items()))
        allowed = "a post and a reply, both text. Name the columns (`polychromic collect --help`) and choose another --out"
        raise PolychromicError(
            f"{source.name}: none of {summary['items']} items gives a record: {reasons or 'it is empty'}. Allowed: {allowed}."
        )
    return summary


def _check_columns(page: Page, columns: Mapping[str, str | None]) -> None:
    """A column in no item of the first page is a slip of the pen, not a thousand rejections."""
    items = [item for _, item in page if isinstance(item, dict)]
    known = {str(key) for item in items for key in item}
    known |= {f"{key}.{inner}" for item in items for key, value in item.items() if isinstance(value, dict) for inner in value}
    for name, column in ({"post": "post", "reply": "reply"} | {name: column for name, column in columns.items() if column}).items():
        if items and all(pick(item, column) is ABSENT for item in items):
            near = difflib.get_close_matches(column, known, n=1, cutoff=0.5) or ["COLUMN"]
            raise UsageError(
                f"{page[0][0]} to {page[-1][0]}: no item has the column {column!r} for {name}. Allowed: {', '.join(sorted(known)[:30])}. "
                f"Name one, such as --{name.replace('_', '-')} {near[0]}. Nothing was written."
            )


def render(summary: dict[str, Any]) -> Group:
    """What became of the items, and where the first of the rejected stand."""
    state = "complete" if summary["complete"] else "stopped at --max-items"
    people = f"authors: {summary['authors']}; records without one: {summary['without_author']}"
    table = Table("items", "count", "first at")
    table.add_row("read", str(summary["items"]))
    table.add_row("accepted", str(summary["accepted"]))
    for reason, entry in sorted(summary["rejected"].items(), key=lambda pair: (-pair[1]["count"], pair[0])):
        table.add_row(f"rejected: {reason}", str(entry["count"]), escape(", ".join(entry["first"])))
    return Group(table, Text(f"{summary['collection']['source']}: {state}; {people}"))
