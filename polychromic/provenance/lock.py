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
SHORT = 8  # digits of a hash, as people read it
Files = Mapping[str, str | None]  # path -> md5 as DVC recorded it: that of a folder ends in ".dir"; None where it recorded none


@dataclass(frozen=True)
class Entry:
    """A stage as it last ran. params: parameter file -> key as dvc.yaml writes it ("analysis.seed") -> value; a file that is tracked
    whole has its top-level keys."""

    name: str
    cmd: str
    deps: Files = field(default_factory=dict)
    outs: Files = field(default_factory=dict)
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def dep(self, path: str) -> str | None:
        """The dependency that is this path or a folder that holds it, None where the stage has none."""
        return next((dep for dep in self.deps if path == dep or path.startswith(f"{dep}/")), None)


@dataclass(frozen=True)
class Lock:
    """All stages that ran, in the order of the file, by address."""

    stages: dict[str, Entry]

    @classmethod
    def load(cls, folder: Path = Path(".")) -> Lock:
        """folder/dvc.lock. Raises PolychromicError where it does not exist, DataError where it is not what DVC writes."""
        document = read_yaml(folder / LOCK)
        allowed = "schema '2.0' and a mapping of stages: cmd, deps and outs (lists of path and md5), params (file -> key -> value)"
        with _as_dvc_writes(folder / LOCK, allowed):
            if str(document["schema"]) != "2.0":
                raise ValueError(f"schema {document['schema']!r}")
            return cls({name: _entry(name, entry) for name, entry in dict(document["stages"] or {}).items()})

    @cached_property
    def producers(self) -> dict[str, Entry]:
        """The stage that writes a file, by the file's path."""
        return {path: stage for stage in self.stages.values() for path in stage.outs}

    @cached_property
    def outs(self) -> dict[str, str | None]:
        """The hash of every out, by path."""
        return {path: stage.outs[path] for path, stage in self.producers.items()}

    @cached_property
    def files(self) -> dict[str, str | None]:
        """The hash of every file that a stage wrote or else read, by path."""
        return {path: md5 for stage in self.stages.values() for path, md5 in stage.deps.items()} | self.outs

    def makers(self, path: str) -> list[Entry]:
        """The stage that writes this file, or all that write into this folder; none for an input of the pipeline."""
        inside = [self.producers[path]] if path in self.producers else [self.producers[out] for out in self.outs if out.startswith(f"{path}/")]
        return list({stage.name: stage for stage in inside}.values())

    def upstream(self, stage: Entry) -> list[Entry]:
        """All stages that `stage` builds on, each after those it builds on itself; `stage` is the last."""
        seen, order = set(), []

        def visit(one: Entry) -> None:
            if one.name not in seen:
                seen.add(one.name)
                for dep in one.deps:
                    for parent in self.makers(dep):
                        visit(parent)
                order.append(one)

        visit(stage)
        return order


def _entry(name: str, entry: Mapping[str, Any]) -> Entry:
    deps, outs = ({file["path"]: file.get("md5") for file in entry.get(kind) or ()} for kind in ("deps", "outs"))
    cmd = entry["cmd"] if isinstance(entry["cmd"], str) else " && ".join(entry["cmd"])
    return Entry(name, cmd, deps, outs, {file: dict(values) for file, values in (entry.get("params") or {}).items()})


def data_files(folder: Path = Path(".")) -> dict[str, str]:
    """The folder that folder/data.dvc pins, then its members, path -> md5; their list is an object of the store or of DVC's cache.

    Raises:
        PolychromicError: data.dvc is missing, or neither place holds the list.
        DataError: data.dvc or the list is malformed.
    """
    document = read_yaml(folder / DATA)
    with _as_dvc_writes(folder / DATA, "a list of one out, with path and md5, and its list of md5 and relpath", "Run `dvc pull data.dvc`."):
        (out,) = document["outs"]
        root, md5 = str(out["path"]), str(out["md5"])
        if not (found := stored(folder, md5)):
            where = f"{folder / DATA} names the list {md5}, which is neither in store/ nor in .dvc/cache."
            raise PolychromicError(f"{where} Run `dvc pull data.dvc` to fetch it.")
        members = json.loads(found.read_text(encoding="utf-8"))
        return {root: md5} | {f"{root}/{member['relpath']}": str(member["md5"]) for member in members}


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


def briefly(md5: str | None) -> str:
    return (md5 or "none")[:SHORT]


def read_yaml(path: Path) -> Mapping[str, Any]:
    """A YAML 1.2 file that holds a mapping, such as params.yaml. Raises PolychromicError when it is missing, DataError when malformed."""
    if not path.is_file():
        raise PolychromicError(f"{path}: file not found. Run in the folder that holds params.yaml and dvc.lock. {REMEDY}")
    with _as_dvc_writes(path, "a YAML mapping"):
        return dict(yaml.load(path.read_text(encoding="utf-8"), _Loader))  # noqa: S506, a safe loader


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML 1.2 scalars, as DVC writes them."""

    yaml_implicit_resolvers: dict = {}


for _tag, _pattern in (
    ("bool", r"true|True|TRUE|false|False|FALSE"),
    ("int", r"[-+]?[0-9]+"),
    ("float", r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"),
    ("null", r"~|null|Null|NULL|"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), None)


@contextmanager
def _as_dvc_writes(where: Path, allowed: str, remedy: str = REMEDY) -> Iterator[None]:
    """Turn what reading a malformed document raises into a DataError."""
    try:
        yield
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        what = "not YAML" if isinstance(error, yaml.YAMLError) else "not what DVC writes"
        raise DataError(str(where), f"{what} ({' '.join(str(error).split())[:200]})", allowed, remedy) from None
