"""Checks of dvc.lock against dvc.yaml, parameters and code: entries, agreement with itself, parameters, imports, freshness, audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import dumps
from polychromic.provenance.commit import git, is_repository
from polychromic.provenance.declared import Declared
from polychromic.provenance.lock import Stage, data_files, read_yaml
from polychromic.provenance.pipeline import values_of
from polychromic.provenance.reach import missing_deps
from polychromic.provenance.state import Row, State, briefly, count, not_checked, row
from polychromic.provenance.walk import Package
from polychromic.report.audit import SOURCE, load

WIDEST = 40  # characters of a value


def entries(here: State) -> Row:
    """dvc.lock can be read and has every stage of dvc.yaml, and none beside them but cells of ablations."""
    wrong = [f"{name}: in dvc.yaml, never run" for name in here.declared if name not in here.lock.stages]
    wrong += [f"{name}: in dvc.lock, not in dvc.yaml" for name in here.lock.stages if name not in here.stages]
    remedy = "Run `dvc repro` for what never ran; delete the entry of a stage that dvc.yaml no longer has from dvc.lock."
    return row("dvc.lock", "an entry for each stage of dvc.yaml", count(len(here.lock.stages), "stage"), wrong, remedy)


def chain(here: State) -> Row:
    """What a stage read is what the stage before it wrote, and what data.dvc pins."""
    given = {path: str(out.md5) for path, out in here.made.items()} | data_files(here.folder)
    wrong, seen = [], 0
    for name in here.declared:
        for dep in here.lock.stages[name].deps if name in here.lock.stages else ():
            if dep.path in given:
                seen += 1
                if dep.md5 != given[dep.path]:
                    wrong.append(f"{name} read {dep.path} as {briefly(dep.md5)}, its maker has {briefly(given[dep.path])}")
    remedy = "dvc.lock was edited, or stages ran without what follows them: `git checkout dvc.lock`, or `dvc repro`."
    return row("dvc.lock in itself", "each input is the output before it", f"{seen} inputs", wrong, remedy)


def committed(here: State) -> Row:
    """params.yaml is that of the last commit."""
    expected, name = f"{paths.PARAMS} as committed", paths.PARAMS.as_posix()
    if not is_repository(here.folder):
        return not_checked("parameters committed", expected, "no history (no Git repository)")
    changed = git(here.folder, "status", "--porcelain", "--", name).strip()
    remedy = f"Commit it, or take the change back: `git diff {name}`, `git checkout {name}`."
    return row("parameters committed", expected, "as committed", [f"{name} differs from the last commit"] if changed else [], remedy)


def parameters(here: State) -> Row:
    """Each parameter that dvc.lock records for a stage has that value in its file."""
    documents: dict[str, Mapping[str, Any]] = {}
    wrong: dict[str, list[str]] = {}
    seen = 0
    for name, stage in here.declared.items():
        recorded = here.lock.stages[name].params if name in here.lock.stages else {}
        for file, keys in stage.params.items() if name in here.lock.stages else ():
            if file not in documents:
                documents[file] = read_yaml(_unlinked(here.folder / file))
            now, then = values_of(documents[file], list(dict.fromkeys(keys)), file), recorded.get(file, {})
            seen += len(now)
            for key in sorted({*now, *then}):
                if dumps(now.get(key)) != dumps(then.get(key)):
                    text = f"{file}: {_place(key, now.get(key), then.get(key))}"
                    wrong.setdefault(text, []).append(name)
    found = [f"{text} (of {stages[0]}{f' and {len(stages) - 1} more' if len(stages) > 1 else ''})" for text, stages in wrong.items()]
    remedy = "Take the change back with `git checkout params.yaml`, or run what depends on it: `dvc repro`."
    return row("parameters recorded", "values that dvc.lock records", count(seen, "value"), found, remedy)


def _unlinked(path: Path) -> Path:
    """The file, or where it leads if it was a link: some programs that unpack an archive write a link's target into a file."""
    text = path.read_text(encoding="utf-8") if path.is_file() and path.stat().st_size < 100 else ""
    target = path.parent / text if text and "\n" not in text else path
    return target if target.is_file() else path


