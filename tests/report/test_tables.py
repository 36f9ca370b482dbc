"""The tables hold the values of compare.json and of params.yaml in the right cells, and mark what the tests allow to be marked."""

import re

from polychromic.params import load_params
from polychromic.report import labels, measured_tables, tables
from polychromic.report.labels import flatten, param_text
from polychromic.report.results import Compare, Fields
from polychromic.report.setup_table import definitions_table, setup_table
from tests.report.synthetic import REPOSITORY, make_people, measured, parsed


def cells(text: str, start: str) -> list[str]:
    """The cells of the first row whose first cell starts with `start`."""
    line = next(line for line in text.splitlines() if line.startswith(start))
    return [cell.strip() for cell in re.sub(r"\\\\.*$", "", line).split(" & ")]


def test_the_table_of_systems_begins_with_the_primary_metric_and_shows_means_intervals_and_directions(compare: Compare):
    text = tables.systems_table(compare)
    stacked = r"\shortstack[r]{Rejection-\\sampled}"
    assert rf" & Zero-shot & Few-shot & LoRA & GEM & {stacked} & Polychromic \\" in text.splitlines()
    found = [compare.chosen(label).metrics["pass@3"] for label in ("zero_shot", "few_shot", "lora", "gem", "rft", "polychromic")]
    assert cells(text, "pass@3")[1:] == [f"{100 * e.mean:.1f}" for e in found]
    assert f"[{100 * found[1].low:.1f}, {100 * found[1].high:.1f}]" in text
    assert cells(text, "temperature") == ["temperature", "1", "0.7", "0.7", "0.7", "0.7", "0.85"]
    lines = text.split(r"\midrule")[1].strip().splitlines()
    assert lines[0].startswith(r"valid distinct@10$^{*}$ \ensuremath{\uparrow} & ")
    assert lines[2].startswith(r"pass@1 (\%) \ensuremath{\uparrow} & ")
    assert any(line.startswith(r"Self-BLEU \ensuremath{\downarrow}") for line in lines)


def test_bold_and_dagger_follow_the_test_and_the_direction(compare: Compare):
    contrast = compare.contrast("polychromic", "lora", compare.primary, "chosen")
    mean, dagger = f"{compare.chosen('polychromic').metrics[compare.primary].mean:.2f}", r"$^{\dagger}$"
    for p, sign, expected in ((0.01, 1, rf"\textbf{{{mean}}}"), (0.2, 1, mean), (0.01, -1, rf"{mean}\rlap{{{dagger}}}")):
        contrast.update(delta=sign * 0.2, low=sign * 0.2 - 0.1, high=sign * 0.2 + 0.1, p_adjusted=p)
        found = cells(tables.systems_table(compare), "valid distinct@10")
        assert found[6] == expected and "textbf" not in found[3], "LoRA is never marked"
    found = cells(tables.peers_table(compare, None), "Polychromic &")
    assert found[3].startswith(rf"{mean}{dagger} {{\scriptsize ["), "beside the interval and not on it"


def test_every_metric_stands_in_one_of_the_two_tables(compares: dict):
    for compare in map(parsed, compares.values()):
        present = {name for system in compare.systems for name in system.metrics}
        body, others = ({line.split(" & ")[0].replace("$^{*}$", "") for line in text.splitlines() if " & " in line}
                        for text in (tables.systems_table(compare), tables.systems_table(compare, body=False)))  # fmt: skip
        titles = {labels.title(name, math=True) for name in present}
        assert titles <= body | others and not titles & body & others
        diverse = {labels.title(name, math=True) for name in ("distinct@10", "semantic_diversity", "self_bleu")}
        assert diverse <= body and labels.title("rouge_l", math=True) in others


