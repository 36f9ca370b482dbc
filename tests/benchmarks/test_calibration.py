"""benchmarks.calibration through its main(): what it reads, writes and prints, with few runs."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from benchmarks import calibration
from benchmarks.components import Components, variance_components
from benchmarks.simulation import Design, calibrate
from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, write_json, write_jsonl
from polychromic.compare.stats import minimum_detectable_effect
from tests.workspace import small_values, write_params

FEW = ["--runs", "40", "--prompts", "20", "30", "--boot", "100", "--perm", "100"]
GIVEN = ["--mean", "0.3", "--prompt-sd", "0.3", "--interaction-sd", "0.15", "--prompt-seed-sd", "0.05", "--seed-sd", "0.02"]


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch) -> None:
    values = small_values()
    values["listqa"]["metrics"] = ["pass@1", "valid_distinct@10"]
    write_params(tmp_path, values)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")


def run(*arguments: str) -> dict:
    """The document; forty runs may miss a level by chance, which is an error after it was written."""
    with contextlib.suppress(PolychromicError):
        calibration.main([*FEW, *arguments])
    return read_json("benchmarks/results/calibration.json")


def write_scores(lacking: tuple = ()) -> np.ndarray:
    """dev scores of both systems, at the chosen temperature and at another one; their pass rates."""
    rates = np.random.default_rng(0).beta(1, 3, (2, 2, 30))
    rows = []
    for method, lam, values in (("polychromic", 3.0, rates[0]), ("lora", None, rates[1]), ("polychromic", 0.3, rates[0] * 0)):
        for seed, prompt in np.ndindex(2, 30):
            for temperature, factor in ((0.5, 1), (1.0, 0)):
                rate = factor * float(values[seed, prompt])
                row = {"method": method, "lambda": lam, "seed": seed, "id": f"q{prompt}", "split": "dev", "temperature": temperature}
                row["metrics"] = {"pass@1": rate, "valid_distinct@10": 4 * rate, "objective": 0.0}
                rows += [] if (method, seed, prompt) == lacking else [row]
    write_jsonl(paths.scores_file("listqa", "dev"), rows)
    write_json(paths.choices_file("listqa"), {"chosen": {"polychromic": 0.5, "lora": 0.5, "polychromic@0.3": 0.5}})
    return rates


def test_rows_are_the_simulations(capsys):
    document = run(*GIVEN, "--seed", "5", "--seeds", "3", "--effect", "0.1")
    assert [document[key] for key in ("source", "seeds", "samples")] == ["command line", 3, 10]
    components = Components(0.3, 0.3, 0.15, 0.05, 0.02)
    assert document["components"]["sampling_variance"] == pytest.approx(components.sampling_variance)
    assert [row["prompts"] for row in document["rows"]] == [20] * 8 + [30] * 8
    expected = calibrate(components, 0.1, Design(30, 3, 10, n_boot=100, n_perm=100), 40, np.random.default_rng([5, 30]))
    for row in document["rows"][8:]:
        found = expected[row["design"]]
        assert (row["false_positives"], row["power_se"]) == (found.false_positives.value, found.power.se)
        assert row["coverage"] == (found.coverage.value if found.coverage else None)
        assert row["minimum_detectable_effect"] == pytest.approx(minimum_detectable_effect(components.difference_sd(3, 10), 30))
    said = capsys.readouterr()
    assert "paired over prompts, BCa interval" in said.out and "benchmarks/results/calibration.json" in said.out
    assert "20 prompts: runs: 40 of 40" in said.err, "progress is no data"


def test_components_come_from_the_scores():
    assert run()["source"] == "assumed"
    rates = write_scores()
    document = run("--effect", "0.05")
    expected = variance_components(rates[0], rates[1], 10)
    assert document["source"] == "scores of listqa on dev"
    assert document["components"]["prompt_seed_sd"] == pytest.approx(expected.prompt_seed_sd)
    assert document["components"]["mean"] == pytest.approx(rates.mean())
    mixed = run("--effect", "0.05", "--prompt-seed-sd", "0.1")
    assert mixed["components"]["prompt_seed_sd"] == 0.1 and mixed["components"]["mean"] == document["components"]["mean"]
    assert mixed["source"] == "scores of listqa on dev, given: prompt_seed_sd"


def test_scores_with_holes_are_refused_and_sizes_are_those_of_the_splits():
    assert calibration.sizes(["listqa"]) == calibration.DEFAULT_SIZES
    write_json(paths.split_file("listqa"), {"splits": {"train": ["a"], "dev": ["b", "c"], "test": ["d", "e", "f"]}})
    assert calibration.sizes(["listqa", "replies"]) == [2, 3]
    write_scores(lacking=("lora", 1, 7))
    with pytest.raises(PolychromicError, match="lora at temperature 0.5 lacks 1 scores"):
        calibration.main(FEW)


def test_out_of_bounds_is_said_and_an_error_after_the_file_was_written(monkeypatch):
    interval = {"prompts": 60, "design": "percentile", "ours": True, "coverage": 0.9, "false_positives": 0.02}
    flips = {"prompts": 60, "design": "sign_flip", "ours": True, "coverage": None, "false_positives": 0.1}
    assert calibration.misses([interval, flips], 0.05) == [
        "60 prompts, percentile: coverage under the effect 90.0 %, allowed 95 \u00b1 2 %",
        "60 prompts, percentile: coverage under no difference 98.0 %, allowed 95 \u00b1 2 %",
        "60 prompts, sign_flip: false positives 10.0 %, allowed 6 %",
    ]
    fine = [interval | {"coverage": 0.93, "false_positives": 0.07}, flips | {"false_positives": 0.06}, interval | {"ours": False}]
    assert calibration.misses(fine, 0.05) == []
    monkeypatch.setattr(calibration, "misses", lambda *a: ["60 prompts: coverage 80 %"])
    with pytest.raises(PolychromicError, match="ours misses its level. 60 prompts: coverage 80 %"):
        calibration.main(FEW)
    assert read_json("benchmarks/results/calibration.json")["misses"] == ["60 prompts: coverage 80 %"]
