"""Which printed numbers differ between the workspace and a commit or a DVC experiment, and which sentences carry them.

Both sides are the macros of paper/numbers.tex, which Git tracks; intervals are those of the records in the workspace, and of the ".ci"
macros of the other side.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from polychromic.base.errors import PolychromicError
from polychromic.base.paths import NUMBERS
from polychromic.provenance.commit import experiments, is_repository, resolve, show
from polychromic.provenance.records import MACROS, definitions, interval, interval_key, plain
from polychromic.provenance.show import count, grid, listed, shortened
from polychromic.provenance.workspace import SHORT, Workspace

Side = Mapping[str, str] | None


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
        known = ", ".join(ref.rpartition("/")[2] for _, ref in experiments(folder)[:5]) or "none here"
        raise PolychromicError(f"{name!r} is no revision and no experiment. Allowed: what `git log` shows, or an experiment ({known}).")
    text = show(folder, commit, MACROS)
    if not text or not (folder / MACROS).is_file():
        where = f"{folder / MACROS}: file not found" if text else f"commit {commit[:SHORT]} has no {MACROS}"
        raise PolychromicError(f"{where}, which holds what the text prints. Compare revisions that have it (`git log -- {MACROS}`).")
    before, after = definitions(text), definitions((folder / MACROS).read_text(encoding="utf-8"))
    here = Workspace(folder)
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    changes = []
    for key in changed:
        record = here.records.get(key)
        old = before.get(interval_key(record, here.records) or "", "") if record else ""
        new = interval(record, here.records) if record else ""
        sides = (("old", before, old), ("new", after, new))
        changes.append({"key": key} | {side: _side(texts.get(key), ci) for side, texts, ci in sides})
    return {"old": name, "commit": commit, "changes": changes, "sentences": _sentences(here, before, after, changed), "stale": _stale(here)}


def _side(text: str | None, ci: str) -> Side:
    return None if text is None else {"text": plain(text), "ci": plain(ci)}


def _stale(here: Workspace) -> list[str]:
    maker = here.declared.producer(NUMBERS.as_posix())
    names = [entry.name for entry in (*here.declared.upstream(maker), maker)] if maker else []
    differs = lambda stage: any(here.stale(stage)) or any(here.changed_parameters(stage))
    return [name for name in names if name not in here.lock.stages or differs(here.stages[name])]


def _sentences(here: Workspace, before: Mapping[str, str], after: Mapping[str, str], changed: list[str]) -> list[dict[str, Any]]:
    render, marked = here.manuscript.render, lambda key, text: f"«{plain(before.get(key, '')) or 'nothing'} → {text}»"
    return [
        {"line": one.line, "keys": keys, "old": render(one, before), "new": render(one, after)}
        | {"text": render(one, after, lambda key, text: marked(key, text) if key in changed else text)}
        for one in here.manuscript.sentences
        if (keys := sorted(set(one.keys) & set(changed)))
    ]


def render(document: Mapping[str, Any]) -> RenderableType:
    """What changed: printed values and the sentences that carry them; what must run first."""
    changes, stale = document["changes"], document["stale"]
    parts: list[RenderableType] = []
    if changes:
        rows = [(row["key"], _cell(row["old"]), _cell(row["new"])) for row in changes]
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


def _cell(side: Side) -> Text:
    return Text(shortened(side["text"]) + (f" {side['ci']}" if side["ci"] else "")) if side else Text("-", style="dim")
