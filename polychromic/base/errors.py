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


def problems(error: ValidationError) -> str:
    """All that pydantic found wrong, in one line: each with its key and, where there is something, what was got."""
    return "; ".join(
        f"{'.'.join(map(str, e['loc'])) or 'record'}: {e['msg']}" + ("" if e["type"] == "missing" else f" (got {str(e['input'])[:80]!r})")
        for e in error.errors(include_url=False)
    )
