"""What --out holds: tables, figures, documents, and replies that can be compared again."""

from __future__ import annotations

import csv
import json

import pytest

from polychromic import __version__
from polychromic.report import figures
from polychromic.yours.evaluate import plots
from tests.yours.evaluate.conftest import compare, evaluate, read, write


def test_files_and_figures_are_written_and_the_same_twice(two, tmp_path):
    out = tmp_path / "out"
    assert evaluate(*two, out=out).exit_code == 0
    names = {f"{stem}{end}" for stem in ("metrics", "passk", "quality-diversity") for end in (".pdf", ".svg")}
    names |= {"evaluation.json", "table.csv", "table.tex", "samples-one.jsonl", "samples-best.jsonl", "explore.html"}
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert before.keys() == names and evaluate(*two, out=out).exit_code == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    lines = (out / "table.csv").read_text().splitlines()
    assert lines[0] == "system,n_prompts,n_samples,metric,mean,low,high,signature" and lines[1].startswith("one,2,4,pass@1,0.625,")
    assert f"|n:4|polychromic:{__version__}" in lines[1] and "answer:NFC" in lines[1]
    tex = (out / "table.tex").read_text()
    assert r"\toprule" in tex and tex.startswith("% written by `polychromic evaluate`\n") and "polychromic report" not in tex
    assert plots.plain("a$b@T=0.5") == "a\\$b at T=0.5"


def test_a_comparison_is_written_as_tables_and_figures(two, tmp_path):
    out = tmp_path / "out"
    assert compare(*two, more=f"--metrics pass@1,words --bootstrap 500 --out {out}").exit_code == 0
    names = {f"{stem}{end}" for stem in ("forest", "differences") for end in (".pdf", ".svg")}
    assert {path.name for path in out.iterdir()} == names | {"comparison.json", "contrasts.csv", "contrasts.tex"}
    first = next(csv.DictReader((out / "contrasts.csv").open()))
    assert first["verdict"] == "not distinguishable" and first["signature"].startswith("pass@1|") and float(first["delta"]) == -0.125
    tex = (out / "contrasts.tex").read_text()
    assert tex.startswith("% written by `polychromic compare-files`\n") and "adjusted by Holm over all 2 tests" in tex
    assert r"\toprule" in tex


def test_the_temperatures_of_one_system_are_one_curve(two, tmp_path, monkeypatch):
    drawn, frontier = [], figures.frontier
    monkeypatch.setattr(figures, "frontier", lambda curves, *rest: (drawn.append(curves), frontier(curves, *rest))[1])
    warm = write(tmp_path / "warm.jsonl", *(row | {"temperature": t} for t in (1.0, 0.5) for row in read(two[0])))
    assert evaluate(warm, two[1], out=tmp_path / "out").exit_code == 0
    assert {name: [point.note for point in points] for name, points in drawn[0].items()} == {"warm": ["0.5", "1"], "best": [""]}


def test_folders_of_evaluations_are_compared_by_their_replies(two, tmp_path):
    for path in two:
        write(path, *(row | {"system": "a$b/1", "temperature": 0.5} for row in read(path)))  # "$": figures are drawn all the same
        assert evaluate(path, out=tmp_path / f"run-{path.stem}").exit_code == 0
    assert (tmp_path / "run-one" / "samples-a-b-1.jsonl").exists()
    (row,) = json.loads(compare(tmp_path / "run-one", tmp_path / "run-best", more="--metrics pass@1 --json").stdout)["contrasts"]
    assert (row["a"], row["b"], row["delta"]) == ("run-one/a$b/1", "run-best/a$b/1", pytest.approx(-1 / 8))


def test_an_evaluation_of_its_own_replies_leaves_them_as_they_are(two, tmp_path):
    kept = tmp_path / "run" / "samples-one.jsonl"
    assert evaluate(two[0], out=tmp_path / "run").exit_code == 0
    before = kept.stat().st_mtime_ns
    assert evaluate(kept, out=tmp_path / "run").exit_code == 0 and kept.stat().st_mtime_ns == before
    write(kept, *(row | {"system": "other"} for row in read(kept)))
    assert "holds samples-one.jsonl, which is not to be overwritten" in str(evaluate(two[0], kept, out=tmp_path / "run").exception)
