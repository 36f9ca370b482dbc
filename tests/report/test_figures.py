"""Figures draw every point of what they are given, in order, and no other; methods look different; the same drawing, the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from polychromic.report import differences, figures, style
from polychromic.report.differences import Effect
from polychromic.report.figures import NOTHING, Point
from polychromic.report.results import Compare
from polychromic.report.style import GREY
from tests.report.synthetic import DOMAINS, make, parsed


def line(axes, name: str):
    return next(line for line in axes.lines if line.get_label() == name)


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def drawn(axes, x, y) -> bool:
    """Whether a line has exactly these points."""
    return any(np.array_equal(line.get_xdata(), x) and np.array_equal(line.get_ydata(), y) for line in axes.lines)


def said(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_fronts_have_curves_and_marks_of_the_main_systems_in_colour_and_the_others_in_grey(compare: Compare):
    figure = figures.fronts(compare)
    everything, zoom = figure.axes
    for label in ("lora", "polychromic", "poly_epo", "lora_4c"):
        front = compare.fronts[label]
        for axes in (everything, zoom):
            assert drawn(axes, front.quality, front.value) and drawn(axes, front.curve.quality, front.curve.value)
    front = compare.fronts["zero_shot"]
    assert drawn(everything, front.quality, front.value) and not drawn(zoom, front.quality, front.value)
    others = [label for label in compare.labels() if label not in compare.main_labels()]
    assert [sum(line.get_color() == GREY for line in axes.lines) for axes in figure.axes] == [len(others)] * 2
    names = ["Zero-shot ($T=1$)", "LoRA, 4C ($T=1$)", "Poly-EPO ($T=1.2$)", "Polychromic ($T=1.2$)", "other methods"]
    assert set(names) <= set(legend(figure)) and len(legend(figure)) == len(compare.main_labels()) + 1
    assert (zoom.get_xlabel(), zoom.get_ylabel()) == ("pass@1 (%) \u2191", "coverage@10 \u2191")
    system, crosses = compare.chosen_system("polychromic").metrics, [path for bars in zoom.containers for path in bars.lines[2]]
    ends = {tuple(np.round(segment.ravel(), 9)) for bars in crosses for segment in bars.get_segments()}
    x, y = system["pass@1"], system["coverage@10"]
    assert tuple(np.round([x.low, y.mean, x.high, y.mean], 9)) in ends and tuple(np.round([x.mean, y.low, x.mean, y.high], 9)) in ends


def test_notes_cover_neither_each_other_nor_leave_the_axes(compare: Compare):
    figure = figures.fronts(compare)
    boxes = [text.get_window_extent() for text in figure.axes[1].texts]
    assert sorted(said(figure.axes[1])) == ["$T=0.4$", "$T=0.4$", "$T=1.4$", "$T=1.4$"] and said(figure.axes[0]) == []
    assert not any(a.overlaps(b) for place, a in enumerate(boxes) for b in boxes[:place])


def test_budgets_join_what_differs_in_cost_alone(compare: Compare):
    figure = figures.budgets(compare)
    primary, quality = figure.axes
    assert legend(figure)[0] == "LoRA" and set(legend(figure)) >= {"Polychromic", "GEM", "Rejection-sampled"}
    assert primary.get_xscale() == "log"
    for axes, metric in ((primary, "coverage@10"), (quality, "pass@1")):
        ours = line(axes, "Polychromic")
        labels = ["polychromic_1c", "polychromic_2c", "polychromic"]
        assert list(ours.get_ydata()) == [compare.chosen_system(label).metrics[metric].mean for label in labels]
        assert np.diff(np.log2(ours.get_xdata())) == pytest.approx([1, 1])
    assert [said(axes) for axes in figures.budgets(parsed(make("creative"))).axes] == [[NOTHING]] * 2, "no FLOPs were counted"


def test_doses_begin_with_lora(compare: Compare):
    policy, primary = figures.doses(compare).axes
    rows = [("lora", 0.0), ("polychromic_1c", 80.0), ("polychromic_2c", 160.0), ("polychromic", 320.0)]
    sets = [x for _, x in rows]
    assert drawn(policy, sets, [compare.at(label, 1.0).metrics.objective.mean for label, _ in rows])
    assert drawn(primary, sets, [compare.chosen_system(label).metrics["coverage@10"].mean for label, _ in rows])


def test_gaming_sets_the_held_out_judge_beside_trainings_side(compare: Compare):
    figure = figures.gaming(compare)
    assert legend(figure) == ["training's side", "held-out judge"] and len(figure.axes) == 6
    labels = ("lora", "polychromic@0.3", "polychromic", "polychromic@10.0")
    at = lambda name: [compare.chosen_system(label).metrics[name].mean for label in labels]
    for axes, names in zip(figure.axes, (("quality", "held_out_quality"), ("coverage@10", "held_out_coverage@10")), strict=False):
        assert all(drawn(axes, [0.0, 0.3, 3.0, 10.0], at(name)) for name in names)
    assert drawn(figure.axes[2], [0.0, 0.3, 3.0, 10.0], [row.validation_ce for row in compare.selection.lam.rows])
    assert drawn(figure.axes[5], [0.0, 80.0, 160.0, 320.0], [2.01, *(row.validation_ce for row in compare.selection.doses)])
    assert legend(figures.gaming(parsed(make("creative")))) == ["training's side"], "a domain without such a judge"


@pytest.mark.parametrize(("domain", "name", "last"), [("listqa", "training FLOPs ($10^{14}$)", 8), ("creative", "training step", 80)])
def test_training_is_against_what_was_counted(domain: str, name: str, last: float):
    compare = parsed(make(domain))
    ce, d, _, clipped = figures.training(compare).axes
    ours = line(ce, "Polychromic")
    assert ce.get_xlabel() == name and 0.9 * last < max(ours.get_xdata()) <= last and len(ours.get_xdata()) == figures.WINDOWS
    assert np.mean(ours.get_ydata()) == pytest.approx(np.mean([row.ce for row in compare.histories["polychromic"]]), rel=0.02)
    for axes in (d, clipped):
        assert {drawn.get_label() for drawn in axes.lines} == {"Polychromic", "Poly-EPO"}, "what has a D"


def test_all_primary_contrasts_in_a_panel_per_domain():
    compares = [parsed(make(domain, "test")) for domain in DOMAINS]
    figure = differences.primary(compares)
    for axes, compare in zip(figure.axes, compares, strict=True):
        rows = [c for c in compare.contrasts if c.family == "primary"]
        assert len(axes.get_yticklabels()) == len(rows) and compare.domain_name[1:] in axes.get_title(loc="left")
        assert [bars.lines[0].get_xdata()[0] for bars in axes.containers] == [c.delta for c in rows if c.delta is not None]
        assert len(said(axes)) == len(rows)
    assert " no match" in said(figure.axes[3]) and not any("no match" in text for text in said(figure.axes[0]))
    assert said(figure.axes[0])[0].startswith("+0.3") and "p = .0" in said(figure.axes[0])[0]


def test_of_one_seed_the_headlines_fronts_stand_in_place_of_the_primary_family():
    document = make("listqa")
    document["contrasts"] = [row | {"family": "secondary"} for row in document["contrasts"]]
    found = parsed(document).deciding()
    assert [(c.a, c.rule) for c in found] == [("polychromic", "front")] * len(found) and "lora" in {c.b for c in found}
    assert len(said(differences.primary([parsed(document)]).axes[0])) == len(found)


def test_passk_has_every_k_with_its_band():
    curves = {"lora": [Point(1, 0.1, 0.0, 0.2), Point(3, 0.2, 0.1, 0.3)]}
    (axes,) = figures.passk(curves).axes
    assert drawn(axes, [1, 3], [0.1, 0.2]) and len(axes.collections) == 1


def test_a_frontier_of_own_systems_has_its_notes_at_the_ends():
    points = [Point(0.2, 1.0, 0.9, 1.1, 0.1, 0.3, "0.5"), Point(0.1, 1.5, 1.4, 1.6, 0.0, 0.2, "1")]
    points.append(Point(0.05, 1.4, 1.3, 1.5, 0.0, 0.1, "2"))
    (axes,) = figures.frontier({"mine": points, "other": [Point(0.3, 1, 0.9, 1.1)]}, "pass@1", "valid_distinct@10").axes
    assert drawn(axes, [0.2, 0.1, 0.05], [1.0, 1.5, 1.4]) and sorted(said(axes)) == ["$T$=0.5", "$T$=2"]


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
