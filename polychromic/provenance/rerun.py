"""Run one stage again where it cannot see what it made before: a workspace of its own, its recorded inputs, an empty cache.

Only weights and packages are shared, which are pinned by hash. The workspace is under .work/audit/ and is made anew each time, so a
kill leaves nothing that a later run would read; the stage dies with the process that started it.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, read_jsonl
from polychromic.base.locks import single_writer
from polychromic.params import read_yaml
from polychromic.pipeline.groups import RUN
from polychromic.pipeline.stages import Stage
from polychromic.pipeline.workspace import make_workspace, workspace_environment
from polychromic.provenance.lock import Entry, md5_of, stored
from polychromic.provenance.workspace import Workspace, briefly, is_code
from polychromic.report.audit import AuditedOut

SHARED = ("weights", "packages")  # content-addressed, and the hash is checked against params.yaml or the source's pins
PR_SET_PDEATHSIG = 1
ROUNDING = 1e-9  # scores are rounded to twelve digits


@contextmanager
def laboratory(here: Workspace) -> Iterator[Path]:
    """A fresh workspace with the sources of `here` and no result; gone afterwards. Raises PolychromicError: another audit is running."""
    base = (here.folder / ".work" / "audit").resolve()
    with single_writer(base):
        shutil.rmtree(base, ignore_errors=True)
        try:
            target = make_workspace(here.folder, base / "workspace", {})
            for section in ("model", "encoder"):
                _link_model(read_yaml(target / paths.PARAMS).get(section, {}), here.folder, target)
            yield target
        finally:
            shutil.rmtree(base, ignore_errors=True)


def _link_model(source: dict, root: Path, target: Path) -> None:
    """A model of one's own may be a folder that is named relative to the workspace."""
    path = str(source.get("path", ""))
    place = Path(os.path.normpath(target / path))
    if source.get("source") == "folder" and not os.path.isabs(path) and not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to((root / path).resolve())


def run_stage(here: Workspace, stage: Stage, target: Path) -> list[AuditedOut]:
    """Run the stage on the inputs that dvc.lock records, and hash what it makes beside the outs that dvc.lock records.

    Raises PolychromicError: an input is not to be had, or code has changed since the stage ran.
    """
    ran, cache = here.lock.stages[stage.name], target.parent / "cache"
    _place_inputs(here, ran, target)
    for out in ran.outs:
        (target / out.path).unlink(missing_ok=True)
        (target / out.path).parent.mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    for name in SHARED:
        (paths.cache_dir() / name).mkdir(parents=True, exist_ok=True)
        if not (cache / name).exists():
            (cache / name).symlink_to((paths.cache_dir() / name).resolve())
    ended = run(stage.cmd, target, cache)
    again = lambda path: md5_of(target / path) if ended and (target / path).is_file() else None
    return [AuditedOut(path=out.path, expected=str(out.md5), got=again(out.path)) for out in ran.outs]


def _place_inputs(here: Workspace, ran: Entry, target: Path, made: Iterable[str] = ()) -> None:
    """Put what the stage read into the workspace, with the bytes that dvc.lock records, but what was `made` there."""
    for dep in ran.deps:
        place, kept = target / dep.path, stored(here.folder, dep.md5)
        if dep.path in made or (place.exists() and md5_of(place) == dep.md5):
            continue
        if is_code(dep.path):
            where = f"{dep.path} is not what {ran.name} ran with ({briefly(dep.md5)})."
            raise PolychromicError(f"{where} An audit runs a stage again as it ran. Run `dvc repro` first, or take the edit back.")
        found = next((one for one in (here.folder / dep.path, kept) if one and one.exists() and here.md5(one) == dep.md5), None)
        if found is None:
            raise PolychromicError(
                f"{dep.path}: dvc.lock has md5 {briefly(dep.md5)}, and neither the file here nor store/ has it. A stage runs again on what "
                "it read. Run `dvc pull`; if it was changed since, `polychromic verify` says what is stale."
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(found, place, dirs_exist_ok=True) if found.is_dir() else shutil.copyfile(found, place)


def run(command: str, target: Path, cache: Path) -> bool:
    """Run a command in the workspace with that cache, its output on stderr; whether it ended well."""
    # no shell around a stage of ours: who is killed with us is the stage itself
    words = [sys.executable, *shlex.split(command)[1:]] if command.startswith(f"{RUN} ") else command
    environment = workspace_environment(target) | {"POLYCHROMIC_CACHE": str(cache)}
    done = subprocess.run(words, shell=isinstance(words, str), cwd=target, env=environment, stdin=subprocess.DEVNULL,
                          stdout=sys.stderr, preexec_fn=_die_with_parent, check=False)  # fmt: skip # noqa: S602
    return done.returncode == 0


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def means_within(here: Workspace, stage: Stage, target: Path) -> list[bool]:
    """Score a cell that was made again in `target` by the pipeline's own stage, beside the recorded cells: does each mean of a metric
    lie in its interval of compare.json? Raises PolychromicError: scoring failed, or the results do not have the cell."""
    domain, split, method = (stage.axes[name] for name in ("domain", "split", "method"))
    scores = paths.scores_file(domain, split).as_posix()
    scoring = here.lock.producer(scores)
    _place_inputs(here, scoring, target, made=stage.outs)
    if not run(scoring.cmd, target, paths.cache_dir()):
        raise PolychromicError(f"{stage.name}: its samples could not be scored, see the message above. Mend it and audit again.")
    compare = read_json(here.result(paths.compare_file(domain, split).as_posix()))
    return within(compare, method, weight_of(stage), (row for _, row in read_jsonl(target / scores)))


def weight_of(stage: Stage) -> float | None:
    """The weight of D where it is the grid's axis, else None."""
    return float(stage.axes["lam"]) if "lam" in stage.axes else None


def within(compare: Mapping[str, Any], method: str, lam: float | None, rows: Iterable[Mapping[str, Any]]) -> list[bool]:
    """Whether the means of a cell's rows of scores lie in the intervals of compare.json, for each temperature and metric; lam is None for
    a method that the split has at one weight alone. Raises PolychromicError: there is no system of this method and weight."""
    mine = lambda row: row["method"] == method and lam in (None, row["lambda"])
    values: dict[tuple[float, str], list[float]] = defaultdict(list)
    for row in filter(mine, rows):
        for metric, value in row["metrics"].items() if row["split"] == compare["split"] else ():
            values[row["temperature"], metric].append(value)
    found = [
        estimate["low"] - ROUNDING <= sum(drawn) / len(drawn) <= estimate["high"] + ROUNDING
        for system in filter(mine, compare["systems"])
        for metric, estimate in system["metrics"].items()
        if (drawn := values.get((system["temperature"], metric)))
    ]
    if not found:
        raise PolychromicError(f"The results have no {method} at weight {lam}. Allowed: a cell that they compare. Audit another one.")
    return found
