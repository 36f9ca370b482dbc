"""A smaller grid: a copy of the pipeline with some of its cells only, in dvc.yaml and params.yaml alike.

For workspaces (polychromic.pipeline.workspace); the repository's own files are never changed. What it relies on in dvc.yaml: a cell
is an item of a stage whose matrix has the axis `method` or `lam`, on test `system`, and whoever reads a cell names
results/DOMAIN/CELL/FILE among its deps, on test results/DOMAIN/test/CELL.jsonl.gz, where CELL may be ${item.KEY} of a foreach.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from polychromic.base import paths
from polychromic.base.errors import UsageError
from polychromic.declared import ALWAYS

PIPELINE = Path("dvc.yaml")


def round_trip_yaml() -> YAML:
    """Loads and dumps with comments, quotes and order as they are."""
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def keep_cells(folder: Path, methods: Collection[str] | None, lambdas: Collection[float] | None) -> None:
    """Drop the other cells from dvc.yaml, what reads them from deps, and what names them from params.yaml.

    That is its methods, its contrasts and what it declares for test. The cells of a domain that params.yaml does not name go, too.

    Args:
        folder: holds dvc.yaml and params.yaml, which are rewritten.
        methods: names to keep; None keeps all. The four baselines must be among them.
        lambdas: weights of the grid to keep, beside the headline lambda, which always stays; None keeps all.

    Raises:
        UsageError: a method that params.yaml does not have, a weight that the grid does not have, or a baseline that would go.
    """
    yaml = round_trip_yaml()
    params, pipeline = yaml.load(folder / paths.PARAMS), yaml.load(folder / PIPELINE)
    stages = pipeline["stages"]
    grid = {value for stage in stages.values() for value in stage.get("matrix", {}).get("lam", ()) if not isinstance(value, str)}
    methods, lambdas = set(params["methods"] if methods is None else methods), set(grid if lambdas is None else lambdas)
    for what, wanted, known in (("methods", methods, list(params["methods"])), ("lambdas", lambdas, sorted(grid))):
        if unknown := sorted(wanted - set(known)):
            raise UsageError(f"{what} to keep: {', '.join(map(str, unknown))} not in the grid. Allowed: {', '.join(map(str, known))}.")
    if missing := sorted(set(ALWAYS) - methods):
        raise UsageError(f"methods to keep: {', '.join(missing)} not among them; the four baselines are always there.")
    dropped = set(params["methods"]) - methods
    folders = dropped | {f"polychromic-{value}" for value in grid - lambdas}
    # Found before anything is deleted: an item that several stages share by an anchor is one object.
    keys = {name: _keys_of(stage.get("foreach"), folders) for name, stage in stages.items()}
    for name in list(stages):
        matrix = stages[name].get("matrix", {})
        _discard(matrix.get("domain", []), lambda value: value not in params["domains"])
        for axis in ("method", "system"):
            _discard(matrix.get(axis, []), lambda value: value in dropped)
        _discard(matrix.get("lam", []), lambda value: value in grid - lambdas)
        if [] in matrix.values():
            del stages[name]  # a matrix without cells
            continue
        for item in stages[name]["foreach"].values() if keys[name] else ():
            for key in keys[name] & item.keys():
                del item[key]
        cells = folders | {f"${{item.{key}}}" for key in keys[name]}
        _discard(stages[name].get("do", stages[name]).get("deps", []), lambda dep, cells=cells: _cell_of(dep) in cells)
    for name in dropped:
        del params["methods"][name]
    plans = params["analysis"]["test"].values()
    for plan in plans:
        for name in dropped & plan["systems"].keys():
            del plan["systems"][name]
    for declared in (params["analysis"]["contrasts"], *(plan["contrasts"] for plan in plans)):
        _discard(declared, lambda contrast: bool({contrast["a"], contrast["b"]} & dropped))
    yaml.dump(params, folder / paths.PARAMS)
    yaml.dump(pipeline, folder / PIPELINE)


def _cell_of(dep: str) -> str | None:
    """The CELL of results/DOMAIN/CELL/FILE and of results/DOMAIN/test/CELL.jsonl.gz; None for any other path."""
    found = re.fullmatch(rf"{paths.RESULTS}/[^/]+/(?:test/([^/]+)\.jsonl\.gz|([^/]+)/[^/]+)", dep)
    return (found.group(1) or found.group(2)) if found else None


def _discard(sequence: list | str, unwanted: Callable[[Any], bool]) -> None:
    """Delete in place, from the end: ruamel keeps the comments of what stays. Text is a template such as ${domains}, left alone."""
    for place in reversed(range(0 if isinstance(sequence, str) else len(sequence))):
        if unwanted(sequence[place]):
            del sequence[place]


def _keys_of(each: Mapping[str, Any] | list | None, folders: set[str]) -> set[str]:
    """The keys of a foreach's items that stand for the folder of a dropped cell in one of them."""
    if not isinstance(each, Mapping):
        return set()
    return {key for item in each.values() for key, value in item.items() if value in folders}
