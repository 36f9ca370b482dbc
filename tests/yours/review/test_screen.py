"""What is drawn: texts as they are, nothing that a terminal would obey, and never more lines than it has."""

from __future__ import annotations

import io
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from tests.review.candidates import candidate, some

from polychromic.base.visible import visible
from polychromic.yours.review.screen import FOOTER, draw
from polychromic.yours.review.session import Session
from polychromic.yours.review.state import Review

HARMLESS = "\u200c\u200d"  # they join letters and emoji
SEQUENCE = re.compile(r"\x1b\[[0-9;]*[mK]")  # colours, and erasing a line


def drawn(session: Session, width: int = 100, height: int = 30) -> str:
    """The bytes that go to the terminal."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, height=height, color_system="standard", highlight=False)
    console.print(draw(session, "anna", console), end="")
    return file.getvalue()


def session_of(post: str, reply: str) -> Session:
    record = candidate(0, post, reply)
    return Session({record.id: record}, Review((record.id,)))


def harmless(c: str) -> bool:
    """A terminal only puts it on the screen: printable, a blank, a joiner, or a tag of a flag."""
    return c.isprintable() or unicodedata.category(c) == "Zs" or c in HARMLESS or 0xE0020 <= ord(c) <= 0xE007F


def plain(output: str) -> str:
    return SEQUENCE.sub("", output)


def test_the_pair_the_progress_and_the_keys_are_seen():
    records = some(4)
    session = Session(records, Review(tuple(records)))
    for key in ("a", "r", "1", "e", "!", "enter"):
        session.press(key)
    shown = plain(drawn(session))
    for part in ("anna", "3 of 4 reviewed", "2 accepted (1 edited)", "1 rejected", "post 3", "reply 3", "undecided", "a accept", "4 of 4"):
        assert part in shown, part
    session.press("b")
    assert "accepted, edited" in drawn(session) and "reply 2!" in drawn(session)
    session.press("b")
    assert "rejected: the reply does not answer the post" in drawn(session)


def test_markup_is_shown_and_not_obeyed():
    shown = drawn(session_of("[red]stop[/red] [/] [link=x]y", "[bold]"))
    assert "[red]stop[/red] [/] [link=x]y" in shown and "[bold]" in shown


HOSTILE = "a\x1b]0;title\x07b\x1b[2Jc\x9b31md\u202egnp.exe\u2066x\u200by\ufefftz\x00\r\x7f\x08"


def test_control_characters_are_shown_and_never_sent():
    session = session_of(HOSTILE, "x")
    for mode in ("browse", "reply"):
        session.press("e" if mode == "reply" else "n")
        output = drawn(session)
        rest = plain(output)
        assert not set(rest) & set("\x1b\x07\x9b\u202e\u2066\u200b\ufeff\x00\r\x7f\x08")
        assert "\u241b]0;title\u2407b" in rest and "<U+202E>" in rest and "<U+009B>" in rest
    session.press("esc")
    session.press("/")
    session.press("paste:\x1b[2J\u202e")
    assert "\u202e" not in drawn(session) and "\x1b[2J" not in drawn(session)


@given(st.text(min_size=1).filter(str.strip), st.integers(20, 120), st.integers(4, 40))
@settings(max_examples=60, deadline=None)
def test_no_text_breaks_out_and_the_screen_is_full_and_no_fuller(text, width, height):
    session = session_of(text, text[::-1])
    for keys in ((), ("r",), ("esc", "e"), ("esc", "?"), ("esc", "f"), ("esc", "/", "x")):
        for key in keys:
            session.press(key)
        lines = drawn(session, width, height).split("\n")
        assert len(lines) == height
        assert all(harmless(c) for line in lines for c in plain(line))


@given(st.text())
def test_visible_texts_are_printable(text):
    assert all(harmless(c) for c in visible(text))


@pytest.mark.parametrize(
    "text", ["caf\u00e9", "\U0001f469\u200d\U0001f4bb\ufe0f", "\u4eca\u65e5 \u0645", "\U0001f3f4\U000e0067\U000e007f", "a b [x]"]
)
def test_harmless_texts_are_not_changed(text):
    assert visible(text) == text


def test_line_breaks_are_kept_where_asked():
    assert visible("a\nb") == "a\u240ab" and visible("a\nb", breaks=True) == "a\u240a\nb"


def test_a_long_text_is_paged_and_the_cursor_is_followed():
    words = [f"word{n}" for n in range(400)]
    session = session_of(" ".join(words), "short")
    seen: set[str] = set()
    for _ in range(40):
        seen |= set(re.findall(r"word\d+", plain(drawn(session, 40, 14))))
        session.press(" ")
    assert seen == set(words) and "short" in drawn(session, 40, 14), "the end, however often space is pressed"
    session.press("pageup")
    drawn(session, 40, 14)
    session.press("pageup")
    assert "short" not in drawn(session, 40, 14)
    session.press("p")
    assert "word399" in drawn(session, 40, 14) and "word0 " not in drawn(session, 40, 14)
    session.press("home")
    assert "ord0 " in drawn(session, 40, 14)


def test_a_long_post_hides_no_reply_and_space_shows_the_rest():
    words = " ".join(f"word{n}" for n in range(400))
    session = session_of(words, "the reply")
    shown = plain(drawn(session, 80, 24))
    assert "the reply" in shown and "undecided" in shown and re.search(r"word0 .*\u2026 \d+ more lines: space", shown, re.DOTALL)
    assert len(shown.split("\n")) == 24
    session.press(" ")
    shown = plain(drawn(session, 80, 24))
    assert "word0 " in shown and "the reply" not in shown and re.search(r"lines 1\u2013\d+ of \d+: space, PgUp", shown)
    session.press("pageup")
    assert "the reply" in plain(drawn(session, 80, 24))
    # a long reply leaves room for the post, and both are cut where both are long
    shown = plain(drawn(session_of("the post", words), 80, 24))
    assert "the post" in shown and "word0 " in shown and shown.count("more lines: space") == 1
    shown = plain(drawn(session_of(words, words), 80, 24))
    assert shown.count("word0 ") == 2 and shown.count("more lines: space") == 2


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 16), (60, 20), (120, 40)])
def test_the_reasons_are_in_sight_however_long_the_texts(width, height):
    session = session_of("post " * 400, "reply " * 300)
    session.press("r")
    shown = plain(drawn(session, width, height))
    assert all(re.search(rf"^ +{key}  {what[:20]}", shown, re.MULTILINE) for key, _, what in session.reasons())
    assert ("post post" in shown) == (height >= 24)


def test_keys_are_not_parted_between_lines():
    for width in (40, 60, 80, 100):
        lines = [line.strip() for line in plain(drawn(session_of("a", "b"), width, 24)).split("\n")]
        items = [item for line in lines[lines.index("") + 1 :] for item in line.split("  ") if item]
        assert [item for item in FOOTER if item not in items] == []
