"""Pseudonyms: the same for the same person, different under another salt, and no handle in anything but the texts."""

from __future__ import annotations

import stat

import pytest

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.yours.collect.authors import Authors, read_salt
from polychromic.yours.collect.schema import Columns, RawRecord, read_item


def record(**changes) -> RawRecord:
    return RawRecord(**({"id": "17", "post": "Q", "reply": "A", "author": "anna", "source": "here"} | changes))


def test_one_person_has_one_name_per_salt():
    one, two = Authors(b"one"), Authors(b"two")
    assert one.hide(record()).author == one.hide(record(id="18", author=" anna ")).author != one.hide(record(author="bob")).author
    assert one.hide(record()).author != two.hide(record()).author
    assert one.fingerprint != two.fingerprint and Authors(None).fingerprint is None
    assert one.hide(record(author=None)).author is None


def test_kept_handles_are_as_given():
    kept = record(id="https://host/anna/status/1")
    assert Authors(None).hide(kept) == kept


@pytest.mark.parametrize("name", ["https://host/anna/status/1", "anna-17", "17_ANNA", "@someone", "x/17"])
def test_ids_that_may_name_somebody_are_hidden(name):
    hidden = Authors(b"salt").hide(record(id=name, post_id=name, author="@anna"))
    assert hidden.id == hidden.post_id and hidden.id.startswith("i-") and "anna" not in hidden.id.lower()


@pytest.mark.parametrize("name", ["17", "hannah-17", "annabel", "t3_8xk2"])
def test_other_ids_stay(name):
    assert Authors(b"salt").hide(record(id=name, post_id=name)).id == name


def test_an_id_made_of_the_content_does_not_give_the_handle_away():
    """Else anybody could try handles: post and reply stand beside it."""
    item = {"post": "Q", "reply": "A", "author": "anna"}
    one, two = (read_item(item, Columns(), "here", Authors(salt).hide).id for salt in (b"one", b"two"))
    assert one != two


def test_the_salt_is_made_once_and_is_this_users_alone(folder):
    salt = read_salt()
    assert read_salt() == salt and len(salt) == 32
    path = folder.parent / "cache" / "collect" / "salt"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["salt"]
    path.write_bytes(b"short")
    with pytest.raises(PolychromicError, match="salt: 5 bytes. Allowed: the 32"):
        read_salt()


def test_of_two_first_processes_both_read_one_salt(folder, monkeypatch):
    import os

    real = os.link
    theirs = []

    def slower(source, target):
        monkeypatch.setattr(os, "link", real)
        theirs.append(read_salt())  # another process comes first
        real(source, target)

    monkeypatch.setattr(os, "link", slower)
    assert read_salt() == theirs[0]


def test_a_salt_of_ones_own(folder, monkeypatch):
    monkeypatch.setenv("POLYCHROMIC_SALT", "0123456789abcdef")
    assert read_salt() == b"0123456789abcdef"
    monkeypatch.setenv("POLYCHROMIC_SALT", "pepper-and-salt")
    with pytest.raises(UsageError, match="POLYCHROMIC_SALT has 15 characters. Allowed: 16") as caught:
        read_salt()
    assert "pepper" not in str(caught.value)
