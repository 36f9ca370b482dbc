"""What of the package a piece of code can use: from symbol to symbol over the syntax trees, imports inside functions included.

A function that is never named does not count. The one import by name, get_domain, leads to the module of the domain given.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from tests.workspace import REPOSITORY

PACKAGE = "polychromic"
Symbol = tuple[str, str]  # (module without the package's name, top-level name or "*" for all of it)
Part = tuple[str, ast.AST]  # (module, statement of it)


@cache
def source_of(module: str) -> Path | None:
    path = REPOSITORY.joinpath(PACKAGE, *module.split(".")) if module != "__init__" else REPOSITORY / PACKAGE
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def module_name(dotted: str) -> str | None:
    """"polychromic.data.split" -> "data.split", "polychromic" -> "__init__", a foreign module -> None."""
    head, _, rest = dotted.partition(".")
    return None if head != PACKAGE else rest or "__init__"


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(source_of(module).read_text(encoding="utf-8"))


@cache
def definitions(module: str) -> dict[str, list[ast.stmt]]:
    """Top-level name -> the statements that bind it (functions, classes, assignments)."""
    found: dict[str, list[ast.stmt]] = {}
    for statement in tree_of(module).body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [statement.name]
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            names = []
        else:
            names = [node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
        for name in names:
            found.setdefault(name, []).append(statement)
    return found


def imports(node: ast.AST) -> dict[str, Symbol]:
    """Local name -> what of the package it stands for, over all import statements within `node`."""
    found: dict[str, Symbol] = {}
    for statement in ast.walk(node):
        if isinstance(statement, ast.ImportFrom):
            assert statement.level == 0, "relative import: teach this test about it"
            base = module_name(statement.module)
            for alias in statement.names if base else ():
                inner = alias.name if base == "__init__" else f"{base}.{alias.name}"
                found[alias.asname or alias.name] = (inner, "") if source_of(inner) else (base, alias.name)
        elif isinstance(statement, ast.Import):
            assert not any(module_name(alias.name) for alias in statement.names), "`import polychromic.x`: teach this test about it"
    return found


def evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but the annotations of functions, which nothing evaluates."""
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns") and isinstance(node, ast.arg | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from evaluated(child)


def uses(module: str, node: ast.AST) -> Iterator[Symbol]:
    """The package's symbols that `node`, a part of `module`, refers to."""
    known = imports(tree_of(module)) | imports(node)
    nodes = list(evaluated(node))
    attributes = {id(part.value): part.attr for part in nodes if isinstance(part, ast.Attribute)}
    for part in nodes:
        if not isinstance(part, ast.Name):
            continue
        if part.id in known:
            target, name = known[part.id]
            # A module handed on as a value may be used in any way: all of it counts.
            yield (target, name) if name else (target, attributes.get(id(part), "*"))
        elif part.id in definitions(module):
            yield module, part.id


def parts(symbol: Symbol) -> list[Part]:
    """(module, statement) pairs that define the symbol; a name that its module imports leads on to where it comes from."""
    module, name = symbol
    if name == "*":
        return [(module, tree_of(module))]
    return [(module, statement) for statement in definitions(module).get(name, ())]


def walk(start: Sequence[Symbol], domain: str | None, excluded: frozenset[str]) -> tuple[frozenset[Symbol], tuple[Part, ...]]:
    """Everything of the package that is reached from `start`: symbols, and the statements that define them.

    Args:
        domain: the module of domains/ that get_domain gives; None where none is asked for.
        excluded: modules that the walk does not enter.
    """
    pending, seen, statements = list(start), set(), []
    while pending:
        symbol = pending.pop()
        if symbol in seen or symbol[0] in excluded:
            continue
        seen.add(symbol)
        if symbol == ("domains", "get_domain") and domain:
            pending.append((f"domains.{domain}", "DOMAIN"))
        module, name = symbol
        if name != "*" and name not in definitions(module):
            reexported = imports(tree_of(module)).get(name)
            if reexported:
                pending.append(reexported if reexported[1] else (reexported[0], "*"))
            continue
        for place, statement in parts(symbol):
            statements.append((place, statement))
            pending += uses(place, statement)
    return frozenset(seen), tuple(statements)


def body_uses(module: str, function: ast.FunctionDef) -> Iterator[Symbol]:
    """What the body of a function uses, its signature and decorators apart."""
    for statement in function.body:
        yield from uses(module, ast.Module([*[n for n in ast.walk(function) if isinstance(n, ast.ImportFrom)], statement], []))


def chain(node: ast.AST) -> list[str] | None:
    """Attribute access as a list of names: params.analysis.seed -> ["params", "analysis", "seed"]."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute) and (head := chain(node.value)):
        return [*head, node.attr]
    return None
