"""The command line: every option, what it refuses, what it prints; and docs/collect.md, whose commands run as printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.collect.conftest import pairs
from typer.main import get_command

from polychromic.base.locks import single_writer
from polychromic.cli.app import app as cli
from polychromic.data import packages
from polychromic.yours.collect import run
from tests.workspace import REPOSITORY

PAGE = (REPOSITORY / "docs" / "collect.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL)
OPTIONS = [option for parameter in get_command(cli.app).commands["collect"].params for option in parameter.opts if option.startswith("--")]


def write(name: str, rows: list) -> None:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def log(out: str) -> list[dict]:
    return [json.loads(line) for line in Path(out, "raw.jsonl").read_text().splitlines()]


def test_every_option_is_in_a_test():
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert len(OPTIONS) >= 16 and [option for option in OPTIONS if f'"{option}"' not in tests] == []


def test_help_names_them(command):
    code, out, _ = command("--help")
    assert code == 0 and [option for option in OPTIONS if option not in out] == []


def test_columns_by_option(folder, command):
    item = {"q": "Q", "a": {"text": "A", "by": "anna", "likes": "7", "key": 5, "at": "2024"}, "thread": "t1"}
    write("rows.jsonl", [item])
    columns = {"--post": "q", "--reply": "a.text", "--author": "a.by", "--engagement": "a.likes", "--id": "a.key", "--post-id": "thread"}
    named = [word for pair in (columns | {"--created": "a.at"}).items() for word in pair]
    code, _, err = command("file", "rows.jsonl", *named, "--keep-authors", "--out", "out")
    assert code == 0, err
    assert log("out") == [
        {"id": "5", "post": "Q", "reply": "A", "author": "anna", "engagement": 7, "created": "2024", "post_id": "t1",
         "source": "file:rows.jsonl"}
    ]  # fmt: skip


@pytest.mark.parametrize("option", ["--post", "--reply", "--author", "--engagement", "--id", "--post-id", "--created"])
def test_a_column_that_is_not_there_is_a_usage_error(option, folder, command):
    write("rows.jsonl", [row | {"thread": {"name": 1}} for row in pairs(3)])
    code, out, err = command("file", "rows.jsonl", option, "thread.nam", "--out", "out")
    assert (code, out) == (2, "") and f"Did you mean {option} thread.name?" in err and not Path("out").exists()
    assert "rows.jsonl:1 to rows.jsonl:3: no item has the column 'thread.nam'" in err and "Allowed: author, engagement, id, post," in err


def test_a_file_without_the_default_columns(folder, command):
    write("rows.jsonl", [{"q": "Q", "reply": "A"}])
    code, _, err = command("file", "rows.jsonl", "--out", "out")
    assert code == 2 and "no item has the column 'post'" in err and "Name one with --post." in err


def test_the_author_cap_and_pseudonyms(folder, command):
    write("rows.jsonl", pairs(20) + [{"id": i, "post": "P", "reply": "R"} for i in range(3)])
    for page_size in (1, 7, 500):
        code, out, _ = command("file", "rows.jsonl", "--out", f"out{page_size}", "--author-cap", 2, "--page-size", page_size, "--json")
        summary = json.loads(out)
        assert code == 0 and summary["accepted"] == 13 and summary["rejected"]["author cap"]["count"] == 10
        assert (summary["authors"], summary["without_author"], summary["items"]) == (5, 3, 23)
        assert json.loads(Path(f"out{page_size}/summary.json").read_text()) == summary
    assert Path("out1/raw.jsonl").read_bytes() == Path("out7/raw.jsonl").read_bytes() == Path("out500/raw.jsonl").read_bytes()
    assert "person" not in Path("out1/raw.jsonl").read_text()
    assert "it holds another collection: author_cap was 2, is 3" in command("file", "rows.jsonl", "--out", "out1", "--author-cap", 3)[2]
    code, _, err = command("file", "rows.jsonl", "--out", "out1", "--author-cap", 2, "--keep-authors")
    assert code == 1 and 'is "kept"' in err


def test_a_salt_that_changed_is_noticed(folder, command, monkeypatch):
    write("rows.jsonl", pairs(4))
    assert command("file", "rows.jsonl", "--out", "out", "--max-items", 2)[0] == 0
    monkeypatch.setenv("POLYCHROMIC_SALT", "another salt, long enough")
    code, _, err = command("file", "rows.jsonl", "--out", "out")
    assert code == 1 and "it holds another collection: authors was" in err


def test_a_limit_can_be_raised(folder, command):
    write("rows.jsonl", pairs(10))
    code, out, err = command("file", "rows.jsonl", "--out", "out", "--max-items", 4, "--page-size", 3)
    assert code == 0 and "10 items, of which 4 are wanted; 2 page(s) of up to 3 to go" in err and "stopped at --max-items" in out
    assert len(log("out")) == 4 and json.loads(Path("out/summary.json").read_text())["complete"] is False
    code, out, err = command("file", "rows.jsonl", "--out", "out")
    assert (
        code == 0
        and "10 items; 4 are stored already; 1 page(s)" in err
        and "rows.jsonl: complete; authors: 5; records without one: 0; out/raw.jsonl" in out
    )
    assert [row["engagement"] for row in log("out")] == list(range(10))
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    assert command("file", "rows.jsonl", "--out", "out")[0] == 0
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before


def test_counts_are_printed_by_reason(folder, command):
    write("rows.jsonl", [*pairs(5), pairs(1)[0], {"post": "P", "reply": ""}, {"post": "P"}, {"post": "P"}, 7])
    code, out, err = command("file", "rows.jsonl", "--out", "out")
    assert code == 0 and "collect: 10 of 10" in err
    cells = [[cell.strip() for cell in line.split("│")[1:4]] for line in out.splitlines() if "│" in line]
    assert cells == [
        ["read", "10", ""],
        ["accepted", "5", ""],
        ["rejected: no reply", "2", "rows.jsonl:8, rows.jsonl:9"],
        ["rejected: duplicate id", "1", "rows.jsonl:6"],
        ["rejected: empty reply", "1", "rows.jsonl:7"],
        ["rejected: not an object", "1", "rows.jsonl:10"],
    ]


def test_nothing_accepted_and_nothing_there_are_errors(folder, command):
    write("rows.jsonl", [{"post": "P", "reply": 3}] * 2)
    code, out, err = command("file", "rows.jsonl", "--out", "out")
    assert (code, out) == (1, "") and "none of 2 items gives a record: reply is not text (2, rows.jsonl:1)" in err
    write("none.jsonl", [])
    code, _, err = command("file", "none.jsonl", "--out", "none")
    assert code == 1 and "file:none.jsonl: no items" in err and not Path("none").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["file", "--out", "out"], "collect file names nothing to collect"),
        (["apify", "--out", "out"], "collect apify names nothing to collect"),
        (["package", "posts.csv", "--out", "out"], "collect package makes no use of WHAT. Allowed: --out, authors and limits"),
        (["package", "--post-id", "p", "--post", "t", "--out", "out"], "collect package makes no use of --post, --post-id."),
        (["package", "--retries", "3", "--id", "i", "--out", "out"], "collect package makes no use of --id, --retries."),
        (["file", "rows.jsonl", "--base-url", "https://host", "--out", "out"], "collect file makes no use of --base-url. Allowed: a file"),
        (["file", "rows.jsonl", "--timeout", "60", "--retries", "8", "--out", "out"], "collect file makes no use of --timeout, --retries."),
        (["file", "--retries", "0", "--out", "out"], "collect file makes no use of --retries."),
        (["file", "rows.txt", "--out", "out"], "ends in '.txt'"),
        (["file", "rows.jsonl", "--out", "data/raw"], "--out data/raw lies in data/, which the pipeline owns"),
        (["file", "rows.jsonl", "--out", "results"], "lies in results/"),
        (["file", "rows.jsonl"], "Missing option '--out'"),
        (["twitter", "--out", "out"], "Invalid value for"),
        (["file", "rows.jsonl", "--out", "out", "--page-size", "0"], "Invalid value for '--page-size'"),
        (["file", "rows.jsonl", "--out", "out", "--author-cap", "0"], "Invalid value for '--author-cap'"),
        (["file", "rows.jsonl", "--out", "out", "--max-items", "0"], "Invalid value for '--max-items'"),
        (["apify", "D", "--out", "out", "--timeout", "0"], "Invalid value for '--timeout'"),
        (["apify", "D", "--out", "out", "--retries", "-1"], "Invalid value for '--retries'"),
    ],
)
def test_usage_errors(arguments, said, folder, command):
    write("rows.jsonl", pairs(2))
    code, out, err = command(*arguments)
    assert (code, out) == (2, "") and said in err
    assert sorted(path.name for path in folder.iterdir()) == ["rows.jsonl"]


def test_the_timeout_reaches_the_request(serve, command):
    server = serve(pairs(2))
    server.faults[0] = ["hang"]
    code, _, err = command("apify", "D", "--out", "out", "--base-url", server.url, "--timeout", 0.5, "--retries", 20)
    assert code == 0 and "no answer within 0.5 s; try 2 of 21" in err


def test_progress_without_a_total(serve, command):
    server = serve(pairs(9))
    server.headers, server.head = set(), False
    code, _, err = command("apify", "D", "--out", "out", "--base-url", server.url, "--page-size", 2)
    assert code == 0 and "the source does not say how many items it has" in err and "collect: 8 items" in err


def test_two_at_once_are_refused(folder, command, monkeypatch):
    write("rows.jsonl", pairs(2))
    monkeypatch.setattr(run, "LOCK_SECONDS", 0.1)
    held, let_go = threading.Event(), threading.Event()

    def other() -> None:
        with single_writer(Path("out")):
            held.set()
            let_go.wait(60)

    thread = threading.Thread(target=other)
    thread.start()
    assert held.wait(60)
    code, _, err = command("file", "rows.jsonl", "--out", "out")
    let_go.set()
    thread.join()
    assert code == 1 and "another process is writing it" in err and not Path("out").exists()


def test_ctrl_c_says_how_to_go_on(folder, command, monkeypatch):
    write("rows.jsonl", pairs(6))
    real, calls = run._store, []

    def interrupted(*arguments) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(run, "_store", interrupted)
    code, out, err = command("file", "rows.jsonl", "--out", "out", "--page-size", 2)
    assert (code, out) == (1, "") and "stopped by Ctrl-C; 4 items are stored" in err
    assert command("file", "rows.jsonl", "--out", "out", "--page-size", 2)[0] == 0
    assert [row["engagement"] for row in log("out")] == list(range(6))


# the corpus

CORPUS = {
    "b": {"messages": [[{"sender": "s1", "text": "Hello"}, {"sender": "s1", "text": "there?"}, {"sender": "s2", "text": "Hi."}]]},
    "a": {
        "messages": [[{"sender": "s2", "text": "Tea?"}, {"sender": "s3", "text": "Yes."}, {"sender": "s2", "text": "Good."}]],
        "ratings": {"witty": "8", "interesting": 9, "upbeat": 10},
    },
}


def put_corpus(folder: Path) -> None:
    path = folder.parent / "cache" / "packages" / packages.WHEEL_SHA256 / "dataset.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(CORPUS))


def test_the_corpus_is_collected_turn_by_turn(folder, command):
    put_corpus(folder)
    code, _, err = command("package", "--out", "out", "--page-size", 2)
    assert code == 0, err
    found = log("out")
    assert [(row["id"], row["post_id"], row["post"], row["reply"], row["engagement"]) for row in found] == [
        ("a:1", "a:0", "Tea?", "Yes.", 9.0),
        ("a:2", "a:1", "Yes.", "Good.", 9.0),
        ("b:1", "b:0", "Hello there?", "Hi.", None),
    ]
    assert found[1]["author"] == found[2]["author"] != found[0]["author"] and found[0]["source"] == "chitchat-dataset 0.9.0"


# docs/collect.md


def test_the_pages_commands_run_in_order(folder, serve):
    put_corpus(folder)
    server = serve([{"post": {"text": f"P{i}"}, "text": f"R{i}", "user": {"name": "anna"}} for i in range(30)])
    server.token = "your-token"
    # the one thing that is not as printed: where Apify is
    shim = f'polychromic() {{ [ "$2" = apify ] && set -- "$@" --base-url {server.url}; "{sys.executable}" -m polychromic "$@"; }}\nset -e\n'
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(["bash", "-c", shim + "".join(BLOCKS)], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert sum(block.count("polychromic collect") for block in BLOCKS) == 4
    assert [row["engagement"] for row in log("raw/mine")] == [3, 12]
    assert len(log("raw/apify")) == 30 and server.offsets() == [0, 20] and len(log("raw/chat")) == 3
    assert '"complete": true' in done.stdout


def test_what_the_page_says_is_so():
    assert len(PAGE.splitlines()) <= 65
    named = set(re.findall(r"`(--[\w-]+)`", PAGE)) | set(re.findall(r" (--[\w-]+) ", "".join(BLOCKS)))
    assert named <= set(OPTIONS)
    from polychromic.yours.collect.schema import RawRecord

    row = next(line for line in PAGE.splitlines() if line.startswith("| `raw.jsonl`"))
    assert re.findall(r"`(\w+)`", row.split("records:")[1]) == list(RawRecord.model_fields)
