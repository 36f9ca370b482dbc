"""All records of printed numbers in one list, whichever stage made them; and the search for what a reader copied from the page."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from polychromic.base import paths
from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import holds, read_json
from polychromic.provenance.lock import Lock, no_collection, stored
from polychromic.report.records import Number

NAMES = ("numbers.json.gz", "test-numbers.json.gz")
REMEDY = "Make it again with `dvc repro`, or fetch it with `dvc pull`."
FIELDS = {field.name for field in fields(Number)}


@dataclass(frozen=True)
class Record(Number):
    """A printed number and the file that holds its record, relative to the workspace ("results/listqa/numbers.json.gz")."""

    file: str = ""

    def sources(self) -> list[tuple[str, str]]:
        """(file, row) pairs that the value was read from; the row is "" where the whole file is meant."""
        return [(file, row) for part in self.source.split("; ") if part for file, _, row in [part.partition("#")]]


def load_records(folder: Path = Path("."), files: Iterable[Path] | None = None, lock: Lock | None = None) -> list[Record]:
    """The records of results/*/numbers.json.gz and results/*/test-numbers.json.gz, sorted by key.

    Args:
        lock: where given, a file that it names and that is not here (a clone before `dvc pull`) is read from the store.
        files: files of records to read, relative to `folder`; None reads all that are there.

    Raises:
        PolychromicError: no file is there, a named one is missing, or two files define one key.
        DataError: a file is not a list of records.
    """
    return _load(_places(folder, files, lock))


def find_record(key: str, folder: Path = Path("."), lock: Lock | None = None) -> Record | None:
    """The record of a key, None where there is none. Parses only files that hold the key's text; arguments and errors as load_records."""
    places = {file: path for file, path in _places(folder, None, lock).items() if holds(path, json.dumps(key, ensure_ascii=False))}
    return next((record for record in _load(places) if record.key == key), None)


def _places(folder: Path, files: Iterable[Path] | None, lock: Lock | None) -> dict[str, Path]:
    """Where each file of records lies, by its name in the workspace."""
    results = folder / paths.RESULTS
    names = [path.relative_to(folder) for name in NAMES for path in results.glob(f"*/{name}")] if files is None else files
    places = {path.as_posix(): folder / path for path in names}
    for out in [out for stage in lock.stages.values() for out in stage.outs if out.path.rpartition("/")[2] in NAMES] if lock else []:
        if not (folder / out.path).exists() and out.md5 and (place := stored(folder, out.md5)):
            places[out.path] = place
    if not places:
        raise PolychromicError(f"{results}/*/{NAMES[0]}: no file found. The records of the printed numbers lie there. {REMEDY}")
    return places


def _load(places: Mapping[str, Path]) -> list[Record]:
    """The records of these files, sorted by key."""
    found: dict[str, Record] = {}
    with no_collection():
        for file, path in sorted(places.items()):
            rows = read_json(path)
            if not isinstance(rows, list):
                raise DataError(str(path), f"a JSON {type(rows).__name__}", "a list of records", REMEDY)
            for number, row in enumerate(rows):
                record = _record(row, file, f"{path}: record {number}")
                if record.key in found:
                    raise PolychromicError(
                        f"the number {record.key!r} is defined twice ({found[record.key].file}, {record.file}). {REMEDY}"
                    )
                found[record.key] = record
    return [found[key] for key in sorted(found)]


def definitions(text: str) -> dict[str, str]:
    r"""The macros of paper/numbers/*.tex: key -> what \num{key} prints."""
    return dict(re.findall(r"^\\definenumber\{([^{}]+)\}\{(.*)\}%$", text, flags=re.MULTILINE))


def _record(row: Any, file: str, where: str) -> Record:
    if not isinstance(row, dict) or row.keys() != FIELDS or not all(isinstance(row[name], str) for name in ("key", "text", "source")):
        raise DataError(where, f"{row!r}"[:200], f"an object with {', '.join(sorted(FIELDS))}", REMEDY)
    return Record(**row | {"seeds": tuple(row["seeds"])}, file=file)


SPELLINGS = {"\u2212": "-", "\u2013": "-", "--": "-", "\u2009": " ", "\u202f": " ", "\u00a0": " ", "~": " ", r"\,": " ", "\u03bb": "lambda"}


def plain(text: str) -> str:
    r"""A printed value as people type it: "\ensuremath{-}0.01" is "-0.01", "24.2\,\%" is "24.2%", "$p$ \ensuremath{<.001}" is "p <.001"."""
    text = re.sub(r"\\ensuremath\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}", r"\1", text)
    for written, typed in SPELLINGS.items():
        text = text.replace(written, typed)
    text = re.sub(r"\\(?:emph|textbf|texttt|mathrm|text)\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\\([%&$#_{}])", r"\1", text)
    text = text.replace(r"\times", "x").replace(r"\pm", "+-")
    text = re.sub(r"\\([A-Za-z]+)\b", r"\1", text)
    text = re.sub(r"[${}]", "", text)
    return re.sub(r"\s+(?=%)", "", re.sub(r"\s+", " ", text)).strip()


def printed_as(records: Iterable[Record], text: str, used: Collection[str] = ()) -> list[Record]:
    """The records that print exactly `text`, in any spelling of minus, spaces and per cent, and the longer ones in `used` that hold it.

    Where there are none, all that hold it. Those in `used` come first, then by key.
    """
    wanted = plain(text)
    if not wanted:
        return []
    spelled = [(record, plain(record.text)) for record in records]
    within = re.compile(rf"(?<![\w.]){re.escape(wanted)}(?![\w]|\.\d)")
    holding = [(record, printed) for record, printed in spelled if printed == wanted or within.search(printed)]
    found = [record for record, printed in holding if printed == wanted or record.key in used]
    return sorted(found or [record for record, _ in holding], key=lambda record: (record.key not in used, record.key))
