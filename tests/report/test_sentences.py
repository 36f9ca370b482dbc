"""Sentences claim what tests and intervals allow, and no more."""

from __future__ import annotations

import re

import pytest

from polychromic.report import sentences
from polychromic.report.results import Compare
from tests.report.synthetic import find, make_benchmarks, measured, parsed


@pytest.mark.parametrize(("low", "high", "p_adjusted", "expected"), [
    (0.1, 0.3, 0.01, "higher than"),
    (-0.3, -0.1, 0.01, "lower than"),
    (0.1, 0.3, 0.06, "not distinguishable from"),
    (-0.1, 0.5, 0.01, "not distinguishable from"),
    (-0.3, -0.1, 0.05, "not distinguishable from"),
    (0.1, 0.3, None, "not distinguishable from"),
])  # fmt: skip
def test_verdict_needs_the_interval_and_the_adjusted_p(compares: dict, low: float, high: float, p_adjusted, expected: str):
    for row in compares["listqa"]["contrasts"]:
        row.update(low=-1.0, high=1.0)
    find(compares["listqa"], "polychromic", "lora").update(delta=(low + high) / 2, low=low, high=high, p_adjusted=p_adjusted)
    compare = parsed(compares["listqa"])
    assert sentences.verdict(compare.gain()) == expected
    up, down = (expected == f"{claim} than" for claim in ("higher", "lower"))
    counted = f"higher in {int(up)}, lower in {int(down)} and not distinguishable in {3 - up - down}."
    assert sentences.family(compare) == f"In the primary family of 3 contrasts, the first system is {counted}"
    text = sentences.comparison(compare, compare.gain())
    assert (f"is {expected} that of LoRA at matched pass@1" in text) == (p_adjusted is not None)
    assert ("was compared with that of LoRA" in text) == (p_adjusted is None) == ("adjusted $p$" not in text)


def test_best_peers_and_our_variants_are_named_and_compared(compares: dict):
    values = compares["listqa"]
    row = find(values, "polychromic", "gem")
    row.update(delta=0.2, low=0.1, high=0.3, p_adjusted=0.01)
    text, source = sentences.best_peer(parsed(values), "best_without_checker")
    assert source == f"contrasts/{row['id']}"
    assert text.startswith(
        "The best peer on the development set that does not see the checker is GEM. The valid distinct@10 of Polychromic is higher than "
        r"that of GEM at matched pass@1 ($\Delta=$ +0.20 [+0.10, +0.30], adjusted $p$ \ensuremath{=.010})."
    )
    assert re.search(r"Their pass@1 differs by .*points \[.*\], each at its chosen temperature\.$", text)
    assert sentences.variants(parsed(values), "best_without_checker") == "No other variant of ours was compared with it."
    values["contrasts"].append(row | {"a": "polychromic_quarter", "id": "another"})
    text = sentences.variants(parsed(values), "best_without_checker")
    assert text.startswith("The valid distinct@10 of Polychromic, quarter is higher than that of GEM at matched pass@1 (")
    assert sentences.best_peer(parsed(compares["replies"]), "best_with_checker")[0] == "No peer on this domain sees the checker."
    values["contrasts"] = [row for row in values["contrasts"] if row["b"] != "rft"]
    text, _ = sentences.best_peer(parsed(values), "best_with_checker")
    assert text.endswith("is Rejection-sampled. No contrast with it was declared.")


@pytest.mark.parametrize(("recommended", "expected"), [
    (3.0, r"is $\lambda=3$, the headline's."),
    (0.3, r"is $\lambda=0.3$, below the headline's, 3."),
    (10.0, r"is $\lambda=10$, above the headline's, 3."),
    (0.0, "No weight of the grid keeps the validation cross-entropy within 0.1 nats of LoRA's."),
])  # fmt: skip
def test_the_recommended_weight(compares: dict, recommended: float, expected: str):
    compares["listqa"]["selection"]["lambda"]["recommended"] = recommended
    assert sentences.recommended(parsed(compares["listqa"])).endswith(expected)


def test_the_trend_of_d(compare: Compare):
    grid, text = compare.selection.lam, sentences.trend(compare)
    assert r"$D$ rises with $\lambda$ over 0, 0.3, 3, 10: its means are 0.175, 0.185, 0.200, 0.195" in text
    assert r"$L=2000.0$, one-sided $p$ \ensuremath{<.001}" in text
    grid.trend["p"] = 0.05
    assert r"$D$ is not shown to rise with $\lambda$" in sentences.trend(compare)
    grid["trend"] = None
    assert "was not tested" in sentences.trend(compare)


@pytest.mark.parametrize(("seen", "unseen", "expected"), [
    ((0.01, 0.05), (-0.05, -0.01), "gamed"),  # q rose, pass@1 fell
    ((0.01, 0.05), (-0.05, 0.0), "undecided"),
    ((0.0, 0.05), (-0.05, -0.01), "undecided"),
    ((0.01, 0.05), (0.0, 0.05), "not gamed"),  # pass@1 did not fall
    ((-0.05, 0.0), (-0.05, -0.01), "not gamed"),  # q did not rise
    ((-0.01, 0.05), (-0.05, 0.01), "undecided"),
])  # fmt: skip
def test_a_quality_is_gamed_where_it_rises_and_what_training_does_not_see_falls(compares: dict, seen, unseen, expected: str):
    row = compares["replies"]["selection"]["lambda"]["gaming"][0]
    assert (row["label"], row["temperature"]) == ("polychromic@0.3", 0.8)
    for name, (low, high) in {"quality": seen, "pass@1": unseen}.items():
        row["metrics"][name] = {"delta": (low + high) / 2, "low": low, "high": high}
    places = "undecided at 0.8, 1" if expected == "undecided" else f"{expected} at 0.8 and undecided at 1"
    text = sentences.gaming(parsed(compares["replies"]))
    assert rf"with $\lambda=0.3$ it is {places}; with $\lambda=3$ it is undecided at 0.8, 1; with $\lambda=10$" in text
    assert "while pass@1 is below LoRA's" in text and "Over 80 development prompts" in text
    assert re.search(r"LoRA's: \$q\$ by \+0\.020 \[.*\], pass@1 by 0\.0~points \[.*\], perplexity \(base\) by \\ensuremath{-}1\.0 \[", text)


