"""Is this repository what it says: do bytes, records, text, code and parameters agree? One function per check, with what a good state
looks like and what to do about another one beside it. No model, no torch, no dvc. docs/verify.md says what each proves and cannot.
"""

from __future__ import annotations

import contextlib
import gzip
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import GZIP, dumps, read_json
from polychromic.data.records import read_records
from polychromic.data.seal import check_sealed
from polychromic.data.split import check_split, is_seen
from polychromic.params import Params
from polychromic.provenance.commit import carried_hash, current, git, is_repository
from polychromic.provenance.lock import File, data_entry, data_files
from polychromic.provenance.manuscript import MAIN
from polychromic.provenance.show import count, grid, listed, shortened
from polychromic.provenance.workspace import Workspace, briefly
from polychromic.report.paper import records_hash

PDF = "paper/main.pdf"
SHOWN = 3  # findings of one check that are named; --json has them all
BY_HAND = "Nobody edits these by hand: take them back with `git checkout paper` and `dvc checkout`, or make them again with `dvc repro`."
MARKS = {True: Text("ok", "green"), False: Text("FAILED", "bold red"), None: Text("-", "yellow")}
Found = tuple[str, list[str]] | str  # what was got where nothing is wrong, and what is wrong; or why it cannot be checked here
Find = Callable[[Workspace], Found]


class Check(NamedTuple):
    """A check of a workspace; of: "commit" (what concerns a clone, and so waits for the commit), "freshness" or "" (integrity)."""

    expected: str
    remedy: str
    find: Find
    of: str


CHECKS: dict[str, Check] = {}


def check(name: str, *about: str, of: str = "") -> Callable[[Find], Find]:
    """Register a check by its name, what is expected and the remedy; it may raise PolychromicError, such as for a missing file."""

    def register(find: Find) -> Find:
        CHECKS[name] = Check(*about, find, of)
        return find

    return register


def verify(folder: Path = Path("."), fresh: bool = True, draft: bool = False) -> dict[str, Any]:
    """Make every check: "ok", and "checks", a row each ("check", "ok", which is None where it could not be made here, "expected", "got",
    "remedy", and "findings", all that is wrong).

    Args:
        fresh: also whether every stage ran with the code, parameters and inputs that lie here; not needed after `dvc repro`.
        draft: where files differ from the last commit, what only a commit must hold is noted and does not fail.

    Raises:
        PolychromicError: `folder` holds no pipeline.
    """
    if not (folder / "dvc.yaml").is_file():
        raise PolychromicError(f"{folder / 'dvc.yaml'}: file not found. Run in the folder that holds params.yaml and dvc.yaml.")
    here, said = Workspace(folder), set()
    rows = [_made(name, one, here, said) for name, one in CHECKS.items() if one.of != "freshness" or fresh]
    if draft and current(folder).dirty:
        for row in rows:
            if row["ok"] is False and CHECKS[row["check"]].of == "commit":
                row |= {"ok": None, "got": f"draft, not committed yet: {row['got']}"}
    return {"ok": all(row["ok"] is not False for row in rows), "checks": rows}


def _made(name: str, one: Check, here: Workspace, said: set[str]) -> dict[str, Any]:
    """The row of a check. said: errors of the checks before it; one broken file fails those that read it, and no other."""
    row = {"check": name, "ok": True, "expected": one.expected, "remedy": "", "findings": []}
    try:
        answer = one.find(here)
    except PolychromicError as error:
        got = "the same error as above" if str(error) in said else str(error)
        said.add(str(error))
        return row | {"ok": False, "got": got, "remedy": "Do what the message says, and verify again.", "findings": [str(error)]}
    if isinstance(answer, str):
        return row | {"ok": None, "got": f"not checked: {answer}"}
    good, found = answer
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    wrong = {"ok": False, "got": "; ".join(found[:SHOWN]) + more, "remedy": one.remedy, "findings": found}
    return row | (wrong if found else {"got": good})


def render(document: Mapping[str, Any]) -> Table:
    """What `verify` answers as a table."""
    columns = ("check", "expected", "got", "remedy")
    return grid(None, ("", *columns), [(MARKS[row["ok"]], *(row[name] for name in columns)) for row in document["checks"]])


@check("dvc.lock", "an entry for each stage of dvc.yaml", "Run `dvc repro` for what never ran; delete from dvc.lock what is no stage.")
def _entries(here: Workspace) -> Found:
    wrong = [f"{name}: in dvc.yaml, never run" for name in here.stages if name not in here.lock.stages]
    wrong += [f"{name}: in dvc.lock, not in dvc.yaml" for name in here.lock.stages if name not in here.entries]
    return count(len(here.lock.stages), "stage"), wrong


