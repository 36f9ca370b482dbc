"""Figures get every point of compare.json, in order, and no other."""

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.report import points
from polychromic.report.results import Compare
from polychromic.report.timings import StepCost
from tests.report.synthetic import make_benchmarks


def test_the_frontier_has_every_temperature_and_tells_the_main_systems_from_the_others(compare: Compare, on_test: Compare):
    main, others = points.frontier_curves(compare)
    assert list(main) == ["zero_shot", "few_shot", "lora", "gem", "rft", "polychromic"]
    assert set(others) == {"polychromic_plain", "lora_long", "some_new_peer", "poly_epo", "polychromic_quarter"}
    main, others = points.frontier_curves(on_test)
    assert set(main) == {"zero_shot", "few_shot", "lora", "lora_longer", "rft_min_p", "polychromic"}, "baselines and the best peers"
    assert main.keys() | others.keys() == set(on_test.method_labels()) and not main.keys() & others.keys()
    assert [point.note for point in main["lora"]] == ["0.2", "0.35", "0.5", "0.75"]
    first, value = main["zero_shot"][0], on_test.chosen("zero_shot").metrics
    assert (first.x, first.y) == (value["pass@1"].mean, value["valid_distinct@10"].mean)


def test_passk_and_pass_rates_are_at_the_chosen_temperature(compare: Compare):
    curve = points.passk_curves(compare)["polychromic"]
    metrics = compare.chosen("polychromic").metrics
    assert [(point.x, point.y) for point in curve] == [(k, metrics[f"pass@{k}"].mean) for k in (1, 3, 5, 10)]
    assert points.pass_rates(compare)["lora"] == compare.profiles["lora"]["pass@1"]


def test_lambda_panels_begin_with_lora(compare: Compare):
    panels = points.lambda_panels(compare)
    assert [panel.title for panel in panels] == [
        "$D$ at $T=1$ \u2191", "valid distinct@10 \u2191", "pass@1 (%) \u2191", "validation CE (nats) \u2193", "KL to base (nats)",
        "reply tokens",
    ]  # fmt: skip
    assert all([point.x for point in panel.points] == [0.0, 0.3, 3.0, 10.0] for panel in panels)
    assert (panels[3].points[0].y, panels[3].points[0].y_low, panels[3].points[0].y_high) == (2.0, 1.9, 2.1), "the range over seeds"


def test_without_temperature_one_there_is_no_panel_of_d(compare: Compare):
    colder = compare.model_copy(update={"systems": [s for s in compare.systems if s.temperature != 1 or s.label != "polychromic@10"]})
    assert [panel.title for panel in points.lambda_panels(colder)][0] == "valid distinct@10 \u2191"


def test_forest_rows_are_of_declared_and_main_pairs_at_chosen_temperatures(compare: Compare):
    rows = points.forest_rows(compare)
    assert {row.family for row in rows} == {"valid distinct@10", "pass@1"} and rows[0].family == "valid distinct@10"
    labels = {row.label for row in rows}
    assert "Polychromic \u2212 LoRA" in labels and not any("Plain" in label for label in labels)


def test_gains_show_each_declared_pair_once_under_its_rule_the_primary_family_first(on_test: Compare):
    rows = points.gain_rows(on_test)
    assert [row.primary for row in rows] == [True] * 6 + [False] * 6
    assert [row.label for row in rows[:2]] == ["Polychromic \u2212 LoRA", "Polychromic \u2212 LoRA, 2.8 times the steps"]
    assert rows[5].label == "Polychromic, twice the steps, min-p\n\u2212 LoRA, 2.8 times the steps, min-p"
    shown = {row.label: row for row in rows}
    assert len(shown) == 12
    rules = {"LoRA \u2212 Zero-shot": ("lora", "zero_shot", "chosen"), "Rejection-sampled \u2212 LoRA": ("rft", "lora", "matched")}
    for label, (a, b, rule) in rules.items():
        found = on_test.contrast(a, b, on_test.primary, (rule,))
        assert (shown[label].delta, shown[label].low, list(shown[label].by_seed)) == (found.delta, found.low, found.delta_by_seed), label


def test_cost_counts_steps_and_a_line_joins_other_rollouts(compare: Compare):
    cost = StepCost.model_validate(make_benchmarks()["step_cost-listqa.json"])
    found = points.cost_points(cost, compare)
    assert list(found) == ["lora", "lora_long", "rft", "polychromic_quarter", "polychromic"]
    assert {label for label, (_, ours) in found.items() if ours} == {"polychromic", "polychromic_quarter"}
    assert found["lora_long"][0].x == pytest.approx(1.25 * 0.95) and found["rft"][0].x == 1.1
    assert found["polychromic"][0].y == compare.chosen("polychromic").metrics["valid_distinct@10"].mean
    same = compare.methods["polychromic_quarter"].model_copy(update={"trains_like": "polychromic"})
    other = compare.model_copy(update={"methods": compare.methods | {"polychromic_quarter": same}})
    assert "polychromic_quarter" not in points.cost_points(cost, other), "another decoding is no other cost"


def test_training_leaves_out_what_a_method_does_not_have(compare: Compare):
    objective, cross_entropy = points.training_panels(compare)
    assert set(objective[1]) == {"polychromic"}
    assert set(cross_entropy[1]) == {"gem", "lora", "rft", "polychromic"}, "of the methods that the main figures show"
    assert objective[1]["polychromic"][:2] == [(1, pytest.approx(0.102)), (4, pytest.approx(0.108))]
    with pytest.raises(PolychromicError, match="no history has objective_mean"):
        points.training_panels(compare.model_copy(update={"histories": {}}))
