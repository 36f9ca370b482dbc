"""Tasks: every solution is right by the family's first one, families are told apart by their tests, mutants die."""

import ast
import signal
from collections import Counter, defaultdict
from collections.abc import Iterator
from unittest.mock import Mock

import pytest
from ruamel.yaml import YAML

from polychromic.base.errors import PolychromicError
from polychromic.data.code import Family, build, families, held_out_tests, record_of, trusted
from polychromic.data.domains.code import Code
from polychromic.data.domains.code.canonical import canonical
from polychromic.data.split import check_split, is_seen, split
from tests.workspace import REPOSITORY

SIZES = YAML(typ="safe").load(REPOSITORY / "params.yaml")["code"]["sizes"]


@pytest.fixture(scope="module")
def records():
    return build()


def hidden(record):
    return [ast.literal_eval(line) for line in record.valid]


def said(f, arguments) -> str:
    """What comes back, or the name of the error; "too slow" after a quarter of a second: a mutant that loops for ever counts as killed."""
    signal.setitimer(signal.ITIMER_REAL, 0.25)
    try:
        return repr(f(*arguments))
    except Exception as error:
        return type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.fixture(autouse=True)
def alarm():
    before = signal.signal(signal.SIGALRM, Mock(side_effect=TimeoutError))
    yield
    signal.signal(signal.SIGALRM, before)


def test_there_are_enough_tasks_of_each_kind_with_different_right_solutions_and_tests_that_vary(records):
    found = {r.id: r for r in records}
    task = found["code-sum_above-5"]
    assert task.prompt == "Write a Python function f(xs) that returns the sum of the numbers in xs that are greater than 5."
    assert task.references[0] == "def f(xs):\n    return sum(x for x in xs if x > 5)"
    assert (task.group, task.stratum, task.checker) == ("sum_above", "list", "set") and "(([12, -7, 30, 5, 5, 18],), 60)" in task.valid
    assert len(found) == len({r.prompt for r in records}) == len(records) >= 940
    assert [r.id for r in records] == sorted(r.id for r in records) and len({r.group for r in records}) == len(families()) >= 270
    assert min(Counter(r.stratum for r in records).values()) >= 200
    for record in records:
        assert len({canonical(solution) for solution in record.references}) == len(record.references) >= 2, record.id
        assert len(record.valid) >= 5 and len({repr(expected) for _, expected in hidden(record)}) >= 2, record.id


@pytest.mark.parametrize("step", [10, pytest.param(1, marks=pytest.mark.slow)])
def test_solutions_of_a_new_family_are_all_different_answers_and_an_older_one_has_as_many_as_the_data_sheet_says(records, step):
    """By the key of the domain, one task of each `step`-th family."""
    tasks = list({r.group: r for r in reversed(records)}.values())[::step]
    keys = [[Code().answer(r, solution) for solution in r.references] for r in tasks]
    assert not any({None, "does: ?"} & set(found) for found in keys)
    assert all(len(set(found)) == len(found) >= 3 for r, found in zip(tasks, keys, strict=True) if not is_seen(r))
    several = sum(len(set(found)) >= 3 for found in keys)
    measured = f"{several} of the {len(tasks)} families have at least three solutions that are different answers"
    assert step > 1 or measured in " ".join((REPOSITORY / "DATA.md").read_text(encoding="utf-8").split())


def test_held_out_tests_are_others_and_all_solutions_pass_them(records):
    """Only what is empty is in both."""
    for record in records:
        tests = [ast.literal_eval(line) for line in held_out_tests(record.id)]
        both = {repr(arguments) for arguments, _ in hidden(record)} & {repr(arguments) for arguments, _ in tests}
        assert both <= {"([],)", "(0, 0)"} and len(tests) >= 5, record.id
        for solution in map(trusted, record.references):
            assert all(repr(solution(*arguments)) == repr(expected) for arguments, expected in tests), record.id


SWAPS = {
    "Add": "Sub", "Sub": "Add", "Mult": "Add", "Div": "Mult", "FloorDiv": "Mult", "Mod": "FloorDiv", "Pow": "Mult", "Lt": "LtE",
    "LtE": "Lt", "Gt": "GtE", "GtE": "Gt", "Eq": "NotEq", "NotEq": "Eq", "In": "NotIn", "NotIn": "In", "And": "Or", "Or": "And",
}  # fmt: skip


