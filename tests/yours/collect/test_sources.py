"""The corpus, and JSONL, CSV and Parquet: the same rows give the same records, and what is broken is said with its place."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from polychromic.base.errors import DataError
from polychromic.data import packages
from polychromic.yours.collect.sources import of_file
from tests.yours.collect.conftest import log, pairs

ROWS = [row | {"post": f'A post, with "quotes"\nand {i} lines'} for i, row in enumerate(pairs(7))]


def write(path: Path, rows: list[dict]) -> Path:
    text = "".join(json.dumps(row) + "\n\n" for row in rows).encode()
    if path.suffix == ".csv":
        pd.DataFrame(rows).to_csv(path, index=False, encoding="utf-8-sig")
    elif path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    else:
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "csv", "parquet"])
def test_every_format_gives_the_same_log(ending, folder, collect):
    write(folder / "rows.jsonl", ROWS)
    assert collect("file", "rows.jsonl", "--out", "expected")[0] == 0
    write(folder / f"rows.{ending}", ROWS)
    assert collect("file", f"rows.{ending}", "--out", "out", "--page-size", 3)[0] == 0
    expected, found = log("expected"), log("out")
    assert [row | {"source": ""} for row in found] == [row | {"source": ""} for row in expected]
    assert found[0]["source"] == f"file:rows.{ending}" and len(found) == 7 and found[3]["engagement"] == 3


def test_places_are_lines_of_the_file_and_pages_begin_anywhere(folder):
    path = write(folder / "rows.csv", [*ROWS[:2], {"post": "x" * 200_000}])
    path.write_text(path.read_text() + '\r\n"a ""b""",c\r\n')
    found = [item for page in of_file(path).pages(0, None, 2) for item in page]
    assert [where for where, _ in found] == ["rows.csv:2", "rows.csv:4", "rows.csv:6", "rows.csv:8"]
    assert found[3][1] == {"id": 'a "b"', "post": "c"}
    source = of_file(write(folder / "rows.parquet", ROWS))
    assert source.size() == 7
    found = [[where for where, _ in page] for page in source.pages(3, 6, 2)]
    assert found == [["rows.parquet: row 4", "rows.parquet: row 5"], ["rows.parquet: row 6"]]


@pytest.mark.parametrize(("name", "content", "said"), [
    ("rows.csv", b"", "rows.csv:1: not CSV .*no columns"),
    ("rows.csv", b"post,reply,post\n1,2,3\n", "rows.csv:1: not CSV .*each column is named once"),
    ("rows.csv", b"post,reply\n1,2,3\n", "rows.csv:2: not CSV .3 cells of 2 columns"),
    ("rows.csv", b'post,reply\na,b\n"c,d\n', "rows.csv:3: not CSV"),
    ("rows.csv", "post,reply\nä,b\n".encode("latin-1"), "rows.csv:1: not CSV .*codec can't decode"),
    ("rows.jsonl", b'{"post": "a"}\n{"post": \n', "rows.jsonl:2: not JSON"), ("rows.jsonl", b"[1]\n", "rows.jsonl:1: a JSON list"),
    ("rows.jsonl.gz", gzip.compress(b'{"post": "a"}\n' * 99, mtime=0)[:40], "not a whole gzip file"),
    ("rows.parquet", b"PAR1 no", "not a whole Parquet file"),
])  # fmt: skip
def test_a_file_that_is_not_of_its_format_is_refused_before_anything_is_written(name, content, said, folder, collect):
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        of_file(folder / name).size()
    code, out, err = collect("file", name, "--out", "out")
    assert (code, out) == (1, "") and "Allowed: " in err and not (folder / "out").exists()


CORPUS = {
    "b": {"messages": [[{"sender": "s1", "text": "Hello"}, {"sender": "s1", "text": "there?"}, {"sender": "s2", "text": "Hi."}]]},
    "a": {
        "messages": [[{"sender": "s2", "text": "Tea?"}, {"sender": "s3", "text": "Yes."}, {"sender": "s2", "text": "Good."}]],
        "ratings": {"witty": "8", "interesting": 9, "upbeat": 10},
    },
}


def put_corpus(cache: Path) -> None:
    path = cache / "packages" / packages.CHITCHAT.sha256 / "dataset.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(CORPUS))


def test_the_corpus_is_collected_turn_by_turn(folder, collect):
    put_corpus(folder.parent / "cache")
    code, _, err = collect("package", "--out", "out", "--page-size", 2)
    assert code == 0, err
    found = log("out")
    assert [(row["id"], row["post_id"], row["post"], row["reply"], row["engagement"]) for row in found] == [
        ("a:1", "a:0", "Tea?", "Yes.", 9.0),
        ("a:2", "a:1", "Yes.", "Good.", 9.0),
        ("b:1", "b:0", "Hello there?", "Hi.", None),
    ]
    assert found[1]["author"] == found[2]["author"] != found[0]["author"] and found[0]["source"] == "chitchat-dataset 0.9.0"
