"""The records: pulled by the manuscript's keys, each against the values that the synthetic documents hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.base.io import write_json
from polychromic.params import load_params
from polychromic.report import sentences
from polychromic.report.audit import Audit, sentence
from polychromic.report.domain_numbers import dev_numbers, people_numbers
from polychromic.report.domain_numbers import test_numbers as numbers_of_test
from polychromic.report.numbers import asked, groups
from polychromic.report.records import Number, Use, unique, uses
from polychromic.report.results import Fields
from tests.report.synthetic import REPOSITORY, find, make_benchmarks, make_people, measured, parsed

PARAMS = load_params(REPOSITORY / "params.yaml").model_dump(mode="json", by_alias=True)
COST = measured("step_cost-listqa")


def on_dev(values: dict) -> dict[str, Number]:
    return unique(dev_numbers(parsed(values), COST))


def on_test(values: dict) -> dict[str, Number]:
    return unique(numbers_of_test(parsed(values)))


def texts(*keys: str) -> dict[str, str]:
    return {record.key: record.text for record in asked([Use(key, "main.tex", 1) for key in keys], PARAMS)[0]}


def test_only_what_is_asked_for_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    wanted = {"setup.lambda": "3", "setup.analysis.margin.percent": r"3\,\%", "setup.alpha": "0.05", "setup.seeds": "0, 1, 2"}
    wanted |= {"setup.train.learning_rate": r"\ensuremath{5\times 10^{-4}}", "setup.methods.lora.lam": "none"}
    wanted["setup.model.name"] = " ".join(PARAMS["model"][key] for key in ("package", "version"))
    assert texts(*wanted) == wanted
    with pytest.raises(PolychromicError, match=r"audit\.json: file not found"):
        texts("audit.sentence")


def test_every_key_that_nothing_makes_is_named_with_its_place_and_the_nearest(workspace: Path):
    asks = [Use("listqa.primary.verdct", "paper/main.tex", 7), Use("nothing.at.all", "paper/main.tex", 9), Use("setup.lambda", "x", 1)]
    with pytest.raises(PolychromicError) as error:
        asked(asks, PARAMS)
    first, second, remedy = str(error.value).splitlines()
    assert first.startswith(r"paper/main.tex:7: \num{listqa.primary.verdct} is no record. Nearest: listqa.primary.verdict, ")
    assert second.startswith(r"paper/main.tex:9: \num{nothing.at.all} is no record. Nearest: setup.…, ") and "listqa.…" in second
    assert remedy.startswith("Correct the key in the text")


def test_the_committed_manuscript_asks_for_groups_that_exist():
    assert {use.key.partition(".")[0] for use in uses(REPOSITORY / "paper")} <= set(groups(PARAMS))


def test_what_is_about_no_single_domain(workspace: Path):
    expected = {
        "cost.device": r"a CPU\_with \& marks", "sampler.device": r"a CPU\_with \& marks", "cost.steps": "50", "gradient.draws": "64",
        "gradient.objective": "coverage", "designs.coverage.low": r"94.0\,\%", "designs.coverage.high": r"96.2\,\%",
        "designs.false_positives": r"5.0\,\%", "designs.pooled.false_positives": r"41.0\,\%",
    }  # fmt: skip
    assert texts(*expected) == expected
    (audited, designs, summary), _ = asked([Use(f"{name}.sentence", "main.tex", 1) for name in ("audit", "designs", "summary")], PARAMS)
    assert designs.text.startswith("With 300 prompts, a difference of 1.5 points") and audited.text.startswith("Of the 57 cells")
    assert summary.source == "; ".join(f"results/{domain}/test/compare.json" for domain in PARAMS["domains"])


def test_what_the_results_took(workspace: Path, compares: dict):
    """Of code: LoRA, rejection sampling, which was not timed and counts as LoRA, and Polychromic with three weights; 3 seeds, 100 steps."""
    benchmark = make_benchmarks()["step_cost-listqa.json"]
    seconds = {name: benchmark["variants"][name]["mean_seconds"] for name in ("lora", "polychromic")}
    del benchmark["variants"]["rft"]
    write_json("benchmarks/results/step_cost-code.json", benchmark | {"domain": "code"})
    found = unique(groups(PARAMS | {"domains": ["listqa", "code"]})["compute"]())
    tokens = sum(len(row["seeds"]) * 80 * 20 * row["metrics"]["tokens"]["mean"] for row in compares["code"]["systems"])
    hours = 300 * (2 * seconds["lora"] + 3 * seconds["polychromic"]) / 3600
    expected = {"systems": 14, "runs": 15, "steps": 1500, "drafts": 34 * 80 * 20, "tokens": tokens, "hours": hours}
    for field, value in expected.items():
        assert found[f"compute.code.{field}"].value == pytest.approx(value)
        assert found[f"compute.{field}"].value == pytest.approx(value + found[f"compute.listqa.{field}"].value)
    assert found["compute.code.drafts"].text == r"54\,400" and found["compute.tokens"].text.endswith(" million")


ONE, TWO = r"one was run again with an empty cache on A\_B", r"2 were run again with an empty cache on A\_B"
FEWER = "in a precision that it computes at a fair speed"


def cell(**changes) -> dict:
    base = {"stage": "lora@listqa-lora", "kind": "cell", "commit": "abc", "cpu": "A_B", "compared": "bytes", "equal": True, "minutes": 1.0}
    return base | {"outs": []} | changes


@pytest.mark.parametrize(("cells", "text"), [
    ([], "none has been run again for these records."),
    ([cell(kind="stage")], "none has been run again for these records."),
    ([cell(among=57)], f"{ONE}; 1 of 1 gave the same bytes."),
    ([cell(among=5)], f"{ONE} (drawn from the 5 {FEWER}); 1 of 1 gave the same bytes."),
    ([cell(compared="intervals", equal=False)], f"{ONE}; 0 of 1 had all metric means within the reported intervals."),
    ([cell(), cell(stage="b", cpu="C")], f"{TWO} and C; all gave the same bytes."),
    ([cell(), cell(stage="b", equal=False)], f"{TWO}; 1 of 2 gave the same bytes."),
    ([cell(stage="b"), cell(among=5, compared="intervals", cpu="C")], f"{TWO} and C (1 of them drawn from the 5 {FEWER}); 1 of 1 gave the "
     "same bytes and 1 of 1 had all metric means within the reported intervals."),
])  # fmt: skip
def test_what_is_said_of_cells_that_ran_again_follows_the_record(cells, text):
    assert sentence(Audit.model_validate({"population": 57, "cells": cells})) == f"Of the 57 cells that train or sample, {text}"


# of a domain, on dev


def test_a_system_value_is_the_chosen_row(compares: dict):
    row = next(s for s in compares["listqa"]["systems"] if s["label"] == "lora" and s["temperature"] == 0.7)
    (mean, low, high, _), found = row["metrics"]["pass@1"].values(), on_dev(compares["listqa"])
    about = ("%", low, high, 80, (0, 1, 2), "dev", "results/listqa/dev/compare.json#systems/lora@T=0.7")
    assert found["listqa.lora.pass@1"] == Number("listqa.lora.pass@1", mean, rf"{100 * mean:.1f}\,\%", *about)
    assert found["listqa.lora.pass@1.ci"].text == f"[{100 * low:.1f}, {100 * high:.1f}]"


def test_keys_are_plain_enough_for_latex_and_of_their_split(compares: dict, tested: dict):
    for domain in compares:
        for found, prefix, split in ((on_dev(compares[domain]), domain, "dev"), (on_test(tested[domain]), f"{domain}.test", "test")):
            assert all(re.fullmatch(r"[a-z][A-Za-z0-9_.@-]*", key) and key.startswith(f"{prefix}.") for key in found)
            timed = [key for key in found if ".cost." in key or "equal_cost" in key]
            assert {record.split for key, record in found.items() if key not in timed} == {split}


def test_dev_says_that_it_is_dev_and_replies_have_their_calibration(compares: dict):
    found = {key.removeprefix("replies."): record.text for key, record in on_dev(compares["replies"]).items()}
    assert [found[key] for key in ("name", "headline.lambda", "n_prompts", "seeds.count")] == ["social replies", "3", "80", "3"]
    assert found["split"] == "development" and "development-set results" in found["split.notice"]
    shown = {key.rpartition(".")[2]: text.removesuffix(r"\,\%") for key, text in found.items() if key.startswith("calibration.")}
    counts = {"threshold": "0.314", "n_prompts": "34", "n_replies": "2103"}
    assert shown == counts | {"within": "12.5", "across": "2.1", "ceiling": "11.0", "floor": "2.0"} and "gaming.sentence" in found
    assert not any(".calibration." in key or ".gaming." in key for key in on_dev(compares["listqa"]))
    find(compares["replies"], "polychromic", "lora").update(p_adjusted=None)
    assert not {"replies.primary.verdict", "replies.primary.p_adjusted"} & set(on_dev(compares["replies"])), "no verdict without a p"


@pytest.mark.parametrize(("passed", "expected"), [(True, "non-inferior to"), (False, "not shown to be non-inferior to")])
def test_non_inferiority_word(compares: dict, passed: bool, expected: str):
    find(compares["listqa"], "polychromic", "lora", "pass@1", "chosen").update(non_inferior=passed)
    found = on_dev(compares["listqa"])
    assert (found["listqa.quality.non_inferiority"].text, found["listqa.quality.margin"].text) == (expected, "3.0~points")
    assert found["listqa.quality.rule"].text == "with each at its chosen temperature"


@pytest.mark.parametrize(("values", "expected", "best"), [
    ((1.0, 1.1, 1.2, 1.3), "rises at every step of the grid", 10.0),
    ((1.3, 1.2, 1.1, 1.0), "falls at every step of the grid", 0.0),
    ((1, 2, 3, 3), "is not monotone over the grid", 3.0),
])  # fmt: skip
def test_trend_and_best_over_lambda(compares: dict, values: tuple, expected: str, best: float):
    for label, value in zip(("lora", "polychromic@0.3", "polychromic", "polychromic@10"), values, strict=True):
        row = next(s for s in compares["listqa"]["systems"] if s["label"] == label and s["temperature"] == 0.85)
        row["metrics"]["valid_distinct@10"]["mean"] = value
    found = on_dev(compares["listqa"])
    assert found["listqa.lambda.valid_distinct@10.trend"].text == expected
    assert found["listqa.lambda.valid_distinct@10.best"].value == best
    assert found["listqa.lambda.valid_distinct@10.best.value"].value == max(values)
    assert (found["listqa.lambda.grid"].text, found["listqa.lambda.temperature"].text) == ("0.3, 3, 10", "0.85")


def test_choices_are_counted_and_said(compares: dict):
    found, compare = on_dev(compares["listqa"]), parsed(compares["listqa"])
    assert found["listqa.tries.count"].value == 13 * 5 and found["listqa.peers.count"].value == 9
    assert found["listqa.grid.kl_to_base.headline"].text == "7.50" and found["listqa.grid.validation_ce.lora"].text == "2.000"
    said = {
        "best_with_checker": sentences.best_peer(compare, "best_with_checker")[0], "grid.recommended": sentences.recommended(compare),
        "best_without_checker.variants": sentences.variants(compare, "best_without_checker"), "grid.trend": sentences.trend(compare),
        "cost.headline": sentences.step_cost(COST, "polychromic")[0], "cost.bar": sentences.step_cost(COST, "polychromic")[1],
        "equal_cost": sentences.equal_cost(COST, compare),
    }  # fmt: skip
    assert {key: found[f"listqa.{key}.sentence"].text for key in said} == said


# on test


def test_what_was_opened_is_counted_and_records_name_their_rows(tested: dict):
    found = {key.removeprefix("listqa.test."): number for key, number in on_test(tested["listqa"]).items()}
    counts = {"systems.count": "13", "n_prompts": "240", "n_samples": "20", "seeds": "0, 1, 2, 3, 4", "seeds.count": "5"}
    counts |= {"runs": "24", "steps": r"3\,360", "machines": r"GPU\_0, torch 2 and a processor"}
    assert {key: found[key].text for key in counts} == counts
    assert found["drafts"].value == sum(len(s["seeds"]) * s["n_prompts"] * s["n_samples"] for s in tested["listqa"]["systems"])
    assert on_test(tested["creative"])["creative.test.n_prompts"].text == "120"
    contrast = "contrasts/polychromic-lora-valid_distinct@10-matched"
    rows = {"lora.pass@1": "systems/lora@T=0.75", "n_prompts": "systems", "primary.delta": contrast, "primary.rule": contrast}
    assert {key: found[key].source for key in rows} == {key: f"results/listqa/test/compare.json#{row}" for key, row in rows.items()}


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
    found = on_test(tested["code"])
    assert found["code.test.variants.sentences"].text == "No other system is in the primary family."
    pairs = [(row["a"], row["b"]) for row in tested["code"]["contrasts"] if row["metric"] == "semantic_diversity"]
    expected = {f"code.test.{a}-vs-{b}.valid_distinct@10.{rule}.sentence" for a, b in pairs for rule in ("matched", "chosen")}
    assert {key for key in found if key.endswith(".sentence")} == expected | {"code.test.family.sentence"}, "of the primary metric alone"


def test_the_aliases_are_the_headline_against_lora(tested: dict):
    found = {key: number.text for key, number in on_test(tested["replies"]).items()}
    for field in ("delta", "ci", "by_seed", "clamped_share", "p_adjusted", "verdict"):
        assert found[f"replies.test.primary.{field}"] == found[f"replies.test.polychromic-vs-lora.pass@10.matched.{field}"]
    assert found["replies.test.quality.margin"] == "3.0~points" and "inferior" in found["replies.test.quality.non_inferiority"]


# beside people


def beside_people(**changes) -> dict[str, Number]:
    return unique(people_numbers(Fields(make_people() | changes, "results/replies/calibration/compare.json"), "polychromic"))


def test_numbers_state_the_ceiling_the_floors_and_what_lies_above():
    found = beside_people()
    shown = {key.removeprefix("people."): number.text for key, number in found.items()}
    assert (shown["ceiling"], shown["ceiling.ci"], shown["floor"]) == (r"12.0\,\%", "[10.8, 13.2]", r"2.4\,\%")
    assert (shown["lora.human_recall"], shown["lora.floor"], shown["targets"]) == (r"8.0\,\%", r"1.6\,\%", "10")
    assert (shown["lora.above_floor.verdict"], shown["zero_shot.above_floor.verdict"]) == ("above", "not told apart from")
    assert (shown["collision"], shown["temperature"], shown["lora.ratio.ci"]) == ("0.210", "1", "[1.40, 1.60]")
    assert found["people.lora.ratio"].low == pytest.approx(1.4) and found["people.lora.ratio"].n == 34
    assert found["people.lora.ratio"].source == "results/replies/calibration/compare.json#lora"


@pytest.mark.parametrize(("low", "high", "expected"), [
    (-0.12, 0.02, "The drafts of Polychromic and of LoRA are not told apart in how alike they are"),
    (-0.12, -0.02, "The drafts of Polychromic are less alike than those of LoRA"),
    (0.01, 0.03, "The drafts of Polychromic are more alike than those of LoRA"),
])  # fmt: skip
def test_likeness_is_told_apart_by_the_paired_difference(low: float, high: float, expected: str):
    """Not by whether the intervals of the two ratios overlap: here they do, in all three cases."""
    pair = {"a": "polychromic", "b": "lora", "value": 0.3, "low": low, "high": high}
    text = beside_people(contrasts=[pair])["people.headline.sentence"].text
    assert text.startswith(expected) and "paired by message: +0.30 [" in text
