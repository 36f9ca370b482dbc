"""Drafts side by side, from samples written here."""

from __future__ import annotations

from pathlib import Path

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, write_json, write_jsonl
from polychromic.report.build import outs
from polychromic.report.examples import PROMPTS, build_examples, tex
from tests.workspace import KINDS, listqa_record, small_params, write_listqa


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_listqa(tmp_path)
    records = [listqa_record(i) for i in range(len(KINDS))]
    splits = {"train": [], "dev": [record.id for record in records], "test": [], "calibration": []}
    write_json("results/listqa/split.json", {"splits": splits})
    levels = [{"label": label, "lambda": lam, "temperature": 0.75, "objective": 0.1}
              for label, lam in (("lora", 0.0), ("polychromic@0.3", 0.3), ("polychromic", 3.0))]  # fmt: skip
    write_json("results/listqa/dev/choices.json", {"chosen": {"lora": 0.5, "polychromic": 1.0}, "lambda": {"rows": levels}})
    write_json("results/listqa/dev/calibration.json", None)
    cells = {"lora": ((0.5, 1), (1.0, 0)), "polychromic-0.3": ((1.0, 2),), "polychromic-3.0": ((1.0, 3),)}
    for cell, drawn in cells.items():  # (temperature, how many drafts of twenty are good)
        rows = [{"seed": seed, "temperature": temperature, "id": record.id, "samples": [*record.valid[:good], *[other] * (20 - good)]}
                for record in records for temperature, good in drawn for seed, other in ((1, "of seed 1"), (0, "w_r%ng"))]  # fmt: skip
        rows += [{"seed": 0, "temperature": 0.75, "id": record.id, "samples": ["too cold"] * 20} for record in records]
        write_jsonl(f"results/listqa/dev/{cell}/samples.jsonl.gz", rows)
    return tmp_path


def test_twenty_drafts_of_the_first_seed_with_the_good_ones_in_bold(workspace):
    samples, by_weight = build_examples(small_params(), "listqa")
    assert [samples.as_posix(), by_weight.as_posix()] == outs("examples", "listqa")
    text = samples.read_text()
    rows = [line.split(" & ") for line in text.splitlines() if line.startswith(r"\raggedright")]
    assert len(rows) == min(PROMPTS, len(KINDS))
    for _, lora, ours in rows:
        assert (lora.count(r"\textbf{"), ours.count(r"\textbf{")) == (1, 3)
        assert lora.count(r"w\_r\%ng") == 19 and ours.count(r"w\_r\%ng") == 17, "twenty drafts, escaped"
    assert "seed 1" not in text and "too cold" not in text and r"LoRA, $T=0.5$ & Polychromic, $T=1$" in text
    weights = [line.split(" & ") for line in by_weight.read_text().splitlines() if line.startswith("$") and "lambda" not in line]
    assert [weight for weight, *_ in weights] == ["$0$", "$0.3$", "$3$"]
    for (_, *cells), good in zip(weights, (0, 2, 3), strict=True):
        assert len(cells) == 2 and all(cell.count(r"\textbf{") == good for cell in cells)
    start = [text.partition(r"\textbf{")[2][:9] for text in (weights[2][1], rows[0][2])]
    assert start[0] == start[1] and weights[2][1].count("black") == 5, "the first prompt of the other table, six drafts"
    assert build_examples(small_params(), "listqa")[0].read_text() == text, "nobody picks the prompts"
    assert build_examples(small_params(analysis={"seed": 5}), "listqa")[0].read_text() != text, "but the seed"


def test_a_weight_that_was_not_sampled_there_speaks_at_its_chosen_temperature(workspace):
    selection = read_json("results/listqa/dev/choices.json")
    selection["lambda"]["rows"][1]["objective"] = None
    write_json("results/listqa/dev/choices.json", selection)
    assert build_examples(small_params(), "listqa")[1].read_text().count("too cold") == 12


def test_missing_samples_name_the_file(workspace):
    write_jsonl("results/listqa/dev/lora/samples.jsonl.gz", [])
    with pytest.raises(PolychromicError, match=r"lora/samples.jsonl.gz: no samples of .* at temperature 0.5. Run `dvc repro`"):
        build_examples(small_params(), "listqa")


def test_text_of_models_cannot_break_the_page():
    assert tex("50% of $5 & {a_b}\\end\n#1 ~ ^") == r"50\% of \$5 \& \{a\_b\}\textbackslash{}end \#1 \textasciitilde{} \textasciicircum{}"
    assert tex("caf\u00e9 \u2019s \U0001f602") == r"caf\u00e9 's \texttt{\scriptsize U+1F602}".replace(r"\u00e9", "\u00e9")
