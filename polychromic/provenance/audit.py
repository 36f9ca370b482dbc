"""Run some stages again and compare: the one check that an edited lock, store and record cannot pass together.

Which cells are run is a hash's choice, so that nobody picks the ones that hold. What came out is written to audit.json after each
stage; entries about outs that dvc.lock no longer has are dropped, so the paper never counts a cell of other results. How long it
takes is foreseen from the timings of `make bench`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from polychromic.base import paths
from polychromic.base.errors import UsageError
from polychromic.base.hardware import cpu_model, fast_bfloat16
from polychromic.base.io import read_jsonl, write_json
from polychromic.base.progress import progress
from polychromic.params import Adapter
from polychromic.pipeline.groups import BENCHMARKS, RUN, SAMPLING
from polychromic.pipeline.stages import Stage
from polychromic.provenance.commit import current
from polychromic.provenance.rerun import laboratory, means_within, run_stage, weight_of
from polychromic.provenance.show import count, grid
from polychromic.provenance.workspace import Workspace, briefly
from polychromic.report.audit import SOURCE, Audit, AuditedCell, load
from polychromic.report.results import measured

UNKNOWN = "no timings in benchmarks/results/"


@dataclass(frozen=True)
class Expected:
    """Seconds of one core that a cell needs with an empty cache: (whether it is of test, the adapter) -> training, and all its drafts; and
    the device whose timings say so."""

    training: dict[tuple[bool, Adapter], float]
    sampling: float
    device: str

    @property
    def minutes(self) -> float:
        return round((sum(self.training.values()) + self.sampling) / 60, 1)


def is_cell(stage: Stage) -> bool:
    """Whether it trains or samples."""
    return stage.cmd.startswith(f"{RUN} {SAMPLING} ")


def population(here: Workspace) -> list[str]:
    """The stages that train or sample and have run, sorted."""
    return sorted(stage.name for stage in here.ran if is_cell(stage))


def within_reach(here: Workspace) -> list[str]:
    """Of these, what this processor computes at a fair speed: bfloat16 takes it days where it has no instructions for that. All of them
    where that leaves none."""
    names = population(here)
    if fast_bfloat16() is not False:
        return names
    of = {name: here.params.on(*(here.stages[name].axes[axis] for axis in ("domain", "split"))) for name in names}
    return [name for name in names if "bfloat16" not in (of[name].train.precision, of[name].sampling.precision)] or names


def drawn(names: Sequence[str], seed: str, number: int) -> list[str]:
    """`number` of the names, the first in the order of a hash of seed and name."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())[:number]


def choose(here: Workspace, cells: int, named: Sequence[str], seed_from: str | None) -> list[str]:
    """The stages to run: those that are named, else `cells` of those within reach that the hash of the commit (or `seed_from`) draws.

    Raises:
        UsageError: a stage that does not exist or never ran, or nothing to draw from.
    """
    for name in named:
        if name not in here.stages or name not in here.lock.stages:
            alike = [one for one in here.stages if one.startswith(name.partition("@")[0])] or sorted(here.stages)
            raise UsageError(f"--cell {name!r} is no stage that has run. Allowed: {', '.join(alike[:12])} … (`dvc stage list`).")
    if named or cells == 0:
        return list(dict.fromkeys(named))
    if not (seed := seed_from or current(here.folder).hash):
        raise UsageError("no commit is known here, whose hash would draw the cells. Name a text for it: --seed-from TEXT.")
    return drawn(within_reach(here), seed, cells)


def expected(here: Workspace, stage: Stage) -> Expected | str:
    """What a cell needs, or why nobody knows. Tokens are those of the samples recorded."""
    if not is_cell(stage):
        return "not measured"
    params, (domain, split, name) = here.params, (stage.axes[axis] for axis in ("domain", "split", "method"))
    folder = here.folder / BENCHMARKS
    if not all((folder / f"{file}.json").is_file() for file in (f"step_cost-{domain}", "sampler")):
        return UNKNOWN
    timed, sampler, method = measured(f"step_cost-{domain}", folder), measured("sampler", folder), params.methods[name]
    samples = [here.made[path] for path in stage.outs if path.endswith(paths.SAMPLES) and path in here.made]
    tokens = sum(sum(row["tokens"]) for file in samples if (place := here.place(file)) for _, row in read_jsonl(place))
    training: dict[tuple[bool, Adapter], float] = {}
    if adapters := params.adapters(domain, params.cell(domain, split, name, weight_of(stage))):
        step = timed.variants.get(params.trains_like(name)) or timed.variants.get("polychromic" if method.objective != "none" else "lora")
        if step is None:
            return "its step was not measured"
        seconds = round(params.domain(domain).steps * method.budget) * step.mean_seconds
        training = {(split == "test", one): seconds for one in adapters}
    return Expected(training, tokens / max(row.tokens_per_second for row in sampler.rows), timed.device)


