"""Run stages of the pipeline in this process, inputs first, as `python -m tests.run_stages [STAGE ...]` in a workspace: torch is loaded once.

Beside results/ it leaves .read.json: stage -> the fields of params.yaml's sections that its code read, as "Section.field".
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from polychromic.cli.app import app
from polychromic.params import Section
from polychromic.pipeline.run import upstream
from polychromic.pipeline.stages import Stage, stages

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
    needs, done = upstream(found), []

    def visit(name: str) -> None:
        if name not in done:
            for before in sorted(needs[name]):
                visit(before)
            done.append(name)

    for name in wanted:
        visit(name)
    return done


def run(wanted: Iterable[str]) -> None:
    global _watching
    from polychromic import params

    load, found, read = params.load_params, stages(), {}

    def load_and_watch(*arguments):  # noqa: ANN002, ANN202
        global _watching
        _watching = False  # its own checks read everything
        try:
            return load(*arguments)
        finally:
            _watching = True

    Section.__getattribute__, params.load_params = _watch, load_and_watch
    for name in ordered(found, wanted or found):
        print(f"Running stage '{name}':", file=sys.stderr, flush=True)
        _read.clear()
        app(shlex.split(found[name].cmd)[3:], standalone_mode=False)
        _watching = False
        read[name] = sorted(_read)
    READ.write_text(json.dumps(read))


if __name__ == "__main__":
    run(sys.argv[1:])
