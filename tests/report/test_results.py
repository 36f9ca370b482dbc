"""compare.json and the files of benchmarks/: what the report asks of them, and what they say when something is missing."""

from pathlib import Path

import pytest

from polychromic.base import paths
from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import write_json
from polychromic.report.records import Use, uses
from polychromic.report.results import Compare, load
from tests.report.synthetic import parsed


def test_methods_are_in_printed_order_and_in_their_groups(compare: Compare, on_test: Compare):
    assert compare.main_labels() == ["zero_shot", "few_shot", "lora", "gem", "rft", "polychromic"]
    without = ["zero_shot", "few_shot", "lora", "lora_long", "gem", "polychromic_plain", "some_new_peer"]
    ours = ["polychromic_quarter", "polychromic"]
    groups = [("Without the checker", without), ("With the checker", ["rft", "poly_epo"]), ("Polychromic LoRA", ours)]
    assert compare.grouped_labels() == groups
    assert set(compare.method_labels()) == {*without, "rft", "poly_epo", *ours}
    assert compare.chosen("polychromic").temperature == 0.85
    peers = ["lora_longer", "rft_min_p"]  # that the primary family compares the headline with
    assert on_test.main_labels() == ["zero_shot", "few_shot", "lora", *peers, "polychromic"]
    assert [system.temperature for system in on_test.front("lora")] == [0.2, 0.35, 0.5, 0.75], "all that were declared"


@pytest.mark.parametrize(("dropped", "shared"), [(None, 0.85), (0.85, 0.7)])
def test_lambda_rows_share_the_headlines_temperature_or_the_nearest(compares: dict, dropped: float | None, shared: float):
    values = compares["listqa"]
    values["systems"] = [s for s in values["systems"] if (s["label"], s["temperature"]) != ("polychromic@10", dropped)]
    rows = parsed(values).lambda_rows()
    weights = [("lora", None), ("polychromic@0.3", 0.3), ("polychromic", 3.0), ("polychromic@10", 10.0)]
    assert [(row.label, row.lam) for row in rows] == weights and {row.temperature for row in rows} == {shared}


def test_what_a_document_lacks_is_named_with_its_place(workspace: Path, compares: dict):
    del compares["listqa"]["systems"][3]["metrics"]["pass@1"]["low"]
    write_json(paths.compare_file("listqa", "dev"), compares["listqa"])
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
    inputs = r"\input{tables/one}\input{tables/none}"
    (tmp_path / "main.tex").write_text("% \\num{key}\n50\\% of \\num{a.b} and \\num{c} % \\num{d}\n" + inputs)
    (tmp_path / "tables/one.tex").write_text("\n\\num{e@1}")
    main, table = (tmp_path / "main.tex").as_posix(), (tmp_path / "tables/one.tex").as_posix()
    assert uses(tmp_path) == [Use("a.b", main, 2), Use("c", main, 2), Use("e@1", table, 2)]
