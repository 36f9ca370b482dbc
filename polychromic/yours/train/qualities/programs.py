"""Programs that pass a row's unit tests, in the sandbox of the package."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from polychromic.base.errors import PolychromicError
from polychromic.base.parse import parse_json
from polychromic.data.domains.code import LIMITS, extract
from polychromic.data.domains.code.sandbox.run import Test, passes

SHAPE = 'a list of {"function": name, "arguments": [...], "expected": value}'


class Tests:
    """1 for a reply whose program (in its first fence for Python, else all of it) passes every test in the row's column `tests`, else 0.

    A test is a call and what it must return, compared outside of the sandbox by type and value: a program that prints, exits, or returns an
    object that equals everything passes nothing. What tests cannot see they reward as well: a program that lists the answers to the very
    calls it is tested with. Give many tests, and judge what comes out by others.
    """

    __test__ = False  # no test of pytest's

    def __call__(self, row: dict[str, Any], replies: Sequence[str]) -> list[float]:
        tests = read_tests(json.dumps(row.get("tests")))
        return [float(_passes(extract(reply), tests)) for reply in replies]


@lru_cache(maxsize=1 << 12)
def read_tests(text: str) -> tuple[str, ...]:
    """The tests of a row's column as one text each. Raises PolychromicError: it holds something else."""
    tests = json.loads(text)
    if isinstance(tests, str):  # CSV has no lists
        try:
            tests = parse_json(tests.encode())
        except ValueError:
            tests = None
    ok = (
        isinstance(tests, list)
        and tests
        and all(isinstance(one, dict) and {"function", "arguments", "expected"} <= one.keys() for one in tests)
    )
    if not ok or not all(isinstance(one["function"], str) and isinstance(one["arguments"], list) for one in tests):
        raise PolychromicError(f"--quality tests: the row's column `tests` is {text[:80]}. Allowed: {SHAPE}. Add it to every row.")
    return tuple(json.dumps(one, sort_keys=True) for one in tests)


@lru_cache(maxsize=1 << 14)
def _passes(program: str, tests: tuple[str, ...]) -> bool:
    found = [json.loads(text) for text in tests]
    return bool(program) and passes(program, [Test(one["function"], tuple(one["arguments"]), one["expected"]) for one in found], LIMITS)
