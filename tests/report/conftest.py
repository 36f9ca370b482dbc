"""Synthetic results: as dicts, and as a workspace with a manuscript of one page."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from polychromic.base import paths
from polychromic.base.io import write_json
from polychromic.report.results import Compare
from tests.report.synthetic import DOMAINS, REPOSITORY, make, make_benchmarks, make_designs, make_drafts, make_opening, make_people, parsed

MAIN = r"""\documentclass{article}
\usepackage{array,booktabs,longtable,graphicx,hyperref,numbers}
\input{numbers}
\InputIfFileExists{recordshash}{}{}
\pdfsuppressptexinfo=-1 \pdftrailerid{polychromic}
\begin{document}
\title{Records \texttt{\recordshash}}\maketitle
Of \num{listqa.dev.n_prompts} prompts (\num{listqa.dev.front.polychromic.lora.gap}) \num{listqa.dev.lora.pass@1}, which is
\assertnum{listqa.dev.front.polychromic.lora.gap}{higher than}{0}\assertnum*{listqa.dev.lora.pass@1}{at least}{40} % \num{key} in a comment
see \num{setup.lambda}, \cite{hu2022lora}.
\input{tables/designs}
\bibliographystyle{plain}\bibliography{refs}
\end{document}
"""
REFS = "@misc{hu2022lora, author={Hu}, title={LoRA}, year={2022}}\n"


@pytest.fixture
def compare() -> Compare:
    return parsed(make("listqa"))


@pytest.fixture
def on_test() -> Compare:
    return parsed(make("listqa", "test"))


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, and the current one, with results/ of all domains, benchmarks/results/ and paper/main.tex, which prints four records and
    claims two things."""
    root = tmp_path / "workspace"
    root.mkdir()
    monkeypatch.chdir(root)
    for domain in DOMAINS:
        for split in ("dev", "test"):
            write_json(paths.compare_file(domain, split), make(domain, split))
            write_json(paths.drafts_file(domain, split), make_drafts(split))
    write_json(paths.compare_file("replies", "calibration"), make_people())
    made = make_benchmarks() | {"fronts.json": make_designs(), "first_opening.json": make_opening()}
    made |= {"audit.json": {"cells": [], "population": 57}}
    for name, document in made.items():
        write_json(f"benchmarks/results/{name}", document)
    Path("paper").mkdir()
    Path("paper/main.tex").write_text(MAIN)
    shutil.copy(REPOSITORY / "paper" / "numbers.sty", "paper")
    Path("paper/refs.bib").write_text(REFS)
    return root


@pytest.fixture
def needs_latex() -> None:
    if shutil.which("latexmk") is None:
        pytest.skip("LaTeX is not installed")
