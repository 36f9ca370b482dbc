"""Figures draw the rows they are given; their bytes depend on nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from polychromic.report import build, figures
from polychromic.report.results import Compare
from tests.report.synthetic import REPOSITORY


@pytest.fixture
def compare(compares: dict) -> Compare:
    return Compare.model_validate(compares["listqa"])


def line(axes, name: str):
    return next(line for line in axes.lines if line.get_label() == name)


def test_frontier_draws_quality_against_primary(compare: Compare):
    axes = figures.frontier(build.frontier_curves(compare), "pass@1", "valid_distinct@10").axes[0]
    rows = sorted((s for s in compare.systems if s.label == "lora"), key=lambda s: s.temperature)
    assert list(line(axes, "LoRA").get_xdata()) == [s.metrics["pass@1"].mean for s in rows]
    assert list(line(axes, "LoRA").get_ydata()) == [s.metrics["valid_distinct@10"].mean for s in rows]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("pass@1 (%) ↑", "valid distinct@10 ↑")
    assert [text.get_text() for text in axes.texts] == ["$T$=1", "$T$=0.3"] * 5  # high quality is low temperature here


def test_methods_differ_in_colour_marker_and_line():
    for field in ("color", "marker", "line"):
        assert len({getattr(look, field) for look in figures.LOOKS.values()}) == len(figures.LOOKS)


def test_passk_has_every_k(compare: Compare):
    axes = figures.passk(build.passk_curves(compare)).axes[0]
    assert list(line(axes, "Polychromic").get_xdata()) == [1, 3, 5, 10]
    assert len(axes.collections) == 5  # one band per method


def test_passk_shows_humans_where_they_are_the_standard(compare: Compare, compares: dict):
    assert build.human_rates(compare) == {}
    rates = build.human_rates(Compare.model_validate(compares["replies"]))
    assert rates == {"humans, same prompt": 0.11, "humans, other prompts": 0.02}
    axes = figures.passk(build.passk_curves(compare), rates).axes[0]
    assert [list(drawn.get_ydata()) for drawn in axes.lines[-2:]] == [[0.11, 0.11], [0.02, 0.02]]


def test_ablation_takes_lora_as_reference(compare: Compare):
    panels = build.lambda_panels(compare)
    figure = figures.ablation(panels, headline=3.0)
    assert [name for name, _ in panels] == ["valid_distinct@10", "pass@1", "semantic_diversity"]
    assert list(line(figure.axes[0], "Polychromic").get_xdata()) == [0.3, 3.0, 10.0]
    lora = next(s for s in compare.systems if s.label == "lora" and s.temperature == 0.85)
    assert line(figure.axes[0], r"LoRA ($\lambda=0$)").get_ydata()[0] == lora.metrics["valid_distinct@10"].mean


def test_ablation_with_a_zero_in_the_grid(compare: Compare):
    (name, points), *_ = build.lambda_panels(compare)
    figure = figures.ablation([(name, [points[0], points[0], *points[1:]])], headline=3.0)
    assert list(line(figure.axes[0], "Polychromic").get_xdata()) == [0.0, 0.3, 3.0, 10.0]


def test_training_leaves_out_what_a_method_does_not_have(compare: Compare):
    objective, cross_entropy = build.training_panels(compare)
    assert set(objective[1]) == {"polychromic", "polychromic_plain"}
    assert set(cross_entropy[1]) == {"lora", "polychromic", "polychromic_plain"}
    assert objective[1]["polychromic"][:2] == [(1, pytest.approx(0.102)), (4, pytest.approx(0.108))]


def test_bytes_do_not_depend_on_the_run(tmp_path: Path):
    script = """
import sys
from pathlib import Path
from tests.report.synthetic import make_compare
from polychromic.report import build, figures
from polychromic.report.results import Compare
compare = Compare.model_validate(make_compare("listqa"))
out = Path(sys.argv[1])
figures.save(figures.frontier(build.frontier_curves(compare), compare.quality, compare.primary), out / "frontier.pdf")
figures.save(figures.ablation(build.lambda_panels(compare), 3.0), out / "lambda.pdf")
"""
    for name, hash_seed in (("a", "1"), ("another", "2")):
        folder = tmp_path / name
        folder.mkdir()
        env = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(REPOSITORY)}
        subprocess.run([sys.executable, "-c", script, str(folder)], env=env, check=True, cwd=folder)
    for name in ("frontier.pdf", "lambda.pdf"):
        first = (tmp_path / "a" / name).read_bytes()
        assert first == (tmp_path / "another" / name).read_bytes()
        assert b"CreationDate" not in first and b"/Subtype /Type3" not in first and b"/FontFile2" in first
