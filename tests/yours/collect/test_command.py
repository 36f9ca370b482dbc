"""`polychromic collect`: every option, what it refuses, what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polychromic.base.locks import single_writer
from polychromic.yours.collect import run
from tests.yours.collect.conftest import log, pairs, write

LIMITED = ("--page-size", "--author-cap", "--max-items")


def test_columns_by_option(folder, collect):
    item = {"q": "Q", "a": {"text": "A", "by": "anna", "likes": "7", "key": 5, "at": "2024"}, "thread": "t1"}
    write("rows.jsonl", [item])
    columns = {"--post": "q", "--reply": "a.text", "--author": "a.by", "--engagement": "a.likes", "--id": "a.key", "--post-id": "thread"}
    named = [word for pair in (columns | {"--created": "a.at"}).items() for word in pair]
    code, _, err = collect("file", "rows.jsonl", *named, "--keep-authors", "--out", "out")
    assert code == 0, err
    assert log("out") == [
        {"id": "5", "post": "Q", "reply": "A", "author": "anna", "engagement": 7, "created": "2024", "post_id": "t1",
         "source": "file:rows.jsonl"}
    ]  # fmt: skip


@pytest.mark.parametrize("option", ["--post", "--reply", "--author", "--engagement", "--id", "--post-id", "--created"])
def test_a_column_that_is_not_there_is_a_usage_error(option, folder, collect):
    write("rows.jsonl", [row | {"thread": {"name": 1}} for row in pairs(3)])
    code, out, err = collect("file", "rows.jsonl", option, "thread.nam", "--out", "out")
    assert (code, out) == (2, "") and f"Name one: {option} COLUMN" in err and not Path("out").exists()
    assert "rows.jsonl:1 to rows.jsonl:3: no item has the column 'thread.nam'" in err and "post, reply, thread, thread.name" in err


def test_the_author_cap_and_pseudonyms(folder, collect, monkeypatch):
    write("rows.jsonl", pairs(20) + [{"id": i, "post": "P", "reply": "R"} for i in range(3)])
    for page_size in (1, 7, 500):
        code, out, _ = collect("file", "rows.jsonl", "--out", f"out{page_size}", "--author-cap", 2, "--page-size", page_size, "--json")
        summary = json.loads(out)
        assert code == 0 and summary["accepted"] == 13 and summary["rejected"]["author cap"]["count"] == 10
        assert (summary["authors"], summary["without_author"], summary["items"]) == (5, 3, 23)
        assert json.loads(Path(f"out{page_size}/summary.json").read_text()) == summary
    assert Path("out1/raw.jsonl").read_bytes() == Path("out7/raw.jsonl").read_bytes() == Path("out500/raw.jsonl").read_bytes()
    assert "person" not in Path("out1/raw.jsonl").read_text()
    for more, said in ((["--author-cap", 3], "author_cap was 2, is 3"), (["--author-cap", 2, "--keep-authors"], 'is "kept"')):
        code, _, err = collect("file", "rows.jsonl", "--out", "out1", *more)
        assert code == 1 and "it holds another collection: " in err and said in err
    monkeypatch.setenv("POLYCHROMIC_SALT", "another salt, long enough")
    assert "it holds another collection: authors was" in collect("file", "rows.jsonl", "--out", "out1", "--author-cap", 2)[2]


def test_a_limit_can_be_raised_a_collection_run_again_and_a_changed_file_is_another(folder, collect):
    write("rows.jsonl", pairs(10))
    code, out, err = collect("file", "rows.jsonl", "--out", "out", "--max-items", 4, "--page-size", 3)
    assert code == 0 and "10 items, 4 are wanted; 0 are stored already; 2 page(s) of up to 3 to go" in err
    assert "stopped at --max-items" in out
    assert len(log("out")) == 4 and json.loads(Path("out/summary.json").read_text())["complete"] is False
    code, out, err = collect("file", "rows.jsonl", "--out", "out")
    assert code == 0 and "10 items; 4 are stored already; 1 page(s)" in err
    assert "rows.jsonl: complete; authors: 5; records without one: 0" in out
    assert [row["engagement"] for row in log("out")] == list(range(10))
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    assert collect("file", "rows.jsonl", "--out", "out")[0] == 0
    write("rows.jsonl", pairs(9))
    code, _, err = collect("file", "rows.jsonl", "--out", "out")
    assert code == 1 and "it holds another collection: sha256 was" in err
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before


def test_counts_are_printed_by_reason(folder, collect):
    write("rows.jsonl", [*pairs(5), pairs(1)[0], {"post": "P", "reply": ""}, {"post": "P"}, {"post": "P"}])
    code, out, err = collect("file", "rows.jsonl", "--out", "out")
    assert code == 0 and "collect: 9 of 9" in err
    cells = [[cell.strip() for cell in line.split("│")[1:4]] for line in out.splitlines() if "│" in line]
    assert cells == [
        ["read", "9", ""], ["accepted", "5", ""], ["rejected: no reply", "2", "rows.jsonl:8, rows.jsonl:9"],
        ["rejected: duplicate id", "1", "rows.jsonl:6"], ["rejected: empty reply", "1", "rows.jsonl:7"],
    ]  # fmt: skip


def test_nothing_accepted_and_nothing_there_are_errors(folder, collect):
    for rows, said in (([{"post": "P", "reply": 3}] * 2, "none of 2 items gives a record: reply is not text (2, "), ([], "it is empty")):
        code, out, err = collect("file", write("rows.jsonl", rows), "--out", f"out{len(rows)}")
        assert (code, out) == (1, "") and said in err
    assert not Path("out0").exists()


@pytest.mark.parametrize(("arguments", "said"), [
    (["apify", "--out", "out"], "collect apify names nothing to collect"),
    (["package", "posts.csv", "--out", "out"], "collect package makes no use of WHAT. Allowed: --out, authors and limits"),
    (["package", "--retries", "3", "--post-id", "p", "--out", "out"], "collect package makes no use of --post-id, --retries."),
    (["file", "rows.jsonl", "--base-url", "https://host", "--out", "out"], "collect file makes no use of --base-url. Allowed: a file"),
    (["file", "rows.txt", "--out", "out"], "ends in '.txt'. Allowed: .jsonl, .jsonl.gz, .csv, .parquet"),
    (["file", "rows.jsonl", "--out", "data/raw"], "--out data/raw lies in data/, which the pipeline owns"),
    (["file", "rows.jsonl"], "Missing option '--out'"), (["twitter", "--out", "out"], "Invalid value for"),
    *((["apify", "D", "--out", "out", option, "0"], f"Invalid value for '{option}'") for option in LIMITED),
    (["apify", "D", "--out", "out", "--retries", "-1"], "Invalid value for '--retries'"),
])  # fmt: skip
def test_usage_errors(arguments, said, folder, collect):
    write("rows.jsonl", pairs(2))
    code, out, err = collect(*arguments)
    assert (code, out) == (2, "") and said in err
    assert sorted(path.name for path in folder.iterdir()) == ["rows.jsonl"]


def test_two_at_once_are_refused(folder, collect, monkeypatch):
    write("rows.jsonl", pairs(2))
    monkeypatch.setattr(run, "LOCK_SECONDS", 0.1)
    with single_writer(Path("out")):
        code, _, err = collect("file", "rows.jsonl", "--out", "out")
    assert code == 1 and "another process is writing it" in err and not Path("out").exists()
