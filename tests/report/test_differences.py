"""Figures of differences draw what they are given: marks, intervals, families, seeds."""

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.report import differences, points
from polychromic.report.differences import Effect
from polychromic.report.results import Compare
from tests.report.drawn import legend, line, no_overlap

EFFECTS = [
    Effect("Polychromic \u2212 LoRA", 0.41, 0.2, 0.6, "primary"),
    Effect("Polychromic \u2212 Few-shot", 1.1, 0.8, 1.5, "secondary"),
    Effect("LoRA \u2212 Zero-shot", -0.2, -0.4, 0.1, "primary"),
]


def test_forest_has_a_mark_with_its_interval_per_row():
    figure = differences.forest(EFFECTS)
    (axes,) = figure.axes
    primary, secondary = axes.containers
    assert list(primary.lines[0].get_xdata()) == [0.41, -0.2] and list(secondary.lines[0].get_xdata()) == [1.1]
    (segments,) = primary.lines[2]
    assert [segment[:, 0].tolist() for segment in segments.get_segments()] == [pytest.approx([0.2, 0.6]), pytest.approx([-0.4, 0.1])]
    assert [label.get_text() for label in axes.get_yticklabels()] == [EFFECTS[0].label, EFFECTS[2].label, EFFECTS[1].label]
    assert list(primary.lines[0].get_ydata()) == [axes.get_yticks()[0], axes.get_yticks()[1]]
    assert [text.get_text() for text in axes.texts][1] == "\u22120.20 [\u22120.40, +0.10]"
    assert axes.yaxis_inverted() and legend(figure) == ["primary", "secondary"]
    for attribute in ("get_color", "get_marker", "get_markerfacecolor"):
        assert getattr(primary.lines[0], attribute)() != getattr(secondary.lines[0], attribute)()
    assert differences.forest(EFFECTS[:1]).legends == [], "one family needs no legend"


def test_a_forest_grows_with_its_rows():
    many = [Effect(f"Polychromic \u2212 some peer with a long name {n}", 0.1, 0, 0.2, "primary") for n in range(20)]
    assert no_overlap(differences.forest(many)) and no_overlap(differences.forest(EFFECTS))
    assert differences.forest(many).get_figheight() > differences.forest(EFFECTS).get_figheight() + 3


def test_effect_in_units_of_the_sd():
    # delta .2 with d_z .5: the sd is .4
    found = Effect.scaled("x", 0.2, 0.1, 0.3, 0.5, "primary")
    assert (found.d_z, found.low, found.high) == pytest.approx((0.5, 0.25, 0.75))
    assert Effect.scaled("x", 0.0, 0.0, 0.0, 0.0, "primary") == Effect("x", 0.0, 0.0, 0.0, "primary")
    assert Effect.scaled("x", 0.2, 0.1, 0.3, None, "primary") is None and Effect.scaled("x", 0.0, -0.1, 0.1, 0.0, "primary") is None


def test_gains_mark_families_and_seeds(on_test: Compare):
    rows = points.gain_rows(on_test)
    figure = differences.gains(rows, on_test.primary)
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [row.label for row in rows]
    faces = [drawn.get_markerfacecolor() for drawn in axes.lines if drawn.get_marker() in "os" and len(drawn.get_xdata()) == 6]
    assert len(faces) == 2 and faces[0] != "white" and faces[1] == "white"
    ticks = [drawn for drawn in axes.lines if drawn.get_marker() == "|" and drawn.get_linestyle() == "None"]
    assert sum(len(drawn.get_xdata()) for drawn in ticks if len(drawn.get_xdata()) == 3) >= 3 * 12
    assert set(legend(figure)) == {"primary family", "secondary"}


def test_a_share_is_drawn_in_points(tested: dict):
    replies = Compare.model_validate(tested["replies"])
    (axes,) = differences.gains(points.gain_rows(replies), replies.primary).axes
    delta = points.gain_rows(replies)[0].delta
    assert "pass@10 (points)" in axes.get_xlabel()
    assert any(abs(drawn.get_xdata()[0] - 100 * delta) < 1e-9 for drawn in axes.lines if drawn.get_marker() == "o")


def test_differences_are_sorted_and_counted():
    figure = differences.differences([0.2, -0.1, 0.0, 0.5, 0.0], (-0.05, 0.3), "pass@1", "polychromic", "lora")
    (axes,) = figure.axes
    higher, lower, equal = (line(axes, name) for name in ("Polychromic higher (2)", "LoRA higher (1)", "equal (2)"))
    assert (list(higher.get_xdata()), list(higher.get_ydata())) == ([4, 5], [0.2, 0.5])
    assert (list(lower.get_xdata()), list(lower.get_ydata())) == ([1], [-0.1])
    assert list(equal.get_xdata()) == [2, 3]
    assert list(line(axes, "mean +12.0 [\u22125.0, +30.0]").get_ydata()) == pytest.approx([0.12, 0.12])
    (band,) = [patch for patch in axes.patches if patch.get_height() == pytest.approx(0.35)]
    assert band.get_y() == pytest.approx(-0.05) and axes.get_ylabel() == "difference in\npass@1 (points)" and no_overlap(figure)


def test_differences_of_counts_have_no_per_cent():
    figure = differences.differences([1.0, 0.4], (0.4, 1.0), "valid_distinct@10", "polychromic", "lora")
    assert figure.axes[0].get_ylabel() == "difference in\nvalid distinct@10" and "mean +0.70 [+0.40, +1.00]" in legend(figure)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: differences.forest([]), "figure forest: got nothing to draw"),
        (lambda: differences.gains([], "pass@1"), "figure gains: got nothing to draw"),
        (lambda: differences.differences([], (0, 0), "pass@1", "a", "b"), "figure differences"),
        (lambda: differences.differences([1], (0, 0), "charm", "a", "b"), "'charm'"),
    ],
)
def test_nothing_to_draw_is_an_error(call, message: str):
    with pytest.raises(PolychromicError, match=message):
        call()
