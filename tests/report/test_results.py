"""compare.json and choices.json are checked before anything is drawn from them."""

from pathlib import Path

import pytest

from polychromic.base import paths
from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import read_json, write_json
from polychromic.report import results
from polychromic.report.results import Compare


def edit(path: Path, change) -> None:
    value = read_json(path)
    change(value)
    write_json(path, value)


def test_methods_are_in_printed_order_and_in_their_groups(compare: Compare):
    assert compare.main_labels() == ["zero_shot", "few_shot", "lora", "gem", "rft", "polychromic"]
    without = ["zero_shot", "few_shot", "lora", "lora_long", "gem", "polychromic_plain", "some_new_peer"]
    ours = ["polychromic_quarter", "polychromic"]
    groups = [("Without the checker", without), ("With the checker", ["rft", "poly_epo"]), ("Polychromic LoRA", ours)]
    assert compare.grouped_labels() == groups
    assert set(compare.method_labels()) == {*without, "rft", "poly_epo", *ours}
    assert compare.chosen("polychromic").temperature == 0.85


def test_on_test_the_main_systems_are_those_that_the_primary_family_compares_the_headline_with(on_test: Compare):
    assert on_test.main_labels() == ["zero_shot", "few_shot", "lora", "lora_longer", "rft_min_p", "polychromic"]
    assert [system.temperature for system in on_test.front("lora")] == [0.2, 0.35, 0.5, 0.75], "all that were declared"


@pytest.mark.parametrize(("dropped", "shared"), [(None, 0.85), (0.85, 0.7)])
def test_lambda_rows_share_the_headlines_temperature_or_the_nearest(compares: dict, dropped: float | None, shared: float):
    values = compares["listqa"]
    values["systems"] = [s for s in values["systems"] if (s["label"], s["temperature"]) != ("polychromic@10", dropped)]
    rows = Compare.model_validate(values).lambda_rows()
    weights = [("lora", None), ("polychromic@0.3", 0.3), ("polychromic", 3.0), ("polychromic@10", 10.0)]
    assert [(row.label, row.lam) for row in rows] == weights and {row.temperature for row in rows} == {shared}


def test_weights_without_a_shared_temperature_are_named(compares: dict):
    values = compares["listqa"]
    values["systems"] = [s for s in values["systems"] if s["label"] != "polychromic@10"]
    values["systems"] += [s | {"label": "polychromic@10", "temperature": 9.0} for s in values["systems"] if s["label"] == "polychromic"]
    with pytest.raises(PolychromicError, match=r"dev/compare\.json: lora, .*polychromic share no temperature"):
        Compare.model_validate(values).lambda_rows()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda v: v["systems"][3]["metrics"]["pass@1"].pop("low"), DataError, r"compare\.json: systems\.3\.metrics\.pass@1\.low: Field"),
        (lambda v: v["contrasts"][0].update(p_adjusted=1.2), DataError, r"contrasts\.0\.p_adjusted"),
        (lambda v: v["methods"].pop("gem"), DataError, "scores of gem, which its methods lack"),
        (lambda v: v.pop("histories"), DataError, "histories missing, which dev has"),
        (lambda v: v.update(domain="code"), DataError, r"dev of code.*dev of listqa"),
        (lambda v: v["selection"]["chosen"].update(lora=0.3), PolychromicError, r"not made from the choices\.json beside it.*dvc repro"),
    ],
)
def test_what_is_wrong_with_a_document_is_named(workspace: Path, change, error: type, message: str):
    edit(paths.compare_file("listqa", "dev"), change)
    with pytest.raises(error, match=message):
        results.load("listqa", "dev", paths.RESULTS)


def test_dev_is_not_taken_for_test(workspace: Path, compares: dict):
    write_json(paths.compare_file("code", "test"), compares["code"])
    with pytest.raises(DataError, match="dev of code.*test of code"):
        results.load("code", "test", paths.RESULTS)
    with pytest.raises(ValueError, match="declared, machines, training missing, which test has"):
        Compare.model_validate(compares["code"] | {"split": "test"})


def test_a_missing_file_says_what_to_run(workspace: Path):
    paths.choices_file("replies").unlink()
    with pytest.raises(PolychromicError, match=r"choices\.json: file not found.*dvc"):
        results.load("replies", "dev", paths.RESULTS)


def test_a_row_or_contrast_that_the_paper_needs_is_named(compare: Compare):
    with pytest.raises(PolychromicError, match=r"listqa/dev/compare\.json: no contrast of 'lora' against 'polychromic' on 'tokens'"):
        compare.contrast("lora", "polychromic", "tokens", ("chosen",))
    with pytest.raises(PolychromicError, match="0 chosen rows of 'nobody'. Allowed: one"):
        compare.chosen("nobody")
