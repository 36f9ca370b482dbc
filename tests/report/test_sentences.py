"""Sentences claim what tests and intervals allow, and no more."""

from __future__ import annotations

import re

import pytest

from polychromic.report import sentences, timings
from polychromic.report.results import Compare
from tests.report.synthetic import find, make_benchmarks

COST = timings.StepCost.model_validate(make_benchmarks()["step_cost-listqa.json"])
VARIANCE = make_benchmarks()["gradient_variance.json"]


def said(values: dict, function, *arguments):
    return function(Compare.model_validate(values), *arguments)


@pytest.mark.parametrize(
    ("delta", "low", "high", "p_adjusted", "expected"),
    [
        (0.2, 0.1, 0.3, 0.01, "higher than"),
        (-0.2, -0.3, -0.1, 0.01, "lower than"),
        (0.2, 0.1, 0.3, 0.06, "not distinguishable from"),
        (0.2, -0.1, 0.5, 0.01, "not distinguishable from"),
        (-0.2, -0.3, -0.1, 0.05, "not distinguishable from"),
        (0.2, 0.1, 0.3, None, "not distinguishable from"),
    ],
)
def test_verdict_needs_the_interval_and_the_adjusted_p(compares: dict, delta, low, high, p_adjusted, expected: str):
    values = compares["listqa"]
    find(values, "polychromic", "lora").update(delta=delta, low=low, high=high, p_adjusted=p_adjusted)
    contrast = Compare.model_validate(values).contrast("polychromic", "lora", values["primary"], ("matched",))
    assert sentences.verdict(contrast) == expected
    text = said(values, sentences.comparison, contrast)
    assert (f"is {expected} that of LoRA at matched pass@1" in text) == (p_adjusted is not None)
    assert ("was compared with that of LoRA" in text) == (p_adjusted is None) == ("adjusted $p$" not in text)


# what dev decided


def test_best_peers_are_named_and_compared(compares: dict):
    values = compares["listqa"]
    row = find(values, "polychromic", "gem")
    row.update(delta=0.2, low=0.1, high=0.3, p_adjusted=0.01)
    text, source = said(values, sentences.best_peer, "best_without_checker")
    assert source == f"contrasts/{row['id']}"
    assert text.startswith(
        "The best peer on the development set that does not see the checker is GEM. The valid distinct@10 of Polychromic is higher than "
        r"that of GEM at matched pass@1 ($\Delta=$ +0.20 [+0.10, +0.30], adjusted $p$ \ensuremath{=.010})."
    )
    assert re.search(r"Their pass@1 differs by .*points \[.*\], each at its chosen temperature\.$", text)
    assert said(values, sentences.variants, "best_without_checker") == "No other variant of ours was compared with it."
    values["contrasts"].append(row | {"a": "polychromic_quarter", "id": "another"})
    text = said(values, sentences.variants, "best_without_checker")
    assert text.startswith("The valid distinct@10 of Polychromic, quarter is higher than that of GEM at matched pass@1 (")


def test_a_role_without_a_peer_or_a_contrast_has_a_sentence_all_the_same(compares: dict):
    assert said(compares["replies"], sentences.best_peer, "best_with_checker")[0] == "No peer on this domain sees the checker."
    values = compares["listqa"]
    values["contrasts"] = [row for row in values["contrasts"] if row["b"] != "rft"]
    text, _ = said(values, sentences.best_peer, "best_with_checker")
    assert text.endswith("is Rejection-sampled. No contrast with it was declared.")


@pytest.mark.parametrize(
    ("recommended", "expected"),
    [
        (3.0, r"is $\lambda=3$, the headline's."),
        (0.3, r"is $\lambda=0.3$, below the headline's, 3."),
        (10.0, r"is $\lambda=10$, above the headline's, 3."),
        (0.0, "No weight of the grid keeps the validation cross-entropy within 0.1 nats of LoRA's."),
    ],
)
def test_the_recommended_weight(compares: dict, recommended: float, expected: str):
    compares["listqa"]["selection"]["lambda"]["recommended"] = recommended
    assert said(compares["listqa"], sentences.recommended).endswith(expected)


