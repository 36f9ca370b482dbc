"""The figure and the table that a reader sees first hold the values of compare.json, and say which split and how many seeds they are of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from polychromic.base import paths
from polychromic.base.io import write_json
from polychromic.params import Params
from polychromic.report import overview, results
from tests.report.synthetic import DOMAINS, make, make_drafts, parsed, values
from tests.report.test_tables import cells


def test_what_is_said_last_is_test_where_it_is_opened_else_dev(workspace: Path):
    given = values()
    del given["analysis"]["test"]["code"]
    found = overview.decisive(Params.model_validate(given))
    assert [(compare.domain, compare.split) for compare in found] == [(name, "dev" if name == "code" else "test") for name in DOMAINS]
    assert overview.about(found[0]) == "test set, 16 prompts, 3 seeds" and overview.about(found[-1]).startswith("development set, ")


def test_the_peers_are_those_of_the_primary_family_and_of_dev_the_best_ones():
    on_test, on_dev = (parsed(make("listqa", split)) for split in ("test", "dev"))
    assert overview.peers(on_test) == ["lora_4c", "rft"]
    assert set(overview.peers(on_dev)) == {"lora_4c", "rft", *on_dev.selection.best.values()} - {"lora"}


def test_the_table_has_the_gap_of_the_headlines_front_beside_each_peer():
    compares = [parsed(make(domain, "test")) for domain in DOMAINS]
    text, c = overview.table(compares), compares[0].contrast("polychromic", "lora")
    block = "List questions: coverage@10; test set, 16 prompts"
    lora, e = cells(text, "LoRA &", block), compares[0].chosen_system("lora").metrics["coverage@10"]
    assert f"{c.delta:+.2f}" in lora[6] and lora[5].startswith(f"{e.mean:.2f}") and lora[1] == "0.4"
    assert cells(text, "Polychromic", block)[6:] == ["", ""] and r"\emph{no match}" in cells(text, "LoRA &", "Python functions")[6]
    assert cells(text, "Few-shot", block)[6:] == ["--", ""], "a pair that nobody declared"
    assert cells(text, "LoRA &", "Sentences from given words")[3:5] == ["--", "--"], "without a judge of its own"


def test_the_readmes_table_has_a_row_per_domain_with_both_gaps():
    compares = [parsed(make(domain, "test")) for domain in DOMAINS]
    rows = [line.strip("| ").split(" | ") for line in overview.markdown(compares).splitlines()]
    assert len(rows) == 2 + len(DOMAINS) and {len(row) for row in (rows[0], *rows[2:])} == {7}
    first, c = rows[2], compares[0].contrast("polychromic", "rft")
    assert first[0] == "list questions (test set, 16 prompts, 3 seeds)" and first[3].startswith("Rejection-sampled: ")
    assert f"[{c.low:+.2f}, {c.high:+.2f}]" in first[6] and first[6].startswith("**") == results.significant(c)
    assert rows[-1][5] == "no match"


def test_the_figure_has_a_panel_per_domain_with_the_fronts_of_all_that_train():
    compares = [parsed(make(domain, "test")) for domain in DOMAINS[:3]]
    figure = overview.fronts(compares)
    panels = [axes for axes in figure.axes if axes.axison]
    assert len(panels) == 3 and len(figure.axes) == 4
    for axes, compare in zip(panels, compares, strict=True):
        for label in ("lora", "rft", "polychromic"):
            front = compare.fronts[label]
            marks = [line for line in axes.lines if np.array_equal(line.get_xdata(), front.quality)]
            assert any(np.array_equal(line.get_ydata(), front.value) for line in marks), label
        assert "3 seeds" in axes.get_title()
    assert [text.get_text() for text in figure.legends[0].get_texts()][0] == "LoRA"


def test_drafts_side_by_side_say_what_each_adds(workspace: Path):
    compares = [parsed(make(domain, "test")) for domain in DOMAINS]
    known = make_drafts("test")["prompts"][0]
    unknown = known | {"prompt": "open", "valid": "1?10"}
    show = lambda *prompts: write_json(paths.drafts_file("creative", "test"), {"prompts": list(prompts)})
    show(unknown, known)
    prompt, (lora, ours) = overview.drafts_side_by_side(compares)
    assert prompt == "Say <b> & $x" and lora.drafts == ["b", "b!", "c", "b"] and ours.drafts == ["a_1", "b", "c", "c"]
    assert lora.valid == [True, True, False, True] and lora.credits == [0, 0, 0, 0], "each repeats another one"
    assert ours.credits == [0.25, 0.25, 0, 0]
    text = overview.drafts_table(compares)
    assert r"\textbf{a\_1} & 0.2" in text and r"Say <b> \& \$x" in text
    lines = overview.drafts_markdown(compares).splitlines()
    assert lines[0] == "“Say <b> & $x”" and lines[4] == "| **b** | 0.0 | **a\\_1** | 0.2 |" and len(lines) == 4 + 4
    show(unknown)
    prompt, (lora, _) = overview.drafts_side_by_side(compares)
    assert prompt == "open" and lora.valid == [None, True, False, None] and lora.credits == [None] * 4
    assert "| b | ? |" in overview.drafts_markdown(compares)
