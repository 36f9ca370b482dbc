"""Drafts beside people: the table, the numbers and the figure say what openers.json holds, and no more."""

from __future__ import annotations

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.report import people
from polychromic.report.distributions import CEILING, FLOOR
from polychromic.report.people import Openers
from polychromic.report.results import Compare
from tests.report.synthetic import make_openers

CURVE = "human recall@$k$ (% of people) \u2191"


def openers(**changes) -> Openers:
    return Openers.model_validate(make_openers() | changes)


def line(axes, name: str):
    return next(line for line in axes.lines if line.get_label() == name)


def numbers(found: Openers) -> dict[str, people.Number]:
    compare = Compare.model_construct(headline="polychromic")
    return {number.key: number for number in people.people_numbers(found, compare)}


def test_the_table_has_people_systems_and_floors_by_one_definition():
    rows = people.people_table(openers()).splitlines()
    lora = next(row for row in rows if row.startswith("LoRA"))
    small = r"{\scriptsize [%s]}"
    assert lora == (f"LoRA & 1.50 {small % '1.40, 1.60'} & 8.0 {small % '7.2, 8.8'} & 1.6 & 32.0 {small % '28.8, 35.2'} & 8.0" + r" \\")
    assert next(row for row in rows if row.startswith("people")).startswith(f"people & 1 & 12.0 {small % '10.8, 13.2'} & 2.4 & 48.0")
    assert rows.index(lora) < rows.index(next(row for row in rows if row.startswith("Polychromic")))


def test_the_figure_draws_what_openers_holds_on_one_axis_of_k():
    axes = people.people_figure(openers()).axes[0]
    assert axes.get_ylabel() == CURVE
    for name, level in ((CEILING, 0.012), (FLOOR, 0.0024), ("LoRA", 0.008), ("Polychromic", 0.009), ("Zero-shot", 0.006)):
        drawn = line(axes, name)
        assert list(drawn.get_xdata()) == [1, 3, 5, 10], name
        assert list(drawn.get_ydata()) == pytest.approx([level * k for k in (1, 3, 5, 10)]), name
    assert sum(drawn.get_label().startswith("_") for drawn in axes.lines) == 4, "a floor per system"


def test_numbers_state_the_ceiling_the_floors_and_what_lies_above():
    found = numbers(openers())
    texts = {key: number.text for key, number in found.items()}
    assert (texts["people.ceiling"], texts["people.ceiling.ci"], texts["people.floor"]) == (r"12.0\,\%", "[10.8, 13.2]", r"2.4\,\%")
    assert (texts["people.lora.human_recall"], texts["people.lora.floor"], texts["people.targets"]) == (r"8.0\,\%", r"1.6\,\%", "10")
    assert texts["people.lora.above_floor.verdict"] == "above"
    assert texts["people.zero_shot.above_floor.verdict"] == "not told apart from"
    assert found["people.lora.ratio"].low == pytest.approx(1.4) and found["people.lora.ratio"].n == 34


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
    value = (low + high) / 2
    found = numbers(openers(contrasts=[{"a": "polychromic", "b": "lora", "value": value, "low": low, "high": high}]))
    assert found["people.headline.sentence"].text.startswith(sentence)
    assert f"paired by message: {found['people.headline.difference'].text} [" in found["people.headline.sentence"].text
    assert found["people.headline.difference"].value == value


def test_a_pair_that_was_not_compared_is_an_error():
    with pytest.raises(PolychromicError, match="no contrast of polychromic and lora"):
        numbers(openers(contrasts=[]))
