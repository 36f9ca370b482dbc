"""A workspace as its lock, records, text and declared stages say it is, each part read when it is first asked for; and what a value
rests on there: data, parameters and code of all stages from the inputs to its record, as three short hashes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polychromic.base import paths
from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import dumps
from polychromic.provenance.commit import git, is_repository
from polychromic.provenance.lock import Entry, File, Lock, data_files, md5_of, read_yaml, stored
from polychromic.provenance.manuscript import Manuscript
from polychromic.provenance.records import load_records

if TYPE_CHECKING:  # they read params.yaml by pydantic, for which `polychromic trace` has no time
    from polychromic.params import Params
    from polychromic.pipeline.stages import Stage
    from polychromic.report.records import Number

SHORT = 8  # digits of a hash
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?")


@dataclass(frozen=True)
class Workspace:
    """What lies in `folder`."""

    folder: Path = Path(".")

    @cached_property
    def lock(self) -> Lock:
        return Lock.load(self.folder)

    @cached_property
    def records(self) -> dict[str, Number]:
        return load_records(self.folder, self.lock)

    @cached_property
    def manuscript(self) -> Manuscript:
        return Manuscript.load(self.folder)

    @cached_property
    def params(self) -> Params:
        from polychromic.params import load_params

        return load_params(self.folder / paths.PARAMS)

    @cached_property
    def data(self) -> dict[str, str]:
        """Members of data.dvc; empty where its list is not here."""
        with suppress(PolychromicError):
            return data_files(self.folder)
        return {}

    @cached_property
    def stages(self) -> Mapping[str, Stage]:
        """What params.yaml and the text declare."""
        from polychromic.pipeline.stages import stages

        return stages(self.folder)

    @cached_property
    def ran(self) -> list[Stage]:
        """Those of them that dvc.lock has."""
        return [stage for name, stage in self.stages.items() if name in self.lock.stages]

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """Of dvc.lock, those that count: of declared stages, and of cells at another lambda, as `dvc exp run -S lambda=0.5` leaves them."""
        grids = {stage.name.removesuffix(stage.axes["lam"]) for stage in self.stages.values() if "lam" in stage.axes}
        at_weight = lambda name: any(name.startswith(grid) and NUMBER.fullmatch(name.removeprefix(grid)) for grid in grids)
        return {name: entry for name, entry in self.lock.stages.items() if name in self.stages or at_weight(name)}

    @cached_property
    def made(self) -> Mapping[str, File]:
        """Every out of these, by path."""
        return {out.path: out for entry in self.entries.values() for out in entry.outs}

    @cached_property
    def cached(self) -> Mapping[str, File]:
        """The outs that DVC keeps, and so the store; those of another lambda, too."""
        exempt = {path for stage in self.stages.values() for path, kept in stage.outs.items() if not kept}
        return {path: out for path, out in self.made.items() if path not in exempt}

    @cached_property
    def history(self) -> str:
        """ "" where Git's whole history is here, else why it is not."""
        if not is_repository(self.folder):
            return "no history (no Git repository)"
        return "no history (shallow clone)" if git(self.folder, "rev-parse", "--is-shallow-repository").strip() == "true" else ""

    @cached_property
    def md5(self) -> Callable[[Path], str]:
        """The hash of a file or folder that is here, computed once."""
        return cache(md5_of)

    @cached_property
    def _parameters(self) -> Callable[[str], Mapping[str, Any]]:
        return cache(lambda file: read_yaml(self.folder / file))

    def _values(self, stage: Stage) -> dict[str, dict[str, Any]]:
        """The stage's parameters by file, as they lie here."""
        return {file: values_of(self._parameters(file), keys, file) for file, keys in stage.params.items()}

    def place(self, file: File) -> Path | None:
        """Where the file's bytes are: in the workspace, or in the store as dvc.lock records them."""
        path = self.folder / file.path
        return path if path.is_file() else stored(self.folder, file.md5)

    def result(self, path: str) -> Path:
        """Where a result is, here or in the store. Raises PolychromicError where it is in neither."""
        if place := self.place(self.made.get(path) or File(path, self.data.get(path))):
            return place
        raise PolychromicError(f"{path}: neither here nor in store/. Run `dvc pull`, or `dvc repro`.")

    def stale(self, stage: Stage) -> Iterator[str]:
        """How a stage that ran differs from what would run now: command, names of inputs and outputs, bytes of inputs."""
        ran = self.lock.stages[stage.name]
        if stage.cmd != ran.cmd:
            yield f"{stage.name} ran as `{ran.cmd}`"
        for what, now, then in (("input", stage.deps, ran.deps), ("output", stage.outs, ran.outs)):
            if changed := sorted(set(now) ^ {file.path for file in then}):
                yield f"{stage.name} ran with other {what}s: {', '.join(changed)}"
        for dep in ran.deps:
            if dep.path in stage.deps and (now := self._present(dep.path)) != dep.md5:
                yield f"{dep.path} changed since {stage.name} ran ({briefly(now)}, then {briefly(dep.md5)})"

    def _present(self, path: str) -> str | None:
        """The hash of an input: of the file where it is here, else what its stage or data.dvc recorded (a clone before `dvc pull`)."""
        if (self.folder / path).exists():
            return self.md5(self.folder / path)
        return self.made[path].md5 if path in self.made else self.data.get(path)

    def changed_parameters(self, stage: Stage) -> Iterator[tuple[str, str, Any, Any]]:
        """(file, dotted key, value here, value that dvc.lock records) of each parameter of a stage that ran where these differ."""
        recorded = self.lock.stages[stage.name].params
        for file, values in self._values(stage).items():
            for key, now, then in _differences(values, recorded.get(file, {})):
                yield file, key, now, then

    @cached_property
    def declared(self) -> Lock:
        """The declared stages as entries without hashes and parameters: who reads what, and who makes it."""
        bare = lambda names: tuple(File(path, None) for path in sorted(names))
        return Lock({name: Entry(name, stage.cmd, bare(stage.deps), bare(stage.outs)) for name, stage in sorted(self.stages.items())})

    def as_locked(self) -> Lock:
        """The lock that DVC would write if all were up to date: declared stages with the hashes of the inputs that no stage makes.

        The appendix prints hashes, and is itself an output that dvc.lock records: it cannot read dvc.lock. When the pipeline is up to
        date, these are the values there, and `trace`, which reads it, shows the same digits. Raises PolychromicError: an input is
        missing, or a parameter that a stage names.
        """
        hashed = lambda dep: dep if self.declared.makers(dep.path) else File(dep.path, self.md5(self.folder / dep.path))
        filled = lambda one: replace(one, deps=tuple(map(hashed, one.deps)), params=self._values(self.stages[one.name]))
        return Lock({name: filled(entry) for name, entry in self.declared.stages.items()})


