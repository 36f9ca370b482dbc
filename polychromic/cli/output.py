"""What commands print, data to stdout and notes to stderr, and what several of them refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from polychromic.base import paths
from polychromic.base.errors import UsageError
from polychromic.base.io import dumps

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
notes = Console(stderr=True)
TRACKED = (paths.RESULTS, paths.PAPER, paths.DATA, Path("store"))


def say(*found: str) -> None:
    """Each note on a line of stderr, as it is."""
    for note in found:
        notes.print(note, highlight=False, markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    print(dumps(value, indent=2))


def show(document: dict, draw: Callable[[dict], RenderableType], json: bool) -> None:
    """One JSON document, or what people read."""
    if json:
        print_json(document)
    else:
        drawn = draw(document)
        Console().print(drawn, highlight=False, soft_wrap=isinstance(drawn, Text))  # YAML must not be broken within its lines


def check_out(out: Path | None, such_as: str) -> None:
    """Raises UsageError for a folder in which the pipeline keeps its own files, and for a file."""
    _check_place(out, f"any folder elsewhere, such as {such_as}")
    if out and out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file. Allowed: a folder, which is made where there is none. Give another name.")


def check_file(out: Path | None, such_as: str) -> None:
    """The same of one file."""
    _check_place(out, f"any file elsewhere, such as {such_as}")
    if out and out.is_dir():
        raise UsageError(f"--out {out} is a folder. Allowed: a file, such as {out / such_as}. Give its name.")


def _check_place(out: Path | None, allowed: str) -> None:
    for tracked in TRACKED if out else ():
        if out.resolve().is_relative_to(tracked.resolve()):
            raise UsageError(f"--out {out} lies in {tracked}/, which the pipeline owns. Allowed: {allowed}.")


def refuse(context: typer.Context, use: str, names: Iterable[str], allowed: str) -> None:
    """Raises UsageError where one of the parameters `names` (Python's names) was given, which `use` of the command would ignore."""
    given = lambda one: getattr(context.get_parameter_source(one.name), "name", "") in ("COMMANDLINE", "ENVIRONMENT")
    unused = [one for one in context.command.params if one.name in names and given(one)]
    if said := [max(one.opts, key=len) if one.param_type_name == "option" else one.name.upper() for one in unused]:
        raise UsageError(f"{use} makes no use of {', '.join(said)}. Allowed: {allowed}. Leave out what it does not take.")
