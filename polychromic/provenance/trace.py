"""From what is printed back to where it comes from: records, source rows, stages, cells, inputs, and the commit.

`trace` answers with one document (a dict, what `--json` prints); polychromic.provenance.show draws it. It reads dvc.lock, data.dvc,
the manuscript and the records; a file that is not here is read from the store where that holds it, so a fresh clone and an
unpacked archive answer as the author's workspace does. No dvc, no torch.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from polychromic.base.errors import PolychromicError
from polychromic.provenance.commit import introduced, last_change
from polychromic.provenance.evidence import Evidence, evidence
from polychromic.provenance.imprint import DIGITS, commit_of
from polychromic.provenance.kept import load_lock
from polychromic.provenance.lock import File, Lock, Stage, data_entry, data_files, stored
from polychromic.provenance.manuscript import Float, Manuscript
from polychromic.provenance.pipeline import md5_file
from polychromic.provenance.records import NAMES, Record, find_record, load_records, plain, printed_as

# What a cell writes: results/DOMAIN/CELL/samples.jsonl.gz, and results/DOMAIN/test/SYSTEM.jsonl.gz on test.
CELL_FILE = re.compile(r"results/[^/]+/(?:test/(?P<system>[^/]+)\.jsonl\.gz|(?P<cell>[^/]+)/(?:samples|openers)\.jsonl\.gz)")
Document = dict[str, Any]


@dataclass(frozen=True)
class Workspace:
    """What a trace reads of `folder`, each part when it is first asked for."""

    folder: Path

    @cached_property
    def lock(self) -> Lock:
        return load_lock(self.folder)

    @cached_property
    def records(self) -> dict[str, Record]:
        return {record.key: record for record in load_records(self.folder, lock=self.lock)}

    @cached_property
    def manuscript(self) -> Manuscript:
        return Manuscript.load(self.folder)

    @cached_property
    def data(self) -> dict[str, str]:
        """Members of data.dvc; empty where its list is not here."""
        try:
            return data_files(self.folder)
        except PolychromicError:
            return {}

    def place(self, file: File) -> Path | None:
        """Where the file's bytes are: in the workspace, or in the store as dvc.lock records them."""
        path = self.folder / file.path
        return path if path.is_file() else stored(self.folder, file.md5) if file.md5 else None


def trace(query: str, folder: Path = Path(".")) -> Document:
    """What `query` rests on.

    Args:
        query: a record's key, a label ("fig:people"), "Figure 3", a path, its last part ("listqa-frontier.pdf") or the first digits of a
            file's md5, the records' hash that a PDF carries, or a printed text ("+0.19"), tried in this order.

    Returns:
        "kind": "record" or "file" with its origin, "records" with the commit that had them, or "matches" with the keys where the text
        has several records that print the query. "same" of a record: those that print it, too, and are not in the text.

    Raises:
        PolychromicError: nothing here is called or prints that (names what is similar), or dvc.lock, main.tex or the records are missing.
        DataError: one of them is malformed.
    """
    here = Workspace(folder)
    if record := find_record(query, folder, here.lock):
        return _record(here, query, record)
    if one := next((one for one in here.manuscript.floats if query in (one.label, one.name)), None):
        return _float(here, query, one)
    if path := _path(here, query):
        return _file(here, query, path)
    if re.fullmatch(f"[0-9a-f]{{{DIGITS}}}", query) and (since := commit_of(folder, query, here.lock)):
        return {"query": query, "kind": "records", "commit": asdict(since)}
    printed = set(here.manuscript.keys)
    matches = printed_as(here.records.values(), query, printed) or _in_sentences(here, query)
    shown = [record for record in matches if record.key in printed] or matches
    if len(shown) == 1:
        return _record(here, query, shown[0]) | {"same": [record.key for record in matches if record is not shown[0]]}
    if matches:
        rows = [{"key": record.key, "text": record.text, "printed": record.key in printed, "source": record.source} for record in matches]
        return {"query": query, "kind": "matches", "matches": rows}
    raise PolychromicError(_unknown(here, query))