def values_of(document: Mapping[str, Any], keys: Sequence[str], where: str) -> dict[str, Any]:
    """The values of dotted keys, as dvc.lock holds them; no key is the whole file. Raises DataError for a key that is not there."""
    found = {}
    for key in keys:
        place: Any = document
        try:
            for part in key.split("."):
                place = place[part]
        except (KeyError, TypeError):
            raise DataError(where, f"no key {key!r}", "the keys that dvc.yaml names under params", "Add the key to the file.") from None
        found[key] = place
    return found if keys else dict(document)


def _differences(now: Any, then: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(dotted key, one, other) where two documents differ, as deep as both are mappings."""
    if isinstance(now, Mapping) and isinstance(then, Mapping):
        for name in sorted({*now, *then}, key=str):
            yield from _differences(now.get(name), then.get(name), f"{key}.{name}".removeprefix("."))
    elif dumps(now) != dumps(then):
        yield key, now, then


def briefly(md5: str | None) -> str:
    return (md5 or "none")[:SHORT]


@dataclass(frozen=True)
class Evidence:
    """The inputs of a value."""

    stages: tuple[Entry, ...]  # that ran for it, inputs first; the last one made its record
    data: tuple[File, ...]  # what it was computed from that no stage makes: curated data, timings or simulations of benchmarks/
    code: tuple[File, ...]  # the modules and package files that these stages declare, and the pinned versions where they do
    params_hash: str  # first digits of one md5 over the stages' commands and parameters
    code_hash: str  # and over paths and hashes of `code`

    def data_text(self) -> str:
        """ "listqa.jsonl a1dd6874", several joined by commas; "" where no data are behind the value, as for a parameter."""
        return ", ".join(f"{file.path.rpartition('/')[2]} {(file.md5 or '?')[:SHORT]}" for file in self.data)


def is_code(path: str) -> bool:
    """Whether an input that no stage makes is code (or a package file, or the pins), not data."""
    return path.split("/")[0] == "polychromic" or path.endswith((".py", ".lock", ".yaml"))


def evidence(lock: Lock, maker: Entry | None, sources: Iterable[str]) -> Evidence:
    """What a record rests on; of dvc.lock for `trace`, of Workspace.as_locked for the appendix. It reads no file.

    Args:
        maker: the stage that wrote the record; its code and parameters count. None for a record that no stage makes.
        sources: the files that the record names. One that a stage made counts with everything that this stage is built on; of
            `maker`'s other inputs only code counts: a cost that was read from timings does not rest on the scores beside them.
    """
    chain: dict[str, Entry] = {}
    data: dict[str, File] = {}
    for path in sources:
        if producer := lock.producer(path):
            chain |= {stage.name: stage for stage in [*lock.upstream(producer), producer]}
        elif maker and (given := maker.dep(path)) and not is_code(path):
            data[given.path] = given
    stages = list((chain | ({maker.name: maker} if maker else {})).values())
    inputs = [(stage, dep) for stage in stages for dep in stage.deps if not lock.makers(dep.path)]
    code = {dep.path: dep for _, dep in inputs if is_code(dep.path)}
    data |= {dep.path: dep for stage, dep in inputs if stage.name in chain and not is_code(dep.path)}
    ordered = lambda files: tuple(files[path] for path in sorted(files))
    said = {stage.name: [stage.cmd, {file: dict(values) for file, values in stage.params.items()}] for stage in stages}
    hashes = [_digest(value) if value else "" for value in (said, [[path, code[path].md5] for path in sorted(code)])]
    return Evidence(tuple(stages), ordered(data), ordered(code), *hashes)


def _digest(value: object) -> str:
    return hashlib.md5(dumps(value).encode(), usedforsecurity=False).hexdigest()[:SHORT]
