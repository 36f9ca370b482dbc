"""What the paper prints about test says what test.json says, under keys of its own, and where it was read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import read_json, sha256_file, write_json
from polychromic.report import confirmation, distributions
from polychromic.report.build import build_test
from polychromic.report.confirmation import gains, test_curves, test_markdown, test_numbers, test_table
from polychromic.report.records import Number
from polychromic.report.results import Compare, Confirmation

for function in (test_curves, test_markdown, test_numbers, test_table):
    function.__test__ = False  # their names are not those of tests


@pytest.fixture
def listqa(confirmed) -> Confirmation:
    return Confirmation.model_validate(confirmed["listqa"])


def by_key(values: dict) -> dict[str, Number]:
    return {number.key: number for number in test_numbers(Confirmation.model_validate(values))}


def change(values: dict, a: str, b: str, rule: str, **fields) -> None:
    (row,) = [row for row in values["contrasts"] if (row["a"], row["b"], row["metric"], row["rule"]) == (a, b, values["primary"], rule)]
    row |= fields


def test_all_keys_are_of_test_and_name_their_row(confirmed):
    numbers = by_key(confirmed["listqa"])
    assert all(key.startswith("listqa.test.") and number.split == "test" for key, number in numbers.items())
    assert numbers["listqa.test.lora.pass@1"].source == "results/listqa/test.json#systems/lora@T=0.75"
    contrast = "results/listqa/test.json#contrasts/polychromic-lora-valid_distinct@10-matched"
    assert numbers["listqa.test.primary.delta"].source == numbers["listqa.test.primary.rule"].source == contrast
    assert numbers["listqa.test.n_prompts"].source == "results/listqa/test.json#systems"


def test_what_was_opened_is_counted(confirmed):
    texts = {key: number.text for key, number in by_key(confirmed["listqa"]).items()}
    assert (texts["listqa.test.systems.count"], texts["listqa.test.n_prompts"], texts["listqa.test.n_samples"]) == ("13", "240", "20")
    assert (texts["listqa.test.seeds"], texts["listqa.test.seeds.count"]) == ("0, 1, 2, 3, 4", "5")
    assert by_key(confirmed["creative"])["creative.test.n_prompts"].text == "120"
    assert texts["listqa.test.family.count"] == "6"


@pytest.mark.parametrize(
    ("low", "high", "adjusted", "words", "higher"),
    [(0.1, 0.3, 0.01, "higher than", 1), (0.1, 0.3, 0.06, "not distinguishable from", 0), (-0.3, -0.1, 0.01, "lower than", 0)],
)
def test_a_sentence_claims_what_its_test_allows(confirmed, low, high, adjusted, words, higher):
    values = confirmed["listqa"]
    for row in values["contrasts"]:
        row |= {"low": -1.0, "high": 1.0}
    change(values, "polychromic", "rft_min_p", "matched", delta=(low + high) / 2, low=low, high=high, p_adjusted=adjusted)
    numbers = by_key(values)
    text = numbers["listqa.test.polychromic-vs-rft_min_p.valid_distinct@10.matched.sentence"].text
    assert text.startswith(f"The valid distinct@10 of Polychromic is {words} that of Rejection-sampled, min-p at matched pass@1 (")
    assert numbers["listqa.test.family.higher"].text == str(higher)
    lower = int(words == "lower than")
    assert numbers["listqa.test.family.sentence"].text == (
        f"In the primary family of 6 contrasts, the first system is higher in {higher}, lower in {lower} and not distinguishable in "
        f"{6 - higher - lower}."
    )


def test_only_contrasts_of_the_primary_metric_are_sentences(confirmed):
    sentences = {key for key in by_key(confirmed["code"]) if key.endswith(".sentence")}
    pairs = [(row["a"], row["b"]) for row in confirmed["code"]["contrasts"] if row["metric"] == "semantic_diversity"]
    expected = {f"code.test.{a}-vs-{b}.valid_distinct@10.{rule}.sentence" for a, b in pairs for rule in ("matched", "chosen")}
    assert sentences == expected | {"code.test.family.sentence"}


def test_the_familys_sentences_are_those_of_its_contrasts_with_each_row_as_source(confirmed):
    numbers = by_key(confirmed["listqa"])
    pairs = {
        "peers": ["polychromic-vs-lora_longer", "polychromic-vs-rft_min_p"],
        "variants": ["polychromic_min_p-vs-lora_min_p", "polychromic_long-vs-lora_longer", "polychromic_long_min_p-vs-lora_longer_min_p"],
    }
    for key, names in pairs.items():
        found = [numbers[f"listqa.test.{name}.valid_distinct@10.matched.sentence"] for name in names]
        assert numbers[f"listqa.test.{key}.sentences"].text == " ".join(number.text for number in found)
        assert numbers[f"listqa.test.{key}.sentences"].source == "; ".join(number.source for number in found)
    assert by_key(confirmed["code"])["code.test.variants.sentences"].text == "No other system is in the primary family."


def test_the_aliases_are_the_headline_against_lora(confirmed):
    texts = {key: number.text for key, number in by_key(confirmed["replies"]).items()}
    for field in ("delta", "ci", "by_seed", "clamped_share", "p_adjusted"):
        assert texts[f"replies.test.primary.{field}"] == texts[f"replies.test.polychromic-vs-lora.pass@10.matched.{field}"]
    assert texts["replies.test.quality.margin"] == "3.0~points" and "inferior" in texts["replies.test.quality.non_inferiority"]


def test_without_the_headlines_contrast_nothing_is_written(workspace: Path, confirmed):
    values = confirmed["code"]
    values["contrasts"] = [row for row in values["contrasts"] if row["b"] != "lora"]
    write_json(workspace / "results" / "code" / "test.json", values)
    with pytest.raises(PolychromicError, match=r"test\.json of code: no contrast of 'polychromic' against 'lora' on 'valid_distinct@10'"):
        build_test("code", workspace / "results", workspace / "paper")
    assert not (workspace / "paper" / "tables").exists()


def test_dev_is_not_taken_for_test(workspace: Path, compares, confirmed):
    write_json(workspace / "results" / "code" / "test.json", confirmed["code"] | {"split": "dev"})
    with pytest.raises(DataError, match=r"test\.json: split: Input should be 'test'"):
        build_test("code", workspace / "results", workspace / "paper")
    with pytest.raises(ValueError, match="Input should be 'dev'"):
        Compare.model_validate(compares["code"] | {"split": "test"})


# the table


def test_the_table_has_every_system_at_its_temperature_with_its_seeds(listqa: Confirmation, confirmed):
    lines = test_table(listqa).splitlines()
    rows = {line.split(" & ")[0]: line for line in lines if re.match(r"[^&\\]+ & [\d.]+ & \d+ & ", line)}
    assert len(rows) == 13
    assert rows["LoRA"].startswith("LoRA & 0.75 & 5 & ") and rows["Zero-shot"].startswith("Zero-shot & 1 & 1 & ")
    lora = listqa.chosen("lora").metrics["valid_distinct@10"]
    assert f"{lora.mean:.2f} {{\\scriptsize [{lora.low:.2f}, {lora.high:.2f}]}}" in rows["LoRA"]
    heads = [re.search(r"\\emph\{(.+)\}\}", line).group(1) for line in lines if "multicolumn" in line]
    assert heads == ["Without the checker", "With the checker", "Polychromic LoRA"]
    assert "Polychromic, twice the steps, min-p" in rows, "a name of its own"


def test_the_readmes_table_has_the_same_rows(listqa: Confirmation):
    lines = test_markdown(listqa).splitlines()
    metrics = ["valid distinct@10 \u2191", "pass@1 (%) \u2191", "pass@10 (%) \u2191", "semantic diversity \u2191"]
    assert lines[0] == f"| method | temperature | seeds | {' | '.join(metrics)} |"
    assert len(lines) == 2 + 13 and all(line.count("|") == 8 for line in lines)
    assert next(line for line in lines if line.startswith("| LoRA |")).startswith("| LoRA | 0.75 | 5 | ")


def test_a_primary_metric_that_is_a_share_stands_once(confirmed):
    assert confirmation.columns(Confirmation.model_validate(confirmed["replies"])) == ["pass@10", "pass@1", "semantic_diversity"]


# figures


def test_the_frontier_has_every_point_in_order(listqa: Confirmation):
    curves, others = test_curves(listqa)
    assert set(curves) == {"zero_shot", "few_shot", "lora", "lora_longer", "rft_min_p", "polychromic"}, "baselines and the best peers"
    assert curves.keys() | others.keys() == set(listqa.method_labels()) and not curves.keys() & others.keys()
    assert [point.note for point in curves["lora"]] == ["0.2", "0.35", "0.5", "0.75"]
    first, value = curves["zero_shot"][0], listqa.chosen("zero_shot").metrics
    assert (first.x, first.y) == (value["pass@1"].mean, value["valid_distinct@10"].mean)


def test_gains_show_each_declared_pair_once_under_its_rule_the_primary_family_first(listqa: Confirmation, confirmed):
    rows = gains(listqa)
    assert [row.primary for row in rows] == [True] * 6 + [False] * 6
    assert [row.label for row in rows[:2]] == ["Polychromic \u2212 LoRA", "Polychromic \u2212 LoRA, 2.8 times the steps"]
    assert rows[5].label == "Polychromic, twice the steps, min-p\n\u2212 LoRA, 2.8 times the steps, min-p"
    shown = {row.label: row for row in rows}
    assert len(shown) == 12
    rules = {("lora", "zero_shot"): "chosen", ("polychromic", "lora"): "matched", ("rft", "lora"): "matched"}
    names = ("LoRA \u2212 Zero-shot", "Polychromic \u2212 LoRA", "Rejection-sampled \u2212 LoRA")
    for label, (pair, rule) in zip(names, rules.items(), strict=True):
        row = listqa.contrast(*pair, listqa.primary, (rule,))
        assert (shown[label].delta, shown[label].low, shown[label].high) == (row.delta, row.low, row.high), label
        assert list(shown[label].by_seed) == row.delta_by_seed


def test_the_figure_of_gains_marks_families_and_seeds(listqa: Confirmation):
    figure = distributions.gains(gains(listqa), listqa.primary)
    (ax,) = figure.axes
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [row.label for row in gains(listqa)]
    faces = [line.get_markerfacecolor() for line in ax.lines if line.get_marker() in "os" and len(line.get_xdata()) == 6]
    assert len(faces) == 2 and faces[0] != "white" and faces[1] == "white"
    ticks = [line for line in ax.lines if line.get_marker() == "|" and line.get_linestyle() == "None"]
    assert sum(len(line.get_xdata()) for line in ticks if len(line.get_xdata()) == 3) >= 3 * 12
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"primary family", "secondary"}
    with pytest.raises(PolychromicError, match="figure gains: got nothing to draw"):
        distributions.gains([], listqa.primary)


def test_a_share_is_drawn_in_points(confirmed):
    replies = Confirmation.model_validate(confirmed["replies"])
    (ax,) = distributions.gains(gains(replies), replies.primary).axes
    assert "pass@10 (points)" in ax.get_xlabel()
    delta = gains(replies)[0].delta
    assert any(abs(line.get_xdata()[0] - 100 * delta) < 1e-9 for line in ax.lines if line.get_marker() == "o")


# the stage


def test_the_stage_writes_the_declared_files_and_the_same_bytes_twice(workspace: Path):
    run = lambda: [path.relative_to(workspace).as_posix() for path in build_test("listqa", workspace / "results", workspace / "paper")]
    written = run()
    assert written == [
        "paper/figures/listqa-test-frontier.pdf",
        "paper/figures/listqa-test-frontier.svg",
        "paper/figures/listqa-test-gains.pdf",
        "paper/numbers/listqa-test.tex",
        "paper/tables/listqa-test-contrasts.tex",
        "paper/tables/listqa-test.md",
        "paper/tables/listqa-test.tex",
        "results/listqa/test-numbers.json.gz",
    ]
    first = {name: sha256_file(workspace / name) for name in written}
    assert run() == written and {name: sha256_file(workspace / name) for name in written} == first
    records = read_json(workspace / "results/listqa/test-numbers.json.gz")
    macros = (workspace / "paper/numbers/listqa-test.tex").read_text().splitlines()[1:]
    assert macros == [f"\\definenumber{{{record['key']}}}{{{record['text']}}}%" for record in records]
