"""What models are asked once: each reply by itself, whatever else is asked, in whatever order, and however often a run is killed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from polychromic.score import probes
from polychromic.score.probes import Pieces, bertscores, likelihoods
from tests.workspace import make_models, small_params


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    make_models(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("workspace")
def test_likelihoods_are_asked_once_and_come_by_prompt_and_reply(monkeypatch):
    asked = {"b": ("Name a pear", ["red", "blue", "red"]), "a": ("Name a cat", ["red"])}
    found = likelihoods(small_params(), "listqa", asked)
    assert found.keys() == {("a", "red"), ("b", "blue"), ("b", "red")}
    assert found["a", "red"] != found["b", "red"], "the prompt counts"
    assert all(total < 0 and tokens >= 2 for total, tokens in found.values())
    monkeypatch.setattr(probes.neural, "log_likelihoods", None)  # a second call would fail
    assert likelihoods(small_params(), "listqa", dict(reversed(asked.items()))) == found


@pytest.mark.usefixtures("workspace")
def test_bertscores_are_asked_once(monkeypatch):
    asked = {"a": (["red", "blue"], ["red"]), "b": (["red"], ["green", "blue"])}
    found = bertscores(small_params(), asked)
    assert found.keys() == {("a", "blue"), ("a", "red"), ("b", "red")}
    assert found["a", "red"] == pytest.approx(1, abs=1e-6) and found["b", "red"] < found["a", "red"]
    monkeypatch.setattr(probes.neural, "bertscore_f1", None)
    assert bertscores(small_params(), asked) == found


PROMPTS = {"a": "Name a cat", "b": "Name a pear", "c": "Name a sea"}
FUNCTIONS = {"likelihood": "log_likelihoods", "bertscore": "bertscore_f1"}


def ask(kind: str, replies: dict[str, list[str]]) -> dict:
    if kind == "likelihood":
        return likelihoods(small_params(), "listqa", {name: (PROMPTS[name], texts) for name, texts in replies.items()})
    return bertscores(small_params(), {name: (texts, [f"red {name}", "blue"]) for name, texts in replies.items()})


def watch(kind: str, monkeypatch, fail_at: int = 99) -> list[list[str]]:
    """The texts of each call of the model; call number `fail_at` is a kill."""
    calls, real = [], getattr(probes.neural, FUNCTIONS[kind])
    place = {"likelihood": 3, "bertscore": 0}[kind]

    def watched(*arguments, **more):
        if len(calls) == fail_at:
            raise KeyboardInterrupt
        calls.append(list(arguments[place]))
        return real(*arguments, **more)

    monkeypatch.setattr(probes.neural, FUNCTIONS[kind], watched)
    return calls


def cached_files(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(cache.rglob("*")) if path.is_file()}


ALL = {"a": ["red cat", "blue", "", "\U0001f44d"], "b": ["red", "a long red pear of the sea"], "c": ["猫"]}


@pytest.fixture
def at_once(workspace, monkeypatch):
    """kind -> what a run that asks for everything gets, and the files that it leaves; in a cache of its own."""

    def run(kind: str) -> tuple[dict, dict[str, bytes]]:
        with monkeypatch.context() as patch:
            patch.setenv("POLYCHROMIC_CACHE", str(workspace / f"other-{kind}"))
            return ask(kind, ALL), cached_files(workspace / f"other-{kind}" / kind)

    return run


@pytest.mark.parametrize("kind", list(FUNCTIONS))
def test_a_new_cell_asks_for_what_is_new_and_changes_no_bit(kind, workspace, at_once, monkeypatch):
    wanted, files = at_once(kind)
    calls = watch(kind, monkeypatch)
    first = ask(kind, {"a": ["red cat", ""], "b": ["red"]})
    assert first.items() <= wanted.items() and calls == [["", "red cat"], ["red"]]
    calls.clear()
    assert ask(kind, ALL) == wanted
    assert calls == [["blue", "\U0001f44d"], ["a long red pear of the sea"], ["猫"]]
    assert cached_files(workspace / "cache" / kind) == files and len(files) == len(ALL), "a file per prompt"


@pytest.mark.parametrize("kind", list(FUNCTIONS))
def test_a_kill_loses_one_prompt_and_changes_no_bit(kind, workspace, at_once, monkeypatch):
    wanted, files = at_once(kind)
    with monkeypatch.context() as patch:
        watch(kind, patch, fail_at=1)
        with pytest.raises(KeyboardInterrupt):
            ask(kind, ALL)
    calls = watch(kind, monkeypatch)
    assert ask(kind, ALL) == wanted and len(calls) == 2, "the first prompt was kept"
    assert cached_files(workspace / "cache" / kind) == files


@pytest.mark.usefixtures("workspace")
def test_pieces_are_the_encoder_s_without_marks():
    pieces = Pieces(small_params())
    first, again, empty = pieces(["red cat", "red cat", ""])
    assert first == again and len(first) >= 2 and empty == []
    assert pieces.vocabulary > max(first)
    assert np.unique(first).size > 1
