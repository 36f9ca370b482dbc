# ruff: noqa: N815 - ast.NodeVisitor looks methods up by the names of node types
"""A program in canonical form: equal for two programs that differ in names, quotes, comments, docstrings and annotations alone.

Every name that the program binds is replaced by a number in the order of binding, scope by scope, so that `for x in xs` and
`for item in items` are one. The function f, attributes, and names that are used as keywords keep theirs. Nothing is run.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Collection, Iterable, Iterator

LONGEST = 20_000  # characters; what is longer is not parsed
KEPT = "f"
_NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def parse(program: str) -> ast.Module | None:
    """The syntax tree, or None for what is no program (too long and too deep ones included)."""
    if len(program) > LONGEST:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\\d" in a model's string is nobody's concern
            return ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def canonical(program: str) -> str | None:
    """The program with its names numbered, as text; None for what does not parse. Examples at the top level (`print(f(3))`) drop out."""
    if (tree := parse(program)) is None:
        return None
    try:
        _strip(tree)
        tree.body = [node for node in tree.body if not isinstance(node, ast.Expr)]
        _Rename({node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg}).visit(tree)
        return ast.unparse(ast.fix_missing_locations(tree))
    except (RecursionError, ValueError):
        return None


def _strip(tree: ast.Module) -> None:
    """Drop docstrings and other texts that stand for comments, annotations, and the u of u''."""
    for node in ast.walk(tree):
        for name, value in ast.iter_fields(node):
            if name in ("returns", "annotation", "type_comment", "kind"):
                setattr(node, name, None)
            elif isinstance(value, list):
                kept = [_unannotated(part) for part in value if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))]
                setattr(node, name, kept or ([ast.Pass()] if name == "body" and not isinstance(node, ast.Module) else []))


def _unannotated(node: ast.AST) -> ast.AST:
    if not isinstance(node, ast.AnnAssign):
        return node
    return ast.Assign([node.target], node.value) if node.value else ast.Pass()


def _bound(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Names that statements or expressions bind in their own scope, in the order of the text."""
    for node in nodes:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():  # its targets are its own, a walrus in it is not
                yield from (inner.target.id for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr))
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.alias() if node.asname or "." not in node.name:
                yield node.asname or node.name
            case ast.ExceptHandler() if node.name:
                yield node.name
        if not isinstance(node, (*_NAMED, ast.Lambda, *_COMPREHENSIONS)):
            yield from _bound(ast.iter_child_nodes(node))


def _shared(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Names that statements declare global or nonlocal in their own scope."""
    for node in nodes:
        if isinstance(node, ast.Global | ast.Nonlocal):
            yield from node.names
        elif not isinstance(node, (*_NAMED, ast.Lambda)):
            yield from _shared(ast.iter_child_nodes(node))


class _Rename(ast.NodeVisitor):
    """Numbers, in place, the names that the program binds; `kept` and names of nowhere (builtins) stay."""

    def __init__(self, kept: set[str]):
        self.kept, self.scopes, self.count = kept, [], 0

    def _name(self, name: str) -> str:
        return next((table[name] for table in reversed(self.scopes) if name in table), name)

    def _visit(self, parts: Iterable[ast.AST | None]) -> None:
        for part in filter(None, parts):
            self.visit(part)

    def _inside(self, names: Iterable[str], parts: Iterable[ast.AST], outer: Collection[str] = ()) -> None:
        """Visit the parts of a new scope that binds the names, those of an outer scope apart."""
        table: dict[str, str] = {}
        for name in names:
            if name not in table and name not in self.kept and name not in outer:
                table[name] = f"v{self.count}"
                self.count += 1
        self.scopes.append(table)
        self._visit(parts)
        self.scopes.pop()

    def visit_Module(self, node: ast.Module) -> None:
        self._inside(_bound(node.body), node.body, {KEPT})

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.Lambda) -> None:
        if isinstance(node, ast.Lambda):
            body = [node.body]
        else:
            node.name, body = self._name(node.name), node.body
            self._visit(node.decorator_list)
        given = node.args
        self._visit([*given.defaults, *given.kw_defaults])  # of the outer scope
        places = [*given.posonlyargs, *given.args, *filter(None, [given.vararg]), *given.kwonlyargs, *filter(None, [given.kwarg])]
        self._inside([*(place.arg for place in places), *_bound(body)], [*places, *body], set(_shared(body)))

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        first, *others = node.generators
        self.visit(first.iter)  # of the outer scope
        parts = [first.target, *first.ifs, *(part for other in others for part in (other.target, other.iter, *other.ifs))]
        result = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._inside(_bound(generator.target for generator in node.generators), [*parts, *result])

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        node.name = self._name(node.name)
        self.scopes.append({name: name for name in _bound(node.body)})  # what it binds are attributes, which keep their names
        self.generic_visit(node)
        self.scopes.pop()

    def visit_Name(self, node: ast.Name) -> None:
        node.id = self._name(node.id)

    def visit_arg(self, node: ast.arg) -> None:
        node.arg = self._name(node.arg)

    def visit_alias(self, node: ast.alias) -> None:
        if node.asname or ("." not in node.name and node.name != "*"):
            renamed = self._name(node.asname or node.name)
            node.asname = None if renamed == node.name else renamed

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        node.name = node.name and self._name(node.name)
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> None:
        node.names = [self._name(name) for name in node.names]

    visit_Nonlocal = visit_Global
