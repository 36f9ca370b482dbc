"""compare from a file of simulated scores to compare.json: fronts that are known, a system against itself, one seed."""

from __future__ import annotations

import numpy as np
import pytest

from polychromic.base import paths
from polychromic.base.io import read_json, write_json, write_jsonl
from polychromic.compare.compare import compare
from polychromic.params import Params
from tests.workspace import small_values

MAIN, GUARD = "valid_distinct@10", "pass@1"
TEMPERATURES = np.array([0.3, 0.5, 0.7, 0.9, 1.1, 1.3])
LIFT, SEEDS, PROMPTS = 0.4, 4, 60
# label -> (lift of the value, stretch of the temperature, seeds): "rft" has lora's very front from other points of it
SYSTEMS = {"lora": (0.0, 1.0, SEEDS), "polychromic": (LIFT, 1.0, SEEDS), "rft": (0.0, 0.85, SEEDS), "reward": (LIFT, 1.0, 1)}
CONTRASTS = [("polychromic", "lora", "primary"), ("rft", "lora", "primary"), ("reward", "lora", "primary")]


def means(t: np.ndarray) -> np.ndarray:
    """(2, K) quality, falling, and value, highest at T = 1.1."""
    return np.stack([0.8 / (1 + np.exp(2 * (t - 0.9))), 2.0 - 1.5 * (t - 1.1) ** 2])


def rows() -> list[dict]:
    """Scores with errors of seeds, prompts (shared by all systems), prompts x system and cells."""
    draws, found = np.random.default_rng(3), []
    prompt = draws.normal(0, 1, PROMPTS) * np.array([[0.1], [0.4]])  # (2, P)
    for label, (lift, stretch, seeds) in SYSTEMS.items():
        curve = (means(TEMPERATURES * stretch) + np.array([[0.0], [lift]]))[:, :, None, None]
        sd = np.array([0.01, 0.04])[:, None, None, None]
        noise = sd * (draws.normal(size=(2, 1, seeds, 1)) + 2 * draws.normal(size=(2, 1, 1, PROMPTS)))
        scores = curve + prompt[:, None, None] + noise + 5 * sd * draws.normal(size=(2, len(TEMPERATURES), seeds, PROMPTS))
        for k, seed, item in np.ndindex(scores.shape[1:]):
            row = {"method": label, "lambda": 3.0 if label == "polychromic" else None, "seed": seed, "temperature": float(TEMPERATURES[k])}
            quality, value = scores[:, k, seed, item].tolist()
            found.append(row | {"split": "dev", "id": f"q{item:02}", "metrics": {GUARD: quality, MAIN: value, "objective": 0.0}})
    return found


@pytest.fixture(scope="module")
def document(tmp_path_factory) -> dict:
    trained = {"prompt": "zero_shot", "adapter": "lora"}
    values = small_values() | {"domains": ["listqa"], "methods": {
        "zero_shot": {"prompt": "zero_shot", "adapter": "none"}, "few_shot": {"prompt": "few_shot", "adapter": "none"}, "lora": trained,
        "polychromic": trained | {"objective": "coverage", "lam": "lambda"}, "rft": trained | {"self_training": {"after": 0.5}},
        "reward": trained | {"objective": "reward", "lam": 3.0},
    }}  # fmt: skip
    values["listqa"] |= {"metrics": [GUARD, MAIN], "lambdas": [3.0], "temperatures": TEMPERATURES.tolist()}
    values["replies"]["people"] = []
    values["analysis"] |= {"contrasts": [{"a": a, "b": b, "family": family} for a, b, family in CONTRASTS], "resamples": 1000}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("fronts"))
        folder = paths.RESULTS / "listqa" / "dev"
        write_jsonl(folder / "scores.jsonl.gz", rows())
        for name, content in (("calibration.json", None), ("signatures.json", {})):
            write_json(folder / name, content)
        end = {"step": 6, "ce": 1.0, "eval_loss": 2.0, "kl_to_base": 1.0, "reply_tokens": 4.0}
        for label, (_, _, seeds) in SYSTEMS.items():
            name = paths.cell_name(label, 3.0 if label == "polychromic" else None)
            write_jsonl(folder / name / paths.HISTORY, [{"seed": seed, **end} for seed in range(seeds)])
        compare(Params.model_validate(values), "listqa", "dev")
        return read_json(paths.compare_file("listqa", "dev"))


def gap(document: dict, a: str, b: str) -> dict:
    (row,) = [row for row in document["contrasts"] if (row["a"], row["b"], row["rule"]) == (a, b, "front")]
    return row


def test_a_known_gap_is_recovered_and_a_system_lies_on_its_own_front(document):
    row, null = gap(document, "polychromic", "lora"), gap(document, "rft", "lora")
    assert row["low"] < LIFT < row["high"] and row["delta"] == pytest.approx(LIFT, abs=3 * row["se"]) and row["se"] < 0.1
    assert row["family"] == "primary" and row["p_adjusted"] < 0.01 and row["above"] == 1.0
    assert null["low"] < 0 < null["high"] and abs(null["delta"]) < 0.15 and null["p_adjusted"] > 0.05
    assert len(row["by_seed"]) == SEEDS and np.mean(row["by_seed"]) == pytest.approx(row["delta"], abs=0.02)
    low, high = row["shared"]
    assert (low, high) == (pytest.approx(means(np.array([1.3]))[0, 0], abs=0.05), pytest.approx(means(np.array([0.3]))[0, 0], abs=0.05))


def test_each_against_itself_is_nothing(document):
    assert [row["label"] for row in document["self_contrasts"]] == ["lora", "polychromic", "rft"], "one seed says nothing about seeds"
    for row in document["self_contrasts"]:
        assert abs(row["delta"]) < 0.04 and row["low"] < 0 < row["high"] and row["temperatures"] == TEMPERATURES.tolist()


def test_one_common_seed_is_said_and_never_primary(document):
    row = gap(document, "reward", "lora")
    assert (row["seeds"], row["over"], row["family"]) == ([0], "prompts", "secondary")
    assert row["low"] < row["delta"] < row["high"] and abs(row["delta"] - LIFT) < 0.2
    assert row["variances"]["seeds"] == row["variances"]["cells"] == 0
    assert {key: row[key] for key in ("low", "high", "p")} == row["over_prompts"]


def test_curves_are_the_fronts_that_the_contrasts_integrate(document):
    front = document["fronts"]["lora"]
    assert front["temperatures"] == TEMPERATURES.tolist() and len(front["curve"]["quality"]) == len(front["curve"]["value"]) > 60
    inside = np.array([1.1, 0.6])
    qualities, values = means(inside)
    offered = np.interp(qualities, front["curve"]["quality"][::-1], front["curve"]["value"][::-1])
    assert offered == pytest.approx(values, abs=0.2)
    assert 1.1 in front["pareto_temperatures"] or 0.9 in front["pareto_temperatures"]
