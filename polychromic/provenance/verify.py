"""Is this repository what it says: do bytes, records, text, code and parameters agree? One row per check, no model, no torch, no dvc.

Integrity is always checked; freshness (has every stage run with what lies here?) may be left out where `dvc repro` has just
established it. docs/verify.md says what each check proves and what it cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from polychromic.base.errors import PolychromicError
from polychromic.provenance import check_files, check_pipeline, check_science, check_text
from polychromic.provenance.commit import current
from polychromic.provenance.state import Row, State

Check = Callable[[State], Row]
INTEGRITY: Mapping[str, Check] = {
    "dvc.lock": check_pipeline.entries,
    "dvc.lock in itself": check_pipeline.chain,
    "results": check_files.results,
    "paper's files": check_files.paper,
    "data": check_files.data,
    "store": check_files.store,
    "PDF": check_files.pdf,
    "parameters committed": check_pipeline.committed,
    "parameters recorded": check_pipeline.parameters,
    "imports": check_pipeline.imports,
    "records": check_text.recorded,
    "tables": check_text.tabulated,
    "numbers in use": check_text.used,
    "headline": check_text.headline,
    "typed digits": check_text.typed,
    "splits": check_science.splits,
    "analysis": check_science.sealed,
    "audit": check_pipeline.audited,
}
FRESHNESS: Mapping[str, Check] = {"freshness": check_pipeline.fresh}
OF_A_COMMIT = ("parameters committed", "store", "audit")  # what concerns a clone, and so waits for the commit
MARKS = {True: "[green]ok[/]", False: "[bold red]FAILED[/]", None: "[yellow]-[/]"}


def verify(folder: Path = Path("."), fresh: bool = True, draft: bool = False) -> list[Row]:
    """Make every check.

    Args:
        fresh: also whether every stage ran with the code, parameters and inputs that lie here.
        draft: where files differ from the last commit, what only a commit must hold (params.yaml committed, the store complete) is
            noted and does not fail.

    Raises:
        PolychromicError: `folder` holds no pipeline.
    """
    if not (folder / "dvc.yaml").is_file():
        raise PolychromicError(f"{folder / 'dvc.yaml'}: file not found. Run in the folder that holds params.yaml and dvc.yaml.")
    here, rows, said = State(folder), [], set()
    for name, check in (INTEGRITY | (FRESHNESS if fresh else {})).items():
        try:
            rows.append(check(here))
        except PolychromicError as error:  # one broken file fails the checks that read it, and no other
            got = "the same error as above" if str(error) in said else str(error)
            said.add(str(error))
            rows.append(Row(name, False, "files that can be read", got, "Do what the message says, and verify again.", (str(error),)))
    if draft and current(folder).dirty:
        rows = [_noted(one) if one.check in OF_A_COMMIT and one.ok is False else one for one in rows]
    return rows


def _noted(one: Row) -> Row:
    return replace(one, ok=None, got=f"draft, not committed yet: {one.got}")


def document(rows: Sequence[Row]) -> dict[str, Any]:
    """What --json prints."""
    return {"ok": all(one.ok is not False for one in rows), "checks": [asdict(one) | {"findings": list(one.findings)} for one in rows]}


def render(rows: Sequence[Row]) -> Table:
    """The rows as a table; the remedy of what failed."""
    table = Table(show_lines=False)
    table.add_column("", no_wrap=True)
    table.add_column("check", no_wrap=True)
    for name in ("expected", "got", "remedy"):
        table.add_column(name, overflow="fold")
    for one in rows:
        table.add_row(Text.from_markup(MARKS[one.ok]), *(Text(text) for text in (one.check, one.expected, one.got, one.remedy)))
    return table
