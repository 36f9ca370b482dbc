"""The opening of test: what `analysis.test` declares is sampled and scored there, once it is committed. Nothing is chosen here.

Choices were made on dev and stand in params.yaml as seeds, temperatures and contrasts, so that no stage about test reads what dev says
now: another headline weight, or another best peer, changes what is said of dev, and test stays the test of what was declared.
"""

from __future__ import annotations

import random
from pathlib import Path

from polychromic.base import paths
from polychromic.base.cache import environment
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.hardware import cpu_model
from polychromic.base.io import write_json, write_jsonl
from polychromic.base.seeds import derive_seed
from polychromic.data.records import Record
from polychromic.data.seal import check_sealed
from polychromic.params import Params
from polychromic.sample.cells import Workbench, sample_seed
from polychromic.score.score import Cell, ask_models, given, read_cell, score_cells


def opened_prompts(params: Params, domain: str, records: list[Record]) -> list[Record]:
    """The test prompts that the plan opens, in the order of the split: all, or as many as it says, drawn with analysis.seed."""
    count = params.test_plan(domain).prompts
    if count is None or count >= len(records):
        return records
    drawn = random.Random(derive_seed(params.analysis.seed, "test", domain)).sample(range(len(records)), count)
    return [records[place] for place in sorted(drawn)]


def samples_file(params: Params, domain: str, name: str) -> Path:
    """Where a declared system's samples of test are. Raises UsageError for one that is not declared."""
    plan = params.test_plan(domain)
    if name not in plan.systems:
        raise UsageError(f"params.yaml: analysis.test.{domain}.systems has no {name!r}. Declared: {', '.join(plan.systems)}.")
    return paths.RESULTS / domain / "test" / f"{name}.jsonl.gz"


def machines_file(domain: str) -> Path:
    return paths.RESULTS / domain / "test-machines.json"


def sample_test(params: Params, domain: str, name: str) -> None:
    """Sample test with every declared seed and temperature of a system; its adapters are trained or come from the cache.

    Raises:
        UsageError: the system is not declared.
        PolychromicError: `analysis:` is not committed as it stands, or was changed after test was opened (polychromic.data.seal).
    """
    out = samples_file(params, domain, name)
    check_sealed(Path())
    plan = params.test_plan(domain)
    system = plan.systems[name]
    bench = Workbench(params.for_test(domain), domain, name, system.lam, validate=False)
    records = opened_prompts(params, domain, bench.splits["test"])
    rows: list[dict] = []
    for seed in plan.seeds[: system.seeds]:
        rows += sample_seed(bench, seed, "test", records, system.temperatures)[0]
    machine = machine_now()
    write_jsonl(out, [{**row, "machine": machine} for row in rows])


def machine_now() -> str:
    """What computes here, as a reader would look for it: the GPU or the processor, and the version of torch."""
    found = environment()
    return f"{found.get('gpu') or cpu_model()}, torch {found['torch']}"


def score_test(params: Params, domain: str) -> None:
    """Write results/{domain}/test-scores.jsonl.gz: the metrics of scores.jsonl.gz for every declared system; and test-machines.json:
    machine -> the systems that were sampled on it.

    Raises:
        PolychromicError: a declared system was not sampled on these prompts, or `analysis:` is not what was committed before test
            was opened (polychromic.data.seal).
    """
    check_sealed(Path())
    checked, calibration, splits = given(params, domain)
    records = {record.id: record for record in opened_prompts(params, domain, splits["test"])}
    cells = _sampled(params, domain, records)
    machines: dict[str, list[str]] = {}
    for name, _, rows in cells:
        for machine in sorted({row["machine"] for row in rows}):
            machines.setdefault(machine, []).append(name)
    write_jsonl(paths.scores_file(domain, "test"), score_cells(params.for_test(domain), checked, records, calibration, cells))
    write_json(machines_file(domain), machines)


def ask_about_test(params: Params, domain: str, part: int, parts: int) -> None:
    """Ask what scoring asks of models about one part of the prompts, for the cache. Raises as score_test."""
    check_sealed(Path())
    checked, _, splits = given(params, domain)
    records = {record.id: record for record in opened_prompts(params, domain, splits["test"])}
    mine = dict(list(records.items())[part::parts])
    ask_models(params.for_test(domain), checked, mine, [row for _, _, rows in _sampled(params, domain, records) for row in rows if row["id"] in mine])


def _sampled(params: Params, domain: str, records: dict[str, Record]) -> list[Cell]:
    """The samples of every declared system. Raises PolychromicError where one was not sampled, or on other prompts."""
    cells: list[Cell] = []
    for name, system in params.test_plan(domain).systems.items():
        path = samples_file(params, domain, name)
        if not path.exists():
            raise PolychromicError(f"{path}: test was not sampled for {name}. Run `dvc repro`, which does.")
        cells.append((name, system.lam, read_cell(path, records)))
    return cells
