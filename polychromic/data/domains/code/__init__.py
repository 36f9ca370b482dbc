"""Code: "Write a Python function f(xs) that returns ..." A reply is good when its function passes the task's hidden tests.

`valid` of a record holds its hidden tests (data/code.py). Replies run in the sandbox of this folder alone, one process for all tests
of one reply. Two right replies are the same answer when what is left of them once all is gone that their results do not need (reduce.py)
consists of the same operations (operations.py); wrong ones when their canonical forms (canonical.py) are equal.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Sequence
from functools import lru_cache
from textwrap import dedent
from typing import Any

import numpy as np

from polychromic.base.errors import DataError
from polychromic.data.code import held_out_tests
from polychromic.data.domains import Domain
from polychromic.data.domains.code import reduce
from polychromic.data.domains.code.canonical import canonical, parse
from polychromic.data.domains.code.operations import FUNCTION, operations, profile, reflective
from polychromic.data.domains.code.sandbox.run import Limits, Test, call, passes
from polychromic.data.domains.code.sandbox.values import decode, encode
from polychromic.data.records import Record

# Wall-clock time is ample, so that a busy machine makes no right program wrong: processor time is what stops a loop.
LIMITS = Limits(seconds=20.0, cpu_seconds=1, memory_bytes=256 << 20)
REDUCTION = Limits(seconds=60.0, cpu_seconds=10, memory_bytes=128 << 20)  # reduce.py counts steps and stops long before
OPAQUE = "?"  # all right programs that look at what runs them, or that are too long or too slow to reduce, are one answer
# Three or more backticks or tildes, what stands behind them, and all up to as many again or the end.
_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})([^\n`]*)\n(.*?)(?:^[ \t]*\1|\Z)", re.DOTALL | re.MULTILINE)
_PYTHON = re.compile(r"\s*(?:[{.]*py.*)?", re.IGNORECASE)


def extract(reply: str) -> str:
    """The program in a reply: what the first fence for Python or for nothing in particular holds (to the end where it is not closed), else
    all of it; lines end in "\\n"; stripped."""
    reply = re.sub(r"\r\n?", "\n", reply)
    held = (dedent(text) for _, info, text in _FENCE.findall(reply) if _PYTHON.fullmatch(info))
    return next(held, reply).strip()


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
def _verdict(program: str, record_id: str, lines: tuple[str, ...]) -> bool:
    """Whether the program defines f and passes the tests; each program runs once per process. An error is not remembered."""
    tree = parse(program)
    return tree is not None and defines(tree) and passes(program, tests_of(record_id, lines), LIMITS)


@lru_cache(maxsize=1 << 17)
def _what_it_does(form: str, record_id: str, valid: tuple[str, ...]) -> str:
    """The operations that the results of a right program in canonical form need; OPAQUE where that cannot be told."""
    if reflective(parse(form)):
        return OPAQUE
    arguments = [test.arguments for test in tests_of(record_id, valid)]
    _, found = (call(inspect.getsource(reduce), [("reduced", (form, arguments))], REDUCTION) or [("error", None)])[0]
    try:
        tag, body = found
        tree = parse(decode([tag, body])) if tag == "s" else None
    except Exception:  # no text: an error, or a program that wrote the answer itself
        tree = None
    return operations(tree) if tree and tree.body else OPAQUE


class Code(Domain):
    name, checker, similarity = "code", "set", "exact"

    def key(self, record: Record, reply: str) -> str:
        """What a right program does; a wrong one in canonical form; the stripped reply where it does not parse."""
        return self.answer(record, reply) or canonical(extract(reply)) or reply.strip()

    def answer(self, record: Record, reply: str) -> str | None:
        """The key of a program that passes all hidden tests, else None. Raises as `tests_of` and as sandbox.run.call do."""
        program = extract(reply)
        if not _verdict(program, record.id, tuple(record.valid)):
            return None
        form = canonical(program)
        return "does: " + (_what_it_does(form, record.id, tuple(record.valid)) if form else OPAQUE)

    def held_out_quality(self, record: Record, replies: Sequence[str], readers: Any) -> np.ndarray:
        """(N,) 1 for a program that passes the task's held-out tests. Raises as `held_out_tests` and as sandbox.run.call do."""
        return np.array([_verdict(extract(reply), record.id, held_out_tests(record.id)) for reply in replies], dtype=float)

    def held_out_similarity(self, record: Record, replies: Sequence[str], readers: Any) -> np.ndarray:
        """(N, N) Jaccard index of what the programs are compiled to (operations.profile); equal texts have 1, no program has more."""
        parts = [profile(extract(reply)) for reply in replies]
        return np.array([[1.0 if a == b or one == two else len(one & two) / max(len(one | two), 1) for b, two in zip(replies, parts)]
                         for a, one in zip(replies, parts)])  # fmt: skip


DOMAIN = Code()
