# ruff: noqa: E501 - programs stand in one line each
"""The checker of domain code: what a reply's program is, when two are one, and that no program talks its way through the tests."""

from __future__ import annotations

import pytest

from polychromic.base.errors import DataError
from polychromic.data.code import families, record_of
from polychromic.data.domains import code as module
from polychromic.data.domains.code import Code, extract
from polychromic.data.domains.code.canonical import LONGEST, canonical

DOMAIN = Code()


def record(name: str = "sum_above"):
    family = next(family for family in families() if family.name == name)
    return record_of(family, family.constants[0])


SUM = record()  # the sum of the numbers in xs that are greater than 2
RIGHT = "def f(xs):\n    return sum(x for x in xs if x > 2)"
WRONG = "def f(xs):\n    return sum(x for x in xs if x >= 2)"


@pytest.mark.parametrize("reply", [
    RIGHT, f"\n\n{RIGHT}\n", f"```python\n{RIGHT}\n```", f"```\n{RIGHT}\n```", f"```py\n{RIGHT}",  # the last is cut before its fence was closed
    f"Sure! Here it is:\n\n```python\n{RIGHT}\n```\n\nIt adds them.\n```python\nprint(f([1]))\n```",
    f"~~~\n{RIGHT}\n~~~", f"~~~ py\n{RIGHT}\n~~~\n```\nno\n```", f"````python\n{RIGHT}\n````", f"```Python3.11\n{RIGHT}\n```",
    f"```python title=x\n{RIGHT}\n```", f"```{{.python}}\n{RIGHT}\n```", f"```bash\npip install x\n```\n```python\n{RIGHT}\n```",
    f"``` python \n{RIGHT}\n```".replace("\n", "\r\n"), f"{RIGHT}\n".replace("\n", "\r\n"), RIGHT.replace("\n", "\r"),
    "1. So:\n   ```python\n   " + RIGHT.replace("\n", "\n   ") + "\n   ```",
])  # fmt: skip
def test_the_program_is_found_in_the_reply(reply):
    assert extract(reply) == RIGHT and DOMAIN.answer(SUM, reply) == DOMAIN.key(SUM, RIGHT)
    assert extract("Sure, x = 1") == "Sure, x = 1" and extract("``` ```") == "``` ```", "without a fence the reply is the program"
    assert extract('~~~\nx = """\n```\n"""\n~~~') == 'x = """\n```\n"""', "a fence ends at its own kind"


# Pairs of programs, "|" for the end of a line and ">" for an indent: one program in other names, and two.
ONE = """
x = 'a' ~ y = u"a"
import math|z = math.pi ~ import math as m|q = m.pi
from math import pi|z = pi ~ from math import pi as p|z = p
g = lambda a, b=1: a + b ~ h = lambda x, y=1: x + y
def f(a):|>def g(b):|>>nonlocal a|>>a = b|>g(1) ~ def f(x):|>def h(y):|>>nonlocal x|>>x = y|>h(1)
def f(x):|>return [x for x in x] ~ def f(xs):|>return [x for x in xs]
def f(xs):|>return list(map(lambda x: x, filter(lambda x: x, xs))) ~ def f(a):|>return list(map(lambda b: b, filter(lambda c: c, a)))
def f(x):|>try:|>>return 1 / x|>except ValueError as e:|>>print(e) ~ def f(x):|>try:|>>return 1 / x|>except ValueError as error:|>>print(error)
def f(x):|>y: int = x|>return y ~ def f(x):|>z = x|>return z
def f(x):|>return f(x - 1) if (n := x) else n ~ def f(y):|>return f(y - 1) if (m := y) else m
"""
TWO = """
def f(x, y):|>return x - y ~ def f(x, y):|>return y - x
def f(x):|>return len(x) ~ def f(x):|>return sum(x)
def f(s):|>return s.upper() ~ def f(s):|>return s.lower()
def f(x):|>return sorted(x, reverse=True) ~ def f(x):|>return sorted(x)
def f(x):|>return '1' ~ def f(x):|>return 1
def f(x):|>return 1 ~ def g(x):|>return 1
g = lambda a, b: a - b|z = g(a=1, b=2) ~ g = lambda b, a: b - a|z = g(a=1, b=2)
"""


