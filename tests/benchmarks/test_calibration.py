"""benchmarks.calibration through its main(): what it reads, writes and prints, with few runs."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from benchmarks import calibration
from benchmarks.simulation import Design, calibrate
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import read_json, write_json, write_jsonl
from polychromic.compare.power import Components, difference_sd, minimum_detectable_effect, variance_components
from tests.workspace import small_values, write_params

FEW = ["--runs", "40", "--prompts", "20", "30", "--boot", "100", "--perm", "100"]
GIVEN = ["--mean", "0.3", "--prompt-sd", "0.3", "--interaction-sd", "0.15", "--prompt-seed-sd", "0.05", "--seed-sd", "0.02"]


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch) -> Path:
    write_params(tmp_path, small_values())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    return tmp_path


def run(*arguments: str) -> dict:
    """The document; forty runs may miss a level by chance, which is an error after it was written."""
    with contextlib.suppress(PolychromicError):
        calibration.main([*FEW, *arguments])
    return read_json("benchmarks/results/calibration.json")


def write_scores(folder: Path) -> np.ndarray:
    """(2, seeds, prompts) pass rates of polychromic and lora at their chosen temperatures, among rows that do not count."""
    rates = np.random.default_rng(0).beta(1, 2, (2, 2, 30)).round(2)
    rows = []
    for method, lam, values in (("polychromic", 3.0, rates[0]), ("lora", None, rates[1]), ("polychromic", 0.3, rates[0] * 0)):
        for seed, prompt in np.ndindex(2, 30):
            for split, temperature, factor in (("dev", 0.5, 1), ("dev", 1.0, 0), ("test", 0.5, 0)):
                row = {"method": method, "lambda": lam, "seed": seed, "id": f"q{prompt}", "split": split, "temperature": temperature}
                rate = factor * float(values[seed, prompt])
                rows.append(row | {"metrics": {"pass@1": rate, "valid_distinct@10": 4 * rate}})
    write_jsonl(folder / "results" / "listqa" / "scores.jsonl.gz", rows)
    write_json(folder / "results" / "listqa" / "select.json", {"chosen": {"polychromic": 0.5, "lora": 0.5, "polychromic@0.3": 0.5}})
    return rates


def test_rows_are_the_simulations(capsys):
    document = run(*GIVEN, "--seed", "5", "--seeds", "3", "--effect", "0.1")
    assert document["source"] == "command line" and document["seeds"] == 3 and document["samples"] == 10
    components = Components(0.3, 0.3, 0.15, 0.05, 0.02)
    assert document["components"]["sampling_variance"] == pytest.approx(components.sampling_variance)
    assert [row["prompts"] for row in document["rows"]] == [20] * 8 + [30] * 8
    expected = calibrate(components, 0.1, Design(30, 3, 10, n_boot=100, n_perm=100), 40, np.random.default_rng([5, 30]))
    for row in document["rows"][8:]:
        found = expected[row["design"]]
        assert (row["false_positives"], row["power_se"]) == (found.false_positives.value, found.power.se)
        assert row["coverage"] == (found.coverage.value if found.coverage else None)
        assert row["minimum_detectable_effect"] == pytest.approx(minimum_detectable_effect(difference_sd(components, 3, 10), 30))
    said = capsys.readouterr()
    assert "paired over prompts, BCa interval" in said.out and "benchmarks/results/calibration.json" in said.out
    assert "20 prompts: runs: 40 of 40" in said.err, "progress is no data"


def test_components_come_from_the_scores(workspace):
    rates = write_scores(workspace)
    document = run("--effect", "0.05")
    expected = variance_components(rates[0], rates[1], 10)
    assert document["source"] == "scores of listqa on dev"
    assert document["components"]["prompt_seed_sd"] == pytest.approx(expected.prompt_seed_sd)
    assert document["components"]["mean"] == pytest.approx(rates.mean())
    mixed = run("--effect", "0.05", "--prompt-seed-sd", "0.1")
    assert mixed["components"]["prompt_seed_sd"] == 0.1 and mixed["components"]["mean"] == document["components"]["mean"]
    assert mixed["source"] == "scores of listqa on dev, given: prompt_seed_sd"


def test_without_scores_the_components_are_assumed():
    assert run()["source"] == "assumed"


def test_scores_with_holes_are_refused(workspace):
    write_scores(workspace)
    path = workspace / "results" / "listqa" / "scores.jsonl.gz"
    rows = [row for _, row in calibration.read_jsonl(path) if (row["method"], row["seed"], row["id"]) != ("lora", 1, "q7")]
    write_jsonl(path, rows)
    with pytest.raises(PolychromicError, match="lora lacks scores of some seeds and prompts"):
        calibration.main(FEW)


def test_primary_contrasts_are_drawn_from_the_prompts_that_were_scored(workspace):
    rates = write_scores(workspace)
    rows = {row["rule"]: row for row in run("--effect", "0.05")["observed"]}
    assert set(rows) == {"chosen", "matched"}
    for row in rows.values():
        assert (row["domain"], row["metric"], row["prompts"]) == ("listqa", "valid_distinct@10", 30)
        assert 0.8 <= row["coverage"] <= 1
    assert rows["chosen"]["truth"] == pytest.approx(4 * (rates[0].mean() - rates[1].mean()))


def test_sizes_are_those_of_the_splits(workspace):
    assert calibration.sizes(["listqa"]) == calibration.DEFAULT_SIZES
    write_json(workspace / "results" / "listqa" / "split.json", {"splits": {"train": ["a"], "dev": ["b", "c"], "test": ["d", "e", "f"]}})
    assert calibration.sizes(["listqa", "replies"]) == [2, 3]


def test_a_missed_level_is_an_error_after_the_file_was_written(workspace, monkeypatch):
    monkeypatch.setattr(calibration, "misses", lambda *a: ["60 prompts: coverage 80 %"])
    with pytest.raises(PolychromicError, match="ours misses its level. 60 prompts: coverage 80 %"):
        calibration.main(FEW)
    assert read_json("benchmarks/results/calibration.json")["misses"] == ["60 prompts: coverage 80 %"]


def test_out_of_bounds_is_said():
    interval = {"prompts": 60, "design": "percentile", "ours": True, "coverage": 0.9, "false_positives": 0.02}
    flips = {"prompts": 60, "design": "sign_flip", "ours": True, "coverage": None, "false_positives": 0.1}
    assert calibration.misses([interval, flips], 0.05) == [
        "60 prompts, percentile: coverage under the effect 90.0 %, allowed 95 \u00b1 2 %",
        "60 prompts, percentile: coverage under no difference 98.0 %, allowed 95 \u00b1 2 %",
        "60 prompts, sign_flip: false positives 10.0 %, allowed 6 %",
    ]
    fine = [interval | {"coverage": 0.93, "false_positives": 0.07}, flips | {"false_positives": 0.06}, interval | {"ours": False}]
    assert calibration.misses(fine, 0.05) == []
    own = {"domain": "replies", "metric": "pass@10", "rule": "matched", "coverage": 0.92}
    assert calibration.misses([], 0.05, [own]) == ["replies, pass@10, matched: coverage 92.0 %, allowed 95 \u00b1 2 %"]


@pytest.mark.parametrize(("arguments", "message"), [(["--domain", "poems"], "--domain is 'poems'"), (["--runs", "1"], "--runs is 1")])
def test_wrong_options(arguments, message):
    with pytest.raises(UsageError, match=message):
        calibration.main(arguments)
