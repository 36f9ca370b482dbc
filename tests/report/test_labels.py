"""Rounding, signs, directions and escaping, each against a text written by hand."""

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.report import labels


@pytest.mark.parametrize(
    ("metric", "value", "sign", "expected"),
    [
        ("pass@1", 0.3634, False, "36.3"),
        ("pass@1", 0.0349, True, "+3.5"),
        ("pass@10", -0.0123, True, r"\ensuremath{-}1.2"),
        ("pass@1", -0.0001, True, "0.0"),
        ("valid_distinct@10", 1.496, False, "1.50"),
        ("self_bleu", 0.40049, False, "0.400"),
        ("tokens", 5.25, False, "5.2"),
    ],
)
def test_format_value(metric: str, value: float, sign: bool, expected: str):
    assert labels.format_value(metric, value, sign=sign) == expected


def test_units_tell_a_share_from_a_difference():
    assert labels.format_value("pass@1", 0.3634, unit=True) == r"36.3\,\%"
    assert labels.format_value("pass@1", 0.0349, unit=True, sign=True) == "+3.5~points"
    assert labels.format_value("valid_distinct@10", 1.5, unit=True) == "1.50"


def test_better_follows_the_direction():
    assert labels.metric("pass@1").better(0.1) and not labels.metric("pass@1").better(-0.1)
    assert labels.metric("self_bleu").better(-0.1) and not labels.metric("self_bleu").better(0.1)
    assert not labels.metric("tokens").better(1.0) and not labels.metric("tokens").better(-1.0)


@pytest.mark.parametrize(("p", "expected"), [(0.00099, "<.001"), (0.001, ".001"), (0.0496, ".050"), (1.0, "1.000")])
def test_format_p(p: float, expected: str):
    assert labels.format_p(p) == expected


def test_system_name():
    assert labels.system_name("polychromic@10.0") == r"Polychromic ($\lambda=10$)"
    assert labels.system_name("polychromic@0.3", math=False) == "Polychromic (λ = 0.3)"


def test_an_unknown_metric_is_refused_with_those_that_exist():
    with pytest.raises(PolychromicError, match="'bleurt' does not exist. Allowed: pass@k"):
        labels.metric("bleurt")


@pytest.mark.parametrize(
    ("name", "plain", "math"),
    [
        ("pass@10", "pass@10 (%) \u2191", r"pass@10 (\%) \ensuremath{\uparrow}"),
        ("pass^3", "pass^3 (%) \u2191", r"pass\textasciicircum{}3 (\%) \ensuremath{\uparrow}"),
        ("self_bleu", "Self-BLEU \u2193", r"Self-BLEU \ensuremath{\downarrow}"),
        ("tokens", "tokens", "tokens"),
        ("distinct_2", "distinct-2 \u2191", r"distinct-2 \ensuremath{\uparrow}"),
    ],
)
def test_title(name: str, plain: str, math: str):
    assert (labels.title(name), labels.title(name, math=True)) == (plain, math)


def test_metrics_stand_in_the_catalogue_s_order_and_members_by_number():
    assert labels.metric_order(["tokens", "pass@10", "distinct_2", "pass@3", "distinct_1", "self_bleu"]) == [
        "pass@3", "pass@10", "self_bleu", "distinct_1", "distinct_2", "tokens",
    ]  # fmt: skip


def test_an_unknown_method_goes_by_its_own_name_after_the_known_ones():
    assert labels.system_name("magic_&_more@1") == r"magic \& more ($\lambda=1$)"
    assert labels.system_name("magic_&_more", math=False) == "magic & more"
    assert sorted(["zeta", "polychromic", "alpha", "lora"], key=labels.rank) == ["lora", "polychromic", "alpha", "zeta"]


def test_escape():
    assert labels.escape("a_b & 50% #1 {x} ~ \\") == r"a\_b \& 50\% \#1 \{x\} \textasciitilde{} \textbackslash{}"


def test_flatten_writes_an_item_of_a_list_of_mappings_as_one_leaf():
    assert list(labels.flatten({"c": {"d": [{"a": "lora", "b": 1}]}, "e": [1, 2]})) == [("c.d.0", "a: lora, b: 1"), ("e", [1, 2])]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1e-5, r"\ensuremath{10^{-5}}"),
        (2.5e-4, r"\ensuremath{2.5\times 10^{-4}}"),
        (0.001, "0.001"),
        (32.0, "32"),
        (0.0, "0"),
        (True, "yes"),
        (None, "none"),
        ([], "none"),
        ("a_b", r"a\_b"),
        ("ab" * 32, "ab" * 6),
    ],
)
def test_param_text(value, expected: str):
    assert labels.param_text(value) == expected


def test_lists_in_words():
    assert [labels.listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert labels.thousands(1234567) == r"1\,234\,567"
