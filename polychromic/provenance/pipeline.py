"""The lock that DVC would write if all were up to date: dvc.yaml's stages with the hashes of the inputs that lie here.

The provenance appendix prints hashes, and is itself an output that dvc.lock records: it cannot read dvc.lock. So the stage
`provenance` asks DVC for the stages of dvc.yaml (templates filled in by DVC itself), hashes the files that no stage makes
(code, data, timings), and reads the parameter files. When the pipeline is up to date, these hashes and values are the ones that
dvc.lock holds, and `trace`, which reads dvc.lock, shows the same digits (polychromic.provenance.evidence computes both).
What a stage makes is not hashed here, but for figures and tables: whoever makes it is named by its own inputs.

Hence the deps of stage `provenance`: every input that some printed number rests on (tests/test_pipeline_deps.py holds the list to
that), the parameter files as a whole, and dvc.yaml, since a stage that declares other inputs changes the hashes. DVC refuses
dvc.yaml as a dep under its own name, so paper/pipeline.yaml is a link to it, tracked as parameters: compared value by value, without
comments. Two other ways were left: provenance written by each stage beside its outs would make every finished cell stale;
and hashes of results alone say nothing that a reader can compare without DVC.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polychromic.base.errors import DataError, PolychromicError
from polychromic.provenance.lock import File, Lock, Stage, read_yaml


def md5_file(path: Path) -> str:
    """As DVC hashes a file. Raises PolychromicError when it does not exist."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except FileNotFoundError:
        raise PolychromicError(f"{path}: file not found. A stage of dvc.yaml names it; run `dvc pull`, or `dvc repro`.") from None


def working_tree(folder: Path = Path(".")) -> Lock:
    """The stages of folder/dvc.yaml; inputs that no stage makes have their md5 and size, everything else has None.

    Raises:
        PolychromicError: DVC cannot read the pipeline, or an input is missing.
        DataError: a parameter that a stage names does not exist.
    """
    from dvc.dependency.param import ParamsDependency
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    stages: dict[str, Stage] = {}
    files: dict[str, Mapping[str, Any]] = {}
    try:
        with Repo(str(folder)) as repo:
            declared = [stage for stage in repo.index.stages if stage.cmd is not None]  # data.dvc has no command
            made = {out.def_path for stage in declared for out in stage.outs}
            for stage in sorted(declared, key=lambda stage: stage.name):
                deps, params = [], {}
                for dep in stage.deps:
                    if isinstance(dep, ParamsDependency):
                        if dep.def_path not in files:
                            files[dep.def_path] = read_yaml(folder / dep.def_path)
                        params[dep.def_path] = values_of(files[dep.def_path], dep.params, dep.def_path)
                    else:
                        deps.append(dep.def_path)
                stages[stage.name] = Stage(
                    stage.name,
                    stage.cmd if isinstance(stage.cmd, str) else " && ".join(stage.cmd),
                    tuple(File(path, None, None) if path in made else _input(folder, path) for path in sorted(deps)),
                    tuple(File(path, None, None) for path in sorted(out.def_path for out in stage.outs)),
                    params,
                )
    except DvcException as error:
        raise PolychromicError(f"{folder / 'dvc.yaml'}: DVC cannot read it ({error}). Mend it; `dvc stage list` shows the same.") from None
    return Lock(stages)


def _input(folder: Path, path: str) -> File:
    return File(path, md5_file(folder / path), (folder / path).stat().st_size)


def values_of(document: Mapping[str, Any], keys: list[str], where: str) -> dict[str, Any]:
    """The values of dotted keys, as dvc.lock holds them; no key is the whole file."""
    if not keys:
        return dict(document)
    found = {}
    for key in keys:
        place: Any = document
        for part in key.split("."):
            if not isinstance(place, Mapping) or part not in place:
                raise DataError(where, f"no key {key!r}", "the keys that dvc.yaml names under params", "Add the key, or mend dvc.yaml.")
            place = place[part]
        found[key] = place
    return found
