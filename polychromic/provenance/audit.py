"""Run some stages again and compare: the one check that an edited lock, store and record cannot pass together.

A hash chooses the cells, so that nobody picks the ones that hold. A stage runs in a workspace under .work/audit/ that is made anew each
time, on its recorded inputs, with an empty cache. What came out is in audit.json after each stage, without entries of other results.
"""

from __future__ import annotations

import ctypes
import hashlib
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polychromic.base import paths
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.hardware import cpu_model, fast_bfloat16
from polychromic.base.io import read_json, read_jsonl, write_json
from polychromic.base.locks import single_writer
from polychromic.base.progress import progress
from polychromic.pipeline.group import RUN
from polychromic.pipeline.groups import BENCHMARKS, SAMPLING
from polychromic.pipeline.stages import Stage
from polychromic.pipeline.workspace import make_workspace, workspace_environment
from polychromic.provenance.commit import current
from polychromic.provenance.lock import Entry, briefly, md5_of, stored
from polychromic.provenance.workspace import Workspace, is_code
from polychromic.report.audit import SOURCE, Audit, AuditedCell, AuditedOut, load
from polychromic.report.results import measured

SHARED = ("weights", "packages")  # content-addressed, and the hash is checked against params.yaml or the source's pins
ROUNDING = 1e-9  # scores are rounded to twelve digits


def is_cell(stage: Stage) -> bool:
    """Whether it trains or samples."""
    return stage.cmd.startswith(f"{RUN} {SAMPLING} ")


def weight_of(stage: Stage) -> float | None:
    """The weight of D where it is the grid's axis, else None."""
    return float(stage.axes["lam"]) if "lam" in stage.axes else None


def population(here: Workspace) -> list[str]:
    """The stages that train or sample and have run, sorted."""
    return sorted(stage.name for stage in here.ran if is_cell(stage))


def within_reach(here: Workspace) -> list[str]:
    """Of these, all but what takes this processor days, bfloat16 without instructions for it; all where that leaves none."""
    names = population(here)
    of = {name: here.params.on(*(here.stages[name].axes[axis] for axis in ("domain", "split"))) for name in names}
    fair = [name for name in names if "bfloat16" not in (of[name].train.precision, of[name].sampling.precision)]
    return names if fast_bfloat16() is not False else fair or names


def choose(here: Workspace, cells: int, named: Sequence[str], seed_from: str | None) -> list[str]:
    """The stages to run: those that are named, else `cells` of those within reach, the first in the order of a hash of their name and the
    commit (or `seed_from`). Raises UsageError: a stage that does not exist or never ran, or nothing to draw from."""
    if unknown := [name for name in named if name not in here.stages or name not in here.lock.stages]:
        raise UsageError(f"--cell {unknown[0]!r} is no stage that has run. Allowed: those of `dvc stage list`. Correct the name.")
    if named or cells == 0:
        return list(dict.fromkeys(named))
    if not (seed := seed_from or current(here.folder).hash):
        raise UsageError("no commit is known here, whose hash would draw the cells. Name a text for it: --seed-from TEXT.")
    return sorted(within_reach(here), key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())[:cells]


def seconds(here: Workspace, stage: Stage) -> dict[Hashable, float]:
    """Seconds of one core that a cell needs with an empty cache: for each adapter by what it is, which several cells may sample, and for
    its drafts by the stage's name. Empty where nobody knows. Tokens are those of the samples recorded."""
    domain, split, name = (stage.axes.get(axis, "") for axis in ("domain", "split", "method"))
    folder, names = here.folder / BENCHMARKS, (f"step_cost-{domain}", "sampler")
    if not is_cell(stage) or stage.name not in here.lock.stages or not all((folder / f"{file}.json").is_file() for file in names):
        return {}
    (timed, sampler), params = (measured(file, folder) for file in names), here.params
    places = [place for path in stage.outs if path.endswith(paths.SAMPLES) and (place := here.place(path))]
    tokens = sum(sum(row["tokens"]) for place in places for _, row in read_jsonl(place))
    method, steps = params.methods[name], params.domain(domain).steps
    if method.cost is not None:  # in FLOPs of LoRA's steps
        training = method.cost * steps * timed.variants["lora"].mean_seconds
    else:
        nearest = "polychromic" if method.objective != "none" else "lora"
        step = timed.variants.get(params.trains_like(name)) or timed.variants[nearest]
        training = round(steps * method.budget) * step.mean_seconds
    adapters = params.adapters(domain, params.cell(domain, split, name, weight_of(stage)))
    drafts = tokens / max(row.tokens_per_second for row in sampler.rows)
    return {stage.name: drafts} | {(split == "test", adapter): training for adapter in adapters}  # test trains anew


