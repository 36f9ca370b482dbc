"""compare.json and select.json are checked before anything is drawn from them."""

from pathlib import Path

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import read_json, write_json
from polychromic.report import results


def edit(path: Path, change) -> None:
    value = read_json(path)
    change(value)
    write_json(path, value)


def test_load_orders_methods_and_finds_the_chosen_rows(workspace: Path):
    compare = results.load("listqa", workspace / "results")
    assert compare.main_labels() == ["zero_shot", "few_shot", "lora", "gem", "rft", "polychromic"]
    ours = ["polychromic_quarter", "polychromic_bulk", "polychromic"]
    without = ["zero_shot", "few_shot", "lora", "lora_long", "gem", "polychromic_plain", "some_new_peer"]
    assert compare.grouped_labels() == [
        ("Without the checker", without), ("With the checker", ["rft", "poly_epo"]), ("Polychromic LoRA", ours),
    ]  # fmt: skip
    assert set(compare.method_labels()) == {*without, "rft", "poly_epo", *ours}
    assert compare.chosen("polychromic").temperature == 0.85


def test_lambda_rows_share_one_temperature(workspace: Path):
    rows = results.load("listqa", workspace / "results").lambda_rows()
    assert [(row.label, row.lam) for row in rows] == [
        ("lora", None),
        ("polychromic@0.3", 0.3),
        ("polychromic", 3.0),
        ("polychromic@10", 10.0),
    ]
    assert {row.temperature for row in rows} == {0.85}


def test_lambda_rows_take_the_nearest_shared_temperature(workspace: Path):
    path = workspace / "results/listqa/compare.json"
    edit(path, lambda v: v["systems"].remove(next(s for s in v["systems"] if s["label"] == "polychromic@10" and s["temperature"] == 0.85)))
    edit(path, lambda v: [s.update(chosen=True) for s in v["systems"] if s["label"] == "polychromic@10" and s["temperature"] == 0.7])
    assert {row.temperature for row in results.load("listqa", workspace / "results").lambda_rows()} == {0.7}


def test_a_missing_field_is_named(workspace: Path):
    path = workspace / "results/listqa/compare.json"
    edit(path, lambda v: v["systems"][3]["metrics"]["pass@1"].pop("low"))
    with pytest.raises(DataError, match=r"compare\.json: systems\.3\.metrics\.pass@1\.low: Field required"):
        results.load("listqa", workspace / "results")


def test_a_p_value_above_one_is_refused(workspace: Path):
    edit(workspace / "results/listqa/compare.json", lambda v: v["contrasts"][0].update(p_adjusted=1.2))
    with pytest.raises(DataError, match=r"contrasts\.0\.p_adjusted"):
        results.load("listqa", workspace / "results")


def test_select_and_compare_must_agree(workspace: Path):
    edit(workspace / "results/listqa/select.json", lambda v: v["chosen"].update(lora=0.3))
    with pytest.raises(PolychromicError, match=r"not made from the select\.json beside it.*dvc repro"):
        results.load("listqa", workspace / "results")


def test_a_method_that_nothing_is_said_about_is_named(workspace: Path):
    edit(workspace / "results/listqa/compare.json", lambda v: v["methods"].pop("gem"))
    with pytest.raises(PolychromicError, match="scores of gem, which its methods lack"):
        results.load("listqa", workspace / "results")


def test_a_missing_file_says_what_to_run(workspace: Path):
    (workspace / "results/replies/select.json").unlink()
    with pytest.raises(PolychromicError, match=r"select\.json: file not found.*dvc"):
        results.load("replies", workspace / "results")


def test_a_contrast_that_the_paper_needs_is_named(workspace: Path):
    compare = results.load("listqa", workspace / "results")
    with pytest.raises(PolychromicError, match="no contrast of 'lora' against 'polychromic' on 'tokens'"):
        compare.contrast("lora", "polychromic", "tokens", ("chosen",))