def _path(here: Workspace, query: str) -> str | None:
    """A file that a stage makes or reads, or one of paper/ or results/, by its path, its last part or the beginning of its md5."""
    files = [file for stage in here.lock.stages.values() for file in (*stage.outs, *stage.deps)]
    known = {file.path for file in files}
    path = Path(query)
    if path.is_absolute() and path.is_relative_to(here.folder.resolve()):
        path = path.relative_to(here.folder.resolve())
    name = path.as_posix()
    if name in known or (path.parts[:1] in (("paper",), ("results",)) and (here.folder / path).is_file()):
        return name
    if re.fullmatch("[0-9a-f]{8,32}", query) and (same := sorted(file.path for file in files if (file.md5 or "").startswith(query))):
        return same[0]
    # "listqa-frontier" and "listqa-frontier.pdf", as \includegraphics has it; a figure before its other formats
    same = [one for one in known if name in (Path(one).name, Path(one).stem) and "/" not in name and one.startswith("paper/")]
    return min(same, key=lambda one: (not one.endswith((".pdf", ".tex")), one), default=None)


def _in_sentences(here: Workspace, query: str) -> list[Record]:
    """The records of the sentences that say `query`, as copied from the page."""
    texts = {key: record.text for key, record in here.records.items()}
    said = [one for one in here.manuscript.sentences if plain(query) in here.manuscript.render(one, texts)]
    return [here.records[key] for key in dict.fromkeys(key for one in said for key in one.keys) if key in here.records]


def _unknown(here: Workspace, query: str) -> str:
    outs = [file.path for stage in here.lock.stages.values() for file in stage.outs]
    names = [*here.manuscript.keys, *(one.label for one in here.manuscript.floats), *outs, *(Path(path).name for path in outs)]
    # first among what is printed; all records are thousands, and mostly variants of each other
    similar = difflib.get_close_matches(query, names, 5) or difflib.get_close_matches(query, list(here.records), 5, 0.8)
    return (
        f"nothing here is called or prints {query!r}. Allowed: a record's key, a label such as fig:listqa-frontier, a figure or table by "
        "number, a file of paper/ or results/, an out of dvc.lock, a printed value. "
        + (f"Similar: {', '.join(dict.fromkeys(similar))}." if similar else "`polychromic trace paper/main.tex` lists the records in use.")
    )


def _record(here: Workspace, query: str, record: Record) -> Document:
    maker = here.lock.producer(record.file)
    macros = next((file.path for file in maker.outs if file.path.startswith("paper/numbers/")), None) if maker else None
    found = evidence(here.lock, maker, [file for file, _ in record.sources()])
    # the stage that records the value is no step of its computation
    chain = [stage for stage in found.stages if stage is not maker or not record.sources()]
    return {
        "query": query,
        "kind": "record",
        "record": asdict(record) | {"seeds": list(record.seeds)},
        "printed": [{"file": use.file, "line": use.line} for use in here.manuscript.uses if use.key == record.key],
        "macro": macros,
        "recorded_by": _stage(maker) if maker else None,
        "state": _state(here, record.file),
        "sources": [_source(here, maker, file, row) for file, row in record.sources()],
        "cells": [_stage(stage) | {"state": _state(here, stage.outs[0].path)} for stage in _cells(record, chain)],
        **_evidence(here, found),
        "commit": asdict(introduced(here.folder, f"\\definenumber{{{record.key}}}{{{record.text}}}%", macros or "paper/numbers")),
    }


def _float(here: Workspace, query: str, one: Float) -> Document:
    document = _file(here, query, one.files[0])
    document["also"] = [_file(here, query, path) for path in one.files[1:]]
    return document


def _file(here: Workspace, query: str, path: str) -> Document:
    stage = here.lock.producer(path)
    found = evidence(here.lock, stage, [dep.path for dep in stage.deps] if stage else [])
    out = stage.out(path) if stage else None
    # Git knows what DVC keeps (results, the PDF) by its hash in dvc.lock alone
    kept = path.startswith(("results/", "data/")) or path == "paper/main.pdf"
    md5 = out.md5 if out else next((dep.md5 for one in here.lock.stages.values() if (dep := one.dep(path))), None)
    since = introduced(here.folder, f"md5: {md5}", "dvc.lock") if kept else last_change(here.folder, path)
    return {
        "query": query,
        "kind": "file",
        "path": path,
        "md5": md5,
        "state": _state(here, path),
        "stage": _stage(stage) if stage else None,
        "read_by": [other.name for other in here.lock.stages.values() if other.dep(path)],
        "floats": [{"label": one.label, "name": one.name, "line": one.line} for one in here.manuscript.floats if path in one.files],
        "records": _records_in(here, path, stage),
        "cells": [_stage(one) for one in found.stages if _cell_of(one) and one is not stage],
        **_evidence(here, found),
        "commit": asdict(since),
    }


