"""Curation from log to candidates: counts that are known by construction, 100,000 pairs within its budget, and what it refuses."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import read_json
from polychromic.data.records import read_records
from polychromic.data.split import check_split, split
from polychromic.yours.curate.rules import DEFAULT, Rules, load_rules
from polychromic.yours.curate.run import CANDIDATES, REPORT, curate
from tests.workspace import REPOSITORY
from tests.yours.collect.conftest import write
from tests.yours.curate import crowd

# On a core here: half a minute and some hundred MB. The budget is of a core's time: a machine that does other things is slow by the clock.
SECONDS, MEGABYTES = 180, 2_000
CHILD = """
import json, resource, sys
from pathlib import Path
from polychromic.yours.curate.rules import load_rules
from polychromic.yours.curate.run import curate
curate(Path(sys.argv[1]), load_rules(sys.argv[2]), Path(sys.argv[3]))
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": used.ru_utime + used.ru_stime, "megabytes": used.ru_maxrss / 1024}))
"""


def rules(**changes: object) -> Rules:
    """The default with sections put in place of its own."""
    return Rules.model_validate(load_rules().model_dump(by_alias=True) | changes)


@pytest.mark.parametrize("share", [20, pytest.param(1, marks=pytest.mark.slow)])
def test_a_crowd_has_the_counts_that_were_built_in_and_fits_the_budget(share, tmp_path):
    """In a process of its own."""
    expected, pairs = crowd.write_crowd(tmp_path / "raw.jsonl", share), crowd.PAIRS // share
    text = DEFAULT.read_text(encoding="utf-8")
    assert text.count("\n  most: null\n") == 1
    (tmp_path / "rules.yaml").write_text(text.replace("\n  most: null\n", "\n  most: 500\n"), encoding="utf-8")
    arguments = [sys.executable, "-c", CHILD, *(str(tmp_path / name) for name in ("raw.jsonl", "rules.yaml", "out"))]
    done = subprocess.run(arguments, cwd=REPOSITORY, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    used = json.loads(done.stdout)
    assert used["seconds"] <= SECONDS / share + 10 and used["megabytes"] <= MEGABYTES

    report = read_json(tmp_path / "out" / REPORT)
    left = [pairs - sum(list(expected.values())[: place + 1]) for place in range(len(expected))]
    found = {step["name"]: (step["dropped"], step["left"], len(step["examples"])) for step in report["filters"]}
    assert list(found)[-1] == "selection" and found.pop("selection") == (left[-1] - 1200, 1200, 5)
    assert found == {name: (count, rest, 5) for (name, count), rest in zip(expected.items(), left, strict=True)}
    assert report["input"]["pairs"] == pairs and report["candidates"] == 1200 == sum(report["strata"].values())

    records = read_records(tmp_path / "out" / CANDIDATES)
    assert len(records) == 1200 and [r.id for r in records] == sorted(r.id for r in records)
    assert {r.checker for r in records} == {"person"} and {r.domain for r in records} == {"replies"}
    assert Counter(r.stratum for r in records) == report["strata"]
    few, sizes = records[:150], {"train": 70, "dev": 20, "test": 40}
    check_split(few, split(few, sizes, seed=0), sizes, 0.6)


TEXTS = [{"post": f"What is the use of thing {n}?", "reply": f"you can put it on shelf {n} with a{n} b{n} c{n}"} for n in range(40)]
ROWS = [row | {"author": f"u{n % 3}", "engagement": n % 4} for n, row in enumerate(TEXTS)]


def test_the_result_does_not_depend_on_the_order_of_the_log_and_names_no_author(tmp_path):
    # Two of equal texts: that with more engagement is kept, wherever it stands.
    rows = [*ROWS, ROWS[0] | {"engagement": 99, "author": "late"}, ROWS[1] | {"engagement": None}]
    rows = [row | {"author": f"Secret {row['author']}"} for row in rows]
    chosen = rules(author_cap={"most": 9}, selection={"most": 20})
    report = curate(write(tmp_path / "raw.jsonl", rows), chosen, tmp_path / "a")
    assert report == read_json(tmp_path / "a" / REPORT) and report["candidates"] == 20
    first = {name: (tmp_path / "a" / name).read_bytes() for name in (CANDIDATES, REPORT)}
    assert not any(hidden in content for content in first.values() for hidden in (b"Secret", str(tmp_path).encode()))
    curate(tmp_path / "raw.jsonl", chosen, tmp_path / "b")
    assert {name: (tmp_path / "b" / name).read_bytes() for name in first} == first
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        curate(write(tmp_path / "raw.jsonl", rows), chosen, tmp_path / "b")
        assert (tmp_path / "b" / CANDIDATES).read_bytes() == first[CANDIDATES]


def test_examples_say_where_and_why(tmp_path):
    replies = ("click here for it", ROWS[0]["reply"].upper(), ROWS[1]["reply"] + " now")
    rows = [*ROWS[:3], *(ROWS[n] | {"reply": reply} for n, reply in zip((3, 0, 1), replies))]
    report = curate(write(tmp_path / "raw.jsonl", rows), rules(), tmp_path / "out")
    found = {step["name"]: step["examples"] for step in report["filters"] if step["examples"]}
    assert list(found) == ["spam", "exact_duplicates", "near_duplicates"]
    (spam,), (exact,), (near,) = found.values()
    assert spam == {"where": "raw.jsonl:4", "post": ROWS[3]["post"], "reply": "click here for it", "why": "reply: click here"}
    assert {exact["where"], exact["why"].removeprefix("equal to ")} == {"raw.jsonl:1", "raw.jsonl:5"}
    assert {near["where"], near["why"].removeprefix("0.92 like ")} == {"raw.jsonl:2", "raw.jsonl:6"}


@pytest.mark.parametrize(("rows", "found"), [
    ([], "none of 0 pairs is left; the log holds no line"),
    ([ROWS[0] | {"reply": "no"}], "none of 1 pairs is left; filter 'length' dropped 1 of them .reply: 1 word"),
    ([{"post": "x"}, {"post": "x", "reply": "half \ud83d"}], "filter 'unreadable' dropped 2 of them .no reply"),
])  # fmt: skip
def test_nothing_left_is_an_error_and_writes_nothing(rows, found, tmp_path):
    with pytest.raises(PolychromicError, match=found):
        curate(write(tmp_path / "raw.jsonl", rows), rules(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_bad_line_leaves_what_was_there_and_reviewed_candidates_are_not_replaced_by_others(tmp_path):
    raw, out = write(tmp_path / "raw.jsonl", ROWS), tmp_path / "out"
    curate(raw, rules(), out)
    before = (out / CANDIDATES).read_bytes()
    (out / "review-anna.jsonl").write_text("{}\n")
    curate(raw, rules(), out)  # the same candidates: nothing is lost
    with pytest.raises(PolychromicError, match=r"review-anna\.jsonl reviews other candidates"):
        curate(raw, rules(selection={"most": 5}), out)
    raw.write_text(raw.read_text() + "[1]\n")
    with pytest.raises(DataError, match=r"raw\.jsonl:41: a JSON list"):
        curate(raw, rules(), out)
    assert (out / CANDIDATES).read_bytes() == before


def test_without_a_filter_of_duplicates_equal_pairs_still_are_one_record_and_groups_are_counted(tmp_path):
    bare = Rules.model_validate({"records": load_rules().records.model_dump() | {"group": "author"}})
    assert bare.near_duplicates is None and bare.exact_duplicates.of == "pair", "a filter that is not named is off"
    report = curate(write(tmp_path / "raw.jsonl", [ROWS[0], ROWS[0], ROWS[1], ROWS[3]]), bare, tmp_path / "out")
    assert report["candidates"] == 3 and [step["name"] for step in report["filters"]] == ["unreadable", "exact_duplicates"]
    assert report["groups"] == {"count": 2, "largest": 2}
