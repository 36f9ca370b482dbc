"""Lines of any JSON, to the commands that read anybody's: a result or one message, and nothing that a terminal obeys."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from polychromic.cli import app as cli
from polychromic.yours.curate.rules import DEFAULT

LEAVES = st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=8)
LEAVES |= st.sampled_from(["\ud800", "a\nb", "=1", "[x]", "[/x]", "red", "\x1b[2J", "\x9b", "\u202e"])
NESTED = lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
VALUES = st.recursive(LEAVES, NESTED, max_leaves=6)
EVERY = settings(max_examples=int(os.environ.get("FUZZ", "30")), suppress_health_check=[HealthCheck.function_scoped_fixture])


def often(value: object) -> st.SearchStrategy:
    return st.just(value) | st.just(value) | st.just(value) | VALUES


ROWS = st.fixed_dictionaries(
    {key: often(value) for key, value in {"id": "a", "prompt": "p", "samples": ["red", "blue"], "valid": ["red"]}.items()},
    optional=dict.fromkeys(("system", "temperature", "seed", "references", "x"), VALUES),
)
POSTS = st.fixed_dictionaries(
    {"post": often("What do you think?"), "reply": often("I like it a lot")},
    optional=dict.fromkeys(("id", "author", "engagement", "created", "post_id", "source", "x"), VALUES),
)
RULES = YAML(typ="safe").load(DEFAULT)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))

    def call(line: str) -> None:
        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "argv", ["polychromic", *line.split()])
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as stop:
            cli.main()
        shown = out.getvalue() + err.getvalue()
        assert (stop.value.code or 0) in (0, 1, 2) and "the command stopped" not in shown and "Traceback" not in shown, shown
        assert err.getvalue().count("error: ") == bool(stop.value.code), shown
        assert all(c == "\n" or ord(c) >= 32 and not 127 <= ord(c) < 160 and c != "\u202e" for c in shown), shown

    return call


def write(name: str, rows: list[dict]) -> None:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))


@EVERY
@given(rows=st.lists(ROWS, min_size=1, max_size=3))
def test_rows_of_replies(run, rows):
    write("rows.jsonl", rows)
    run("evaluate --samples rows.jsonl --no-encoder --bootstrap 200 --metrics words,distinct@1")
    run("samples rows.jsonl")


@EVERY
@given(rows=st.lists(POSTS, min_size=1, max_size=3))
def test_lines_of_posts(run, rows):
    write("raw.jsonl", rows)
    run("curate raw.jsonl --out candidates")
    shutil.rmtree("log", ignore_errors=True)
    run("collect file raw.jsonl --keep-authors --out log")


@EVERY
@given(key=st.sampled_from(sorted(RULES)), value=VALUES)
def test_values_of_rules(run, key, value):
    Path("rules.yaml").write_text(json.dumps(RULES | {key: value}))
    write("raw.jsonl", [{"post": "What do you think?", "reply": "I like it a lot"}])
    run("curate raw.jsonl --out candidates --rules rules.yaml")
