"""The summary over the domains says what their contrasts say, and where tasks decide more than methods."""

from __future__ import annotations

from polychromic.report.results import Confirmation
from polychromic.report.summary import summary_numbers, summary_table


def said(confirmed: dict[str, dict]) -> dict[str, str]:
    return {number.key: number.text for number in summary_numbers([Confirmation.model_validate(value) for value in confirmed.values()])}


def set_gain(compare: dict, low: float, high: float, adjusted: float) -> None:
    for row in compare["contrasts"]:
        if (row["a"], row["b"], row["rule"]) == ("polychromic", "lora", "matched"):
            row |= {"delta": (low + high) / 2, "low": low, "high": high, "p_adjusted": adjusted}


def set_quality(test: dict, above: float) -> None:
    """Polychromic's quality at its chosen temperature: this much above the highest of LoRA's, or below the lowest if negative; at 0
    between the two."""
    theirs = [s["metrics"]["pass@1"]["mean"] for s in test["systems"] if s["label"] == "lora"]
    ours = next(s for s in test["systems"] if s["label"] == "polychromic" and s["chosen"])["metrics"]["pass@1"]
    ours["mean"] = max(theirs) + above if above > 0 else min(theirs) + above if above < 0 else sum(theirs) / len(theirs)


def test_it_claims_what_each_contrast_allows(confirmed):
    set_gain(confirmed["listqa"], 0.1, 0.3, 0.01)
    set_gain(confirmed["replies"], -0.1, 0.3, 0.4)
    set_gain(confirmed["creative"], 0.2, 0.9, 0.001)
    set_gain(confirmed["code"], -0.4, -0.1, 0.02)
    for test in confirmed.values():
        set_quality(test, 0)
    assert said(confirmed)["summary.sentence"] == (
        "At matched quality, the primary metric of Polychromic is higher than LoRA's on list questions and sentences from given words, "
        "and not distinguishable from LoRA's on social replies, and lower than LoRA's on Python functions."
    )


def test_it_says_where_the_frontier_does_not_reach(confirmed):
    for test, above in zip(confirmed.values(), (0, 0.05, 0, -0.05), strict=True):
        set_quality(test, above)
    found = said(confirmed)
    assert found["summary.sentence"].endswith(
        " On social replies, its pass@1 lies above LoRA's whole frontier: it is set beside the high end, which has less of it."
        " On Python functions, its pass@1 lies below LoRA's whole frontier: it is set beside the low end, which has more of it."
    )
    ends = {"replies": "above the peer's whole frontier", "code": "below the peer's whole frontier"}
    for domain in confirmed:
        assert ("frontier" in found[f"summary.{domain}.sentence"]) == (domain in ends)
        assert ends.get(domain, "") in found[f"summary.{domain}.sentence"]


def test_a_domain_at_its_floor_or_ceiling_is_named(confirmed):
    assert "No domain is at its floor or ceiling" in said(confirmed)["summary.range.sentence"]
    for system in confirmed["code"]["systems"]:
        if system["label"] == "lora":
            system["metrics"]["pass@10"] |= {"mean": 0.97}
    assert "On Python functions it lies outside" in said(confirmed)["summary.range.sentence"]


def test_the_table_has_four_baselines_of_each_domain(confirmed):
    text = summary_table([Confirmation.model_validate(value) for value in confirmed.values()])
    for name in ("Zero-shot", "Few-shot", "LoRA", "Polychromic"):
        assert sum(line.startswith(f"{name} &") for line in text.splitlines()) == len(confirmed)
    heads = [line for line in text.splitlines() if "multicolumn" in line]
    assert len(heads) == len(confirmed) and "List questions: valid distinct@10, 240 prompts, 5 seeds" in heads[0]


def test_it_is_about_test_and_says_where_it_read_that(confirmed):
    numbers = {number.key: number for number in summary_numbers([Confirmation.model_validate(value) for value in confirmed.values()])}
    one = numbers["summary.code.sentence"]
    assert one.split == "test" and one.source == "results/code/test.json#contrasts/polychromic-lora-valid_distinct@10-matched"
    files = numbers["summary.sentence"].source.split("; ")
    assert files == [f"results/{domain}/test.json" for domain in confirmed]
