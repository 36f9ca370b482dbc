"""Code: "Write a Python function f(xs) that returns ..." A reply is good when its function passes the task's hidden tests.

`valid` of a record holds its hidden tests (polychromic.data.code). Replies run in polychromic.base.sandbox alone, one process for all tests
of one reply. Two replies are the same answer when
they are the same program but for names, quotes, comments and annotations: their normalised syntax trees are equal.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from polychromic.base.errors import DataError
from polychromic.base.sandbox.run import Limits, Test, passes
from polychromic.data.code.names import canonical, parse
from polychromic.data.domains.base import Embed
from polychromic.data.records import Record

FUNCTION = "f"
# Wall-clock time is ample, so that a busy machine makes no right program wrong: processor time is what stops a loop.
LIMITS = Limits(seconds=20.0, cpu_seconds=1, memory_bytes=256 << 20)
_FENCE = re.compile(r"^[ \t]*```[ \t]*(?:python3?|py)?[ \t]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE | re.IGNORECASE)


def extract(reply: str) -> str:
    """The program in a reply: what the first fence holds (to the end where it is not closed), else all of it; stripped."""
    fence = _FENCE.search(reply)
    return (fence.group(1) if fence else reply).strip()


def defines(tree: ast.Module, name: str = FUNCTION) -> bool:
    """Whether a statement at the top level binds the name."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return True
        if isinstance(node, ast.Assign) and any(isinstance(target, ast.Name) and target.id == name for target in node.targets):
            return True
    return False


@lru_cache(maxsize=4096)
def tests_of(record_id: str, valid: tuple[str, ...]) -> tuple[Test, ...]:
    """The hidden tests of a record, from the lines of its `valid`.

    Raises:
        DataError: a line is not the text of a pair (arguments, what f must return) of plain data.
    """
    tests = []
    for number, line in enumerate(valid, start=1):
        try:
            arguments, expected = ast.literal_eval(line)
            tests.append(Test(FUNCTION, tuple(arguments), expected))
        except (ValueError, TypeError, SyntaxError):
            allowed = "the text of a pair (arguments, result) of plain data, such as (([1, 2],), 3)"
            raise DataError(f"record {record_id!r}, valid[{number}]", f"{line[:80]!r}", allowed) from None
    return tuple(tests)


@lru_cache(maxsize=1 << 17)
def _verdict(record_id: str, valid: tuple[str, ...], program: str) -> bool:
    """Whether the program passes the hidden tests; each program runs once per process.

    Raises:
        PolychromicError: the sandbox has no verdict (polychromic.base.sandbox.run.call says when). An error is not remembered.
    """
    return passes(program, tests_of(record_id, valid), LIMITS)


class Code:
    name = "code"
    checker = "set"
    similarity = "exact"

    def key(self, record: Record, reply: str) -> str:
        """The program in canonical form (polychromic.data.code.names); the stripped reply where it does not parse."""
        form = canonical(extract(reply))
        return reply.strip() if form is None else form

    def answer(self, record: Record, reply: str) -> str | None:
        """The key of a program that passes all hidden tests, else None.

        Raises:
            DataError: the record's tests cannot be read.
            PolychromicError: the sandbox has no verdict (polychromic.base.sandbox.run.call says when).
        """
        which = record.id, tuple(record.valid)
        tests_of(*which)
        program = extract(reply)
        tree = parse(program)
        if tree is None or not defines(tree) or not _verdict(*which, program):
            return None
        return self.key(record, reply)

    def training_quality(self, record: Record, replies: Sequence[str], embed: Embed) -> np.ndarray:
        return np.array([self.answer(record, reply) is not None for reply in replies], dtype=float)


DOMAIN = Code()
