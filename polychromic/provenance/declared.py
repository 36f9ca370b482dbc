"""The stages of dvc.yaml as DVC expands them, without DVC, whose own expansion takes ten seconds: names, commands, deps, outs, parameters.

It knows the templates that DVC fills in from params.yaml and from the items of a matrix or foreach, and no more; what it does not know
it refuses. A test holds it to DVC's answer (tests/provenance/test_declared.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from polychromic.base import paths
from polychromic.base.errors import DataError
from polychromic.provenance.lock import Lock, Stage, read_yaml

PIPELINE = "dvc.yaml"
REMEDY = "Mend it; `dvc stage list` shows what DVC makes of it."
TEMPLATE = re.compile(r"\$\{([^}]+)\}")


@dataclass(frozen=True)
class Declared:
    """A stage of dvc.yaml, of one item of its matrix or foreach.

    Attributes:
        name: its address, such as "poly@listqa-3.0".
        group: the name in dvc.yaml, such as "poly".
        axes: what a matrix sets, such as {"domain": "listqa", "lam": "3.0"}; {"key": ...} of a foreach.
        outs: path -> whether DVC keeps it in its cache (and so in the store).
        params: file -> dotted keys; none stands for the whole file.
    """

    name: str
    group: str
    cmd: str
    axes: Mapping[str, str] = field(default_factory=dict)
    deps: tuple[str, ...] = ()
    outs: Mapping[str, bool] = field(default_factory=dict)
    params: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def domain(self) -> str | None:
        """The domain that the item is about, None for a stage of all domains."""
        return self.axes.get("domain", self.axes.get("key"))


def declared(folder: Path = Path(".")) -> dict[str, Declared]:
    """The stages of folder/dvc.yaml by address, in the order of the file.

    Raises:
        PolychromicError: dvc.yaml or params.yaml is missing.
        DataError: one is malformed, or a template names what params.yaml does not have.
    """
    stages = read_yaml(folder / PIPELINE).get("stages")
    if not isinstance(stages, Mapping):
        raise DataError(PIPELINE, f"stages is a {type(stages).__name__}", "a mapping of stages", REMEDY)
    values = read_yaml(folder / paths.PARAMS)
    return {stage.name: stage for group, content in stages.items() for stage in _items(str(group), content, values)}


def ablation_of(name: str, stages: Mapping[str, Declared]) -> Declared | None:
    """The declared stage of which `name` is a cell at another lambda, as `dvc exp run -S lambda=0.5` leaves one; None otherwise."""
    group, _, item = name.partition("@")
    for stage in stages.values():
        if stage.group == group and tuple(stage.axes) == ("domain", "lam") and item.startswith(f"{stage.domain}-"):
            weight = item.removeprefix(f"{stage.domain}-")
            return stage if re.fullmatch(r"\d+(?:\.\d+)?(?:e-?\d+)?", weight) else None
    return None


def counting(lock: Lock, stages: Mapping[str, Declared]) -> dict[str, Stage]:
    """The entries of dvc.lock that dvc.yaml has, and those of ablations: any other is left over, and its outs are nobody's."""
    return {name: stage for name, stage in lock.stages.items() if name in stages or ablation_of(name, stages)}


def _items(group: str, content: Any, values: Mapping[str, Any]) -> Iterator[Declared]:
    where = f"{PIPELINE}: stage {group}"
    if not isinstance(content, Mapping) or not isinstance(content.get("do", content), Mapping):
        raise DataError(where, f"{content!r}"[:200], "a mapping with cmd, deps, params and outs", REMEDY)
    body = content.get("do", content)
    if "foreach" in content:
        each = _filled(content["foreach"], values, {}, where)
        pairs = each.items() if isinstance(each, Mapping) else [(_text(item), item) for item in each]
        for key, item in pairs:
            yield _stage(f"{group}@{key}", group, body, values, {"key": key, "item": item}, {"key": str(key)}, where)
    elif "matrix" in content:
        axes = {name: _filled(axis, values, {}, where) for name, axis in content["matrix"].items()}
        for combination in product(*axes.values()):
            item = dict(zip(axes, combination, strict=True))
            texts = {name: _text(value) for name, value in item.items()}
            yield _stage(f"{group}@{'-'.join(texts.values())}", group, body, values, {"item": item}, texts, where)
    else:
        yield _stage(group, group, body, values, {}, {}, where)


def _stage(
    name: str, group: str, body: Mapping, values: Mapping[str, Any], item: Mapping[str, Any], axes: Mapping[str, str], where: str
) -> Declared:
    used = {key: body.get(key) or [] for key in ("cmd", "deps", "outs", "params")}
    found = {key: _filled(value, values, item, where) for key, value in used.items()}
    outs: dict[str, bool] = {}
    for out in found["outs"]:
        path, settings = next(iter(out.items())) if isinstance(out, Mapping) else (out, {})
        outs[path] = (settings or {}).get("cache", True)
    params: dict[str, tuple[str, ...]] = {}
    for entry in found["params"]:
        for file, keys in entry.items() if isinstance(entry, Mapping) else [(paths.PARAMS.as_posix(), [entry])]:
            params[file] = (*params.get(file, ()), *(keys or ()))
    cmd = found["cmd"] if isinstance(found["cmd"], str) else " && ".join(found["cmd"])
    return Declared(name, group, cmd, axes, tuple(sorted(set(found["deps"]))), outs, params)


def _filled(value: Any, values: Mapping[str, Any], item: Mapping[str, Any], where: str) -> Any:
    """`value` with its templates filled in; a text that is one template keeps the type of what it stands for."""
    if isinstance(value, Mapping):
        return {_filled(key, values, item, where): _filled(one, values, item, where) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, values, item, where) for one in value]
    if not isinstance(value, str):
        return value
    if whole := TEMPLATE.fullmatch(value):
        return _looked_up(whole[1], values, item, where)
    return TEMPLATE.sub(lambda found: _text(_looked_up(found[1], values, item, where)), value)


def _looked_up(key: str, values: Mapping[str, Any], item: Mapping[str, Any], where: str) -> Any:
    place: Any = item if key.partition(".")[0] in item else values
    for part in key.split("."):
        if not isinstance(place, Mapping) or part not in place:
            raise DataError(where, f"${{{key}}} stands for nothing", "a key of params.yaml, or item and key of the stage", REMEDY)
        place = place[part]
    return place


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
