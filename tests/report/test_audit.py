"""What the paper says about cells that ran again: none, one, several, and one that came out otherwise."""

import pytest

from polychromic.report.audit import Audit, sentence

ONE, TWO = r"one was run again with an empty cache on A\_B", r"2 were run again with an empty cache on A\_B"
FEWER = "in a precision that it computes at a fair speed"


def cell(**changes) -> dict:
    base = {"stage": "lora@listqa-lora", "kind": "cell", "commit": "abc", "cpu": "A_B", "compared": "bytes", "equal": True, "minutes": 1.0}
    return base | {"outs": []} | changes


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        ([], "none has been run again for these records."),
        ([cell(kind="stage")], "none has been run again for these records."),
        ([cell()], f"{ONE}; it gave the same bytes."),
        ([cell(among=57)], f"{ONE}; it gave the same bytes."),
        ([cell(among=5)], f"{ONE} (drawn from the 5 {FEWER}); it gave the same bytes."),
        ([cell(equal=False)], f"{ONE}; it did not give the same bytes."),
        ([cell(compared="intervals")], f"{ONE}; it had all metric means within the reported intervals."),
        ([cell(), cell(stage="b", cpu="C")], f"{TWO} and C; all gave the same bytes."),
        ([cell(), cell(stage="b", equal=False)], f"{TWO}; 1 of 2 gave the same bytes."),
        (
            [cell(stage="b"), cell(among=5, compared="intervals", cpu="C")],
            f"{TWO} and C (1 of them drawn from the 5 {FEWER}); 1 of 1 gave the same bytes and 1 of 1 had all metric means within the "
            "reported intervals.",
        ),
    ],
)
def test_the_sentence_follows_the_record(cells, text):
    assert sentence(Audit.model_validate({"population": 57, "cells": cells})) == f"Of the 57 cells that train or sample, {text}"
