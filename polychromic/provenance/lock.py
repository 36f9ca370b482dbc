"""dvc.lock and data.dvc as typed objects: what each stage read, with which parameters, and what it wrote. No import of dvc.

PyYAML's C loader reads dvc.lock in a sixth of ruamel's time. It speaks YAML 1.1, in which `1e-05` is a string and `on` a
truth value, while DVC writes YAML 1.2; hence the resolvers below.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from polychromic.base.errors import DataError, PolychromicError

LOCK, DATA = "dvc.lock", "data.dvc"
REMEDY = "Restore it with `git checkout`, or run `dvc repro`."


@dataclass(frozen=True)
class File:
    """A file or folder as DVC recorded it; `md5` of a folder ends in ".dir". None where DVC recorded none."""

    path: str
    md5: str | None
    size: int | None


@dataclass(frozen=True)
class Stage:
    """One stage as it last ran.

    Attributes:
        name: its address, such as "poly@listqa-3.0".
        params: parameter file -> key as dvc.yaml writes it ("analysis.seed") -> value; a file that is tracked whole has its
            top-level keys.
    """

    name: str
    cmd: str
    deps: tuple[File, ...] = ()
    outs: tuple[File, ...] = ()
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def out(self, path: str) -> File | None:
        """The out of this path, None where the stage has none."""
        return next((file for file in self.outs if file.path == path), None)

    def dep(self, path: str) -> File | None:
        """The dependency of this path, None where the stage has none."""
        return next((file for file in self.deps if file.path == path), None)


@dataclass(frozen=True)
class Lock:
    """All stages, in the order of the file, by address."""

    stages: dict[str, Stage]

    @classmethod
    def load(cls, folder: Path = Path(".")) -> Lock:
        """folder/dvc.lock.

        Raises:
            PolychromicError: the file does not exist.
            DataError: it is not what DVC writes.
        """
        path = folder / LOCK
        return parse_lock(_read(path), str(path))

    @cached_property
    def _producers(self) -> dict[str, Stage]:
        return {out.path: stage for stage in self.stages.values() for out in stage.outs}

    def producer(self, path: str | Path) -> Stage | None:
        """The stage that writes this file (or a folder that holds it), None for an input of the pipeline."""
        name = path if isinstance(path, str) else path.as_posix()  # a trace asks thousands of times: no pathlib here
        while name and name not in self._producers:
            name = name.rpartition("/")[0]
        return self._producers.get(name)

    def parents(self, stage: Stage) -> list[Stage]:
        """The stages whose outs `stage` reads, each once, in the order of its dependencies."""
        found = {parent.name: parent for dep in stage.deps if (parent := self.producer(dep.path))}
        return list(found.values())

    def upstream(self, stage: Stage) -> list[Stage]:
        """All stages that `stage` builds on, each after those it builds on itself; without `stage`.

        Raises:
            DataError: the stages go in a circle, which DVC never writes.
        """
        done: dict[str, Stage] = {}

        def visit(one: Stage, path: tuple[str, ...]) -> None:
            if one.name in path:
                raise DataError(LOCK, f"the stages {' -> '.join((*path, one.name))} go in a circle", "a graph without circles", REMEDY)
            if one.name not in done:
                for parent in self.parents(one):
                    visit(parent, (*path, one.name))
                done[one.name] = one

        visit(stage, ())
        del done[stage.name]
        return list(done.values())


def parse_lock(text: str, where: str = LOCK) -> Lock:
    """The text of a dvc.lock, of the working tree or of a revision (`git show REV:dvc.lock`).

    Args:
        where: what messages call it.

    Raises:
        DataError: not YAML, another schema, or a stage without its command, paths or hashes.
    """
    document = _yaml(text, where)
    schema = document.get("schema")
    if str(schema) != "2.0":
        raise DataError(where, f"schema {schema!r}", "schema '2.0', which DVC 2 and 3 write", REMEDY)
    stages = document.get("stages") or {}
    if not isinstance(stages, Mapping):
        raise DataError(where, f"stages is a {type(stages).__name__}", "a mapping of stages", REMEDY)
    return Lock({str(name): _stage(str(name), entry, where) for name, entry in stages.items()})


def data_entry(folder: Path = Path(".")) -> File:
    """The folder that folder/data.dvc pins: its path, its hash (".dir") and its size in bytes.

    Raises:
        PolychromicError: data.dvc does not exist.
        DataError: it does not name exactly one out with a hash.
    """
    path = folder / DATA
    outs = _yaml(_read(path), str(path)).get("outs")
    if not isinstance(outs, list) or len(outs) != 1:
        raise DataError(str(path), f"outs is {outs!r}"[:200], "a list of one out, with path and md5", "Make it again with `dvc add data`.")
    entry = _file(outs[0], str(path))
    if entry.md5 is None:
        raise DataError(str(path), f"{entry.path} has no md5", "path and md5", "Make it again with `dvc add data`.")
    return entry


def data_files(folder: Path = Path(".")) -> dict[str, str]:
    """The members of the folder that data.dvc pins: path, such as "data/listqa.jsonl" -> md5.

    Their list is an object of the store (store/files/md5) or of DVC's cache; the files themselves are not read.

    Raises:
        PolychromicError: data.dvc is missing, or neither place holds the list.
        DataError: data.dvc or the list is malformed.
    """
    entry = data_entry(folder)
    if not str(entry.md5).endswith(".dir"):
        return {entry.path: str(entry.md5)}
    found = stored(folder, str(entry.md5))
    if found is None:
        raise PolychromicError(
            f"{folder / DATA} names the list {entry.md5}, which is neither in store/ nor in .dvc/cache. "
            "Run `dvc pull data.dvc` to fetch it."
        )
    try:
        members = json.loads(_read(found))
        return {f"{entry.path}/{member['relpath']}": str(member["md5"]) for member in members}
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            str(found), f"not a list of files ({error!r})", "a JSON list of md5 and relpath", "Run `dvc pull data.dvc`."
        ) from None


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML 1.2 scalars, as DVC writes them."""

    yaml_implicit_resolvers: dict = {}


