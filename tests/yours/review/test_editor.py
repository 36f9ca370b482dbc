"""Editing a line by keys, and both texts in another program."""

from __future__ import annotations

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.yours.review.editor import Line, clean, edit_outside


def after(text: str, *keys: str) -> tuple[str, int]:
    line = Line(text)
    for key in keys:
        line.press(key)
    return line.text, line.cursor


@pytest.mark.parametrize(
    ("keys", "text", "cursor"),
    [
        (["!"], "one two!", 8),
        (["left", "left", "X"], "one tXwo", 6),
        (["home", "X", "end", "Y"], "Xone twoY", 9),
        (["ctrl-a", "delete"], "ne two", 0),
        (["backspace"] * 20, "", 0),
        (["right", "delete"], "one two", 7),
        (["left"] * 20, "one two", 0),
        (["ctrl-w"], "one ", 4),
        (["ctrl-w", "ctrl-w", "ctrl-w"], "", 0),
        (["left", "ctrl-u"], "o", 0),
        (["home", "right", "ctrl-k"], "o", 1),
        (["\u00e9", "\U0001f602", "\u4eca"], "one two\u00e9\U0001f602\u4eca", 10),
        (["paste:\n a \t b"], "one twoa b", 10),
        (["tab", "up", "unknown", "ctrl-x", "\x07"], "one two", 7),
    ],
)
def test_keys(keys, text, cursor):
    assert after("one two", *keys) == (text, cursor)


def test_clean_changes_blanks_only():
    assert clean("  a\u00a0\n b  ") == "a b"
    for bad in ("", "  \n", "a\x1bb", "a\x9bb", "\x7f"):
        with pytest.raises(ValueError, match="empty text|control character"):
            clean(bad)


def program(tmp_path, monkeypatch, script: str) -> None:
    path = tmp_path / "my editor.sh"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"'{path}' -x")


def test_another_program_edits_both(tmp_path, monkeypatch):
    program(tmp_path, monkeypatch, "sed -i 's/cat/dog/; s/1000 users/1001 users/' \"$2\"")
    assert edit_outside("a cat", "# 1000 users") == ("a dog", "# 1001 users")


@pytest.mark.parametrize(
    ("script", "message"),
    [("exit 3", "ended with 3"), ('echo > "$2"', "is gone"), ('sed -i "s/^a cat$//" "$2"', "an empty text"), ('rm "$2"', "No such file")],
)
def test_what_it_leaves_is_checked(script, message, tmp_path, monkeypatch):
    program(tmp_path, monkeypatch, script)
    with pytest.raises(PolychromicError, match=message):
        edit_outside("a cat", "a reply")


def test_no_program(monkeypatch):
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    with pytest.raises(PolychromicError, match="neither"):
        edit_outside("a", "b")
    monkeypatch.setenv("EDITOR", "no-such-editor-here")
    with pytest.raises(PolychromicError, match="Nothing was changed"):
        edit_outside("a", "b")
