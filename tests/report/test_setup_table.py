"""The table of parameters leaves no value out, and says once what most methods share."""

from typing import Any

import pytest

from polychromic.params import load_params
from polychromic.report import labels
from polychromic.report.labels import flatten, param_text
from polychromic.report.setup_table import definitions_table, setup_table
from tests.report.synthetic import REPOSITORY


@pytest.fixture(scope="module")
def params() -> dict[str, Any]:
    return load_params(REPOSITORY / "params.yaml").model_dump(by_alias=True)


def row_of(text: str, key: str) -> list[str]:
    """The cells of the row of a key."""
    (line,) = [line for line in text.splitlines() if line.startswith(rf"\texttt{{{labels.escape(key)}}} & ")]
    return [cell.strip() for cell in line.rstrip("*").removesuffix(r" \\").split(" & ")]


def test_a_method_is_one_row_with_what_is_its_own(params):
    same = dict.fromkeys(("loss", "settings", "subset", "budget", "seeds", "domains")) | {"adapter": "lora", "prompt": "zero_shot"}
    methods = {name: same | own for name, own in {
        "lora": {"objective": "none", "similarity": "domain", "lam": None},
        "polychromic": {"objective": "coverage", "similarity": "domain", "lam": "lambda"},
        "polychromic_plain": {"objective": "plain", "similarity": "semantic", "lam": 0.5},
    }.items()}  # fmt: skip
    text = setup_table(params | {"methods": methods})
    assert row_of(text, "lora")[1:] == ["lora", "--", "--", "--", "--", "all", "all", ""]
    assert row_of(text, "polychromic_plain")[1:] == ["lora", "--", "plain", "0.5", "--", "all", "all", r"\texttt{similarity} semantic"]
    assert r"otherwise: \texttt{prompt} zero\_shot; \texttt{similarity} domain." in text
    assert text.count(r"\begin{longtable}") == text.count(r"\caption") == 1, "one table: later ones keep the numbers that trace gives them"
    assert text.count(r"\begin{longtable*}") == 2


def test_every_value_of_params_yaml_is_printed(params):
    """In the row of its method, in its domain's column, or in a row of its own."""
    text = setup_table(params)
    usual = next(line for line in text.splitlines() if "Further settings" in line)
    domains = params["domains"]
    for key, value in flatten(params):
        section, _, name = key.partition(".")
        if section == "methods":
            method, _, name = name.partition(".")
            printed = param_text(value) if value is not None else ""
            assert printed == "none" or printed in " & ".join(row_of(text, method)) or printed in usual, key
        elif section in domains:
            assert row_of(text, name)[1 + domains.index(section)] == param_text(value), key
        elif key.startswith("analysis.endpoints."):
            _, _, domain, end = key.split(".")
            assert row_of(text, f"analysis.endpoints.{end}")[1 + domains.index(domain)] == param_text(value), key
        elif key.startswith("analysis.test.") and ".systems." in key:
            _, _, domain, _, system, setting = key.split(".")
            systems = row_of(text, f"analysis.test.{domain}.systems")[1].split("; ")
            (listed,) = (entry for entry in systems if entry.startswith(f"{labels.escape(system)} ("))
            assert value is None or f"{setting} {param_text(value)}" in listed, key
        elif not key.endswith(".contrasts"):
            assert row_of(text, key) == [rf"\texttt{{{labels.escape(key)}}}", param_text(value)], key
    tests = {f"analysis.test.{domain}.contrasts": plan["contrasts"] for domain, plan in params["analysis"]["test"].items()}
    for key, contrasts in ({"analysis.contrasts": params["analysis"]["contrasts"]} | tests).items():
        for contrast in contrasts:
            start = rf"\texttt{{{labels.escape(key)}}} & family {contrast['family']}, rule {contrast['rule']}: "
            pair = f"{labels.escape(contrast['a'])} $-$ {labels.escape(contrast['b'])}"
            assert any(line.startswith(start) and pair in line for line in text.splitlines()), (key, pair)


def test_definitions_name_every_metric_in_use_with_its_versions():
    metrics = {"metrics": ["pass@10", "semantic_diversity", "rouge_l"]}
    text = definitions_table({"domains": ["listqa"], "encoder": {"package": "tiny-encoder"}, "listqa": metrics})
    rows = [line for line in text.split(r"\endfoot")[1].splitlines() if " & " in line]
    assert [line.split(" & ")[1] for line in rows] == ["0 to 1", r"0 to $\infty$", "0 to 1", "0 to 1"]
    assert rows[0].startswith(r"pass@10 (\%)") and "encoder:tiny-encoder" in rows[1] and "rouge-score:" in rows[2]
