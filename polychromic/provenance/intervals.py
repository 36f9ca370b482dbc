"""A cell that ran again on another processor: do its metric means lie within the intervals of compare.json?

Sums of bfloat16 are a processor's own, so another CPU model gives other bytes. The cell is scored beside the four baselines, which
scoring asks for, by the pipeline's own code; its means are compared at every temperature and for every metric that compare.json has.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polychromic.errors import PolychromicError, UsageError
from polychromic.io import read_json, read_jsonl
from polychromic.provenance.declared import Declared
from polychromic.provenance.lock import File
from polychromic.provenance.reach import command_of
from polychromic.provenance.rerun import place, run
from polychromic.provenance.state import State

SCORE = """\
import sys
from pathlib import Path
from polychromic.params import load_params
from polychromic.scoring import run
run(load_params(), sys.argv[1], [Path(name) for name in sys.argv[2:]])
"""
SAMPLES = "samples.jsonl.gz"
ROUNDING = 1e-9  # scores are rounded to twelve digits


@dataclass(frozen=True)
class Mean:
    """The mean of a metric at a temperature, made again, and the interval that compare.json has."""

    metric: str
    temperature: float
    mean: float
    low: float
    high: float

    @property
    def within(self) -> bool:
        return self.low - ROUNDING <= self.mean <= self.high + ROUNDING


def check_comparable(stage: Declared) -> None:
    """Raise UsageError for a stage whose outs are no samples."""
    if command_of(stage.cmd) != "cell":
        raise UsageError(f"--intervals makes no use of {stage.name}, which gives no samples to score. Leave the option out: bytes compare.")


def means(here: State, stage: Declared, target: Path) -> list[Mean]:
    """Score the cell that was made again in `target`, beside the baselines as recorded.

    Raises:
        PolychromicError: scoring failed, or compare.json does not have the cell.
    """
    domain = str(stage.domain)
    mine = next(path for path in stage.outs if path.endswith(SAMPLES))
    baselines = [f"results/{domain}/{name}/{SAMPLES}" for name in ("zero_shot", "few_shot", "lora", f"polychromic-{here.params.lam}")]
    for path in baselines:
        if path != mine:
            place(here, target, here.made[path])
    files = sorted({*baselines, mine})
    if not run([sys.executable, "-c", SCORE, domain, *files], target):
        raise PolychromicError(f"{stage.name}: its samples could not be scored, see the message above. Mend it and audit again.")
    compare_file = f"results/{domain}/compare.json"
    found = here.place(here.made.get(compare_file) or File(compare_file, None, None))
    if found is None:
        raise PolychromicError(f"{compare_file}: neither here nor in store/. Run `dvc pull`.")
    compare = read_json(found)
    name, dash, weight = Path(mine).parent.name.partition("-")
    rows = (row for _, row in read_jsonl(target / "results" / domain / "scores.jsonl.gz"))
    return within(compare, name, float(weight) if dash else None, rows)


def within(compare: Mapping[str, Any], method: str, lam: float | None, rows: Sequence[Mapping[str, Any]]) -> list[Mean]:
    """The means of a cell's rows of scores beside the intervals of compare.json.

    Raises:
        PolychromicError: compare.json has no system of this method and weight.
    """
    values: dict[tuple[float, str], list[float]] = defaultdict(list)
    for row in rows:
        if row["method"] == method and row["lambda"] == lam and row["split"] == compare["split"]:
            for metric, value in row["metrics"].items():
                values[row["temperature"], metric].append(value)
    systems = [one for one in compare["systems"] if one["method"] == method and one["lambda"] == lam]
    found = [
        Mean(metric, system["temperature"], sum(drawn) / len(drawn), estimate["low"], estimate["high"])
        for system in systems
        for metric, estimate in system["metrics"].items()
        if (drawn := values.get((system["temperature"], metric)))
    ]
    if not found:
        raise PolychromicError(f"compare.json has no {method} at weight {lam}. Allowed: a cell that it compares. Audit another one.")
    return found
