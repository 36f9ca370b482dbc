"""A cell that ran again on another machine: do its metric means lie within the intervals of compare.json, or of test.json on test?

Rounded sums are a processor's own, so another model gives other bytes. A cell of dev is scored beside the four baselines, which scoring
asks for, one of test alone, both by the pipeline's own code; its means are compared at every temperature and for every metric there is.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polychromic.base import paths
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import read_json, read_jsonl
from polychromic.provenance.declared import Declared
from polychromic.provenance.lock import File
from polychromic.provenance.reach import command_of
from polychromic.provenance.rerun import place, run
from polychromic.provenance.state import State

SCORE = """\
import sys
from pathlib import Path
from polychromic.params import load_params
from polychromic.score.score import run
run(load_params(), sys.argv[1], [Path(name) for name in sys.argv[2:]])
"""
SCORE_TEST = """\
import sys
from polychromic import opening, paths
from polychromic.base.io import write_jsonl
from polychromic.params import load_params
from polychromic.score.score import given, read_cell, score_cells
params, domain, name = load_params(), *sys.argv[1:]
checked, calibration, splits = given(params, domain)
records = {record.id: record for record in opening.opened_prompts(params, domain, splits["test"])}
cell = name, params.test_plan(domain).systems[name].lam, read_cell(opening.samples_file(params, domain, name), records)
write_jsonl(paths.scores_file(domain, "test"), score_cells(params.for_test(domain), checked, records, calibration, [cell]))
"""
SAMPLES = "samples.jsonl.gz"
ROUNDING = 1e-9  # scores are rounded to twelve digits


@dataclass(frozen=True)
class Mean:
    """The mean of a metric at a temperature, made again, and the interval that is recorded."""

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
    if command_of(stage.cmd) not in ("cell", "sample-test"):
        raise UsageError(f"--intervals makes no use of {stage.name}, which gives no samples to score. Leave the option out: bytes compare.")


def means(here: State, stage: Declared, target: Path) -> list[Mean]:
    """Score the cell that was made again in `target`, and compare with what is recorded.

    Raises:
        PolychromicError: scoring failed, or the results do not have the cell.
    """
    domain = str(stage.domain)
    if command_of(stage.cmd) == "sample-test":
        name, weight = stage.axes["system"], here.params.test_plan(domain).systems[stage.axes["system"]].lam
        command, split, file = [SCORE_TEST, domain, name], "test", "test.json"
    else:
        mine = next(path for path in stage.outs if path.endswith(SAMPLES))
        baselines = [f"results/{domain}/{name}/{SAMPLES}" for name in ("zero_shot", "few_shot", "lora", f"polychromic-{here.params.lam}")]
        for path in baselines:
            if path != mine:
                place(here, target, here.made[path])
        name, dash, text = Path(mine).parent.name.partition("-")
        command, split, file, weight = [SCORE, domain, *sorted({*baselines, mine})], "dev", "compare.json", float(text) if dash else None
    if not run([sys.executable, "-c", *command], target):
        raise PolychromicError(f"{stage.name}: its samples could not be scored, see the message above. Mend it and audit again.")
    recorded = f"results/{domain}/{file}"
    found = here.place(here.made.get(recorded) or File(recorded, None, None))
    if found is None:
        raise PolychromicError(f"{recorded}: neither here nor in store/. Run `dvc pull`.")
    rows = (row for _, row in read_jsonl(target / paths.scores_file(domain, split)))
    return within(read_json(found), name, weight, rows)


def within(compare: Mapping[str, Any], method: str, lam: float | None, rows: Sequence[Mapping[str, Any]]) -> list[Mean]:
    """The means of a cell's rows of scores beside the intervals of compare.json or test.json.

    Raises:
        PolychromicError: there is no system of this method and weight.
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
        raise PolychromicError(f"The results have no {method} at weight {lam}. Allowed: a cell that they compare. Audit another one.")
    return found