@check("dvc.lock in itself", "each input is the output before it", "Edited, or ran in part: `git checkout dvc.lock`, or `dvc repro`.")
def _chain(here: Workspace) -> Found:
    given = {path: str(out.md5) for path, out in here.made.items()} | data_files(here.folder)
    deps = [(stage.name, dep) for stage in here.ran for dep in here.lock.stages[stage.name].deps if dep.path in given]
    said = "{} read {} as {}, its maker has {}".format
    wrong = [said(name, dep.path, briefly(dep.md5), briefly(given[dep.path])) for name, dep in deps if dep.md5 != given[dep.path]]
    return f"{len(deps)} inputs", wrong


def _differing(here: Workspace, files: Iterable[File]) -> Iterator[str]:
    for file in files:
        if (place := here.place(file)) is None:
            yield f"{file.path}: neither here nor in store/"
        elif here.md5(place) != file.md5:
            where = "" if place == here.folder / file.path else f" (of {place.relative_to(here.folder)})"
            yield f"{file.path}: md5 {briefly(here.md5(place))}{where}, recorded {briefly(file.md5)}"


@check("results", "files as dvc.lock records them", "Fetch them with `dvc pull`; if they were made anew on purpose, run `dvc repro`.")
def _results(here: Workspace) -> Found:
    return count(len(here.cached), "file"), list(_differing(here, here.cached.values()))


@check("paper's files", "tables, figures, numbers as recorded", BY_HAND)
def _paper(here: Workspace) -> Found:
    files = [out for path, out in here.made.items() if path not in here.cached]
    return count(len(files), "file"), list(_differing(here, files))


@check("data", "files as data.dvc pins them", "Take them back: `dvc checkout data.dvc`; for your own, `dvc add data` and `dvc repro`.")
def _data(here: Workspace) -> Found:
    members = data_files(here.folder)
    wrong = list(_differing(here, (File(path, md5) for path, md5 in members.items())))
    present = sorted(path for path in (here.folder / data_entry(here.folder).path).rglob("*") if path.is_file())
    names = (path.relative_to(here.folder).as_posix() for path in present)
    return count(len(members), "file"), wrong + [f"{name}: not in data.dvc" for name in names if name not in members]


@check("store", "whole, and complete for a clone", "Restore store/ with `git checkout store`, or fill it with `dvc push`.", of="commit")
def _store(here: Workspace) -> Found:
    root, local = here.folder / "store" / "files" / "md5", here.folder / ".dvc" / "config.local"
    objects = {f"{path.parent.name}{path.name}": path for path in sorted(root.glob("??/*")) if path.is_file()}
    broken = [path.relative_to(here.folder) for name, path in objects.items() if here.md5(path) != name.removesuffix(".dir")]
    wrong = [f"{path}: its content has md5 {briefly(here.md5(here.folder / path))}" for path in broken]
    if local.is_file() and re.search(r"^\s*(?:url|remote)\s*=", local.read_text(encoding="utf-8", errors="replace"), re.MULTILINE):
        return ("", wrong) if wrong else ".dvc/config.local names another remote"
    entry = data_entry(here.folder)
    wanted = {out.path: out.md5 for out in here.cached.values()} | {entry.path: entry.md5}
    wanted |= data_files(here.folder) if entry.md5 in objects else {}
    missing = [f"{path}: store/files/md5/{md5[:2]}/{md5[2:]} is missing" for path, md5 in wanted.items() if md5 and md5 not in objects]
    return count(len(objects), "object"), wrong + missing


@check("PDF", "the PDF carries the hash of the records", "Compile it again with `dvc repro paper`.")
def _pdf(here: Workspace) -> Found:
    wanted, carried = records_hash(here.result(paths.NUMBERS.as_posix())), carried_hash(here.result(PDF))
    wrong = f"{PDF} carries {carried or 'none that can be read'}, the records have {wanted}"
    return wanted, [] if carried == wanted else [wrong]


@check("parameters committed", "params.yaml as committed", "Commit it, or take the change back: `git checkout params.yaml`.", of="commit")
def _committed(here: Workspace) -> Found:
    if not is_repository(here.folder):
        return here.history
    changed = git(here.folder, "status", "--porcelain", "--", paths.PARAMS.as_posix()).splitlines()
    return "as committed", [f"{paths.PARAMS} differs from the last commit" for _ in changed]


@check("parameters recorded", "values that dvc.lock records", "Take the change back, `git checkout params.yaml`, or run `dvc repro`.")
def _parameters(here: Workspace) -> Found:
    wrong: dict[str, list[str]] = {}
    for stage in here.ran:
        for file, key, now, then in here.changed_parameters(stage):
            said = f"{file}: {key} is {shortened(dumps(now))}, dvc.lock has {shortened(dumps(then))}"
            wrong.setdefault(said, []).append(stage.name)
    seen = sum(len(values) for stage in here.ran for values in here.lock.stages[stage.name].params.values())
    return count(seen, "value"), [f"{text} (of {listed(names, 1)})" for text, names in wrong.items()]


