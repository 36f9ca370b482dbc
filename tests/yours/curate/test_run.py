"""Curation from log to candidates: counts that are known by construction, 100,000 pairs within its budget, and what it refuses."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console
from tests.curation import crowd

from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import read_json
from polychromic.data.records import read_records
from polychromic.data.split import check_split, split
from polychromic.yours.curate.report import render
from polychromic.yours.curate.rules import DEFAULT, Rules, load_rules
from polychromic.yours.curate.run import CANDIDATES, REPORT, curate
from tests.workspace import REPOSITORY

# On one core here: 17 s and 230 MB. The budget is of a core's time: a machine that does other things is slow by the clock.
SECONDS, MEGABYTES = 180, 2_000
CHILD = """
import json, resource, sys, time
from pathlib import Path
from polychromic.yours.curate.rules import load_rules
from polychromic.yours.curate.run import curate
curate(Path(sys.argv[1]), load_rules(sys.argv[2]), Path(sys.argv[3]))
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": used.ru_utime + used.ru_stime, "megabytes": used.ru_maxrss / 1024, "torch": "torch" in sys.modules}))
"""


def rules(**changes: object) -> Rules:
    """The default with sections put in place of its own."""
    return Rules.model_validate(load_rules().model_dump(by_alias=True) | changes)


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def crowd_report(tmp_path_factory) -> tuple[dict, dict, Path]:
    """(report, what the process used, folder) of the crowd, curated in a process of its own."""
    folder = tmp_path_factory.mktemp("crowd")
    crowd.write_crowd(folder / "raw.jsonl")
    text = DEFAULT.read_text(encoding="utf-8")
    assert text.count("\n  most: null\n") == 1
    (folder / "rules.yaml").write_text(text.replace("\n  most: null\n", "\n  most: 500\n"), encoding="utf-8")
    arguments = [sys.executable, "-c", CHILD, str(folder / "raw.jsonl"), str(folder / "rules.yaml"), str(folder / "out")]
    done = subprocess.run(arguments, cwd=REPOSITORY, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "reading and filtering: 50000 of 100000" in done.stderr, "progress by the tenth"
    return read_json(folder / "out" / REPORT), json.loads(done.stdout), folder


def test_100_000_pairs_have_the_counts_that_were_built_in(crowd_report):
    report, _, _ = crowd_report
    dropped = {step["name"]: step["dropped"] for step in report["filters"]}
    assert list(dropped)[-1] == "selection" and dropped.pop("selection") == crowd.LEFT - 1200
    assert dropped == crowd.EXPECTED
    assert report["input"]["pairs"] == crowd.PAIRS and report["candidates"] == 1200 == sum(report["strata"].values())
    assert [len(step["examples"]) for step in report["filters"]] == [5] * len(report["filters"])
    left = crowd.PAIRS
    for step in report["filters"]:
        left -= step["dropped"]
        assert step["left"] == left


def test_100_000_pairs_fit_the_budget(crowd_report):
    _, used, _ = crowd_report
    assert used["seconds"] <= SECONDS and used["megabytes"] <= MEGABYTES and not used["torch"]


def test_the_vocabulary_of_the_crowd_is_fit_for_its_purpose():
    words = {crowd.word(place, number) for place in range(30) for number in range(crowd.Q)}
    assert len(words) == 30 * crowd.Q, "each word tells its place and number"
    replies = [set(crowd.texts(pair)[1].split()) for pair in random.Random(1).sample(range(crowd.PAIRS), 300)]
    assert max(len(a & b) for i, a in enumerate(replies) for b in replies[:i]) <= len(crowd.FREQUENT) + 1


def test_candidates_are_records_that_can_be_split(crowd_report):
    records = read_records(crowd_report[2] / "out" / CANDIDATES)
    assert len(records) == 1200 and [r.id for r in records] == sorted(r.id for r in records)
    assert {r.checker for r in records} == {"person"} and {r.domain for r in records} == {"replies"}
    assert Counter(r.stratum for r in records) == crowd_report[0]["strata"]
    few, sizes = records[:150], {"train": 70, "dev": 20, "test": 40}
    check_split(few, split(few, sizes, seed=0), sizes, 0.6)


ROWS = [
    {
        "post": f"What is the use of thing {n}?",
        "reply": f"you can put it on shelf {n} with a{n} b{n} c{n}",
        "author": f"u{n % 3}",
        "engagement": n % 4,
    }
    for n in range(40)
]


def test_the_result_does_not_depend_on_the_order_of_the_log(tmp_path):
    # Two of equal texts: that with more engagement is kept, wherever it stands.
    rows = [*ROWS, ROWS[0] | {"engagement": 99, "author": "late"}, ROWS[1] | {"engagement": None}]
    chosen = rules(author_cap={"most": 9}, selection={"most": 20})
    curate(write(tmp_path / "raw.jsonl", rows), chosen, tmp_path / "a")
    first = (tmp_path / "a" / CANDIDATES).read_bytes()
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        curate(write(tmp_path / "raw.jsonl", rows), chosen, tmp_path / "b")
        assert (tmp_path / "b" / CANDIDATES).read_bytes() == first


def test_the_same_log_gives_the_same_bytes_and_no_author(tmp_path):
    raw = write(tmp_path / "raw.jsonl", [row | {"author": f"Secret Name {n % 2}"} for n, row in enumerate(ROWS)])
    chosen = rules(author_cap={"most": 3})
    reports = [curate(raw, chosen, tmp_path / name) for name in ("a", "b")]
    assert reports[0] == reports[1] == read_json(tmp_path / "a" / REPORT)
    for name in (CANDIDATES, REPORT):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        assert b"Secret" not in (tmp_path / "a" / name).read_bytes() and str(tmp_path).encode() not in (tmp_path / "a" / name).read_bytes()
    assert reports[0]["candidates"] == 6


def test_examples_say_where_and_why(tmp_path):
    rows = [
        *ROWS[:3],
        ROWS[3] | {"reply": "click here for it"},
        ROWS[0] | {"reply": ROWS[0]["reply"].upper()},
        ROWS[1] | {"reply": ROWS[1]["reply"] + " now"},
    ]
    report = curate(write(tmp_path / "raw.jsonl", rows), rules(), tmp_path / "out")
    found = {step["name"]: step["examples"] for step in report["filters"] if step["examples"]}
    assert list(found) == ["spam", "exact_duplicates", "near_duplicates"]
    (spam,), (exact,), (near,) = found.values()
    assert spam == {"where": "raw.jsonl:4", "post": ROWS[3]["post"], "reply": "click here for it", "why": "reply: click here"}
    assert {exact["where"], exact["why"].removeprefix("equal to ")} == {"raw.jsonl:1", "raw.jsonl:5"}
    assert {near["where"], near["why"].removeprefix("0.92 like ")} == {"raw.jsonl:2", "raw.jsonl:6"}


def test_one_author_who_ties_all_posts_together_is_said(tmp_path):
    raw = write(tmp_path / "raw.jsonl", [row | {"author": "one"} for row in ROWS[:9]])
    report = curate(raw, rules(records=load_rules().records.model_dump() | {"group": "author"}), tmp_path / "out")
    assert report["groups"] == {"count": 1, "largest": 9}
    console = Console(width=200)
    with console.capture() as shown:
        console.print(render(report, "out"))
    assert "warning: one group holds more than half" in shown.get()


@pytest.mark.parametrize(
    ("rows", "fragments"),
    [
        ([], ["none of 0 pairs is left", "the log holds no line"]),
        ([ROWS[0] | {"reply": "no"}], ["none of 1 pairs is left", "filter 'length' dropped 1"]),
    ],
)
def test_nothing_left_is_an_error_and_writes_nothing(rows, fragments, tmp_path):
    with pytest.raises(PolychromicError) as caught:
        curate(write(tmp_path / "raw.jsonl", rows), rules(), tmp_path / "out")
    assert all(fragment in str(caught.value) for fragment in fragments) and not (tmp_path / "out").exists()


def test_a_bad_line_stops_it_and_leaves_what_was_there(tmp_path):
    raw = write(tmp_path / "raw.jsonl", ROWS)
    curate(raw, rules(), tmp_path / "out")
    before = (tmp_path / "out" / CANDIDATES).read_bytes()
    raw.write_text(raw.read_text() + "[1]\n")
    with pytest.raises(DataError, match=r"raw\.jsonl:41: a JSON list"):
        curate(raw, rules(), tmp_path / "out")
    assert (tmp_path / "out" / CANDIDATES).read_bytes() == before


def test_candidates_that_are_reviewed_are_not_replaced_by_others(tmp_path):
    raw = write(tmp_path / "raw.jsonl", ROWS)
    curate(raw, rules(), tmp_path / "out")
    (tmp_path / "out" / "review-anna.jsonl").write_text("{}\n")
    curate(raw, rules(), tmp_path / "out")  # the same candidates: nothing is lost
    with pytest.raises(PolychromicError, match=r"review-anna\.jsonl reviews other candidates"):
        curate(raw, rules(selection={"most": 5}), tmp_path / "out")


def test_without_a_filter_of_duplicates_equal_pairs_still_are_one_record(tmp_path):
    bare = Rules.model_validate({"records": load_rules().records})
    report = curate(write(tmp_path / "raw.jsonl", [ROWS[0], ROWS[0], ROWS[1]]), bare, tmp_path / "out")
    assert report["candidates"] == 2 and [step["name"] for step in report["filters"]] == ["unreadable", "exact_duplicates"]
