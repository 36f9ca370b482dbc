"""Curves draw the rows they are given."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from polychromic.base.errors import PolychromicError
from polychromic.report import figures, points
from polychromic.report.figures import ELSEWHERE, Point
from polychromic.report.results import Compare
from polychromic.report.style import CEILING, FLOOR, GREY
from polychromic.report.timings import StepCost
from tests.report.drawn import legend, line, no_overlap
from tests.report.synthetic import make_benchmarks


def test_frontier_draws_quality_against_primary_and_the_others_grey(compare: Compare):
    main, others = points.frontier_curves(compare)
    figure = figures.frontier(main, others, "pass@1", "valid_distinct@10")
    (axes,) = figure.axes
    rows = compare.by_temperature("lora")
    assert list(line(axes, "LoRA").get_xdata()) == [s.metrics["pass@1"].mean for s in rows]
    assert list(line(axes, "LoRA").get_ydata()) == [s.metrics["valid_distinct@10"].mean for s in rows]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("pass@1 (%) \u2191", "valid distinct@10 \u2191")
    assert [text.get_text() for text in axes.texts] == ["$T$=1", "$T$=0.3"] * 6  # high quality is low temperature here
    assert sum(drawn.get_color() == GREY for drawn in axes.lines) == len(others)
    assert legend(figure) == ["Zero-shot", "Few-shot", "LoRA", "GEM", "Rejection-sampled", "Polychromic", "other methods"]


def test_passk_has_every_k(compare: Compare):
    (axes,) = figures.passk(points.passk_curves(compare)).axes
    assert list(line(axes, "Polychromic").get_xdata()) == [1, 3, 5, 10]
    assert len(axes.collections) == 6  # one band per method


def test_ablation_takes_lora_as_reference(compare: Compare):
    panels = points.lambda_panels(compare)
    figure = figures.ablation(panels, 3.0)
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title() for ax in shown] == [panel.title for panel in panels]
    for ax, panel in zip(shown, panels, strict=True):
        assert list(line(ax, "Polychromic").get_xdata()) == [0.3, 3.0, 10.0]
        assert set(line(ax, r"LoRA ($\lambda=0$)").get_ydata()) == {panel.points[0].y}


def test_cost_against_gain_numbers_its_marks(compare: Compare):
    cost = StepCost.model_validate(make_benchmarks()["step_cost-listqa.json"])
    figure = figures.cost_gain(points.cost_points(cost, compare), "valid_distinct@10")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["1", "2", "3", "4", "5"]
    assert legend(figure) == ["1  LoRA", "2  LoRA, more steps", "3  Rejection-sampled", "4  Polychromic, quarter", "5  Polychromic"]
    assert list(axes.lines[0].get_xdata()) == [1.18, 1.3], "ours, in the order of cost"


def test_training_names_each_method_once(compare: Compare):
    figure = figures.training(points.training_panels(compare))
    assert [ax.get_xlabel() for ax in figure.axes] == ["training step"] * 2
    assert legend(figure) == ["LoRA", "GEM", "Rejection-sampled", "Polychromic"]


@pytest.mark.parametrize(
    ("rates", "x", "y"),
    [
        ([0.0, 0.2, 0.2, 0.5, 1.0], [0, 0.2, 0.5, 1.0], [0.8, 0.8, 0.4, 0.2]),  # steps where a prompt is no longer solved
        ([0.4] * 5, [0, 0.4, 1.0], [1, 1, 0]),  # no prompt is always solved
        ([[0.0, 0.5], [0.5, 1.0]], [0, 0.5, 1.0], [0.75, 0.75, 0.25]),  # the mean over seeds
        ([0.0, 0.0], [0, 1.0], [0, 0]),
    ],
)
def test_cover_steps_down(rates, x, y):
    drawn = line(figures.cover({"lora": rates}).axes[0], "LoRA")
    assert (list(drawn.get_xdata()), list(drawn.get_ydata())) == (pytest.approx(x), pytest.approx(y))
    assert drawn.get_drawstyle() == "steps-pre"


def test_area_under_cover_is_the_mean_rate():
    rates = np.random.default_rng(0).integers(0, 21, 140) / 20
    drawn = line(figures.cover({"lora": rates}).axes[0], "LoRA")
    assert np.diff(drawn.get_xdata()) @ np.array(drawn.get_ydata())[1:] == pytest.approx(rates.mean()), "integral of P(p >= tau) over tau"


def curve(values: dict[int, float]) -> list[Point]:
    return [Point(k, y, y - 0.01, y + 0.01) for k, y in values.items()]


SYSTEMS = {"lora": curve({1: 0.01, 3: 0.03, 10: 0.06}), "polychromic": curve({1: 0.01, 3: 0.04, 10: 0.08})}
FLOORS = {label: curve({1: 0.002, 3: 0.005, 10: 0.01 + 0.001 * i}) for i, label in enumerate(SYSTEMS)}


def test_person_draws_people_and_systems_and_the_floor_of_each():
    figure = figures.person(curve({1: 0.02, 3: 0.05, 10: 0.11}), curve({1: 0.003, 3: 0.008, 10: 0.02}), SYSTEMS, FLOORS)
    (axes,) = figure.axes
    assert legend(figure) == [CEILING, FLOOR, "LoRA", "Polychromic", ELSEWHERE]
    assert list(line(axes, CEILING).get_ydata()) == [0.02, 0.05, 0.11] and list(line(axes, FLOOR).get_xdata()) == [1, 3, 10]
    assert list(axes.xaxis.get_majorticklocs()) == [1, 3, 10] and len(axes.collections) == 4, "a band per curve"
    dotted = {drawn.get_color(): drawn for drawn in axes.lines if drawn.get_label().startswith("_")}
    for label, name in (("lora", "LoRA"), ("polychromic", "Polychromic")):
        own = line(axes, name)
        floor = dotted[own.get_color()]
        assert list(own.get_ydata()) == [point.y for point in SYSTEMS[label]]
        assert list(floor.get_ydata()) == [point.y for point in FLOORS[label]]
        assert floor.get_marker() == "None" and floor.get_linewidth() < own.get_linewidth() and floor.is_dashed(), "without its colour"
    top, bottom = (line(axes, name) for name in (CEILING, FLOOR))
    assert len(set(to_rgb(top.get_color()))) == len(set(to_rgb(bottom.get_color()))) == 1, "people are grey"
    assert top.get_marker() != bottom.get_marker() and top.is_dashed() != bottom.is_dashed()


def test_labels_do_not_overprint_and_curves_differ_in_colour_and_marker():
    """With numbers as many as the paper's."""
    rng = np.random.default_rng(0)
    shape = (("zero_shot", 6), ("few_shot", 3), ("lora", 1.6), ("polychromic", 1.4))
    rising = lambda level: [Point(k, level * k**0.6, 0.85 * level * k**0.6, 1.15 * level * k**0.6) for k in (1, 3, 5, 10)]
    pair = lambda level: {"lora": rising(level), "polychromic": rising(1.3 * level)}
    for figure in (
        figures.cover({name: rng.beta(0.4, b, 140).round(2) for name, b in shape}),
        figures.person(rising(0.03), rising(0.006), pair(0.014), pair(0.004)),
    ):
        assert no_overlap(figure)
        drawn = [drawn for drawn in figure.axes[0].lines if not drawn.get_label().startswith("_")]
        for attribute in ("get_color", "get_marker"):
            assert len({getattr(one, attribute)() for one in drawn}) == len(drawn)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: figures.cover({}), "figure cover: got nothing"),
        (lambda: figures.cover({"lora": []}), "Cover@tau: got no prompt"),
        (lambda: figures.cover({"lora": [1.5]}), "Pass shares, not counts"),
        (lambda: figures.person([], curve({1: 0.1}), SYSTEMS, FLOORS), "figure person, ceiling"),
        (lambda: figures.person(curve({1: 0.1}), curve({1: 0.1}), {"lora": []}, FLOORS), "figure person, lora"),
        (lambda: figures.person(curve({1: 0.1}), curve({1: 0.1}), SYSTEMS, {"lora": FLOORS["lora"]}), "Allowed: the same labels"),
    ],
)
def test_nothing_to_draw_is_an_error(call, message: str):
    with pytest.raises(PolychromicError, match=message):
        call()
