"""What the results took, from synthetic files whose sums are known."""

from __future__ import annotations

import pytest

from polychromic.report.compute import compute_numbers
from polychromic.report.costs import StepCost
from polychromic.report.results import Compare
from tests.report.synthetic import make_benchmarks


@pytest.fixture
def pair(compares) -> tuple[list[Compare], dict[str, StepCost]]:
    """Two domains, each with LoRA at two temperatures and Polychromic at one, and the model before training."""
    timed = make_benchmarks()["step_cost-listqa.json"]
    kept = {("lora", 0), ("lora", 1), ("polychromic", 0), ("zero_shot", 0)}
    made = []
    for domain in ("listqa", "code"):
        compare, count = compares[domain], {}
        rows = []
        for row in sorted(compare["systems"], key=lambda row: not row["chosen"]):
            place = count[row["label"]] = count.get(row["label"], -1) + 1
            if (row["label"], place) in kept:
                rows.append(row | {"seeds": [0, 1] if row["label"] == "lora" else [0], "n_prompts": 10, "n_samples": 20})
                rows[-1]["metrics"]["tokens"]["mean"] = 3.0
        made.append(Compare.model_validate(compare | {"systems": rows}))
    return made, {domain: StepCost.model_validate(timed | {"domain": domain}) for domain in ("listqa", "code")}


def test_counts_and_hours(pair):
    compares, costs = pair
    found = {number.key: number for number in compute_numbers(compares, costs)}
    steps = compares[0].histories["lora"][-1].step
    seconds = {name: costs["listqa"].variants[name].mean_seconds for name in ("lora", "polychromic")}
    expected = {"systems": 4, "runs": 3, "steps": 3 * steps, "drafts": 6 * 200, "tokens": 6 * 200 * 3.0}
    expected["hours"] = steps * (2 * seconds["lora"] + seconds["polychromic"]) / 3600
    for field, value in expected.items():
        assert found[f"compute.listqa.{field}"].value == pytest.approx(value)
        assert found[f"compute.{field}"].value == pytest.approx(2 * value)
    assert found["compute.listqa.drafts"].text == r"1\,200"


def test_a_method_that_was_not_timed_counts_as_lora(pair):
    compares, costs = pair
    without = {name: cost.model_copy(update={"variants": {k: v for k, v in cost.variants.items() if k != "polychromic"}}) for name, cost in costs.items()}
    found = {number.key: number.value for number in compute_numbers(compares, without)}
    steps = compares[0].histories["lora"][-1].step
    assert found["compute.listqa.hours"] == pytest.approx(3 * steps * costs["listqa"].variants["lora"].mean_seconds / 3600)


def test_large_counts_are_printed_in_millions(pair):
    compares, costs = pair
    (system, *_), compare = compares[0].systems, compares[0]
    many = compare.model_copy(update={"systems": [s.model_copy(update={"n_prompts": 100_000}) for s in compare.systems]})
    found = {number.key: number.text for number in compute_numbers([many], costs)}
    assert found["compute.listqa.drafts"] == "12.0 million" and system.n_prompts == 10
