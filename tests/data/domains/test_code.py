# ruff: noqa: E501 - programs stand in one line each
"""The checker of domain code: what a reply's program is, when two are one, and that no program talks its way through the tests."""

from __future__ import annotations

import time

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.sandbox import run, session
from polychromic.data.code import _record, _task
from polychromic.data.code.families import FAMILIES
from polychromic.data.code.names import LONGEST, canonical
from polychromic.data.domains import code as module
from polychromic.data.domains.code import Code, extract

DOMAIN = Code()


def record(name: str = "sum_above", number: int = 0):
    family = next(family for family in FAMILIES if family.name == name)
    return _record(_task(family, family.constants[number]))


SUM = record()  # the sum of the numbers in xs that are greater than 2
RIGHT = "def f(xs):\n    return sum(x for x in xs if x > 2)"
WRONG = "def f(xs):\n    return sum(x for x in xs if x >= 2)"


@pytest.mark.parametrize(
    "reply",
    [
        RIGHT,
        f"\n\n{RIGHT}\n",
        f"```python\n{RIGHT}\n```",
        f"```\n{RIGHT}\n```",
        f"Sure! Here it is:\n\n```python\n{RIGHT}\n```\n\nIt adds them.\n```python\nprint(f([1]))\n```",
        f"```py\n{RIGHT}",  # cut before the fence was closed
    ],
)
def test_the_program_is_found_in_the_reply(reply):
    assert extract(reply) == RIGHT
    assert DOMAIN.answer(SUM, reply) == DOMAIN.key(SUM, RIGHT)


def test_a_reply_without_a_fence_is_the_program():
    assert extract("Sure, x = 1") == "Sure, x = 1" and extract("") == "" and extract("``` ```") == "``` ```"


SAME = [
    RIGHT,
    "def f(numbers):\n    return sum(n for n in numbers if n > 2)",
    "def f(xs):\n    '''Adds.'''\n    # those above two\n    return sum((x for x in xs if (x > 2)))",
    'def f(xs: list[int]) -> int:\n    """Adds."""\n    return sum(x for x in xs if x > 2)\n\nprint(f([1, 2, 3]))',
]
OTHER = [
    "def f(xs):\n    return sum([x for x in xs if x > 2])",
    "def f(xs):\n    return sum(x for x in xs if x >= 3)",
    "def f(xs):\n    total = 0\n    for x in xs:\n        if x > 2:\n            total += x\n    return total",
]


def test_names_comments_and_annotations_make_no_other_answer_and_an_algorithm_does():
    assert len({DOMAIN.key(SUM, reply) for reply in SAME}) == 1
    assert len({DOMAIN.key(SUM, reply) for reply in [RIGHT, *OTHER]}) == 1 + len(OTHER)
    assert {DOMAIN.answer(SUM, reply) for reply in SAME} == {DOMAIN.key(SUM, RIGHT)}


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("x = 'a'", 'y = u"a"'),
        ("import math\nz = math.pi", "import math as m\nq = m.pi"),
        ("from math import pi\nz = pi", "from math import pi as p\nz = p"),
        ("g = lambda a, b=1: a + b", "h = lambda x, y=1: x + y"),
        ("def f(a):\n    def g(b):\n        nonlocal a\n        a = b\n    g(1)", "def f(x):\n    def h(y):\n        nonlocal x\n        x = y\n    h(1)"),
        ("def f(x):\n    return [x for x in x]", "def f(xs):\n    return [x for x in xs]"),
        ("def f(xs):\n    return list(map(lambda x: x, filter(lambda x: x, xs)))", "def f(a):\n    return list(map(lambda b: b, filter(lambda c: c, a)))"),
        ("def f(x):\n    try:\n        return 1 / x\n    except ValueError as e:\n        print(e)", "def f(x):\n    try:\n        return 1 / x\n    except ValueError as error:\n        print(error)"),
        ("def f(x):\n    y: int = x\n    return y", "def f(x):\n    z = x\n    return z"),
        ("def f(x):\n    return f(x - 1) if (n := x) else n", "def f(y):\n    return f(y - 1) if (m := y) else m"),
    ],
)  # fmt: skip
def test_one_program_in_other_names(a, b):
    assert canonical(a) == canonical(b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("def f(x, y):\n    return x - y", "def f(x, y):\n    return y - x"),
        ("def f(x):\n    return len(x)", "def f(x):\n    return sum(x)"),
        ("def f(s):\n    return s.upper()", "def f(s):\n    return s.lower()"),
        ("def f(x):\n    return sorted(x, reverse=True)", "def f(x):\n    return sorted(x)"),
        ("def f(x):\n    return '1'", "def f(x):\n    return 1"),
        ("def f(x):\n    return 1", "def g(x):\n    return 1"),
        ("g = lambda a, b: a - b\nz = g(a=1, b=2)", "g = lambda b, a: b - a\nz = g(a=1, b=2)"),
    ],
)
def test_two_programs(a, b):
    assert canonical(a) != canonical(b)


def test_the_canonical_form_is_its_own_and_runs_as_the_program_does():
    for reply in [*SAME, *OTHER]:
        form = canonical(reply)
        assert canonical(form) == form and DOMAIN.answer(SUM, form) == form


@pytest.mark.parametrize("reply", ["", "   ", "def f(xs:\n    return 1", "I cannot do that.", "a\0b", "(" * 5000, "x" * (LONGEST + 1)])
def test_what_does_not_parse_is_no_answer_and_its_key_is_its_text(reply, monkeypatch):
    monkeypatch.setattr(module, "passes", lambda *_: pytest.fail("started a process"))
    assert DOMAIN.key(SUM, f" {reply}\n") == reply.strip() and DOMAIN.answer(SUM, reply) is None


