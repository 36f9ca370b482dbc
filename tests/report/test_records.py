"""Which records the manuscript asks for, and how they are written."""

from pathlib import Path

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.report.records import Number, Use, to_json, to_latex, unique, uses


def test_uses_are_those_of_main_tex_and_of_the_tables_it_reads_without_comments(tmp_path: Path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "main.tex").write_text(
        "% \\num{key}\n50\\% of \\num{a.b} and \\num{c} % \\num{d}\n\\input{tables/one}\\input{tables/none}\n"
    )
    (tmp_path / "tables/one.tex").write_text("\n\\num{e@1}")
    main, table = (tmp_path / "main.tex").as_posix(), (tmp_path / "tables/one.tex").as_posix()
    assert uses(tmp_path) == [Use("a.b", main, 2), Use("c", main, 2), Use("e@1", table, 2)]


def test_a_missing_manuscript_is_named(tmp_path: Path):
    with pytest.raises(PolychromicError, match=r"main\.tex: file not found\. Run in the folder that holds params\.yaml and paper/"):
        uses(tmp_path)


def test_a_key_defined_twice_is_an_error():
    with pytest.raises(PolychromicError, match=r"'setup\.a\.b' is defined twice \(here, there\)"):
        unique([Number("setup.a.b", 1, "1", source="here"), Number("setup.a.b", 2, "2", source="there")])


def test_macros_and_records_say_the_same():
    record = Number("a.b@1", 1, r"1\,\%", seeds=(0, 1))
    assert to_latex([record]).splitlines()[1:] == [r"\definenumber{a.b@1}{1\,\%}%"]
    (row,) = to_json([record])
    assert (row["key"], row["text"], row["seeds"]) == ("a.b@1", r"1\,\%", [0, 1])
    assert set(row) == {"key", "value", "text", "unit", "low", "high", "n", "seeds", "split", "source"}
