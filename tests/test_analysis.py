"""select and compare on scores that are written down here, against numbers computed another way."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as st

from polychromic import analysis
from polychromic.domains import get_domain
from polychromic.errors import PolychromicError
from polychromic.io import read_json, write_json, write_jsonl
from polychromic.report.results import Compare, load
from tests.workspace import small_params

METRICS = (*get_domain("listqa").metrics, "objective")
PROMPTS = [f"q{i}" for i in range(8)]
SEEDS = {"zero_shot": [0], "few_shot": [0], "lora": [0, 1], "polychromic": [0, 1], "polychromic@0.3": [0, 1], "polychromic_plain": [0, 1]}
LAMBDAS = {"polychromic": 3.0, "polychromic@0.3": 0.3}
TEMPERATURES = [0.5, 1.0]
# mean of the primary metric by (label, temperature); the best of each label is not always the same temperature
PRIMARY = {
    "zero_shot": (1.0, 2.0),
    "few_shot": (3.0, 2.5),
    "lora": (2.5, 4.0),
    "polychromic": (6.0, 5.0),
    "polychromic@0.3": (4.0, 4.5),
    "polychromic_plain": (3.0, 3.5),
}
QUALITY = {0.5: 0.6, 1.0: 0.4}


def score(label: str, seed: int, temperature: float, prompt: str, metric: str) -> float:
    """A number that anybody can compute again: a mean per system, and spread by prompt and seed."""
    rng = np.random.default_rng([len(label), ord(label[-1]), seed, int(10 * temperature), PROMPTS.index(prompt), len(metric)])
    domain = get_domain("listqa")
    if metric == domain.primary:
        return PRIMARY[label][TEMPERATURES.index(temperature)] + float(rng.normal(scale=0.4))
    if metric == domain.quality:
        return QUALITY[temperature] + 0.02 * list(PRIMARY).index(label) + float(rng.uniform(-0.1, 0.1))
    return float(rng.uniform())


def make_rows(split: str = "dev", prompts=PROMPTS) -> list[dict]:
    return [
        {
            "method": label.split("@")[0],
            "lambda": LAMBDAS.get(label),
            "seed": seed,
            "temperature": temperature,
            "split": split,
            "id": prompt,
            "metrics": {metric: score(label, seed, temperature, prompt, metric) for metric in METRICS},
        }
        for label, seeds in SEEDS.items()
        for seed in seeds
        for temperature in TEMPERATURES
        for prompt in prompts
    ]


def matrix(label: str, temperature: float, metric: str) -> np.ndarray:
    """(seeds, prompts)."""
    return np.array([[score(label, seed, temperature, prompt, metric) for prompt in PROMPTS] for seed in SEEDS[label]])


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results" / "listqa"


@pytest.fixture
def results(folder) -> Path:
    """scores, calibration and histories of a domain."""
    write_jsonl(folder / "scores.jsonl.gz", make_rows())
    write_json(folder / "calibration.json", None)
    for cell, objective in (("lora", None), ("polychromic-3.0", 0.2), ("polychromic_plain", 0.4)):
        extra = {} if objective is None else {"objective": objective}
        rows = [
            {"seed": 0, "step": 1, "loss": 9.0, "ce": 2.0, **extra},
            {"seed": 0, "step": 2, "loss": 9.0, "ce": 1.0, **{key: value + 0.1 for key, value in extra.items()}},
            {"seed": 0, "step": 2, "eval_loss": 3.0},
            {"seed": 1, "step": 1, "loss": 9.0, "ce": 4.0, **{key: value + 0.2 for key, value in extra.items()}},
            {"seed": 1, "step": 2, "loss": 9.0, "ce": 2.0, **extra},
        ]
        write_jsonl(folder / cell / "history.jsonl", rows)
    return folder


def best_temperature(label: str) -> float:
    return max(TEMPERATURES, key=lambda t: matrix(label, t, "valid_distinct@10").mean())


# select


def test_select_takes_the_temperature_with_the_highest_mean(results):
    analysis.select(small_params(), "listqa")
    document = read_json(results / "select.json")
    assert document["chosen"] == {label: best_temperature(label) for label in PRIMARY}
    assert set(document["chosen"].values()) == {0.5, 1.0}
    assert (document["split"], document["primary"], document["quality"]) == ("dev", "valid_distinct@10", "pass@1")
    assert document["headline"] == "polychromic"


def test_equal_means_go_to_the_lower_temperature(folder):
    for order in (1, -1):
        rows = make_rows()[::order]
        for row in rows:
            row["metrics"]["valid_distinct@10"] = 1.5
        write_jsonl(folder / "scores.jsonl.gz", rows)
        analysis.select(small_params(), "listqa")
        assert set(read_json(folder / "select.json")["chosen"].values()) == {0.5}


def test_select_reads_dev_alone(results):
    analysis.select(small_params(), "listqa")
    before = (results / "select.json").read_bytes()
    opposite = make_rows("test", [f"q{i}" for i in range(8)])
    for row in opposite:
        row["metrics"]["valid_distinct@10"] = 100.0 if row["temperature"] != best_temperature(row["method"]) else 0.0
    write_jsonl(results / "scores.jsonl.gz", opposite + make_rows())
    for split in ("dev", "test"):
        analysis.select(small_params(analysis={"split": split}), "listqa")
        assert (results / "select.json").read_bytes() == before


def test_the_headline_must_be_among_the_cells(results):
    with pytest.raises(PolychromicError, match="no cell at lambda = 1.0"):
        analysis.select(small_params(**{"lambda": 1.0}), "listqa")


def test_another_headline_changes_the_labels_alone(results):
    analysis.select(small_params(**{"lambda": 0.3}), "listqa")
    chosen = read_json(results / "select.json")["chosen"]
    assert chosen["polychromic"] == best_temperature("polychromic@0.3") and chosen["polychromic@3.0"] == best_temperature("polychromic")


# reading


def test_missing_rows_are_named(results):
    rows = [row for row in make_rows() if (row["method"], row["temperature"], row["seed"], row["id"]) != ("lora", 1.0, 1, "q3")]
    write_jsonl(results / "scores.jsonl.gz", rows)
    with pytest.raises(PolychromicError, match=r"lora at temperature 1\.0 lacks 1 scores, first \(seed, prompt\) \(1, 'q3'\)"):
        analysis.select(small_params(), "listqa")


def test_a_split_without_scores_is_an_error(results):
    analysis.select(small_params(), "listqa")
    with pytest.raises(PolychromicError, match="no scores of split 'test'"):
        analysis.compare(small_params(analysis={"split": "test"}), "listqa")


# compare


@pytest.fixture
def compared(results) -> dict:
    params = small_params(analysis={"bootstrap": 500})
    analysis.select(params, "listqa")
    analysis.compare(params, "listqa")
    return read_json(results / "compare.json")


def test_the_report_accepts_the_document(compared, results):
    parsed = Compare.model_validate(compared)
    assert load("listqa", results.parent) == parsed
    assert parsed.chosen("lora").temperature == best_temperature("lora")
    assert parsed.split == "dev" and parsed.calibration is None


def test_systems_hold_means_by_hand(compared):
    assert len(compared["systems"]) == len(PRIMARY) * 2
    for system in compared["systems"]:
        label, temperature = system["label"], system["temperature"]
        assert system["lambda"] == LAMBDAS.get(label) and system["method"] == label.split("@")[0]
        assert system["chosen"] == (temperature == best_temperature(label))
        assert system["seeds"] == SEEDS[label] and (system["n_prompts"], system["n_samples"]) == (8, 10)
        for metric, found in system["metrics"].items():
            values = matrix(label, temperature, metric)
            assert found["mean"] == pytest.approx(values.mean())
            assert found["by_seed"] == pytest.approx(values.mean(axis=1).tolist())
            standard_error = values.mean(axis=0).std(ddof=1) / np.sqrt(8)
            assert found["low"] < found["mean"] < found["high"]
            assert (found["high"] - found["low"]) / 2 == pytest.approx(1.96 * standard_error, rel=0.25)


def of_rule(compared: dict, rule: str) -> list[dict]:
    return [row for row in compared["contrasts"] if row["rule"] == rule]


def test_every_declared_contrast_has_its_rows(compared):
    """Three metrics at the chosen temperatures, one matched, and D at temperature 1 for methods that train on it."""
    declared = [(c.a, c.b) for c in small_params().analysis.contrasts]
    wanted = [(a, b, m, "chosen") for a, b in declared for m in ("valid_distinct@10", "pass@1", "semantic_diversity")]
    wanted += [(a, b, "valid_distinct@10", "matched") for a, b in declared]
    wanted += [(a, b, "objective", "policy") for a, b in declared if a.startswith("polychromic")]
    assert sorted((r["a"], r["b"], r["metric"], r["rule"]) for r in compared["contrasts"]) == sorted(wanted)
    assert len({row["id"] for row in compared["contrasts"]}) == len(wanted)


@pytest.mark.parametrize(("rule", "temperature"), [("chosen", best_temperature), ("policy", lambda label: 1.0)])
def test_paired_contrasts_by_hand(compared, rule, temperature):
    for row in of_rule(compared, rule):
        assert (row["a_temperature"], row["b_temperature"]) == (temperature(row["a"]), temperature(row["b"]))
        a = matrix(row["a"], row["a_temperature"], row["metric"])
        b = matrix(row["b"], row["b_temperature"], row["metric"])
        difference = a.mean(axis=0) - b.mean(axis=0)
        assert row["delta"] == pytest.approx(difference.mean())
        assert row["low"] < row["delta"] < row["high"]
        flips = [abs(np.dot(signs, difference)) for signs in itertools.product((1, -1), repeat=8)]
        exact = np.mean(np.array(flips) >= abs(difference.sum()) - 1e-9)
        assert row["p_permutation"] == row["p_value"] == pytest.approx(exact)
        assert row["p_wilcoxon"] == pytest.approx(st.wilcoxon(difference).pvalue)
        assert row["d_z"] == pytest.approx(difference.mean() / difference.std(ddof=1))
        above = np.sign(a.mean(axis=0)[:, None] - b.mean(axis=0)[None, :])
        assert row["cliffs_delta"] == pytest.approx(above.mean())
        if len(a) == len(b):
            assert row["delta_by_seed"] == pytest.approx((a.mean(axis=1) - b.mean(axis=1)).tolist())
        assert np.mean(row["delta_by_seed"]) == pytest.approx(row["delta"])
        assert row["seeds"] == SEEDS[row["a"]]


def test_quality_has_a_margin_and_the_others_have_none(compared):
    margin = small_params().analysis.margin
    for row in compared["contrasts"]:
        if row["metric"] == "pass@1":
            assert row["margin"] == margin and row["non_inferior"] == (row["low"] > -margin)
        else:
            assert row["margin"] is None and row["non_inferior"] is None
    assert {row["non_inferior"] for row in compared["contrasts"]} == {True, False, None}


def holm(p_values: list[float]) -> list[float]:
    """Step down, by hand."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def test_holm_adjusts_within_each_family(compared):
    families = {"primary": [], "secondary": []}
    for row in compared["contrasts"]:
        families[row["family"]].append(row)
    assert all(row["metric"] == "valid_distinct@10" for row in families["primary"]), "quality and diversity are never primary"
    assert len(families["primary"]) == 2 * 2
    for rows in families.values():
        assert [row["p_holm"] for row in rows] == pytest.approx(holm([row["p_value"] for row in rows]))


