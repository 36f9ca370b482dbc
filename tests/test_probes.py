"""What models are asked once: cached by everything that was asked, in whatever order."""

from __future__ import annotations

import numpy as np
import pytest

from polychromic import probes
from polychromic.probes import Pieces, bertscores, likelihoods
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


@pytest.mark.usefixtures("workspace")
def test_pieces_are_the_encoder_s_without_marks():
    pieces = Pieces(small_params())
    first, again, empty = pieces(["red cat", "red cat", ""])
    assert first == again and len(first) >= 2 and empty == []
    assert pieces.vocabulary > max(first)
    assert np.unique(first).size > 1
