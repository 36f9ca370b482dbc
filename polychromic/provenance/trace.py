"""From what is printed back to where it comes from (`trace`), and to what a commit or an experiment printed instead (`diff`).

Both answer with one document (a dict). A file that is not here is read from the store where that holds it, so a fresh clone and an
unpacked archive answer as the author's workspace does. No dvc, no torch.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json
from polychromic.provenance.commit import DIGITS, git, introduced, is_repository, of_records, show
from polychromic.provenance.lock import SHORT, Entry, stored
from polychromic.provenance.printed import MACROS, definitions, interval_key, plain, printed_as, sources
from polychromic.provenance.workspace import RECORDS, Workspace, evidence
from polychromic.report.records import Number

CELL_FILE = re.compile(r"results/[^/]+/[^/]+/([^/]+)/samples\.jsonl\.gz")  # of a domain, a split and a cell
Document = dict[str, Any]


def trace(query: str, folder: Path = Path(".")) -> Document:
    """What `query` rests on: "kind" is "record" or "file", with its origin, "records", with the commit that had them, or "matches", with
    the keys where the text has several records that print it. Raises PolychromicError: nothing is called so, or a file is missing.

    Args:
        query: a record's key, a label ("fig:people"), "Figure 3", a path, its last part ("listqa-fronts.pdf") or the first digits of a
            file's md5, the records' hash that a PDF carries, or a printed text ("+0.19"), tried in this order.
    """
    here = Workspace(folder)
    if record := here.records.get(query):
        return _record(here, query, record)
    if one := next((one for one in here.manuscript.floats if query in (one.label, one.name)), None):
        return _file(here, query, one.files[0]) | {"also": [_file(here, query, path) for path in one.files[1:]]}
    if path := _path(here, query):
        return _file(here, query, path)
    if re.fullmatch(f"[0-9a-f]{{{DIGITS}}}", query) and (since := of_records(folder, query)) and since["commit"]:
        return {"query": query, "kind": "records", "commit": since}
    printed = set(here.manuscript.keys)
    matches = printed_as(here.records.values(), query, printed)
    shown = [record for record in matches if record.key in printed] or matches
    if len(shown) == 1:
        return _record(here, query, shown[0])
    if matches:
        rows = [{"key": record.key, "text": record.text, "printed": record.key in printed, "source": record.source} for record in matches]
        return {"query": query, "kind": "matches", "matches": rows}
    names = [*printed, *(one.label for one in here.manuscript.floats), *here.lock.outs, *(Path(path).name for path in here.lock.outs)]
    similar = dict.fromkeys(difflib.get_close_matches(query, sorted({*names, *here.records}), 5))
    raise PolychromicError(
        f"nothing here is called or prints {query!r}, and no records that are known here have that hash. Allowed: a record's key, a label "
        "such as fig:listqa-frontier, a figure or table by number, a file of paper/ or results/, an out of dvc.lock, a printed value. "
        + (f"Similar: {', '.join(similar)}." if similar else "`polychromic trace paper/main.tex` lists the records in use.")
    )


def _path(here: Workspace, query: str) -> str | None:
    """A file that a stage makes or reads, or one of paper/ or results/, by its path, its last part or the beginning of its md5."""
    name, known = Path(query).as_posix(), here.lock.files
    if name in known or ((here.folder / name).is_file() and any(name.startswith(f"{one}/") for one in ("paper", "results", *known))):
        return name
    # "listqa-fronts" and "listqa-fronts.pdf", as \includegraphics has it; a figure before its other formats
    called = [path for path in known if name in (Path(path).name, Path(path).stem) and path.startswith("paper/")]
    if re.fullmatch("[0-9a-f]{8,32}", query):
        called = [path for path, md5 in known.items() if (md5 or "").startswith(query)]
    return min(called, key=lambda path: (not path.endswith((".pdf", ".tex")), path), default=None)


def _record(here: Workspace, query: str, record: Number) -> Document:
    maker, rows = here.lock.producers.get(RECORDS), sources(record)
    found = evidence(here.lock, maker, [file for file, _ in rows])
    # the stage that records the value is no step of its computation
    chain = [stage for stage in found["stages"] if stage is not maker or not rows]
    return {
        "query": query,
        "kind": "record",
        "record": asdict(record) | {"seeds": list(record.seeds), "file": RECORDS},
        "printed": [{"file": use.file, "line": use.line} for use in here.manuscript.uses if use.key == record.key],
        "state": _state(here, RECORDS),
        "sources": [_source(here, maker, file, row) for file, row in rows],
        "cells": [asdict(stage) | {"state": _state(here, next(iter(stage.outs)))} for stage in _cells(rows, chain)],
        **found | {"stages": [stage.name for stage in found["stages"]]},
        "commit": introduced(here.folder, MACROS, f"\\definenumber{{{record.key}}}{{{record.text}}}%"),
    }


def _file(here: Workspace, query: str, path: str) -> Document:
    stage, md5 = here.lock.producers.get(path), here.lock.files.get(path)
    found = evidence(here.lock, stage, stage.deps if stage else ())
    # Git knows what DVC keeps (results, the PDF) by its hash in dvc.lock alone
    kept = md5 and (path.startswith(("results/", "data/")) or path in ("paper/main.pdf", paths.EXPLORER.as_posix()))
    printed = sorted({use.key for use in here.manuscript.uses if use.file == path})
    return {
        "query": query,
        "kind": "file",
        "path": path,
        "md5": md5,
        "state": _state(here, path),
        "stage": stage and asdict(stage),
        "read_by": [one.name for one in here.lock.stages.values() if one.dep(path)],
        "floats": [{"label": one.label, "name": one.name, "line": one.line} for one in here.manuscript.floats if path in one.files],
        "records": list(here.records) if path in (MACROS, RECORDS) else printed,
        "cells": [asdict(one) for one in found["stages"] if _cell_of(one) and one is not stage],
        **found | {"stages": [stage.name for stage in found["stages"]]},
        "commit": introduced(here.folder, *(("dvc.lock", f"md5: {md5}") if kept else (path,))),
    }


def _state(here: Workspace, path: str) -> str:
    """Whether the file here is the one that dvc.lock records."""
    if path not in here.lock.outs:
        return "an input of the pipeline" if path in here.lock.files else "no output of the pipeline"
    if not (here.folder / path).is_file():
        return "not here; in the store" if stored(here.folder, here.lock.outs[path]) else "not here"
    return "as in dvc.lock" if here.md5(here.folder / path) == here.lock.outs[path] else "differs from dvc.lock"


def _source(here: Workspace, maker: Entry | None, path: str, row: str) -> Document:
    """What a record was read from, with the plain values of its row; None where it is not found."""
    is_parameters, place = maker and path in maker.params, here.place(path) if row and path.endswith(".json") else None
    value = maker.params[path] if is_parameters else read_json(place) if place else None
    for part in row.split("." if is_parameters else "/"):
        if isinstance(value, list):
            value = next((one for one in value if isinstance(one, dict) and _is_called(one, part)), None)
        else:
            value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, Mapping) and not is_parameters:
        values = {key: one for key, one in value.items() if not isinstance(one, list | dict)}
    else:
        values = {row: value} if is_parameters and value is not None and not isinstance(value, Mapping) else None
    stage, state = here.lock.producers.get(path), "a parameter file" if is_parameters else _state(here, path)
    about = {"path": path, "row": row or None, "md5": here.lock.files.get(path), "state": state, "values": values}
    return about | {"stage": stage and asdict(stage)}


def _is_called(row: Mapping[str, Any], part: str) -> bool:
    label, _, heat = part.partition("@T=")
    return part in (row.get("id"), row.get("label"), row.get("name")) or (label == row.get("label") and float(heat) == row["temperature"])


def _cell_of(stage: Entry) -> str | None:
    """The cell that the stage samples; None where it samples nothing."""
    return next((found[1] for path in stage.outs if (found := CELL_FILE.fullmatch(path))), None)


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


def diff(name: str = "HEAD", folder: Path = Path(".")) -> Document:
    """What `folder` prints beside what commit or experiment `name` prints, both by paper/numbers.tex, which Git tracks.

    Returns:
        old: the name; commit: its hash; summary: how many printed values changed.
        changes: per record whose text differs "key", "old" and "new" ({"text", "ci"}, None where the side has no such record), sorted.
        sentences: of main.tex, those that print one: "line", "keys", "old" and "new" as a reader sees them, "text" with «old → new».
        stale: stages that the numbers rest on and that did not run with what lies here.

    Raises PolychromicError: no Git here, no such revision or experiment, it has no numbers, or main.tex or the records are missing.
    """
    if not is_repository(folder):
        raise PolychromicError(f"{folder.resolve().name}/ has no Git history to compare with. Allowed: a clone of the repository.")
    experiments = ("for-each-ref", "--sort=-committerdate", "--format=%(objectname)", f"refs/exps/*/*/{name}")  # the newest of a name
    revision = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if not (found := (git(folder, *revision, allowed=(0, 1, 128)) or git(folder, *experiments)).split()):
        raise PolychromicError(f"{name!r} is no revision and no experiment. Allowed: what `git log` and `dvc exp list --all-commits` show.")
    commit = found[0]
    text = show(folder, commit, MACROS)
    if not text or not (folder / MACROS).is_file():
        where = f"{folder / MACROS}: file not found" if text else f"commit {commit[:SHORT]} has no {MACROS}"
        raise PolychromicError(f"{where}, which holds what the text prints. Compare revisions that have it (`git log -- {MACROS}`).")
    here, sides = Workspace(folder), {"old": definitions(text), "new": definitions((folder / MACROS).read_text(encoding="utf-8"))}
    before, after = sides.values()
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    changes = []
    for key in changed:
        ci = interval_key(here.records[key], here.records) if key in here.records else ""
        said = lambda texts, key=key, ci=ci: {"text": plain(texts[key]), "ci": plain(texts.get(ci, ""))} if key in texts else None
        changes.append({"key": key} | {side: said(texts) for side, texts in sides.items()})
    marked = lambda key, text: f"«{plain(before.get(key, '')) or 'nothing'} → {text}»" if key in changed else text
    render = here.manuscript.render
    sentences = [
        {"line": line, "keys": keys, "old": render(one, before), "new": render(one, after), "text": render(one, after, marked)}
        for line, one, printed in here.manuscript.sentences
        if (keys := sorted(set(printed) & set(changed)))
    ]
    maker = here.lock.producers.get(RECORDS)
    stale = [one for one in (here.lock.upstream(maker) if maker else ()) if one not in here.stages or any(here.stale(here.stages[one]))]
    summary = f"{len(changed) or 'no'} printed values changed; what changed in tables: git diff {commit[:SHORT]} -- paper/tables"
    return {"old": name, "commit": commit, "summary": summary, "changes": changes, "sentences": sentences, "stale": stale}