@check("dvc.yaml", "what params.yaml, the imports and main.tex give", "Print it with `polychromic pipeline`, then `dvc repro`.")
def _pipeline(here: Workspace) -> Found:
    from polychromic.pipeline.stages import to_yaml

    lies, printed = (here.folder / "dvc.yaml").read_text(encoding="utf-8"), to_yaml(here.folder)
    return count(len(here.stages), "stage"), [] if lies == printed else [_first_difference("dvc.yaml", lies, printed, "is printed")]


def _first_difference(name: str, lies: str, made: str, what: str) -> str:
    pairs = zip([*lies.splitlines(), ""], [*made.splitlines(), ""], strict=False)
    return f"{name}:{next((place for place, (one, other) in enumerate(pairs, start=1) if one != other), 1)} is not what {what}"


@check("tables and numbers", "what results/ give", BY_HAND)
def _rebuilt(here: Workspace) -> Found:
    """Built again in a folder of their own by what the stages call; examples need samples, figures a machine."""
    with tempfile.TemporaryDirectory(prefix="polychromic-verify-") as name:
        root = Path(name)
        for path in [MAIN, *(path for path in here.made if path.startswith("results/") and path.endswith(".json"))]:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(here.result(path), root / path)
        for part in ("benchmarks", "requirements.lock", paths.PARAMS):
            (root / part).symlink_to((here.folder / part).resolve())
        with contextlib.chdir(root):
            again = {path.as_posix(): _text(path) for path in _built(here.params) if path.suffix in (".tex", ".md", ".gz")}
    lies = {path: _text(here.result(path)) for path in again}
    wrong = [_first_difference(path, lies[path], text, "results/ give") for path, text in again.items() if lies[path] != text]
    return count(len(again), "file"), wrong


def _built(params: Params) -> Iterator[Path]:
    from polychromic.report.build import build

    for domain in params.domains:
        for split in (split for split in paths.SPLITS if params.cells(domain, split)):
            yield from build(params, domain, split)
    for what in ("costs", "designs", "summary", "setup", "numbers"):
        yield from build(params, what)


def _text(path: Path) -> str:
    content = path.read_bytes()
    return (gzip.decompress(content) if content.startswith(GZIP) else content).decode(errors="replace")


@check("headline", "primary contrasts are printed", "Print it (\\num{key}), or \\input its table: what was declared is reported.")
def _headline(here: Workspace) -> Found:
    without = [domain for domain in here.params.domains if f"paper/tables/{domain}-contrasts.tex" not in here.manuscript.inputs]
    keys = [f"{domain}.primary.{what}" for domain in without for what in ("delta", "ci")]
    wrong = [f"{key} is printed nowhere, and no table of contrasts" for key in keys if key not in here.manuscript.keys]
    return count(2 * len(here.params.domains), "number"), wrong


@check("typed digits", f"none in {MAIN}", "Print the record with \\num{key}; `polychromic trace` finds it by its text.")
def _typed(here: Workspace) -> Found:
    return "none", [f"{MAIN}:{line}: “{words}”" for line, words in here.manuscript.typed_digits(here.params.analysis.confidence)]


@check("splits", "no prompt in two splits", "Run `dvc repro split@DOMAIN`: results of an overlapping split are void.")
def _splits(here: Workspace) -> Found:
    """The stage's own check, once more: no group and no prompt in two of train, dev and test, also after normalisation."""
    wrong, seen = [], 0
    for domain in here.params.domains:
        try:
            records = read_records(here.result(paths.data_file(domain).as_posix()))
            splits = read_json(here.result(paths.split_file(domain).as_posix()))["splits"]
            barred = frozenset(record.id for record in records if is_seen(record))
            seen += len(records)
            check_split(records, splits, here.params.domain(domain).sizes.model_dump(), here.params.split.tolerance, barred)
        except PolychromicError as error:
            wrong.append(f"{domain}: {error}")
    return f"{len(here.params.domains)} domains, {seen} records", wrong


@check("analysis", "declared before test was opened", "Restore the section: what was not declared can be said of dev.")
def _sealed(here: Workspace) -> Found:
    if not any("/test/" in path for path in here.made):
        return "test is not open", []
    if not here.history:
        check_sealed(here.folder)
    return here.history or ("in this order in Git's history", [])


@check("audit", "cells that ran again gave the same", "`polychromic audit --cell NAME`; `audit --cells 0` drops old entries.", of="commit")
def _audited(here: Workspace) -> Found:
    from polychromic.provenance.audit import holds
    from polychromic.report.audit import SOURCE, load

    document = load(here.folder / SOURCE)
    wrong = [f"{cell.stage} came out otherwise on {cell.cpu}" for cell in document.cells if not cell.equal]
    wrong += [f"{cell.stage} was audited with outs that dvc.lock no longer has" for cell in document.cells if not holds(here, cell)]
    return f"{len(document.cells)} of {document.population}", wrong


@check("freshness", "each stage ran with what is here now", "Run `dvc repro`; without an effect, `dvc commit` and audit.", of="freshness")
def _fresh(here: Workspace) -> Found:
    return count(len(here.stages), "stage"), [text for stage in here.ran for text in here.stale(stage)]
