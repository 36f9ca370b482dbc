"""Is this repository what it says: do bytes, records, text, code and parameters agree? One function per check, without model, torch
and dvc; docs/verify.md says what each proves and cannot."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.table import Column, Table
from rich.text import Text

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import GZIP, read_json
from polychromic.data.records import read_records
from polychromic.data.seal import check_sealed
from polychromic.data.split import check_split, is_seen
from polychromic.params import Params
from polychromic.pipeline.stages import to_yaml
from polychromic.provenance.audit import holds
from polychromic.provenance.commit import carried_hash, current, git, is_repository, without_history
from polychromic.provenance.lock import briefly
from polychromic.provenance.printed import MACROS, MAIN, unsupported_claims
from polychromic.provenance.workspace import RECORDS, Workspace
from polychromic.report.audit import SOURCE, load
from polychromic.report.build import build
from polychromic.report.paper import records_hash

PDF, PIPELINE = "paper/main.pdf", "dvc.yaml"
SHOWN = 3  # findings of one check that are named; --json has them all
OF_A_COMMIT = ("store", "params.yaml", "audit")  # what concerns a clone, and so waits for the commit in a draft
COLUMNS = ("check", "expected", "got", "remedy")
MARKS = {True: Text("ok", "green"), False: Text("FAILED", "bold red"), None: Text("-", "yellow")}
Found = tuple[str, list[str]] | str  # what was got, and what is wrong (an error is, too); or why it cannot be checked here


def verify(folder: Path = Path("."), fresh: bool = True, draft: bool = False) -> dict[str, Any]:
    """Make every check: "ok", and "checks", a row each ("check", "ok", which is None where it could not be made here, "expected", "got",
    "remedy", and "findings", all that is wrong). Raises PolychromicError: `folder` holds no pipeline.

    Args:
        fresh: also whether every stage ran with the code, parameters and inputs that lie here; not needed after `dvc repro`.
        draft: where files differ from the last commit, what only a commit must hold is noted and does not fail.
    """
    if not (folder / PIPELINE).is_file():
        raise PolychromicError(f"{folder / PIPELINE}: file not found. Run in the folder that holds params.yaml and dvc.yaml.")
    here, waits, rows = Workspace(folder), draft and current(folder).dirty, []
    for name, (find, expected, remedy) in CHECKS.items():
        if name == "freshness" and not fresh:
            continue
        try:
            answer = find(here)
        except PolychromicError as error:
            answer = "", [str(error)]
        got, wrong = (f"not checked: {answer}", []) if isinstance(answer, str) else answer
        ok = None if isinstance(answer, str) else not wrong
        if wrong:
            got = "; ".join(wrong[:SHOWN]) + (f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else "")
        if wrong and waits and name in OF_A_COMMIT:
            ok, got = None, f"draft, not committed yet: {got}"
        rows.append({"check": name, "ok": ok, "expected": expected, "got": got, "remedy": remedy if wrong else "", "findings": wrong})
    return {"ok": all(row["ok"] is not False for row in rows), "checks": rows}


def render(document: Mapping[str, Any]) -> Table:
    """What `verify` answers as a table, its texts taken literally."""
    table = Table("", *(Column(name, overflow="fold") for name in COLUMNS))
    for row in document["checks"]:
        table.add_row(MARKS[row["ok"]], *(Text(row[name]) for name in COLUMNS))
    return table


def _lock(here: Workspace) -> Found:
    """Cells at a weight that is no longer declared may stay, as `dvc exp run -S lambda=0.5` leaves them."""
    grids = {stage.name.removesuffix(stage.axes["lam"]) for stage in here.stages.values() if "lam" in stage.axes}
    at_weight = lambda name: any(re.fullmatch(re.escape(grid) + r"\d+(?:\.\d+)?(?:e-?\d+)?", name) for grid in grids)
    wrong = [f"{name}: in dvc.yaml, never run" for name in here.stages if name not in here.lock.stages]
    wrong += [f"{name}: in dvc.lock, not in dvc.yaml" for name in here.lock.stages if not (name in here.stages or at_weight(name))]
    made = here.lock.outs | here.data
    read = [(stage.name, *dep) for stage in here.ran for dep in here.lock.stages[stage.name].deps.items() if dep[0] in made]
    said = "{} read {} as {}, its maker has {}".format
    wrong += [said(name, path, briefly(md5), briefly(made[path])) for name, path, md5 in read if md5 != made[path]]
    return f"{len(here.lock.stages)} stages, {len(read)} inputs", wrong


def _files(here: Workspace) -> Found:
    wrong, recorded = [], here.lock.outs | here.data
    for path, md5 in recorded.items():
        if (place := here.place(path, md5)) is None:
            wrong.append(f"{path}: neither here nor in store/")
        elif here.md5(place) != (md5 or "").removesuffix(".dir"):  # of a folder, its list in the store
            where = "" if place == here.folder / path else f" (of {place.relative_to(here.folder)})"
            wrong.append(f"{path}: md5 {briefly(here.md5(place))}{where}, recorded {briefly(md5)}")
    present = sorted(path for path in (here.folder / next(iter(here.data))).rglob("*") if path.is_file())
    names = (path.relative_to(here.folder).as_posix() for path in present)
    return f"{len(recorded)} files", wrong + [f"{name}: not in data.dvc" for name in names if name not in here.data]


def _store(here: Workspace) -> Found:
    root, local = here.folder / "store" / "files" / "md5", here.folder / ".dvc" / "config.local"
    objects = {f"{path.parent.name}{path.name}": path for path in sorted(root.glob("??/*")) if path.is_file()}
    broken = [path for name, path in objects.items() if here.md5(path) != name.removesuffix(".dir")]
    wrong = [f"{path.relative_to(here.folder)}: its content has md5 {briefly(here.md5(path))}" for path in broken]
    if local.is_file() and re.search(r"^\s*(?:url|remote)\s*=", local.read_text(encoding="utf-8", errors="replace"), re.MULTILINE):
        return ("", wrong) if wrong else ".dvc/config.local names another remote"
    tracked = {path for stage in here.stages.values() for path, kept in stage.outs.items() if not kept}  # by Git
    wanted = [(path, md5) for path, md5 in (here.lock.outs | here.data).items() if path not in tracked]
    missing = [(path, md5) for path, md5 in wanted if md5 and md5 not in objects]
    wrong += [f"{path}: store/files/md5/{md5[:2]}/{md5[2:]} is missing" for path, md5 in missing]
    return f"{len(objects)} objects", wrong


def _pdf(here: Workspace) -> Found:
    wanted, carried = records_hash(here.result(RECORDS)), carried_hash(here.result(PDF))
    return wanted, [f"{PDF} carries {carried or 'none that can be read'}, the records have {wanted}"] if carried != wanted else []


def _committed(here: Workspace) -> Found:
    if not is_repository(here.folder):
        return without_history(here.folder)
    changed = git(here.folder, "status", "--porcelain", "--", paths.PARAMS.as_posix())
    return "as committed", [f"{paths.PARAMS} differs from the last commit"] if changed else []


def _rebuilt(here: Workspace) -> Found:
    """dvc.yaml, and tables and numbers in a folder of their own by what the stages call; examples need samples, figures a machine."""
    with tempfile.TemporaryDirectory(prefix="polychromic-verify-") as name:
        root = Path(name)
        for path in [MAIN, *(path for path in here.lock.outs if path.startswith("results/") and path.endswith(".json"))]:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(here.result(path), root / path)
        for part in ("benchmarks", "requirements.lock", paths.PARAMS):
            (root / part).symlink_to((here.folder / part).resolve())
        with contextlib.chdir(root):
            again = {path.as_posix(): _text(path) for path in _built(here.params) if path.suffix in (".tex", ".md", ".gz")}
    again |= {PIPELINE: to_yaml(here.folder)}
    both = {path: (text, _text(here.result(path))) for path, text in again.items()}
    line = lambda texts: os.path.commonprefix(texts).count("\n") + 1
    differing = [f"{path}:{line(texts)} is not what comes out again" for path, texts in both.items() if texts[0] != texts[1]]
    return f"{len(again)} files", differing


def _built(params: Params) -> list[Path]:
    pairs = [(domain, split) for domain in params.domains for split in paths.SPLITS if params.cells(domain, split)]
    wanted = [*pairs, *((what, None) for what in ("costs", "designs", "summary", "judge", "setup", "numbers"))]
    return [path for what, split in wanted for path in build(params, what, split)]


def _text(path: Path) -> str:
    content = path.read_bytes()
    return (gzip.decompress(content) if content.startswith(GZIP) else content).decode(errors="replace")


def _printed(here: Workspace) -> Found:
    typed = here.manuscript.typed_digits(here.params.analysis.confidence)
    shown = {path for one in here.manuscript.floats for path in one.files}
    primary = "paper/figures/primary.pdf"
    lost = [f"{primary}, which has all primary contrasts, is not shown"] if primary in here.lock.outs and primary not in shown else []
    lost += [f"{MACROS}: {claim} {why}" for claim, why in unsupported_claims(_text(here.result(MACROS))).items()]
    return f"{len(here.manuscript.uses)} records", [f"{MAIN}:{line}: {words}" for line, words in typed] + lost


def _splits(here: Workspace) -> Found:
    """The stage's own check, once more: no group and no prompt in two of train, dev and test, also after normalisation."""
    seen = 0
    for domain in here.params.domains:
        records = read_records(here.result(paths.data_file(domain).as_posix()))
        splits = read_json(here.result(paths.split_file(domain).as_posix()))["splits"]
        barred = frozenset(record.id for record in records if is_seen(record))
        check_split(records, splits, here.params.domain(domain).sizes.model_dump(), here.params.split.tolerance, barred)
        seen += len(records)
    return f"{len(here.params.domains)} domains, {seen} records", []


