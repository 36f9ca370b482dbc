"""Benchmark files: what is missing or malformed is named, and costs are relative to LoRA's."""

from pathlib import Path

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import write_json
from polychromic.report import timings
from polychromic.report.results import About, Compare
from tests.report.synthetic import make_benchmarks

FILES = make_benchmarks()
COST = timings.StepCost.model_validate(FILES["step_cost-listqa.json"])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"trains_like": "lora"}, 1.0),
        ({"trains_like": "lora", "budget": 1.25}, 1.25),
        ({}, pytest.approx(1.3 / 0.95)),
        ({"trains_like": "not_measured"}, None),
        ({"trains_like": "lora", "trained": False}, None),
    ],
)
def test_training_cost_is_relative_to_lora_and_counts_steps(changes: dict, expected):
    about = {"ours": False, "sees_checker": False, "trained": True, "budget": 1.0, "trains_like": "polychromic"}
    assert COST.training(About(**about | changes)) == expected


def test_variants_are_the_references_and_what_the_domain_has(compare: Compare):
    other = COST.model_copy(update={"variants": COST.variants | {"gone": COST.variants["rft"]}})
    assert other.shown(compare) == ["plain", "lora", "rft", "polychromic_quarter", "polychromic", "naive"]


@pytest.mark.parametrize("name", ["plain", "lora"])
def test_a_file_without_a_reference_is_refused(tmp_path: Path, name: str):
    document = FILES["step_cost-listqa.json"]
    write_json(tmp_path / "cost.json", document | {"variants": {k: v for k, v in document["variants"].items() if k != name}})
    with pytest.raises(PolychromicError, match=f"no variant {name}.*make bench"):
        timings.load(timings.StepCost, tmp_path / "cost.json")


def test_a_malformed_file_names_the_field_and_a_missing_one_the_command(tmp_path: Path):
    write_json(tmp_path / "sampler.json", FILES["sampler.json"] | {"rows": []})
    with pytest.raises(DataError, match=r"sampler\.json: rows: "):
        timings.load(timings.Sampler, tmp_path / "sampler.json")
    with pytest.raises(PolychromicError, match=r"cost\.json: file not found.*`make bench`"):
        timings.load(timings.StepCost, tmp_path / "cost.json")
    with pytest.raises(PolychromicError, match=r"calibration\.json: file not found.*`make calibration`"):
        timings.load(timings.Designs, tmp_path / "calibration.json")
