"""The pipeline as a Mermaid graph, drawn from dvc.yaml: `python -m tests.drawing` prints what stands in docs/architecture.md.

A box holds the stages that run one command, such as all that make cells; an arrow leads from who writes a file to who reads it.
Arrows that follow from others are left out, and so are inputs that are code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import networkx as nx
from ruamel.yaml import YAML

from polychromic.params import read_yaml

REPOSITORY = Path(__file__).resolve().parents[1]
INPUTS = {"data/": "data", "benchmarks/results/": "timings"}
WIDTH = 5  # names of stages on a line of a box


def items(stage: Mapping[str, Any], values: Mapping[str, Any]) -> list[dict[str, str]]:
    """What the templates of each item of a stage stand for."""
    known = {"lambda": str(values["lambda"])}
    if each := stage.get("foreach"):
        return [known | {"key": key} | {f"item.{name}": str(value) for name, value in item.items()} for key, item in each.items()]
    matrix = {key: values[axis[2:-1]] if isinstance(axis, str) else axis for key, axis in stage.get("matrix", {}).items()}
    found = []
    for combination in product(*matrix.values()):
        axes = {f"item.{key}": _filled(str(value), known) for key, value in zip(matrix, combination, strict=True)}
        found.append(known | axes)
    return found


def _filled(text: str, item: Mapping[str, str]) -> str:
    return re.sub(r"\$\{([^}]+)\}", lambda found: item[found.group(1)], text)


def paths(stage: Mapping[str, Any], kind: str, values: Mapping[str, Any]) -> set[str]:
    """The deps or outs of all items of a stage."""
    named = [entry if isinstance(entry, str) else next(iter(entry)) for entry in stage.get("do", stage).get(kind, ())]
    return {_filled(path, item) for item in items(stage, values) for path in named}


def box(stage: Mapping[str, Any]) -> str:
    """The command of a stage; the one word behind it too, where it is the command that does different things."""
    words = stage.get("do", stage)["cmd"].split()[3:]
    return " ".join(words[:2]) if words[0] == "report" and "$" not in words[1] else words[0]


def graph() -> tuple[nx.DiGraph, dict[str, list[str]]]:
    """(boxes with an edge from writer to reader, the stages in each box)."""
    stages = YAML(typ="safe").load(REPOSITORY / "dvc.yaml")["stages"]
    values = read_yaml(REPOSITORY / "params.yaml")
    members: dict[str, list[str]] = {}
    for name, stage in stages.items():
        members.setdefault(box(stage), []).append(name)
    writer = {path: box(stage) for stage in stages.values() for path in paths(stage, "outs", values)}
    found = nx.DiGraph()
    for stage in stages.values():
        for path in sorted(paths(stage, "deps", values)):
            source = writer.get(path) or next((name for start, name in INPUTS.items() if path.startswith(start)), None)
            if source is not None:
                found.add_edge(source, box(stage))
    return found, members


def mermaid() -> str:
    """The graph without edges that follow from others, in the order of dvc.yaml; a box with one stage goes by its name."""
    found, members = graph()
    names = {name: name for name in INPUTS.values()} | {box: stages[0] if len(stages) == 1 else box for box, stages in members.items()}
    order = list(names)
    lines = ["graph LR"]
    lines += [f"  {name}[({name})]" for name in INPUTS.values()]
    for name, stages in members.items():
        if len(stages) > 1:
            rows = [", ".join(stages[i : i + WIDTH]) for i in range(0, len(stages), WIDTH)]
            lines.append(f'  {name}["{"<br/>".join([f"<b>{name}</b>", *rows])}"]')
    arrows = nx.transitive_reduction(found)
    alike: dict[tuple[str, ...], list[str]] = {}  # readers -> the writers that have just these
    for start in order:
        if readers := tuple(sorted(arrows.successors(start), key=order.index)):
            alike.setdefault(readers, []).append(start)
    for readers, writers in alike.items():
        lines.append("  " + " --> ".join(" & ".join(names[name] for name in side) for side in (writers, readers)))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(mermaid(), end="")
