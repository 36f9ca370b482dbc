"""The tables hold the values of compare.json and of params.yaml in the right cells, and mark what the tests allow to be marked."""

import re

import pytest

from polychromic.params import load_params
from polychromic.report import labels, measured_tables, tables
from polychromic.report.labels import flatten, param_text
from polychromic.report.results import Compare, Fields
from polychromic.report.setup_table import definitions_table, setup_table
from tests.report.synthetic import REPOSITORY, make, make_people, measured, parsed


def cells(text: str, start: str, block: str = "") -> list[str]:
    """The cells of the first row, after the heading `block`, whose first cell starts with `start`."""
    line = next(line for line in text[text.index(block) :].splitlines() if line.startswith(start))
    return [cell.strip() for cell in re.sub(r"\\\\\*?$", "", line).split(" & ")]


def test_systems_stand_in_groups_with_means_and_half_intervals_and_what_valid_distinct_is_made_of(compare: Compare):
    text, system = tables.systems_table(compare), compare.chosen_system("polychromic")
    own, e = cells(text, "Polychromic &", "Polychromic LoRA"), system.metrics["pass@1"]
    assert own[:4] == ["Polychromic", "1.2", "3", rf"{100 * e.mean:.1f} {{\scriptsize $\pm$ {50 * (e.high - e.low):.1f}}}"]
    assert own[-1] == "4" and cells(text, "Zero-shot")[-1] == "--", "cost in multiples of C"
    distinct, valid = float(own[8]), float(own[7].partition(" ")[0])
    assert distinct * 10 * e.mean == pytest.approx(valid, rel=0.01)
    groups = [text.index(rf"\emph{{{name}}}") for name in ("Without the checker", "With the checker", "Polychromic LoRA")]
    assert groups == sorted(groups) and text.split(r"\midrule")[1].count(r"\\") == len(compare.labels()) + 3
    assert "held-out" not in tables.systems_table(parsed(make("creative"))), "a domain without such a judge"


def test_the_readmes_table_has_the_same_values_with_intervals(on_test: Compare):
    rows = [line.strip("| ").split(" | ") for line in tables.markdown(on_test).splitlines()]
    assert rows[0][:4] == ["method", "temperature", "seeds", "pass@1 (%) \u2191"] and len(rows) == 2 + len(on_test.labels())
    e = on_test.chosen_system("lora").metrics["pass@1"]
    assert next(row for row in rows if row[0] == "LoRA")[1:4] == ["0.4", "3", f"{100 * e.mean:.1f} [{100 * e.low:.1f}, {100 * e.high:.1f}]"]


def test_the_same_rollouts_are_those_of_the_headlines_cost(compare: Compare):
    text = tables.objectives_table(compare)
    rows = [line.split(" & ")[:2] for line in text.split(r"\midrule")[1].splitlines() if " & " in line]
    assert rows == [["Reward", "reward"], ["pass@k (PKPO)", "passk"], ["Poly-EPO", "poly epo"], ["Polychromic", "coverage"]]
    c = compare.contrast("polychromic", "poly_epo")
    assert f"{c.delta:+.2f}" in cells(text, "Poly-EPO")[-1] and cells(text, "Polychromic")[-1] == cells(text, "pass@k")[-1] == "--"


def test_lambda_table_has_lora_as_zero_and_marks_headline_and_recommended():
    document = make("listqa")
    document["selection"]["lambda"]["recommended"] = 0.3
    text = tables.lambda_table(parsed(document))
    lora = document["selection"]["lambda"]["rows"][0]
    assert cells(text, "0 (LoRA)")[:6] == ["0 (LoRA)", "3", "2.010", "6.00", "4.0", f"{lora['objective']:.3f}"]
    assert cells(text, "3$^{*}$")[2] == "2.100" and cells(text, r"0.3$^{\dagger}$")[2] == "2.019"
    assert cells(text, "10 &")[-1] == "no" and cells(text, "10 &")[-2] == "320" and cells(text, "0 (LoRA)")[-3].endswith("/--")


def test_contrasts_in_their_blocks_with_no_match_in_words(compare: Compare):
    text = tables.contrasts_table(compare)
    c = compare.contrast("polychromic", "lora")
    row = cells(text, "Polychromic $-$ LoRA &", "Primary family")
    assert row[1] == rf"\textbf{{{c.delta:+.2f}}} [{c.low:+.2f}, {c.high:+.2f}]"
    assert row[4] == f"{100 * c.shared[0]:.1f}--{100 * c.shared[1]:.1f}" and row[6:] == ["3", f"{c.detectable:.2f}"]
    chosen = cells(text, "Polychromic $-$ LoRA, pass@1 &", "at the chosen")
    assert chosen[4] == "$T=1.2$, $1$"
    assert cells(text, "LoRA &", "against itself")[3] == "--" and "textbf" not in cells(text, "LoRA &", "against itself")[1]
    lost = cells(tables.contrasts_table(parsed(make("code"))), "Polychromic $-$ LoRA", "Primary family")
    assert lost[1:] == [r"\emph{no match}", "--", r"\ensuremath{1.000}", "--", r"$a$ dominates (90\,\%)", "3", "--"]
    c.update(p_adjusted=0.06)
    assert "textbf" not in cells(tables.contrasts_table(compare), "Polychromic $-$ LoRA &", "Primary family")[1]


