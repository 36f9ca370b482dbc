"""The summary over the domains says what their contrasts say, and where tasks decide more than methods."""

from __future__ import annotations

from polychromic.report.results import Compare
from polychromic.report.summary import summary_numbers, summary_table


def said(compares: dict[str, dict]) -> dict[str, str]:
    return {number.key: number.text for number in summary_numbers([Compare.model_validate(value) for value in compares.values()])}


def set_gain(compare: dict, low: float, high: float, adjusted: float) -> None:
    for row in compare["contrasts"]:
        if (row["a"], row["b"], row["rule"]) == ("polychromic", "lora", "matched"):
            row |= {"delta": (low + high) / 2, "low": low, "high": high, "p_adjusted": adjusted}


def test_it_claims_what_each_contrast_allows(compares):
    set_gain(compares["listqa"], 0.1, 0.3, 0.01)
    set_gain(compares["replies"], -0.1, 0.3, 0.4)
    set_gain(compares["creative"], 0.2, 0.9, 0.001)
    set_gain(compares["code"], -0.4, -0.1, 0.02)
    assert said(compares)["summary.sentence"] == (
        "At matched quality, the primary metric of Polychromic is higher than LoRA's on list questions and sentences from given words, "
        "and not distinguishable from LoRA's on social replies, and lower than LoRA's on Python functions."
    )


def test_a_domain_at_its_floor_or_ceiling_is_named(compares):
    assert "No domain is at its floor or ceiling" in said(compares)["summary.range.sentence"]
    for system in compares["code"]["systems"]:
        if system["label"] == "lora":
            system["metrics"]["pass@10"] |= {"mean": 0.97}
    assert "On Python functions it lies outside" in said(compares)["summary.range.sentence"]


def test_the_table_has_four_baselines_of_each_domain(compares):
    text = summary_table([Compare.model_validate(value) for value in compares.values()])
    for name in ("Zero-shot", "Few-shot", "LoRA", "Polychromic"):
        assert sum(line.startswith(f"{name} &") for line in text.splitlines()) == len(compares)
    heads = [line for line in text.splitlines() if "multicolumn" in line]
    assert len(heads) == len(compares) and "List questions: valid distinct@10, 80 prompts, 3 seeds" in heads[0]
