"""The two kinds of error a user meets. Anything else that escapes is a bug and shows its traceback.

Every message has four parts, in this order: what was got, where (file, line or key), what is allowed, and what to do next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class PolychromicError(Exception):
    """A domain error: the data, a file or the environment is not what it must be. Exit code 1."""

    exit_code = 1


class UsageError(PolychromicError):
    """The command line or params.yaml asks for something that does not exist. Exit code 2."""

    exit_code = 2


class DataError(PolychromicError):
    """A record is malformed.

    Args:
        where: "path:line" of the offending record.
        problem: what was got.
        allowed: what would have been accepted.
        remedy: what to do next.
    """

    def __init__(self, where: str, problem: str, allowed: str, remedy: str = "Fix the line and run the command again."):
        super().__init__(f"{where}: {problem}. Allowed: {allowed}. {remedy}")


def problems(error: ValidationError, between: str = "; ", whole: str = "record") -> str:
    """All that pydantic found wrong: each with its key, or what it is about as a `whole`, and what was got where there is something."""
    return between.join(
        f"{'.'.join(map(str, e['loc'])) or whole}: {e['msg']}" + ("" if e["type"] == "missing" else f" (got {str(e['input'])[:80]!r})")
        for e in error.errors(include_url=False)
    )
