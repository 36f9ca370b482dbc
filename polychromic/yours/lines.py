"""Lines of files from elsewhere as checked objects."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from polychromic.base.errors import DataError

T = TypeVar("T")


def checked(model: Callable[..., T], where: str, row: Mapping[str, Any], /, **more: Any) -> T:
    """A line as `model`, a pydantic class whose fields are columns and say in their description what is allowed.

    Args: where: "path:line". more: fields that are no columns.

    Raises DataError: says what was got, what is allowed, and which column may have been meant.
    """
    columns = [name for name in model.__pydantic_fields__ if name not in more]
    try:
        return model(**{name: row[name] for name in columns if name in row}, **more)
    except ValidationError as error:
        first = min(error.errors(include_url=False), key=lambda one: one["type"] != "missing")
    column = str(first["loc"][0])
    if first["type"] == "missing":
        near = difflib.get_close_matches(column, [name for name in row if name not in columns], n=1, cutoff=0.5)
        remedy = f"Did you mean {near[0]!r}? Rename it to {column!r}." if near else "Add it and run the command again."
        found = f"no column {column!r}; found: {', '.join(map(repr, row)) or 'none'}"
        raise DataError(where, found, f"columns {', '.join(columns)}", remedy)
    got = repr(row[column])
    allowed = first["ctx"]["error"].args[0] if first["type"] == "value_error" else model.__pydantic_fields__[column].description
    raise DataError(where, f"{column} is {got if len(got) <= 60 else f'{got[:57]}...'}", allowed)
