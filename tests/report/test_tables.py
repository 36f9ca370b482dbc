"""The tables hold the values of compare.json in the right cells, and mark what the tests allow to be marked."""

import re

from polychromic.report import tables
from polychromic.report.results import Compare
from tests.report.synthetic import PARAMS


def cells(text: str, start: str) -> list[str]:
    """The cells of the first row whose first cell starts with `start`."""
    line = next(line for line in text.splitlines() if line.startswith(start))
    return [cell.strip() for cell in re.sub(r"\\\\.*$", "", line).split(" & ")]


def row(compare: dict, label: str, metric: str) -> dict:
    return next(s for s in compare["systems"] if s["label"] == label and s["chosen"])["metrics"][metric]


def contrast(compare: dict, metric: str, a: str = "polychromic") -> dict:
    return next(c for c in compare["contrasts"] if (c["a"], c["b"], c["metric"], c["rule"]) == (a, "lora", metric, "chosen"))


def systems(compare: dict) -> str:
    return tables.systems_table(Compare.model_validate(compare))


def test_systems_table_means_and_intervals(compares: dict):
    text = systems(compares["listqa"])
    assert cells(text, " & Zero-shot") == ["", "Zero-shot", "Few-shot", "LoRA", "Plain diversity", "Polychromic"]
    expected = [
        f"{100 * row(compares['listqa'], label, 'pass@3')['mean']:.1f}"
        for label in ("zero_shot", "few_shot", "lora", "polychromic_plain", "polychromic")
    ]
    assert cells(text, "pass@3")[1:] == expected
    estimate = row(compares["listqa"], "few_shot", "pass@3")
    assert f"[{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]" in text
    assert cells(text, "temperature") == ["temperature", "1", "0.7", "0.7", "0.7", "0.85"]


def test_systems_table_starts_with_the_primary_and_shows_directions(compares: dict):
    lines = systems(compares["listqa"]).split(r"\midrule")[1].strip().splitlines()
    assert lines[0].startswith(r"valid distinct@10$^{*}$ \ensuremath{\uparrow} & ")
    assert lines[2].startswith(r"pass@1 (\%) \ensuremath{\uparrow} & ")
    assert any(line.startswith(r"Self-BLEU \ensuremath{\downarrow}") for line in lines)


def test_bold_and_dagger_follow_the_test_and_the_direction(compares: dict):
    compare = compares["listqa"]
    value = f"{row(compare, 'polychromic', 'valid_distinct@10')['mean']:.2f}"
    contrast(compare, "valid_distinct@10").update(delta=0.2, low=0.1, high=0.3, p_holm=0.01)
    assert cells(systems(compare), "valid distinct@10")[5] == rf"\textbf{{{value}}}"
    contrast(compare, "valid_distinct@10").update(p_holm=0.2)
    assert cells(systems(compare), "valid distinct@10")[5] == value
    contrast(compare, "valid_distinct@10").update(delta=-0.2, low=-0.3, high=-0.1, p_holm=0.01)
    assert cells(systems(compare), "valid distinct@10")[5] == rf"{value}\rlap{{$^{{\dagger}}$}}"


def test_lora_is_never_marked(compares: dict):
    for name in ("valid distinct@10", "pass@1"):
        assert "textbf" not in cells(systems(compares["listqa"]), name)[3]


def test_lambda_table_has_lora_as_zero_at_the_shared_temperature(compares: dict):
    text = tables.lambda_table(Compare.model_validate(compares["listqa"]))
    lora = next(s for s in compares["listqa"]["systems"] if s["label"] == "lora" and s["temperature"] == 0.85)
    assert cells(text, "0 (LoRA)")[1:3] == [
        f"{lora['metrics']['valid_distinct@10']['mean']:.2f}",
        f"{100 * lora['metrics']['pass@1']['mean']:.1f}",
    ]
    rows = [line.split(" & ")[0] for line in text.split(r"\midrule")[1].splitlines() if line and line[0].isdigit()]
    assert rows == ["0 (LoRA)", "0.3", "3$^{*}$", "10"]


def test_contrasts_table_lists_every_contrast_once(compares: dict):
    for compare in compares.values():
        text = tables.contrasts_table(Compare.model_validate(compare))
        assert text.count(" $-$ ") == len(compare["contrasts"])
        assert text.index("Primary family") < text.index("Secondary")
        assert text.count("by seed:") == sum(c["family"] == "primary" for c in compare["contrasts"])


def test_contrast_row(compares: dict):
    compare = compares["listqa"]
    contrast(compare, "valid_distinct@10").update(delta=0.214, low=0.131, high=0.297, p_value=0.0004, p_holm=0.012)
    contrast(compare, "valid_distinct@10").update(p_wilcoxon=None, p_mannwhitney=0.5, d_z=-0.5, cliffs_delta=None)
    expected = [
        "Polychromic$_{0.85}$ $-$ LoRA$_{0.7}$",
        r"valid distinct@10 \ensuremath{\uparrow}",
        r"\textbf{+0.21} [+0.13, +0.30]",
        *(r"\ensuremath{<.001}", r"\ensuremath{.012}", "--", r"\ensuremath{.500}"),
        *(r"\ensuremath{-}0.50", "--"),
    ]
    assert cells(tables.contrasts_table(Compare.model_validate(compare)), expected[0]) == expected


def test_setup_table_has_a_row_per_leaf():
    text = tables.setup_table(PARAMS)
    assert r"\texttt{train.batch\_size} & \raggedright\arraybackslash 16 \\" in text
    assert r"\texttt{listqa.temperatures} & \raggedright\arraybackslash 0.3, 0.5, 0.7, 0.85, 1 \\" in text