def test_the_trend_of_d(compares: dict):
    grid = compares["listqa"]["selection"]["lambda"]
    text = said(compares["listqa"], sentences.trend)
    assert r"$D$ rises with $\lambda$ over 0, 0.3, 3, 10: its means are 0.175, 0.185, 0.200, 0.195" in text
    assert r"$L=2000.0$, one-sided $p$ \ensuremath{<.001}" in text
    grid["trend"]["p"] = 0.05
    assert r"$D$ is not shown to rise with $\lambda$" in said(compares["listqa"], sentences.trend)
    grid["trend"] = None
    assert "was not tested" in said(compares["listqa"], sentences.trend)


@pytest.mark.parametrize(
    ("seen", "unseen", "expected"),
    [
        ((0.01, 0.05), (-0.05, -0.01), "gamed"),  # q rose, pass@1 fell
        ((0.01, 0.05), (-0.05, 0.0), "undecided"),
        ((0.0, 0.05), (-0.05, -0.01), "undecided"),
        ((0.01, 0.05), (0.0, 0.05), "not gamed"),  # pass@1 did not fall
        ((-0.05, 0.0), (-0.05, -0.01), "not gamed"),  # q did not rise
        ((-0.01, 0.05), (-0.05, 0.01), "undecided"),
    ],
)
def test_a_quality_is_gamed_where_it_rises_and_what_training_does_not_see_falls(compares: dict, seen, unseen, expected: str):
    row = compares["replies"]["selection"]["lambda"]["gaming"][0]
    assert (row["label"], row["temperature"]) == ("polychromic@0.3", 0.8)
    for name, (low, high) in {"quality": seen, "pass@1": unseen}.items():
        row["metrics"][name] = {"delta": (low + high) / 2, "low": low, "high": high}
    places = "undecided at 0.8, 1" if expected == "undecided" else f"{expected} at 0.8 and undecided at 1"
    text = said(compares["replies"], sentences.gaming)
    assert rf"with $\lambda=0.3$ it is {places}; with $\lambda=3$ it is undecided at 0.8, 1; with $\lambda=10$" in text


def test_what_training_sees_and_does_not_see(compares: dict):
    text = said(compares["replies"], sentences.gaming)
    assert "while pass@1 is below LoRA's" in text and "Over 80 development prompts" in text
    assert re.search(r"LoRA's: \$q\$ by \+0\.020 \[.*\], pass@1 by 0\.0~points \[.*\], perplexity \(base\) by \\ensuremath{-}1\.0 \[", text)
    compares["replies"]["selection"]["lambda"]["gaming"] = []
    assert "could not be told" in said(compares["replies"], sentences.gaming)


# what test says


@pytest.mark.parametrize(
    ("low", "high", "adjusted", "counts"),
    [
        (0.1, 0.3, 0.01, "higher in 1, lower in 0 and not distinguishable in 5"),
        (0.1, 0.3, 0.06, "higher in 0, lower in 0 and not distinguishable in 6"),
        (-0.3, -0.1, 0.01, "higher in 0, lower in 1 and not distinguishable in 5"),
    ],
)
def test_the_family_is_counted_by_its_tests(tested: dict, low, high, adjusted, counts: str):
    values = tested["listqa"]
    for row in values["contrasts"]:
        row.update(low=-1.0, high=1.0)
    find(values, "polychromic", "lora").update(delta=(low + high) / 2, low=low, high=high, p_adjusted=adjusted)
    assert said(values, sentences.family) == f"In the primary family of 6 contrasts, the first system is {counts}."


def set_quality(values: dict, above: float) -> None:
    """Polychromic's quality at its chosen temperature: this much above the highest of LoRA's, or below the lowest if negative; at 0
    between the two."""
    theirs = [s["metrics"]["pass@1"]["mean"] for s in values["systems"] if s["label"] == "lora"]
    ours = next(s for s in values["systems"] if s["label"] == "polychromic" and s["chosen"])["metrics"]["pass@1"]
    ours["mean"] = max(theirs) + above if above > 0 else min(theirs) + above if above < 0 else sum(theirs) / len(theirs)


