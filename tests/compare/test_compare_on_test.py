"""compare on test, on scores that are written down here: the declared systems, seeds, temperatures and families, and nothing from dev."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, write_json, write_jsonl
from polychromic.compare import compare as analysis
from polychromic.compare.compare import compare
from polychromic.compare.stats import holm
from polychromic.compare.systems import label_of
from polychromic.params import Params, load_params
from polychromic.provenance.workspace import Workspace
from polychromic.report.results import Compare
from tests.compare.test_compare import GUARD, MAIN, rows_of
from tests.workspace import REPOSITORY, small_values

PROMPTS = [f"q{i}" for i in range(12)]
SEEDS = [4, 0, 2]  # the first ones count, whatever their size
SYSTEMS = {
    "zero_shot": {"seeds": 1, "temperatures": [1.0]},
    "few_shot": {"seeds": 1, "temperatures": [0.5]},
    "lora": {"seeds": 3, "temperatures": [1.0, 0.5]},
    "rft": {"seeds": 2, "temperatures": [0.5]},
    "polychromic": {"lam": 0.3, "seeds": 3, "temperatures": [0.7, 1.0]},
}
CONTRASTS = [
    {"a": "polychromic", "b": "lora", "family": "primary"},
    {"a": "polychromic", "b": "rft", "family": "primary"},
    {"a": "polychromic", "b": "zero_shot", "family": "primary", "rule": "chosen"},
    {"a": "rft", "b": "lora", "family": "secondary"},
]
LEVEL = {"zero_shot": 1.0, "few_shot": 2.0, "lora": 3.0, "rft": 4.1, "polychromic": 4.0}
QUALITY = {0.5: 0.7, 0.7: 0.6, 1.0: 0.4}
CELLS = [(name, seed, heat) for name, one in SYSTEMS.items() for seed in SEEDS[: one["seeds"]] for heat in one["temperatures"]]


def params(**changes: Any) -> Params:
    values = small_values() | {"seeds": [0], "lambda": 3.0}
    plan = {"seeds": SEEDS, "systems": SYSTEMS, "contrasts": CONTRASTS}
    values["analysis"]["test"]["listqa"] = plan
    values["analysis"] |= changes.pop("analysis", {})
    return Params.model_validate(values | changes)


def score(name: str, seed: int, temperature: float, prompt: str, metric: str) -> float:
    rng = np.random.default_rng([len(name), seed, int(10 * temperature), PROMPTS.index(prompt), len(metric)])
    if metric == MAIN:
        return LEVEL[name] + temperature + float(rng.normal(scale=0.5))
    return QUALITY[temperature] + float(rng.uniform(-0.1, 0.1)) if metric == GUARD else float(rng.uniform())


def matrix(name: str, temperature: float, metric: str, seeds: int | None = None) -> np.ndarray:
    """(seeds, prompts) of the first few of its seeds."""
    own = sorted(SEEDS[: seeds or SYSTEMS[name]["seeds"]])
    return np.array([[score(name, seed, temperature, prompt, metric) for prompt in PROMPTS] for seed in own])


def rows() -> list[dict]:
    return rows_of(CELLS, {name: system["lam"] for name, system in SYSTEMS.items() if "lam" in system}, "test", PROMPTS, score)


def write_results() -> Path:
    """Scores on test and nothing else: no choices, no history, no score on dev."""
    write_jsonl(paths.scores_file("listqa", "test"), rows())
    write_json(paths.machines_file("listqa"), {"a GPU": list(SYSTEMS)})
    return paths.RESULTS / "listqa" / "test"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_results()


@pytest.fixture(scope="module")
def document(tmp_path_factory) -> dict:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("compared"))
        folder = write_results()
        compare(params(), "listqa", "test")
        return read_json(folder / "compare.json")


def found(document: dict, a: str, b: str, metric: str = MAIN, rule: str = "matched") -> dict:
    (row,) = [row for row in document["contrasts"] if (row["a"], row["b"], row["metric"], row["rule"]) == (a, b, metric, rule)]
    return row


def test_the_report_accepts_it(document):
    parsed = Compare(document, "compare.json")
    assert (parsed.domain, parsed.split, parsed.primary, parsed.quality, parsed.headline) == ("listqa", "test", MAIN, GUARD, "polychromic")
    assert {label: parsed.chosen(label).temperature for label in parsed.method_labels()} == {
        name: system["temperatures"][0] for name, system in SYSTEMS.items()
    }
    assert [(one.a, one.b, one.family, one.rule) for one in parsed.declared] == [
        (one["a"], one["b"], one["family"], one.get("rule", "matched")) for one in CONTRASTS
    ]
    groups = {name: set(members) for name, members in parsed.grouped_labels()}
    without = {"zero_shot", "few_shot", "lora"}
    assert groups == {"Without the checker": without, "With the checker": {"rft"}, "Polychromic LoRA": {"polychromic"}}


def test_systems_have_the_declared_seeds_and_temperatures(document):
    assert {(s["label"], s["temperature"]) for s in document["systems"]} == {(name, temperature) for name, _, temperature in CELLS}
    for system in document["systems"]:
        name, temperature = system["label"], system["temperature"]
        assert system["seeds"] == sorted(SEEDS[: SYSTEMS[name]["seeds"]]) and system["n_prompts"] == 12
        assert system["lambda"] == SYSTEMS[name].get("lam"), "not the top-level one"
        for metric in (MAIN, GUARD):
            assert system["metrics"][metric]["mean"] == pytest.approx(matrix(name, temperature, metric).mean())


def test_a_pair_is_compared_on_the_seeds_that_both_have(document):
    pair = found(document, "polychromic", "rft", rule="chosen")
    assert pair["seeds"] == [0, 4]
    expected = matrix("polychromic", 0.7, MAIN, 2).mean(axis=1) - matrix("rft", 0.5, MAIN).mean(axis=1)
    assert pair["delta_by_seed"] == pytest.approx(expected.tolist()) and pair["delta"] == pytest.approx(expected.mean())
    assert found(document, "polychromic", "lora")["seeds"] == [0, 2, 4]


def test_a_match_reads_the_declared_temperatures_of_the_peer(document):
    row = found(document, "polychromic", "lora")
    quality, low, high = (matrix(*of, GUARD).mean() for of in (("polychromic", 0.7), ("lora", 1.0), ("lora", 0.5)))
    assert low < quality < high
    share = (quality - low) / (high - low)
    peer = share * matrix("lora", 0.5, MAIN).mean() + (1 - share) * matrix("lora", 1.0, MAIN).mean()
    assert row["delta"] == pytest.approx(matrix("polychromic", 0.7, MAIN).mean() - peer)
    assert row["b_temperature"] == pytest.approx(share * 0.5 + (1 - share) * 1.0, abs=1e-6)
    alone = found(document, "polychromic", "rft")
    assert alone["b_temperature"] == 0.5 and alone["clamped_share"] == 1.0, "one temperature: its only point, at whatever quality"


def test_the_primary_family_is_what_was_declared_and_holm_adjusts_it_alone(document):
    primary = [row for row in document["contrasts"] if row["family"] == "primary"]
    assert [(row["a"], row["b"], row["metric"], row["rule"]) for row in primary] == [
        ("polychromic", "lora", MAIN, "matched"), ("polychromic", "rft", MAIN, "matched"), ("polychromic", "zero_shot", MAIN, "chosen")
    ]  # fmt: skip
    p = [row["p_value"] for row in primary]
    assert [row["p_adjusted"] for row in primary] == pytest.approx(holm(p))
    assert max(p) > 0.1 > min(p), "a family whose members agree tests nothing"


def test_quality_is_guarded_no_side_has_a_role_and_d_is_compared_at_temperature_1(document):
    guard = found(document, "polychromic", "lora", GUARD, "chosen")
    assert guard["margin"] == params().analysis.margin and guard["non_inferior"] == (guard["low"] > -guard["margin"])
    assert {(row["a_role"], row["b_role"]) for row in document["contrasts"]} == {(None, None)}
    policy = {(row["a"], row["b"]) for row in document["contrasts"] if row["rule"] == "policy"}
    assert policy == {("polychromic", "lora"), ("polychromic", "zero_shot")}, "rft has no such samples"


def test_it_repeats_to_the_byte_whatever_is_chosen_for_dev_and_in_whatever_order_scores_lie(folder):
    compare(params(), "listqa", "test")
    before = (folder / "compare.json").read_bytes()
    write_jsonl(folder / "scores.jsonl.gz", rows()[::-1])
    for changes in ({"lambda": 0.1}, {"seeds": [1, 2]}, {"analysis": {"contrasts": CONTRASTS[:1]}}):
        compare(params(**changes), "listqa", "test")
        assert (folder / "compare.json").read_bytes() == before


def test_it_asks_the_seal_before_it_reads(folder, monkeypatch):
    def refuse(root: Path) -> None:
        assert root == Path()
        raise PolychromicError("not sealed")

    monkeypatch.setattr(analysis, "check_sealed", refuse)
    (folder / "scores.jsonl.gz").unlink()
    with pytest.raises(PolychromicError, match="not sealed"):
        compare(params(), "listqa", "test")
    assert not (folder / "compare.json").exists()


# the repository's own declaration


@pytest.mark.parametrize("domain", load_params(REPOSITORY / "params.yaml").domains)
def test_the_declared_temperatures_are_those_of_dev(domain: str):
    """The chosen one first, of each system that dev has scored; then the others of its frontier, which a match to it reads."""
    here = Workspace(REPOSITORY)
    path = here.result(paths.choices_file(domain).as_posix())
    declared, selection = load_params(REPOSITORY / "params.yaml"), read_json(path)
    compared, plan = 0, declared.test_plan(domain)
    peers = {contrast.b for contrast in plan.contrasts if contrast.rule == "matched"}
    for name, system in plan.systems.items():
        label = label_of(name, system.lam, selection["lambda"]["headline"])
        if label in selection["chosen"]:
            chosen, rest = selection["chosen"][label], [t for t in selection["fronts"][label] if t != selection["chosen"][label]]
            assert system.temperatures == [chosen, *rest] or (name not in peers and system.temperatures == [chosen]), name
            compared += 1
    assert compared >= 4, "the baselines"


def test_each_declared_family_has_the_claim_of_the_paper():
    """The headline against LoRA at matched quality, whose records the text prints, is primary everywhere."""
    declared = load_params(REPOSITORY / "params.yaml")
    for domain in declared.domains:
        first = declared.test_plan(domain).contrasts[0]
        assert (first.a, first.b, first.family, first.rule) == ("polychromic", "lora", "primary", "matched"), domain
