"""The records of a domain: keys, texts and sources, each against the values that the synthetic compare.json holds."""

import re

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.report import sentences
from polychromic.report.domain_numbers import dev_numbers
from polychromic.report.domain_numbers import test_numbers as numbers_of_test
from polychromic.report.records import Number, unique
from polychromic.report.results import Compare
from polychromic.report.timings import StepCost
from tests.report.synthetic import find, make_benchmarks

COST = StepCost.model_validate(make_benchmarks()["step_cost-listqa.json"])


def on_dev(values: dict) -> dict[str, Number]:
    return unique(dev_numbers(Compare.model_validate(values), COST.model_copy(update={"domain": values["domain"]})))


def on_test(values: dict) -> dict[str, Number]:
    return unique(numbers_of_test(Compare.model_validate(values)))


def test_a_system_value_is_the_chosen_row(compares: dict):
    row = next(s for s in compares["listqa"]["systems"] if s["label"] == "lora" and s["temperature"] == 0.7)
    estimate, found = row["metrics"]["pass@1"], on_dev(compares["listqa"])
    record = found["listqa.lora.pass@1"]
    assert (record.value, record.low, record.high) == (estimate["mean"], estimate["low"], estimate["high"])
    assert record.text == f"{100 * estimate['mean']:.1f}\\,\\%"
    assert (record.n, record.seeds, record.split, record.unit) == (80, (0, 1, 2), "dev", "%")
    assert record.source == "results/listqa/dev/compare.json#systems/lora@T=0.7"
    assert found["listqa.lora.pass@1.ci"].text == f"[{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]"


def test_keys_are_plain_enough_for_latex_and_of_their_split(compares: dict, tested: dict):
    for domain in compares:
        for found, prefix, split in ((on_dev(compares[domain]), domain, "dev"), (on_test(tested[domain]), f"{domain}.test", "test")):
            assert all(re.fullmatch(r"[a-z][A-Za-z0-9_.@-]*", key) and key.startswith(f"{prefix}.") for key in found)
            timed = [key for key in found if ".cost." in key or "equal_cost" in key]
            assert {record.split for key, record in found.items() if key not in timed} == {split}


def test_dev_says_that_it_is_dev(compares: dict):
    found = on_dev(compares["replies"])
    assert found["replies.split"].text == "development" and "development-set results" in found["replies.split.notice"].text
    assert (found["replies.name"].text, found["replies.headline.lambda"].text) == ("social replies", "3")
    assert (found["replies.n_prompts"].text, found["replies.seeds.count"].text) == ("80", "3")


def test_counts_that_differ_between_systems_are_a_span(compares: dict):
    next(s for s in compares["listqa"]["systems"] if s["label"] == "lora" and s["chosen"])["n_prompts"] = 79
    assert on_dev(compares["listqa"])["listqa.n_prompts"].text == "79--80"


def test_a_headline_without_a_weight_is_an_error(compares: dict):
    for system in compares["listqa"]["systems"]:
        system["lambda"] = None
    with pytest.raises(PolychromicError, match=r"dev/compare\.json: the headline 'polychromic' has no lambda"):
        on_dev(compares["listqa"])


def test_no_verdict_without_an_adjusted_p(compares: dict):
    find(compares["listqa"], "polychromic", "lora").update(p_adjusted=None)
    assert not {"listqa.primary.verdict", "listqa.primary.p_adjusted"} & set(on_dev(compares["listqa"]))


@pytest.mark.parametrize(("passed", "expected"), [(True, "non-inferior to"), (False, "not shown to be non-inferior to")])
def test_non_inferiority_word(compares: dict, passed: bool, expected: str):
    find(compares["listqa"], "polychromic", "lora", "pass@1", "chosen").update(non_inferior=passed)
    found = on_dev(compares["listqa"])
    assert (found["listqa.quality.non_inferiority"].text, found["listqa.quality.margin"].text) == (expected, "3.0~points")
    assert found["listqa.quality.rule"].text == "with each at its chosen temperature"


@pytest.mark.parametrize(
    ("values", "expected", "best"),
    [
        ((1.0, 1.1, 1.2, 1.3), "rises at every step of the grid", 10.0),
        ((1.3, 1.2, 1.1, 1.0), "falls at every step of the grid", 0.0),
        ((1, 2, 3, 3), "is not monotone over the grid", 3.0),
    ],
)
def test_trend_and_best_over_lambda(compares: dict, values: tuple, expected: str, best: float):
    for label, value in zip(("lora", "polychromic@0.3", "polychromic", "polychromic@10"), values, strict=True):
        row = next(s for s in compares["listqa"]["systems"] if s["label"] == label and s["temperature"] == 0.85)
        row["metrics"]["valid_distinct@10"]["mean"] = value
    found = on_dev(compares["listqa"])
    assert found["listqa.lambda.valid_distinct@10.trend"].text == expected
    assert found["listqa.lambda.valid_distinct@10.best"].value == best
    assert found["listqa.lambda.valid_distinct@10.best.value"].value == max(values)
    assert (found["listqa.lambda.grid"].text, found["listqa.lambda.temperature"].text) == ("0.3, 3, 10", "0.85")


