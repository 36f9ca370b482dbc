"""benchmarks/results/audit.json, which `polychromic audit` writes: cells that were run again."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from polychromic.base.errors import DataError, problems
from polychromic.base.io import read_json

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
