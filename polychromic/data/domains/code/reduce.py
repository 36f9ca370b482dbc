"""Script: cut a program down to what its results need, by what it returns for given arguments alone.

Greedy hierarchical reduction (Misherghi and Su 2006; Zeller and Hildebrandt 2002): a statement is left out, a compound one gives way to its
body, an expression to a part of it or, where it holds no variable, to its value, a temporary to what it was given, a call of a lambda or
of a helper of one expression to that expression; an edit stands when every result stays what it was. So what never ran, what ran
without effect and what decided nothing are gone, whether or not a reader could have proved it.

It runs in the sandbox, sent there by its source, and never learns what a result should be. What runs is bounded by counted steps, never by
the clock, so that the same program always ends as the same text. Standard library alone.
"""

import ast
import copy
import marshal

TICK = "_tick_"  # called at the head of each loop and function; no program that is reduced can name it
STEPS = 10**6  # of the program with all arguments; what takes more is not reduced
FACTOR, LEAST = 10, 1_000  # steps of a variant: at most so many times those of the program, and so many more
EDITS = 6_000  # tried at most; a program of 40 tokens needs some hundreds
_FUNCTIONS = {"len", "int", "str", "abs", "sum", "max", "min", "bool"}  # that may stand in an expression which is a constant
_BLOCKS = ("body", "orelse", "finalbody")
_SCOPES = (ast.FunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class _Over(BaseException):
    """A variant took too many steps."""


class _Loads(ast.NodeTransformer):
    """Replace what names stand for."""

    def __init__(self, values):
        self.values = values

    def visit_Name(self, node):
        return copy.deepcopy(self.values[node.id]) if isinstance(node.ctx, ast.Load) and node.id in self.values else node


class _Simple(ast.NodeTransformer):
    """Fewer ways to say the same: v = v + e, and for a chain of comparisons, one conditional for two returns or two assignments."""

    def visit_AugAssign(self, node):
        self.generic_visit(node)
        if not isinstance(node.target, ast.Name):
            return node
        return ast.Assign([node.target], ast.BinOp(ast.Name(node.target.id, ast.Load()), node.op, node.value))

    def visit_Compare(self, node):
        self.generic_visit(node)
        if len(node.ops) == 1:
            return node
        sides = [node.left, *node.comparators]
        pairs = zip(sides, node.ops, sides[1:], strict=False)
        return ast.BoolOp(ast.And(), [ast.Compare(copy.deepcopy(a), [op], [copy.deepcopy(b)]) for a, op, b in pairs])

    def visit_Assign(self, node):
        self.generic_visit(node)
        if isinstance(node.value, ast.Lambda) and isinstance(node.targets[0], ast.Name) and len(node.targets) == 1:
            return ast.FunctionDef(node.targets[0].id, node.value.args, [ast.Return(node.value.body)], [])
        return node

    def generic_visit(self, node):
        super().generic_visit(node)
        for name in _BLOCKS:
            if isinstance(block := getattr(node, name, None), list):
                setattr(node, name, self.block(block))
        return node

    def block(self, block):
        kept = []
        for part in reversed(block):
            if isinstance(part, ast.If) and len(part.body) == 1:
                (one,), others = part.body, part.orelse or kept[:1]
                other = others[0] if len(others) == 1 else None
                if isinstance(one, ast.Return) and isinstance(other, ast.Return) and one.value and other.value:
                    kept = [] if part.orelse else kept[1:]
                    part = ast.Return(ast.IfExp(part.test, one.value, other.value))
                elif part.orelse and isinstance(one, ast.Assign) and isinstance(other, ast.Assign):
                    if ast.dump(one.targets[0]) == ast.dump(other.targets[0]):
                        part = ast.Assign(one.targets, ast.IfExp(part.test, one.value, other.value))
            if isinstance(part, ast.Return | ast.Raise | ast.Break | ast.Continue):
                kept = []
            kept.insert(0, part)
        return kept


def _ticking(tree):
    """The tree with a step counted at the head of each loop and function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.For | ast.While | ast.FunctionDef):
            node.body.insert(0, ast.Expr(ast.Call(ast.Name(TICK, ast.Load()), [], [])))
    return ast.fix_missing_locations(tree)


def _is_tick(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == TICK


def _plain(value):
    """Equal for values of equal type and content."""
    kind = type(value)
    if kind in (list, tuple):
        return kind.__name__, [_plain(part) for part in value]
    if kind is dict:
        return "dict", sorted((repr(key), _plain(part)) for key, part in value.items())
    return kind.__name__, sorted(map(repr, value)) if kind in (set, frozenset) else repr(value)


class _Runs:
    """Runs variants of a program; `same` tells whether one returns what the program did."""

    def __init__(self, tree, arguments):
        self.packed, self.left = [marshal.dumps(one) for one in arguments], STEPS
        self.wanted = list(self.results(tree))
        self.most = FACTOR * (STEPS - self.left) + LEAST

    def tick(self):
        self.left -= 1
        if self.left < 0:
            raise _Over

    def results(self, tree):
        space = {"__name__": "program", TICK: self.tick}
        exec(compile(tree, "program.py", "exec"), space)  # noqa: S102 - in the sandbox
        for packed in self.packed:
            yield _plain(space["f"](*marshal.loads(packed)))

    def same(self, tree):
        self.left = self.most
        try:
            return all(got == wanted for got, wanted in zip(self.results(tree), self.wanted, strict=True))
        except BaseException:  # noqa: BLE001 - whatever a variant does, it is not the same
            return False


def _parts(node):
    """Expressions below a node, nearest first, those of inner scopes included."""
    return [part for part in ast.walk(node) if part is not node and isinstance(part, ast.expr) and _is_value(part)]


def _is_value(node):
    return isinstance(getattr(node, "ctx", None), ast.Load | None) and not isinstance(node, ast.Starred | ast.Slice)


def _value(node):
    """The expression's value as a constant, or None where it has none or holds another name than those of _FUNCTIONS."""
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    if isinstance(node, ast.Constant) or isinstance(node, _SCOPES) or not names <= _FUNCTIONS:
        return None
    try:
        found = eval(compile(ast.Expression(node), "program.py", "eval"))  # noqa: S307 - in the sandbox
    except Exception:
        return None
    return ast.Constant(found) if type(found) in (bool, int, float, str) else None


def _applied(node, helpers):
    """A call of a lambda, or of a helper that returns one expression, as that expression; else None."""
    called = helpers.get(node.func.id) if isinstance(node.func, ast.Name) else node.func
    if not isinstance(called, ast.Lambda) or node.keywords or len(called.args.args) != len(node.args):
        return None
    return _Loads(dict(zip((one.arg for one in called.args.args), node.args, strict=True))).visit(copy.deepcopy(called.body))


def _told_simply(node):
    """The same in a form that others have, too.

    A comparison as one of what its arithmetic is about (x > 2 for x - 2 > 0), or with 0 as one for equality; a comprehension without a name
    for one thing alone; a list of a generator as a list comprehension, an empty one as a display; arguments without a list around them.
    """
    numbers = (int, float)
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[ast.Constant(value=other)]) if type(other) in numbers:
            if other == 0 and not isinstance(op, ast.Eq | ast.NotEq):
                yield from (ast.Compare(left, [kind()], node.comparators) for kind in (ast.Eq, ast.NotEq))
            for side, known in [(left.left, left.right), (left.right, left.left)] if isinstance(left, ast.BinOp) else []:
                if isinstance(known, ast.Constant) and type(known.value) in numbers:
                    values = (other - known.value, other + known.value, *([other // known.value] if known.value else []))
                    yield from (ast.Compare(side, node.ops, [ast.Constant(value)]) for value in values)
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            for i, part in enumerate(node.generators[1:], start=1):
                if isinstance(part.target, ast.Name) and isinstance(part.iter, ast.List | ast.Tuple) and len(part.iter.elts) == 1:
                    other = copy.deepcopy(node)
                    del other.generators[i]
                    other.generators[i - 1].ifs += part.ifs
                    yield _Loads({part.target.id: part.iter.elts[0]}).visit(other)
        case ast.Call(func=ast.Name(id="list"), args=[ast.GeneratorExp(elt=elt, generators=parts)]):
            yield ast.ListComp(elt, parts)
        case ast.Call(func=ast.Name(id="list"), args=[]):
            yield ast.List([], ast.Load())
        case ast.Call(func=func, args=[ast.List(elts=parts) | ast.Tuple(elts=parts)]):
            yield ast.Call(func, parts, [])


def _instead(node, helpers, given):
    """What may stand in an expression's place."""
    yield from filter(None, [_value(node), _applied(node, helpers) if isinstance(node, ast.Call) else None])
    if not (isinstance(node, ast.Name) and node.id in given):
        yield from (ast.Name(name, ast.Load()) for name in given)
    for part in _parts(node):
        yield part
        if isinstance(node, ast.Compare):
            yield ast.UnaryOp(ast.Not(), part)
    yield from _told_simply(node)


def _blocks(block):
    """What may stand in the place of a list of statements."""
    for i, part in enumerate(block):
        if _is_tick(part):
            continue
        before, after = block[:i], block[i + 1 :]
        yield before + after
        for name in _BLOCKS:
            if inner := getattr(part, name, None):
                yield before + inner + after
        if isinstance(part, ast.Assign) and len(part.targets) == 1 and isinstance(part.targets[0], ast.Name):
            loads = _Loads({part.targets[0].id: part.value})
            for size in {len(after), 1}:
                yield before + [loads.visit(copy.deepcopy(one)) for one in after[:size]] + after[size:]


def _edits(node, helpers, given):
    """(field, value) of what may be changed in a node."""
    for name, value in ast.iter_fields(node):
        if name in ("targets", "target", "args") and not isinstance(node, ast.Call):
            continue
        if name in _BLOCKS and isinstance(value, list):
            yield from ((name, block or [ast.Pass()]) for block in _blocks(value))
        elif isinstance(value, list) and value and isinstance(value[0], ast.expr | ast.keyword | ast.comprehension):
            for i, part in enumerate(value):
                yield name, value[:i] + value[i + 1 :]
                if isinstance(part, ast.Starred) and isinstance(part.value, ast.List | ast.Tuple):
                    yield name, [*value[:i], *part.value.elts, *value[i + 1 :]]
                if isinstance(part, ast.expr) and _is_value(part):
                    yield from ((name, [*value[:i], other, *value[i + 1 :]]) for other in _instead(part, helpers, given))
        elif isinstance(value, ast.expr) and _is_value(value):
            if isinstance(node, ast.Slice):
                yield name, None
            yield from ((name, other) for other in _instead(value, helpers, given))


def _single(node):
    body = [part for part in node.body if not _is_tick(part)]
    return len(body) == 1 and isinstance(body[0], ast.Return) and body[0].value and node.name != "f"


def reduced(program, arguments):
    """The reduced program as text. None: too long to reduce. arguments: those of each call of f; a result must be plain data."""
    tree = _ticking(ast.parse(program))
    runs = _Runs(tree, arguments)
    simple = _ticking(_Simple().visit(ast.parse(program)))
    if runs.same(simple):
        tree = simple
    tried, changed = 0, True
    while changed:
        changed = False
        waiting = [tree]
        while waiting:
            node = waiting.pop(0)
            again = not _is_tick(node)
            while again:
                again = False
                functions = [part for part in ast.walk(tree) if isinstance(part, ast.FunctionDef)]
                helpers = {part.name: ast.Lambda(part.args, part.body[-1].value) for part in functions if _single(part)}
                given = [one.arg for part in functions if part.name == "f" for one in part.args.args]
                for name, value in _edits(node, helpers, given):
                    old = getattr(node, name)
                    setattr(node, name, value)
                    for part in value if isinstance(value, list) else [value]:
                        if part is not None:
                            ast.fix_missing_locations(part)
                    tried += 1
                    if again := runs.same(tree):
                        changed = True
                        break
                    setattr(node, name, old)
                    if tried > EDITS:
                        return None
            waiting += [part for part in ast.iter_child_nodes(node) if not _is_tick(part)]
    for node in ast.walk(tree):
        for name in _BLOCKS:
            if isinstance(block := getattr(node, name, None), list):
                setattr(node, name, [part for part in block if not _is_tick(part)] or ([ast.Pass()] if name == "body" else []))
    return ast.unparse(tree)