def test_lambda_table_has_lora_as_zero_and_marks_headline_and_recommended(compares: dict):
    text = tables.lambda_table(parsed(compares["listqa"]))
    lora = {s["temperature"]: s["metrics"] for s in compares["listqa"]["systems"] if s["label"] == "lora"}
    found = cells(text, "0 (LoRA)")
    assert found[1:5] == ["2.000", "6.00", "4.0", f"{lora[1]['objective']['mean']:.3f}"]
    assert found[5].startswith(f"{100 * lora[0.85]['pass@1']['mean']:.1f} ")
    assert found[6].startswith(f"{lora[0.85]['valid_distinct@10']['mean']:.2f} ")
    rows = [line.split(" & ")[0] for line in text.split(r"\midrule")[1].splitlines() if line and line[0].isdigit()]
    assert rows == ["0 (LoRA)", "0.3", r"3$^{*\dagger}$", "10"]
    compares["listqa"]["selection"]["lambda"]["recommended"] = 0.0
    text = tables.lambda_table(parsed(compares["listqa"]))
    assert cells(text, "0 (LoRA)")[0] == r"0 (LoRA)$^{\dagger}$" and cells(text, "3")[0] == "3$^{*}$"


def test_peers_table_has_every_method_once_in_its_group(compare: Compare):
    text = tables.peers_table(compare, measured("step_cost-listqa"))
    assert sum(r"\\" in line and " & " in line for line in text.splitlines()) == 1 + len(compare.method_labels())
    order = ["Without the checker", "some new peer", "With the checker", "Poly-EPO", "Polychromic LoRA", "Polychromic, quarter"]
    assert sorted(order, key=text.index) == order
    assert cells(text, "Zero-shot")[5] == f"{0.1 + 0.01 * len('zero_shot'):.3f}", "the area of its own frontier"
    assert cells(text, "GEM$^{*}$") and cells(text, "Rejection-sampled$^{*}$")
    spent = [cells(text, name)[6:8] for name in ("Zero-shot", "LoRA &", "LoRA, more", "GEM", "Rejection", "Polychromic &")]
    assert spent == [["--", "1"], ["1.00", "3"], ["1.25", "3"], ["--", "3"], ["1.16", "3"], ["1.37", "3"]]


def test_tries_table_has_every_system_of_dev(compare: Compare):
    rows = [line for line in tables.tries_table(compare).split(r"\endfoot")[1].splitlines() if " & " in line]
    assert len(rows) == len(compare.selection.tries)
    ours = [*(["0.3", t] for t in ("0.3", "0.5", "0.7", "0.85", "1")), ["3", "0.3"]]
    assert [row.split(" & ")[1:3] for row in rows if row.startswith("Polychromic &")][:6] == ours
    first = next(t for t in compare.selection.tries if t.method == "zero_shot")
    assert rows[0].split(" & ")[3:5] == ["1", f"{100 * first.quality:.1f}"]


def test_contrasts_table_lists_every_contrast_once(compares: dict):
    for compare in compares.values():
        text = tables.contrasts_table(parsed(compare))
        rows = [line for line in text.split(r"\endfoot")[1].splitlines() if line.startswith(r"\quad ")]
        assert len(rows) == len(compare["contrasts"])
        assert text.count(" $-$ ") == len({(c["a"], c["b"], c["family"] == "primary") for c in compare["contrasts"]})
        assert text.index("Primary family") < text.index("Secondary")
        assert text.count("by seed:") == sum(c["family"] == "primary" for c in compare["contrasts"])


def test_contrast_row(compare: Compare):
    contrast = compare.contrast("polychromic", "lora", compare.primary, "chosen")
    contrast.update(delta=0.214, low=0.131, high=0.297, p_value=0.0004, p_adjusted=0.012)
    contrast.update(p_wilcoxon=None, p_mannwhitney=0.5, d_z=-0.5, cliffs_delta=None, mde=0.118)
    expected = [r"\quad valid distinct@10 \ensuremath{\uparrow}", "0.85", "0.7", r"\textbf{+0.21} [+0.13, +0.30]", r"\ensuremath{<.001}",
                r"\ensuremath{.012}", "--", r"\ensuremath{.500}", r"\ensuremath{-}0.50", "--", "0.12"]  # fmt: skip
    text = tables.contrasts_table(compare)
    assert cells(text[text.index(r"{Polychromic $-$ LoRA}", text.index("Secondary")) :], " & ".join(expected[:3])) == expected


