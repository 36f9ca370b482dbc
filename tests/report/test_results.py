"""compare.json and the files of benchmarks/: what the report asks of them, and what they say when something is missing."""

from pathlib import Path

import pytest

from polychromic.base import paths
from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import write_json
from polychromic.report.records import Use, uses
from polychromic.report.results import Compare, Fields, load, significant
from tests.report.synthetic import make


def test_methods_are_in_printed_order_and_in_their_groups(compare: Compare, on_test: Compare):
    main = ["zero_shot", "few_shot", "lora", "lora_4c", "rft", "poly_epo", "polychromic"]
    assert compare.main_labels() == main, "the best peers, and what is in the primary family"
    without = ["zero_shot", "few_shot", "lora", "lora_2c", "lora_4c", "gem", "some_new_peer"]
    ours = ["polychromic", "polychromic_1c", "polychromic_2c"]
    groups = [("Without the checker", without), ("With the checker", ["rft", "reward", "passk", "poly_epo"]), ("Polychromic LoRA", ours)]
    assert compare.grouped_labels() == groups and sorted(compare.labels()) == sorted(name for _, names in groups for name in names)
    assert compare.chosen_system("polychromic").temperature == 1.2 and compare.at("polychromic", 0.5) is None
    assert on_test.main_labels() == ["zero_shot", "few_shot", "lora", "lora_4c", "rft", "polychromic"]


def test_a_contrast_is_found_by_its_rule_and_metric_over_all_prompts(compare: Compare):
    front, chosen = compare.contrast("polychromic", "lora"), compare.contrast("polychromic", "lora", "chosen", "pass@1")
    assert (front.rule, front.metric, chosen.rule, chosen.metric) == ("front", "coverage@10", "chosen", "pass@1")
    assert significant(front) and compare.contrast("lora", "gem") is None
    assert not significant(Fields(front | {"p_adjusted": 0.06}, "x")) and not significant(Fields(front | {"delta": None}, "x"))
    assert compare.own_metric() == "quality"


def test_what_a_document_lacks_is_named_with_its_place(workspace: Path):
    document = make("listqa")
    del document["systems"][3]["metrics"]["pass@1"]["low"]
    write_json(paths.compare_file("listqa", "dev"), document)
    place = r"results/listqa/dev/compare\.json#systems\.3\.metrics\.pass@1"
    for lacking in ("low", "lam"):
        with pytest.raises(DataError, match=rf"{place}: no '{lacking.replace('lam', 'lambda')}'\. Allowed: by_seed, high, .*`dvc repro`"):
            getattr(load("listqa", "dev").systems[3].metrics["pass@1"], lacking)
    paths.compare_file("listqa", "dev").unlink()
    with pytest.raises(PolychromicError, match=r"listqa/dev/compare\.json: file not found.*dvc"):
        load("listqa", "dev")


def test_uses_are_those_of_main_tex_and_of_the_tables_it_reads_without_comments(tmp_path: Path):
    with pytest.raises(PolychromicError, match=r"main\.tex: file not found\. Run in the folder that holds params\.yaml and paper/"):
        uses(tmp_path)
    (tmp_path / "tables").mkdir()
    inputs = r"\input{tables/one}\input{tables/none} \assertnum{f}{higher than}{g.h} \assertnum*{f}{at least}{-0.5}"
    (tmp_path / "main.tex").write_text("% \\num{key}\n50\\% of \\num{a.b} and \\num{c} % \\num{d}\n" + inputs)
    (tmp_path / "tables/one.tex").write_text("\n\\num{e@1}")
    main, table = (tmp_path / "main.tex").as_posix(), (tmp_path / "tables/one.tex").as_posix()
    claims = [Use("f", main, 3, ("higher than", "g.h")), Use("g.h", main, 3), Use("f", main, 3, ("at least", "-0.5"))]
    assert uses(tmp_path) == [Use("a.b", main, 2), Use("c", main, 2), *claims, Use("e@1", table, 2)]
    (tmp_path / "main.tex").write_text(r"\assertnum{f}{better than}{0}")
    with pytest.raises(PolychromicError, match=r"main\.tex:1: \\assertnum says 'better than'\. Allowed: higher than, "):
        uses(tmp_path)
