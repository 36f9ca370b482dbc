"""Reading the log: which lines are refused, with what message, and what is made of the others."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polychromic.base.errors import DataError
from polychromic.data.text import words
from polychromic.yours.curate.raw import fast_words, parse_pair, read_pairs

ROW = {"post": "A post", "reply": "A reply"}


def test_all_but_the_texts_may_be_missing_or_null():
    bare = parse_pair("folder/raw.jsonl:7", ROW)
    assert (bare.where, bare.author, bare.engagement, bare.source) == ("raw.jsonl:7", None, None, "raw.jsonl")
    assert parse_pair("raw.jsonl:7", ROW | dict.fromkeys(("author", "engagement", "source", "id"))) == bare
    more = {"author": 12, "engagement": -0.5, "source": "apify:x", "id": 3, "created": "then", "lang": "en"}
    full = parse_pair("raw.jsonl:7", ROW | more)
    assert (full.author, full.engagement, full.source) == ("12", -0.5, "apify:x")
    assert parse_pair("raw.jsonl:1", ROW | {"source": "half \ud83d"}).source == "half \\ud83d", "a record can be written"


@pytest.mark.parametrize(
    ("row", "fragments"),
    [
        ({"post": "x"}, ["no column 'reply'; found: 'post'", "Add it"]),
        ({"post": "x", "replies": "y"}, ["no column 'reply'", "Did you mean 'replies'?"]),
        ({}, ["no column 'post'; found: none"]),
        (ROW | {"reply": None}, ["reply is None", "Allowed: text"]),
        (ROW | {"post": ["x"]}, ["post is ['x']"]),
        (ROW | {"engagement": "5"}, ["engagement is '5'", "a finite number, or null"]),
        (ROW | {"engagement": True}, ["engagement is True"]),
        (ROW | {"engagement": float("nan")}, ["engagement is nan"]),
        (ROW | {"engagement": float("inf")}, ["engagement is inf"]),
        (ROW | {"author": 1.5}, ["author is 1.5"]),
        (ROW | {"source": 3}, ["source is 3"]),
    ],
)
def test_a_line_that_is_not_right_is_named(row, fragments):
    with pytest.raises(DataError) as caught:
        parse_pair("raw.jsonl:7", row)
    assert str(caught.value).startswith("raw.jsonl:7: ")
    assert all(fragment in str(caught.value) for fragment in ["Allowed: ", *fragments])


def test_lines_are_read_one_by_one(tmp_path):
    path = tmp_path / "raw.jsonl.gz"
    path.write_bytes(gzip.compress((json.dumps(ROW) + "\n\n" + json.dumps(ROW | {"post": "Another"}) + "\n{oops\n").encode()))
    found = read_pairs(path)
    assert [next(found).where, next(found).where] == ["raw.jsonl.gz:1", "raw.jsonl.gz:3"]
    with pytest.raises(DataError, match=r"raw\.jsonl\.gz:4: not JSON"):
        next(found)


def test_the_digest_tells_post_from_reply():
    a, b = parse_pair("r:1", {"post": "a b", "reply": "c"}), parse_pair("r:2", {"post": "a", "reply": "b c"})
    assert a.digest != b.digest and a.digest == parse_pair("other:9", {"post": " a  b", "reply": "c ", "author": "x"}).digest


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=60) | st.text(max_size=20))
def test_the_fast_words_are_the_words(text):
    assert fast_words(text) == words(text)
