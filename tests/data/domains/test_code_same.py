# ruff: noqa: E501 - programs stand in one line each
"""When two right programs are one answer: what no result needs makes no other, another way to the results does. And the held-out judge."""

from __future__ import annotations

import numpy as np
import pytest

from polychromic.base.errors import DataError
from polychromic.data.code import families, held_out_tests, record_of
from polychromic.data.domains import code as module
from polychromic.data.domains.code import OPAQUE, Code, canonical, parse, reduce
from polychromic.data.domains.code.operations import operations, reflective

DOMAIN = Code()


def record(name: str, place: int = 0):
    family = next(family for family in families() if family.name == name)
    return record_of(family, family.constants[place])


SUM = record("sum_above")  # the sum of the numbers in xs that are greater than 2
MAGNITUDE = record("absolute")
# Programs after "def f", "|" for the end of a line and ">" at its beginning for an indent.
SAME = """
(xs):|>return sum(x for x in xs if x > 2)
(xs):|>return sum(x for x in xs if x > 2)|>return 3
(xs):|>return sum(x for x in xs if x > 2)|>return sorted(xs)|>print(xs)
(xs):|>pass|>'nothing'|>3|>xs|>return sum(x for x in xs if x > 2)
(xs):|>xs = xs|>n = len(xs)|>return sum(x for x in xs if x > 2)
(xs):|>return sum(x * 1 for x in xs if not not x > 2) + 0
(xs):|>return sum(x for x in xs if x > 1 + len('a'))
(xs):|>return sum(x for x in xs if x >= int('3'))
(xs):|>return sum([x for x in xs if not x < 3])
(xs):|>return sum(x for x in xs if 2 < x and True or False)
(numbers: list) -> int:|>'''Adds.'''|>return sum((number for number in numbers if (number > 2)))  # adds
(xs):|>def g(x):|>>return x + 3|>return sum(x for x in xs if x > 2)
(xs):|>def g(x):|>>return x > 2|>return sum(x for x in xs if g(x))
(xs):|>if False:|>>return 5|>return sum(x for x in xs if x > 2)
(xs):|>if True:|>>return sum(x for x in xs if x > 2)|>else:|>>return 4
(xs):|>if not xs:|>>return 0|>return sum(x for x in xs if x > 2)
(xs):|>return (lambda ys: sum(y for y in ys if y > 2))(xs)
(xs):|>g = lambda ys: sum(y for y in ys if y > 2)|>return g(xs)
(xs):|>y = [x for x in xs if x > 2]|>y = sum(y)|>return y
(xs):|>return sum(list(reversed(sorted(x for x in xs if x > 2))))
(xs):|>try:|>>return sum(x for x in xs if x > 2)|>except ValueError:|>>return 0
(xs):|>for _ in range(1):|>>return sum(x for x in xs if x > 2)
(xs):|>while True:|>>break|>return sum(x for x in xs if x > 2)
(xs, k=2):|>return sum(x for x in xs if x > k)
(xs):|>assert xs == xs|>print('a')|>return sum(x for x in xs if x > 2)
(xs):|>return sum(y for x in xs for y in [x] if y > 2)
(xs):|>return sum(x for x in xs[0:len(xs)] if (y := x) > 2)
(xs):|>return -(-sum(x for x in xs if x > 2)) if xs else 0
(xs):|>return {1: max(sum(x for x in xs if x > 2), 0)}[1]
(xs):|>return sum(*[[x for x in xs if x > 2]], start=0)
(xs):|>return sum(x + 1 - 1 for x in xs if x - 2 > 0 if x * 2 > 4)
(xs):|>return sum(filter(None, (x for x in xs if x == x and x > 2 > 1)))
(xs):|>out = []|>for x in xs:|>>out.append(x)|>return sum(x for x in out if x > 2)
"""
# Right programs that look at what runs them, or could: all one answer, and none of the above.
LOOKING = """
(xs):|>return eval('sum(x for x in xs if x > 2)')
(xs):|>getattr(xs, 'pop')|>return sum(x for x in xs if x > 2)
(xs):|>import sys|>sys._getframe(1)|>return sum(x for x in xs if x > 2)
(xs):|>globals()['_tick_'] = print|>return sum(x for x in xs if x > 2)
(xs):|>next(x for x in [0]).__class__|>return sum(x for x in xs if x > 2)
(xs):|>try:|>>_tick_()|>except NameError:|>>pass|>return sum(x for x in xs if x > 2)
"""
WRONG = """
(xs):|>return f(xs)
(xs):|>return 0
(xs):|>while True:|>>xs = xs
(xs):|>raise SystemExit
"""
OTHER = """
(xs):|>return sum(x for x in xs if x > 2)
(xs):|>total = 0|>for x in xs:|>>if x > 2:|>>>total += x|>return total
(xs):|>return sum(filter(lambda x: x > 2, xs))
(xs):|>return sum(x * (x > 2) for x in xs)
(xs):|>return f(xs[1:]) + xs[0] * (xs[0] > 2) if xs else 0
(xs):|>import functools|>return functools.reduce(lambda a, b: a + b * (b > 2), xs, 0)
(xs):|>return sum(max(x, 2) - 2 + 2 * (x > 2) for x in xs)
"""


