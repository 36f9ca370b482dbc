"""Stages of the pipeline in one process, inputs first: `python -m tests.run_stages [STAGE ...]` in a workspace. torch is loaded once.

Beside results/ it leaves .read.json: stage -> the fields of params.yaml's sections that its code read, as "Section.field".
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

import networkx as nx

from polychromic import params
from polychromic.cli.app import app
from polychromic.params import Section
from polychromic.pipeline.run import upstream
from polychromic.pipeline.stages import Stage, stages
from polychromic.score import metrics

READ = Path(".read.json")
_read: set[str] = set()
_watching = False


def _watch(section: Section, name: str):  # noqa: ANN202
    """Section.__getattribute__, which notes fields that a stage reads; model_dump and model_copy read all of theirs."""
    if _watching and name in type(section).model_fields:
        _read.add(f"{type(section).__name__}.{name}")
    return object.__getattribute__(section, name)


def ordered(found: dict[str, Stage], wanted: Iterable[str]) -> list[str]:
    """The wanted stages and all that they build on, inputs first."""
    graph = nx.DiGraph((before, name) for name, needed in upstream(found).items() for before in needed)
    graph.add_nodes_from(found)
    needed = {one for name in wanted for one in (name, *nx.ancestors(graph, name))}
    return [name for name in nx.lexicographical_topological_sort(graph) if name in needed]


def _unwatched(function):  # noqa: ANN001, ANN202
    """Checks of params.yaml read what decides nothing; watching begins once they are done."""

    def call(*arguments):  # noqa: ANN002, ANN202
        global _watching
        _watching = False
        try:
            return function(*arguments)
        finally:
            _watching = True

    return call


def run(wanted: Iterable[str]) -> None:
    global _watching
    found, read = stages(), {}
    Section.__getattribute__ = _watch
    for module, name in ((params, "load_params"), (metrics, "check_metrics")):
        setattr(module, name, _unwatched(getattr(module, name)))
    for name in ordered(found, wanted or found):
        print(f"Running stage '{name}':", file=sys.stderr, flush=True)
        _read.clear()
        app(shlex.split(found[name].cmd)[3:], standalone_mode=False)
        _watching = False
        read[name] = sorted(_read)
    READ.write_text(json.dumps(read))


if __name__ == "__main__":
    run(sys.argv[1:])
