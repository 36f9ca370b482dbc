"""compare on test, on scores that are written down here: the declared systems, seeds, temperatures and families, and nothing from dev."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, read_jsonl, write_json, write_jsonl
from polychromic.compare import compare as analysis
from polychromic.compare.compare import compare
from polychromic.compare.fronts import Front, front_contrast
from polychromic.compare.stats import holm
from polychromic.compare.systems import label_of
from polychromic.params import Params, load_params
from polychromic.params import TestPlan as Plan
from polychromic.provenance.workspace import Workspace
from tests.compare.test_compare import GUARD, MAIN, METRICS, rows_of
from tests.workspace import REPOSITORY, listqa_record, small_values

PROMPTS = [f"q{i}" for i in range(12)]
SEEDS = [4, 0, 2]  # the first ones count, whatever their size
SYSTEMS = {
    "zero_shot": {"seeds": 1, "temperatures": [1.0]},
    "few_shot": {"seeds": 1, "temperatures": [0.5]},
    "lora": {"seeds": 3, "temperatures": [1.0, 0.5, 0.6, 0.7, 0.8, 0.9]},
    "rft": {"seeds": 2, "temperatures": [0.5, 0.6, 0.7, 0.8, 0.9, 1.1]},
    "polychromic": {"lam": 0.3, "seeds": 3, "temperatures": [0.7, 0.5, 0.6, 0.8, 0.9, 1.0]},
}
CONTRASTS = [
    {"a": "polychromic", "b": "lora", "family": "primary"},
    {"a": "polychromic", "b": "rft", "family": "primary"},
    {"a": "polychromic", "b": "zero_shot", "family": "secondary", "rule": "chosen"},
    {"a": "rft", "b": "lora", "family": "primary", "rule": "chosen"},
    {"a": "polychromic", "b": "lora", "family": "secondary", "stratum": "unseen:"},
]
TRAINED = {"lora", "rft", "polychromic"}
LEVEL = {"zero_shot": 1.0, "few_shot": 2.0, "lora": 3.0, "rft": 4.1, "polychromic": 4.0}
CELLS = [(name, seed, heat) for name, one in SYSTEMS.items() for seed in SEEDS[: one["seeds"]] for heat in one["temperatures"]]


def params(**changes: Any) -> Params:
    values = small_values() | {"seeds": [0], "lambda": 3.0}
    plan = {"seeds": SEEDS, "systems": SYSTEMS, "contrasts": CONTRASTS}
    values["analysis"]["test"]["listqa"] = plan
    values["listqa"]["metrics"] = [name for name in METRICS if name != "objective"]
    values["analysis"] |= changes.pop("analysis", {})
    return Params.model_validate(values | changes)


def score(name: str, seed: int, temperature: float, prompt: str, metric: str) -> float:
    rng = np.random.default_rng([len(name), seed, int(10 * temperature), PROMPTS.index(prompt), len(metric)])
    if metric == MAIN:
        return LEVEL[name] + temperature + float(rng.normal(scale=0.5))
    return 0.95 - 0.5 * temperature + float(rng.uniform(-0.1, 0.1)) if metric == GUARD else float(rng.uniform())


def matrix(name: str, temperature: float, metric: str, seeds: int | None = None) -> np.ndarray:
    """(seeds, prompts) of the first few of its seeds."""
    own = sorted(SEEDS[: seeds or SYSTEMS[name]["seeds"]])
    return np.array([[score(name, seed, temperature, prompt, metric) for prompt in PROMPTS] for seed in own])


def rows() -> list[dict]:
    return rows_of(CELLS, {name: system["lam"] for name, system in SYSTEMS.items() if "lam" in system}, "test", PROMPTS, score)


def write_results() -> Path:
    """Scores and histories of test, data and split, and nothing else: no choices, no score on dev."""
    write_jsonl(paths.scores_file("listqa", "test"), rows())
    for name, system in SYSTEMS.items():
        log = [{"seed": seed, "step": step, "ce": 1.0} for seed in SEEDS[: system["seeds"]] for step in range(1, 7)]
        write_jsonl(
            paths.cell_dir("listqa", "test", paths.cell_name(name, system.get("lam"))) / paths.HISTORY, log if name in TRAINED else []
        )
    strata = [f"unseen:{i}" if i < 4 else "kind" for i in range(12)]
    records = [listqa_record(i, id=prompt, stratum=stratum) for i, (prompt, stratum) in enumerate(zip(PROMPTS, strata, strict=True))]
    write_jsonl(paths.data_file("listqa"), [record.model_dump() for record in records])
    write_json(paths.split_file("listqa"), {"splits": {"train": [], "dev": [], "test": PROMPTS, "calibration": []}})
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


def found(document: dict, a: str, b: str, metric: str = MAIN, rule: str = "front", stratum: str | None = None) -> dict:
    (row,) = [r for r in document["contrasts"] if (r["a"], r["b"], r["metric"], r["rule"], r["stratum"]) == (a, b, metric, rule, stratum)]
    return row


def test_what_was_declared_stands_in_it(document):
    assert (document["domain"], document["split"], document["primary"], document["quality"]) == ("listqa", "test", MAIN, GUARD)
    assert document["chosen"] == {name: system["temperatures"][0] for name, system in SYSTEMS.items()}
    assert [(one["a"], one["b"], one["family"], one["rule"], one["stratum"]) for one in document["declared"]] == [
        (one["a"], one["b"], one["family"], one.get("rule", "front"), one.get("stratum")) for one in CONTRASTS
    ]
    assert document["training"] == {"runs": 8, "steps": 48} and document["machines"] == {"a GPU": list(SYSTEMS)}
    assert set(document["costs"]) == TRAINED and document["costs"]["rft"]["seeds"] == [0, 4]


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
    assert pair["by_seed"] == pytest.approx(expected.tolist()) and pair["delta"] == pytest.approx(expected.mean())
    assert found(document, "polychromic", "lora")["seeds"] == [0, 2, 4]


def test_fronts_are_those_of_all_temperatures_seeds_and_prompts(document):
    """polychromic's values are lora's and one more, at the same qualities."""
    row = found(document, "polychromic", "lora")
    sides = []
    for name in ("polychromic", "lora"):
        heats = sorted(SYSTEMS[name]["temperatures"])
        sides.append(Front(heats, *(np.stack([matrix(name, t, metric) for t in heats]) for metric in (GUARD, MAIN))))
        assert row[f"{name[0] == 'p' and 'a' or 'b'}_temperatures"] == heats
    again = front_contrast(*sides, np.random.default_rng(1), 200)
    assert row["delta"] == pytest.approx(again.gap.delta) and row["delta"] == pytest.approx(1.0, abs=0.35)
    assert row["by_seed"] == pytest.approx(list(again.by_seed), nan_ok=True) and row["shared"] == pytest.approx(list(again.shared))
    assert row["low"] < row["delta"] < row["high"] and row["match"] and row["dominates"] == again.dominates
    assert row["detectable"] > row["se"] and row["over_prompts"]["low"] < row["delta"] < row["over_prompts"]["high"]
    assert found(document, "polychromic", "rft")["seeds"] == [0, 4]
    assert not [r for r in document["contrasts"] if r["b"] == "zero_shot" and r["rule"] == "front"], "one temperature makes no front"


def test_a_stratum_is_reported_apart(document):
    row, whole = (found(document, "polychromic", "lora", rule="chosen", stratum=stratum) for stratum in ("unseen:", None))
    assert (row["n_prompts"], whole["n_prompts"], row["family"]) == (4, 12, "secondary")
    a, b = matrix("polychromic", 0.7, MAIN)[:, :4], matrix("lora", 1.0, MAIN)[:, :4]
    assert row["delta"] == pytest.approx((a - b).mean()) and row["id"] != whole["id"]


def test_prompts_of_a_group_are_one_cluster(folder):
    compare(params(analysis={"clusters": ["listqa"]}), "listqa", "test")
    alone = read_json(folder / "compare.json")
    records = [record for _, record in read_jsonl(paths.data_file("listqa"))]
    write_jsonl(paths.data_file("listqa"), [record | {"group": f"g{i % 3}"} for i, record in enumerate(records)])
    compare(params(analysis={"clusters": ["listqa"]}), "listqa", "test")
    rows = [found(document, "polychromic", "lora") for document in (alone, read_json(folder / "compare.json"))]
    assert [row["n_clusters"] for row in rows] == [12, 3] and rows[0]["delta"] == rows[1]["delta"] and rows[0]["se"] != rows[1]["se"]
    write_jsonl(paths.data_file("listqa"), [record | {"stratum": "kind"} for record in records])
    with pytest.raises(PolychromicError, match="contrast polychromic - lora on unseen:: got 3 seeds that both have, 0 prompts or groups"):
        compare(params(), "listqa", "test")


def test_the_primary_family_is_what_was_declared_and_holm_adjusts_it_alone(document):
    primary = [row for row in document["contrasts"] if row["family"] == "primary"]
    assert [(row["a"], row["b"], row["metric"], row["rule"]) for row in primary] == [
        ("polychromic", "lora", MAIN, "front"), ("polychromic", "rft", MAIN, "front"), ("rft", "lora", MAIN, "chosen")
    ]  # fmt: skip
    p = [row["p"] for row in primary]
    assert [row["p_adjusted"] for row in primary] == pytest.approx(holm(p))
    assert max(p) > 0.1 > min(p), "a family whose members agree tests nothing"


def test_without_a_match_a_primary_contrast_counts_as_no_difference(folder):
    shifted = [row | {"metrics": row["metrics"] | {GUARD: row["metrics"][GUARD] + 2.0 * (row["method"] == "rft")}} for row in rows()]
    write_jsonl(folder / "scores.jsonl.gz", shifted)
    compare(params(), "listqa", "test")
    document = read_json(folder / "compare.json")
    row = found(document, "polychromic", "rft")
    assert (row["match"], row["delta"], row["p"], row["p_adjusted"], row["detectable"], row["over_prompts"]) == (
        False,
        *[None] * 2,
        1.0,
        None,
        None,
    )
    assert row["shared"][1] < row["shared"][0] and row["best_quality"]["delta"] < -1.5 and row["unmatched"] == 1


def test_quality_is_guarded_and_no_side_has_a_role(document):
    guard = found(document, "polychromic", "lora", GUARD, "chosen")
    assert guard["margin"] == params().analysis.margin and guard["non_inferior"] == (guard["low"] > -guard["margin"])
    assert {(row["a_role"], row["b_role"]) for row in document["contrasts"]} == {(None, None)}
    assert [row["label"] for row in document["self_contrasts"]] == ["lora", "polychromic", "rft"]


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


def misplaced(plan: Plan, selection: dict) -> tuple[list[str], int]:
    """Systems whose first temperature is not the one that dev chose, and of how many dev has chosen one."""
    labels = {name: label_of(name, system.lam, selection["lambda"]["headline"]) for name, system in plan.systems.items()}
    chosen = {name: selection["chosen"][label] for name, label in labels.items() if label in selection["chosen"]}
    return [name for name, temperature in chosen.items() if plan.systems[name].temperatures[0] != temperature], len(chosen)


def test_the_declared_temperatures_are_those_of_dev():
    """The chosen one first, of each system that dev has scored, in each domain that is opened."""
    chosen = {"lora": 1.0, "few_shot": 0.5, "rft": 0.6, "polychromic@0.3": 0.7, "polychromic": 0.5}
    assert misplaced(params().test_plan("listqa"), {"lambda": {"headline": 3.0}, "chosen": chosen}) == (["rft"], 4)
    here, declared = Workspace(REPOSITORY), load_params(REPOSITORY / "params.yaml")
    for domain, plan in declared.analysis.test.items():
        wrong, compared = misplaced(plan, read_json(here.result(paths.choices_file(domain).as_posix())))
        assert wrong == [] and compared >= 4, (domain, "the baselines at least")


def test_each_declared_family_has_the_claim_of_the_paper():
    """The headline against LoRA along their fronts, whose records the text prints, is primary everywhere."""
    declared = load_params(REPOSITORY / "params.yaml").analysis
    families = {"dev": declared.contrasts} | {domain: plan.contrasts for domain, plan in declared.test.items()}
    for about, (first, *_) in families.items():
        assert (first.a, first.b, first.family, first.rule) == ("polychromic", "lora", "primary", "front"), about
