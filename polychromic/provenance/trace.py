"""From what is printed back to where it comes from: records, source rows, stages, cells, inputs, and the commit.

`trace` answers with one document (a dict, what `--json` prints); polychromic.provenance.show draws it. A file that is not here is read
from the store where that holds it, so a fresh clone and an unpacked archive answer as the author's workspace does. No dvc, no torch.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from typing import Any

from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json
from polychromic.base.paths import NUMBERS
from polychromic.provenance.commit import DIGITS, introduced, last_change, of_records
from polychromic.provenance.lock import Entry, File, md5_of, stored
from polychromic.provenance.records import MACROS, printed_as, sources
from polychromic.provenance.workspace import Evidence, Workspace, evidence
from polychromic.report.records import Number

RECORDS = NUMBERS.as_posix()
CELL_FILE = re.compile(r"results/[^/]+/[^/]+/([^/]+)/samples\.jsonl\.gz")  # of a domain, a split and a cell
Document = dict[str, Any]


def trace(query: str, folder: Path = Path(".")) -> Document:
    """What `query` rests on.

    Args:
        query: a record's key, a label ("fig:people"), "Figure 3", a path, its last part ("listqa-frontier.pdf") or the first digits of a
            file's md5, the records' hash that a PDF carries, or a printed text ("+0.19"), tried in this order.

    Returns:
        "kind": "record" or "file" with its origin, "records" with the commit that had them, or "matches" with the keys where the text
        has several records that print the query.

    Raises:
        PolychromicError: nothing here is called or prints that (names what is similar), or a file is missing or malformed.
    """
    here = Workspace(folder)
    if record := here.records.get(query):
        return _record(here, query, record)
    if one := next((one for one in here.manuscript.floats if query in (one.label, one.name)), None):
        return _file(here, query, one.files[0]) | {"also": [_file(here, query, path) for path in one.files[1:]]}
    if path := _path(here, query):
        return _file(here, query, path)
    if re.fullmatch(f"[0-9a-f]{{{DIGITS}}}", query) and (since := of_records(folder, query)):
        return {"query": query, "kind": "records", "commit": asdict(since)}
    printed = set(here.manuscript.keys)
    matches = printed_as(here.records.values(), query, printed)
    shown = [record for record in matches if record.key in printed] or matches
    if len(shown) == 1:
        return _record(here, query, shown[0])
    if matches:
        rows = [{"key": record.key, "text": record.text, "printed": record.key in printed, "source": record.source} for record in matches]
        return {"query": query, "kind": "matches", "matches": rows}
    raise PolychromicError(_unknown(here, query))


def _path(here: Workspace, query: str) -> str | None:
    """A file that a stage makes or reads, or one of paper/ or results/, by its path, its last part or the beginning of its md5."""
    files = [file for stage in here.lock.stages.values() for file in (*stage.outs, *stage.deps)]
    known = {file.path for file in files}
    name = Path(query).as_posix()
    if name in known or ((here.folder / name).is_file() and any(name.startswith(f"{one}/") for one in ("paper", "results", *known))):
        return name
    if re.fullmatch("[0-9a-f]{8,32}", query) and (same := sorted(file.path for file in files if (file.md5 or "").startswith(query))):
        return same[0]
    # "listqa-frontier" and "listqa-frontier.pdf", as \includegraphics has it; a figure before its other formats
    same = [one for one in known if name in (Path(one).name, Path(one).stem) and "/" not in name and one.startswith("paper/")]
    return min(same, key=lambda one: (not one.endswith((".pdf", ".tex")), one), default=None)


def _unknown(here: Workspace, query: str) -> str:
    outs = [file.path for stage in here.lock.stages.values() for file in stage.outs]
    names = [*here.manuscript.keys, *(one.label for one in here.manuscript.floats), *outs, *(Path(path).name for path in outs)]
    similar = dict.fromkeys(difflib.get_close_matches(query, [*names, *here.records], 5))
    of_a_pdf = "No commit that is known here has records of this hash. " if re.fullmatch(f"[0-9a-f]{{{DIGITS}}}", query) else ""
    return (
        f"nothing here is called or prints {query!r}. {of_a_pdf}Allowed: a record's key, a label such as fig:listqa-frontier, a figure or "
        "table by number, a file of paper/ or results/, an out of dvc.lock, a printed value. "
        + (f"Similar: {', '.join(similar)}." if similar else "`polychromic trace paper/main.tex` lists the records in use.")
    )


def _record(here: Workspace, query: str, record: Number) -> Document:
    maker, rows = here.lock.producer(RECORDS), sources(record)
    found = evidence(here.lock, maker, [file for file, _ in rows])
    # the stage that records the value is no step of its computation
    chain = [stage for stage in found.stages if stage is not maker or not rows]
    return {
        "query": query,
        "kind": "record",
        "record": asdict(record) | {"seeds": list(record.seeds), "file": RECORDS},
        "printed": [{"file": use.file, "line": use.line} for use in here.manuscript.uses if use.key == record.key],
        "macro": MACROS,
        "recorded_by": _stage(maker),
        "state": _state(here, RECORDS),
        "sources": [_source(here, maker, file, row) for file, row in rows],
        "cells": [_stage(stage) | {"state": _state(here, stage.outs[0].path)} for stage in _cells(rows, chain)],
        **_evidence(found),
        "commit": asdict(introduced(here.folder, f"\\definenumber{{{record.key}}}{{{record.text}}}%", MACROS)),
    }


def _file(here: Workspace, query: str, path: str) -> Document:
    stage = here.lock.producer(path)
    found = evidence(here.lock, stage, [dep.path for dep in stage.deps] if stage else [])
    readers = [one for one in here.lock.stages.values() if one.dep(path)]
    md5 = _recorded(here, path)
    # Git knows what DVC keeps (results, the PDF) by its hash in dvc.lock alone
    kept = md5 and (path.startswith(("results/", "data/")) or path == "paper/main.pdf")
    printed = sorted({use.key for use in here.manuscript.uses if use.file == path})
    return {
        "query": query,
        "kind": "file",
        "path": path,
        "md5": md5,
        "state": _state(here, path),
        "stage": _stage(stage),
        "read_by": [other.name for other in readers],
        "floats": [{"label": one.label, "name": one.name, "line": one.line} for one in here.manuscript.floats if path in one.files],
        "records": list(here.records) if path in (MACROS, RECORDS) else printed,
        "cells": [_stage(one) for one in found.stages if _cell_of(one) and one is not stage],
        **_evidence(found),
        "commit": asdict(introduced(here.folder, f"md5: {md5}", "dvc.lock") if kept else last_change(here.folder, path)),
    }


def _evidence(found: Evidence) -> Document:
    names, code = [stage.name for stage in found.stages], {file.path: file.md5 for file in found.code}
    return {**asdict(found), "stages": names, "code": code}


def _stage(stage: Entry | None) -> Document | None:
    if stage is None:
        return None
    return asdict(stage) | {what: {file.path: file.md5 for file in getattr(stage, what)} for what in ("deps", "outs")}


def _recorded(here: Workspace, path: str) -> str | None:
    """The hash that a stage recorded of exactly this file, as its out or else as an input."""
    files = (file for kind in ("outs", "deps") for stage in here.lock.stages.values() for file in getattr(stage, kind))
    return next((file.md5 for file in files if file.path == path), None)


def _state(here: Workspace, path: str) -> str:
    """Whether the file here is the one that dvc.lock records."""
    stage = here.lock.producer(path)
    out = stage.out(path) if stage else None
    if out is None:
        return "no output of the pipeline"
    if not (here.folder / path).is_file():
        return "not here; in the store" if stored(here.folder, out.md5) else "not here"
    return "as in dvc.lock" if md5_of(here.folder / path) == out.md5 else "differs from dvc.lock"


def _source(here: Workspace, maker: Entry | None, path: str, row: str) -> Document:
    about = {"path": path, "row": row or None}
    if maker and path in maker.params:
        value = reduce(lambda place, part: place.get(part) if isinstance(place, Mapping) else None, row.split("."), maker.params[path])
        value = None if isinstance(value, Mapping) else value
        return about | {"md5": None, "stage": None, "state": "a parameter file", "values": None if value is None else {row: value}}
    stage, md5 = here.lock.producer(path), _recorded(here, path)
    values = _row(here.place(File(path, md5)), row) if row and path.endswith(".json") else None
    return about | {"md5": md5, "stage": _stage(stage), "state": _state(here, path) if stage else "an input", "values": values}


def _row(place: Path | None, row: str) -> Mapping[str, Any] | None:
    """The plain values of a row such as "contrasts/<id>" or "systems/<label>@T=0.5"; None where it is not found."""
    value: Any = read_json(place) if place else None
    for part in row.split("/"):
        if isinstance(value, list):
            value = next((one for one in value if isinstance(one, dict) and _is_called(one, part)), None)
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return {key: one for key, one in value.items() if not isinstance(one, list | dict)} if isinstance(value, dict) else None


def _is_called(row: Mapping[str, Any], part: str) -> bool:
    label, _, heat = part.partition("@T=")
    return part in (row.get("id"), row.get("label"), row.get("name")) or (label == row.get("label") and float(heat) == row["temperature"])


def _cell_of(stage: Entry) -> str | None:
    """The cell that the stage samples; None where it samples nothing."""
    return next((found[1] for file in stage.outs if (found := CELL_FILE.fullmatch(file.path))), None)


def _cells(rows: Sequence[tuple[str, str]], chain: Sequence[Entry]) -> list[Entry]:
    """The cells that the record's rows are about; all behind it where they name none. A label without a weight is at the headline's."""
    cells = {name: stage for stage in chain if (name := _cell_of(stage))}
    headline = next((values["lambda"] for stage in reversed(chain) for values in stage.params.values() if "lambda" in values), None)
    named = {}
    for part in (part for _, row in rows for part in re.split(r"/|-vs-|-", row)):
        label, _, lam = part.partition("@T=")[0].partition("@")
        only = [name for name in cells if name.rpartition("-")[0] == label]
        names = [f"{label}-{lam}" if lam else label, f"{label}-{headline}", *(only if len(only) == 1 else [])]
        named |= dict([(name, cells[name]) for name in names if name in cells][:1])
    return list((named or cells).values())
