"""An audit as people read it: what would run, and what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from polychromic.provenance.cost import Planned
from polychromic.provenance.state import briefly
from polychromic.report.audit import AuditedCell, AuditedOut


def plan_document(planned: Sequence[Planned]) -> dict[str, Any]:
    """What --plan --json prints; minutes of all is None where one of them was never measured."""
    minutes = [one.minutes for one in planned]
    return {"stages": [asdict(one) for one in planned], "minutes": None if None in minutes else round(sum(minutes), 1)}


def plan(planned: Sequence[Planned]) -> Table:
    """The stages to run, with their expected minutes."""
    total = plan_document(planned)["minutes"]
    table = Table(title=f"to run again: {len(planned)}, expected minutes: {'not known' if total is None else f'{total:g}'}")
    for name in ("stage", "command", "minutes", "by"):
        table.add_column(name, overflow="fold")
    for one in planned:
        table.add_row(*map(Text, (one.stage, one.cmd, "?" if one.minutes is None else f"{one.minutes:g}", one.basis)))
    return table


def result(done: Sequence[AuditedCell], remedies: Mapping[str, str]) -> Table:
    """A row per out that was made again."""
    table = Table(title=f"run again: {len(done)}, as recorded: {sum(one.equal for one in done)}")
    for name in ("", "check", "expected", "got", "rows equal", "remedy"):
        table.add_column(name, overflow="fold")
    for cell in done:
        for place, one in enumerate(cell.outs):
            mark = "ok" if cell.equal else "FAILED"
            said = "" if place else remedies.get(cell.stage, "")
            words = (mark, f"{cell.stage}: {one.path}", briefly(one.expected), briefly(one.got), _rows(cell, one), said)
            table.add_row(*(Text(word, style="bold red" if word == "FAILED" else "") for word in words))
    return table


def _rows(cell: AuditedCell, one: AuditedOut) -> str:
    rows = "" if one.rows is None else f"{one.rows_equal} of {one.rows}"
    return rows if cell.means is None else f"{rows}; {cell.within} of {cell.means} means within intervals"