def _records_in(here: Workspace, path: str, stage: Stage | None) -> list[str]:
    """The keys that a text prints, or that a file of records or of macros holds."""
    if path.startswith("paper/numbers/") and stage:
        made = {file.path for file in stage.outs}
        return [key for key, record in here.records.items() if record.file in made]
    if path.rpartition("/")[2] in NAMES:
        return [key for key, record in here.records.items() if record.file == path]
    return sorted({use.key for use in here.manuscript.uses if use.file == path})


def _evidence(here: Workspace, found: Evidence) -> Document:
    data = []
    for file in found.data:
        pinned = here.data.get(file.path)
        data.append(asdict(file) | {"data_dvc": None if pinned is None else "same" if pinned == file.md5 else pinned})
    entry = asdict(data_entry(here.folder)) if any(file.path.startswith("data/") for file in found.data) else None
    return {
        "stages": [stage.name for stage in found.stages],
        "data": data,
        "data_dvc": entry,
        "params_hash": found.params_hash,
        "code_hash": found.code_hash,
        "code": {file.path: file.md5 for file in found.code},
    }


def _stage(stage: Stage) -> Document:
    return {
        "name": stage.name,
        "cmd": stage.cmd,
        "params": {file: dict(values) for file, values in stage.params.items()},
        "deps": {file.path: file.md5 for file in stage.deps},
        "outs": {file.path: file.md5 for file in stage.outs},
    }


def _state(here: Workspace, path: str) -> str:
    """Whether the file here is the one that dvc.lock records."""
    stage = here.lock.producer(path)
    out = stage.out(path) if stage else None
    if out is None:
        return "no output of the pipeline"
    if not (here.folder / path).is_file():
        return "not here; in the store" if out.md5 and stored(here.folder, out.md5) else "not here"
    return "as in dvc.lock" if md5_file(here.folder / path) == out.md5 else "differs from dvc.lock"


def _source(here: Workspace, maker: Stage | None, path: str, row: str) -> Document:
    if maker and path in maker.params:
        place: Any = maker.params[path]
        for part in row.split("."):
            place = place.get(part) if isinstance(place, Mapping) else None
        values = None if place is None or isinstance(place, Mapping) else {row: place}
        return {"path": path, "row": row or None, "md5": None, "stage": None, "state": "a parameter file", "values": values}
    stage = here.lock.producer(path)
    file = (stage.out(path) if stage else None) or next(
        (dep for one in here.lock.stages.values() if (dep := one.dep(path))), File(path, None, None)
    )
    return {
        "path": path,
        "row": row or None,
        "md5": file.md5,
        "stage": _stage(stage) if stage else None,
        "state": _state(here, path) if stage else "an input",
        "values": _row(here.place(file), row) if row and path.endswith(".json") else None,
    }


def _row(place: Path | None, row: str) -> Mapping[str, Any] | None:
    """The plain values of a row such as "contrasts/<id>" or "systems/<label>@T=0.5"; None where it is not found."""
    if place is None:
        return None
    try:
        value: Any = json.loads(place.read_text(encoding="utf-8"))
    except ValueError:
        return None
    for part in row.split("/"):
        if isinstance(value, list):
            label, _, temperature = part.partition("@T=")
            value = next((one for one in value if isinstance(one, dict) and _is_called(one, part, label, temperature)), None)
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return {key: one for key, one in value.items() if not isinstance(one, list | dict)} if isinstance(value, dict) else None


def _is_called(row: Mapping[str, Any], part: str, label: str, temperature: str) -> bool:
    if part in (row.get("id"), row.get("label"), row.get("name")):
        return True
    return bool(temperature) and row.get("label") == label and f"{row.get('temperature', 0):g}" == temperature


def _cell_of(stage: Stage) -> str | None:
    """The cell, or the system on test, that the stage samples; None where it samples nothing."""
    found = next(filter(None, (CELL_FILE.fullmatch(file.path) for file in stage.outs)), None)
    return found["system"] or found["cell"] if found else None


def _cells(record: Record, chain: Sequence[Stage]) -> list[Stage]:
    """The cells that the record's row is about; all behind it where the row names none."""
    cells = {name: stage for stage in chain if (name := _cell_of(stage))}
    headline = next((values["lambda"] for stage in reversed(chain) for values in stage.params.values() if "lambda" in values), None)
    named = []
    for _, row in record.sources():
        for part in re.split(r"/|-vs-|-", row):
            label, _, lam = part.partition("@T=")[0].partition("@")
            named += [cells[name] for name in (f"{label}-{lam}" if lam else label, f"{label}-{headline}") if name in cells][:1]
    return (
        list(dict.fromkeys(stage.name for stage in named)) and list({stage.name: stage for stage in named}.values()) or list(cells.values())
    )
