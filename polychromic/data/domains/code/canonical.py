# ruff: noqa: N815 - ast.NodeTransformer looks methods up by the names of node types
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
_SCOPES = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


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
        keywords = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg}
        return ast.unparse(ast.fix_missing_locations(_Rename(keywords).visit(tree)))
    except (RecursionError, ValueError):
        return None


def _strip(tree: ast.Module) -> None:
    """Drop docstrings and other texts that stand for comments, annotations, and the u of u''."""
    for node in ast.walk(tree):
        for name in ("returns", "annotation", "type_comment", "kind"):
            if hasattr(node, name):
                setattr(node, name, None)
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                kept = [_unannotated(part) for part in value if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))]
                setattr(node, name, kept or ([ast.Pass()] if name == "body" and not isinstance(node, ast.Module) else []))


def _unannotated(node: ast.AST) -> ast.AST:
    if not isinstance(node, ast.AnnAssign):
        return node
    return ast.Assign([node.target], node.value) if node.value else ast.Pass()


def _bound(nodes: list[ast.AST]) -> Iterator[str]:
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
        if not isinstance(node, _SCOPES):
            yield from _bound(list(ast.iter_child_nodes(node)))


def _shared(nodes: list[ast.AST]) -> Iterator[str]:
    """Names that statements declare global or nonlocal in their own scope."""
    for node in nodes:
        if isinstance(node, ast.Global | ast.Nonlocal):
            yield from node.names
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from _shared(list(ast.iter_child_nodes(node)))


class _Rename(ast.NodeTransformer):
    """Numbers the names that the program binds; `kept` and names of nowhere (builtins) stay."""

    def __init__(self, kept: set[str]):
        self.kept, self.scopes, self.count = kept, [], 0

    def _enter(self, names: Iterable[str], outer: Collection[str] = ()) -> None:
        table: dict[str, str] = {}
        for name in names:
            if name not in table and name not in self.kept and name not in outer:
                table[name] = f"v{self.count}"
                self.count += 1
        self.scopes.append(table)

    def _name(self, name: str) -> str:
        return next((table[name] for table in reversed(self.scopes) if name in table), name)

    def visit_Module(self, node: ast.Module) -> ast.AST:
        self._enter(_bound(node.body), {KEPT})
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name = self._name(node.name)
        node.decorator_list = [self.visit(part) for part in node.decorator_list]
        return self._function(node, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return self._function(node, [node.body])

    def _function(self, node: ast.FunctionDef | ast.Lambda, body: list[ast.AST]) -> ast.AST:
        given = node.args
        given.defaults = [self.visit(part) for part in given.defaults]  # of the outer scope
        given.kw_defaults = [part and self.visit(part) for part in given.kw_defaults]
        places = [*given.posonlyargs, *given.args, *filter(None, [given.vararg]), *given.kwonlyargs, *filter(None, [given.kwarg])]
        self._enter([*(place.arg for place in places), *_bound(body)], set(_shared(body)))
        for place in places:
            place.arg = self._name(place.arg)
        visited = [self.visit(part) for part in body]
        node.body = visited[0] if isinstance(node, ast.Lambda) else visited
        self.scopes.pop()
        return node

    def _comprehension(self, node: ast.AST) -> ast.AST:
        first = node.generators[0]
        first.iter = self.visit(first.iter)  # of the outer scope
        self._enter(_bound([generator.target for generator in node.generators]))
        for generator in node.generators:
            generator.target = self.visit(generator.target)
            if generator is not first:
                generator.iter = self.visit(generator.iter)
            generator.ifs = [self.visit(part) for part in generator.ifs]
        for part in ("key", "value", "elt"):
            if hasattr(node, part):
                setattr(node, part, self.visit(getattr(node, part)))
        self.scopes.pop()
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.name = self._name(node.name)
        self.scopes.append({name: name for name in _bound(node.body)})  # what it binds are attributes, which keep their names
        self.generic_visit(node)
        self.scopes.pop()
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._name(node.id)
        return node

    def visit_alias(self, node: ast.alias) -> ast.AST:
        if node.asname or ("." not in node.name and node.name != "*"):
            renamed = self._name(node.asname or node.name)
            node.asname = None if renamed == node.name else renamed
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        node.name = node.name and self._name(node.name)
        return self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> ast.AST:
        node.names = [self._name(name) for name in node.names]
        return node

    visit_Nonlocal = visit_Global
