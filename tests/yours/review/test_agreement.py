"""Agreement of two passes, against values worked out by hand and against scikit-learn."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from tests.review.candidates import some, write_candidates

from polychromic.base.errors import PolychromicError
from polychromic.yours.review.agreement import compare, kappa, render, wilson
from polychromic.yours.review.log import Log
from polychromic.yours.review.state import Action, replay


def log(candidates, reviewer: str, said: str) -> Log:
    """A pass that accepts (a), rejects as spam (s) or off topic (o), edits (e) or leaves out (.) candidate after candidate."""
    acts = {"a": ("accept",), "s": ("reject", "spam"), "o": ("reject", "off_topic"), "e": ("edit",)}
    actions = []
    for name, letter in zip(candidates.ids, said, strict=False):
        if letter != ".":
            act, *reason = acts[letter]
            texts = {"prompt": "p", "reply": "[red]r[/red]\x1b"} if act == "edit" else {}
            actions.append(Action(act, name, *reason, **texts))
    return Log(candidates.path.parent / f"review-{reviewer}.jsonl", reviewer, replay(candidates.ids, actions))


def test_a_table_by_hand():
    """20 both accept, 15 both reject, 5 and 10 apart: 35 of 50 agree, 25 by chance; kappa = (.7 - .5) / .5 (Wikipedia's example)."""
    value, low, high = kappa(((20, 5), (10, 15)))
    assert value == pytest.approx(0.4)
    # Fleiss, Cohen and Everitt, the sum over the four cells done by hand.
    p, q = {"aa": 0.4, "ar": 0.1, "ra": 0.2, "rr": 0.3}, 0.5
    rows, columns = {"a": 0.5, "r": 0.5}, {"a": 0.6, "r": 0.4}
    diagonal = sum(p[x * 2] * (1 - (rows[x] + columns[x]) * 0.6) ** 2 for x in "ar")
    apart = 0.6**2 * sum(p[x + y] * (columns[x] + rows[y]) ** 2 for x, y in ("ar", "ra"))
    spread = math.sqrt((diagonal + apart - (0.4 - q * 0.6) ** 2) / (q**2 * 50))
    assert (low, high) == (pytest.approx(0.4 - 1.959964 * spread, abs=1e-6), pytest.approx(0.4 + 1.959964 * spread, abs=1e-6))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_kappa_is_that_of_scikit_learn(pairs):
    from sklearn.metrics import cohen_kappa_score

    table = tuple(tuple(sum((a, b) == (x, y) for a, b in pairs) for y in (True, False)) for x in (True, False))
    value, low, high = kappa(table)
    if len({v for pair in pairs for v in pair}) == 1:
        assert value is low is high is None
    else:
        assert value == pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True)))
        assert -1 <= low <= value <= high <= 1


def test_wilson_is_that_of_statsmodels_and_no_point_at_the_ends():
    from statsmodels.stats.proportion import proportion_confint

    for successes, n in ((0, 5), (3, 7), (7, 7), (900, 1000)):
        assert wilson(successes, n) == pytest.approx(proportion_confint(successes, n, method="wilson"))
    assert wilson(7, 7)[0] < 1


def test_two_passes(tmp_path):
    candidates = write_candidates(tmp_path, list(some(9).values()))
    found = compare(candidates, log(candidates, "anna", "aassoe.a."), log(candidates, "ben", "aasoaas.."))
    assert (found["both"], found["only_a"], found["only_b"], found["undecided"]) == (6, 1, 1, 1)
    assert found["table"] == [[3, 0], [1, 2]] and found["same_reason"] == 1
    assert found["agreement"]["share"] == pytest.approx(5 / 6)
    assert found["disagreements"] == [
        {"id": "replies-004", "post": "post 4", "reply": "reply 4", "a": "reject: the reply does not answer the post", "b": "accept"}
    ]
    console = Console(width=120)
    with console.capture() as shown:
        console.print(render(found))
    assert "agreement 83.3%" in shown.get() and "Cohen's kappa 0.67" in shown.get() and "replies-004" in shown.get()


def test_texts_of_disagreements_are_shown_and_not_obeyed(tmp_path):
    candidates = write_candidates(tmp_path, list(some(2).values()))
    found = compare(candidates, log(candidates, "anna", "ea"), log(candidates, "ben", "so"))
    assert found["disagreements"][0]["a"] == "accept, edited: p | [red]r[/red]\x1b"
    console = Console(width=160)
    with console.capture() as shown:
        console.print(render(found))
    assert "[red]r[/red]\u241b" in shown.get()


def test_kappa_that_is_not_defined_and_passes_that_share_nothing(tmp_path):
    candidates = write_candidates(tmp_path, list(some(4).values()))
    found = compare(candidates, log(candidates, "anna", "aaa"), log(candidates, "ben", "aaa"))
    assert found["kappa"] == {"value": None, "low": None, "high": None}
    console = Console(width=120)
    with console.capture() as shown:
        console.print(render(found))
    assert "kappa is not defined" in shown.get() and "agreement 100.0%" in shown.get()
    with pytest.raises(PolychromicError, match="share no decided candidate"):
        compare(candidates, log(candidates, "anna", "a..."), log(candidates, "ben", ".a.."))