def test_the_summary_claims_what_each_contrast_allows_and_says_where_a_frontier_does_not_reach(tested: dict):
    ends = {"listqa": (0.1, 0.3, 0.01), "replies": (-0.1, 0.3, 0.4), "creative": (0.2, 0.9, 0.001), "code": (-0.4, -0.1, 0.02)}
    for (domain, (low, high, adjusted)), above in zip(ends.items(), (0, 0.05, 0, -0.05), strict=True):
        find(tested[domain], "polychromic", "lora").update(delta=(low + high) / 2, low=low, high=high, p_adjusted=adjusted)
        set_quality(tested[domain], above)
    compares = {domain: Compare.model_validate(values) for domain, values in tested.items()}
    assert sentences.summary([*compares.values()]) == (
        "At matched quality, the primary metric of Polychromic is higher than LoRA's on list questions and sentences from given words, "
        "and not distinguishable from LoRA's on social replies, and lower than LoRA's on Python functions."
        " On social replies, its pass@1 lies above LoRA's whole frontier: it is set beside the high end, which has less of it."
        " On Python functions, its pass@1 lies below LoRA's whole frontier: it is set beside the low end, which has more of it."
    )
    for domain, words in {"listqa": "", "replies": "above the peer's whole frontier", "code": "below the peer's whole frontier"}.items():
        text = sentences.comparison(compares[domain], sentences.gain(compares[domain]))
        assert ("frontier" in text) == bool(words) and words in text


def test_a_domain_at_its_floor_or_ceiling_is_named(tested: dict):
    text = lambda: sentences.task_range([Compare.model_validate(values) for values in tested.values()])
    assert "No domain is at its floor or ceiling" in text()
    for system in tested["code"]["systems"]:
        if system["label"] == "lora":
            system["metrics"]["pass@10"] |= {"mean": 0.97}
    assert "On Python functions it lies outside" in text()


# what it costs


@pytest.mark.parametrize(
    ("ratio", "low", "high", "expected"),
    [
        (1.3, 1.26, 1.34, "above the bound of 1.25 that we had set; the interval lies above it."),
        (1.2, 1.1, 1.24, "within the bound of 1.25 that we had set; the interval lies within it."),
        (1.2, 1.1, 1.3, "within the bound of 1.25 that we had set; the interval reaches to both sides of it."),
        (1.3, 1.2, 1.4, "above the bound of 1.25 that we had set; the interval reaches to both sides of it."),
    ],
)
def test_the_bound_is_judged_by_mean_and_interval(ratio, low, high, expected: str):
    variant = COST.variants["polychromic"].model_copy(update={"ratio_to_plain": ratio, "low": low, "high": high})
    cost = COST.model_copy(update={"variants": COST.variants | {"polychromic": variant}})
    assert sentences.bar(cost, "polychromic") == f"That is {expected}"
    assert sentences.step_cost(cost, "polychromic") == (
        f"A step of Polychromic takes {ratio:.2f} [{low:.2f}, {high:.2f}] times as long as one of the plain trainer and 1.37 times as long "
        "as one of LoRA in this trainer."
    )
    assert sentences.step_cost(cost, "absent") == "The step of absent was not measured."


def test_a_peer_with_more_steps_is_compared_with_what_both_cost(compares: dict):
    values = compares["listqa"]
    text = lambda: sentences.equal_cost(COST, Compare.model_validate(values))
    assert text() == "No peer with more steps was compared on this domain."
    row = find(values, "polychromic", "lora")
    values["contrasts"].append(row | {"b": "lora_long", "id": "another", "delta": 0.2, "low": 0.1, "high": 0.3, "p_adjusted": 0.01})
    assert text().startswith(
        "LoRA, more steps takes 1.25 times as long to train as LoRA, Polychromic 1.37 times. The valid distinct@10 of Polychromic is "
        "higher than that of LoRA, more steps at matched pass@1 ("
    )


def test_speed_and_variance_follow_the_intervals():
    sampler = timings.Sampler.model_validate(make_benchmarks()["sampler.json"])
    assert sentences.sampler_speed(sampler) == "It decodes 2.00 to 16.00 times the tokens per second of the library's own generation."
    text = sentences.gradient_variance(timings.GradientVariance.model_validate(VARIANCE))
    first = text.split(" At $N=8$")[0]
    assert "larger with set-shared (3.10) and smaller with marginal, less other prompts' mean (0.80)." in first
    assert "leave-one-out" not in first, "its interval holds 1"
    assert "wrong" not in first, "a biased estimate has another mean"
    rows = [row | {"low": 0.5, "high": 1.5} for row in VARIANCE["rows"]]
    text = sentences.gradient_variance(timings.GradientVariance.model_validate(VARIANCE | {"rows": rows}))
    assert text.count("not distinguishable with any other unbiased baseline") == 2
