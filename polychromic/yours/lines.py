"""Lines of files from elsewhere as checked objects; and values and texts from there in messages and tables."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from polychromic.base.errors import DataError

T = TypeVar("T")
NOTHING: Mapping[str, Collection[str]] = {}


def shown(value: Any, most: int = 60) -> str:
    """A value as Python writes it, cut to `most` characters."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def checked(
    model: Callable[..., T], where: str, row: Mapping[str, Any], columns: Collection[str], meant: Mapping = NOTHING, /, **more: Any
) -> T:
    """A line as `model`, a pydantic class whose fields say in their description what is allowed.

    Args:
        where: "path:line". columns: what may be given. meant: column -> what others call it. more: fields that are no columns.

    Raises:
        DataError: says what was got, what is allowed, and which column may have been meant.
    """
    try:
        return model(**{name: row[name] for name in columns if name in row}, **more)
    except ValidationError as error:
        first = min(error.errors(include_url=False), key=lambda one: one["type"] != "missing")
    column = str(first["loc"][0])
    if first["type"] == "missing":
        others = [name for name in row if name not in columns]
        near = [name for name in others if name in meant.get(column, ())] or difflib.get_close_matches(column, others, n=1, cutoff=0.5)
        remedy = f"Did you mean {near[0]!r}? Rename it to {column!r}." if near else "Add it and run the command again."
        found = f"no column {column!r}; found: {', '.join(map(repr, row)) or 'none'}"
        raise DataError(where, found, f"columns {', '.join(columns)}", remedy)
    if first["type"] == "value_error":
        problem, *rest = first["ctx"]["error"].args
        raise DataError(where, f"{column} {problem}", *rest)
    raise DataError(where, f"{column} is {shown(row[column])}", model.__pydantic_fields__[column].description)