def test_matched_contrasts_read_the_peer_at_the_same_quality(compared):
    """Both ends of each peer's frontier: quality falls and coverage rises with temperature, or one temperature beats the other."""
    seen = set()
    for row in of_rule(compared, "matched"):
        a_quality = matrix(row["a"], best_temperature(row["a"]), "pass@1").mean()
        a_value = matrix(row["a"], best_temperature(row["a"]), "valid_distinct@10").mean()
        quality = [matrix(row["b"], t, "pass@1").mean() for t in TEMPERATURES]
        value = [matrix(row["b"], t, "valid_distinct@10").mean() for t in TEMPERATURES]
        assert quality[0] > quality[1]
        if value[0] >= value[1]:
            share = 1.0
        else:
            share = float(np.clip((a_quality - quality[1]) / (quality[0] - quality[1]), 0, 1))
        seen.add("inside" if 0 < share < 1 else "end")
        assert row["delta"] == pytest.approx(a_value - (share * value[0] + (1 - share) * value[1]))
        assert row["b_temperature"] == pytest.approx(share * 0.5 + (1 - share) * 1.0, abs=1e-6)
        assert row["low"] <= row["delta"] <= row["high"] and 0 <= row["clamped_share"] <= 1
        assert np.mean(row["delta_by_seed"]) == pytest.approx(row["delta"])
        assert row["p_permutation"] is None and 0 < row["p_value"] <= 1
    assert seen == {"inside", "end"}


