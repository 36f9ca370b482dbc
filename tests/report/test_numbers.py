"""The records: pulled by the manuscript's keys, each against the values that the documents hold; and what the text may claim of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.params import Params, load_params
from polychromic.report.audit import Audit
from polychromic.report.domain_numbers import people_numbers, split_numbers
from polychromic.report.numbers import _audit, asked, groups
from polychromic.report.records import RELATIONS, Number, Use, unique, unsupported, uses
from polychromic.report.results import Fields
from tests.report.synthetic import DOMAINS, PROMPTS, REPOSITORY, make, make_people, parsed
from tests.workspace import declared_values

PARAMS = Params.model_validate(declared_values()).model_dump(mode="json", by_alias=True)


def found_in(document: dict) -> dict[str, Number]:
    return unique(split_numbers(parsed(document)))


def texts(*keys: str) -> dict[str, str]:
    return {record.key: record.text for record in asked([Use(key, "main.tex", 1) for key in keys], PARAMS)[0]}


def test_only_what_is_asked_for_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    wanted = {"setup.lambda": "3", "setup.analysis.margin.percent": r"1\,\%", "setup.alpha": "0.05", "setup.seeds": "0, 1, 2"}
    wanted |= {"setup.train.learning_rate": r"\ensuremath{5\times 10^{-4}}", "setup.methods.lora.lam": "none"}
    wanted["setup.model.name"] = " ".join(PARAMS["model"][key] for key in ("package", "version"))
    assert texts(*wanted) == wanted
    with pytest.raises(PolychromicError, match=r"audit\.json: file not found"):
        texts("audit.count")


def test_every_key_that_nothing_makes_is_named_with_its_place_and_the_nearest(workspace: Path):
    main = "paper/main.tex"
    asks = [Use("listqa.dev.front.polychromic.lora.gpa", main, 7), Use("nothing.at.all", main, 9, ("at least", "1"))]
    with pytest.raises(PolychromicError) as error:
        asked(asks, PARAMS)
    first, second, remedy = str(error.value).splitlines()
    assert first.startswith(r"paper/main.tex:7: \num{listqa.dev.front.polychromic.lora.gpa} is no record. Nearest: ")
    assert "lora.gap" in first
    assert second.startswith(r"paper/main.tex:9: \assertnum{nothing.at.all} is no record. Nearest: setup.…, ") and "listqa.test.…" in second
    assert remedy.startswith("Correct the key in the text")


def test_the_committed_manuscript_asks_for_groups_that_exist():
    names = set(groups(load_params(REPOSITORY / "params.yaml").model_dump(mode="json", by_alias=True)))
    assert all({key.partition(".")[0], ".".join(key.split(".")[:2])} & names for key in (use.key for use in uses(REPOSITORY / "paper")))


def test_what_is_about_no_single_domain(workspace: Path):
    expected = {
        "cost.device": r"a CPU\_with \& marks", "cost.steps": "50", "gradient.draws": "64", "gradient.objective": "coverage",
        "designs.coverage.low": r"94.0\,\%", "designs.coverage.high": r"95.5\,\%", "designs.false_positives": r"6.0\,\%",
        "designs.runs": "600", "audit.population": "57", "audit.count": "0",
    }  # fmt: skip
    assert texts(*expected) == expected


def test_what_the_results_took():
    """Of trained labels: LoRA at 1, 2 and 4 C, ..., each with three seeds, of which one counted no FLOPs."""
    document = parsed(make("listqa"))
    relative = [row.relative for row in document.costs.values() if row.relative]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("polychromic.report.results.load", lambda domain, split: document)
        found = unique(groups(PARAMS | {"domains": ["listqa"]})["compute"]())
    assert found["compute.listqa.flops"].value == pytest.approx(3 * 2e14 * sum(relative)) and len(relative) == len(document.costs) - 1
    assert found["compute.listqa.flops"].text == r"\ensuremath{2.3\times 10^{16}}"
    assert found["compute.runs"].value == 3 * len(document.costs)


def test_cells_that_ran_again_are_counted():
    cell = {"stage": "a", "kind": "cell", "commit": "abc", "cpu": "A", "compared": "bytes", "equal": True, "minutes": 1.0, "outs": []}
    cells = [cell, cell | {"equal": False, "among": 9}, cell | {"compared": "intervals"}, cell | {"kind": "stage"}]
    found = {number.key: number.value for number in _audit(Audit.model_validate({"population": 57, "cells": cells}))}
    assert found == {f"audit.{key}": count for key, count in {
        "population": 57, "count": 3, "drawn": 1, "bytes.count": 2, "bytes.equal": 1, "intervals.count": 1, "intervals.equal": 1,
    }.items()}  # fmt: skip


# of a domain


def test_a_system_value_is_the_chosen_row():
    document = make("listqa")
    row = next(s for s in document["systems"] if s["label"] == "lora" and s["chosen"])
    (mean, low, high), found = (row["metrics"]["pass@1"][end] for end in ("mean", "low", "high")), found_in(document)
    about = ("%", low, high, PROMPTS, (0, 1, 2), "dev", "results/listqa/dev/compare.json#systems/lora@T=1")
    assert found["listqa.dev.lora.pass@1"] == Number("listqa.dev.lora.pass@1", mean, rf"{100 * mean:.1f}\,\%", *about)
    assert found["listqa.dev.lora.pass@1.ci"].text == f"[{100 * low:.1f}, {100 * high:.1f}]"
    assert [found[f"listqa.dev.lora_4c.{key}"].text for key in ("cost", "steps", "temperature", "seeds")] == ["4", "80", "1", "3"]


def test_a_contrast_has_all_that_a_sentence_may_need():
    document = make("listqa", "test")
    row = next(c for c in document["contrasts"] if (c["a"], c["b"], c["rule"]) == ("polychromic", "rft", "front"))
    prefix = "listqa.test.front.polychromic.rft."
    found = {key.removeprefix(prefix): one for key, one in found_in(document).items() if key.startswith(prefix)}
    assert found["gap"].value == row["delta"] and (found["gap"].low, found["gap"].high) == (row["low"], row["high"])
    assert found["p_adjusted"].value == row["p_adjusted"] and found["detectable"].value == row["detectable"] and found["seeds"].value == 3
    assert found["shared"].text == " to ".join(f"{100 * end:.1f}" for end in row["shared"])
    assert {one.source for one in found.values()} == {f"results/listqa/test/compare.json#contrasts/{row['id']}"}
    lost = found_in(make("code"))["code.dev.front.polychromic.lora.gap"]
    assert (lost.value, lost.text) == (None, "no match")


def test_keys_are_plain_enough_for_latex_and_of_their_split():
    for domain in DOMAINS:
        for split in ("dev", "test"):
            found = found_in(make(domain, split))
            assert all(re.fullmatch(r"[a-z][A-Za-z0-9_.@-]*", key) and key.startswith(f"{domain}.{split}.") for key in found)
            assert {record.split for record in found.values()} == {split} and len(found) > 100


def test_dev_says_what_it_chose_and_test_what_was_opened():
    document = make("listqa")
    document["calibration"] = {"threshold": 0.3141, "within": 0.125, "n_prompts": 34}
    found = {key.removeprefix("listqa.dev."): one.text for key, one in found_in(document).items()}
    assert [found[key] for key in ("name", "n_prompts", "seeds.count", "calibration.within")] == ["list questions", "16", "3", r"12.5\,\%"]
    assert found["best_with_checker.name"] == "Poly-EPO" and found["lambda.polychromic@10.0.validation_ce"] == "2.310"
    assert found["dose.polychromic_1c.sets"] == "80" and found["tries.count"] == "96" and found["lambda.lora.gap.quality"] == "0.000"
    found = {key.removeprefix("listqa.test."): one.text for key, one in found_in(make("listqa", "test")).items()}
    assert (found["machines"], found["training.runs"], found["systems.count"]) == (r"a CPU\_with \& marks", "12", "6")


# what a text may claim


RECORDS = {
    "a.gap": Number("a.gap", 0.04, "+4.0", "points", 0.01, 0.07), "a.p_adjusted": Number("a.p_adjusted", 0.02, ""),
    "b.gap": Number("b.gap", 0.04, "+4.0", "points", 0.01, 0.07), "b.p_adjusted": Number("b.p_adjusted", 0.2, ""),
    "c.gap": Number("c.gap", None, "no match"), "n": Number("n", 5, "5"), "m": Number("m", 0.08, "", "%", 0.075, 0.09),
}  # fmt: skip


@pytest.mark.parametrize(("key", "words", "other", "why"), [
    ("a.gap", "higher than", "0", ""), ("a.gap", "higher than", "0.9", ""),
    ("a.gap", "higher than", "1", r"a\.gap is 4 \[1, 7\], adjusted p 0\.02"), ("a.gap", "lower than", "7.1", ""),
    ("a.gap", "lower than", "7", "4"), ("a.gap", "lower than", "m", ""), ("m", "higher than", "a.gap", ""),
    ("a.gap", "not distinguishable from", "0", "4"), ("a.gap", "not distinguishable from", "3", ""),
    ("b.gap", "higher than", "0", "adjusted p 0.2"), ("b.gap", "not distinguishable from", "0", ""), ("b.gap", "at least", "4", ""),
    ("c.gap", "not distinguishable from", "0", "c.gap has no value"), ("a.gap", "higher than", "c.gap", "c.gap has no value"),
    ("n", "equal to", "5", ""), ("n", "at most", "4.9", "n is 5"), ("n", "higher than", "4", ""),
    ("n", "lower than", "a.gap", "and a.gap is 4"),
])  # fmt: skip
def test_claims_follow_intervals_and_adjusted_tests(key: str, words: str, other: str, why: str):
    found = unsupported(key, words, other, RECORDS)
    assert (found == "") == (why == "") and re.search(why, found) and words in RELATIONS


# beside people


def test_numbers_state_the_ceiling_and_the_floors():
    found = unique(people_numbers(Fields(make_people(), "results/replies/calibration/compare.json")))
    shown = {key.removeprefix("people."): number.text for key, number in found.items()}
    assert (shown["ceiling"], shown["ceiling.ci"], shown["floor"]) == (r"12.0\,\%", "[10.8, 13.2]", r"2.4\,\%")
    assert (shown["lora.human_recall"], shown["lora.floor"], shown["targets"]) == (r"8.0\,\%", r"1.6\,\%", "10")
    assert (shown["collision"], shown["temperature"], shown["lora.ratio.ci"]) == ("0.210", "1", "[1.40, 1.60]")
    assert found["people.lora.ratio"].low == pytest.approx(1.4) and found["people.lora.ratio"].n == 34
    assert found["people.lora.ratio"].source == "results/replies/calibration/compare.json#lora"
