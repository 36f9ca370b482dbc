"""Figures draw the rows they are given; their bytes depend on nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from polychromic.report import costs, curves, figures
from polychromic.report.results import Compare
from tests.report.synthetic import REPOSITORY, make_benchmarks


@pytest.fixture
def compare(compares: dict) -> Compare:
    return Compare.model_validate(compares["listqa"])


def line(axes, name: str):
    return next(line for line in axes.lines if line.get_label() == name)


def test_frontier_draws_quality_against_primary(compare: Compare):
    main, others = curves.frontier_curves(compare)
    axes = figures.frontier(main, others, "pass@1", "valid_distinct@10").axes[0]
    rows = sorted((s for s in compare.systems if s.label == "lora"), key=lambda s: s.temperature)
    assert list(line(axes, "LoRA").get_xdata()) == [s.metrics["pass@1"].mean for s in rows]
    assert list(line(axes, "LoRA").get_ydata()) == [s.metrics["valid_distinct@10"].mean for s in rows]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("pass@1 (%) ↑", "valid distinct@10 ↑")
    assert [text.get_text() for text in axes.texts] == ["$T$=1", "$T$=0.3"] * 6  # high quality is low temperature here


def test_frontier_names_baselines_and_best_peers_and_draws_the_others_grey(compare: Compare):
    main, others = curves.frontier_curves(compare)
    assert list(main) == ["zero_shot", "few_shot", "lora", "gem", "rft", "polychromic"]
    assert set(others) == {"polychromic_plain", "lora_long", "some_new_peer", "poly_epo", "polychromic_quarter", "polychromic_bulk"}
    figure = figures.frontier(main, others, "pass@1", "valid_distinct@10")
    assert sum(drawn.get_color() == figures.GREY for drawn in figure.axes[0].lines) == len(others)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["Zero-shot", "Few-shot", "LoRA", "GEM", "Rejection-sampled", "Polychromic", "other methods"]


def test_methods_that_are_shown_differ_in_colour_marker_and_line():
    shown = figures.looks(["zero_shot", "few_shot", "lora", "a_peer", "another", "polychromic"])
    for field in ("color", "marker", "line"):
        assert len({getattr(look, field) for look in shown.values()}) == len(shown)
    assert figures.looks(["lora", "b"])["lora"] == shown["lora"], "a baseline looks the same in every figure"


@pytest.mark.parametrize("count", [9, 30])
def test_unknown_systems_differ_in_marker_and_line_as_well_as_colour(count):
    names = [f"mine-{place}" for place in range(count)]
    shown = list(figures.looks(names).values())
    assert len({(look.marker, look.line) for look in shown}) == count, "in grey, too"
    assert [look.color for look in shown] == [shown[place % 9].color for place in range(count)], "colours come round in one order"
    for field in ("color", "marker", "line"):
        assert len({getattr(look, field) for look in shown[:9]}) == 9
    assert {look.color for look in shown} <= set(figures.TOL[:9]), "Paul Tol's, without the pale grey"


def test_a_peer_takes_no_colour_of_a_baseline_that_is_shown_while_there_are_others():
    shown = figures.looks([*figures.LOOKS, *(f"peer-{place}" for place in range(5))])
    assert len({look.color for look in shown.values()}) == 9
    every = figures.looks([*figures.LOOKS, *(f"peer-{place}" for place in range(9))])
    assert len({(look.marker, look.line) for look in every.values()}) == 13


def test_passk_has_every_k(compare: Compare):
    axes = figures.passk(curves.passk_curves(compare)).axes[0]
    assert list(line(axes, "Polychromic").get_xdata()) == [1, 3, 5, 10]
    assert len(axes.collections) == 6  # one band per method


def test_ablation_takes_lora_as_reference(compare: Compare):
    panels = curves.lambda_panels(compare)
    figure = figures.ablation(panels, headline=3.0)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:3] == ["$D$ at $T=1$ ↑", "valid distinct@10 ↑", "pass@1 (%) ↑"]
    assert titles[3:] == ["validation CE (nats) ↓", "KL to base (nats)", "reply tokens"]
    assert list(line(figure.axes[0], "Polychromic").get_xdata()) == [0.3, 3.0, 10.0]
    lora = {t: next(s for s in compare.systems if s.label == "lora" and s.temperature == t).metrics for t in (0.85, 1.0)}
    assert line(figure.axes[0], r"LoRA ($\lambda=0$)").get_ydata()[0] == lora[1.0]["objective"].mean
    assert line(figure.axes[1], r"LoRA ($\lambda=0$)").get_ydata()[0] == lora[0.85]["valid_distinct@10"].mean
    assert list(line(figure.axes[4], "Polychromic").get_ydata()) == [6.15, 7.5, 11.0]


def test_ablation_leaves_out_d_where_temperature_one_was_not_sampled(compares: dict):
    for system in compares["listqa"]["systems"]:
        system["temperature"] = 0.95 if system["temperature"] == 1 else system["temperature"]
    panels = curves.lambda_panels(Compare.model_validate(compares["listqa"]))
    assert [panel.title for panel in panels][:2] == ["valid distinct@10 ↑", "pass@1 (%) ↑"]
    assert [axes.get_visible() for axes in figures.ablation(panels, 3.0).axes] == [True] * 5 + [False]


def test_cost_gain_marks_every_method_that_was_measured(compare: Compare):
    cost = costs.StepCost.model_validate(make_benchmarks()["step_cost-listqa.json"])
    points = curves.gain_points(cost, compare)
    assert {label: mine for label, (_, mine) in points.items()} == {
        "lora": False, "lora_long": False, "rft": False, "polychromic_quarter": True, "polychromic_bulk": True, "polychromic": True,
    }  # fmt: skip
    again = compare.methods["lora"].model_copy(update={"trains_like": "polychromic", "ours": True})
    other = compare.model_copy(update={"methods": compare.methods | {"lora": again, "polychromic_bulk": again}})
    assert {"lora", "polychromic_bulk"}.isdisjoint(curves.gain_points(cost, other)), "another decoding is no other cost"
    longer = compare.model_copy(update={"methods": compare.methods | {"lora": again.model_copy(update={"budget": 2.0})}})
    assert curves.gain_points(cost, longer)["lora"][1] is False
    assert points["lora_long"][0].x == pytest.approx(1.25 * 0.95) and points["rft"][0].x == 1.1
    assert points["polychromic"][0].y == compare.chosen("polychromic").metrics["valid_distinct@10"].mean
    figure = figures.cost_gain(points, "valid_distinct@10")
    (axes,), (legend,) = figure.axes, figure.legends
    assert [text.get_text() for text in axes.texts] == ["1", "2", "3", "4", "5", "6"]
    assert [text.get_text() for text in legend.get_texts()] == [
        "1  LoRA", "2  LoRA, more steps", "3  Rejection-sampled", "4  Polychromic, quarter", "5  Polychromic, bulk", "6  Polychromic",
    ]  # fmt: skip
    assert list(axes.lines[0].get_xdata()) == [1.18, 1.22, 1.3], "ours, in the order of cost"


def test_training_leaves_out_what_a_method_does_not_have(compare: Compare):
    objective, cross_entropy = curves.training_panels(compare)
    assert set(objective[1]) == {"polychromic"}
    assert set(cross_entropy[1]) == {"gem", "lora", "rft", "polychromic"}, "of the methods that the main figures show"
    assert objective[1]["polychromic"][:2] == [(1, pytest.approx(0.102)), (4, pytest.approx(0.108))]


def test_bytes_do_not_depend_on_the_run(tmp_path: Path):
    script = """
import sys
from pathlib import Path
from tests.report.synthetic import make_compare
from polychromic.report import costs, curves, figures
from polychromic.report.results import Compare
compare = Compare.model_validate(make_compare("listqa"))
out = Path(sys.argv[1])
figures.save(figures.frontier(*curves.frontier_curves(compare), compare.quality, compare.primary), out / "frontier.pdf")
figures.save(figures.ablation(curves.lambda_panels(compare), 3.0), out / "lambda.pdf")
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
