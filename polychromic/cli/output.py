"""What commands print, data to stdout and notes to stderr, and what several of them refuse."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from polychromic.base import paths
from polychromic.base.errors import UsageError
from polychromic.base.io import dumps
from polychromic.base.visible import Terminal, visible_json

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
notes = Terminal(stderr=True)
HOTTEST = 1000  # temperature
TRACKED = (paths.RESULTS, paths.PAPER, paths.DATA, Path("store"))


def say(*found: str) -> None:
    """Each note on a line of stderr, as it is."""
    for note in found:
        notes.print(note, soft_wrap=True)


def print_json(value: Any) -> None:
    """One document; what a terminal would obey is spelled as JSON spells it, which changes no value."""
    print(visible_json(dumps(value, indent=2)))


def show(document: dict, draw: Callable[[dict], RenderableType], json: bool) -> None:
    """One JSON document, or what people read."""
    if json:
        print_json(document)
    else:
        drawn = draw(document)
        Terminal().print(drawn, soft_wrap=isinstance(drawn, Text))  # YAML must not be broken within its lines


def check_place(out: Path) -> Path:
    """The folder, which can be written or made. Raises UsageError for a file, or a place where nothing can be made: before the work."""
    try:
        there = next(one for one in (out, *out.absolute().parents) if os.path.lexists(one))
        there.stat()  # a link to nothing, or in a loop
        longest = os.pathconf(there if there.is_dir() else there.parent, "PC_NAME_MAX")
        if any(len(os.fsencode(part)) > longest for part in out.parts):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    except OSError as error:
        raise UsageError(f"--out {out} is no place ({error.strerror}). Allowed: a folder. Give another name.") from None
    if not there.is_dir():
        what = "is a file" if there == out else f"lies in {there}, which is a file"
        raise UsageError(f"--out {out} {what}. Allowed: a folder, which is made where there is none. Give another name.")
    if not os.access(there, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise UsageError(f"--out {out}: nothing can be written in {there}. Allowed: a folder that you may write. Give another one.")
    return out


def check_out(out: Path | None, such_as: str) -> None:
    """As `check_place`, where a folder is given; also for one in which the pipeline keeps its own files."""
    if out is not None:
        check_place(out)
    _check_owned(out, f"any folder elsewhere, such as {such_as}")


def check_temperature(value: float | None) -> None:
    """Raises UsageError for one that no sampling has. None: not given."""
    from polychromic.params.sections import sampling_temperature

    try:
        if value is not None and sampling_temperature(value) > HOTTEST:
            raise ValueError("there all tokens are nearly equal")
    except ValueError as error:
        raise UsageError(f"--temperature is {value:g}: {error}. Allowed: 0 to {HOTTEST}. Correct it.") from None


def check_file(out: Path | None, such_as: str) -> None:
    """The same of one file."""
    _check_owned(out, f"any file elsewhere, such as {such_as}")
    if out and out.is_dir():
        raise UsageError(f"--out {out} is a folder. Allowed: a file, such as {out / such_as}. Give its name.")


def _check_owned(out: Path | None, allowed: str) -> None:
    for tracked in TRACKED if out else ():
        if paths.real(out).is_relative_to(paths.real(tracked)):
            raise UsageError(f"--out {out} lies in {tracked}/, which the pipeline owns. Allowed: {allowed}.")
    for root in paths.real(out).parents if out else ():  # of any checkout, wherever the command was started
        if (root / "dvc.yaml").is_file() and any(paths.real(out).is_relative_to(root / tracked) for tracked in TRACKED):
            raise UsageError(f"--out {out} lies in what {root / 'dvc.yaml'} writes, which a pipeline owns. Allowed: {allowed}.")


def refuse(context: typer.Context, use: str, names: Iterable[str], allowed: str) -> None:
    """Raises UsageError where one of the parameters `names` (Python's names) was given, which `use` of the command would ignore."""
    given = lambda one: getattr(context.get_parameter_source(one.name), "name", "") in ("COMMANDLINE", "ENVIRONMENT")
    unused = [one for one in context.command.params if one.name in names and given(one)]
    if said := [max(one.opts, key=len) if one.param_type_name == "option" else one.name.upper() for one in unused]:
        raise UsageError(f"{use} makes no use of {', '.join(said)}. Allowed: {allowed}. Leave out what it does not take.")