def test_the_summary_claims_what_each_contrast_allows_and_says_where_a_frontier_does_not_reach(tested: dict):
    ends = {"listqa": (0.1, 0.3, 0.01, ""), "replies": (-0.1, 0.3, 0.4, "above"), "creative": (0.2, 0.9, 0.001, ""),
            "code": (-0.4, -0.1, 0.02, "below")}  # fmt: skip
    compares = {domain: parsed(values) for domain, values in tested.items()}
    for domain, (low, high, adjusted, side) in ends.items():
        compare = compares[domain]
        compare.gain().update(delta=(low + high) / 2, low=low, high=high, p_adjusted=adjusted)
        theirs = [system.metrics["pass@1"].mean for system in compare.by_temperature("lora")]
        ours = {"above": max(theirs) + 0.05, "below": min(theirs) - 0.05, "": sum(theirs) / len(theirs)}[side]
        compare.chosen("polychromic").metrics["pass@1"]["mean"] = ours
        text = sentences.comparison(compare, compare.gain())
        assert ("frontier" in text) == bool(side) and (f"{side} the peer's whole frontier" in text) == bool(side)
    assert sentences.summary([*compares.values()]) == (
        "At matched quality, the primary metric of Polychromic is higher than LoRA's on list questions and sentences from given words, "
        "and not distinguishable from LoRA's on social replies, and lower than LoRA's on Python functions."
        " On social replies, its pass@1 lies above LoRA's whole frontier: it is set beside the high end, which has less of it."
        " On Python functions, its pass@1 lies below LoRA's whole frontier: it is set beside the low end, which has more of it."
    )


def test_a_domain_at_its_floor_or_ceiling_is_named(tested: dict):
    text = lambda: sentences.task_range([parsed(values) for values in tested.values()])
    assert "No domain is at its floor or ceiling" in text()
    for system in tested["code"]["systems"]:
        if system["label"] == "lora":
            system["metrics"]["pass@10"] |= {"mean": 0.97}
    assert "On Python functions it lies outside" in text()


@pytest.mark.parametrize(("ratio", "low", "high", "expected"), [
    (1.3, 1.26, 1.34, "above the bound of 1.25 that we had set; the interval lies above it."),
    (1.2, 1.1, 1.24, "within the bound of 1.25 that we had set; the interval lies within it."),
    (1.2, 1.1, 1.3, "within the bound of 1.25 that we had set; the interval reaches to both sides of it."),
    (1.3, 1.2, 1.4, "above the bound of 1.25 that we had set; the interval reaches to both sides of it."),
])  # fmt: skip
def test_the_bound_is_judged_by_mean_and_interval(ratio, low, high, expected: str):
    cost = measured("step_cost-listqa")
    cost.variants.polychromic.update(ratio_to_plain=ratio, low=low, high=high)
    assert sentences.step_cost(cost, "polychromic") == (
        f"A step of Polychromic takes {ratio:.2f} [{low:.2f}, {high:.2f}] times as long as one of the plain trainer and 1.37 times as long "
        "as one of LoRA in this trainer.",
        f"That is {expected}",
    )


def test_a_peer_with_more_steps_is_compared_with_what_both_cost(compares: dict, compare: Compare):
    values, cost = compares["listqa"], measured("step_cost-listqa")
    assert sentences.equal_cost(cost, compare) == "No peer with more steps was compared on this domain."
    row = find(values, "polychromic", "lora")
    values["contrasts"].append(row | {"b": "lora_long", "id": "another", "delta": 0.2, "low": 0.1, "high": 0.3, "p_adjusted": 0.01})
    assert sentences.equal_cost(cost, parsed(values)).startswith(
        "LoRA, more steps takes 1.25 times as long to train as LoRA, Polychromic 1.37 times. The valid distinct@10 of Polychromic is "
        "higher than that of LoRA, more steps at matched pass@1 ("
    )


def test_speed_and_variance_follow_the_intervals():
    assert sentences.sampler_speed(measured("sampler")).startswith("It decodes 2.00 to 16.00 times the tokens per second of the library's")
    first = sentences.gradient_variance(measured("gradient_variance")).split(" At $N=8$")[0]
    assert "larger with set-shared (3.10) and smaller with marginal, less other prompts' mean (0.80)." in first
    assert "leave-one-out" not in first and "wrong" not in first, "its interval holds 1; a biased estimate has another mean"
    rows = [row | {"low": 0.5, "high": 1.5} for row in make_benchmarks()["gradient_variance.json"]["rows"]]
    text = sentences.gradient_variance(measured("gradient_variance", rows=rows))
    assert text.count("not distinguishable with any other unbiased baseline") == 2
