"""Which printed numbers differ between the workspace and a commit or a DVC experiment, and which sentences carry them.

Both sides are the macros of paper/numbers.tex, which Git tracks; what belongs to an interval's ".ci" is known from the records here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from polychromic.base.errors import PolychromicError
from polychromic.provenance.commit import is_repository, resolve, show
from polychromic.provenance.lock import SHORT
from polychromic.provenance.records import MACROS, count, definitions, grid, interval_key, listed, plain, shortened
from polychromic.provenance.workspace import RECORDS, Workspace


def diff(name: str = "HEAD", folder: Path = Path(".")) -> dict[str, Any]:
    """What `folder` prints beside what commit or experiment `name` prints.

    Returns:
        old: the name; commit: its hash.
        changes: per record whose text differs "key", "old" and "new" ({"text", "ci"}, None where the side has no such record), sorted.
        sentences: of main.tex, those that print a changed record: "line", "keys", "old" and "new" as a reader sees them, and "text" with
            «old → new» in place of the values.
        stale: stages that the numbers rest on and that did not run with what lies here, so that the numbers are not of what lies here.

    Raises:
        PolychromicError: no Git here, no such revision or experiment, it has no numbers, or main.tex or the records are missing.
    """
    if not is_repository(folder):
        raise PolychromicError(f"{folder.resolve().name}/ has no Git history to compare with. Allowed: a clone of the repository.")
    if (commit := resolve(folder, name)) is None:
        raise PolychromicError(f"{name!r} is no revision and no experiment. Allowed: what `git log` and `dvc exp list --all-commits` show.")
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
        {"line": one.line, "keys": keys, "old": render(one, before), "new": render(one, after), "text": render(one, after, marked)}
        for one in here.manuscript.sentences
        if (keys := sorted(set(one.keys) & set(changed)))
    ]
    return {"old": name, "commit": commit, "changes": changes, "sentences": sentences, "stale": _stale(here)}


def _stale(here: Workspace) -> list[str]:
    maker = here.lock.producers.get(RECORDS)
    behind = [entry.name for entry in here.lock.upstream(maker)] if maker else []
    return [name for name in behind if name not in here.stages or any(here.stale(here.stages[name]))]


def render(document: Mapping[str, Any]) -> RenderableType:
    """What changed: printed values and the sentences that carry them; what must run first."""
    changes, stale = document["changes"], document["stale"]
    parts: list[RenderableType] = []
    if changes:
        cell = lambda side: f"{shortened(side['text'])} {side['ci']}".rstrip() if side else "-"
        rows = [(row["key"], cell(row["old"]), cell(row["new"])) for row in changes]
        parts.append(grid(f"{document['old']} → workspace", ("record", "old", "new"), rows))
    for sentence in document["sentences"]:
        text = escape(sentence["text"]).replace("«", "[bold yellow]").replace("»", "[/]")
        parts.append(Text.from_markup(f"[dim]paper/main.tex:{sentence['line']}[/] {text}\n"))
    if stale:
        parts.append(Text(f"The numbers are not of what lies here: {listed(stale)} did not run with it. Run `dvc repro` first."))
    if changes or not stale:
        said = f"{count(len(changes), 'printed value')} changed" if changes else "no printed value changed"
        parts.append(Text(f"{said}. What changed in tables: git diff {document['commit'][:SHORT]} -- paper/tables"))
    return Group(*parts)
