"""What --out holds: tables, figures, documents, and replies that can be compared again."""

from __future__ import annotations

import csv
import json
import resource
import shutil
import subprocess

import pytest

from polychromic import __version__
from polychromic.report import figures
from polychromic.report.tables import row, tabular
from polychromic.yours.evaluate import plots
from tests.yours.evaluate.conftest import compare, evaluate, invoke, read, write


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


NAMES = ("=1+1", "+x", "-x", "@x", "[/x]", "[0.3em]", "*", "\u202ex", "a$b_c%d&e#f{g}~^\\", "\u4e2d\u6587")


@pytest.mark.parametrize("name", NAMES)
def test_names_of_systems_are_texts_in_tables_cells_rows_and_figures(name, two, tmp_path):
    for path, system in zip(two, (name, "other"), strict=True):
        write(path, *(one | {"system": system} for one in read(path)))
    for run in (evaluate(*two, more="--bootstrap 200", out=tmp_path / "out"), compare(*two, more=f"--bootstrap 200 --out {tmp_path}/c")):
        assert run.exit_code == 0, run.exception
    assert "[/x]" not in name or "[/x]" in evaluate(*two, more="--bootstrap 200").stdout
    first = next(csv.DictReader((tmp_path / "out" / "table.csv").open()))
    assert first["system"] == ("'" * name.startswith(("=", "+", "-", "@")) + name) and float(first["mean"]) == 0.625
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert document["systems"][0]["system"] == name, "a document is data, and has no formulas"
    if shutil.which("pdflatex"):
        body = "".join(f"{(tmp_path / file).read_text()}\n\n" for file in ("out/table.tex", "c/contrasts.tex"))
        head = r"\documentclass{article}\usepackage{booktabs,xcolor}\usepackage[T1]{fontenc}\begin{document}"
        (tmp_path / "all.tex").write_text(head + body + r"\end{document}")
        done = subprocess.run(["pdflatex", "-halt-on-error", "-interaction=batchmode", "all.tex"], cwd=tmp_path, capture_output=True)
        assert done.returncode == 0, (tmp_path / "all.log").read_text()[-1500:]


def test_a_row_that_would_be_an_argument_of_the_line_before_is_guarded():
    assert [row([cell, "x"]) for cell in ("[a]", "*", "a", "", r"\textbf{[a]}")] == [
        r"{}[a] & x \\", r"{}* & x \\", r"a & x \\", r" & x \\", r"\textbf{[a]} & x \\"
    ]  # fmt: skip
    assert "{}[a]" in tabular("l", [row(["[a]"])])


@pytest.mark.parametrize("size", [1, 300, 2000, 9000])
def test_a_full_disk_leaves_no_file_of_an_evaluation(size, two, tmp_path):
    """The limit on a file's size stands for the disk: the same short write and the same kind of error."""
    assert evaluate(*two, more="--bootstrap 200", out=tmp_path / "old").exit_code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()}
    assert max(map(len, before.values())) > 9000
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        failed = [evaluate(*two, more="--bootstrap 300", out=tmp_path / name) for name in ("new", "old")]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert all(isinstance(one.exception, OSError) and one.exception.filename.startswith(str(tmp_path)) for one in failed)
    assert not (tmp_path / "new").exists() and {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()} == before


def test_replies_are_shown_and_never_obeyed(two):
    hostile = "\x1b]0;t\x07\x1b[2J\x9b31m\u202egnp [red]x[/] [/y]\nsecond line"
    write(two[0], *(one | {"id": f"[/x]\x1b[2J{i}", "prompt": hostile, "samples": [hostile, ""]} | {"valid": [True, False]}
                    for i, one in enumerate(read(two[0]))))  # fmt: skip
    shown = invoke("samples", two[0]).stdout
    assert not set(shown) & {"\x1b", "\x9b", "\x07", "\u202e"} and "(empty)" in shown
    assert "[red]x[/] [/y]" in shown and "[/x]\u241b[2J0" in shown
