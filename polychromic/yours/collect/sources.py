"""Where items come from: what a source is, the shipped chat corpus, and files. A source knows nothing about records.

Items are read in pages: neighbours, each with where it stands ("posts.csv:17", "item 3").
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from polychromic.base.errors import DataError, PolychromicError, UsageError
from polychromic.base.io import sha256_file
from polychromic.yours.collect.schema import Rejected

Page = list[tuple[str, object]]
LONGEST_CELL = 2**31 - 1  # characters; csv's own limit is 131072


class Source:
    """A source whose items are read from the beginning; a subclass gives `rows`.

    Attributes:
        name: goes into each record.
        identity: what must be the same for a collection to be continued.
    """

    name: str
    identity: dict[str, Any]

    def rows(self) -> Iterator[tuple[str, object]]:
        """(where it stands, such as "posts.csv:3"; the item as it was parsed, or Rejected) of each item, in the source's order."""
        raise NotImplementedError

    def size(self) -> int | None:
        """Number of items, asked before the first page: what is wrong with a file is found here. None when the source does not say."""
        return sum(1 for _ in self.rows())

    def pages(self, position: int, stop: int | None, size: int) -> Iterator[Page]:
        """The items from `position` to before `stop`, at most `size` at a time. No page is empty."""
        wanted = islice(self.rows(), position, stop)
        while page := list(islice(wanted, size)):
            yield page


class CorpusSource(Source):
    """Neighbouring turns of the chat corpus: what one person wrote and what the other answered, unfiltered.

    The author is who replied; engagement is the conversation's mean rating (1-10).
    """

    def __init__(self):
        from polychromic.data.replies import SOURCE

        self.name, self.identity = SOURCE, {"source": SOURCE}

    def rows(self) -> Iterator[tuple[str, object]]:
        from polychromic.data import replies

        corpus = replies.load_conversations()
        for key in sorted(corpus):
            rating = replies.mean_rating(corpus[key])
            for turn, (post, reply) in enumerate(pairwise(replies.turns(corpus[key]))):
                item = {"id": f"{key}:{turn + 1}", "post_id": f"{key}:{turn}", "post": post.text, "reply": reply.text}
                yield f"conversation {key}, turn {turn + 1}", item | {"author": reply.person, "engagement": rating}


class FileSource(Source):
    """The rows of a JSONL (also .gz), CSV or Parquet file, by the name's ending; blank lines are not rows.

    A line that is no JSON object is one rejected item; a file that is not of its format is an error. Raises UsageError for another
    ending, PolychromicError where there is no such file.
    """

    def __init__(self, path: Path):
        readers = {".jsonl": _jsonl_rows, ".jsonl.gz": _jsonl_rows, ".csv": _csv_rows, ".parquet": _parquet_rows}
        ending = next((ending for ending in readers if path.name.lower().endswith(ending)), None)
        if ending is None:
            raise UsageError(f"{path}: the name ends in {path.suffix!r}. Allowed: {', '.join(readers)}. Convert or rename the file.")
        if not path.is_file():
            raise PolychromicError(f"{path}: no such file. Allowed: a file in {', '.join(readers)}. Check the path.")
        self._path, self._read = path, readers[ending]
        self._shown = path.name.encode("utf-8", "replace").decode()  # names of files need not be UTF-8
        self.name = f"file:{self._shown}"
        self.identity = {"source": self.name, "sha256": sha256_file(path)}

    def rows(self) -> Iterator[tuple[str, object]]:
        return ((f"{self._shown}{place}", row) for place, row in self._read(self._path))


def _jsonl_rows(path: Path) -> Iterator[tuple[str, object]]:
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            for number, raw in enumerate(file, start=1):
                if raw.strip():
                    yield f":{number}", _parsed(raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(str(path), f"not a whole gzip file ({error})", "gzip of JSON lines", "Copy or compress it again.") from None


def _parsed(raw: bytes) -> object:
    try:
        return json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return Rejected("not UTF-8")
    except (ValueError, RecursionError):  # ValueError: not JSON, or a number of thousands of digits
        return Rejected("not JSON")


def _csv_rows(path: Path) -> Iterator[tuple[str, object]]:
    csv.field_size_limit(LONGEST_CELL)
    remedy = "Save it again as CSV in UTF-8 with commas, or as JSONL."
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader, last = csv.reader(file, strict=True), 0
        try:
            header = next(reader, [])
            doubles = [name for name, count in Counter(header).items() if count > 1]
            if not header or doubles:
                got = f"columns {doubles} twice" if doubles else "no header"
                raise DataError(f"{path}:1", got, "a first line that names each column once", remedy)
            last = reader.line_num
            for row in reader:
                place, last = f":{last + 1}", reader.line_num  # line_num is that of the row's last line
                if row:
                    yield place, dict(zip(header, row)) if len(row) <= len(header) else Rejected("more cells than the header has columns")
        except csv.Error as error:
            raise DataError(f"{path}:{last + 1}", f"not CSV ({error})", "comma-separated values with a header", remedy) from None
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: after line {last}", f"not UTF-8 ({error.reason})", "CSV in UTF-8", remedy) from None


def _parquet_rows(path: Path) -> Iterator[tuple[str, object]]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            rows = (row for batch in file.iter_batches(batch_size=1024) for row in batch.to_pylist())
            for number, row in enumerate(rows, start=1):
                yield f": row {number}", row
    except (pyarrow.ArrowException, OSError) as error:
        said = str(error).splitlines()[0][:200]
        raise DataError(str(path), f"not a whole Parquet file ({said})", "a Parquet file", "Copy or write it again.") from None
