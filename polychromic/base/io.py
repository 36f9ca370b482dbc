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
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from polychromic.base.errors import DataError, PolychromicError

GZIP = b"\x1f\x8b"  # how every gzip file begins


@contextmanager
def atomic_open(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """Open a temporary sibling of `path` for writing; it replaces `path` only when the block ends well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # mkstemp makes 0600; results are meant to be read
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


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
        return json.loads(content.decode("utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(str(path), f"not JSON ({error})", "one JSON document in UTF-8", "Make it again with `dvc repro`.") from None


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
                row = json.loads(raw.decode("utf-8-sig"))
            except UnicodeDecodeError as error:
                raise DataError(where, f"invalid UTF-8 ({error.reason} at byte {error.start})", "UTF-8 text") from None
            except json.JSONDecodeError as error:
                raise DataError(where, f"not JSON ({error.msg} at column {error.colno})", "one JSON object per line") from None
            if not isinstance(row, dict):
                raise DataError(where, f"a JSON {type(row).__name__}", "one JSON object per line")
            yield where, row


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
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise PolychromicError(f"{path}: file not found. Check the path, or make it: `dvc pull`, `dvc repro`.") from None
    if file.peek(len(GZIP))[: len(GZIP)] != GZIP:
        return file
    try:
        with file:
            return io.BytesIO(gzip.decompress(file.read()))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(str(path), f"not a whole gzip file ({error})", f"gzip of {content}", "Run `dvc repro`.") from None


def sha256_file(path: str | os.PathLike) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    return hashlib.sha256(dumps(value).encode()).hexdigest()
