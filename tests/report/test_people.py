"""Drafts beside people: the table, the numbers and the figure say what compare.json of calibration holds, and no more."""

from __future__ import annotations

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.report import people
from polychromic.report.people import People
from polychromic.report.records import Number, unique
from polychromic.report.style import CEILING, FLOOR
from tests.report.synthetic import make_people


def made(**changes) -> People:
    return People.model_validate(make_people() | changes)


def numbers(found: People) -> dict[str, Number]:
    return unique(people.people_numbers(found, "replies", "polychromic"))


def test_the_table_has_people_systems_and_floors_by_one_definition():
    rows = people.people_table(made()).splitlines()
    lora = next(row for row in rows if row.startswith("LoRA"))
    small = r"{\scriptsize [%s]}"
    assert lora == (f"LoRA & 1.50 {small % '1.40, 1.60'} & 8.0 {small % '7.2, 8.8'} & 1.6 & 32.0 {small % '28.8, 35.2'} & 8.0" + r" \\")
    assert next(row for row in rows if row.startswith("people")).startswith(f"people & 1 & 12.0 {small % '10.8, 13.2'} & 2.4 & 48.0")
    assert rows.index(lora) < rows.index(next(row for row in rows if row.startswith("Polychromic")))


def test_the_figure_draws_them_on_one_axis_of_k():
    axes = people.people_figure(made()).axes[0]
    assert axes.get_ylabel() == "human recall@$k$ (% of people) \u2191"
    for name, level in ((CEILING, 0.012), (FLOOR, 0.0024), ("LoRA", 0.008), ("Polychromic", 0.009), ("Zero-shot", 0.006)):
        drawn = next(line for line in axes.lines if line.get_label() == name)
        assert list(drawn.get_xdata()) == [1, 3, 5, 10], name
        assert list(drawn.get_ydata()) == pytest.approx([level * k for k in (1, 3, 5, 10)]), name
    assert sum(drawn.get_label().startswith("_") for drawn in axes.lines) == 4, "a floor per system"


def test_numbers_state_the_ceiling_the_floors_and_what_lies_above():
    found = numbers(made())
    texts = {key.removeprefix("people."): number.text for key, number in found.items()}
    assert (texts["ceiling"], texts["ceiling.ci"], texts["floor"]) == (r"12.0\,\%", "[10.8, 13.2]", r"2.4\,\%")
    assert (texts["lora.human_recall"], texts["lora.floor"], texts["targets"]) == (r"8.0\,\%", r"1.6\,\%", "10")
    assert (texts["lora.above_floor.verdict"], texts["zero_shot.above_floor.verdict"]) == ("above", "not told apart from")
    assert (texts["collision"], texts["temperature"], texts["lora.ratio.ci"]) == ("0.210", "1", "[1.40, 1.60]")
    assert found["people.lora.ratio"].low == pytest.approx(1.4) and found["people.lora.ratio"].n == 34
    assert found["people.lora.ratio"].source == "results/replies/calibration/compare.json#lora"


@pytest.mark.parametrize(
    ("low", "high", "sentence"),
    [
        (-0.12, 0.02, "The drafts of Polychromic and of LoRA are not told apart in how alike they are"),
        (-0.12, -0.02, "The drafts of Polychromic are less alike than those of LoRA"),
        (0.01, 0.03, "The drafts of Polychromic are more alike than those of LoRA"),
    ],
)
def test_likeness_is_told_apart_by_the_paired_difference(low, high, sentence):
    """Not by whether the intervals of the two ratios overlap: here they do, in all three cases."""
    found = numbers(made(contrasts=[{"a": "polychromic", "b": "lora", "value": 0.3, "low": low, "high": high}]))
    text = found["people.headline.sentence"].text
    assert text.startswith(sentence) and "paired by message: +0.30 [" in text


def test_a_pair_that_was_not_compared_is_an_error():
    with pytest.raises(PolychromicError, match=r"calibration/compare\.json has no contrast of polychromic and lora"):
        numbers(made(contrasts=[]))