def foreseen(jobs: int, folder: Path = Path(".")) -> str:
    """What `reproduce` takes from an empty cache, in words for its start: an adapter that several cells sample is trained once."""
    here = Workspace(folder)
    needed = [seconds(here, stage) for stage in here.stages.values() if is_cell(stage)]
    hours = sum({what: time for one in needed for what, time in one.items()}.values()) / 3600 / jobs
    unknown = f"{needed.count({})} cells that never ran or that nobody timed are not in it"
    rest = "scores, reports and the PDF come on top"
    return f"From an empty cache about {hours:.1f} hours for training and sampling, {jobs} at a time ({unknown}); {rest}."


def plan(here: Workspace, names: Sequence[str]) -> dict[str, Any]:
    """What would run ("stages": stage, cmd, minutes) and how many minutes all that takes; None where one was not measured."""
    each = [round(sum(spent.values()) / 60, 1) if (spent := seconds(here, here.stages[name])) else None for name in names]
    rows = [{"stage": name, "cmd": here.stages[name].cmd, "minutes": minutes} for name, minutes in zip(names, each)]
    return {"stages": rows, "minutes": None if None in each else round(sum(each), 1)}


def audit(here: Workspace, names: Sequence[str], by_intervals: bool = False, among: int | None = None) -> list[AuditedCell]:
    """Run the stages again, one after the other, and write what came out to benchmarks/results/audit.json after each.

    Args:
        by_intervals: compare metric means with the intervals of compare.json instead of bytes; UsageError where nothing is scored.
        among: of how many cells these were drawn; None where somebody named them.
    """
    for stage in (here.stages[name] for name in names if by_intervals):
        if not is_cell(stage) or paths.scores_file(stage.axes["domain"], stage.axes["split"]).as_posix() not in here.lock.outs:
            raise UsageError(f"--intervals: {stage.name} gives no samples that are scored. Leave the option out: bytes compare.")
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
    return all(here.lock.outs.get(one.path) == one.expected for one in cell.outs)


def _write(here: Workspace, done: Sequence[AuditedCell]) -> None:
    """What is done beside the earlier entries that still hold."""
    path = here.folder / SOURCE
    earlier = [cell for cell in load(path).cells if holds(here, cell)] if path.is_file() else []
    cells = dict(sorted({cell.stage: cell for cell in [*earlier, *done]}.items()))
    write_json(path, Audit(population=len(population(here)), cells=list(cells.values())).model_dump(mode="json"))


def remedy(cell: AuditedCell) -> str:
    """What to do about a stage that came out otherwise, "" for one that did not."""
    if any(one.got is None for one in cell.outs):
        return "The stage failed: see its message above. Mend it, and audit again."
    elsewhere = " or, where it ran on another processor than this, compare with --intervals" if cell.kind == "cell" else ""
    remedies = f"Run `dvc repro --force --single-item {cell.stage}`, take the edit back{elsewhere}."
    return "" if cell.equal else f"What is recorded is not what the code gives. {remedies}"


@contextmanager
def laboratory(here: Workspace) -> Iterator[Path]:
    """A fresh workspace with the sources of `here` and no result; gone afterwards. Raises PolychromicError: another audit is running."""
    base = (here.folder / ".work" / "audit").resolve()
    with single_writer(base):
        shutil.rmtree(base, ignore_errors=True)
        try:
            yield make_workspace(here.folder, base / "workspace", {})
        finally:
            shutil.rmtree(base, ignore_errors=True)


