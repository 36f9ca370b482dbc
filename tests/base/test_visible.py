"""The door to the terminal: whatever the text, and by whatever way it is shown, nothing of it is obeyed."""

from __future__ import annotations

import ast
import io
import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.panel import Panel
from rich.progress import Progress, TextColumn
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from polychromic.base.io import dumps
from polychromic.base.visible import FORMULAS, Terminal, cell, guarded, visible, visible_json, visible_lines
from tests.workspace import REPOSITORY

HOSTILE = "a\x1b]0;title\x07b\x1b[2Jc\x9b31md\u202egnp.exe\u2066x\ufeffz\x00\x7f\x08 [red]stop[/red] [/] [/x] :smile: [link=x]y[/link]"
TEXTS = st.text(alphabet=st.characters() | st.sampled_from("\x1b\x9b\x07\u202e\u2066\ud800[]/:\n"), max_size=40)


def obeyed(text: str) -> set[str]:
    """Characters that a terminal acts on, but for line feeds."""
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return {c for c in text if unicodedata.category(c) in kinds and c not in "\n\u200c\u200d" and not 0xE0020 <= ord(c) <= 0xE007F}


def drawn(*things: object, **about) -> str:  # noqa: ANN003
    terminal = Terminal(file=io.StringIO(), width=200, **about)
    terminal.print(*things)
    return terminal.file.getvalue()


@given(TEXTS)
def test_no_text_is_obeyed_or_lost(text):
    table = Table(text, title=text, caption=text)
    table.add_row(text)
    table.add_row(Text(text))
    for thing in (text, Text(text), table, Panel(text, title=Text(text)), Rule(Text(text))):
        assert obeyed(drawn(thing)) == set()
    assert obeyed(visible_lines(text)) == set() and "\n" not in visible(text)
    assert text.isprintable() is False or visible(text) == text


@given(st.dictionaries(TEXTS, TEXTS))
def test_json_keeps_its_values(document):
    shown = visible_json(dumps(document, indent=2))
    assert json.loads(shown) == document and obeyed(shown) == set()


def test_markup_is_text_and_colours_are_rich_s_own():
    shown = drawn(Text(HOSTILE, "bold"), "[bold]x[/bold]", force_terminal=True)
    assert "\x1b[1m" in shown and "[red]stop[/red] [/] [/x] :smile: [link=x]y[/link]" in shown and "[bold]x[/bold]" in shown
    assert "\u241b]0;titleb\u241b[2Jc<U+009B>31md<U+202E>gnp.exe" in shown, "of a Text, Rich itself drops the bell"


def test_what_is_printed_by_whatever_library_goes_through_the_guard(capsys):
    with guarded():
        print(HOSTILE)
        print(HOSTILE, file=sys.stderr)
        sys.stdout.writelines([HOSTILE, "\n"])
        sys.stdout.write("\rbar 3 of 4")
        with Progress(TextColumn("{task.description}", markup=False), console=Terminal(stderr=True)) as bar:
            bar.add_task(HOSTILE, total=1)
    out, err = capsys.readouterr()
    assert obeyed(err) == set() and obeyed(out) == {"\r"} and out.count("\r") == 1 and err.count("<U+202E>") == 2


def test_a_stream_that_cannot_spell_a_text_is_no_error(monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    with guarded():
        print("\x1b \u00e4 \ud800")
        sys.stdout.flush()
    assert narrow.buffer.getvalue() == b"\\u241b \\xe4 <U+D800>\n"


@given(TEXTS)
def test_no_cell_is_a_formula_and_numbers_stay(text):
    assert not cell(text).lstrip().startswith(FORMULAS) and cell(text).removeprefix("'") == text.removeprefix("'")
    assert [cell(value) for value in (-1, -0.5, None, True, "a=b", "")] == [-1, -0.5, None, True, "a=b", ""]
    formulas = ("=1", "+1", "-1", "@x", " =1", "\t=1", "\uff1d1")
    assert [cell(value) for value in formulas] == [f"'{value}" for value in formulas]


@pytest.mark.parametrize("name", ["rich.markup", "Console"])
def test_there_is_one_console_and_no_markup(name):
    """Whoever draws takes Terminal; `Console` stands elsewhere as a type alone."""
    for path in sorted((REPOSITORY / "polychromic").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            made = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
            imported = isinstance(node, ast.ImportFrom) and node.module == name
            assert not (made or imported), path