def _place(key: str, now: Any, then: Any) -> str:
    """Where two values differ, as deep as they are mappings: "train.learning_rate is 1e-05, dvc.lock has 0.0005"."""
    while isinstance(now, Mapping) and isinstance(then, Mapping):
        part = next(name for name in sorted({*now, *then}, key=str) if dumps(now.get(name)) != dumps(then.get(name)))
        key, now, then = f"{key}.{part}", now.get(part), then.get(part)
    short = [text if len(text) <= WIDEST else f"{text[:WIDEST]}…" for text in (dumps(now), dumps(then))]
    return f"{key} is {short[0]}, dvc.lock has {short[1]}"


def imports(here: State) -> Row:
    """The deps of every stage name each module that its command can use."""
    found = missing_deps(Package(here.folder.resolve()), here.declared.values())
    wrong = [f"{name}: {', '.join(missing)}" for name, missing in found.items()]
    remedy = "Add them to the stage's deps in dvc.yaml, and to those of provenance; then `dvc repro`."
    return row("imports", "deps hold all that a stage imports", count(len(here.declared), "stage"), wrong, remedy)


def fresh(here: State) -> Row:
    """Every stage ran with the command, the inputs and the code that are here now."""
    ran = [stage for name, stage in here.declared.items() if name in here.lock.stages]
    wrong = [text for stage in ran for text in _stale(here, stage, here.lock.stages[stage.name])]
    wrong += [f"{name} never ran" for name in here.declared if name not in here.lock.stages]
    remedy = "Run `dvc repro`; where the edit changes no number, `dvc commit` and then `polychromic audit`."
    return row("freshness", "each stage ran with what is here now", count(len(here.declared), "stage"), wrong, remedy)


def _stale(here: State, stage: Declared, ran: Stage) -> Iterator[str]:
    if stage.cmd != ran.cmd:
        yield f"{stage.name} ran as `{ran.cmd}`"
    for what, now, then in (("input", stage.deps, ran.deps), ("output", stage.outs, ran.outs)):
        if changed := sorted(set(now) ^ {file.path for file in then}):
            yield f"{stage.name} ran with other {what}s: {', '.join(changed)}"
    for dep in ran.deps:
        if dep.path in stage.deps and (now := _present(here, dep.path)) != dep.md5:
            yield f"{dep.path} changed since {stage.name} ran ({briefly(now)}, then {briefly(dep.md5)})"


def _present(here: State, path: str) -> str | None:
    """The hash of an input: of the file where it is here, else what its stage or data.dvc recorded (a clone before `dvc pull`)."""
    if (here.folder / path).is_file():
        return here.md5(here.folder / path)
    if path in here.made:
        return here.made[path].md5
    return here.data.get(path)


def audited(here: State) -> Row:
    """What audit.json says was run again is what dvc.lock has, and came out the same."""
    expected = "cells that ran again gave the same"
    if not (here.folder / SOURCE).is_file():
        raise PolychromicError(f"{SOURCE}: file not found. Restore it with `git checkout {SOURCE}`.")
    document = load(here.folder / SOURCE)
    wrong = [f"{cell.stage} came out otherwise on {cell.cpu}" for cell in document.cells if not cell.equal]
    for cell in document.cells:
        if any(out.path not in here.made or here.made[out.path].md5 != out.expected for out in cell.outs):
            wrong.append(f"{cell.stage} was audited with outs that dvc.lock no longer has")
    remedy = "`polychromic audit --cell NAME` runs one again; `polychromic audit --cells 0` drops what dvc.lock no longer has."
    return row("audit", expected, f"{len(document.cells)} of {document.population}", wrong, remedy)
