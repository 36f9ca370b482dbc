"""Files, written so that a kill at any moment leaves the old content or the new, never half of it.

The bytes depend on the content alone: sorted keys, no clock in the gzip header, no NaN.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import json
import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from polychromic.base.drafts import together, written
from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.parse import parse_json

__all__ = ["atomic_open", "dumps", "open_file", "read_bytes", "read_json", "read_jsonl", "read_object", "read_text", "sha256_file"]
__all__ += ["sha256_json", "together", "write_json", "write_jsonl", "write_text"]

GZIP = b"\x1f\x8b"  # how every gzip file begins
KINDS = {
    stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device",
}  # fmt: skip


@contextmanager
def atomic_open(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """Open what will be `path` for writing; it replaces what is there only when the block ends well (polychromic.base.drafts)."""
    with written(Path(path)) as file:
        yield file


class Keyed(dict):
    """An object that was read: a key that it lacks is a DataError, which names the place."""

    def __init__(self, where: str, values: dict):
        super().__init__(values)
        self._where = where

    def __missing__(self, key: Any) -> Any:
        there = ", ".join(map(str, list(self)[:20])) or "none"
        remedy = "Make the file again: `dvc repro`, or the command that wrote it."
        raise DataError(self._where, f"no {str(key)!r}; keys found: {there}", f"an object with {str(key)!r}", remedy)


def dumps(value: Any, indent: int | None = None) -> str:
    """JSON with sorted keys; raises ValueError on NaN and infinity, which JSON does not have."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=indent)


def write_text(path: str | os.PathLike, text: str) -> None:
    with atomic_open(path) as file:
        file.write(text.encode())


def write_json(path: str | os.PathLike, value: Any) -> None:
    """One JSON document, indented; gzip with an empty clock when the name ends in .gz."""
    text = dumps(value, indent=2) + "\n"
    with _packing(path) as file:
        file.write(text.encode())


def read_json(path: str | os.PathLike) -> Any:
    """The document of a file, unpacked where it is gzip, whatever it is called.

    Raises:
        PolychromicError: the file does not exist.
        DataError: it is not JSON in UTF-8, or a broken gzip file.
    """
    with _unpacked(Path(path), "one JSON document") as file:
        content = file.read()
    try:
        value = parse_json(content)
    except ValueError as error:
        raise DataError(str(path), str(error), "one JSON document in UTF-8", "Make it again with `dvc repro`.") from None
    return Keyed(str(path), value) if isinstance(value, dict) else value


def read_object(path: str | os.PathLike) -> dict[str, Any]:
    """As `read_json`, of a document that is an object; DataError for another one."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise DataError(str(path), f"a JSON {type(value).__name__}", "one JSON object", "Make it again with `dvc repro`.")
    return value


def write_jsonl(path: str | os.PathLike, rows: Iterable[dict]) -> None:
    """One JSON object a line; gzip with an empty clock when the name ends in .gz."""
    with _packing(path) as file:
        for row in rows:
            file.write((dumps(row) + "\n").encode())


def read_jsonl(path: str | os.PathLike) -> Iterator[tuple[str, dict]]:
    """Yield ("path:line", object) for each line that is not blank, unpacked where the file is gzip, whatever it is called.

    A byte order mark at the beginning of a line is no part of it.

    Raises:
        PolychromicError: the file does not exist.
        DataError: a line is not UTF-8 or not a JSON object, or the file is a broken gzip file.
    """
    with _unpacked(Path(path), "JSON lines") as file:
        for number, raw in enumerate(file, start=1):
            where = f"{path}:{number}"
            if not raw.removeprefix(codecs.BOM_UTF8).strip():  # files that were joined have a byte order mark within, too
                continue
            try:
                row = parse_json(raw)
            except ValueError as error:
                raise DataError(where, str(error), "one JSON object per line, in UTF-8") from None
            if not isinstance(row, dict):
                raise DataError(where, f"a JSON {type(row).__name__}", "one JSON object per line")
            yield where, Keyed(where, row)


@contextmanager
def _packing(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """As atomic_open; what is written is packed when the name ends in .gz, without clock and name in the header."""
    with atomic_open(path) as file:
        if not str(path).endswith(".gz"):
            yield file
            return
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=9) as packed:
            yield packed


def _unpacked(path: Path, content: str) -> IO[bytes]:
    """The file, open to be read. Its first bytes tell gzip, not its name: DVC keeps files under their hash, without a suffix.

    Args:
        content: what a message says that gzip should hold.
    """
    file = open_file(path)
    if file.peek(len(GZIP))[: len(GZIP)] != GZIP:
        return file
    try:
        with file:
            return io.BytesIO(gzip.decompress(file.read()))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(str(path), f"not a whole gzip file ({error})", f"gzip of {content}", "Run `dvc repro`.") from None


def open_file(path: str | os.PathLike) -> IO[bytes]:
    """A regular file, open to be read; nothing else is, as a FIFO without a writer would make it wait for ever.

    Raises PolychromicError: no such file, another kind of thing, or one that cannot be read.
    """
    try:
        if not stat.S_ISREG(mode := os.stat(path).st_mode):
            kind = next((name for holds, name in KINDS.items() if holds(mode)), "no file")
            raise PolychromicError(f"{path}: {kind}. Allowed: a regular file. Name one, or copy what it gives to one.")
        return open(path, "rb")
    except FileNotFoundError:
        ours = {"data", "results", "paper"} & set(os.path.normpath(path).split(os.sep))  # what stages read and make
        remedy = "Check the path, or make it: `dvc pull`, `dvc repro`." if ours else "Allowed: a file that is there. Check the path."
        raise PolychromicError(f"{path}: file not found. {remedy}") from None
    except (OSError, ValueError) as error:  # a ValueError for a name with the character that ends names
        said = getattr(error, "strerror", None) or error
        allowed = "a file that you may read. Change its rights, or name another"
        raise PolychromicError(f"{path}: cannot be read ({said}). Allowed: {allowed}.") from None


def read_bytes(path: str | os.PathLike) -> bytes:
    """All of a file. Raises PolychromicError as `open_file`."""
    with open_file(path) as file:
        return file.read()


def read_text(path: str | os.PathLike) -> str:
    """All of a file. Raises PolychromicError as `open_file`; DataError: it is not UTF-8."""
    content = read_bytes(path)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}", f"invalid UTF-8 ({error.reason} at byte {error.start})", "UTF-8 text") from None


def append(path: Path, size: int, content: bytes) -> None:
    """Write content behind the first `size` bytes of a file, for good, in place of what a crash may have left there; makes the file.

    Raises OSError: it cannot be written; a file that is there has its first `size` bytes, and nothing behind them.
    """
    try:
        with path.open("ab") as file:
            file.truncate(size)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        if path.exists():
            os.truncate(path, size)
        raise


def sha256_file(path: str | os.PathLike) -> str:
    """Raises PolychromicError as `open_file`."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    return hashlib.sha256(dumps(value).encode()).hexdigest()
