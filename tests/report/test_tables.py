"""The tables hold the values of compare.json in the right cells, and mark what the tests allow to be marked."""

import re

from polychromic.report import labels, tables, timings
from polychromic.report.results import Compare
from tests.report.synthetic import find, make_benchmarks


def cells(text: str, start: str) -> list[str]:
    """The cells of the first row whose first cell starts with `start`."""
    line = next(line for line in text.splitlines() if line.startswith(start))
    return [cell.strip() for cell in re.sub(r"\\\\.*$", "", line).split(" & ")]


def row(compare: dict, label: str, metric: str) -> dict:
    return next(s for s in compare["systems"] if s["label"] == label and s["chosen"])["metrics"][metric]


def contrast(compare: dict, metric: str) -> dict:
    return find(compare, "polychromic", "lora", metric, "chosen")


def systems(compare: dict) -> str:
    return tables.systems_table(Compare.model_validate(compare))


def test_systems_table_means_and_intervals(compares: dict):
    text = systems(compares["listqa"])
    head = next(line for line in text.splitlines() if line.startswith(" & Zero-shot"))
    stacked = r"\shortstack[r]{Rejection-\\sampled}"
    assert head == rf" & Zero-shot & Few-shot & LoRA & GEM & {stacked} & Polychromic \\"
    expected = [
        f"{100 * row(compares['listqa'], label, 'pass@3')['mean']:.1f}"
        for label in ("zero_shot", "few_shot", "lora", "gem", "rft", "polychromic")
    ]
    assert cells(text, "pass@3")[1:] == expected
    estimate = row(compares["listqa"], "few_shot", "pass@3")
    assert f"[{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]" in text
    assert cells(text, "temperature") == ["temperature", "1", "0.7", "0.7", "0.7", "0.7", "0.85"]


def test_systems_table_starts_with_the_primary_and_shows_directions(compares: dict):
    lines = systems(compares["listqa"]).split(r"\midrule")[1].strip().splitlines()
    assert lines[0].startswith(r"valid distinct@10$^{*}$ \ensuremath{\uparrow} & ")
    assert lines[2].startswith(r"pass@1 (\%) \ensuremath{\uparrow} & ")
    assert any(line.startswith(r"Self-BLEU \ensuremath{\downarrow}") for line in lines)


def test_bold_and_dagger_follow_the_test_and_the_direction(compares: dict):
    compare = compares["listqa"]
    value = f"{row(compare, 'polychromic', 'valid_distinct@10')['mean']:.2f}"
    contrast(compare, "valid_distinct@10").update(delta=0.2, low=0.1, high=0.3, p_adjusted=0.01)
    assert cells(systems(compare), "valid distinct@10")[6] == rf"\textbf{{{value}}}"
    contrast(compare, "valid_distinct@10").update(p_adjusted=0.2)
    assert cells(systems(compare), "valid distinct@10")[6] == value
    contrast(compare, "valid_distinct@10").update(delta=-0.2, low=-0.3, high=-0.1, p_adjusted=0.01)
    assert cells(systems(compare), "valid distinct@10")[6] == rf"{value}\rlap{{$^{{\dagger}}$}}"


def test_every_metric_stands_in_one_of_the_two_tables(compares: dict):
    for compare in map(Compare.model_validate, compares.values()):
        present = {name for system in compare.systems for name in system.metrics}
        body, others = ({line.split(" & ")[0].replace("$^{*}$", "") for line in text.splitlines() if " & " in line}
                        for text in (tables.systems_table(compare), tables.metrics_table(compare)))  # fmt: skip
        titles = {labels.title(name, math=True) for name in present}
        assert titles <= body | others and not titles & body & others
        diverse = {labels.title(name, math=True) for name in ("distinct@10", "semantic_diversity", "self_bleu")}
        assert diverse <= body and labels.title("rouge_l", math=True) in others


def test_lora_is_never_marked(compares: dict):
    for name in ("valid distinct@10", "pass@1"):
        assert "textbf" not in cells(systems(compares["listqa"]), name)[3]


