"""Reading the log: which lines are refused, with what message, and what is made of the others."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polychromic.yours.curate.raw import Pair, fast_words, read_pair, read_pairs

from polychromic.base.errors import DataError
from polychromic.data.text import words

ROW = {"post": "A post", "reply": "A reply"}


def test_all_but_the_texts_may_be_missing_or_null():
    bare = read_pair("raw.jsonl:7", ROW)
    assert bare == Pair("raw.jsonl:7", "A post", "A reply", None, None, "raw.jsonl")
    assert read_pair("raw.jsonl:7", ROW | dict.fromkeys(("author", "engagement", "source", "id"))) == bare
    more = {"author": 12, "engagement": -0.5, "source": "apify:x", "id": 3, "created": "then", "lang": "en"}
    assert read_pair("raw.jsonl:7", ROW | more) == Pair("raw.jsonl:7", "A post", "A reply", "12", -0.5, "apify:x")
    assert read_pair("raw.jsonl:1", ROW | {"source": "half \ud83d"}).source == "half \\ud83d", "a record can be written"
    assert read_pair("raw.jsonl:1", {"post": "x"}) == Pair("raw.jsonl:1", "x", "", None, None, "raw.jsonl", "no reply")


def test_lines_are_read_one_by_one(tmp_path):
    path = tmp_path / "raw.jsonl.gz"
    path.write_bytes(gzip.compress((json.dumps(ROW) + "\n\n" + json.dumps(ROW | {"post": "Another"}) + "\n{oops\n").encode()))
    found = read_pairs(path)
    assert [next(found).where, next(found).where] == ["raw.jsonl.gz:1", "raw.jsonl.gz:3"]
    with pytest.raises(DataError, match=r"raw\.jsonl\.gz:4: not JSON"):
        next(found)


def test_the_digest_tells_post_from_reply():
    a, b = read_pair("r:1", {"post": "a b", "reply": "c"}), read_pair("r:2", {"post": "a", "reply": "b c"})
    assert a.digest != b.digest and a.digest == read_pair("other:9", {"post": " a  b", "reply": "c ", "author": "x"}).digest


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=60) | st.text(max_size=20))
def test_the_fast_words_are_the_words(text):
    assert fast_words(text) == words(text)
