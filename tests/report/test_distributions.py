"""The figures of distributions draw what they are given: axes' data equal the input, and labels do not overprint."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from polychromic.base.errors import PolychromicError
from polychromic.report import distributions, figures
from polychromic.report.distributions import CEILING, ELSEWHERE, FLOOR, Effect
from polychromic.report.figures import Point


def line(axes, name: str):
    return next(line for line in axes.lines if line.get_label() == name)


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def boxes(figure) -> list:
    """Of all text that is drawn: labels of ticks and axes, legends, notes."""
    with rc_context(figures.style()):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        ax = figure.axes[0]
        ticks = []
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
        texts = [*ticks, ax.xaxis.label, ax.yaxis.label, *ax.texts, *(t for key in figure.legends for t in key.get_texts())]
        return [(text.get_text(), text.get_window_extent(renderer)) for text in texts if text.get_text()]


def no_overlap(figure) -> bool:
    with rc_context(figures.style()):
        width, height = figure.get_size_inches() * figure.dpi
        drawn = boxes(figure)
    inside = all(box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1 for _, box in drawn)
    return inside and not [(a, b) for (a, one), (b, two) in combinations(drawn, 2) if one.overlaps(two)]


# cover


def test_cover_steps_where_a_prompt_is_no_longer_solved():
    rates = [0.0, 0.2, 0.2, 0.5, 1.0]
    axes = distributions.cover({"lora": rates, "polychromic": [0.4] * 5}).axes[0]
    drawn = line(axes, "LoRA")
    assert list(drawn.get_xdata()) == [0, 0.2, 0.5, 1.0]
    assert list(drawn.get_ydata()) == pytest.approx([0.8, 0.8, 0.4, 0.2])
    assert drawn.get_drawstyle() == "steps-pre"
    assert list(line(axes, "Polychromic").get_ydata()) == [1, 1, 0], "no prompt is always solved"


def test_cover_of_seeds_is_their_mean():
    axes = distributions.cover({"lora": np.array([[0.0, 0.5], [0.5, 1.0]])}).axes[0]
    assert list(line(axes, "LoRA").get_ydata()) == pytest.approx([0.75, 0.75, 0.25])


def test_area_under_cover_is_the_mean_rate():
    rates = np.random.default_rng(0).integers(0, 21, 140) / 20
    drawn = line(distributions.cover({"lora": rates}).axes[0], "LoRA")
    area = np.diff(drawn.get_xdata()) @ np.array(drawn.get_ydata())[1:]
    assert area == pytest.approx(rates.mean()), "integral of P(p >= tau) over tau"


def test_cover_of_a_system_that_solves_nothing_is_flat():
    assert list(line(distributions.cover({"zero_shot": [0.0, 0.0]}).axes[0], "Zero-shot").get_ydata()) == [0, 0]


# forest

EFFECTS = [
    Effect("Polychromic \u2212 LoRA", 0.41, 0.2, 0.6, "primary"),
    Effect("Polychromic \u2212 Few-shot", 1.1, 0.8, 1.5, "secondary"),
    Effect("LoRA \u2212 Zero-shot", -0.2, -0.4, 0.1, "primary"),
]


def test_forest_has_a_mark_with_its_interval_per_row():
    figure = distributions.forest(EFFECTS)
    axes = figure.axes[0]
    primary, secondary = axes.containers
    assert list(primary.lines[0].get_xdata()) == [0.41, -0.2] and list(secondary.lines[0].get_xdata()) == [1.1]
    (segments,) = primary.lines[2]
    assert [segment[:, 0].tolist() for segment in segments.get_segments()] == [pytest.approx([0.2, 0.6]), pytest.approx([-0.4, 0.1])]
    assert [label.get_text() for label in axes.get_yticklabels()] == [EFFECTS[0].label, EFFECTS[2].label, EFFECTS[1].label]
    assert list(primary.lines[0].get_ydata()) == [axes.get_yticks()[0], axes.get_yticks()[1]]
    assert [text.get_text() for text in axes.texts][1] == "\u22120.20 [\u22120.40, +0.10]"
    assert axes.yaxis_inverted() and legend(figure) == ["primary", "secondary"]


def test_families_differ_by_colour_marker_and_fill():
    primary, secondary = distributions.forest(EFFECTS).axes[0].containers
    for attribute in ("get_color", "get_marker", "get_markerfacecolor"):
        assert getattr(primary.lines[0], attribute)() != getattr(secondary.lines[0], attribute)()


def test_one_family_needs_no_legend():
    assert distributions.forest(EFFECTS[:1]).legends == []


def test_a_forest_grows_with_its_rows():
    many = [Effect(f"Polychromic \u2212 some peer with a long name {n}", 0.1, 0, 0.2, "primary") for n in range(20)]
    assert no_overlap(distributions.forest(many))
    assert distributions.forest(many).get_figheight() > distributions.forest(EFFECTS).get_figheight() + 3


def test_effect_in_units_of_the_sd():
    # delta .2 with d_z .5: the sd is .4
    found = Effect.scaled("x", 0.2, 0.1, 0.3, 0.5, "primary")
    assert (found.d_z, found.low, found.high) == pytest.approx((0.5, 0.25, 0.75))
    assert Effect.scaled("x", 0.0, 0.0, 0.0, 0.0, "primary") == Effect("x", 0.0, 0.0, 0.0, "primary")
    assert Effect.scaled("x", 0.2, 0.1, 0.3, None, "primary") is None and Effect.scaled("x", 0.0, -0.1, 0.1, 0.0, "primary") is None


# differences


def test_differences_are_sorted_and_counted():
    figure = distributions.differences([0.2, -0.1, 0.0, 0.5, 0.0], (-0.05, 0.3), "pass@1", "polychromic", "lora")
    axes = figure.axes[0]
    higher, lower, equal = (line(axes, name) for name in ("Polychromic higher (2)", "LoRA higher (1)", "equal (2)"))
    assert (list(higher.get_xdata()), list(higher.get_ydata())) == ([4, 5], [0.2, 0.5])
    assert (list(lower.get_xdata()), list(lower.get_ydata())) == ([1], [-0.1])
    assert list(equal.get_xdata()) == [2, 3]
    mean = line(axes, "mean +12.0 [\u22125.0, +30.0]")
    assert list(mean.get_ydata()) == pytest.approx([0.12, 0.12])
    (band,) = [patch for patch in axes.patches if patch.get_height() == pytest.approx(0.35)]
    assert band.get_y() == pytest.approx(-0.05)
    assert axes.get_ylabel() == "difference in\npass@1 (points)"


def test_differences_of_counts_have_no_per_cent():
    figure = distributions.differences([1.0, 0.4], (0.4, 1.0), "valid_distinct@10", "polychromic", "lora")
    assert figure.axes[0].get_ylabel() == "difference in\nvalid distinct@10" and "mean +0.70 [+0.40, +1.00]" in legend(figure)


# person


def points(values: dict[int, float]) -> list[Point]:
    return [Point(k, y, y - 0.01, y + 0.01) for k, y in values.items()]


SYSTEMS = {"lora": points({1: 0.01, 3: 0.03, 10: 0.06}), "polychromic": points({1: 0.01, 3: 0.04, 10: 0.08})}


FLOORS = {label: points({1: 0.002, 3: 0.005, 10: 0.01 + 0.001 * i}) for i, label in enumerate(SYSTEMS)}


def test_person_draws_people_and_systems_and_the_floor_of_each():
    figure = distributions.person(points({1: 0.02, 3: 0.05, 10: 0.11}), points({1: 0.003, 3: 0.008, 10: 0.02}), SYSTEMS, FLOORS)
    axes = figure.axes[0]
    assert legend(figure) == [CEILING, FLOOR, "LoRA", "Polychromic", ELSEWHERE]
    assert list(line(axes, CEILING).get_ydata()) == [0.02, 0.05, 0.11] and list(line(axes, FLOOR).get_xdata()) == [1, 3, 10]
    assert list(line(axes, "Polychromic").get_ydata()) == [0.01, 0.04, 0.08]
    assert list(axes.xaxis.get_majorticklocs()) == [1, 3, 10] and len(axes.collections) == 4, "a band per curve"
    assert axes.get_ylabel() == "human recall@$k$ (% of people) \u2191"
    dotted = {drawn.get_color(): drawn for drawn in axes.lines if drawn.get_label().startswith("_")}
    for label, name in (("lora", "LoRA"), ("polychromic", "Polychromic")):
        own = line(axes, name)
        floor = dotted[own.get_color()]
        assert list(floor.get_ydata()) == [point.y for point in FLOORS[label]]
        assert floor.get_marker() == "None" and floor.get_linewidth() < own.get_linewidth() and floor.is_dashed(), "without its colour"


def test_people_s_curves_are_grey_and_differ_without_colour():
    axes = distributions.person(points({1: 0.02}), points({1: 0.003}), SYSTEMS, FLOORS).axes[0]
    top, bottom = (line(axes, name) for name in (CEILING, FLOOR))
    assert len(set(to_rgb(top.get_color()))) == len(set(to_rgb(bottom.get_color()))) == 1
    assert top.get_marker() != bottom.get_marker() and top.is_dashed() != bottom.is_dashed()


# all of them


def samples() -> dict:
    """name -> Figure, with numbers as many as the paper's."""
    rng = np.random.default_rng(0)
    rates = {name: rng.beta(0.4, b, 140).round(2) for name, b in (("zero_shot", 6), ("few_shot", 3), ("lora", 1.6), ("polychromic", 1.4))}
    curve = lambda level: [Point(k, level * k**0.6, 0.85 * level * k**0.6, 1.15 * level * k**0.6) for k in (1, 3, 5, 10)]
    pair = lambda level: {"lora": curve(level), "polychromic": curve(1.3 * level)}
    difference = rng.normal(0.03, 0.12, 140) * (rng.random(140) > 0.3)
    return {
        "cover": distributions.cover(rates),
        "forest": distributions.forest(EFFECTS),
        "differences": distributions.differences(difference, (0.01, 0.05), "pass@1", "polychromic", "lora"),
        "person": distributions.person(curve(0.03), curve(0.006), pair(0.014), pair(0.004)),
    }