def test_calibration_of_replies_only(compares: dict):
    texts = {key.rpartition(".")[2]: record.text for key, record in on_dev(compares["replies"]).items() if ".calibration." in key}
    shares = {"within": r"12.5\,\%", "across": r"2.1\,\%", "ceiling": r"11.0\,\%", "floor": r"2.0\,\%"}
    assert texts == shares | {"threshold": "0.314", "n_prompts": "34", "n_replies": "2103"}
    assert not any(".calibration." in key or ".gaming." in key for key in on_dev(compares["listqa"]))


def test_choices_are_counted_and_said(compares: dict):
    values = compares["listqa"]
    found, compare = on_dev(values), Compare.model_validate(values)
    assert found["listqa.tries.count"].value == 13 * 5 and found["listqa.peers.count"].value == 9
    assert found["listqa.grid.kl_to_base.headline"].text == "7.50" and found["listqa.grid.validation_ce.lora"].text == "2.000"
    for key, said in {
        "best_with_checker.sentence": sentences.best_peer(compare, "best_with_checker")[0],
        "best_without_checker.variants.sentence": sentences.variants(compare, "best_without_checker"),
        "grid.recommended.sentence": sentences.recommended(compare),
        "grid.trend.sentence": sentences.trend(compare),
        "cost.headline.sentence": sentences.step_cost(COST, "polychromic"),
        "cost.bar.sentence": sentences.bar(COST, "polychromic"),
        "equal_cost.sentence": sentences.equal_cost(COST, compare),
    }.items():
        assert found[f"listqa.{key}"].text == said, key
    replies = Compare.model_validate(compares["replies"])
    assert on_dev(compares["replies"])["replies.gaming.sentence"].text == sentences.gaming(replies)


# test


def test_records_of_test_name_their_rows(tested: dict):
    found = on_test(tested["listqa"])
    assert found["listqa.test.lora.pass@1"].source == "results/listqa/test/compare.json#systems/lora@T=0.75"
    contrast = "results/listqa/test/compare.json#contrasts/polychromic-lora-valid_distinct@10-matched"
    assert found["listqa.test.primary.delta"].source == found["listqa.test.primary.rule"].source == contrast
    assert found["listqa.test.n_prompts"].source == "results/listqa/test/compare.json#systems"


def test_what_was_opened_is_counted(tested: dict):
    texts = {key.removeprefix("listqa.test."): number.text for key, number in on_test(tested["listqa"]).items()}
    counts = {"systems.count": "13", "n_prompts": "240", "n_samples": "20", "seeds": "0, 1, 2, 3, 4", "seeds.count": "5"}
    counts |= {"runs": "24", "steps": r"3\,360", "machines": r"GPU\_0, torch 2 and a processor"}
    assert {key: texts[key] for key in counts} == counts
    drafts = sum(len(s["seeds"]) * s["n_prompts"] * s["n_samples"] for s in tested["listqa"]["systems"])
    assert texts["drafts"].replace(r"\,", "") == str(drafts)
    assert on_test(tested["creative"])["creative.test.n_prompts"].text == "120"


def test_the_familys_sentences_are_those_of_its_contrasts_with_each_row_as_source(tested: dict):
    found = on_test(tested["listqa"])
    pairs = {
        "peers": ["polychromic-vs-lora_longer", "polychromic-vs-rft_min_p"],
        "variants": ["polychromic_min_p-vs-lora_min_p", "polychromic_long-vs-lora_longer", "polychromic_long_min_p-vs-lora_longer_min_p"],
    }
    for key, names in pairs.items():
        each = [found[f"listqa.test.{name}.valid_distinct@10.matched.sentence"] for name in names]
        assert found[f"listqa.test.{key}.sentences"].text == " ".join(number.text for number in each)
        assert found[f"listqa.test.{key}.sentences"].source == "; ".join(number.source for number in each)
    assert on_test(tested["code"])["code.test.variants.sentences"].text == "No other system is in the primary family."


def test_the_aliases_are_the_headline_against_lora(tested: dict):
    texts = {key: number.text for key, number in on_test(tested["replies"]).items()}
    for field in ("delta", "ci", "by_seed", "clamped_share", "p_adjusted", "verdict"):
        assert texts[f"replies.test.primary.{field}"] == texts[f"replies.test.polychromic-vs-lora.pass@10.matched.{field}"]
    assert texts["replies.test.quality.margin"] == "3.0~points" and "inferior" in texts["replies.test.quality.non_inferiority"]


def test_only_contrasts_of_the_primary_metric_are_said_in_sentences(tested: dict):
    said = {key for key in on_test(tested["code"]) if key.endswith(".sentence")}
    pairs = [(row["a"], row["b"]) for row in tested["code"]["contrasts"] if row["metric"] == "semantic_diversity"]
    expected = {f"code.test.{a}-vs-{b}.valid_distinct@10.{rule}.sentence" for a, b in pairs for rule in ("matched", "chosen")}
    assert said == expected | {"code.test.family.sentence"}
