"""What the paper says about cells that ran again: none, one, several, and one that came out otherwise."""

import pytest

from polychromic.base.io import read_json, write_json
from polychromic.report.audit import Audit, audit_numbers, build_audit


def cell(**changes) -> dict:
    base = {"stage": "lora@listqa-lora", "kind": "cell", "commit": "abc", "cpu": "A_B", "compared": "bytes", "equal": True, "minutes": 1.0}
    return base | {"outs": []} | changes


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        ([], "none has been run again for these records."),
        ([cell(kind="stage")], "none has been run again for these records."),
        ([cell()], r"one was run again with an empty cache on A\_B; it gave the same bytes."),
        ([cell(among=57)], r"one was run again with an empty cache on A\_B; it gave the same bytes."),
        (
            [cell(among=5)],
            r"one was run again with an empty cache on A\_B (drawn from the 5 in a precision that it computes at a fair speed); it gave the "
            "same bytes.",
        ),
        (
            [cell(stage="b"), cell(among=5, compared="intervals")],
            r"2 were run again with an empty cache on A\_B (1 of them drawn from the 5 in a precision that it computes at a fair speed); 1 of 1 "
            "gave the same bytes and 1 of 1 had all metric means within the reported intervals.",
        ),
        ([cell(equal=False)], r"one was run again with an empty cache on A\_B; it did not give the same bytes."),
        ([cell(), cell(stage="b", cpu="C")], r"2 were run again with an empty cache on A\_B and C; all gave the same bytes."),
        ([cell(), cell(stage="b", equal=False)], r"2 were run again with an empty cache on A\_B; 1 of 2 gave the same bytes."),
        (
            [cell(), cell(stage="b", compared="intervals", cpu="C")],
            r"2 were run again with an empty cache on A\_B and C; 1 of 1 gave the same bytes and 1 of 1 had all metric means within the "
            "reported intervals.",
        ),
        (
            [cell(compared="intervals")],
            r"one was run again with an empty cache on A\_B; it had all metric means within the reported intervals.",
        ),
    ],
)
def test_the_sentence_follows_the_record(cells, text):
    found = {one.key: one for one in audit_numbers(Audit.model_validate({"population": 57, "cells": cells}))}
    assert found["audit.sentence"].text == f"Of the 57 cells that train or sample, {text}"
    counting = [one for one in cells if one["kind"] == "cell"]
    assert (found["audit.cells"].value, found["audit.equal"].value) == (len(counting), sum(one["equal"] for one in counting))


def test_the_stage_writes_macros_and_records(tmp_path):
    write_json(tmp_path / "audit.json", {"population": 3, "cells": []})
    macros, records = build_audit(tmp_path / "results", tmp_path / "paper", tmp_path / "audit.json")
    assert r"\definenumber{audit.population}{3}%" in macros.read_text()
    assert [one["key"] for one in read_json(records)] == ["audit.cells", "audit.equal", "audit.population", "audit.sentence"]
