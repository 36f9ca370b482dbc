"""Code: "Write a Python function f(xs) that returns ..." A reply is good when its function passes the task's hidden tests.

`valid` of a record holds its hidden tests (data/code.py). Replies run in the sandbox of this folder alone, one process for all tests
of one reply. Two replies are the same answer when their canonical forms (canonical.py) are equal.
"""

from __future__ import annotations

import ast
import re
from functools import lru_cache

from polychromic.base.errors import DataError
from polychromic.data.domains import Domain
from polychromic.data.domains.code.canonical import canonical, parse
from polychromic.data.domains.code.sandbox.run import Limits, Test, passes
from polychromic.data.domains.code.sandbox.values import encode
from polychromic.data.records import Record

FUNCTION = "f"
# Wall-clock time is ample, so that a busy machine makes no right program wrong: processor time is what stops a loop.
LIMITS = Limits(seconds=20.0, cpu_seconds=1, memory_bytes=256 << 20)
_FENCE = re.compile(r"^[ \t]*```[ \t]*(?:python3?|py)?[ \t]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE | re.IGNORECASE)


def extract(reply: str) -> str:
    """The program in a reply: what the first fence holds (to the end where it is not closed), else all of it; stripped."""
    fence = _FENCE.search(reply)
    return (fence.group(1) if fence else reply).strip()


def defines(tree: ast.Module) -> bool:
    """Whether a statement at the top level binds the function's name."""
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return FUNCTION in names | {target.id for target in targets if isinstance(target, ast.Name)}


@lru_cache(maxsize=4096)
def tests_of(record_id: str, valid: tuple[str, ...]) -> tuple[Test, ...]:
    """The hidden tests of a record, from the lines of its `valid`. DataError: a line is no pair (arguments, what f must return)."""
    tests = []
    for number, line in enumerate(valid, start=1):
        try:
            arguments, expected = ast.literal_eval(line)
            tests.append(Test(FUNCTION, tuple(arguments), expected))
            encode([arguments, expected])
        except (ValueError, TypeError, SyntaxError):
            allowed = "the text of a pair (arguments, result) of plain data, such as (([1, 2],), 3)"
            raise DataError(f"record {record_id!r}, valid[{number}]", f"{line[:80]!r}", allowed) from None
    return tuple(tests)


@lru_cache(maxsize=1 << 17)
def _verdict(program: str, record_id: str, valid: tuple[str, ...]) -> bool:
    """Whether the program passes the hidden tests; each program runs once per process. An error is not remembered."""
    return passes(program, tests_of(record_id, valid), LIMITS)


class Code(Domain):
    name, checker, similarity = "code", "set", "exact"

    def key(self, record: Record, reply: str) -> str:
        """The program in canonical form; the stripped reply where it does not parse."""
        form = canonical(extract(reply))
        return reply.strip() if form is None else form

    def answer(self, record: Record, reply: str) -> str | None:
        """The key of a program that passes all hidden tests, else None. Raises as `tests_of` and as sandbox.run.call do."""
        program = extract(reply)
        right = (tree := parse(program)) and defines(tree) and _verdict(program, record.id, tuple(record.valid))
        return self.key(record, reply) if right else None


DOMAIN = Code()
