"""Synthetic results: as dicts, and as a workspace with a manuscript of one page."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from polychromic.base import paths
from polychromic.base.io import write_json
from polychromic.report.results import Compare
from tests.report.synthetic import METRICS, make_benchmarks, make_compare, make_designs, make_people, make_test, parsed

MAIN = r"""\documentclass{article}
\usepackage{array,booktabs,longtable,graphicx,hyperref}
\newcommand{\definenumber}[2]{\expandafter\gdef\csname num/\detokenize{#1}\endcsname{#2}}
\newcommand{\num}[1]{\ifcsname num/\detokenize{#1}\endcsname\csname num/\detokenize{#1}\endcsname
  \else\PackageError{polychromic}{The number '\detokenize{#1}' is undefined}{}\fi}
\input{numbers}
\InputIfFileExists{recordshash}{}{}
\pdfsuppressptexinfo=-1 \pdftrailerid{polychromic}
\begin{document}
\title{Records \texttt{\recordshash}}\maketitle
Of \num{listqa.n_prompts} prompts (\num{listqa.primary.delta}) \num{listqa.lora.pass@1} % \num{key} in a comment
see \num{setup.lambda}, \cite{hu2022lora}.
\input{tables/designs}
\bibliographystyle{plain}\bibliography{refs}
\end{document}
"""
REFS = "@misc{hu2022lora, author={Hu}, title={LoRA}, year={2022}}\n"


@pytest.fixture
def compares() -> dict[str, dict]:
    """domain -> compare.json of dev as a dict, for each test to change."""
    return {domain: make_compare(domain) for domain in METRICS}


@pytest.fixture
def tested() -> dict[str, dict]:
    """domain -> compare.json of test as a dict."""
    return {domain: make_test(domain) for domain in METRICS}


@pytest.fixture
def compare(compares: dict) -> Compare:
    return parsed(compares["listqa"])


@pytest.fixture
def on_test(tested: dict) -> Compare:
    return parsed(tested["listqa"])


@pytest.fixture
def workspace(tmp_path: Path, compares, tested, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, and the current one, with results/ of all domains, benchmarks/results/ and paper/main.tex, which prints four records."""
    root = tmp_path / "workspace"
    root.mkdir()
    monkeypatch.chdir(root)
    for domain in METRICS:
        write_json(paths.compare_file(domain, "dev"), compares[domain])
        write_json(paths.compare_file(domain, "test"), tested[domain])
        write_json(f"benchmarks/results/step_cost-{domain}.json", make_benchmarks()["step_cost-listqa.json"] | {"domain": domain})
    write_json(paths.compare_file("replies", "calibration"), make_people())
    for name, document in (make_benchmarks() | {"calibration.json": make_designs(), "audit.json": {"cells": [], "population": 57}}).items():
        write_json(f"benchmarks/results/{name}", document)
    Path("paper").mkdir()
    Path("paper/main.tex").write_text(MAIN)
    Path("paper/refs.bib").write_text(REFS)
    return root


@pytest.fixture
def needs_latex() -> None:
    if shutil.which("latexmk") is None:
        pytest.skip("LaTeX is not installed")
