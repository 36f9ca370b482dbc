"""Where items come from: the shipped chat corpus and files; apify.py has the datasets of Apify. A source knows nothing about records.

Items are read in pages: neighbours, each with where it stands ("posts.csv:17", "item 3").
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from polychromic.base.errors import DataError, PolychromicError, UsageError
from polychromic.base.io import read_jsonl, sha256_file

Rows = Iterator[tuple[str, object]]  # (where it stands, the item as it was parsed), in the source's order
Page = list[tuple[str, object]]
LONGEST_CELL = 2**31 - 1  # characters; csv's own limit is 131072


class Withheld(NamedTuple):
    """Stands for an item that must not be stored, and says why."""

    reason: str


@dataclass
class Source:
    """A source whose items are read from the beginning.

    Attributes:
        name: goes into each record.
        identity: what must be the same for a collection to be continued.
        rows: begins to read.
    """

    name: str
    identity: dict[str, Any]
    rows: Callable[[], Rows]

    def size(self) -> int | None:
        """Number of items, asked before the first page: what is wrong with a file is found here. None when the source does not say."""
        return sum(1 for _ in self.rows())

    def pages(self, position: int, stop: int | None, size: int) -> Iterator[Page]:
        """The items from `position` to before `stop`, at most `size` at a time. No page is empty."""
        wanted = islice(self.rows(), position, stop)
        while page := list(islice(wanted, size)):
            yield page


def corpus() -> Source:
    """Neighbouring turns of the chat corpus: what one person wrote and what the other answered, unfiltered.

    The author is who replied; engagement is the conversation's mean rating (1-10).
    """
    from polychromic.data import replies

    def rows() -> Rows:
        conversations = replies.load_conversations()
        for key in sorted(conversations):
            rating = replies.mean_rating(conversations[key])
            for turn, (post, reply) in enumerate(pairwise(replies.turns(conversations[key]))):
                item = {"id": f"{key}:{turn + 1}", "post_id": f"{key}:{turn}", "post": post.text, "reply": reply.text}
                yield f"conversation {key}, turn {turn + 1}", item | {"author": reply.person, "engagement": rating}

    return Source(replies.SOURCE, {"source": replies.SOURCE}, rows)


def of_file(path: Path) -> Source:
    """The rows of a JSONL (also .gz), CSV or Parquet file, by the name's ending; blank lines are not rows.

    Raises UsageError for another ending, PolychromicError where there is no such file; DataError, on reading, for one of another format.
    """
    readers = {".jsonl": read_jsonl, ".jsonl.gz": read_jsonl, ".csv": _csv_rows, ".parquet": _parquet_rows}
    ending = next((ending for ending in readers if path.name.lower().endswith(ending)), None)
    if ending is None:
        raise UsageError(f"{path}: the name ends in {path.suffix!r}. Allowed: {', '.join(readers)}. Convert or rename the file.")
    if not path.is_file():
        raise PolychromicError(f"{path}: no such file. Allowed: a file in {', '.join(readers)}. Check the path.")
    name = f"file:{path.name}"
    # The path belongs to this machine; the file's name stands for it.
    return Source(name, {"source": name, "sha256": sha256_file(path)}, lambda: ((Path(at).name, row) for at, row in readers[ending](path)))


def _csv_rows(path: Path) -> Rows:
    csv.field_size_limit(LONGEST_CELL)
    last = 0  # line_num is that of a row's last line
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, [])
            if len(set(header)) < max(len(header), 1):
                raise csv.Error(f"the first line names {header or 'no columns'}, where each column is named once")
            last = reader.line_num
            for row in reader:
                if len(row) > len(header):
                    raise csv.Error(f"{len(row)} cells of {len(header)} columns")
                place, last = last + 1, reader.line_num
                if row:
                    yield f"{path}:{place}", dict(zip(header, row))
        except (csv.Error, UnicodeDecodeError) as error:
            allowed = "comma-separated values in UTF-8 with a header"
            raise DataError(f"{path}:{last + 1}", f"not CSV ({error})", allowed, "Save it again as such, or as JSONL.") from None


def _parquet_rows(path: Path) -> Rows:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            rows = (row for batch in file.iter_batches(batch_size=1024) for row in batch.to_pylist())
            for number, row in enumerate(rows, start=1):
                yield f"{path}: row {number}", row
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        said = str(error).splitlines()[0][:200]
        raise DataError(str(path), f"not a whole Parquet file ({said})", "a Parquet file", "Copy or write it again.") from None
