"""What an item must be to give a record, reason by reason."""

from __future__ import annotations

import datetime
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polychromic.base.io import dumps
from polychromic.yours.collect.schema import Columns, RawRecord, Rejected, read_item

ITEM = {"post": "How are you?", "reply": " Fine, thanks. "}


def read(item: object, **columns: str) -> RawRecord | Rejected:
    return read_item(item, Columns(**columns), "here")


def test_texts_are_kept_as_typed_and_what_is_not_said_is_none():
    record = read(ITEM | {"more": 1})
    assert (record.post, record.reply, record.source) == ("How are you?", " Fine, thanks. ", "here")
    assert record.author is record.engagement is record.created is record.post_id is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"post": None}, "no post"),
        ({"reply": None}, "no reply"),
        ({"post": " \n"}, "empty post"),
        ({"reply": ""}, "empty reply"),
        ({"post": 5}, "post is not text"),
        ({"reply": ["a"]}, "reply is not text"),
        ({"post": "half \ud83d of an emoji"}, "post is not valid Unicode"),
        ({"author": "\udc00"}, "author is not valid Unicode"),
        ({"created": "\udc00"}, "created is not valid Unicode"),
        ({"author": {"name": "anna"}}, "author is not text"),
        ({"engagement": "1.2K"}, "engagement is not a number"),
        ({"engagement": "1_000"}, "engagement is not a number"),
        ({"engagement": True}, "engagement is not a number"),
        ({"engagement": math.inf}, "engagement is not a number"),
        ({"engagement": "1e999"}, "engagement is not a number"),
        ({"engagement": [1]}, "engagement is not a number"),
        ({"id": 1.7e18}, "id is not text"),
        ({"id": True}, "id is not text"),
        ({"created": True}, "created is not text"),
    ],
)
def test_reasons_of_rejection(changes, reason):
    assert read(ITEM | changes) == Rejected(reason)


@pytest.mark.parametrize("item", [None, [], "text", 3, [ITEM]])
def test_only_objects_are_read(item):
    assert read(item) == Rejected("not an object")


@pytest.mark.parametrize(
    ("given", "read_as"),
    [(3, 3), (2.5, 2.5), (-4, -4), ("12", 12), (" 12 ", 12), ("2.5", 2.5), ("1e3", 1000.0), ("", None), (None, None), (math.nan, None)],
)
def test_engagement(given, read_as):
    assert read(ITEM | {"engagement": given}).engagement == read_as


def test_ids_and_times_are_as_given():
    moment = datetime.datetime(2024, 2, 29, 12, 30)
    record = read(ITEM | {"id": 12345678901234567890, "post_id": "p-1", "created": moment, "author": 77})
    assert (record.id, record.post_id, record.created, record.author) == ("12345678901234567890", "p-1", "2024-02-29T12:30:00", "77")
    assert read(ITEM | {"created": 1709209800}).created == "1709209800"
    assert read(ITEM | {"created": math.nan, "post_id": "  "}).created is None


def test_without_an_id_the_texts_and_the_author_make_one():
    first, again, other = read(ITEM), read(ITEM | {"engagement": 3}), read(ITEM | {"author": "anna"})
    assert first.id == again.id != other.id and len(first.id) == 24


def test_columns_are_names_or_paths():
    item = {"text": "Q", "answer": {"body": "A", "by": {"name": "anna"}}, "likes.count": 4}
    record = read(item, post="text", reply="answer.body", author="answer.by.name", engagement="likes.count")
    assert (record.post, record.reply, record.author, record.engagement) == ("Q", "A", "anna", 4)
    assert read(item, post="text", reply="answer.missing") == Rejected("no reply")
    assert read(item, post="text.inner", reply="answer.body") == Rejected("no post")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["post", "reply", "id", "author"]), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(["post", "reply", "id", "author", "engagement", "created", "post_id"], JSON)) | JSON
)
def test_whatever_comes_is_a_record_that_can_be_written_or_a_reason(item):
    found = read(item)
    if isinstance(found, RawRecord):
        line = dumps(found.model_dump()).encode()
        assert b"\n" not in line and RawRecord(**json.loads(line)) == found
    else:
        assert found.reason
