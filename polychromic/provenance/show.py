"""A trace as people read it: trees and tables for the terminal, from the documents that --json prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from polychromic.provenance.records import plain
from polychromic.provenance.workspace import SHORT

FEW, SOME, LIMIT = 4, 6, 40  # that are shown of cells, of the names of a list, of matches
WIDEST = 60  # characters of a value

Document = Mapping[str, Any]


def grid(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """A table of texts, which are taken literally."""
    table = Table(title=title and escape(title))
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(one if isinstance(one, Text) else Text(one) for one in row))
    return table


def trace(document: Document) -> RenderableType:
    """The tree of a record, a file or a set of records, or the table of records that print the same."""
    return {"record": _record, "file": _file, "matches": _matches, "records": _records}[document["kind"]](document)


def _record(document: Document) -> Tree:
    record, uses = document["record"], {}
    scale = 100 if record["unit"] in ("%", "points") else 1
    about = [
        f"95 % interval [{scale * record['low']:.4g}, {scale * record['high']:.4g}]" if record["low"] is not None else "",
        f"n {record['n']}" if record["n"] is not None else "",
        f"seeds {' '.join(map(str, record['seeds']))}" if record["seeds"] else "",
        record["split"] or "",
    ]
    for use in document["printed"]:
        uses.setdefault(use["file"], []).append(str(use["line"]))
    lines = "; ".join(f"at {file}:{', '.join(places)}" for file, places in uses.items())
    tree = Tree(f"[bold]{escape(record['key'])}[/]  [bold green]{escape(plain(record['text']))}[/]")
    if any(about):
        tree.add(escape(", ".join(filter(None, about))))
    tree.add(escape(f"printed {lines} through {document['macro']}" if lines else f"not in the text; {document['macro']} has it"))
    _command(tree.add(f"record in {escape(record['file'])} ({document['state']})"), document["recorded_by"])
    for source in document["sources"]:
        row, md5 = (f"#{source['row']}" if source["row"] else ""), (f"{_md5(source['md5'])}, " if source["md5"] else "")
        node = tree.add(escape(f"read from {source['path']}{row} ({md5}{source['state']})"))
        _command(node, source["stage"])
        values = {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in (source["values"] or {}).items()}
        if texts := [f"{key} {value}" for key, value in values.items() if value is not None]:
            node.add(escape(", ".join(texts)))
    return _inputs(tree, document)


def _file(document: Document) -> RenderableType:
    tree = Tree(f"[bold]{escape(document['path'])}[/]  {_md5(document['md5'])} ({document['state']})")
    for one in document["floats"]:
        tree.add(f"{one['name']}, {escape(one['label'])}, paper/main.tex:{one['line']}")
    if document["stage"]:
        node, reads = tree.add("made by"), document["stage"]["deps"]
        _command(node, document["stage"])
        if results := [f"{path} {_md5(reads[path])}" for path in reads if path.startswith(("results/", "data/", "benchmarks/"))]:
            node.add(escape(f"from {listed(results, FEW)}"))
    if document["read_by"]:
        tree.add(escape(f"read by {listed(document['read_by'])}"))
    if document["records"]:
        tree.add(escape(f"{len(document['records'])} records: {listed(document['records'])}"))
    return Group(_inputs(tree, document), *(_file(other) for other in document.get("also", ())))


def _matches(document: Document) -> RenderableType:
    found = document["matches"]
    rows = [(row["key"], shortened(plain(row["text"])), "yes" if row["printed"] else "") for row in found[:LIMIT]]
    note = f"and {len(found) - LIMIT} more; --json lists them all. " if len(found) > LIMIT else ""
    table = grid(f"{len(found)} records print {document['query']!r}", ("record", "prints", "in the text"), rows)
    return Group(table, Text(f"{note}polychromic trace RECORD follows one of them."))


def _records(document: Document) -> Tree:
    tree = Tree(f"[bold]records {escape(document['query'])}[/], by the hash that the PDF carries")
    tree.add(_since(document["commit"]))
    return tree


def _inputs(tree: Tree, document: Document) -> Tree:
    """Cells, data, parameters, code and commit, which end every tree."""
    cells = document["cells"]
    if len(cells) > FEW:
        tree.add(escape(f"{len(cells)} cells: {', '.join(cell['name'] for cell in cells)}"))
    elif cells:
        node = tree.add("cells")
        for cell in cells:
            inner = _command(node, cell)
            for file, values in cell["params"].items():
                is_long = lambda value: isinstance(value, Mapping) or len(str(value)) > WIDEST
                said = (f"{key} (--json)" if is_long(value) else f"{key} {value}" for key, value in values.items())
                inner.add(escape(f"{file}: {', '.join(said)}"))
            inner.add(escape("gives " + ", ".join(f"{path} {_md5(md5)}" for path, md5 in cell["outs"].items())))
    for file in document["data"]:
        tree.add(f"data {escape(file['path'])} {_md5(file['md5'])}")
    if document["params_hash"]:
        stages, files = (count(len(document[key]), what) for key, what in (("stages", "stage"), ("code", "file")))
        tree.add(f"params {document['params_hash']}, code {document['code_hash'] or '-'} ({files}), of {stages}")
    tree.add(_since(document["commit"]))
    return tree


def _since(found: Document) -> str:
    """ "since commit 858f1a2 (2026-11-24): subject", or why no commit can be named."""
    if found["commit"] is None:
        return escape(found["note"])
    note, subject = (f" ({found['note']})" if found["note"] else ""), (f": {found['subject']}" if found["subject"] else "")
    return escape(
        f"{'since' if found['exact'] else 'at or before'} commit {found['commit'][:SHORT]} of {found['date'][:10]}{note}{subject}"
    )


def count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def shortened(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[:WIDEST]}…"


def _command(node: Tree, stage: Document | None) -> Tree:
    return node.add(f"[cyan]{escape(stage['name'])}[/]: {escape(stage['cmd'])}") if stage else node


def _md5(md5: str | None) -> str:
    return f"md5 {md5[:SHORT]}" if md5 else "md5 unknown"


def listed(names: Sequence[str], shown: int = SOME) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
