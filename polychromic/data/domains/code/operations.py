"""What a program does, as a bag of operations: functions and methods used, arithmetic, comparisons, loops, conditions, displays.

Left out is what can be written one way or another at will: names, constants, order and direction, signs, negation, returns and
assignments, a list where a generator does, a tuple where a list does, a statement where an expression does. Of two right programs with
one bag neither shows another idea than the other.
"""

from __future__ import annotations

import ast
import builtins
import dis
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from types import CodeType

FUNCTION = "f"
# Modules whose functions depend on their arguments alone and show nothing of the interpreter.
MODULES = frozenset("math cmath itertools functools collections string re operator statistics heapq bisect fractions typing".split())
_REFLECTIVE = frozenset(
    "globals locals vars dir eval exec compile getattr setattr delattr open input breakpoint id hash help memoryview "
    "attrgetter methodcaller sys _sys os _os builtins modules random".split()  # modules hold other modules
)
_FRAMES = ("gi_", "tb_", "f_", "cr_", "ag_", "co_")  # beginnings of attributes that lead to one
_KINDS = {
    ast.Gt: "order", ast.Lt: "order", ast.GtE: "order", ast.LtE: "order", ast.Eq: "equal", ast.NotEq: "equal", ast.Is: "equal",
    ast.IsNot: "equal", ast.In: "in", ast.NotIn: "in", ast.And: "both", ast.Or: "both", ast.Add: "+", ast.Sub: "+", ast.Mult: "*",
    ast.If: "if", ast.IfExp: "if", ast.For: "for", ast.While: "while", ast.Lambda: "lambda", ast.FunctionDef: "lambda",
    ast.comprehension: "comprehension", ast.SetComp: "set", ast.Set: "set", ast.DictComp: "dict", ast.Dict: "dict", ast.List: "display",
    ast.Tuple: "display", ast.Slice: "slice", ast.Starred: "star", ast.JoinedStr: "format", ast.Pow: "pow",
}  # fmt: skip
_SILENT = (
    ast.Module, ast.Return, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Constant, ast.arguments, ast.arg, ast.keyword,
    ast.alias, ast.Import, ast.ImportFrom, ast.expr_context, ast.UnaryOp, ast.unaryop, ast.BinOp, ast.BoolOp, ast.Compare, ast.Call,
    ast.Pass, ast.ListComp, ast.GeneratorExp, ast.NamedExpr, ast.FormattedValue, ast.Global, ast.Nonlocal, ast.Break, ast.Continue,
)  # fmt: skip
_TELLING = frozenset("LOAD_GLOBAL LOAD_ATTR LOAD_METHOD COMPARE_OP BINARY_OP CONTAINS_OP IS_OP".split())
_BOOKKEEPING = frozenset("RESUME NOP PRECALL EXTENDED_ARG PUSH_NULL COPY_FREE_VARS MAKE_CELL".split())
_CHAINS = {ast.Add: "+", ast.Sub: "+", ast.Mult: "*", ast.And: "both", ast.Or: "both"}


def reflective(tree: ast.AST) -> bool:
    """Whether the program could look at what runs it, or return what does not depend on its arguments alone."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names) if not {alias.name.split(".")[0] for alias in names} <= MODULES:
                return True
            case ast.ImportFrom(module=module, names=names) if module not in MODULES or {alias.name for alias in names} & _REFLECTIVE:
                return True
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in _REFLECTIVE or name.startswith(("__", "_tick_")):
                return True
            case ast.Attribute(attr=name) if name.startswith(_FRAMES):
                return True
    return False


def operations(tree: ast.Module) -> str:
    """The bag in the order of the alphabet, as text: "+ comprehension sum".

    What is there twice or more counts twice, so that repeating it leads nowhere.
    """
    nodes = list(ast.walk(tree))
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)} - {FUNCTION}
    bound = stored | defined | {node.arg for node in nodes if isinstance(node, ast.arg)}
    aliases = {alias.asname or alias.name: alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    modules = {alias.asname or alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found = Counter(label for node in tree.body for label in _labels(node, tree, aliases, bound - {*aliases, *modules}, modules))
    found["lambda"] -= 1  # f itself
    return " ".join(label for label in sorted(found) for _ in range(min(found[label], 2)))


def _labels(node: ast.AST, parent: ast.AST, aliases: dict[str, str], bound: set[str], modules: set[str]) -> Iterator[str]:
    """The operations of a node and of all below it."""
    deeper = lambda part: _labels(part, node, aliases, bound, modules)
    match node:
        case ast.Name(id=name, ctx=ast.Load()):
            if name not in bound | modules:
                yield aliases.get(name, name)
            return
        case ast.Name():
            return
        case ast.Attribute(attr=name, value=value):
            yield name
            if not (isinstance(value, ast.Name) and (value.id in modules or isinstance(getattr(builtins, value.id, None), type))):
                yield from deeper(value)
            return
        case ast.Tuple(ctx=ast.Store()) | ast.List(ctx=ast.Store()):
            return
        case ast.BinOp(op=op) | ast.BoolOp(op=op) | ast.AugAssign(op=op):
            label = _CHAINS.get(type(op))
            if not (label and isinstance(parent, ast.BinOp | ast.BoolOp | ast.AugAssign) and _CHAINS.get(type(parent.op)) == label):
                yield label or _KINDS.get(type(op), type(op).__name__)
        case ast.Compare(ops=ops, comparators=sides):
            nothing = len(ops) == 1 and isinstance(sides[0], ast.Constant | ast.List | ast.Tuple) and not getattr(sides[0], "value", None)
            yield from () if nothing and isinstance(ops[0], ast.Eq | ast.NotEq) else (_KINDS[type(op)] for op in ops)
        case ast.IfExp(body=ast.Constant(value=bool()), orelse=ast.Constant(value=bool())):
            pass
        case ast.comprehension(ifs=ifs):
            yield from ["comprehension", *["if"] * len(ifs)]
        case ast.Subscript(slice=part):
            yield from () if isinstance(part, ast.Slice) else ("index",)
        case _ if not isinstance(node, (*_SILENT, ast.operator, ast.boolop, ast.cmpop)):
            yield _KINDS.get(type(node), type(node).__name__)
    for part in ast.iter_child_nodes(node):
        yield from deeper(part)


@lru_cache(maxsize=1 << 17)
def profile(program: str) -> frozenset[tuple[str, ...]]:
    """Pairs of neighbouring instructions of the functions as this Python's compiler leaves them, or the text where there are none.

    What the compiler sees is never reached is not among them, nor are names of variables and constants; those of functions, methods and
    operators are. Nothing is run.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            waiting = [compile(program, "program.py", "exec")]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset([(program.strip(),)])
    found: set[tuple[str, ...]] = set()
    while waiting:
        for code in [part for part in waiting.pop().co_consts if isinstance(part, CodeType)]:
            waiting.append(code)
            steps = [step for step in dis.get_instructions(code) if step.opname not in _BOOKKEEPING]
            found |= set(
                pairwise(["start", *(f"{step.opname} {step.argrepr}" if step.opname in _TELLING else step.opname for step in steps)])
            )
    return frozenset(found or [(program.strip(),)])
