"""dvc.lock and data.dvc as typed objects: what each stage read, with which parameters, and what it wrote. No import of dvc.

PyYAML's C loader reads dvc.lock in a tenth of ruamel's time, but speaks YAML 1.1, in which `1e-05` is a string and `on` a truth value,
while DVC writes YAML 1.2; hence the resolvers below.
"""

from __future__ import annotations

import hashlib
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
IGNORED = ("__pycache__", ".pyc")  # of .dvcignore: no part of a folder's hash


@dataclass(frozen=True)
class File:
    """A file or folder as DVC recorded it; `md5` of a folder ends in ".dir". None where DVC recorded none."""

    path: str
    md5: str | None


@dataclass(frozen=True)
class Entry:
    """A stage as it last ran. params: parameter file -> key as dvc.yaml writes it ("analysis.seed") -> value; a file that is tracked
    whole has its top-level keys."""

    name: str
    cmd: str
    deps: tuple[File, ...] = ()
    outs: tuple[File, ...] = ()
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def out(self, path: str) -> File | None:
        """The out of this path, None where the stage has none."""
        return next((file for file in self.outs if file.path == path), None)

    def dep(self, path: str) -> File | None:
        """The dependency that is this path or a folder that holds it, None where the stage has none."""
        return next((file for file in self.deps if path == file.path or path.startswith(f"{file.path}/")), None)


@dataclass(frozen=True)
class Lock:
    """All stages that ran, in the order of the file, by address."""

    stages: dict[str, Entry]

    @classmethod
    def load(cls, folder: Path = Path(".")) -> Lock:
        """folder/dvc.lock. Raises PolychromicError where it does not exist, DataError where it is not what DVC writes."""
        document, where = read_yaml(folder / LOCK), str(folder / LOCK)
        with _as_dvc_writes(where, "schema '2.0', as DVC 2 and 3 write it, and a mapping of stages"):
            if str(document["schema"]) != "2.0":
                raise ValueError(f"schema {document['schema']!r}")
            return cls({str(name): _entry(str(name), entry, where) for name, entry in dict(document["stages"] or {}).items()})

    @cached_property
    def _producers(self) -> dict[str, Entry]:
        return {out.path: stage for stage in self.stages.values() for out in stage.outs}

    def producer(self, path: str) -> Entry | None:
        """The stage that writes this file (or a folder that holds it), None for an input of the pipeline."""
        while path and path not in self._producers:
            path = path.rpartition("/")[0]
        return self._producers.get(path)

    def makers(self, path: str) -> list[Entry]:
        """The stage that writes this file, or all that write into this folder; none for an input of the pipeline."""
        if one := self.producer(path):
            return [one]
        return list({stage.name: stage for out, stage in self._producers.items() if out.startswith(f"{path}/")}.values())

    def upstream(self, stage: Entry) -> list[Entry]:
        """All stages that `stage` builds on, each after those it builds on itself; without `stage`."""
        seen, order = set(), []

        def visit(one: Entry) -> None:
            if one.name not in seen:
                seen.add(one.name)
                for dep in one.deps:
                    for parent in self.makers(dep.path):
                        visit(parent)
                order.append(one)

        visit(stage)
        return order[:-1]


def _entry(name: str, entry: Mapping[str, Any], where: str) -> Entry:
    with _as_dvc_writes(f"{where}: stage {name}", "cmd, deps and outs (lists of path and md5), params (file -> key -> value)"):
        cmd = entry["cmd"] if isinstance(entry["cmd"], str) else " && ".join(entry["cmd"])
        deps, outs = (tuple(map(_file, entry.get(kind) or ())) for kind in ("deps", "outs"))
        return Entry(name, cmd, deps, outs, {file: dict(values) for file, values in (entry.get("params") or {}).items()})


def _file(item: Mapping[str, Any]) -> File:
    file = File(item["path"], item.get("md5"))
    if not isinstance(file.path, str) or not isinstance(file.md5, str | None):
        raise TypeError(f"{item!r} is no file")
    return file


def data_entry(folder: Path = Path(".")) -> File:
    """The folder that folder/data.dvc pins, with its hash (".dir"). Raises PolychromicError (missing), DataError (malformed)."""
    document = read_yaml(folder / DATA)
    with _as_dvc_writes(str(folder / DATA), "a list of one out, with path and md5", "Make it again with `dvc add data`."):
        (out,) = document["outs"]
        return _file({"path": out["path"], "md5": out["md5"]})


def data_files(folder: Path = Path(".")) -> dict[str, str]:
    """The members of the folder that data.dvc pins, path -> md5; their list is an object of the store or of DVC's cache.

    Raises:
        PolychromicError: data.dvc is missing, or neither place holds the list.
        DataError: data.dvc or the list is malformed.
    """
    entry = data_entry(folder)
    if not (found := stored(folder, entry.md5)):
        where = f"{folder / DATA} names the list {entry.md5}, which is neither in store/ nor in .dvc/cache."
        raise PolychromicError(f"{where} Run `dvc pull data.dvc` to fetch it.")
    with _as_dvc_writes(str(found), "a JSON list of md5 and relpath", "Run `dvc pull data.dvc`."):
        return {f"{entry.path}/{member['relpath']}": str(member["md5"]) for member in json.loads(found.read_text(encoding="utf-8"))}


def stored(folder: Path, md5: str | None) -> Path | None:
    """The object of this hash in the store or in DVC's cache, None where neither holds it."""
    places = (folder / root / "files" / "md5" / md5[:2] / md5[2:] for root in ("store", ".dvc/cache")) if md5 else ()
    return next((place for place in places if place.exists()), None)


def md5_of(path: Path) -> str:
    """As DVC hashes a file, or a folder: the list of its files' hashes, in the order of their paths. Raises PolychromicError: not there."""
    if path.is_dir():
        names = sorted(child.relative_to(path).as_posix() for child in path.rglob("*") if child.is_file())
        rows = [{"md5": md5_of(path / name), "relpath": name} for name in names if not any(part in name for part in IGNORED)]
        return hashlib.md5(json.dumps(rows, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except FileNotFoundError:
        raise PolychromicError(f"{path}: file not found. A stage of dvc.yaml names it; run `dvc pull`, or `dvc repro`.") from None


def read_yaml(path: Path) -> Mapping[str, Any]:
    """A YAML 1.2 file that holds a mapping, such as params.yaml. Raises PolychromicError when it is missing, DataError when malformed."""
    if not path.is_file():
        raise PolychromicError(f"{path}: file not found. Run in the folder that holds params.yaml and dvc.lock. {REMEDY}")
    with _as_dvc_writes(str(path), "a YAML mapping"):
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506, a safe loader
        if not isinstance(document, Mapping):
            raise TypeError(f"a {type(document).__name__}")
        return document


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML 1.2 scalars, as DVC writes them."""

    yaml_implicit_resolvers: dict = {}


_FRACTION = r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", rf"{_FRACTION}|[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))


@contextmanager
def _as_dvc_writes(where: str, allowed: str, remedy: str = REMEDY) -> Iterator[None]:
    """Turn what reading a malformed document raises into a DataError."""
    try:
        yield
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        what = "not YAML" if isinstance(error, yaml.YAMLError) else "not what DVC writes"
        raise DataError(where, f"{what} ({' '.join(str(error).split())[:200]})", allowed, remedy) from None