def mutants(source: str) -> Iterator[str]:
    """Sources that differ in one place: an operator or comparison swapped, a number one higher, `not` dropped, a text emptied.

    Operators as in DeMillo, Lipton and Sayward (1978). A mutant may still be right (`x <= k` for `min`); tests cannot kill those.
    """
    swapped = lambda operator: getattr(ast, SWAPS[type(operator).__name__])()
    other = {bool: lambda old: not old, int: lambda old: old + 1, str: lambda old: ""}
    for place in range(len(list(ast.walk(ast.parse(source))))):
        tree = ast.parse(source)
        match list(ast.walk(tree))[place]:
            case (ast.BinOp() | ast.AugAssign() | ast.BoolOp()) as node if type(node.op).__name__ in SWAPS:
                node.op = swapped(node.op)
            case ast.Compare() as node if type(node.ops[0]).__name__ in SWAPS:
                node.ops[0] = swapped(node.ops[0])
            case ast.UnaryOp() as node if not isinstance(node.operand, ast.Compare):
                node.op = ast.UAdd()
            case ast.Constant() as node if type(node.value) in other and node.value != "":
                node.value = other[type(node.value)](node.value)
            case _:
                continue
        yield ast.unparse(ast.fix_missing_locations(tree))


@pytest.mark.parametrize(("step", "count", "least"), [(8, 80, 0.9), pytest.param(1, 500, 0.95, marks=pytest.mark.slow)])
def test_the_tests_kill_most_mutants_as_many_as_the_data_sheet_says(records, step, count, least):
    """One task of each `step`-th family, every solution."""
    bodies = ["x + 1 <= 2", "x - 1 < 2", "x + 1 < 3", "x + 2 < 2"]
    assert list(mutants("def f(x):\n    return x + 1 < 2")) == [f"def f(x):\n    return {body}" for body in bodies]
    chosen = list({r.group: r for r in reversed(records)}.values())[::step]
    killed = lambda f, tests: any(said(f, arguments) != repr(expected) for arguments, expected in tests)
    found = [killed(trusted(mutant), hidden(r)) for r in chosen for solution in r.references for mutant in mutants(solution)]
    share = sum(found) / len(found)
    assert len(found) > count and share >= least
    measured = f"{len(found):,} mutants, of which {sum(found):,} ({100 * share:.1f} %) fail a hidden test"
    assert step > 1 or measured in " ".join((REPOSITORY / "DATA.md").read_text(encoding="utf-8").split())


def test_a_task_of_one_family_is_no_solution_of_another(records):
    """Else a task of the training split would be one of the test split under another name."""
    by_head, alike = defaultdict(list), defaultdict(set)
    for record in records:
        by_head[record.references[0].splitlines()[0]].append(record)
    for head, tasks in by_head.items():
        inputs = {repr(arguments): arguments for r in tasks for arguments, _ in hidden(r)}.values()
        for record in tasks:
            f = trusted(record.references[0])
            alike[head, str([said(f, arguments) for arguments in inputs])].add(record.group)
    assert [groups for groups in alike.values() if len(groups) > 1] == []


def test_solutions_that_disagree_or_raise_are_refused():
    wrong = Family("wrong", "number", "x", "x", ("return x", "return x + 0.0"), [(1,), (2,)], [], [{}])
    with pytest.raises(PolychromicError, match=r"task wrong: f\(1,\) is 1 in the first solution and 1.0 in"):
        record_of(wrong, {})
    with pytest.raises(ZeroDivisionError):
        record_of(wrong._replace(bodies=("return 1 / 0",)), {})


def test_a_split_is_more_than_a_handful_of_ideas(records):
    barred = {r.id for r in records if is_seen(r)}
    splits = split(records, SIZES, 0, barred)
    check_split(records, splits, SIZES, 0.08, barred)
    group = {r.id: r.group for r in records}
    assert min(len({group[key] for key in splits[name]}) for name in SIZES) >= 30
    assert not barred & set(splits["test"]) and len(splits["test"]) >= 300