def test_histories_are_means_over_seeds(compared):
    assert set(compared["histories"]) == {"lora", "polychromic", "polychromic_plain"}
    assert compared["histories"]["lora"] == [
        {"step": 1, "ce_mean": 3.0, "objective_mean": None},
        {"step": 2, "ce_mean": 1.5, "objective_mean": None},
    ]
    steps = compared["histories"]["polychromic"]
    assert [row["objective_mean"] for row in steps] == pytest.approx([0.3, 0.25])


def test_without_temperature_one_no_contrast_speaks_of_the_policy(results):
    rows = make_rows()
    for row in rows:
        row["temperature"] = {0.5: 0.5, 1.0: 0.9}[row["temperature"]]
    write_jsonl(results / "scores.jsonl.gz", rows)
    analysis.select(small_params(), "listqa")
    analysis.compare(small_params(), "listqa")
    assert {row["rule"] for row in read_json(results / "compare.json")["contrasts"]} == {"chosen", "matched"}


def test_compare_repeats_to_the_byte(results):
    params = small_params()
    analysis.select(params, "listqa")
    analysis.compare(params, "listqa")
    first = (results / "compare.json").read_bytes()
    write_jsonl(results / "scores.jsonl.gz", make_rows()[::-1])
    analysis.compare(params, "listqa")
    assert (results / "compare.json").read_bytes() == first, "the order of the rows says nothing"


