"""Rounding, signs, directions and escaping, each against a text written by hand."""

import pytest

from polychromic.report import labels
from polychromic.report.labels import escape, format_p, format_value, metric, metric_order, param_text, rank, system_name, title


@pytest.mark.parametrize(("got", "expected"), [
    (format_value("pass@1", 0.3634), "36.3"),
    (format_value("pass@1", 0.0349, sign=True), "+3.5"),
    (format_value("pass@10", -0.0123, sign=True), r"\ensuremath{-}1.2"),
    (format_value("pass@1", -0.0001, sign=True), "0.0"),
    (format_value("valid_distinct@10", 1.496), "1.50"),
    (format_value("self_bleu", 0.40049), "0.400"),
    (format_value("tokens", 5.25), "5.2"),
    (format_value("pass@1", 0.3634, unit=True), r"36.3\,\%"),
    (format_value("pass@1", 0.0349, unit=True, sign=True), "+3.5~points"),
    (format_value("valid_distinct@10", 1.5, unit=True), "1.50"),
    (format_p(0.00099), "<.001"), (format_p(0.001), ".001"), (format_p(0.0496), ".050"), (format_p(1.0), "1.000"),
    (system_name("polychromic@10.0"), r"Polychromic ($\lambda=10$)"),
    (system_name("polychromic@0.3", math=False), "Polychromic (λ = 0.3)"),
    (system_name("magic_&_more@1"), r"magic \& more ($\lambda=1$)"),
    (system_name("magic_&_more", math=False), "magic & more"),
    (escape("a_b & 50% #1 {x} ~ \\"), r"a\_b \& 50\% \#1 \{x\} \textasciitilde{} \textbackslash{}"),
    (labels.thousands(1234567), r"1\,234\,567"),
    (system_name("lora_4c"), "LoRA, $4C$"), (system_name("polychromic_2c", math=False), "Polychromic, 2C"), (system_name("x_4c"), "x 4c"),
    (labels.plus_minus("pass@1", {"mean": 0.3634, "low": 0.33, "high": 0.4}), r"36.3 {\scriptsize $\pm$ 3.5}"),
    (param_text(1e-5), r"\ensuremath{10^{-5}}"), (param_text(2.5e-4), r"\ensuremath{2.5\times 10^{-4}}"), (param_text(0.001), "0.001"),
    (param_text(32.0), "32"), (param_text(0.0), "0"), (param_text(True), "yes"), (param_text(None), "none"), (param_text([]), "none"),
    (param_text("a_b"), r"a\_b"), (param_text("ab" * 32), "ab" * 6),
])  # fmt: skip
def test_what_is_printed(got: str, expected: str):
    assert got == expected


@pytest.mark.parametrize(("name", "plain", "math", "better"), [  # which of two differences is better: +0.1, -0.1
    ("pass@10", "pass@10 (%) \u2191", r"pass@10 (\%) \ensuremath{\uparrow}", [True, False]),
    ("pass^3", "pass^3 (%) \u2191", r"pass\textasciicircum{}3 (\%) \ensuremath{\uparrow}", [True, False]),
    ("self_bleu", "Self-BLEU \u2193", r"Self-BLEU \ensuremath{\downarrow}", [False, True]),
    ("tokens", "tokens", "tokens", [False, False]),
])  # fmt: skip
def test_title_and_direction(name: str, plain: str, math: str, better: list[bool]):
    assert (title(name), title(name, math=True)) == (plain, math)
    assert [metric(name).better(difference) for difference in (0.1, -0.1)] == better


def test_metrics_stand_in_the_catalogue_s_order_and_methods_that_are_unknown_after_the_known_ones():
    wanted = ["pass@3", "pass@10", "self_bleu", "distinct_1", "distinct_2", "tokens"]
    assert metric_order(["tokens", "pass@10", "distinct_2", "pass@3", "distinct_1", "self_bleu"]) == wanted
    names = ["lora", "lora_2c", "lora_10c", "rft", "polychromic", "alpha", "zeta"]
    assert sorted(reversed(names), key=rank) == names, "at other costs beside itself"
