"""What of the package a piece of code can use: from symbol to symbol over the syntax trees, imports inside functions included.

A function that is never named does not count. The one import by name, get_domain, leads to the module of the domain given.
Nothing is imported or run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from polychromic.base.errors import DataError, PolychromicError

PACKAGE = "polychromic"
Symbol = tuple[str, str]  # (module without the package's name, top-level name or "*" for all of it)
Part = tuple[str, ast.AST]  # (module, statement of it)


class Package:
    """The package's source under `root`; a module is parsed once."""

    def __init__(self, root: Path):
        self.root = root
        self.source_of = cache(self._source_of)
        self.tree_of = cache(self._tree_of)
        self.definitions = cache(self._definitions)
        self.imports_of = cache(lambda module: self.imports(self.tree_of(module)))
        # By statement, which `tree_of` keeps alive: dozens of stages walk over the same ones.
        self._seen: dict[tuple[str, int], tuple[Symbol, ...]] = {}
        self._texts: dict[int, frozenset[str]] = {}

    def _source_of(self, module: str) -> Path | None:
        """The file of a module ("data.split"; "__init__" is the package itself), None where there is none."""
        path = self.root.joinpath(PACKAGE, *module.split(".")) if module != "__init__" else self.root / PACKAGE
        return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)

    def path_of(self, module: str) -> str:
        """The module's file relative to the root, "polychromic/data/split.py". Raises PolychromicError where there is none."""
        file = self.source_of(module)
        if file is None:
            raise PolychromicError(f"{self.root / PACKAGE}: no module {module}. Restore it with `git checkout`, or mend its import.")
        return file.relative_to(self.root).as_posix()

    def _tree_of(self, module: str) -> ast.Module:
        path = self.root / self.path_of(module)
        try:
            return ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError) as error:
            raise DataError(str(path), f"not Python ({error})", "a module that Python can parse", "Mend it.") from None

    def _definitions(self, module: str) -> dict[str, list[ast.stmt]]:
        """Top-level name -> the statements that bind it (functions, classes, assignments)."""
        found: dict[str, list[ast.stmt]] = {}
        for statement in self.tree_of(module).body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names = [statement.name]
            elif isinstance(statement, ast.Import | ast.ImportFrom):
                names = []
            else:
                names = [node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
            for name in names:
                found.setdefault(name, []).append(statement)
        return found

    def imports(self, node: ast.AST) -> dict[str, Symbol]:
        """Local name -> what of the package it stands for, over all import statements within `node`."""
        found: dict[str, Symbol] = {}
        for statement in ast.walk(node):
            if isinstance(statement, ast.ImportFrom):
                assert statement.level == 0, "relative import: teach this walk about it"
                base = module_name(statement.module or "")
                for alias in statement.names if base else ():
                    inner = alias.name if base == "__init__" else f"{base}.{alias.name}"
                    found[alias.asname or alias.name] = (inner, "") if self.source_of(inner) else (str(base), alias.name)
            elif isinstance(statement, ast.Import):
                assert not any(module_name(alias.name) for alias in statement.names), "`import polychromic.x`: teach this walk about it"
        return found

    def uses(self, module: str, node: ast.AST) -> Iterator[Symbol]:
        """The package's symbols that `node`, a part of `module`, refers to."""
        nodes = list(evaluated(node))
        inside = any(isinstance(part, ast.Import | ast.ImportFrom) for part in nodes)
        known = self.imports_of(module) | (self.imports(node) if inside else {})
        attributes = {id(part.value): part.attr for part in nodes if isinstance(part, ast.Attribute)}
        for part in nodes:
            if not isinstance(part, ast.Name):
                continue
            if part.id in known:
                target, name = known[part.id]
                # A module handed on as a value may be used in any way: all of it counts.
                yield (target, name) if name else (target, attributes.get(id(part), "*"))
            elif part.id in self.definitions(module):
                yield module, part.id

    def parts(self, symbol: Symbol) -> list[Part]:
        """(module, statement) pairs that define the symbol; a name that its module imports leads on to where it comes from."""
        module, name = symbol
        if name == "*":
            return [(module, self.tree_of(module))]
        return [(module, statement) for statement in self.definitions(module).get(name, ())]

    def walk(self, start: Sequence[Symbol], domain: str | None, excluded: frozenset[str]) -> tuple[frozenset[Symbol], tuple[Part, ...]]:
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
            if name != "*" and name not in self.definitions(module):
                reexported = self.imports_of(module).get(name)
                if reexported:
                    pending.append(reexported if reexported[1] else (reexported[0], "*"))
                continue
            for place, statement in self.parts(symbol):
                statements.append((place, statement))
                pending += self._uses_of(place, statement)
        return frozenset(seen), tuple(statements)

    def _uses_of(self, module: str, statement: ast.AST) -> tuple[Symbol, ...]:
        key = (module, id(statement))
        if key not in self._seen:
            self._seen[key] = tuple(self.uses(module, statement))
        return self._seen[key]

    def texts_of(self, statement: ast.AST) -> frozenset[str]:
        """The string constants of a statement."""
        if id(statement) not in self._texts:
            constants = (node.value for node in ast.walk(statement) if isinstance(node, ast.Constant))
            self._texts[id(statement)] = frozenset(value for value in constants if isinstance(value, str))
        return self._texts[id(statement)]

    def body_uses(self, module: str, function: ast.FunctionDef) -> Iterator[Symbol]:
        """What the body of a function uses, its signature and decorators apart."""
        for statement in function.body:
            yield from self.uses(module, ast.Module([*[n for n in ast.walk(function) if isinstance(n, ast.ImportFrom)], statement], []))


def module_name(dotted: str) -> str | None:
    """ "polychromic.data.split" -> "data.split", "polychromic" -> "__init__", a foreign module -> None."""
    head, _, rest = dotted.partition(".")
    return None if head != PACKAGE else rest or "__init__"


def evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but the annotations of functions, which nothing evaluates."""
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns") and isinstance(node, ast.arg | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from evaluated(child)


def chain(node: ast.AST) -> list[str] | None:
    """Attribute access as a list of names: params.analysis.split -> ["params", "analysis", "split"]."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute) and (head := chain(node.value)):
        return [*head, node.attr]
    return None
