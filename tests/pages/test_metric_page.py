"""docs/metric.md, followed as printed in a copy of the package: the metric is declared, computed, and taken by params.yaml."""

from __future__ import annotations

import csv
import subprocess
import sys

import pytest

from tests import pages

PAGE = pages.read("metric.md")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = pages.copy_package(tmp_path_factory.mktemp("metric"))
    declaration, function, entry = pages.blocks(PAGE, "python")
    metrics = folder / "polychromic" / "metrics"
    pages.insert(metrics / "catalogue.py", declaration, after="_DECLARED = (\n")
    pages.insert(metrics / "compute.py", function + "\n\n", before="def _ead(")
    pages.insert(metrics / "compute.py", entry, after="FUNCTIONS: dict[str, Callable[[Prompt, Metric], float]] = {\n")
    pages.insert(folder / "polychromic" / "oneoff" / "choice.py", '"openings", ', after="OF_THE_NUMBER = frozenset({")
    return folder


def test_the_pages_command_prints_the_metric(copy):
    (script,) = pages.blocks(PAGE, "bash")
    done = pages.bash(copy, script, package=copy)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "openings" in done.stdout
    with (copy / "my-evaluation" / "table.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["mean"]) == pytest.approx(3 / 4), "green, black, the"
    assert row["metric"] == "openings"


CHECK = """
from polychromic.base.errors import PolychromicError
from polychromic.score.compute import Prompt, compute
from polychromic.params import load_params
print("openings" in load_params().replies.metrics)
try:
    compute("openings", Prompt(["", " "]))
except PolychromicError as error:
    print(error)
"""


def test_a_domain_takes_it_and_where_it_does_not_exist_it_says_so(copy):
    pages.insert(copy / "params.yaml", "openings, ", after="  metrics: [pass@1, pass@3, pass@5, pass@10, selected@4, best_rouge_l@10, ")
    done = subprocess.run([sys.executable, "-c", CHECK], cwd=copy, env=pages.environment(copy, copy), capture_output=True, text=True)
    assert done.stdout.startswith("True\nopenings: no reply has a word."), done.stderr


def test_the_page_is_a_page():
    pages.check(PAGE)
