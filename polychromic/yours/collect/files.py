"""Items from a file: JSONL (also .gz), CSV or Parquet, by the name's ending. Positions count rows; blank lines are not rows."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from polychromic.base.errors import DataError, PolychromicError, UsageError
from polychromic.base.io import sha256_file
from polychromic.yours.collect.schema import Rejected
from polychromic.yours.collect.source import Page, cut

ENDINGS = (".jsonl", ".jsonl.gz", ".csv", ".parquet")
LONGEST_CELL = 2**31 - 1  # characters; csv's own limit is 131072
Rows = Iterator[tuple[str, object]]


class FileSource:
    """The rows of one file. A line that is no JSON object is one rejected item; a file that is not of its format is an error.

    Raises:
        UsageError: another ending.
        PolychromicError: no such file.
    """

    def __init__(self, path: Path):
        ending = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), None)
        if ending is None:
            raise UsageError(f"{path}: the name ends in {path.suffix!r}. Allowed: {', '.join(ENDINGS)}. Convert or rename the file.")
        if not path.is_file():
            raise PolychromicError(f"{path}: no such file. Allowed: a file in {', '.join(ENDINGS)}. Check the path.")
        self.path, self._read = path, {".csv": _csv_rows, ".parquet": _parquet_rows}.get(ending, _jsonl_rows)
        self.name = f"file:{_name(path)}"
        self.identity = {"source": self.name, "sha256": sha256_file(path)}

    def size(self) -> int:
        """Reads the whole file: what is wrong with its format is found before anything is stored."""
        return sum(1 for _ in self._read(self.path))

    def pages(self, position: int, stop: int | None, size: int) -> Iterator[Page]:
        return cut(self._read(self.path), position, stop, size)


def _jsonl_rows(path: Path) -> Rows:
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            for number, raw in enumerate(file, start=1):
                if raw.strip():
                    yield f"{_name(path)}:{number}", _parsed(raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(str(path), f"not a whole gzip file ({error})", "gzip of JSON lines", "Copy or compress it again.") from None


def _parsed(raw: bytes) -> object:
    try:
        return json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return Rejected("not UTF-8")
    except (ValueError, RecursionError):  # ValueError: not JSON, or a number of thousands of digits
        return Rejected("not JSON")


def _csv_rows(path: Path) -> Rows:
    csv.field_size_limit(LONGEST_CELL)
    remedy = "Save it again as CSV in UTF-8 with commas, or as JSONL."
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader, last = csv.reader(file, strict=True), 0
        try:
            header = next(reader, [])
            doubles = [name for name, count in Counter(header).items() if count > 1]
            if not header or doubles:
                raise DataError(
                    f"{path}:1", f"columns {doubles} twice" if doubles else "no header", "a first line that names each column once", remedy
                )
            last = reader.line_num
            for row in reader:
                where, last = f"{_name(path)}:{last + 1}", reader.line_num  # line_num is that of the row's last line
                if row:
                    yield where, dict(zip(header, row)) if len(row) <= len(header) else Rejected("more cells than the header has columns")
        except csv.Error as error:
            raise DataError(f"{path}:{last + 1}", f"not CSV ({error})", "comma-separated values with a header", remedy) from None
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: after line {last}", f"not UTF-8 ({error.reason})", "CSV in UTF-8", remedy) from None


def _parquet_rows(path: Path) -> Rows:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{_name(path)}: row {number}", row
    except (pyarrow.ArrowException, OSError) as error:
        said = str(error).splitlines()[0][:200]
        raise DataError(str(path), f"not a whole Parquet file ({said})", "a Parquet file", "Copy or write it again.") from None


def _name(path: Path) -> str:
    """For the log: names of files need not be UTF-8."""
    return path.name.encode("utf-8", "replace").decode()