def run_stage(here: Workspace, stage: Stage, target: Path) -> list[AuditedOut]:
    """Run the stage on the inputs that dvc.lock records, and hash what it makes beside the outs that dvc.lock records."""
    ran, cache = here.lock.stages[stage.name], target.parent / "cache"
    _place_inputs(here, ran, target)
    for path in ran.outs:
        (target / path).unlink(missing_ok=True)
        (target / path).parent.mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    for name in SHARED:
        (paths.cache_dir() / name).mkdir(parents=True, exist_ok=True)
        if not (cache / name).exists():
            (cache / name).symlink_to((paths.cache_dir() / name).resolve())
    ended = run(stage.cmd, target, cache)
    again = lambda path: md5_of(target / path) if ended and (target / path).is_file() else None
    return [AuditedOut(path=path, expected=str(md5), got=again(path)) for path, md5 in ran.outs.items()]


def _place_inputs(here: Workspace, ran: Entry, target: Path, made: Iterable[str] = ()) -> None:
    """Put what the stage read into the workspace, with the bytes that dvc.lock records, but what was `made` there."""
    for path, md5 in ran.deps.items():
        place = target / path
        if path in made or (place.exists() and md5_of(place) == md5):
            continue
        places = (here.folder / path, stored(here.folder, md5))
        found = next((one for one in places if one and one.exists() and here.md5(one) == md5), None)
        if found is None or is_code(path):
            raise PolychromicError(
                f"{path} of {ran.name}: dvc.lock has md5 {briefly(md5)}, which is not what lies here. A stage runs again on what it read, "
                "by the code of then. Run `dvc pull`, or `dvc repro` where it was changed since, or take the change back."
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(found, place, dirs_exist_ok=True) if found.is_dir() else shutil.copyfile(found, place)


def run(command: str, target: Path, cache: Path) -> bool:
    """Run a command in the workspace with that cache, its output on stderr; whether it ended well. It dies with this process."""
    # no shell around a stage of ours: who is killed with us is the stage itself
    words = [sys.executable, *shlex.split(command)[1:]] if command.startswith(f"{RUN} ") else command
    environment = workspace_environment(target) | {"POLYCHROMIC_CACHE": str(cache)}
    tied = (lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)) if sys.platform == "linux" else None  # PR_SET_PDEATHSIG
    done = subprocess.run(words, shell=isinstance(words, str), cwd=target, env=environment, stdin=subprocess.DEVNULL,
                          stdout=sys.stderr, preexec_fn=tied, check=False)  # fmt: skip # noqa: S602
    return done.returncode == 0


def means_within(here: Workspace, stage: Stage, target: Path) -> list[bool]:
    """Score a cell that was made again in `target` by the pipeline's own stage, beside the recorded cells: does each mean of a metric, at
    each temperature, lie in its interval of compare.json? Raises PolychromicError: scoring failed, or the results lack the cell."""
    domain, split, method = (stage.axes[axis] for axis in ("domain", "split", "method"))
    scoring = here.lock.producers[(scores := paths.scores_file(domain, split)).as_posix()]
    _place_inputs(here, scoring, target, made=stage.outs)
    if not run(scoring.cmd, target, paths.cache_dir()):
        raise PolychromicError(f"{stage.name}: its samples could not be scored, see the message above. Mend it and audit again.")
    mine = lambda row: row["method"] == method and weight_of(stage) in (None, row["lambda"])
    values: dict[tuple[float, str], list[float]] = defaultdict(list)
    for _, row in read_jsonl(target / scores):
        for metric, value in row["metrics"].items() if mine(row) and row["split"] == split else ():
            values[row["temperature"], metric].append(value)
    found = [
        estimate["low"] - ROUNDING <= sum(drawn) / len(drawn) <= estimate["high"] + ROUNDING
        for system in filter(mine, read_json(here.result(paths.compare_file(domain, split).as_posix()))["systems"])
        for metric, estimate in system["metrics"].items()
        if (drawn := values.get((system["temperature"], metric)))
    ]
    if not found:
        raise PolychromicError(f"{stage.name}: no system of the results is this cell. Allowed: one that they compare. Audit another one.")
    return found