def test_compare_on_test_keeps_the_choices_of_dev(results):
    rows = make_rows() + make_rows("test")
    for row in rows:
        if row["split"] == "test":
            row["metrics"]["valid_distinct@10"] = -row["metrics"]["valid_distinct@10"]
    write_jsonl(results / "scores.jsonl.gz", rows)
    params = small_params(analysis={"split": "test"})
    analysis.select(params, "listqa")
    analysis.compare(params, "listqa")
    found = Compare.model_validate(read_json(results / "compare.json"))
    assert found.split == "test" and found.chosen("lora").temperature == best_temperature("lora")
    assert found.chosen("lora").metrics["valid_distinct@10"].mean < 0


def test_a_contrast_of_a_method_without_scores_is_named(results):
    write_jsonl(results / "scores.jsonl.gz", [row for row in make_rows() if row["method"] != "polychromic_plain"])
    analysis.select(small_params(), "listqa")
    with pytest.raises(PolychromicError, match="polychromic_plain"):
        analysis.compare(small_params(), "listqa")


def test_labels():
    assert analysis.label_of("lora", None, 3.0) == "lora"
    assert analysis.label_of("polychromic", 3.0, 3.0) == "polychromic"
    assert analysis.label_of("polychromic", 0.3, 3.0) == "polychromic@0.3"