_FRACTION = r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_FLOAT = rf"{_FRACTION}|[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PolychromicError(f"{path}: file not found. Run in the folder that holds params.yaml and dvc.lock. {REMEDY}") from None
    except UnicodeDecodeError as error:
        raise DataError(str(path), f"not UTF-8 ({error.reason} at byte {error.start})", "what DVC writes", REMEDY) from None


def stored(folder: Path, md5: str) -> Path | None:
    """The object of this hash in the store or in DVC's cache, None where neither holds it."""
    places = (folder / root / "files" / "md5" / md5[:2] / md5[2:] for root in ("store", ".dvc/cache"))
    return next((place for place in places if place.exists()), None)


def read_yaml(path: Path) -> Mapping[str, Any]:
    """A YAML 1.2 file that holds a mapping, such as params.yaml. Raises PolychromicError when it is missing, DataError when malformed."""
    return _yaml(_read(path), str(path))


@contextmanager
def no_collection() -> Iterator[None]:
    """Reading a large file makes many objects and no garbage: looking for it takes as long as parsing."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _yaml(text: str, where: str) -> Mapping[str, Any]:
    try:
        with no_collection():
            document = yaml.load(text, _Loader)  # noqa: S506, a safe loader
    except yaml.YAMLError as error:
        raise DataError(where, f"not YAML ({' '.join(str(error).split())[:200]})", "what DVC writes", REMEDY) from None
    if not isinstance(document, Mapping):
        raise DataError(where, f"a YAML {type(document).__name__}", "what DVC writes, a mapping", REMEDY)
    return document


def _stage(name: str, entry: Any, where: str) -> Stage:
    where = f"{where}: stage {name}"
    if not isinstance(entry, Mapping) or not isinstance(entry.get("cmd"), str | list):
        raise DataError(where, f"{entry!r}"[:200], "a mapping with cmd, deps, params and outs", REMEDY)
    cmd, params = entry["cmd"], entry.get("params") or {}
    if not isinstance(params, Mapping) or not all(isinstance(values, Mapping) for values in params.values()):
        raise DataError(where, "params is not a mapping of mappings", "parameter file -> key -> value", REMEDY)
    files = {}
    for kind in ("deps", "outs"):
        if not isinstance(entry.get(kind) or [], list):
            raise DataError(where, f"{kind} is a {type(entry[kind]).__name__}", "a list of path, md5 and size", REMEDY)
        files[kind] = tuple(_file(item, where) for item in entry.get(kind) or [])
    return Stage(name, cmd if isinstance(cmd, str) else " && ".join(map(str, cmd)), files["deps"], files["outs"], params)


def _file(item: Any, where: str) -> File:
    if not isinstance(item, Mapping) or not isinstance(item.get("path"), str):
        raise DataError(where, f"{item!r}"[:200], "a mapping with path, md5 and size", REMEDY)
    md5, size = item.get("md5"), item.get("size")
    if not isinstance(md5, str | None) or not isinstance(size, int | None):
        raise DataError(where, f"{item['path']} has md5 {md5!r} and size {size!r}", "md5 a text, size a whole number", REMEDY)
    return File(item["path"], md5, size)
