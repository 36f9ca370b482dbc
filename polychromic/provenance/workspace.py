"""A workspace as its lock, records, text and declared stages say it is; and what a value rests on there: data, parameters and code."""

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
from polychromic.provenance.lock import SHORT, Entry, Lock, briefly, data_files, md5_of, read_yaml, stored
from polychromic.provenance.printed import Manuscript, load_records, shortened

if TYPE_CHECKING:  # they read params.yaml by pydantic, for which `polychromic trace` has no time
    from polychromic.params import Params
    from polychromic.pipeline.stages import Stage

RECORDS = paths.NUMBERS.as_posix()


@dataclass(frozen=True)
class Workspace:
    """What lies in `folder`, each part read when it is first asked for."""

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
        """How a stage that ran differs from what would run now, in command, names of files, bytes of inputs and parameters."""
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

    def as_locked(self, files: Iterable[str] | None = None) -> Lock:
        """Declared stages with the hashes of the inputs that no stage makes, as dvc.lock has them when all is up to date; what dvc.lock
        records, such as the appendix, cannot read it. files: hashes of what these are built on alone; None stands for all stages'.

        Raises PolychromicError: an input is missing, or a parameter that a stage names."""
        bare = lambda stage: Entry(stage.name, stage.cmd, *map(dict.fromkeys, map(sorted, (stage.deps, stage.outs))), self._values(stage))
        lock = Lock({name: bare(stage) for name, stage in sorted(self.stages.items())})
        made = lock.producers if files is None else {path: lock.producers[path] for path in files if path in lock.producers}
        for entry in {stage.name: stage for maker in made.values() for stage in lock.upstream(maker).values()}.values():
            for path in entry.deps:
                entry.deps[path] = None if lock.makers(path) else self.md5(self.folder / path)
        return lock


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


def is_code(path: str) -> bool:
    """Whether an input that no stage makes is code (or a package file, or the pins), not data."""
    return path.split("/")[0] == "polychromic" or path.endswith((".py", ".lock", ".yaml"))


def evidence(lock: Lock, maker: Entry | None, sources: Iterable[str]) -> dict[str, Any]:
    """What a record rests on, by dvc.lock for `trace`, by Workspace.as_locked for the appendix. It reads no file.

    Args:
        maker: the stage that wrote the record, if any; its code and parameters count.
        sources: the files that the record names. One that a stage made counts with everything that this stage is built on; of
            `maker`'s other inputs only code counts: a cost that was read from timings does not rest on the scores beside them.

    Returns "stages": the entries that ran for it, inputs first; "data" and "code" (with package files): inputs that no stage makes, path ->
    md5; "params_hash" and "code_hash": digits of an md5 over the stages' commands and parameters, and over "code"; "" over nothing.
    """
    chain: dict[str, Entry] = {}
    data: dict[str, str | None] = {}
    for path in sources:
        if producer := lock.producers.get(path):
            chain |= lock.upstream(producer)
        elif maker and (given := maker.dep(path)) and not is_code(given):
            data[given] = maker.deps[given]
    stages = list((chain | ({maker.name: maker} if maker else {})).values())
    inputs = sorted((path, stage.name, md5) for stage in stages for path, md5 in stage.deps.items() if not lock.makers(path))
    code = {path: md5 for path, _, md5 in inputs if is_code(path)}
    data |= {path: md5 for path, name, md5 in inputs if name in chain and not is_code(path)}
    said = {stage.name: [stage.cmd, {file: dict(values) for file, values in stage.params.items()}] for stage in stages}
    digest = lambda value: hashlib.md5(dumps(value).encode(), usedforsecurity=False).hexdigest()[:SHORT] if value else ""
    hashes = {"params_hash": digest(said), "code_hash": digest([*map(list, code.items())])}
    return {"stages": stages, "data": dict(sorted(data.items())), "code": code} | hashes
