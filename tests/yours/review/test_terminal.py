"""What is drawn: texts as they are, nothing that a terminal would obey; keys as terminals send them; the program in a pseudo-terminal."""

from __future__ import annotations

import asyncio
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from polychromic.yours.review.log import Action, log_path, read_log
from polychromic.yours.review.results import accepted
from polychromic.yours.review.terminal import application, draw
from tests.yours.review.bench import Bench, Terminal, candidate, write_candidates

HOSTILE = "a\x1b]0;title\x07b\x1b[2Jc\x9b31md\u202egnp.exe\u2066x\ufeffz\x00\r\x7f\x08 [red]stop[/red] [/]"
SHOWN = "a\u241b]0;title\u2407b\u241b[2Jc<U+009B>31md<U+202E>gnp.exe<U+2066>x<U+FEFF>z\u2400\u240d\u2421\u2408 [red]stop[/red] [/]"


def drawn(bench: Bench, width: int = 80, height: int = 24) -> str:
    return "\n".join(text for _, text in draw(bench.session, width, height))


def harmless(c: str) -> bool:
    """A terminal only puts it on the screen: printable, a blank, a joiner, or a tag of a flag."""
    return c.isprintable() or unicodedata.category(c) == "Zs" or c in "\u200c\u200d" or 0xE0020 <= ord(c) <= 0xE007F


def test_the_pair_the_progress_and_the_keys_are_seen(tmp_path):
    bench = Bench(tmp_path, 4)
    bench.keys("ar1e")
    bench.session.answer("better")
    for part in ("3 of 4 reviewed", "2 accepted (1 edited)", "1 rejected", "post 3", "reply 3", "undecided", "4 of 4", "a accept"):
        assert part in drawn(bench), part
    bench.keys("b")
    assert "accepted, edited" in drawn(bench) and "better" in drawn(bench)
    bench.keys("b")
    assert "rejected: the reply does not answer the post" in drawn(bench)
    bench.keys("f")
    bench.session.answer("zzz")
    assert "No candidate passes the filter" in drawn(bench)


@given(st.text(min_size=1).filter(str.strip), st.integers(20, 120), st.integers(4, 40))
@settings(max_examples=60, deadline=None)
def test_no_text_breaks_out_and_the_screen_is_full_and_no_fuller(tmp_path_factory, text, width, height):
    bench = Bench(tmp_path_factory.mktemp("text"), 1, text, text[::-1])
    for keys in ("", "r", "9"):
        bench.keys(keys)
        lines = drawn(bench, width, height).split("\n")
        assert len(lines) == height and all(harmless(c) for line in lines for c in line)


def test_long_texts_are_paged_and_neither_hides_the_other(tmp_path):
    words = [f"word{n}" for n in range(400)]
    for texts in ((" ".join(words), "short"), ("short", " ".join(words)), (" ".join(words), " ".join(words))):
        bench, seen = Bench(tmp_path, 1, *texts), set()
        (tmp_path / "review-anna.jsonl").unlink()
        first = drawn(bench)
        assert "undecided" in first and re.search(r"\u2026 lines 1\u2013\d+ of \d+: space, PgUp", first)
        for _ in range(40):
            seen |= set(re.findall(r"word\d+", drawn(bench)))
            assert ("short" in drawn(bench)) == ("short" in texts)
            bench.keys(" ")
        assert seen == set(words)
        bench.session.page = 0
        bench.keys(" ")
        bench.session.press("pageup")
        assert drawn(bench) == first


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 18), (60, 20)])
def test_the_reasons_are_in_sight_however_long_the_texts(width, height, tmp_path):
    bench = Bench(tmp_path, 1, "post " * 400, "reply " * 300)
    bench.keys("r")
    shown = drawn(bench, width, height)
    assert all(re.search(rf"^ +{key}  {what}$", shown, re.MULTILINE) for key, (what, _) in bench.session.reasons.items())
    assert ("post post" in shown and "reply reply" in shown) == (height >= 24)


class Output(DummyOutput):
    def get_size(self) -> Size:
        return Size(rows=24, columns=80)


