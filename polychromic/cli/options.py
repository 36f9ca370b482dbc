"""Options that the command line gave although this use of the command has no use for them: refused, never ignored."""

from __future__ import annotations

from collections.abc import Iterable

import typer

from polychromic.base.errors import UsageError

GIVEN = ("COMMANDLINE", "ENVIRONMENT")  # names of click's ParameterSource, of which typer has a copy


def given(context: typer.Context, names: Iterable[str]) -> list[str]:
    """The parameters among `names` (Python's names) that were given, as a user writes them: --base-url, or FILES for an argument."""
    known = {parameter.name: parameter for parameter in context.command.params}
    return [
        max(known[name].opts, key=len) if known[name].param_type_name == "option" else name.upper()
        for name in names
        if getattr(context.get_parameter_source(name), "name", None) in GIVEN
    ]


def refuse(context: typer.Context, use: str, names: Iterable[str], allowed: str) -> None:
    """Stop where one of `names` was given.

    Args:
        use: the use of the command that has no use for them, such as "collect file".
        allowed: what it takes.

    Raises:
        UsageError: names all of them.
    """
    if unused := given(context, names):
        raise UsageError(f"{use} makes no use of {', '.join(unused)}. Allowed: {allowed}. Leave out what it does not take.")
