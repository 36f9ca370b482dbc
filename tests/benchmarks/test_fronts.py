"""benchmarks.fronts through its main(): the world that it makes of scores, its rows, and what it says of ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import fronts
from polychromic.base import paths
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import read_json, write_json, write_jsonl
from polychromic.compare.fronts import Front, self_contrast
from polychromic.compare.systems import read_systems
from polychromic.params import load_params
from tests.workspace import small_values, write_params

FEW = ["--domains", "listqa", "--runs", "12", "--prompts", "30", "--seeds", "3", "--boot", "100"]
TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
SEEDS, PROMPTS = 4, 60
# standard deviations of (quality, value): seed, prompt x system, prompt x seed, cell
SPREAD = {"seed": (0.02, 0.05), "interaction": (0.05, 0.2), "prompt_seed": (0.05, 0.2), "cell": (0.05, 0.3)}


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch) -> None:
    values = small_values()
    values["listqa"]["metrics"] = ["pass@1", "valid_distinct@10"]
    write_params(tmp_path, values)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "240")


def write_scores() -> dict[str, np.ndarray]:
    """dev scores of both systems: (2, K, S, P) by label."""
    draws, t = np.random.default_rng(0), np.array(TEMPERATURES)
    curves = np.stack([0.4 / (1 + np.exp(4 * (t - 0.9))), 1.4 * np.exp(-2 * (t - 0.7) ** 2)])[:, :, None, None]
    prompt, scores, rows = draws.normal(0, 0.1, (2, 1, 1, PROMPTS)), {}, []
    shapes = {"seed": (1, SEEDS, 1), "interaction": (1, 1, PROMPTS), "prompt_seed": (1, SEEDS, PROMPTS), "cell": (len(t), SEEDS, PROMPTS)}
    for label, lam in (("polychromic", 3.0), ("lora", None)):
        noise = sum(np.array(SPREAD[name])[:, None, None, None] * draws.normal(size=(2, *shape)) for name, shape in shapes.items())
        scores[label] = curves + prompt + noise
        for place, seed, item in np.ndindex(len(t), SEEDS, PROMPTS):
            row = {"method": label, "lambda": lam, "seed": seed, "id": f"q{item:02}", "split": "dev", "temperature": TEMPERATURES[place]}
            quality, value = scores[label][:, place, seed, item].tolist()
            rows.append(row | {"metrics": {"pass@1": quality, "valid_distinct@10": value, "objective": 0.0}})
    write_jsonl(paths.scores_file("listqa", "dev"), rows)
    write_json(paths.split_file("listqa"), {"splits": {"train": [], "dev": [], "test": ["a"] * 90, "calibration": []}})
    return scores


def document(*arguments: str) -> dict:
    """What is written; twelve runs may miss a level by chance, which is an error after it was written."""
    try:
        fronts.main([*FEW, *arguments])
    except PolychromicError as error:
        assert "ours misses its level" in str(error)
    return read_json("benchmarks/results/fronts.json")


def test_a_world_has_the_moments_of_the_scores():
    scores = write_scores()
    params = load_params()
    made = fronts.world(read_systems(params, "listqa", "dev", params.lam), ("pass@1", "valid_distinct@10"))
    assert made.means(np.array(TEMPERATURES)) == pytest.approx(scores["lora"].mean(axis=(2, 3)), abs=0.02)
    for name in ("prompt_seed", "cell"):
        assert np.sqrt(np.diag(made.roots[name] @ made.roots[name].T)) == pytest.approx(SPREAD[name], rel=0.15)
    for name in ("seed", "interaction"):
        assert np.sqrt(np.diag(made.roots[name] @ made.roots[name].T)) == pytest.approx(SPREAD[name], rel=0.6)
    drawn = made.draw(np.array([0.3, 0.5]), [1.0, 0.85], 30, 400, np.random.default_rng(0))
    assert drawn.shape == (2, 2, 2, 30, 400)
    assert drawn[1].mean(axis=(2, 3)) == pytest.approx(made.means(0.85 * np.array([0.3, 0.5])), abs=0.08)
    # the prompts are the same for both systems
    assert np.corrcoef(drawn[:, 0, 0].mean(axis=1))[0, 1] > 0.5


def test_rows_and_what_data_say(capsys):
    scores = write_scores()
    found = document("--shapes", "same", "itself")
    assert [(row["domain"], row["shape"], row["seeds"], row["prompts"]) for row in found["rows"]] == [
        ("listqa", "same", 3, 30),
        ("listqa", "itself", 3, 30),
    ]
    for row in found["rows"]:
        for rule in row["rules"].values():
            assert rule["coverage"] == pytest.approx(1 - rule["false_positives"]) and 0 <= rule["power"] <= 1
        assert row["effect"] == pytest.approx(0.1 * row["best"]) and row["unmatched"] == 0 and row["detectable"] > 0
    alone = document("--shapes", "itself")["rows"]
    assert alone == found["rows"][1:], "a row is the same alone and among others"
    assert [row["system"] for row in found["itself"]] == ["lora", "polychromic"]
    gap = self_contrast(Front(TEMPERATURES, *scores["lora"]), np.random.default_rng(0)).gap
    assert (found["itself"][0]["gap"], found["itself"][0]["p"]) == pytest.approx((gap.delta, gap.p), rel=1e-3)
    assert [(row["seeds"], row["prompts"]) for row in found["planned"]] == [(seeds, 90) for seeds in fronts.SEEDS_PLANNED]
    assert np.all(np.diff([row["detectable"] for row in found["planned"]]) < 0), "more seeds see more"
    said = capsys.readouterr()
    assert "lora against itself" in said.out and "80 % power from a gap of" in said.out and "runs: 12 of 12" in said.err


def test_without_scores_there_is_nothing_to_simulate():
    assert document()["rows"] == []


def test_out_of_bounds_is_said():
    ours = {"coverage": 0.9, "coverage_se": 0.005, "false_positives": 0.1}
    row = {
        "domain": "listqa",
        "shape": "same",
        "seeds": 3,
        "prompts": 150,
        "bias": 0.03,
        "bias_se": 0.001,
        "best": 1.5,
        "rules": {"ours": ours},
    }
    where = "listqa, same, 3 seeds, 150 prompts"
    wide = row | {"bias": 0.0, "rules": {"ours": ours | {"coverage": 0.99, "false_positives": 0.01}}}
    fine = row | {"bias": 0.01, "rules": {"ours": ours | {"coverage": 0.925, "false_positives": 0.065}}}
    assert fronts.verdicts([row, wide, fine]) == {
        "misses": [
            f"{where}: bias 2.0 % of the best value, allowed 1 %",
            f"{where}: coverage 90.0 %, allowed 93 to 97 %",
            f"{where}: false positives 10.0 %, allowed 6 %",
        ],
        "wide": [f"{where}: coverage 99.0 %, allowed 93 to 97 %"],
    }


@pytest.mark.parametrize(("arguments", "message"), [(["--domains", "poems"], "--domains is poems"), (["--runs", "1"], "2 or more seeds")])
def test_wrong_options(arguments, message):
    with pytest.raises(UsageError, match=message):
        fronts.main(arguments)


def test_too_little_for_a_world():
    write_scores()
    params = load_params()
    systems = {key: system for key, system in read_systems(params, "listqa", "dev", params.lam).items() if key[1] < 0.5}
    with pytest.raises(PolychromicError, match="Allowed: 3 or more temperatures of lora"):
        fronts.world(systems, ("pass@1", "valid_distinct@10"))