@pytest.mark.parametrize(("pairs", "same"), [(ONE, True), (TWO, False)])
def test_programs_that_differ_in_names_alone_are_one(pairs, same):
    for pair in pairs.strip().splitlines():
        a, b = (canonical(text.replace("|", "\n").replace(">", "    ")) for text in pair.split(" ~ "))
        assert a and b and (a == b) == same, pair


def test_the_canonical_form_is_its_own_and_runs_as_the_program_does():
    loop = "def f(xs):\n    total = 0\n    for x in xs:\n        if x > 2:\n            total += x\n    return total"
    forms = {
        canonical(reply)
        for reply in (RIGHT, RIGHT.replace("x > 2", "x >= 3"), "def f(xs):\n    return sum([x for x in xs if x > 2])", loop)
    }
    assert len(forms) == 4 and all(canonical(form) == form and DOMAIN.answer(SUM, form) for form in forms)
    assert DOMAIN.key(SUM, WRONG) == canonical(WRONG), "the key of a wrong program"


NO_PROGRAM = ["", "   ", "def f(xs:\n    return 1", "I cannot do that.", "a\0b", "(" * 5000, "x" * (LONGEST + 1)]
NO_FUNCTION = ["def g(xs):\n    return sum(xs)", "class f:\n    pass", "print(1)", "def g():\n    def f(xs): pass"]


@pytest.mark.parametrize("reply", [*NO_PROGRAM, *NO_FUNCTION])
def test_what_is_no_function_f_is_not_run_and_the_key_of_no_program_is_its_text(reply, monkeypatch):
    monkeypatch.setattr(module, "passes", lambda *_: pytest.fail("started a process"))
    assert DOMAIN.answer(SUM, reply) is None
    assert reply not in NO_PROGRAM or DOMAIN.key(SUM, f" {reply}\n") == reply.strip()


LOOP = "def f(xs):\n    while True: pass"
CHEAT = (
    "import sys\ndef f(xs):\n    frame = sys._getframe(1)\n    return frame.f_locals.get('expected') or frame.f_locals['job']['expected']"
)
BODIES = ["(xs): return 0", "(xs): return xs[0]", "(): return 0", "(xs): print(18)"]


@pytest.mark.parametrize("reply", [WRONG, "f = 3", LOOP, CHEAT, *(f"def f{body}" for body in BODIES)])
def test_a_wrong_or_hostile_reply_is_no_answer_and_the_next_one_is_judged_as_ever(reply):
    """tests/data/domains/sandbox has many more of them."""
    named = "f = lambda xs: sum(x for x in xs if x > 2)"
    assert DOMAIN.training_quality(SUM, [reply, RIGHT, named], None).tolist() == [0.0, 1.0, 1.0]


def test_a_program_runs_once_whatever_stands_around_it_and_right_ones_are_reduced_once_whatever_their_names(monkeypatch):
    calls, reduced = [], []
    monkeypatch.setattr(module, "passes", lambda program, tests, limits: calls.append((program, len(tests))) or True)
    monkeypatch.setattr(module, "call", lambda script, calls, limits: reduced.append(calls) or [("value", "def f(v0): return 12321")])
    other, once, named = record("count_above"), "def f(xs):\n    return 12321", "def f(numbers):\n    return 12321"
    for reply in (once, f"```python\n{once}\n```", once, named):
        assert DOMAIN.answer(SUM, reply) and DOMAIN.answer(other, reply) == DOMAIN.key(other, reply)
    assert calls == [(program, len(of.valid)) for program in (once, named) for of in (SUM, other)] and len(reduced) == 2


@pytest.mark.parametrize("line", ["def f(xs): return 1", "3", "([1],)", "(1, 2)", "(([1],), open('x'))", "(([1],), 1j)"])
def test_a_test_that_cannot_be_read_is_named(line):
    with pytest.raises(DataError, match=rf"record '{SUM.id}', valid\[2\]: .*Allowed: the text of a pair"):
        DOMAIN.answer(SUM.model_copy(update={"valid": [SUM.valid[0], line]}), RIGHT)


def test_references_pass_in_the_sandbox_and_differ():
    """Families of each kind, with arguments and results of every type; tests/data/test_code.py judges all of them, outside of it."""
    for name in ("multiples", "clock", "average_two", "tally", "flatten", "halves", "letter_table", "capitals", "average"):
        one = record(name)
        assert DOMAIN.training_quality(one, one.references, None).tolist() == [1.0] * len(one.references), name
