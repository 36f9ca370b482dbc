"""One-function Python tasks from the families of families.toml: prompts, solutions and hidden tests, as records.

A family is one idea ("the sum of the numbers above k"); its tasks differ in the constants alone, so that families, never tasks, are
divided between training and test. The first solution defines what is right. All that runs here is text of this repository.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable, Sequence
from functools import cache
from string import Template
from textwrap import indent
from typing import Any, NamedTuple

from polychromic.base.errors import DataError, PolychromicError
from polychromic.data.records import Record
from polychromic.data.text import shipped

SOURCE, LICENCE = "polychromic.data.code", "MIT"

KS = (2, 3, 4, 5, 7, 10)
# Shape of a family: (kind, which is the stratum; arguments of f; inputs and constants where the family names none).
SHAPES: dict[str, tuple[str, str, str, tuple[int, ...]]] = {
    "number": ("number", "x", "signed", KS),
    "pair": ("number", "x, y", "pairs", ()),
    "numbers": ("list", "xs", "lists", KS),
    "words": ("list", "words", "words", ()),
    "text": ("text", "s", "texts", ()),
}


class Family(NamedTuple):
    """One idea of a task; see families.toml."""

    name: str  # also the group of its records
    kind: str  # "number", "list" or "text", the stratum
    arguments: str  # of f, as they stand in its first line
    ask: str
    bodies: Sequence[str]
    inputs: Sequence[tuple]  # the arguments of each hidden test
    held_out: Sequence[tuple]  # and of each test that training never sees
    constants: Sequence[dict[str, int | str]]  # what string.Template fills in, one task for each


def derived(inputs: dict[str, list]) -> dict[str, list]:
    """The inputs by name, with those that are made from others."""
    lists = inputs["lists"]
    return inputs | {
        "full": [numbers for numbers in lists if numbers],
        "two": [numbers for numbers in lists if len(numbers) > 1],
        "odd": [numbers for numbers in lists if len(numbers) % 2],
        "spans": [*lists, *([*lists[-1][:1], *range(4, 3 + n)] for n in range(5, 14))],  # every length up to 13
        "solid": [text for text in inputs["texts"] if text.strip()],
        "named": [strings for strings in inputs["words"] if strings],
    }


@cache
def families() -> list[Family]:
    """All families, in the order of families.toml."""
    table = tomllib.loads(shipped("families.toml"))
    hidden, held_out = (derived(table[key]) for key in ("inputs", "held_out"))
    found = []
    for shape, (kind, arguments, usual, numbers) in SHAPES.items():
        for name, row in table[shape].items():
            given, key = row.get("inputs", usual), "c" if "c" in row else "k"
            tests = ([tuple(value) if shape == "pair" else (value,) for value in inputs[given]] for inputs in (hidden, held_out))
            constants = [{key: value} for value in row.get(key, numbers)] or [{}]
            found.append(Family(name, kind, arguments, row["ask"], row["bodies"], *tests, constants))
    return found


def filled(text: str, constants: dict[str, int | str]) -> str:
    return Template(text).substitute(constants)


def name_of(family: Family, constants: dict[str, int | str]) -> str:
    return "-".join([family.name, *map(str, constants.values())])


def solutions_of(family: Family, constants: dict[str, int | str]) -> list[str]:
    return [f"def f({family.arguments}):\n{indent(filled(body, constants), '    ')}" for body in family.bodies]


def record_of(family: Family, constants: dict[str, int | str]) -> Record:
    """The family's task with these constants.

    The references are its solutions; a line of `valid` is the text of the pair (arguments, what f must return), a hidden test.
    PolychromicError: a solution returns something else than the family's first one, in type or value.
    """
    name, solutions = name_of(family, constants), solutions_of(family, constants)
    first, *others = map(trusted, solutions)
    tests = [(arguments, first(*arguments)) for arguments in family.inputs]
    for solution, other in zip(solutions[1:], others, strict=True):
        for arguments, wanted in tests:
            got = other(*arguments)
            if type(got) is not type(wanted) or got != wanted:
                both = f"{wanted!r} in the first solution and {got!r} in\n{solution}"
                raise PolychromicError(f"task {name}: f{arguments!r} is {both}\nMend one of them.")
    prompt = f"Write a Python function f({family.arguments}) that returns {filled(family.ask, constants)}."
    return Record(
        id=f"code-{name}", prompt=prompt, references=solutions, valid=list(map(repr, tests)), domain="code", group=family.name,
        stratum=family.kind, checker="set", source=SOURCE, licence=LICENCE,
    )  # fmt: skip


def trusted(source: str) -> Callable[..., Any]:
    """The function f of a source that this repository wrote; it is given a copy of its arguments."""
    space: dict[str, Any] = {}
    exec(source, space)  # noqa: S102 - our own text
    return lambda *arguments: space["f"](*copy.deepcopy(arguments))


@cache
def held_out_tests(record_id: str) -> tuple[str, ...]:
    """Tests of a task as in `valid`, with arguments that no hidden test has: what training never sees. DataError: no task of this id."""
    for family in families():
        for constants in family.constants:
            if f"code-{name_of(family, constants)}" == record_id:
                first = trusted(solutions_of(family, constants)[0])
                return tuple(repr((arguments, first(*arguments))) for arguments in family.held_out)
    raise DataError(f"record {record_id!r}", "no task of families.toml", "an id that `polychromic rebuild-data` wrote")


def build() -> list[Record]:
    """All records of domain code, sorted by id. Any other program that passes the hidden tests is right, too."""
    found = [record_of(family, constants) for family in families() for constants in family.constants]
    return sorted(found, key=lambda record: record.id)