def test_a_program_without_the_function_is_not_run(monkeypatch):
    monkeypatch.setattr(module, "passes", lambda *_: pytest.fail("started a process"))
    for reply in ("def g(xs):\n    return sum(xs)", "class f:\n    pass", "print(1)", "def g():\n    def f(xs): pass"):
        assert DOMAIN.answer(SUM, reply) is None


def test_wrong_answers_fail():
    for reply in (WRONG, "def f(xs):\n    return 0", "def f(xs):\n    return xs[0]", "def f():\n    return 0", "f = 3", "def f(xs):\n    print(18)"):
        assert DOMAIN.answer(SUM, reply) is None
    assert DOMAIN.answer(SUM, "f = lambda xs: sum(x for x in xs if x > 2)") is not None


HOSTILE = {
    "loop": "def f(xs):\n    while True: pass",
    "fork bomb": "import os\ndef f(xs):\n    while True: os.fork()",
    "writes a file": "def f(xs):\n    open('/tmp/polychromic-hostile', 'w').write('x')\n    return sum(x for x in xs if x > 2)",
    "huge output": "def f(xs):\n    return [0] * 10**7",
    "prints without end": "def f(xs):\n    while True: print('x' * 65536)",
    "sys.exit": "import sys\ndef f(xs): sys.exit(0)",
    "leaves at once": "import os\ndef f(xs): return 1\nos._exit(0)",
    "equal to everything": "class E(int):\n    def __eq__(self, other): return True\n    def __hash__(self): return 0\ndef f(xs): return E()",
    "changes builtins": "import builtins\nbuiltins.sum = builtins.len = builtins.sorted = builtins.type = builtins.all = lambda *a, **k: True\n"
    "def f(xs): return True",
    "changes json": "import json, sys\njson.dumps = lambda *a, **k: '[[\"v\", [\"i\", \"0x0\"]]]'\ndef f(xs): return 0",
    "looks for what is expected": "import sys\ndef f(xs):\n    frame = sys._getframe(1)\n    return frame.f_locals.get('expected') or frame.f_locals['job']['expected']",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_reply_is_no_answer_and_the_next_one_is_judged_as_ever(name, tmp_path):
    started = time.monotonic()
    assert DOMAIN.answer(SUM, HOSTILE[name]) is None
    assert time.monotonic() - started < module.LIMITS.seconds + 10
    assert DOMAIN.training_quality(SUM, [HOSTILE[name], RIGHT, WRONG], None).tolist() == [0.0, 1.0, 0.0]


def test_a_program_runs_once_whatever_stands_around_it(monkeypatch):
    calls = []
    monkeypatch.setattr(module, "passes", lambda program, tests, limits: calls.append((program, len(tests))) or True)
    other, once = record("count_above"), "def f(xs):\n    return 12321"
    for reply in (once, f"```python\n{once}\n```", once):
        assert DOMAIN.answer(SUM, reply) and DOMAIN.answer(other, reply)
    assert calls == [(once, len(_tests(SUM))), (once, len(_tests(other)))]


def _tests(of):
    return module.tests_of(of.id, tuple(of.valid))


def test_verdicts_are_the_same_every_time():
    for _ in range(2):
        module._verdict.cache_clear()
        assert DOMAIN.training_quality(SUM, [RIGHT, WRONG, *OTHER], None).tolist() == [1.0, 0.0, 1.0, 1.0, 1.0]


def test_without_isolation_the_checker_stops_and_says_so(monkeypatch):
    """No verdict, not even a remembered one, comes out of a machine that cannot shut a program off."""
    said = "not isolated: unshare: Operation not permitted"

    def broken(*args: object) -> run.Outcome:
        raise session.Broken(said)

    monkeypatch.setattr(run, "_run", broken)
    monkeypatch.delenv(run.UNISOLATED, raising=False)
    run.require_isolation.cache_clear()
    fresh = "def f(xs):\n    return 4321"
    for _ in range(2):
        with pytest.raises(PolychromicError, match=rf"cannot be shut off here \({said}\).*{run.UNISOLATED}=1"):
            DOMAIN.training_quality(SUM, [fresh], None)
    run.require_isolation.cache_clear()


def test_told_so_it_runs_with_limits_alone(monkeypatch):
    seen = []
    monkeypatch.setenv(run.UNISOLATED, "1")
    monkeypatch.setattr(run, "Session", lambda shut_off: seen.append(shut_off) or session.Session(shut_off))
    assert DOMAIN.answer(SUM, "def f(xs):\n    return 1234") is None and seen == [False]


@pytest.mark.parametrize("line", ["def f(xs): return 1", "3", "([1],)", "(1, 2)", "(([1],), open('x'))"])
def test_a_test_that_cannot_be_read_is_named(line):
    with pytest.raises(DataError, match=rf"record '{SUM.id}', valid\[2\]: .*Allowed: the text of a pair"):
        DOMAIN.answer(SUM.model_copy(update={"valid": [SUM.valid[0], line]}), RIGHT)


def test_references_pass_in_the_sandbox_and_differ():
    """Families of each kind, with arguments and results of every type; tests/data/test_code.py judges all of them, outside of it."""
    for name in ("multiples", "clock", "average_two", "tally", "flatten", "halves", "letter_table", "capitals", "average"):
        one = record(name)
        assert DOMAIN.training_quality(one, one.references, None).tolist() == [1.0] * len(one.references), name
