"""One-function Python tasks from their families: prompts, solutions and hidden tests, as records; and mutants, which say what the
tests are worth.

`valid` of a record holds its hidden tests, one a line: the text of the pair (arguments, what f must return). Everything here runs solutions that this repository wrote itself. Replies of models run in polychromic.base.sandbox alone.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from string import Template
from textwrap import indent
from types import CodeType
from typing import Any

from polychromic.base.errors import PolychromicError
from polychromic.data.code.families import FAMILIES, Family
from polychromic.data.records import Record

DOMAIN, SOURCE, LICENCE = "code", "polychromic.data.code", "MIT"


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        name: unique; family: its group. kind: its stratum.
        prompt: what the model reads. solutions: sources of correct functions f, at least two.
        tests: (arguments, what f must return).
    """

    name: str
    family: str
    kind: str
    prompt: str
    solutions: tuple[str, ...]
    tests: tuple[tuple[tuple, Any], ...]


def tasks(families: tuple[Family, ...] = FAMILIES) -> list[Task]:
    """Every task of the families, in their order.

    Raises:
        PolychromicError: a solution raises, or returns something else than the family's first one, in type or value.
    """
    return [_task(family, constants) for family in families for constants in family.constants]


def _task(family: Family, constants: dict[str, int | str]) -> Task:
    fill = lambda text: Template(text).substitute(constants)
    name = _name(family, constants)
    solutions = tuple(f"def f({family.arguments}):\n{indent(fill(body), '    ')}" for body in family.bodies)
    inputs = [value if isinstance(value, tuple) else (value,) for value in family.inputs]
    expected = [run_trusted(solutions[0], arguments) for arguments in inputs]
    for solution in solutions[1:]:
        for arguments, wanted in zip(inputs, expected, strict=True):
            got = run_trusted(solution, arguments)
            if type(got) is not type(wanted) or got != wanted:
                raise PolychromicError(
                    f"task {name}: f{arguments!r} is {wanted!r} in the first solution and {got!r} in\n{solution}\nMend one of them."
                )
    prompt = f"Write a Python function f({family.arguments}) that returns {fill(family.ask)}."
    return Task(name, family.name, family.kind, prompt, solutions, tuple(zip(inputs, expected, strict=True)))


def _name(family: Family, constants: dict[str, int | str]) -> str:
    return "-".join([family.name, *map(str, constants.values())])


def build() -> list[Record]:
    """All records of domain code, sorted by id: a task each, in the group of its family; the references are the solutions.

    Any other program that passes the hidden tests is right, too.
    """
    return sorted(map(_record, tasks()), key=lambda record: record.id)


def _record(task: Task) -> Record:
    return Record(
        id=f"{DOMAIN}-{task.name}",
        domain=DOMAIN,
        prompt=task.prompt,
        references=list(task.solutions),
        group=task.family,
        stratum=task.kind,
        checker="set",
        valid=[repr(test) for test in task.tests],
        source=SOURCE,
        licence=LICENCE,
    )


@lru_cache(maxsize=64)  # a source is called with one input after the other
def _compiled(source: str) -> CodeType:
    return compile(source, "solution", "exec")


def run_trusted(source: str, arguments: tuple) -> Any:
    """f(*arguments) of a source that this repository wrote; an exception comes back as its type's name in a ValueError."""
    space: dict[str, Any] = {}
    exec(_compiled(source), space)  # noqa: S102 - our own text
    try:
        return space["f"](*copy.deepcopy(arguments))
    except Exception as error:
        raise ValueError(type(error).__name__) from error


_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


def mutants(source: str) -> Iterator[str]:
    """Sources that differ in one place: an operator or comparison swapped, a number one higher, `not` dropped, a text emptied.

    Operators as in DeMillo, Lipton and Sayward (1978). A mutant may still be right (`x <= k` for `min`); tests cannot kill those.
    """
    count = len(list(ast.walk(ast.parse(source))))
    for place in range(count):
        tree = ast.parse(source)
        node = list(ast.walk(tree))[place]
        if _mutate(node):
            yield ast.unparse(ast.fix_missing_locations(tree))


def _mutate(node: ast.AST) -> bool:
    """Change the node in place; False where there is nothing to change."""
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in _SWAPS:
        node.op = _SWAPS[type(node.op)]()
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in _SWAPS:
        node.ops[0] = _SWAPS[type(node.ops[0])]()
    elif isinstance(node, ast.UnaryOp):
        node.op, node.operand = ast.UAdd(), node.operand
        return not isinstance(node.operand, ast.Compare)
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        node.value = not node.value
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        node.value += 1
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        node.value = ""
    else:
        return False
    return True


def killed(mutant: str, task: Task) -> bool:
    """Whether some test of the task tells the mutant (of one of its own solutions) from a right one."""
    for arguments, expected in task.tests:
        try:
            got = run_trusted(mutant, arguments)
        except (ValueError, RecursionError):
            return True
        if type(got) is not type(expected) or got != expected:
            return True
    return False
