"""A trace and a difference as people read them: trees and tables for the terminal, from the documents that --json prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from polychromic.provenance.records import plain

FEW = 4  # cells that are shown with their parameters
LIMIT = 40  # matches that are listed
SHORT = 8  # digits of a hash
WIDEST = 60  # characters of a value

Document = Mapping[str, Any]


def trace(document: Document) -> RenderableType:
    """The tree of a record, a file or a set of records, or the table of records that print the same."""
    return {"record": _record, "file": _file, "matches": _matches, "records": _records}[document["kind"]](document)


def _record(document: Document) -> Tree:
    record = document["record"]
    facts = [f"n {record['n']}" if record["n"] is not None else "", _seeds(record["seeds"]), record["split"] or ""]
    scale = 100 if record["unit"] in ("%", "points") else 1
    ends = f"95 % interval [{scale * record['low']:.4g}, {scale * record['high']:.4g}]" if record["low"] is not None else ""
    tree = Tree(f"[bold]{escape(record['key'])}[/]  [bold green]{escape(plain(record['text']))}[/]")
    if about := ", ".join(fact for fact in (ends, *facts) if fact):
        tree.add(escape(about))
    lines = _lines(document["printed"])
    tree.add(
        f"printed {lines} through {escape(str(document['macro']))}"
        if lines
        else f"not in the text; {escape(str(document['macro']))} has it"
    )
    if same := document.get("same"):
        tree.add(f"not in the text, but the same: {escape(', '.join(same[:FEW]))}{_more(same, FEW)}")
    made = document["recorded_by"]
    _command(tree.add(f"record in {escape(record['file'])} ({document['state']})"), made)
    for source in document["sources"]:
        row = f"#{source['row']}" if source["row"] else ""
        node = tree.add(
            f"read from {escape(source['path'] + row)} ({', '.join([*([_md5(source['md5'])] if source['md5'] else []), source['state']])})"
        )
        _command(node, source["stage"])
        if source["values"]:
            values = {key: value for key, value in source["values"].items() if value is not None}
            node.add(escape(", ".join(f"{key} {_number(value)}" for key, value in values.items())))
    _cells(tree, document["cells"])
    _inputs(tree, document)
    return tree


def _file(document: Document) -> RenderableType:
    tree = Tree(f"[bold]{escape(document['path'])}[/]  {_md5(document['md5'])} ({document['state']})")
    for one in document["floats"]:
        tree.add(f"{one['name']}, {escape(one['label'])}, paper/main.tex:{one['line']}")
    if document["stage"]:
        node = tree.add("made by")
        _command(node, document["stage"])
        reads = document["stage"]["deps"]
        results = [path for path in reads if path.startswith(("results/", "data/", "benchmarks/"))]
        if results:
            node.add(escape("from " + ", ".join(f"{path} {_md5(reads[path])}" for path in results[:FEW])) + _more(results, FEW))
    if document["read_by"]:
        tree.add("read by " + escape(", ".join(document["read_by"][:6])) + _more(document["read_by"], 6))
    if document["records"]:
        tree.add(f"{len(document['records'])} records: {escape(', '.join(document['records'][:6]))}{_more(document['records'], 6)}")
    _cells(tree, document["cells"])
    _inputs(tree, document)
    return Group(tree, *(_file(other) for other in document.get("also", ())))


def _matches(document: Document) -> RenderableType:
    found = document["matches"]
    table = Table(title=escape(f"{len(found)} records print {document['query']!r}"))
    for name in ("record", "prints", "in the text"):
        table.add_column(name, overflow="fold")
    for row in found[:LIMIT]:
        text = plain(row["text"])
        table.add_row(escape(row["key"]), escape(text[:60] + "…" * (len(text) > 60)), "yes" if row["printed"] else "")
    note = f"and {len(found) - LIMIT} more; --json lists them all. " if len(found) > LIMIT else ""
    return Group(table, Text(f"{note}polychromic trace RECORD follows one of them."))


def _records(document: Document) -> Tree:
    tree = Tree(f"[bold]records {escape(document['query'])}[/], by the hash that the PDF carries")
    tree.add(since(document["commit"]))
    return tree


def _cells(tree: Tree, cells: list[Document]) -> None:
    if not cells:
        return
    if len(cells) > FEW:
        tree.add(f"{len(cells)} cells: {escape(', '.join(cell['name'] for cell in cells))}")
        return
    node = tree.add("cells")
    for cell in cells:
        inner = node.add(f"[cyan]{escape(cell['name'])}[/]: {escape(cell['cmd'])}")
        for file, values in cell["params"].items():
            brief = {key: str(value) for key, value in values.items() if not isinstance(value, Mapping) and len(str(value)) <= WIDEST}
            rest = [key for key in values if key not in brief]
            said = [*(f"{key} {value}" for key, value in brief.items()), *([f"{' '.join(rest)} (--json)"] if rest else [])]
            inner.add(escape(f"{file}: {', '.join(said)}"))
        inner.add(escape("gives " + ", ".join(f"{path} {_md5(md5)}" for path, md5 in cell["outs"].items())))


def _inputs(tree: Tree, document: Document) -> None:
    for file in document["data"]:
        pinned = file["data_dvc"]
        whole = document["data_dvc"]
        note = {
            None: "",
            "same": f" = member of {whole['path']} {whole['md5'][:SHORT]}….dir in data.dvc" if whole else "",
        }.get(pinned, f"; [red]data.dvc has {_md5(pinned)}[/]")
        tree.add(f"data {escape(file['path'])} {_md5(file['md5'])}{note}")
    stages, files = (_count(len(document[key]), what) for key, what in (("stages", "stage"), ("code", "file")))
    if document["params_hash"]:
        tree.add(f"params {document['params_hash']}, code {document['code_hash'] or '-'} ({files}), of {stages}")
    tree.add(since(document["commit"]))


def since(found: Document) -> str:
    """ "since commit 858f1a2 (2026-11-24): subject", or why no commit can be named."""
    if found["commit"] is None:
        return escape(found["note"])
    words = "since" if found["exact"] else "at or before"
    note = f" ({found['note']})" if found["note"] else ""
    subject = f": {found['subject']}" if found["subject"] else ""
    return escape(f"{words} commit {found['commit'][:SHORT]} of {found['date'][:10]}{note}{subject}")


def difference(document: Document, everything: bool) -> RenderableType:
    """What changed: printed values, the sentences that carry them, and how many other records changed."""
    parts: list[RenderableType] = []
    rows = [row for row in document["changes"] if everything or row["printed"]]
    if rows:
        table = Table(title=escape(f"{document['old']} → workspace"))
        for name in ("record", "old", "new"):
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(escape(row["key"]), *(_side(row[side]) for side in ("old", "new")))
        parts.append(table)
    for sentence in document["sentences"]:
        parts.append(Text.from_markup(f"[dim]paper/main.tex:{sentence['line']}[/] {_marked(sentence['text'])}\n"))
    others = len(document["changes"]) - len(rows)
    said = f"{_count(len(rows), 'printed value')} changed" if rows else "no printed value changed"
    also = f"; {_count(others, 'other record')} did (--all lists them)" if others else ""
    parts.append(Text(f"{said}{also}. What changed in tables: git diff {document['commit'][:SHORT]} -- paper/tables"))
    return Group(*parts)


def _marked(text: str) -> str:
    """The sentence with «old → new» in colour."""
    return escape(text).replace("«", "[bold yellow]").replace("»", "[/]")


def _side(side: Document | None) -> str:
    if side is None:
        return "[dim]-[/]"
    text = side["text"] if len(side["text"]) <= WIDEST else side["text"][:WIDEST] + "…"
    return escape(text + (f" {side['ci']}" if side["ci"] else ""))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _command(node: Tree, stage: Document | None) -> None:
    if stage:
        node.add(f"[cyan]{escape(stage['name'])}[/]: {escape(stage['cmd'])}")


def _lines(uses: Iterable[Document]) -> str:
    by_file: dict[str, list[str]] = {}
    for use in uses:
        by_file.setdefault(use["file"], []).append(str(use["line"]))
    return "; ".join(f"at {escape(file)}:{', '.join(lines)}" for file, lines in by_file.items())


def _seeds(seeds: list[int]) -> str:
    return f"seeds {' '.join(map(str, seeds))}" if seeds else ""


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _md5(md5: str | None) -> str:
    return f"md5 {md5[:SHORT]}" if md5 else "md5 unknown"


def _more(names: list[str], shown: int) -> str:
    return f" and {len(names) - shown} more" if len(names) > shown else ""
