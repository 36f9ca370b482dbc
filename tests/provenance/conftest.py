"""A pipeline in miniature that DVC itself has run: cells, a comparison, a report, parameters; in Git, with its data in a cache."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from polychromic.pipeline.workspace import workspace_environment

PARAMS = """\
domains: [listqa]
lambda: 3.0
train: {learning_rate: 1e-05, schedule: on}
listqa: {steps: 4}
"""
PIPELINE = """\
stages:
  cell:
    matrix: {domain: "${domains}", method: [zero_shot, lora]}
    cmd: mkdir -p results/${item.domain}/${item.method} && cp polychromic/sample/cells.py results/${item.domain}/${item.method}/samples.jsonl.gz
    deps: [data/listqa.jsonl, polychromic/sample/cells.py]
    params: [train, "${item.domain}.steps"]
    outs: ["results/${item.domain}/${item.method}/samples.jsonl.gz"]
  poly:
    matrix: {domain: [listqa], lam: ["${lambda}", 0.3, 3.0]}
    cmd: >-
      mkdir -p results/${item.domain}/polychromic-${item.lam} &&
      echo ${item.lam} > results/${item.domain}/polychromic-${item.lam}/samples.jsonl.gz
    deps: [data/listqa.jsonl, polychromic/sample/cells.py]
    params: [train]
    outs: ["results/${item.domain}/polychromic-${item.lam}/samples.jsonl.gz"]
  compare:
    foreach: [listqa]
    do:
      cmd: cp made/compare.json results/${item}/compare.json
      deps:
        - results/${item}/zero_shot/samples.jsonl.gz
        - results/${item}/lora/samples.jsonl.gz
        - results/${item}/polychromic-0.3/samples.jsonl.gz
        - results/${item}/polychromic-${lambda}/samples.jsonl.gz
        - polychromic/compare/compare.py
      params: [lambda]
      outs: ["results/${item}/compare.json"]
  report:
    foreach: [listqa]
    do:
      cmd: mkdir -p paper/tables paper/figures paper/numbers && cp made/numbers.json.gz results/${item}/numbers.json.gz
        && cp made/${item}.tex paper/numbers/ && cp made/table.tex paper/tables/${item}-systems.tex
        && cp made/figure.pdf paper/figures/${item}-frontier.pdf
      deps: ["results/${item}/compare.json", benchmarks/results/cost.json, polychromic/report/build.py]
      outs:
        - results/${item}/numbers.json.gz
        - paper/numbers/${item}.tex: {cache: false}
        - paper/tables/${item}-systems.tex: {cache: false}
        - paper/figures/${item}-frontier.pdf: {cache: false}
  setup:
    cmd: mkdir -p results/setup && cp made/setup.json.gz results/setup/numbers.json.gz && cp made/setup.tex paper/numbers/
    deps: [polychromic/report/build.py, paper/tables/listqa-systems.tex]
    params: [params.yaml: ]
    outs: [results/setup/numbers.json.gz, paper/numbers/setup.tex: {cache: false}]