def test_tables_of_what_was_measured():
    text = measured_tables.cost_table(measured("step_cost-listqa"))
    assert cells(text, "Polychromic &")[1:6] == ["0.5", "1", "0.650", "1.30 [1.26, 1.34]", "10"] and cells(text, "Naive")[1] == "--"
    text = measured_tables.variance_table(measured("gradient_variance"))
    assert r"baseline & $N=4$ & $N=8$ \\" in text
    assert r"set-shared & 3.10 {\scriptsize [3.05, 3.15]} & 3.10 {\scriptsize [3.05, 3.15]} \\" in text
    assert text.index("marginal contribution") < text.index("set-shared") < text.index(r"wrong$^{\dagger}$"), "marked as biased"
    rows = measured_tables.designs_table(measured("fronts")).splitlines()
    rates = r"95.5 {\scriptsize $\pm$ 0.5} & 4.5 {\scriptsize $\pm$ 0.5} & 81.0 {\scriptsize $\pm$ 0.5}"
    assert rf"the same curves & 3 & 150 & {rates} & 0.41 \\" in rows and sum("Spreads of" in line for line in rows) == 2
    rows = measured_tables.opening_table(measured("first_opening")).splitlines()
    assert r"Polychromic $-$ LoRA & higher & +0.30 [+0.20, +0.40] & \ensuremath{<.001} & 3 & 120 \\" in rows
    assert sum(r"open \& close" in line for line in rows) == 1 and sum("multicolumn" in line for line in rows) == 2
    rows = measured_tables.people_table(Fields(make_people(), "people")).splitlines()
    lora, small = next(row for row in rows if row.startswith("LoRA")), r"{\scriptsize [%s]}"
    assert lora == (f"LoRA & 1.50 {small % '1.40, 1.60'} & 8.0 {small % '7.2, 8.8'} & 1.6 & 32.0 {small % '28.8, 35.2'} & 8.0" + r" \\")
    assert next(row for row in rows if row.startswith("people")).startswith(f"people & 1 & 12.0 {small % '10.8, 13.2'} & 2.4 & 48.0")
    assert rows.index(lora) < rows.index(next(row for row in rows if row.startswith("Polychromic")))


# params.yaml


PARAMS = load_params(REPOSITORY / "params.yaml").model_dump(by_alias=True)


def row_of(text: str, key: str) -> list[str]:
    """The cells of the row of a key."""
    (line,) = [line for line in text.splitlines() if line.startswith(rf"\texttt{{{labels.escape(key)}}} & ")]
    return [cell.strip() for cell in line.rstrip("*").removesuffix(r" \\").split(" & ")]


def test_a_method_is_one_row_with_what_is_its_own():
    same = dict.fromkeys(("loss", "settings", "subset", "budget", "seeds", "domains")) | {"adapter": "lora", "prompt": "zero_shot"}
    methods = {name: same | own for name, own in {
        "lora": {"objective": "none", "similarity": "domain", "lam": None},
        "polychromic": {"objective": "coverage", "similarity": "domain", "lam": "lambda"},
        "polychromic_plain": {"objective": "plain", "similarity": "semantic", "lam": 0.5},
    }.items()}  # fmt: skip
    text = setup_table(PARAMS | {"methods": methods})
    assert row_of(text, "lora")[1:] == ["lora", "--", "--", "--", "--", "all", "all", ""]
    assert row_of(text, "polychromic_plain")[1:] == ["lora", "--", "plain", "0.5", "--", "all", "all", r"\texttt{similarity} semantic"]
    assert r"otherwise: \texttt{prompt} zero\_shot; \texttt{similarity} domain." in text
    assert text.count(r"\begin{longtable}") == text.count(r"\caption") == 1, "one table: later ones keep the numbers that trace gives them"
    assert text.count(r"\begin{longtable*}") == 2


def test_every_value_of_params_yaml_is_printed():
    """In the row of its method, in its domain's column, or in a row of its own."""
    text = setup_table(PARAMS).replace(r"\allowbreak{}", "")
    usual = next(line for line in text.splitlines() if "Further settings" in line)
    domains = PARAMS["domains"]
    for key, value in flatten(PARAMS):
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
    tests = {f"analysis.test.{domain}.contrasts": plan["contrasts"] for domain, plan in PARAMS["analysis"]["test"].items()}
    for key, contrasts in ({"analysis.contrasts": PARAMS["analysis"]["contrasts"]} | tests).items():
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
