"""A program in canonical form: equal for two programs that differ in names, quotes, comments, docstrings and annotations alone.

Every name that the program binds is replaced by a number in the order of binding, scope by scope, so that `for x in xs` and
`for item in items` are one. The function f, attributes, and names that are used as keywords keep theirs. Nothing is run.
"""

from __future__ import annotations

import ast
import warnings
from collections import ChainMap
from collections.abc import Collection, Iterable, Iterator
from itertools import count

LONGEST = 20_000  # characters; what is longer is not parsed
KEPT = "f"
_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_NAMES = {ast.Name: "id", ast.arg: "arg", ast.ExceptHandler: "name"}  # field of a node that holds a name


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
        _Renamer({node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg}).visit([tree])
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
                kept = [part for part in value if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))]
                for place, part in enumerate(kept):
                    if isinstance(part, ast.AnnAssign):
                        kept[place] = ast.Assign([part.target], part.value) if part.value else ast.Pass()
                setattr(node, name, kept or ([ast.Pass()] if name == "body" and not isinstance(node, ast.Module) else []))


def _own(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Nodes of statements or expressions that are not in an inner scope, in the order of the text."""
    for node in nodes:
        yield node
        if not isinstance(node, _DEFINITIONS | ast.Lambda | _COMPREHENSIONS):
            yield from _own(ast.iter_child_nodes(node))


def _bound(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Names that statements or expressions bind in their own scope, in the order of the text."""
    for node in _own(nodes):
        if isinstance(node, _DEFINITIONS):
            yield node.name
        elif isinstance(node, _COMPREHENSIONS):  # its targets are its own, a walrus in it is not
            yield from (inner.target.id for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias) and (node.asname or "." not in node.name):
            yield node.asname or node.name
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name


class _Renamer:
    """Numbers, in place, the names that the program binds; `kept` and names of nowhere (builtins) stay."""

    def __init__(self, kept: set[str]):
        self.kept, self.names, self.numbers = kept, ChainMap(), count()

    def name(self, name: str) -> str:
        return self.names.get(name, name)

    def scope(self, names: Iterable[str], parts: Iterable[ast.AST], outer: Collection[str] = ()) -> None:
        """Visit the parts of a new scope that binds the names, those of an outer scope apart."""
        new = [name for name in dict.fromkeys(names) if name not in self.kept and name not in outer]
        self.names = self.names.new_child({name: f"v{next(self.numbers)}" for name in new})
        self.visit(parts)
        self.names = self.names.parents

    def visit(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in filter(None, nodes):
            match node:
                case ast.Module():
                    self.scope(_bound(node.body), node.body, {KEPT})
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    node.name = self.name(node.name)
                    self.visit(node.decorator_list)
                    self.function(node.args, node.body)
                case ast.Lambda():
                    self.function(node.args, [node.body])
                case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                    first, *others = node.generators
                    self.visit([first.iter])  # of the outer scope
                    parts = [first.target, *first.ifs, *(part for other in others for part in (other.target, other.iter, *other.ifs))]
                    result = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
                    self.scope(_bound(generator.target for generator in node.generators), [*parts, *result])
                case ast.ClassDef():
                    node.name = self.name(node.name)
                    self.names = self.names.new_child({name: name for name in _bound(node.body)})  # attributes, which keep their names
                    self.visit(ast.iter_child_nodes(node))
                    self.names = self.names.parents
                case ast.alias() if node.asname or ("." not in node.name and node.name != "*"):
                    renamed = self.name(node.asname or node.name)
                    node.asname = None if renamed == node.name else renamed
                case ast.Global() | ast.Nonlocal():
                    node.names = [self.name(name) for name in node.names]
                case _:
                    if (field := _NAMES.get(type(node))) and getattr(node, field):
                        setattr(node, field, self.name(getattr(node, field)))
                    self.visit(ast.iter_child_nodes(node))

    def function(self, given: ast.arguments, body: list[ast.AST]) -> None:
        self.visit([*given.defaults, *given.kw_defaults])  # of the outer scope
        places = [*given.posonlyargs, *given.args, *filter(None, [given.vararg]), *given.kwonlyargs, *filter(None, [given.kwarg])]
        shared = {name for inner in _own(body) if isinstance(inner, ast.Global | ast.Nonlocal) for name in inner.names}
        self.scope([*(place.arg for place in places), *_bound(body)], [*places, *body], shared)
