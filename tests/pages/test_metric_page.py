"""docs/metric.md, followed as printed: the metric is declared, computed, taken by params.yaml, and evaluated in a copy of the package."""

from __future__ import annotations

import csv

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.score import metrics
from tests import page_tools as pages
from tests.workspace import small_params, small_values

PAGE = pages.read("metric.md")
(FUNCTION,) = pages.blocks(PAGE, "python")


def test_the_function_is_a_metric_that_params_yaml_takes(monkeypatch):
    monkeypatch.setitem(metrics.FAMILIES, "openings", None)  # so that it is gone after this test
    exec(FUNCTION, dict(vars(metrics)))
    assert metrics.compute("openings", metrics.Prompt(["Green, from a pot.", "green!", "Black.", "The red one."])) == 3 / 4
    with pytest.raises(PolychromicError, match=r"openings: no reply has a word\."):
        metrics.compute("openings", metrics.Prompt(["", " "]))
    metrics.check_metrics(small_params(listqa={"metrics": [*small_values()["listqa"]["metrics"], "openings"]}))


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
