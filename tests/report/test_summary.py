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


def set_quality(compare: dict, above: float) -> None:
    """Polychromic's quality at its chosen temperature: this much above the highest of LoRA's frontier, or below the lowest if negative;
    at 0 between the two."""
    front = compare["selection"]["fronts"]["lora"]
    theirs = [s["metrics"]["pass@1"]["mean"] for s in compare["systems"] if s["label"] == "lora" and s["temperature"] in front]
    ours = next(s for s in compare["systems"] if s["label"] == "polychromic" and s["chosen"])["metrics"]["pass@1"]
    ours["mean"] = max(theirs) + above if above > 0 else min(theirs) + above if above < 0 else sum(theirs) / len(theirs)


def test_it_claims_what_each_contrast_allows(compares):
    set_gain(compares["listqa"], 0.1, 0.3, 0.01)
    set_gain(compares["replies"], -0.1, 0.3, 0.4)
    set_gain(compares["creative"], 0.2, 0.9, 0.001)
    set_gain(compares["code"], -0.4, -0.1, 0.02)
    for compare in compares.values():
        set_quality(compare, 0)
    assert said(compares)["summary.sentence"] == (
        "At matched quality, the primary metric of Polychromic is higher than LoRA's on list questions and sentences from given words, "
        "and not distinguishable from LoRA's on social replies, and lower than LoRA's on Python functions."
    )


def test_it_says_where_the_frontier_does_not_reach(compares):
    for compare, above in zip(compares.values(), (0, 0.05, 0, -0.05), strict=True):
        set_quality(compare, above)
    found = said(compares)
    assert found["summary.sentence"].endswith(
        " On social replies, its pass@1 lies above LoRA's whole frontier: it is set beside the high end, which has less of it."
        " On Python functions, its pass@1 lies below LoRA's whole frontier: it is set beside the low end, which has more of it."
    )
    ends = {"replies": "above the peer's whole frontier", "code": "below the peer's whole frontier"}
    for domain in compares:
        assert ("frontier" in found[f"summary.{domain}.sentence"]) == (domain in ends)
        assert ends.get(domain, "") in found[f"summary.{domain}.sentence"]


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
