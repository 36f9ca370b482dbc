"""benchmarks/results/audit.json, which `polychromic audit` writes: cells that were run again, and the sentence that the paper says of them,
made from the record, so that it cannot claim more than was done."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from polychromic.base.errors import DataError, problems
from polychromic.base.io import read_json
from polychromic.report import labels

SOURCE = "benchmarks/results/audit.json"


class AuditedOut(BaseModel, frozen=True):
    """A file that was made again. rows: lines of it where it has lines, and how many of them are equal."""

    path: str
    expected: str
    got: str | None
    rows: int | None = None
    rows_equal: int | None = None


class AuditedCell(BaseModel, frozen=True):
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


class Audit(BaseModel, frozen=True):
    """population: how many stages train or sample, of which the audited ones are drawn."""

    population: int = Field(ge=0)
    cells: list[AuditedCell] = []


def load(path: Path = Path(SOURCE)) -> Audit:
    """An audit.json. Raises PolychromicError when it is missing, DataError when malformed."""
    try:
        return Audit.model_validate(read_json(path))
    except ValidationError as error:
        raise DataError(str(path), problems(error), "what `polychromic audit` writes", "Delete it, and audit again.") from None


def sentence(found: Audit) -> str:
    """What the paper says about the cells that ran again, whatever their number; only what trains or samples counts."""
    cells, population = [cell for cell in found.cells if cell.kind == "cell"], found.population
    if not cells:
        return f"Of the {population} cells that train or sample, none has been run again for these records."
    parts = []
    for how, said in (("bytes", "gave the same bytes"), ("intervals", "had all metric means within the reported intervals")):
        if chosen := [cell for cell in cells if cell.compared == how]:
            equal = sum(cell.equal for cell in chosen)
            parts.append(f"{'all' if 1 < len(cells) == equal else f'{equal} of {len(chosen)}'} {said}")
    fewer = [cell.among for cell in cells if cell.among is not None and cell.among < population]
    chance = "drawn" if len(fewer) == len(cells) else f"{len(fewer)} of them drawn"
    drawn = f" ({chance} from the {max(fewer)} in a precision that it computes at a fair speed)" if fewer else ""
    processors = " and ".join(labels.escape(cpu) for cpu in sorted({cell.cpu for cell in cells}))
    were = "one was" if len(cells) == 1 else f"{len(cells)} were"
    again = f"{were} run again with an empty cache on {processors}{drawn}"
    return f"Of the {population} cells that train or sample, {again}; {' and '.join(parts)}."