def play(bench: Bench, *keys: str, editor_leaves: str = "") -> list[str]:
    """Send keys as a terminal does; the screen after each. Before the last, wait for an editor to leave this text."""
    screens = []

    async def run(pipe) -> None:
        app = application(bench.session)
        running = asyncio.ensure_future(app.run_async())
        for sent in keys:
            while sent == keys[-1] and editor_leaves and app.current_buffer.text != editor_leaves:
                await asyncio.sleep(0.02)
            pipe.send_text(sent)
            await asyncio.sleep(0.15)
            screen = app.renderer.last_rendered_screen
            rows = (screen.data_buffer[row] for row in range(24))
            screens.append("\n".join("".join(row[column].char for column in range(80)).rstrip() for row in rows))
        pipe.send_text("\x1b")
        await asyncio.sleep(0.15)
        pipe.send_text("q")
        await running

    with create_pipe_input() as pipe, create_app_session(input=pipe, output=Output()):
        asyncio.run(run(pipe))
    return screens


def test_hostile_texts_are_shown_where_they_are_read_and_edited(tmp_path):
    screens = play(Bench(tmp_path, 1, HOSTILE, "x\u202e"), "n", "p", "\x01", "\x1b", "f", "\x1b[200~\x1b[2J\u202e\x1b[201~")
    assert all(harmless(c) or c == "\n" for screen in screens for c in screen)
    first, second, *_, last = ("".join(screen.split()) for screen in screens)
    shown = "".join(SHOWN.split())
    assert shown in first and second.count(shown) == 2 and "text;empty:all):\u241b[2J<U+202E>" in last


@pytest.mark.parametrize(
    ("sent", "acts", "at"),
    [
        (["ar4r9too odd\r"], {0: "accept", 1: "reject", 2: "reject"}, 3),
        (["e!\r", "p\x15new words\r"], {0: "edit", 1: "edit"}, 2),
        (["\x1b[C\x1b[B", "\x1b[D", "a"], {1: "accept"}, 2),
        (["\x1b[200~aaa\nq\x1b[201~", "\x1b[6~", "\x1b[1;5C", "a"], {0: "accept"}, 1),
        (["e", "\x1b[200~ and\nmore \x1b[201~", "\r"], {0: "edit"}, 1),
        (["eno", "\x1b", "r", "\x1b", "a"], {0: "accept"}, 1),
        (["e\x03", "r\x03"], {}, 0),
    ],
)
def test_keys_as_terminals_send_them(sent, acts, at, tmp_path):
    bench = Bench(tmp_path)
    play(bench, *sent)
    assert bench.acts == acts and bench.at == at and bench.session.over
    if "\x15" in "".join(sent):
        assert bench.log.texts("replies-000") == ("post 0", "reply 0!") and bench.log.texts("replies-001") == ("new words", "reply 1")
    if acts == {0: "edit"}:
        assert bench.log.texts("replies-000") == ("post 0", "reply 0 and more")


def test_a_line_is_edited_in_another_program(tmp_path, monkeypatch):
    program = tmp_path / "my editor.sh"
    program.write_text('#!/bin/sh\nsed -i s/reply/answer/ "$2"\n')
    program.chmod(0o755)
    monkeypatch.setenv("VISUAL", f"'{program}' -x")
    bench = Bench(tmp_path)
    play(bench, "e\x0f", "\r", editor_leaves="answer 0")
    assert bench.log.texts("replies-000") == ("post 0", "answer 0")


def test_decide_quit_go_on_kill_in_a_pseudo_terminal(tmp_path):
    candidates = write_candidates(tmp_path, candidate(0, HOSTILE, "caf\u00e9 \U0001f469\u200d\U0001f4bb"), *map(candidate, range(1, 5)))
    command = ["review", ".", "--reviewer", "anna"]
    with Terminal(tmp_path, *command) as first:
        first.until(SHOWN[:20])
        first.press("ar1sar9too odd\rq")
        first.until("4 of 5 reviewed: 2 accepted (0 edited), 2 rejected, 1 undecided.")
        assert first.process.wait() == 0 and first.same_settings(), "the terminal is as it was"
        assert first.output.rfind("\x1b[?1049l") > first.output.rfind("\x1b[?1049h") > -1
        assert not any(raw in first.output for raw in ("\x1b]0;", "\u202e", "\x9b", "\u2066", "\x00"))
    with Terminal(tmp_path, *command) as second:
        second.until("4 of 5 reviewed")
        second.press("uu")
        second.until("undone: accept")
        second.press("ae")
        second.until("reply:")
        second.process.kill()  # what was decided is on the disk
    found = read_log(log_path(tmp_path, "anna"), candidates)
    assert found.last == Action("accept", "replies-003") and [record.id for record in accepted(found)] == ["replies-000", "replies-003"]
