"""A workspace as its lock, records, text and declared stages say it is, each part read when it is first asked for; and what a value
rests on there: data, parameters and code of all stages from the inputs to its record, as three short hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polychromic.base import paths
from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import dumps
from polychromic.provenance.lock import SHORT, Entry, Files, Lock, briefly, data_files, md5_of, read_yaml, stored
from polychromic.provenance.manuscript import Manuscript
from polychromic.provenance.records import load_records, shortened

if TYPE_CHECKING:  # they read params.yaml by pydantic, for which `polychromic trace` has no time
    from polychromic.params import Params
    from polychromic.pipeline.stages import Stage

RECORDS = paths.NUMBERS.as_posix()


@dataclass(frozen=True)
class Workspace:
    """What lies in `folder`."""

    folder: Path = Path(".")

    lock = cached_property(lambda self: Lock.load(self.folder))
    records = cached_property(lambda self: load_records(self.result(RECORDS)))
    manuscript = cached_property(lambda self: Manuscript.load(self.folder))
    data = cached_property(lambda self: data_files(self.folder))
    md5 = cached_property(lambda self: cache(md5_of))  # the hash of a file or folder that is here, computed once
    _parameters = cached_property(lambda self: cache(lambda file: read_yaml(self.folder / file)))

    @cached_property
    def params(self) -> Params:
        from polychromic.params import load_params

        return load_params(self.folder / paths.PARAMS)

    @cached_property
    def stages(self) -> Mapping[str, Stage]:
        """What params.yaml and the text declare."""
        from polychromic.pipeline.stages import stages

        return stages(self.folder)

    @cached_property
    def ran(self) -> list[Stage]:
        """Those of them that dvc.lock has."""
        return [stage for name, stage in self.stages.items() if name in self.lock.stages]

    def _values(self, stage: Stage) -> dict[str, dict[str, Any]]:
        """The stage's parameters by file, as they lie here."""
        return {file: values_of(self._parameters(file), keys, file) for file, keys in stage.params.items()}

    def place(self, path: str, md5: str | None = None) -> Path | None:
        """Where a file's bytes are: in the workspace, or in the store by `md5`, else by the hash that dvc.lock records."""
        here = self.folder / path
        return here if here.is_file() else stored(self.folder, md5 or self.lock.files.get(path))

    def result(self, path: str) -> Path:
        """The same; raises PolychromicError where it is in neither."""
        if place := self.place(path):
            return place
        raise PolychromicError(f"{path}: neither here nor in store/. Run `dvc pull`, or `dvc repro`.")

    def stale(self, stage: Stage) -> Iterator[str]:
        """How a stage that ran differs from what would run now: command, names of inputs and outputs, bytes of inputs, parameters."""
        ran = self.lock.stages[stage.name]
        if stage.cmd != ran.cmd:
            yield f"{stage.name} ran as `{ran.cmd}`"
        for what, now, then in (("input", stage.deps, ran.deps), ("output", stage.outs, ran.outs)):
            if changed := sorted({*now} ^ {*then}):
                yield f"{stage.name} ran with other {what}s: {', '.join(changed)}"
        for path, then in ran.deps.items():
            if path in stage.deps and (now := self._present(path)) != then:
                yield f"{path} changed since {stage.name} ran ({briefly(now)}, then {briefly(then)})"
        for file, values in self._values(stage).items():
            for key, now, then in _differences(values, ran.params.get(file, {})):
                yield f"{file}: {key} is {shortened(dumps(now))}, {stage.name} ran with {shortened(dumps(then))}"

    def _present(self, path: str) -> str | None:
        """The hash of an input: of the file where it is here, else what its stage or data.dvc recorded (a clone before `dvc pull`)."""
        if (self.folder / path).exists():
            return self.md5(self.folder / path)
        return self.lock.outs[path] if path in self.lock.outs else self.data.get(path)

    def as_locked(self) -> Lock:
        """The lock that DVC would write if all were up to date: declared stages with the hashes of the inputs that no stage makes.

        The appendix prints hashes, and is itself an output that dvc.lock records: it cannot read dvc.lock. When the pipeline is up to
        date, these are the values there, and `trace`, which reads it, shows the same digits. Raises PolychromicError: an input is
        missing, or a parameter that a stage names.
        """
        made = Lock({name: Entry(name, one.cmd, outs=dict.fromkeys(sorted(one.outs))) for name, one in sorted(self.stages.items())})
        hashed = lambda path: None if made.makers(path) else self.md5(self.folder / path)
        deps = lambda name: {path: hashed(path) for path in sorted(self.stages[name].deps)}
        return Lock({name: Entry(name, one.cmd, deps(name), one.outs, self._values(self.stages[name])) for name, one in made.stages.items()})


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


@dataclass(frozen=True)
class Evidence:
    """The inputs of a value."""

    stages: tuple[Entry, ...]  # that ran for it, inputs first; the last one made its record
    data: Files  # what it was computed from that no stage makes: curated data, timings or simulations of benchmarks/
    code: Files  # the modules and package files that these stages declare, and the pinned versions where they do
    params_hash: str  # first digits of one md5 over the stages' commands and parameters
    code_hash: str  # and over paths and hashes of `code`


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
    data: dict[str, str | None] = {}
    for path in sources:
        if producer := lock.producers.get(path):
            chain |= {stage.name: stage for stage in lock.upstream(producer)}
        elif maker and (given := maker.dep(path)) and not is_code(given):
            data[given] = maker.deps[given]
    stages = list((chain | ({maker.name: maker} if maker else {})).values())
    inputs = [(stage, path, md5) for stage in stages for path, md5 in stage.deps.items() if not lock.makers(path)]
    code = {path: md5 for _, path, md5 in sorted(inputs, key=lambda one: one[1]) if is_code(path)}
    data |= {path: md5 for stage, path, md5 in inputs if stage.name in chain and not is_code(path)}
    said = {stage.name: [stage.cmd, {file: dict(values) for file, values in stage.params.items()}] for stage in stages}
    digest = lambda value: hashlib.md5(dumps(value).encode(), usedforsecurity=False).hexdigest()[:SHORT] if value else ""
    return Evidence(tuple(stages), dict(sorted(data.items())), code, digest(said), digest([*map(list, code.items())]))
