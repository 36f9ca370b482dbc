"""docs/metric.md, followed as printed in a copy of the package: the metric is declared, computed, and taken by params.yaml."""

from __future__ import annotations

import csv
import subprocess
import sys

import pytest

from polychromic.score import metrics, registry
from tests import page_tools as pages

PAGE = pages.read("metric.md")
CHECK = """
from polychromic.base.errors import PolychromicError
from polychromic.params import load_params
from polychromic.score.metrics import Prompt, check_metrics, compute
check_metrics(load_params())
try:
    compute("openings", Prompt(["", " "]))
except PolychromicError as error:
    print(error)
"""


(FUNCTION,) = pages.blocks(PAGE, "python")


def test_the_function_is_a_metric(monkeypatch):
    monkeypatch.setattr(registry, "FAMILIES", families := {})
    exec(FUNCTION, dict(vars(metrics)))
    drinks = metrics.Prompt(["Green, from a pot.", "green!", "Black.", "The red one."])
    assert families["openings"].function(drinks, families["openings"]) == 3 / 4


@pytest.mark.slow
def test_the_page_as_printed(tmp_path):
    copy = pages.copy_package(tmp_path)
    pages.insert(copy / "polychromic" / "score" / "metrics.py", FUNCTION + "\n\n", before='@declare("pass@k"')
    (script,) = pages.blocks(PAGE, "bash")
    done = pages.bash(copy, script, package=copy)
    assert done.returncode == 0, done.stderr[-2000:]
    with (copy / "my-evaluation" / "table.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["metric"] == "openings" and float(row["mean"]) == pytest.approx(3 / 4), "green, black, the"
    pages.insert(copy / "params.yaml", "openings, ", after="  metrics: [pass@1, pass@3, pass@5, pass@10, selected@4, best_rouge_l@10, ")
    done = subprocess.run([sys.executable, "-c", CHECK], cwd=copy, env=pages.environment(copy, copy), capture_output=True, text=True)
    assert done.stdout.startswith("openings: no reply has a word."), done.stderr


def test_the_page_is_a_page():
    pages.check(PAGE)
