"""Methods look different, in grey print too; the same drawing gives the same bytes, with fonts embedded."""

from pathlib import Path

import pytest

from polychromic.report import style
from polychromic.report.figures import Point, passk


def test_methods_that_are_shown_differ_in_colour_marker_and_line():
    shown = style.looks(["zero_shot", "few_shot", "lora", "a_peer", "another", "polychromic"])
    for field in ("color", "marker", "line"):
        assert len({getattr(look, field) for look in shown.values()}) == len(shown)
    assert style.looks(["lora", "b"])["lora"] == shown["lora"], "a baseline looks the same in every figure"


@pytest.mark.parametrize("count", [9, 30])
def test_unknown_systems_differ_in_marker_and_line_as_well_as_colour(count):
    shown = list(style.looks([f"mine-{place}" for place in range(count)]).values())
    assert len({(look.marker, look.line) for look in shown}) == count, "in grey, too"
    assert [look.color for look in shown] == [shown[place % 9].color for place in range(count)], "colours come round in one order"
    assert all(len({getattr(look, field) for look in shown[:9]}) == 9 for field in ("color", "marker", "line"))
    assert {look.color for look in shown} <= set(style.TOL[:9]), "Paul Tol's, without the pale grey"


def test_a_peer_takes_no_colour_of_a_baseline_that_is_shown_while_there_are_others():
    shown = style.looks([*style.LOOKS, *(f"peer-{place}" for place in range(5))])
    assert len({look.color for look in shown.values()}) == 9
    every = style.looks([*style.LOOKS, *(f"peer-{place}" for place in range(9))])
    assert len({(look.marker, look.line) for look in every.values()}) == 13


@pytest.mark.parametrize("suffix", ["pdf", "svg"])
def test_the_same_drawing_gives_the_same_bytes(tmp_path: Path, suffix: str):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        style.save(passk({"lora": [Point(1, 0.1, 0.0, 0.2), Point(3, 0.2, 0.1, 0.3)]}), tmp_path / folder / f"x.{suffix}")
    drawn = (tmp_path / f"a/x.{suffix}").read_bytes()
    assert drawn == (tmp_path / f"b/x.{suffix}").read_bytes() and b"CreationDate" not in drawn
    assert suffix == "svg" or (b"/Subtype /Type3" not in drawn and b"/FontFile2" in drawn)