"""
MAIN = r"""\newcommand{\num}[1]{#1} % \num{not.this}
\input{numbers/listqa}
\begin{document}
\section{Results}
The score is \num{listqa.primary.delta} \num{listqa.primary.ci}, as Figure~\ref{fig:listqa-frontier} shows \citep{somebody}.
It has $\lambda=\num{setup.lambda}$. Nothing is printed here.
\num{listqa.cost.sentence}
\begin{figure}
  \includegraphics[width=\linewidth]{figures/listqa-frontier}
  \caption{The frontier over \num{listqa.n_prompts} prompts.}\label{fig:listqa-frontier}
\end{figure}
\begin{table}
  \caption{Systems.}\label{tab:systems}
  \input{tables/listqa-systems}
\end{table}
\end{document}
"""


def record(key: str, text: str, value: float | None = None, source: str = "", **changes) -> dict:
    base = {"key": key, "value": value, "text": text, "unit": "", "low": None, "high": None, "n": None, "seeds": [], "split": None}
    return base | {"source": source} | changes


COMPARE = "results/listqa/compare.json"
CONTRAST = f"{COMPARE}#contrasts/polychromic-vs-lora-pass@1-chosen"
ENDS = {"low": -0.2, "high": 0.04, "n": 141, "seeds": [0, 1], "split": "dev"}
RECORDS = [
    record("listqa.primary.delta", r"\ensuremath{-}0.08", -0.0812, CONTRAST, **ENDS),
    record("listqa.primary.ci", r"[\ensuremath{-}0.20, +0.04]", None, CONTRAST, **ENDS),
    record("listqa.primary.verdict", "not distinguishable from", None, CONTRAST, **ENDS),
    record("listqa.lora.pass@1", r"24.2\,\%", 0.242, f"{COMPARE}#systems/lora@T=0.5", unit="%", n=141, seeds=[0, 1], split="dev"),
    record("listqa.n_prompts", "141", 141, COMPARE, split="dev"),
    record("listqa.n_samples.all", "141", 141, COMPARE, split="dev"),
    record(
        "listqa.cost.sentence",
        r"A step takes 1.26 [1.12, 1.40] times as long, \ensuremath{-}0.08 less.",
        None,
        "benchmarks/results/cost.json",
    ),
]
COMPARISON = {
    "contrasts": [{"id": "polychromic-vs-lora-pass@1-chosen", "delta": -0.0812, "by_seed": [1, 2]}],
    "systems": [{"label": "lora", "temperature": 1.0, "mean": 0.1}, {"label": "lora", "temperature": 0.5, "mean": 0.242}],
}


def macros(records: list[dict]) -> str:
    return "% generated\n" + "".join(f"\\definenumber{{{one['key']}}}{{{one['text']}}}%\n" for one in records)


def packed(records: list[dict]) -> bytes:
    """What a file of records holds."""
    return gzip.compress(json.dumps(records).encode(), mtime=0)


def put(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgSign=false", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, message: str) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def dvc(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=folder, env=workspace_environment(folder), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def _made(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("provenance") / "repository"
    setup = [record("setup.lambda", "3", 3.0, "params.yaml#lambda")]
    put(
        root,
        {
            "params.yaml": PARAMS,
            "dvc.yaml": PIPELINE,
            "paper/main.tex": MAIN,
            "data/listqa.jsonl": '{"id": 1}\n',
            "benchmarks/results/cost.json": "{}",
            "polychromic/sample/cells.py": "cells = 1\n",
            "polychromic/compare/compare.py": "analysis = 1\n",
            "polychromic/report/build.py": "build = 1\n",
            "made/compare.json": json.dumps(COMPARISON),
            "made/numbers.json.gz": packed(RECORDS),
            "made/listqa.tex": macros(RECORDS),
            "made/setup.json.gz": packed(setup),
            "made/setup.tex": macros(setup),
            "made/table.tex": "a & b\n",
            "made/figure.pdf": "%PDF",
            ".gitignore": "/data\n/results/\n",
            ".gitattributes": ".git_archival.txt export-subst\n",
            ".git_archival.txt": "commit: $Format:%H$\ndate: $Format:%cI$\n",
        },
    )
    git(root, "init", "--quiet")
    dvc(root, "init", "--quiet")
    dvc(root, "add", "--quiet", "data")
    dvc(root, "repro", "--quiet")
    commit(root, "First results")
    return root


@pytest.fixture
def repository(_made: Path, tmp_path: Path) -> Path:
    """A copy for each test to change: one commit, all up to date."""
    target = tmp_path / "repository"
    shutil.copytree(_made, target, symlinks=True)
    return target


TEST_STAGES = """\
  sample_test:
    matrix: {domain: [listqa], system: [lora, polychromic, zero_shot]}
    cmd: mkdir -p results/${item.domain}/test && cp polychromic/sample/cells.py results/${item.domain}/test/${item.system}.jsonl.gz
    deps: [data/listqa.jsonl, polychromic/sample/cells.py]
    params: [train]
    outs: ["results/${item.domain}/test/${item.system}.jsonl.gz"]
  compare_test:
    matrix: {domain: [listqa]}
    cmd: cp made/test.json results/${item.domain}/test.json
    deps: [results/listqa/test/lora.jsonl.gz, results/listqa/test/polychromic.jsonl.gz, results/listqa/test/zero_shot.jsonl.gz]
    outs: ["results/${item.domain}/test.json"]
  report_test:
    matrix: {domain: [listqa]}
    cmd: cp made/test-numbers.json.gz results/${item.domain}/ && cp made/test.tex paper/numbers/${item.domain}-test.tex
      && cp made/figure.pdf paper/figures/${item.domain}-test-gains.pdf
    deps: ["results/${item.domain}/test.json", polychromic/report/build.py]
    outs:
      - results/${item.domain}/test-numbers.json.gz
      - paper/numbers/${item.domain}-test.tex: {cache: false}
      - paper/figures/${item.domain}-test-gains.pdf: {cache: false}
"""
TEST_KEY = "listqa.test.primary.delta"
TEST_ROW = "polychromic-vs-lora-valid_distinct@10-matched"


@pytest.fixture
def opened(repository: Path) -> Path:
    """The same once test was opened, in a second commit: two systems compared, and what is printed of it."""
    ends = {"low": 0.05, "high": 0.31, "n": 300, "seeds": [0, 1, 2], "split": "test"}
    records = [
        record(TEST_KEY, "+0.17", 0.17, f"results/listqa/test.json#contrasts/{TEST_ROW}", **ends),
        record("listqa.test.lora.pass@1", "25", 25.0, "results/listqa/test.json#systems/lora@T=0.5", **ends),
    ]
    test = {
        "contrasts": [{"id": TEST_ROW, "delta": 0.17}],
        "systems": [{"label": "lora", "temperature": 0.5, "mean": 0.25}],
    }
    figure = "\\begin{figure}\\includegraphics{figures/listqa-test-gains}\\caption{G.}\\label{fig:listqa-test-gains}\\end{figure}"
    put(
        repository,
        {
            "dvc.yaml": PIPELINE + TEST_STAGES,
            "made/test.json": json.dumps(test),
            "made/test-numbers.json.gz": packed(records),
            "made/test.tex": macros(records),
            "paper/main.tex": MAIN.replace("\\end{document}", f"On test it is \\num{{{TEST_KEY}}}.\n{figure}\n\\end{{document}}"),
        },
    )
    dvc(repository, "repro", "--quiet")
    commit(repository, "Test opened")
    return repository