def _sealed(here: Workspace) -> Found:
    if not any("/test/" in path for path in here.lock.outs):
        return "test is not open", []
    if why := without_history(here.folder):
        return why
    check_sealed(here.folder)
    return "in this order in Git's history", []


def _audited(here: Workspace) -> Found:
    document = load(here.folder / SOURCE)
    wrong = [f"{cell.stage} came out otherwise on {cell.cpu}" for cell in document.cells if not cell.equal]
    wrong += [f"{cell.stage} was audited with outs that dvc.lock no longer has" for cell in document.cells if not holds(here, cell)]
    return f"{len(document.cells)} of {document.population}", wrong


def _fresh(here: Workspace) -> Found:
    return f"{len(here.stages)} stages", [text for stage in here.ran for text in here.stale(stage)]


# name -> how it is found, what is expected, and what to do about another state
CHECKS: dict[str, tuple[Callable[[Workspace], Found], str, str]] = {
    "dvc.lock": (_lock, "the stages of dvc.yaml; inputs are outputs", "Run `dvc repro`; of an edit, `git checkout dvc.lock`."),
    "files": (_files, "as dvc.lock and data.dvc record them", "Edited by hand? `dvc checkout`, `git checkout paper`; or `dvc repro`."),
    "store": (_store, "whole, and complete for a clone", "Restore store/ with `git checkout store`, or fill it with `dvc push`."),
    "PDF": (_pdf, "the PDF carries the hash of the records", "Compile it again with `dvc repro paper`."),
    "params.yaml": (_committed, "as committed", "Commit it, or take the change back: `git checkout params.yaml`."),
    "rebuilt": (_rebuilt, "what parameters, text and results give", "Print dvc.yaml with `polychromic pipeline`; the rest as for files."),
    "text": (_printed, "no typed digit or false claim; primary contrasts", "Print records by \\num{key} (see `trace`); correct claims."),
    "splits": (_splits, "no prompt in two splits", "Run `dvc repro split@DOMAIN`: results of an overlapping split are void."),
    "analysis": (_sealed, "declared before test was opened", "Restore the section: what was not declared can be said of dev."),
    "audit": (_audited, "cells that ran again gave the same", "`polychromic audit --cell NAME`; `audit --cells 0` drops old entries."),
    "freshness": (_fresh, "each stage ran with what is here now", "Run `dvc repro`; without an effect, `dvc commit` and audit."),
}