def programs(text: str) -> list[str]:
    """The lines as programs."""
    lines = [line.replace("'''", '"""').split("|") for line in text.strip().splitlines()]
    return [
        "\n".join(["def f" + head, *("    " * (len(line) - len(line.lstrip(">"))) + line.lstrip(">") for line in rest)])
        for head, *rest in lines
    ]


def test_what_the_results_do_not_need_makes_no_other_answer():
    found = {program: DOMAIN.answer(SUM, program) for program in programs(SAME)}
    assert {program: key for program, key in found.items() if key != "does: comprehension if order sum"} == {}
    assert {DOMAIN.answer(SUM, program) for program in programs(LOOKING)} == {f"does: {OPAQUE}"}
    assert {DOMAIN.answer(SUM, program) for program in programs(WRONG)} == {None}


def test_another_way_to_the_results_is_another_answer():
    assert len({DOMAIN.answer(SUM, program) for program in programs(OTHER)} - {None}) == len(programs(OTHER))


def test_returns_that_are_never_reached_are_one_answer():
    """What coverage found on the first key: "different" returns behind the one that runs."""
    endings = ["", "return x", "return -x", "return max(x, 0)", "if x > 1:\n        return x", "x += 1\n    return x * 2"]
    keys = [DOMAIN.answer(MAGNITUDE, f"def f(x):\n    return abs(x)\n    {ending}") for ending in endings]
    assert set(keys) == {"does: abs"} and DOMAIN.answer(MAGNITUDE, "def f(x):\n    return x if x > 0 else -x") == "does: if order"


def test_answers_by_heart_pass_what_they_were_learnt_for_and_fail_what_is_held_out():
    table = {repr(test.arguments[0]): test.expected for test in module.tests_of(SUM.id, tuple(SUM.valid))}
    by_heart = f"def f(xs):\n    return {table}[repr(xs)]"
    assert DOMAIN.answer(SUM, by_heart) is not None
    assert DOMAIN.held_out_quality(SUM, [by_heart, *SUM.references, "no", programs(WRONG)[0]], None).tolist() == [
        0.0,
        1.0,
        1.0,
        1.0,
        1.0,
        0.0,
        0.0,
    ]
    assert not set(held_out_tests(SUM.id)) & set(SUM.valid) - {"(([],), 0)"}
    with pytest.raises(DataError, match="record 'code-mine': no task of families.toml. Allowed: an id"):
        DOMAIN.held_out_quality(SUM.model_copy(update={"id": "code-mine"}), SUM.references, None)


def test_the_held_out_similarity_is_one_for_the_same_instructions_and_little_for_another_way():
    plain, dead, named = (*programs(SAME)[:2], programs(SAME)[0].replace("xs", "ys"))
    found = DOMAIN.held_out_similarity(SUM, [plain, dead, named, *programs(OTHER)[1:3], "No.", "No.", "Never."], None)
    assert (found[:3, :3] == 1).all() and (np.diag(found) == 1).all() and np.array_equal(found, found.T) and found[5, 6] == 1
    assert found[:3, 3:].max() < 0.5 and found[5:, :5].max() == 0 == found[5, 7]


def test_reduction_is_bounded_by_steps_and_not_by_the_clock(monkeypatch):
    count = "def f(x):\n    n = 0\n    while x > 0:\n        x -= 1\n        n += 1\n    return n"  # without a line of it, it never ends
    assert "while" in reduce.reduced(count, [(0,), (3,), (7,)])
    assert reduce.reduced("def f(x):\n    y = x\n    return y", [(0,), (3,)]) == "def f(x):\n    return x"
    monkeypatch.setattr(reduce, "EDITS", 3)
    assert reduce.reduced(count, [(0,), (3,), (7,)]) is None
    monkeypatch.setattr(module, "call", lambda *_: None)  # the process ran into a limit
    assert module._what_it_does(canonical("def f(x):\n    return x - 12321"), MAGNITUDE.id, tuple(MAGNITUDE.valid)) == OPAQUE


@pytest.mark.parametrize(("body", "bag"), [
    ("x + 1 - y * 2 * z", "* +"), ("x + x + x", "+"), ("(x + 1) * (x + 2) * (x + 3)", "* + +"), ("not x < 3", "order"), ("x % 2 == 0", "Mod"),
    ("len(x) > 2", "len order"), ("x.upper()", "upper"), ("str.upper(x)", "upper"), ("x[1:] + x[0]", "+ index slice"), ("[y for y in x if y]", "comprehension if"),
    ("set(y for y in x)", "comprehension set"), ("{y for y in x}", "comprehension set"), ("f(x - 1)", "+ f"), ("-x", ""), ("f'{x}'", "format"),
])  # fmt: skip
def test_operations_of_an_expression(body, bag):
    assert operations(parse(f"def f(x):\n    return {body}".replace("z", "x").replace("y * 2", "x * 2"))) == bag


def test_a_function_of_a_module_has_one_name_however_it_was_imported():
    ways = [
        "import math\ndef f(x): return math.gcd(x, 2)",
        "import math as m\ndef f(x): return m.gcd(x, 2)",
        "from math import gcd as g\ndef f(x): return g(x, 2)",
    ]
    assert {operations(parse(way)) for way in ways} == {"gcd"} and not any(reflective(parse(way)) for way in ways)
