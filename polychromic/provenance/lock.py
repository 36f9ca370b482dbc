"""dvc.lock and data.dvc as typed objects: what each stage read, with which parameters, and what it wrote. No import of dvc."""

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

from polychromic.base.drafts import DRAFT
from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import read_text

LOCK, DATA = "dvc.lock", "data.dvc"
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
        document, found = read_yaml(folder / LOCK), {}
        with _as_dvc_writes(folder / LOCK, "schema '2.0', stages: cmd, deps and outs (lists of path, md5), params (file -> key -> value)"):
            if str(document["schema"]) != "2.0":
                raise ValueError(f"schema {document['schema']!r}")
            for name, entry in dict(document["stages"] or {}).items():
                files = [{file["path"]: file.get("md5") for file in entry.get(kind) or ()} for kind in ("deps", "outs")]
                params = {file: dict(values) for file, values in (entry.get("params") or {}).items()}
                found[name] = Entry(name, entry["cmd"], *files, params)
        return cls(found)

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
        outs = [path] if path in self.producers else [out for out in self.producers if out.startswith(f"{path}/")]
        return list({self.producers[out].name: self.producers[out] for out in outs}.values())

    def upstream(self, stage: Entry, found: dict[str, Entry] | None = None) -> dict[str, Entry]:
        """All stages that `stage` builds on by name, each after those it builds on itself; `stage` is the last. found: those before."""
        found = {} if found is None else found
        if stage.name not in found:
            found[stage.name] = stage
            for parent in (parent for dep in stage.deps for parent in self.makers(dep)):
                self.upstream(parent, found)
            found[stage.name] = found.pop(stage.name)
        return found


def data_files(folder: Path = Path(".")) -> dict[str, str]:
    """The folder that folder/data.dvc pins, then its members, path -> md5; their list is an object of the store or of DVC's cache.
    Raises PolychromicError (data.dvc or the list is missing), DataError (malformed)."""
    document = read_yaml(folder / DATA)
    with _as_dvc_writes(folder / DATA, "one out with path and md5, and for it a JSON list of md5 and relpath"):
        (out,) = document["outs"]
        root, md5 = str(out["path"]), str(out["md5"])
        if not (found := stored(folder, md5)):
            raise PolychromicError(f"{folder / DATA}: its list {md5} is neither in store/ nor in .dvc/cache. Run `dvc pull data.dvc`.")
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
        ignored = lambda name: any(part in f"/{name}" for part in ("__pycache__", ".pyc", f"/{DRAFT}"))  # by .dvcignore
        rows = [{"md5": md5_of(path / name), "relpath": name} for name in names if not ignored(name)]
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
        raise PolychromicError(f"{path}: file not found. Run in the folder that holds params.yaml and dvc.lock, or run `dvc repro`.")
    with _as_dvc_writes(path, "a YAML mapping"):
        return dict(yaml.load(read_text(path), _Loader))  # noqa: S506, a safe loader


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML 1.2 scalars, as DVC writes them: in PyYAML's 1.1 `1e-05` is a string and `on` a truth value. ruamel takes ten times as long."""

    yaml_implicit_resolvers: dict = {}


for _tag, _pattern in (
    ("bool", r"true|True|TRUE|false|False|FALSE"),
    ("int", r"[-+]?[0-9]+"),
    ("float", r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"),
    ("null", r"~|null|Null|NULL|"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), None)


@contextmanager
def _as_dvc_writes(where: Path, allowed: str) -> Iterator[None]:
    """Turn what reading a malformed document raises into a DataError."""
    try:
        yield
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError, RecursionError, OverflowError) as error:
        said = f"not what DVC writes ({' '.join(str(error).split())[:200]})"
        raise DataError(str(where), said, allowed, "Restore it with `git checkout`, or run `dvc repro`.") from None
