"""The reviewed set, and the agreement of two passes, against values worked out by hand and against scikit-learn."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from polychromic.base.errors import PolychromicError
from polychromic.data.records import read_records
from polychromic.yours.review.results import agreement, export, kappa, render
from tests.yours.review.bench import candidate, passed, write_candidates


def test_the_set_is_in_the_order_of_ids_with_edits_and_all_else_kept(tmp_path):
    export(passed(write_candidates(tmp_path, *map(candidate, range(5, -1, -1))), "anna", ".a.se."), tmp_path)
    edited = candidate(1).model_copy(update={"prompt": "p", "references": ["[red]r[/red]\x1b"]})
    assert read_records(tmp_path / "replies.jsonl") == [edited, candidate(4)]


def test_a_table_by_hand():
    """20 both accept, 15 both reject, 5 and 10 apart: 35 of 50 agree, 25 by chance; kappa = (.7 - .5) / .5 (Wikipedia's example)."""
    found = kappa([[20, 5], [10, 15]])
    # Fleiss, Cohen and Everitt, the sum over the four cells done by hand.
    p, q = {"aa": 0.4, "ar": 0.1, "ra": 0.2, "rr": 0.3}, 0.5
    rows, columns = {"a": 0.5, "r": 0.5}, {"a": 0.6, "r": 0.4}
    diagonal = sum(p[x * 2] * (1 - (rows[x] + columns[x]) * 0.6) ** 2 for x in "ar")
    apart = 0.6**2 * sum(p[x + y] * (columns[x] + rows[y]) ** 2 for x, y in ("ar", "ra"))
    spread = 1.959964 * math.sqrt((diagonal + apart - (0.4 - q * 0.6) ** 2) / (q**2 * 50))
    assert list(found.values()) == pytest.approx([0.4, 0.4 - spread, 0.4 + spread], abs=1e-6)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_kappa_is_that_of_scikit_learn(pairs):
    from sklearn.metrics import cohen_kappa_score

    found = kappa([[pairs.count((x, y)) for y in (True, False)] for x in (True, False)])
    if len({v for pair in pairs for v in pair}) == 1:
        assert found == {"value": None, "low": None, "high": None}
    else:
        assert found["value"] == pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True)))
        assert -1 <= found["low"] <= found["value"] <= found["high"] <= 1


def test_two_passes(tmp_path):
    candidates = write_candidates(tmp_path, *map(candidate, range(9)))
    found = agreement(passed(candidates, "anna", "aassoe.ae"), passed(candidates, "ben", "aasoaas.o"))
    assert (found["both"], found["only_a"], found["only_b"], found["undecided"]) == (7, 1, 1, 0)
    assert found["table"] == [[3, 1], [1, 2]] and found["same_reason"] == 1
    z2 = 1.959964**2  # Wilson's interval of 5 of 7 (JASA 1927)
    centre, spread = (5 + z2 / 2) / (7 + z2), math.sqrt(z2 * (10 / 7 + z2 / 4)) / (7 + z2)
    assert list(found["agreement"].values()) == pytest.approx([5 / 7, centre - spread, centre + spread], abs=1e-6)
    off_topic, edited = "reject: the reply does not answer the post", "accept, edited: p | [red]r[/red]\x1b"
    assert found["disagreements"] == [
        {"id": "replies-004", "post": "post 4", "reply": "reply 4", "a": off_topic, "b": "accept"},
        {"id": "replies-008", "post": "post 8", "reply": "reply 8", "a": edited, "b": off_topic},
    ]
    console = Console(width=160)
    with console.capture() as shown:
        console.print(render(found))
    for part in ("both accept 3, both reject 2 (1 for", "agreement 71.4%", "Cohen's kappa 0.42", "replies-004", "[red]r[/red]\u241b"):
        assert part in shown.get(), part


def test_kappa_that_is_not_defined_and_passes_that_share_nothing(tmp_path):
    candidates = write_candidates(tmp_path, *map(candidate, range(4)))
    anna, ben, cy = (passed(candidates, reviewer, said) for reviewer, said in (("anna", "aaa."), ("ben", "aaa."), ("cy", "...a")))
    found = agreement(anna, ben)
    assert "kappa is not defined" in render(found).renderables[0].plain and found["agreement"]["share"] == found["agreement"]["high"] == 1
    with pytest.raises(PolychromicError, match="share no decided candidate"):
        agreement(anna, cy)