def foreseen(jobs: int, folder: Path = Path(".")) -> str:
    """What `reproduce` takes from an empty cache, in words for its start: an adapter that several cells sample is trained once."""
    here = Workspace(folder)
    needed = [(stage, expected(here, stage) if stage in here.ran else UNKNOWN) for stage in here.stages.values() if is_cell(stage)]
    known = [(stage, one) for stage, one in needed if isinstance(one, Expected)]
    unknown = len(needed) - len(known)
    rest = f" {count(unknown, 'cell')} that never ran or that nobody timed: not in it." if unknown else ""
    if not known:
        return f"How long this takes is not known: {UNKNOWN} are of cells that have run.{rest}"
    training = {adapter: seconds for _, one in known for adapter, seconds in one.training.items()}
    sampling = [(stage.axes["split"] == "test", one.sampling) for stage, one in known]
    spent = [*((of_test, seconds) for (of_test, _), seconds in training.items()), *sampling]
    dev, test = (sum(seconds for on_test, seconds in spent if on_test is wanted) / 3600 for wanted in (False, True))
    return (
        f"From an empty cache about {(dev + test) / jobs:.1f} hours for training and sampling, {jobs} at a time (of one core: dev "
        f"{dev:.1f} hours, test {test:.1f}), by timings on {', '.join(sorted({one.device for _, one in known}))}; scores, reports and the "
        f"PDF come on top. What is up to date takes nothing unless it is forced.{rest}"
    )


def plan(here: Workspace, names: Sequence[str]) -> dict[str, Any]:
    """What would run ("stages": stage, cmd, minutes, basis) and how many minutes all that takes; None where one was not measured."""
    rows = []
    for name in names:
        needed = expected(here, here.stages[name])
        minutes, basis = (None, needed) if isinstance(needed, str) else (needed.minutes, f"timings on {needed.device}")
        rows.append({"stage": name, "cmd": here.stages[name].cmd, "minutes": minutes, "basis": basis})
    each = [row["minutes"] for row in rows]
    return {"stages": rows, "minutes": None if None in each else round(sum(each), 1)}


def plan_table(document: dict[str, Any]) -> Table:
    """The stages to run, with their expected minutes."""
    said = lambda minutes, unknown: unknown if minutes is None else f"{minutes:g}"
    title = f"to run again: {len(document['stages'])}, expected minutes: {said(document['minutes'], 'not known')}"
    rows = [(row["stage"], row["cmd"], said(row["minutes"], "?"), row["basis"]) for row in document["stages"]]
    return grid(title, ("stage", "command", "minutes", "by"), rows)


def audit(here: Workspace, names: Sequence[str], by_intervals: bool = False, among: int | None = None) -> list[AuditedCell]:
    """Run the stages again, one after the other, and write what came out to benchmarks/results/audit.json after each.

    Args:
        by_intervals: compare metric means with the intervals of compare.json instead of bytes.
        among: of how many cells these were drawn; None where somebody named them.

    Raises:
        UsageError: by_intervals of a stage that gives no samples, or none that are scored.
        PolychromicError: an input of a stage is not to be had, or its code has changed since it ran.
    """
    for name in names if by_intervals else ():
        axes = here.stages[name].axes
        if not is_cell(here.stages[name]) or paths.scores_file(axes["domain"], axes["split"]).as_posix() not in here.made:
            raise UsageError(f"--intervals makes no use of {name}, which gives no samples to score. Leave the option out: bytes compare.")
    commit, done = current(here.folder).name, []
    _write(here, done)
    with progress("audit", len(names)) as tick:
        tick(0)
        for name in names:
            started, stage, about = time.monotonic(), here.stages[name], {"compared": "bytes"}
            with laboratory(here) as target:
                outs = run_stage(here, stage, target)
                equal = all(one.got == one.expected for one in outs)
                if by_intervals and all(one.got for one in outs):
                    means = means_within(here, stage, target)
                    equal, about = all(means), {"compared": "intervals", "within": sum(means), "means": len(means)}
            about |= {"kind": "cell" if is_cell(stage) else "stage", "minutes": round((time.monotonic() - started) / 60, 2)}
            done.append(AuditedCell(stage=name, commit=commit, cpu=cpu_model(), equal=equal, outs=outs, among=among, **about))
            _write(here, done)
            tick(len(done))
    return done


def holds(here: Workspace, cell: AuditedCell) -> bool:
    """Whether dvc.lock still has the outs that were audited."""
    return all(one.path in here.made and here.made[one.path].md5 == one.expected for one in cell.outs)


def _write(here: Workspace, done: Sequence[AuditedCell]) -> None:
    """What is done beside the earlier entries that still hold."""
    path = here.folder / SOURCE
    earlier = [cell for cell in load(path).cells if holds(here, cell)] if path.is_file() else []
    cells = {cell.stage: cell for cell in [*earlier, *done]}
    document = Audit(population=len(population(here)), cells=[cells[name] for name in sorted(cells)])
    write_json(path, document.model_dump(mode="json"))


def remedy(cell: AuditedCell) -> str:
    """What to do about a stage that came out otherwise, "" for one that did not."""
    if cell.equal:
        return ""
    if any(one.got is None for one in cell.outs):
        return "The stage failed: see its message above. Mend it, and audit again."
    machine = f"Bytes are a machine's own: where it ran on another one than this {cell.cpu}, compare with --intervals. Else what"
    what = machine if (cell.kind, cell.compared) == ("cell", "bytes") else "What"
    return f"{what} is recorded is not what the code gives. Run `dvc repro --force --single-item {cell.stage}`, or take the edit back."


def result_table(done: Sequence[AuditedCell]) -> Table:
    """A row per out that was made again."""
    rows = [
        (Text("ok") if cell.equal else Text("FAILED", "bold red"), f"{cell.stage}: {one.path}", briefly(one.expected), briefly(one.got))
        + ("" if cell.means is None else f"{cell.within} of {cell.means}", "" if place else remedy(cell))
        for cell in done
        for place, one in enumerate(cell.outs)
    ]
    title = f"run again: {len(done)}, as recorded: {sum(one.equal for one in done)}"
    return grid(title, ("", "check", "expected", "got", "means within", "remedy"), rows)
