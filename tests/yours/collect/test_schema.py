"""What an item must be to give a record, reason by reason; and pseudonyms: one per person and salt, no handle in anything but texts."""

from __future__ import annotations

import datetime
import json
import math
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import dumps
from polychromic.yours.collect.schema import RawRecord, fingerprint, hidden, read_item, read_salt

ITEM = {"post": "How are you?", "reply": " Fine, thanks. "}


def read(item: object, salt: bytes | None = None, **columns: str) -> RawRecord | str:
    return read_item(item, columns, "here", salt)


@pytest.mark.parametrize(("changes", "reason"), [
    ({"post": None}, "no post"), ({"reply": None}, "no reply"), ({"post": " \n"}, "empty post"), ({"reply": ""}, "empty reply"),
    ({"post": 5}, "post is not text"), ({"reply": ["a"]}, "reply is not text"),
    ({"post": "half \ud83d of an emoji"}, "post is not valid Unicode"), ({"author": "\udc00"}, "author is not valid Unicode"),
    ({"created": "\udc00"}, "created is not valid Unicode"), ({"author": {"name": "anna"}}, "author is not text"),
    *(({"engagement": value}, "engagement is not a number") for value in ("1.2K", math.inf, "1e999", [1])),
    ({"id": 1.7e18}, "id is not text"), ({"id": True}, "id is not text"), ({"created": True}, "created is not text"),
])  # fmt: skip
def test_reasons_of_rejection(changes, reason):
    assert read(ITEM | changes) == reason
    assert all(read(item) == "not an object" for item in (None, [], "text", 3, [ITEM]))


@pytest.mark.parametrize(("field", "given", "read_as"), [
    *(("engagement", *case) for case in ((3, 3), (2.5, 2.5), (-4, -4), (" 12 ", 12), ("2.5", 2.5), ("1e3", 1000.0), (None, None))),
    *((field, empty, None) for field in ("engagement", "created", "post_id") for empty in ("", "  ", math.nan)),
    ("id", 12345678901234567890, "12345678901234567890"), ("post_id", "p-1", "p-1"), ("author", 77, "77"),
    ("created", datetime.datetime(2024, 2, 29, 12, 30), "2024-02-29T12:30:00"), ("created", 1709209800, "1709209800"),
    ("reply", " Fine\n", " Fine\n"),
])  # fmt: skip
def test_values_are_as_given_and_what_is_not_said_is_none(field, given, read_as):
    record = read(ITEM | {"more": 1, field: given})
    assert getattr(record, field) == read_as and record.source == "here"


def test_without_an_id_the_texts_and_the_author_make_one_that_does_not_give_the_handle_away():
    """Else anybody could try handles: post and reply stand beside it."""
    first, again, other = read(ITEM), read(ITEM | {"engagement": 3}), read(ITEM | {"author": "anna"})
    assert first.id == again.id != other.id and len(first.id) == 24
    assert len({read(ITEM | {"author": "anna"}, salt).id for salt in (None, b"one", b"two")}) == 3


def test_columns_are_names_or_paths():
    item = {"text": "Q", "answer": {"body": "A"}, "likes.count": 4}
    assert read(item, post="text", reply="answer.body", engagement="likes.count").engagement == 4
    assert read(item, post="text", reply="answer.missing") == "no reply" and read(item, post="text.inner", reply="text") == "no post"


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
        assert isinstance(found, str) and found


# pseudonyms


def named(salt: bytes | None = b"one", **changes: str | None) -> RawRecord:
    return hidden(RawRecord(**({"id": "17", "post": "Q", "reply": "A", "author": "anna", "source": "here"} | changes)), salt)


def test_one_person_has_one_name_per_salt():
    assert named().author == named(id="18", author=" anna ").author != named(author="bob").author
    assert named().author != named(b"two").author and named(author=None).author is None
    assert len({fingerprint(salt) for salt in (b"one", b"two", None)}) == 3
    kept = named(None, id="https://host/anna/status/1")
    assert (kept.id, kept.author) == ("https://host/anna/status/1", "anna")


def test_ids_that_may_name_somebody_are_hidden():
    for name in ("https://host/anna/status/1", "anna-17", "17_ANNA", "@someone", "x/17"):
        record = named(id=name, post_id=name, author="@anna")
        assert record.id == record.post_id and record.id.startswith("i-") and "anna" not in record.id.lower()
    for name in ("17", "hannah-17", "annabel", "t3_8xk2"):
        assert named(id=name, post_id=name).id == name


def test_the_salt_is_made_once_and_is_this_users_alone(folder, monkeypatch):
    salt = read_salt()
    assert salt == read_salt() and len(salt) == 32
    path = folder.parent / "cache" / "collect" / "salt"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and [file.name for file in path.parent.iterdir()] == ["salt"]
    path.write_bytes(b"short")
    with pytest.raises(PolychromicError, match="salt: 5 bytes. Allowed: the 32"):
        read_salt()
    monkeypatch.setenv("POLYCHROMIC_SALT", "0123456789abcdef")
    assert read_salt() == b"0123456789abcdef"
    monkeypatch.setenv("POLYCHROMIC_SALT", "pepper-and-salt")
    with pytest.raises(UsageError, match="POLYCHROMIC_SALT has 15 characters. Allowed: 16") as caught:
        read_salt()
    assert "pepper" not in str(caught.value)
