"""`polychromic compare` of files and folders: verdicts that survive many tests, and what is written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from tests.oneoff.test_evaluate import invoke, many
from tests.oneoff.test_inputs import write

from polychromic.base.errors import UsageError
from polychromic.cli.yours import are_replies, compare_files
from polychromic.compare.families import holm
from polychromic.yours.evaluate.evaluate import verdict


def test_compare_tests_every_pair(two):
    result = invoke("compare", *two, "--no-encoder", "--metrics", "pass@1,valid_distinct@2", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    rows = document["contrasts"]
    assert [(r["a"], r["b"], r["metric"]) for r in rows] == [("one", "best", "pass@1"), ("one", "best", "valid_distinct@2")]
    assert rows[0]["delta"] == pytest.approx(-1 / 8) and rows[0]["permutation_exact"] and rows[0]["n_prompts"] == 2
    assert document["prompts"] == ["a", "b"] and rows[0]["differences"] == pytest.approx([-1 / 4, 0])
    assert document["signatures"]["pass@1"] == rows[0]["signature"] and "|n:4|" in rows[0]["signature"]


def test_an_interval_without_zero_is_no_verdict_for_two_prompts(tmp_path):
    files = many(tmp_path / "a.jsonl", 2, 1), many(tmp_path / "b.jsonl", 2, 3)
    result = invoke("compare", *files, "--no-encoder", "--metrics", "pass@1,words", "--json")
    document = json.loads(result.stdout)
    row = document["contrasts"][0]
    assert row["high"] < 0 and row["p_permutation"] == 0.5 and row["p_holm"] == 1
    assert (row["distinguishable"], row["higher"], row["better"]) == (False, None, None)
    assert "2 prompts cannot tell any difference apart: over 2 tests, 7 prompts are the least" in result.stderr
    shown = invoke("compare", *files, "--no-encoder", "--metrics", "pass@1").stdout
    assert "distinguish" in shown and "is better" not in shown


def test_a_verdict_survives_holm_over_all_metrics_and_pairs(tmp_path):
    files = [many(tmp_path / f"{name}.jsonl", 8, right) for name, right in (("low", 0), ("high", 2), ("same", 2))]
    document = json.loads(invoke("compare", *files, "--no-encoder", "--metrics", "pass@1,words", "--json").stdout)
    rows, how = document["contrasts"], document["adjustment"]
    assert (how["method"], how["tests"], how["over"]) == ("Holm", 6, "2 metrics x 3 pairs")
    expected = holm([row["p_permutation"] for row in rows])
    assert [row["p_holm"] for row in rows] == pytest.approx(list(expected))
    by_pair = {(row["a"], row["b"]): row for row in rows if row["metric"] == "pass@1"}
    # 2 of 2^8 sign patterns are as extreme: p = 1/128, of six tests 6/128 = .047
    assert by_pair["low", "high"]["p_permutation"] == 1 / 128 and by_pair["low", "high"]["p_holm"] == pytest.approx(6 / 128)
    assert by_pair["low", "high"]["better"] == "high" and by_pair["high", "same"]["better"] is None
    few = json.loads(invoke("compare", *files, "--no-encoder", "--metrics", "pass@1,words,distinct@2", "--json").stdout)["contrasts"]
    pair = next(row for row in few if (row["a"], row["b"], row["metric"]) == ("low", "high", "pass@1"))
    assert pair["p_permutation"] == 1 / 128 and not pair["distinguishable"], "9 / 128 = .07: three metrics are too many for 8 prompts"


@pytest.mark.parametrize(
    ("name", "low", "high", "p", "expected"),
    [
        ("pass@1", 0.1, 0.2, 0.01, (True, "a", "a")),
        ("self_bleu", 0.1, 0.2, 0.01, (True, "a", "b")),
        ("words", -2.0, -1.0, 0.01, (True, "b", None)),
        ("pass@1", 0.1, 0.2, 0.05, (False, None, None)),
        ("pass@1", -0.1, 0.2, 0.01, (False, None, None)),
    ],
)
def test_verdict(name, low, high, p, expected):
    assert tuple(verdict(name, "a", "b", low, high, p).values()) == expected


def test_the_terminal_says_which_adjustment(two, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    said = " ".join(invoke("compare", *two, "--no-encoder", "--metrics", "pass@1,words").stdout.split())
    assert "adjusted by Holm over all 2 tests shown (2 metrics x 1 pairs)" in said and "not distinguishable" in said


def test_compare_needs_two(two):
    result = invoke("compare", two[0])
    assert isinstance(result.exception, UsageError) and "has one system, 'one'" in str(result.exception)


def test_folders_of_evaluations_are_compared_by_their_replies(two, tmp_path):
    names = {"one": {"system": "model/1", "temperature": 0.5}, "best": {"system": "model/1", "temperature": 0.5}}
    for path in two:
        rows = [json.loads(line) | names[path.stem] for line in path.read_text().splitlines()]
        write(path, *rows)
        assert invoke("evaluate", "--samples", path, "--no-encoder", "--out", tmp_path / f"run-{path.stem}").exit_code == 0
    assert (tmp_path / "run-one" / "samples-model-1.jsonl").exists()
    result = invoke("compare", tmp_path / "run-one", tmp_path / "run-best", "--no-encoder", "--metrics", "pass@1", "--json")
    (row,) = json.loads(result.stdout)["contrasts"]
    assert (row["a"], row["b"], row["delta"]) == ("run-one/model/1", "run-best/model/1", pytest.approx(-1 / 8))
    missing = invoke("compare", tmp_path / "run-one", tmp_path / "nosuch.jsonl")
    assert "nosuch.jsonl: no such file or folder" in str(missing.exception)


def test_what_is_compared_is_a_file_where_it_looks_like_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert are_replies(["nosuch.jsonl"]) and are_replies(["runs/mine"]) and are_replies(["listqa", "replies"])
    assert not are_replies(["listqa"])
    (tmp_path / "mine").mkdir()
    (tmp_path / "listqa").mkdir()
    (tmp_path / "mine" / "evaluation.json").write_text("{}")
    assert are_replies(["mine"]) and not are_replies(["listqa"])


def test_a_comparison_is_written_as_tables_and_figures(two, tmp_path):
    out = tmp_path / "out"
    compare_files(two, "pass@1,words", None, True, False, 0, 500, True, out)
    names = {f"{stem}{end}" for stem in ("forest", "differences") for end in (".pdf", ".svg")}
    assert {path.name for path in out.iterdir()} == names | {"comparison.json", "contrasts.csv", "contrasts.tex"}
    lines = list(csv.DictReader((out / "contrasts.csv").open()))
    assert (
        lines[0]["verdict"] == "not distinguishable" and lines[0]["signature"].startswith("pass@1|") and float(lines[0]["delta"]) == -0.125
    )
    tex = (out / "contrasts.tex").read_text()
    assert tex.startswith("% written by `polychromic compare`\n") and "adjusted by Holm over all 2 tests" in tex and r"\toprule" in tex
    with pytest.raises(UsageError, match="lies in results/"):
        compare_files(two, None, None, True, False, 0, 500, False, Path("results/mine"))


def test_options_of_the_other_use_are_refused(tmp_path):
    files = many(tmp_path / "a.jsonl", 2, 1), many(tmp_path / "b.jsonl", 2, 3)
    for arguments, said in (
        (["listqa", "--seed", "0", "--json"], "compare of a domain makes no use of --seed, --json. Allowed: --params"),
        ([*files, "--params", "params.yaml"], "compare of files makes no use of --params."),
    ):
        result = invoke("compare", *arguments)
        assert isinstance(result.exception, UsageError) and said in str(result.exception)
