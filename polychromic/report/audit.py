"""How many cells were run again and came out the same: the records of benchmarks/results/audit.json, which `polychromic audit` writes.

Singular, plural and none are decided here, from the record, so that the text cannot claim more than was done.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, FiniteFloat

from polychromic.base import paths
from polychromic.base.io import write_json, write_text
from polychromic.report import labels
from polychromic.report.records import Number, to_json, to_latex, unique
from polychromic.report.results import Frozen, parse

SOURCE = "benchmarks/results/audit.json"


class AuditedOut(Frozen):
    """A file that was made again. rows: lines of it where it has lines, and how many of them are equal."""

    path: str
    expected: str
    got: str | None
    rows: int | None = None
    rows_equal: int | None = None


class AuditedCell(Frozen):
    """A stage that ran again. kind: "cell" where it trains or samples. equal: by `compared`.

    within, means: how many metric means lie in their interval, of how many; only where intervals were compared. among: of how many
    cells it was drawn, None where somebody named it.
    """

    stage: str
    kind: Literal["cell", "stage"]
    commit: str
    cpu: str
    compared: Literal["bytes", "intervals"]
    equal: bool
    minutes: FiniteFloat
    outs: list[AuditedOut]
    within: int | None = None
    means: int | None = None
    among: int | None = None


class Audit(Frozen):
    """population: how many stages train or sample, of which the audited ones are drawn."""

    population: int = Field(ge=0)
    cells: list[AuditedCell] = []


def load(path: Path) -> Audit:
    """An audit.json. Raises PolychromicError when it is missing, DataError when malformed."""
    return parse(Audit, path)


def audit_numbers(found: Audit) -> list[Number]:
    """Keys audit.{cells,equal,population,sentence}; only what trains or samples counts."""
    cells = [cell for cell in found.cells if cell.kind == "cell"]
    equal = [cell for cell in cells if cell.equal]
    numbers = {"cells": len(cells), "equal": len(equal), "population": found.population}
    records = [Number(f"audit.{key}", value, str(value), source=SOURCE) for key, value in numbers.items()]
    return unique([*records, Number("audit.sentence", None, sentence(cells, found.population), source=SOURCE)])


def sentence(cells: Sequence[AuditedCell], population: int) -> str:
    """What the paper says about the cells that ran again, whatever their number."""
    if not cells:
        return f"Of the {population} cells that train or sample, none has been run again for these records."
    parts = []
    for how, said in (("bytes", "gave the same bytes"), ("intervals", "had all metric means within the reported intervals")):
        if chosen := [cell for cell in cells if cell.compared == how]:
            equal = sum(cell.equal for cell in chosen)
            who = "it" if len(cells) == 1 else "all" if equal == len(chosen) == len(cells) else f"{equal} of {len(chosen)}"
            denied = said.replace("gave", "did not give").replace("had", "did not have")
            parts.append(f"{who} {said if equal or len(cells) > 1 else denied}")
    were = "one was" if len(cells) == 1 else f"{len(cells)} were"
    fewer = [cell.among for cell in cells if cell.among is not None and cell.among < population]
    chance = "drawn" if len(fewer) == len(cells) else f"{len(fewer)} of them drawn"
    drawn = f" ({chance} from the {max(fewer)} in a precision that it computes at a fair speed)" if fewer else ""
    again = f"{were} run again with an empty cache on {_processors(cells)}{drawn}"
    return f"Of the {population} cells that train or sample, {again}; {' and '.join(parts)}."


def _processors(cells: Sequence[AuditedCell]) -> str:
    return " and ".join(labels.escape(cpu) for cpu in sorted({cell.cpu for cell in cells}))


def build_audit(results_dir: Path = paths.RESULTS, paper_dir: Path = paths.PAPER, source: Path = Path(SOURCE)) -> list[Path]:
    """Stage `audit`: write paper/numbers/audit.tex and results/audit/numbers.json.gz.

    Raises:
        PolychromicError: audit.json is missing.
        DataError: a field is missing or malformed.
    """
    found = audit_numbers(load(source))
    written = [paper_dir / "numbers" / "audit.tex", results_dir / "audit" / "numbers.json.gz"]
    write_text(written[0], to_latex(found))
    write_json(written[1], to_json(found))
    return written
