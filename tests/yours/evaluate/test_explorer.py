"""The page of one's own replies: what it shows of files that have marks, temperatures, neither, or two minds about a text."""

from __future__ import annotations

import json
import re

import pytest

from polychromic.yours.evaluate import explorer
from tests.yours.evaluate.conftest import GOOD, evaluate, read, write


def shown(out) -> dict:  # noqa: ANN001
    (data,) = re.findall(r'id="data">(.*?)</script>', (out / "explore.html").read_text(), flags=re.DOTALL)
    (view,) = json.loads(data)["views"]
    return view


def drafts(view: dict, prompt: int, row: int) -> list[tuple[str, str]]:
    one = view["prompts"][prompt]
    return [(one["texts"][place], one["valid"][place]) for place in one["rows"][row][1]]


def test_replies_marks_numbers_and_their_origin(two, tmp_path):
    assert evaluate(*two, out=tmp_path / "out").exit_code == 0
    view, document = shown(tmp_path / "out"), json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert [point["name"] for point in view["points"]] == ["one", "best"]
    assert (view["quality"], view["primary"]) == ("pass@1", "valid_distinct@3")
    found = document["systems"][0]["metrics"]["pass@1"]
    assert view["points"][0]["values"]["pass@1"] == [found["mean"], found["low"], found["high"]]
    assert view["metrics"]["pass@1"]["source"] == document["signatures"]["pass@1"]
    assert view["points"][0]["passed"] == [0, 0, 1, 1] and view["n"] == 4
    assert drafts(view, 0, 0) == [("Red.", "1"), ("red", "1"), ("blue", "1"), ("stone", "0")]
    groups = view["prompts"][0]["group"]
    assert groups[0] == groups[1] != groups[2], "Red. and red are one answer"
    assert set(view["origin"]["data"]) == {"one.jsonl", "best.jsonl"} and view["origin"]["stage"] is None
    assert str(tmp_path) not in (tmp_path / "out" / "explore.html").read_text(), "no path of this machine"


def test_temperatures_are_points_and_a_name_in_braces_is_a_name(two, tmp_path):
    name = "</script>{{ 1 }}"
    warm = write(tmp_path / "warm.jsonl", *(row | {"temperature": t, "system": name} for t in (1.0, 0.5) for row in read(two[0])))
    assert evaluate(warm, out=tmp_path / "out").exit_code == 0
    view = shown(tmp_path / "out")
    assert sorted((point["label"], point["t"]) for point in view["points"]) == [(name, 0.5), (name, 1.0)]
    assert all(len(one["rows"]) == 2 for one in view["prompts"])


def test_without_marks_nothing_is_valid_or_wrong_and_two_minds_are_both_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bare = write(tmp_path / "bare.jsonl", {key: GOOD[key] for key in ("id", "prompt", "samples")})
    assert evaluate(bare, out=tmp_path / "bare").exit_code == 0
    view = shown(tmp_path / "bare")
    assert drafts(view, 0, 0)[0] == ("Red.", "") and view["points"][0]["passed"] is None and view["how"]["valid"] == ""
    torn = write(tmp_path / "torn.jsonl", GOOD | {"samples": ["red", "red"], "valid": [True, False]})
    assert evaluate(torn, out=tmp_path / "torn").exit_code == 0
    assert drafts(shown(tmp_path / "torn"), 0, 0) == [("red", "1"), ("red", "0")]


@pytest.mark.parametrize(
    ("names", "axes"),
    [
        (["pass@1", "pass@3", "valid_distinct@3", "valid_distinct@5", "distinct@5"], ("pass@1", "valid_distinct@5")),
        (["distinct@3", "semantic_diversity", "chrf"], ("chrf", "distinct@3")),
        (["semantic_diversity", "words"], ("semantic_diversity", "words")),
        (["words"], ("words", "words")),
    ],
)
def test_the_axes_are_of_what_there_is(names, axes):
    assert explorer.axes(names) == axes
