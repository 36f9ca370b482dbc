"""Figures draw every point of what they are given, in order, and no other; methods look different; the same drawing, the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from polychromic.report import differences, figures, style
from polychromic.report.differences import Effect
from polychromic.report.figures import ELSEWHERE, Point
from polychromic.report.results import Compare, Fields
from polychromic.report.style import CEILING, FLOOR, GREY
from tests.report.synthetic import make_people, measured, parsed


def line(axes, name: str):
    return next(line for line in axes.lines if line.get_label() == name)


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_frontier_draws_quality_against_primary_and_the_others_grey(compare: Compare):
    main, others = figures.frontier_curves(compare)
    assert set(others) == {"polychromic_plain", "lora_long", "some_new_peer", "poly_epo", "polychromic_quarter"}
    figure = figures.frontier(main, others, "pass@1", "valid_distinct@10")
    (axes,) = figure.axes
    rows = compare.by_temperature("lora")
    assert list(line(axes, "LoRA").get_xdata()) == [s.metrics["pass@1"].mean for s in rows]
    assert list(line(axes, "LoRA").get_ydata()) == [s.metrics["valid_distinct@10"].mean for s in rows]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("pass@1 (%) \u2191", "valid distinct@10 \u2191")
    assert [text.get_text() for text in axes.texts] == ["$T$=1", "$T$=0.3"] * 6  # high quality is low temperature here
    assert sum(drawn.get_color() == GREY for drawn in axes.lines) == len(others)
    assert legend(figure) == ["Zero-shot", "Few-shot", "LoRA", "GEM", "Rejection-sampled", "Polychromic", "other methods"]


def test_passk_has_every_k_at_the_chosen_temperature(compare: Compare):
    (axes,) = figures.passk(figures.passk_curves(compare)).axes
    drawn, metrics = line(axes, "Polychromic"), compare.chosen("polychromic").metrics
    assert (list(drawn.get_xdata()), list(drawn.get_ydata())) == ([1, 3, 5, 10], [metrics[f"pass@{k}"].mean for k in (1, 3, 5, 10)])
    assert len(axes.collections) == 6  # one band per method


@pytest.mark.parametrize("cold", [False, True])
def test_ablation_takes_lora_as_reference(compares: dict, cold: bool):
    titles = ["$D$ at $T=1$ \u2191", "valid distinct@10 \u2191", "pass@1 (%) \u2191", "validation CE (nats) \u2193", "KL to base (nats)",
              "reply tokens"]  # fmt: skip
    if cold:  # no D at temperature 1
        kept = [s for s in compares["listqa"]["systems"] if (s["label"], s["temperature"]) != ("polychromic@10", 1)]
        compares["listqa"]["systems"] = kept
    compare = parsed(compares["listqa"])
    shown = [ax for ax in figures.ablation(compare).axes if ax.get_visible()]
    assert [ax.get_title() for ax in shown] == titles[cold:]
    lora = {row.label: row for row in compare.lambda_rows()}["lora"].metrics
    for ax, reference in zip(shown[-5:-2], (lora["valid_distinct@10"].mean, lora["pass@1"].mean, 2.0), strict=True):
        assert list(line(ax, "Polychromic").get_xdata()) == [0.3, 3.0, 10.0]
        assert set(line(ax, r"LoRA ($\lambda=0$)").get_ydata()) == {reference}
    (band,) = shown[-3].patches
    assert (band.get_y(), band.get_height()) == pytest.approx((1.9, 0.2)), "the range over seeds"


def test_cost_against_gain_counts_steps_and_joins_ours_with_other_rollouts(compares: dict):
    cost, compare = measured("step_cost-listqa"), parsed(compares["listqa"])
    figure = figures.cost_gain(cost, compare)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["1", "2", "3", "4", "5"]
    assert legend(figure) == ["1  LoRA", "2  LoRA, more steps", "3  Rejection-sampled", "4  Polychromic, quarter", "5  Polychromic"]
    assert list(axes.lines[0].get_xdata()) == [1.18, 1.3], "ours, in the order of cost"
    marks = [(text.xy[0], text.xy[1]) for text in axes.texts]
    assert [x for x, _ in marks] == pytest.approx([0.95, 1.25 * 0.95, 1.1, 1.18, 1.3])
    assert marks[4][1] == compare.chosen("polychromic").metrics["valid_distinct@10"].mean
    compares["listqa"]["methods"]["polychromic_quarter"]["trains_like"] = "polychromic"
    shown = legend(figures.cost_gain(cost, parsed(compares["listqa"])))
    assert not any("quarter" in name for name in shown), "another decoding is no other cost"


def test_training_leaves_out_what_a_method_does_not_have(compare: Compare):
    figure = figures.training(compare)
    objective, cross_entropy = figure.axes
    assert legend(figure) == ["LoRA", "GEM", "Rejection-sampled", "Polychromic"]
    assert [drawn.get_label() for drawn in objective.lines] == ["Polychromic"] and len(cross_entropy.lines) == 4
    assert list(objective.lines[0].get_ydata())[:2] == pytest.approx([0.102, 0.108])


@pytest.mark.parametrize(("rates", "x", "y"), [
    ([0.0, 0.2, 0.2, 0.5, 1.0], [0, 0.2, 0.5, 1.0], [0.8, 0.8, 0.4, 0.2]),  # steps where a prompt is no longer solved
    ([0.4] * 5, [0, 0.4, 1.0], [1, 1, 0]),  # no prompt is always solved
    ([[0.0, 0.5], [0.5, 1.0]], [0, 0.5, 1.0], [0.75, 0.75, 0.25]),  # the mean over seeds
    ([0.0, 0.0], [0, 1.0], [0, 0]),
])  # fmt: skip
def test_cover_steps_down_and_its_area_is_the_mean_rate(rates, x, y):
    drawn = line(figures.cover({"lora": rates}).axes[0], "LoRA")
    assert (list(drawn.get_xdata()), list(drawn.get_ydata())) == (pytest.approx(x), pytest.approx(y))
    assert drawn.get_drawstyle() == "steps-pre"
    assert np.diff(x) @ np.array(drawn.get_ydata())[1:] == pytest.approx(np.mean(rates)), "integral of P(p >= tau) over tau"


def test_person_draws_people_and_systems_and_the_floor_of_each():
    figure = figures.person(Fields(make_people(), "people"))
    (axes,) = figure.axes
    assert legend(figure) == [CEILING, FLOOR, "Zero-shot", "Few-shot", "LoRA", "Polychromic", ELSEWHERE]
    assert axes.get_ylabel() == "human recall@$k$ (% of people) \u2191" and list(axes.xaxis.get_majorticklocs()) == [1, 3, 5, 10]
    dotted = {drawn.get_color(): drawn for drawn in axes.lines if drawn.get_label().startswith("_")}
    levels = {CEILING: 0.012, FLOOR: 0.0024, "LoRA": 0.008, "Polychromic": 0.009, "Zero-shot": 0.006}
    for name, level in levels.items():
        own = line(axes, name)
        assert (list(own.get_xdata()), list(own.get_ydata())) == ([1, 3, 5, 10], pytest.approx([level * k for k in (1, 3, 5, 10)])), name
        if name not in (CEILING, FLOOR):
            floor = dotted[own.get_color()]
            assert list(floor.get_ydata()) == pytest.approx([level / 5 * k for k in (1, 3, 5, 10)])
            assert floor.get_marker() == "None" and floor.get_linewidth() < own.get_linewidth() and floor.is_dashed(), "without its colour"
    assert len(dotted) == 4 and len(axes.collections) == 6, "a floor per system, a band per curve"
    top, bottom = (line(axes, name) for name in (CEILING, FLOOR))
    assert len(set(to_rgb(top.get_color()))) == len(set(to_rgb(bottom.get_color()))) == 1 and top.is_dashed() != bottom.is_dashed(), "grey"


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
    assert list(primary.lines[0].get_ydata()) == list(axes.get_yticks()[:2])
    assert axes.texts[1].get_text() == "\u22120.20 [\u22120.40, +0.10]" and axes.yaxis_inverted()
    assert legend(figure) == ["primary", "secondary"]
    for attribute in ("get_color", "get_marker", "get_markerfacecolor"):
        assert getattr(primary.lines[0], attribute)() != getattr(secondary.lines[0], attribute)()
    assert differences.forest(EFFECTS[:1]).legends == [], "one family needs no legend"
    assert differences.forest(EFFECTS * 7).get_figheight() > figure.get_figheight() + 3, "it grows with its rows"


def test_effects_are_in_units_of_the_sd_and_of_declared_and_main_pairs(compare: Compare):
    found = Effect.scaled("x", 0.2, 0.1, 0.3, 0.5, "primary")  # delta .2 with d_z .5: the sd is .4
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.25, 0.75))
    assert Effect.scaled("x", 0.0, 0.0, 0.0, 0.0, "primary") == Effect("x", 0.0, 0.0, 0.0, "primary")
    assert Effect.scaled("x", 0.2, 0.1, 0.3, None, "primary") is None and Effect.scaled("x", 0.0, -0.1, 0.1, 0.0, "primary") is None
    rows = differences.effects(compare)
    assert list(dict.fromkeys(row.family for row in rows)) == ["valid distinct@10", "pass@1"]
    names = {row.label for row in rows}
    assert "Polychromic \u2212 LoRA" in names and not any("Plain" in name for name in names)


def test_gains_show_each_declared_pair_under_its_rule_with_its_seeds_the_primary_family_first(on_test: Compare, tested: dict):
    figure = differences.gains(on_test)
    (axes,) = figure.axes
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert len(names) == len(set(names)) == 12
    assert names[:2] == ["Polychromic \u2212 LoRA", "Polychromic \u2212 LoRA, 2.8 times the steps"]
    assert names[5] == "Polychromic, twice the steps, min-p\n\u2212 LoRA, 2.8 times the steps, min-p"
    primary, secondary = (container.lines[0] for container in axes.containers)
    assert set(legend(figure)) == {"primary family", "secondary"}
    assert primary.get_markerfacecolor() != secondary.get_markerfacecolor() == "white"
    assert (list(primary.get_ydata()), list(secondary.get_ydata())) == ([*range(6)], [*range(6, 12)])
    for place, one in enumerate(sorted(on_test.declared, key=lambda one: one.family != "primary")):
        found = on_test.contrast(one.a, one.b, on_test.primary, one.rule)
        assert [*primary.get_xdata(), *secondary.get_xdata()][place] == found.delta
        (ticks,) = [drawn for drawn in axes.lines if drawn.get_marker() == "|" and list(drawn.get_ydata()) == [place + 0.28] * 3]
        assert list(ticks.get_xdata()) == found.delta_by_seed
    share = parsed(tested["replies"])
    (axes,) = differences.gains(share).axes
    assert "pass@10 (points)" in axes.get_xlabel()
    assert axes.containers[0].lines[0].get_xdata()[0] == pytest.approx(100 * share.gain().delta)


def test_differences_are_sorted_and_counted():
    figure = differences.differences([0.2, -0.1, 0.0, 0.5, 0.0], (-0.05, 0.3), "pass@1", "polychromic", "lora")
    (axes,) = figure.axes
    higher, lower, equal = (line(axes, name) for name in ("Polychromic higher (2)", "LoRA higher (1)", "equal (2)"))
    assert (list(higher.get_xdata()), list(higher.get_ydata())) == ([4, 5], [0.2, 0.5])
    assert (list(lower.get_xdata()), list(lower.get_ydata())) == ([1], [-0.1])
    assert list(equal.get_xdata()) == [2, 3]
    assert list(line(axes, "mean +12.0 [\u22125.0, +30.0]").get_ydata()) == pytest.approx([0.12, 0.12])
    (band,) = [patch for patch in axes.patches if patch.get_height() == pytest.approx(0.35)]
    assert band.get_y() == pytest.approx(-0.05) and axes.get_ylabel() == "difference in\npass@1 (points)"
    figure = differences.differences([1.0, 0.4], (0.4, 1.0), "valid_distinct@10", "polychromic", "lora")
    assert figure.axes[0].get_ylabel() == "difference in\nvalid distinct@10" and "mean +0.70 [+0.40, +1.00]" in legend(figure)


def test_methods_that_are_shown_differ_in_colour_marker_and_line():
    distinct = lambda shown: [len({getattr(look, field) for look in shown}) for field in ("color", "marker", "line")]
    known = style.looks([*style.LOOKS, *(f"peer-{place}" for place in range(5))])
    assert distinct(known.values())[0] == 9, "no colour of a baseline that is shown while there are others"
    assert style.looks(["lora", "b"])["lora"] == known["lora"], "a baseline looks the same in every figure"
    assert distinct(style.looks([*style.LOOKS, "a_peer", "another"]).values()) == [6, 6, 6]
    unknown = list(style.looks([f"mine-{place}" for place in range(30)]).values())
    assert distinct(unknown[:9]) == [9, 9, 9] and len({(look.marker, look.line) for look in unknown}) == 30, "in grey, too"
    assert [look.color for look in unknown] == [unknown[place % 9].color for place in range(30)], "colours come round in one order"
    assert {look.color for look in unknown} <= set(style.TOL[:9]), "Paul Tol's, without the pale grey"


@pytest.mark.parametrize("suffix", ["pdf", "svg"])
def test_the_same_drawing_gives_the_same_bytes(tmp_path: Path, suffix: str):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        style.save(figures.passk({"lora": [Point(1, 0.1, 0.0, 0.2), Point(3, 0.2, 0.1, 0.3)]}), tmp_path / folder / f"x.{suffix}")
    drawn = (tmp_path / f"a/x.{suffix}").read_bytes()
    assert drawn == (tmp_path / f"b/x.{suffix}").read_bytes() and b"CreationDate" not in drawn
    assert suffix == "svg" or (b"/Subtype /Type3" not in drawn and b"/FontFile2" in drawn)
