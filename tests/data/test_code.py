"""Tasks: every solution is right by the family's first one, families are told apart by their tests, mutants die."""

import ast
import signal
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.data.code import _record, _task, build, killed, mutants, run_trusted, tasks
from polychromic.data.code.families import FAMILIES, Family
from polychromic.data.code.names import canonical
from polychromic.data.split import check_split, split
from polychromic.params import load_params
from tests.workspace import REPOSITORY

SLOW = 1.0  # seconds; a mutant that loops for ever counts as killed


@pytest.fixture(scope="module")
def made():
    return tasks()


@contextmanager
def seconds(limit: float):
    def stop(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_there_are_enough_of_each_kind_and_none_twice(made):
    assert len({task.name for task in made}) == len(made) >= 590
    assert len({task.prompt for task in made}) == len(made)
    assert len({family.name for family in FAMILIES}) == len(FAMILIES) >= 210
    assert min(Counter(task.kind for task in made).values()) >= 120


def test_every_task_has_different_right_solutions_and_tests_that_vary(made):
    for task in made:
        assert len({ast.dump(ast.parse(solution)) for solution in task.solutions}) == len(task.solutions) >= 2, task.name
        assert len(task.tests) >= 5 and len({repr(expected) for _, expected in task.tests}) >= 2, task.name
        for solution in task.solutions:
            assert not killed(solution, task), task.name


def test_by_hand(made):
    found = {task.name: task for task in made}
    task = found["sum_above-5"]
    assert task.prompt == "Write a Python function f(xs) that returns the sum of the numbers in xs that are greater than 5."
    assert task.solutions[0] == "def f(xs):\n    return sum(x for x in xs if x > 5)" and (task.family, task.kind) == ("sum_above", "list")
    assert ((([12, -7, 30, 5, 5, 18],), 60)) in task.tests
    assert found["count_letter-a"].prompt.endswith("how often the letter a occurs in s.")


def test_mutants_differ_from_their_source_in_one_place():
    assert list(mutants("def f(x):\n    return x + 1 < 2")) == [
        "def f(x):\n    return x + 1 <= 2",
        "def f(x):\n    return x - 1 < 2",
        "def f(x):\n    return x + 1 < 3",
        "def f(x):\n    return x + 2 < 2",
    ]


def test_the_tests_kill_nine_of_ten_mutants(made):
    """One task of each family, every solution. Some survivors are right programs, such as x <= k for x < k in a minimum."""
    counts = Counter()
    for task in {task.family: task for task in reversed(made)}.values():
        for solution in task.solutions:
            for mutant in mutants(solution):
                try:
                    with seconds(SLOW):
                        dead = killed(mutant, task)
                except (TimeoutError, MemoryError):
                    dead = True
                counts[dead] += 1
    assert sum(counts.values()) > 500 and counts[True] / sum(counts.values()) >= 0.95


def test_a_task_of_one_family_is_no_solution_of_another(made):
    """Else a task of the training split would be one of the test split under another name."""
    by_head = {}
    for task in made:
        by_head.setdefault(task.solutions[0].splitlines()[0], []).append(task)
    for alike in by_head.values():
        answers = {}
        inputs = [arguments for arguments in {repr(a): a for task in alike for a, _ in task.tests}.values()]
        for task in alike:
            answers[task.name] = str([_answer(task.solutions[0], arguments) for arguments in inputs])
        families = {}
        for task in alike:
            families.setdefault(answers[task.name], set()).add(task.family)
        assert [found for found in families.values() if len(found) > 1] == []


def _answer(source, arguments):
    try:
        with seconds(SLOW):
            return repr(run_trusted(source, arguments))
    except (ValueError, TimeoutError) as error:
        return str(error)


def test_solutions_that_disagree_are_refused():
    wrong = Family("wrong", "number", "x", "x", ("return x", "return x + 0.0"), [1, 2], ({},))
    with pytest.raises(PolychromicError, match=r"task wrong: f\(1,\) is 1 in the first solution and 1.0 in"):
        tasks((wrong,))


def test_an_exception_says_what_it_was():
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        run_trusted("def f(x):\n    return 1 / x", (0,))


SIZES = load_params(REPOSITORY / "params.yaml").code.sizes.model_dump()


@pytest.fixture(scope="module")
def records():
    return build()


def test_records_are_the_tasks(made, records):
    assert [r.id for r in records] == sorted(f"code-{task.name}" for task in made)
    by_id = {r.id: r for r in records}
    for task in made:
        found = by_id[f"code-{task.name}"]
        assert (found.prompt, found.group, found.stratum, found.checker) == (task.prompt, task.family, task.kind, "set")
        assert tuple(found.references) == task.solutions, "blanks of a solution survive the schema"
        assert tuple(ast.literal_eval(line) for line in found.valid) == task.tests


def test_families_stand_in_one_split(records):
    splits = split(records, SIZES, seed=0)
    check_split(records, splits, SIZES, tolerance=0.08)
    families = {name: {r.group for r in records if r.id in set(splits[name])} for name in SIZES}
    assert all(len(splits[name]) >= size for name, size in SIZES.items())
    assert not families["train"] & families["dev"] and not families["train"] & families["test"] and not families["dev"] & families["test"]
    assert min(map(len, families.values())) >= 20, "a split is more than a handful of ideas"


def test_solutions_of_a_task_are_different_programs(made):
    """By the key of the domain, under which two that differ in names alone are one."""
    for task in made:
        assert len({canonical(solution) for solution in task.solutions}) == len(task.solutions) >= 2, task.name


def test_other_hidden_tests_make_another_record(records):
    """Else results that were made with the old tests would look fresh."""
    family = next(family for family in FAMILIES if family.name == "evens")
    changed = replace(family, inputs=family.inputs[:-1])
    assert _record(_task(changed, {})).valid == next(r.valid for r in records if r.id == "code-evens")[:-1]
