"""Run some stages again and compare: the one check that an edited lock, store and record cannot pass together.

Which cells are run is a hash's choice, so that nobody picks the ones that hold. What came out is written to audit.json after each
stage; entries about outs that dvc.lock no longer has are dropped, so the paper never counts a cell of other results.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

from polychromic.base.errors import UsageError
from polychromic.base.hardware import cpu_model, fast_bfloat16
from polychromic.base.io import read_json, write_json
from polychromic.base.progress import progress
from polychromic.provenance import intervals as interval_check
from polychromic.provenance.commit import current
from polychromic.provenance.cost import OF_CELLS, Planned, expected, population, timings
from polychromic.provenance.declared import Declared
from polychromic.provenance.reach import command_of
from polychromic.provenance.rerun import laboratory, run_stage
from polychromic.provenance.state import State
from polychromic.report.audit import SOURCE, Audit, AuditedCell, load


def within_reach(here: State) -> list[str]:
    """Of these, what this processor computes at a fair speed: bfloat16 takes it days where it has no instructions for that. All of them
    where that leaves none."""
    names = population(here)
    if fast_bfloat16() is not False:
        return names
    return [name for name in names if "bfloat16" not in _precisions(here, here.declared[name])] or names


def _precisions(here: State, stage: Declared) -> set[str]:
    params = here.params.for_test(str(stage.domain)) if command_of(stage.cmd) == "sample-test" else here.params
    return {params.train.precision, params.sampling.precision}


def drawn(names: Sequence[str], seed: str, count: int) -> list[str]:
    """`count` of the names, the first in the order of a hash of seed and name."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())[:count]


def choose(here: State, cells: int, named: Sequence[str], seed_from: str | None) -> list[str]:
    """The stages to run: those that are named, else `cells` of those within reach that the hash of the commit (or `seed_from`) draws.

    Raises:
        UsageError: a stage that does not exist or never ran, or nothing to draw from.
    """
    if named:
        for name in named:
            if name not in here.declared or name not in here.lock.stages:
                alike = [one for one in here.declared if one.startswith(name.partition("@")[0])] or sorted(here.declared)
                raise UsageError(f"--cell {name!r} is no stage that has run. Allowed: {', '.join(alike[:12])} … (`dvc stage list`).")
        return list(dict.fromkeys(named))
    if cells == 0:
        return []
    seed = seed_from or current(here.folder).hash
    if seed is None:
        raise UsageError("no commit is known here, whose hash would draw the cells. Name a text for it: --seed-from TEXT.")
    return drawn(within_reach(here), seed, cells)


def plan(here: State, names: Sequence[str]) -> list[Planned]:
    """What would run, and how long that is expected to take."""
    known = {cell.stage: cell for cell in earlier(here, here.folder / SOURCE).cells}
    found = []
    for name in names:
        stage = here.declared[name]
        foreseen, basis = expected(here, stage) if kind_of(stage) == "cell" else (None, "not measured")
        minutes = None if foreseen is None else round(foreseen.seconds / 60, 1)
        if name in known:
            minutes, basis = known[name].minutes, f"an audit on {known[name].cpu}"
        found.append(Planned(name, stage.cmd, kind_of(stage), minutes, basis))
    return found


def kind_of(stage: Declared) -> str:
    return "cell" if command_of(stage.cmd) in OF_CELLS else "stage"


def audit(
    here: State, names: Sequence[str], by_intervals: bool = False, out: Path = Path(SOURCE), among: int | None = None
) -> list[AuditedCell]:
    """Run the stages again, one after the other, and write what came out to `out` after each.

    Args:
        by_intervals: compare metric means with the intervals of compare.json, on test of test.json, instead of bytes.
        among: of how many cells these were drawn; None where somebody named them.

    Raises:
        UsageError: by_intervals of a stage that gives no samples.
        PolychromicError: an input of a stage is not to be had, or its code has changed since it ran.
    """
    if by_intervals:
        for name in names:
            interval_check.check_comparable(here.declared[name])
    commit, done = current(here.folder), []
    _write(here, done, out)
    with progress("audit", len(names)) as tick:
        tick(0)
        for name in names:
            started = time.monotonic()
            with laboratory(here) as target:
                outs = run_stage(here, here.declared[name], here.lock.stages[name], target)
                equal, within, means = all(one.got == one.expected for one in outs), None, None
                if by_intervals and all(one.got for one in outs):
                    found = interval_check.means(here, here.declared[name], target)
                    within, means = sum(one.within for one in found), len(found)
                    equal = within == means
            done.append(
                AuditedCell(
                    stage=name,
                    kind=kind_of(here.declared[name]),
                    commit=f"{(commit.hash or 'unknown')[:7]}{'-dirty' if commit.dirty else ''}",
                    cpu=cpu_model(),
                    compared="intervals" if by_intervals else "bytes",
                    equal=equal,
                    minutes=round((time.monotonic() - started) / 60, 2),
                    outs=outs,
                    within=within,
                    means=means,
                    among=among,
                )
            )
            _write(here, done, out)
            tick(len(done))
    return done


def remedy(here: State, cell: AuditedCell) -> str:
    """What to do about a stage that came out otherwise, "" for one that did not."""
    if cell.equal:
        return ""
    if any(one.got is None for one in cell.outs):
        return "The stage failed: see its message above. Mend it, and audit again."
    made = _made_on(here, here.declared[cell.stage])
    if cell.kind == "cell" and cell.compared == "bytes" and made and not made.startswith(cell.cpu):
        return f"Bytes are a machine's own, and this is {cell.cpu}; what is recorded comes from {made}. Compare with --intervals."
    return f"What is recorded is not what the code gives. Run `dvc repro --force --single-item {cell.stage}`, or take the edit back."


def earlier(here: State, path: Path) -> Audit:
    """The entries of an audit.json that still speak of dvc.lock's outs; none where there is no such file."""
    if not path.is_file():
        return Audit(population=0)
    found = load(path)
    holds = lambda cell: all(one.path in here.made and here.made[one.path].md5 == one.expected for one in cell.outs)
    return Audit(population=found.population, cells=[cell for cell in found.cells if holds(cell)])


def _write(here: State, done: Sequence[AuditedCell], out: Path) -> None:
    cells = {cell.stage: cell for cell in [*earlier(here, here.folder / out).cells, *done]}
    document = Audit(population=len(population(here)), cells=[cells[name] for name in sorted(cells)])
    write_json(here.folder / out, document.model_dump(mode="json"))


def _made_on(here: State, stage: Declared) -> str | None:
    """The machine that the recorded samples of test name; on dev, where they name none, the one that was timed."""
    machines = here.made.get(f"results/{stage.domain}/test-machines.json") if command_of(stage.cmd) == "sample-test" else None
    if machines and (found := here.place(machines)):
        return " and ".join(machine for machine, systems in read_json(found).items() if stage.axes["system"] in systems)
    timed = timings(here, stage.domain)
    return timed.device if timed else None