@pytest.mark.parametrize("name", ["cover", "forest", "differences", "person"])
def test_labels_do_not_overprint_and_fonts_are_embedded(name: str, tmp_path: Path):
    figure = samples()[name]
    assert no_overlap(figure)
    figures.save(samples()[name], tmp_path / "a.pdf")
    figures.save(samples()[name], tmp_path / "b.pdf")
    drawn = (tmp_path / "a.pdf").read_bytes()
    assert drawn == (tmp_path / "b.pdf").read_bytes()
    assert b"CreationDate" not in drawn and b"/Subtype /Type3" not in drawn and b"/FontFile2" in drawn


@pytest.mark.parametrize("name", ["cover", "person"])
def test_curves_differ_in_colour_marker_and_line(name: str):
    drawn = [line for line in samples()[name].axes[0].lines if not line.get_label().startswith("_")]
    for attribute in ("get_color", "get_marker"):
        assert len({getattr(line, attribute)() for line in drawn}) == len(drawn)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: distributions.cover({}), "figure cover: got nothing"),
        (lambda: distributions.cover({"lora": []}), "Cover@tau: got no prompt"),
        (lambda: distributions.cover({"lora": [1.5]}), "Pass shares, not counts"),
        (lambda: distributions.forest([]), "figure forest"),
        (lambda: distributions.differences([], (0, 0), "pass@1", "a", "b"), "figure differences"),
        (lambda: distributions.differences([1], (0, 0), "charm", "a", "b"), "'charm'"),
        (lambda: distributions.person([], points({1: 0.1}), SYSTEMS, FLOORS), "figure person, ceiling"),
        (lambda: distributions.person(points({1: 0.1}), points({1: 0.1}), {"lora": []}, FLOORS), "figure person, lora"),
        (lambda: distributions.person(points({1: 0.1}), points({1: 0.1}), SYSTEMS, {"lora": FLOORS["lora"]}), "Allowed: the same labels"),
    ],
)
def test_nothing_to_draw_is_an_error(call, message: str):
    with pytest.raises(PolychromicError, match=message):
        call()