def test_lambda_table_has_lora_as_zero_and_marks_headline_and_recommended(compares: dict):
    text = tables.lambda_table(Compare.model_validate(compares["listqa"]))
    lora = {s["temperature"]: s["metrics"] for s in compares["listqa"]["systems"] if s["label"] == "lora"}
    found = cells(text, "0 (LoRA)")
    assert found[1:5] == ["2.000", "6.00", "4.0", f"{lora[1]['objective']['mean']:.3f}"]
    assert found[5].startswith(f"{100 * lora[0.85]['pass@1']['mean']:.1f} ")
    assert found[6].startswith(f"{lora[0.85]['valid_distinct@10']['mean']:.2f} ")
    rows = [line.split(" & ")[0] for line in text.split(r"\midrule")[1].splitlines() if line and line[0].isdigit()]
    assert rows == ["0 (LoRA)", "0.3", r"3$^{*\dagger}$", "10"]
    compares["listqa"]["selection"]["lambda"]["recommended"] = 0.0
    text = tables.lambda_table(Compare.model_validate(compares["listqa"]))
    assert cells(text, "0 (LoRA)")[0] == r"0 (LoRA)$^{\dagger}$" and cells(text, "3")[0] == "3$^{*}$"


def test_peers_table_has_every_method_once_in_its_group(compares: dict):
    cost = timings.StepCost.model_validate(make_benchmarks()["step_cost-listqa.json"])
    compare = Compare.model_validate(compares["listqa"])
    text = tables.peers_table(compare, cost)
    assert sum(r"\\" in line and " & " in line for line in text.splitlines()) == 1 + len(compare.method_labels())
    assert text.index("Without the checker") < text.index("some new peer") < text.index("With the checker") < text.index("Poly-EPO")
    assert text.index("Poly-EPO") < text.index("Polychromic LoRA") < text.index("Polychromic, quarter")
    assert cells(text, "Zero-shot")[5] == f"{0.1 + 0.01 * len('zero_shot'):.3f}", "the area of its own frontier"
    assert cells(text, "GEM$^{*}$") and cells(text, "Rejection-sampled$^{*}$")
    spent = {name: cells(text, name)[6:8] for name in ("Zero-shot", "LoRA &", "LoRA, more", "GEM", "Rejection", "Polychromic &")}
    assert spent == {
        "Zero-shot": ["--", "1"], "LoRA &": ["1.00", "3"], "LoRA, more": ["1.25", "3"], "GEM": ["--", "3"],
        "Rejection": ["1.16", "3"], "Polychromic &": ["1.37", "3"],
    }  # fmt: skip


def test_tries_table_has_every_system_of_dev(compares: dict):
    compare = Compare.model_validate(compares["listqa"])
    rows = [line for line in tables.tries_table(compare).split(r"\endfoot")[1].splitlines() if " & " in line]
    assert len(rows) == len(compare.selection.tries)
    assert [row.split(" & ")[1:3] for row in rows if row.startswith("Polychromic &")][:6] == [
        *(["0.3", t] for t in ("0.3", "0.5", "0.7", "0.85", "1")), ["3", "0.3"],
    ]  # fmt: skip
    first = next(t for t in compare.selection.tries if t.method == "zero_shot")
    assert rows[0].split(" & ")[3:5] == ["1", f"{100 * first.quality:.1f}"]


def test_contrasts_table_lists_every_contrast_once(compares: dict):
    for compare in compares.values():
        text = tables.contrasts_table(Compare.model_validate(compare))
        rows = [line for line in text.split(r"\endfoot")[1].splitlines() if line.startswith(r"\quad ")]
        assert len(rows) == len(compare["contrasts"])
        assert text.count(" $-$ ") == len({(c["a"], c["b"], c["family"] == "primary") for c in compare["contrasts"]})
        assert text.index("Primary family") < text.index("Secondary")
        assert text.count("by seed:") == sum(c["family"] == "primary" for c in compare["contrasts"])


