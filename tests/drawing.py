"""The pipeline as a Mermaid graph: `python -m tests.drawing` prints what stands in docs/architecture.md.

A box holds the groups of stages that run one command on one split; an arrow leads from who writes a file to who reads it. Arrows that
follow from others are left out, and so are inputs that are code.
"""

from __future__ import annotations

from pathlib import Path

import networkx as nx

from polychromic.pipeline.run import upstream
from polychromic.pipeline.stages import Stage, stages

REPOSITORY = Path(__file__).resolve().parents[1]
INPUTS = {"data/": "data", "benchmarks/results": "timings"}


def box(stage: Stage) -> str:
    """The command of a stage and its split, where it has one; of a report on no single domain what it reports."""
    command, what = stage.cmd.split()[3], stage.cmd.split()[4:5]
    return f"{command}-{stage.axes['split']}" if "split" in stage.axes else "-".join([command, *what]) if command == "report" else command


def graph() -> tuple[nx.DiGraph, dict[str, list[str]]]:
    """(boxes with an edge from writer to reader, the groups in each box)."""
    found = stages(REPOSITORY)
    drawn, members = nx.DiGraph(), {}
    for name, before in upstream(found).items():
        here = box(found[name])
        groups = members.setdefault(here, [])
        if found[name].group not in groups:
            groups.append(found[name].group)
        drawn.add_edges_from((box(found[other]), here) for other in before if box(found[other]) != here)
        for start, source in INPUTS.items():
            if any(dep.startswith(start) for dep in found[name].deps):
                drawn.add_edge(source, here)
    return drawn, members


def mermaid() -> str:
    """The graph without edges that follow from others, in the order of dvc.yaml."""
    drawn, members = graph()
    order = [*INPUTS.values(), *members]
    lines = ["graph LR", *(f"  {name}[({name})]" for name in INPUTS.values())]
    lines += [f'  {name}["<b>{name}</b><br/>{", ".join(groups)}"]' for name, groups in members.items() if len(groups) > 1]
    arrows = nx.transitive_reduction(drawn)
    alike: dict[tuple[str, ...], list[str]] = {}  # readers -> the writers that have just these
    for start in order:
        if readers := tuple(sorted(arrows.successors(start), key=order.index)):
            alike.setdefault(readers, []).append(start)
    lines += [f"  {' & '.join(writers)} --> {' & '.join(readers)}" for readers, writers in alike.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(mermaid(), end="")