def test_the_table_of_test_has_every_system_at_its_temperature_with_its_seeds(on_test: Compare):
    lines = tables.test_table(on_test).splitlines()
    rows = {line.split(" & ")[0]: line for line in lines if re.match(r"[^&\\]+ & [\d.]+ & \d+ & ", line)}
    assert len(rows) == 13 and "Polychromic, twice the steps, min-p" in rows
    assert rows["LoRA"].startswith("LoRA & 0.75 & 5 & ") and rows["Zero-shot"].startswith("Zero-shot & 1 & 1 & ")
    lora = on_test.chosen("lora").metrics["valid_distinct@10"]
    assert f"{lora.mean:.2f} {{\\scriptsize [{lora.low:.2f}, {lora.high:.2f}]}}" in rows["LoRA"]
    heads = [re.search(r"\\emph\{(.+)\}\}", line).group(1) for line in lines if "multicolumn" in line]
    assert heads == ["Without the checker", "With the checker", "Polychromic LoRA"]


def test_the_readmes_tables(on_test: Compare, compare: Compare, tested: dict):
    lines = tables.markdown(on_test).splitlines()
    metrics = ["valid distinct@10 \u2191", "pass@1 (%) \u2191", "pass@10 (%) \u2191", "semantic diversity \u2191"]
    assert lines[0] == f"| method | temperature | seeds | {' | '.join(metrics)} |"
    assert len(lines) == 2 + 13 and all(line.count("|") == 8 for line in lines)
    assert next(line for line in lines if line.startswith("| LoRA |")).startswith("| LoRA | 0.75 | 5 | ")
    assert tables.columns(parsed(tested["replies"])) == ["pass@10", "pass@1", "semantic_diversity"], "a primary metric stands once"
    lines = tables.markdown(compare).splitlines()
    assert lines[0].startswith("| method | temperature | valid distinct@10") and len(lines) == 2 + len(compare.main_labels())


def test_the_summary_has_four_baselines_of_each_domain(tested: dict):
    text = tables.summary_table([parsed(value) for value in tested.values()])
    for name in ("Zero-shot", "Few-shot", "LoRA", "Polychromic"):
        assert sum(line.startswith(f"{name} &") for line in text.splitlines()) == len(tested)
    heads = [line for line in text.splitlines() if "multicolumn" in line]
    assert len(heads) == len(tested) and "List questions: valid distinct@10, 240 prompts, 5 seeds" in heads[0]


def test_cost_table_starts_with_the_references_and_has_the_gain_beside_the_cost(compare: Compare):
    cost, c = measured("step_cost-listqa"), compare.gain()
    cost.variants["gone"] = cost.variants.rft
    gain = f"+{c.delta:.2f} [{c.low:+.2f}, {c.high:+.2f}]".replace("[-", r"[\ensuremath{-}")
    lines = measured_tables.cost_table(cost, compare).split(r"\midrule")[1].strip().splitlines()
    assert lines[0] == r"Trainer + PEFT & -- & -- & 0.500 & 1.00 [0.96, 1.04] & -- & -- & -- & -- & -- & -- \\"
    names = ["LoRA (ours)", "Rejection-sampled", "Polychromic, quarter", "Polychromic", "Naive rollouts", r"\bottomrule"]
    assert [line.split(" & ")[0] for line in lines[1:7]] == names, "the references, what the domain has, and what is no method"
    assert rf"Polychromic & 0.5 & 1 & 0.650 & 1.30 [1.26, 1.34] & {gain} & 10 & 30 & 5 & 45 & 10 \\" in lines


def test_tables_of_what_was_measured():
    assert r"8 & 4 & 10 & 800 & 50 & 16.00 \\" in measured_tables.sampler_table(measured("sampler"))
    text = measured_tables.variance_table(measured("gradient_variance"))
    assert r"baseline & $N=4$ & $N=8$ \\" in text
    assert r"set-shared & 3.10 {\scriptsize [3.05, 3.15]} & 3.10 {\scriptsize [3.05, 3.15]} \\" in text
    assert text.index("marginal contribution") < text.index("set-shared") < text.index(r"wrong$^{\dagger}$"), "marked as biased"
    rows = measured_tables.designs_table(measured("calibration")).splitlines()
    assert r" & samples as independent, $z$ & -- & 41.0 {\scriptsize $\pm$ 1.1} & 60.0 {\scriptsize $\pm$ 1.1} \\" in rows
    assert sum(line.startswith("60 & ") for line in rows) == sum(line.startswith("300 & ") for line in rows) == 1
    assert r"141 & valid distinct@10 of listqa, matched quality & 96.2 {\scriptsize $\pm$ 0.5} & -- & -- \\" in rows
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
    text = setup_table(PARAMS)
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