def test_contrast_row(compares: dict):
    compare = compares["listqa"]
    contrast(compare, "valid_distinct@10").update(delta=0.214, low=0.131, high=0.297, p_value=0.0004, p_adjusted=0.012)
    contrast(compare, "valid_distinct@10").update(p_wilcoxon=None, p_mannwhitney=0.5, d_z=-0.5, cliffs_delta=None, mde=0.118)
    expected = [
        *(r"\quad valid distinct@10 \ensuremath{\uparrow}", "0.85", "0.7"),
        r"\textbf{+0.21} [+0.13, +0.30]",
        *(r"\ensuremath{<.001}", r"\ensuremath{.012}", "--", r"\ensuremath{.500}"),
        *(r"\ensuremath{-}0.50", "--", "0.12"),
    ]
    text = tables.contrasts_table(Compare.model_validate(compare))
    rows = text[text.index(r"{Polychromic $-$ LoRA}", text.index("Secondary")) :].splitlines()
    assert cells("\n".join(rows), " & ".join(expected[:3])) == expected


def test_a_dagger_stands_beside_the_interval_and_not_on_it(compares: dict):
    compare = compares["listqa"]
    contrast(compare, "valid_distinct@10").update(delta=-0.2, low=-0.3, high=-0.1, p_adjusted=0.01)
    value = f"{row(compare, 'polychromic', 'valid_distinct@10')['mean']:.2f}"
    found = cells(tables.peers_table(Compare.model_validate(compare), None), "Polychromic &")
    assert found[3].startswith(rf"{value}$^{{\dagger}}$ {{\scriptsize [")


# test


def test_the_table_of_test_has_every_system_at_its_temperature_with_its_seeds(on_test: Compare):
    lines = tables.test_table(on_test).splitlines()
    rows = {line.split(" & ")[0]: line for line in lines if re.match(r"[^&\\]+ & [\d.]+ & \d+ & ", line)}
    assert len(rows) == 13 and "Polychromic, twice the steps, min-p" in rows
    assert rows["LoRA"].startswith("LoRA & 0.75 & 5 & ") and rows["Zero-shot"].startswith("Zero-shot & 1 & 1 & ")
    lora = on_test.chosen("lora").metrics["valid_distinct@10"]
    assert f"{lora.mean:.2f} {{\\scriptsize [{lora.low:.2f}, {lora.high:.2f}]}}" in rows["LoRA"]
    heads = [re.search(r"\\emph\{(.+)\}\}", line).group(1) for line in lines if "multicolumn" in line]
    assert heads == ["Without the checker", "With the checker", "Polychromic LoRA"]


def test_the_readmes_tables(on_test: Compare, compare: Compare):
    lines = tables.markdown(on_test).splitlines()
    metrics = ["valid distinct@10 \u2191", "pass@1 (%) \u2191", "pass@10 (%) \u2191", "semantic diversity \u2191"]
    assert lines[0] == f"| method | temperature | seeds | {' | '.join(metrics)} |"
    assert len(lines) == 2 + 13 and all(line.count("|") == 8 for line in lines)
    assert next(line for line in lines if line.startswith("| LoRA |")).startswith("| LoRA | 0.75 | 5 | ")
    lines = tables.markdown(compare).splitlines()
    assert lines[0].startswith("| method | temperature | valid distinct@10") and len(lines) == 2 + len(compare.main_labels())


def test_a_primary_metric_that_is_a_share_stands_once(tested: dict):
    assert tables.columns(Compare.model_validate(tested["replies"])) == ["pass@10", "pass@1", "semantic_diversity"]


def test_the_summary_has_four_baselines_of_each_domain(tested: dict):
    text = tables.summary_table([Compare.model_validate(value) for value in tested.values()])
    for name in ("Zero-shot", "Few-shot", "LoRA", "Polychromic"):
        assert sum(line.startswith(f"{name} &") for line in text.splitlines()) == len(tested)
    heads = [line for line in text.splitlines() if "multicolumn" in line]
    assert len(heads) == len(tested) and "List questions: valid distinct@10, 240 prompts, 5 seeds" in heads[0]
