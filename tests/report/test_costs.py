"""Cost tables and sentences against the synthetic benchmark files."""

from pathlib import Path

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import write_json
from polychromic.report import costs
from polychromic.report.cost_numbers import cost_numbers, equal_cost_numbers, headline_numbers
from polychromic.report.results import About, Compare
from tests.report.synthetic import make_benchmarks, make_compare

FILES = make_benchmarks()
COST = costs.StepCost.model_validate(FILES["step_cost-listqa.json"])
SAMPLER = costs.Sampler.model_validate(FILES["sampler.json"])
VARIANCE = costs.GradientVariance.model_validate(FILES["gradient_variance.json"])


def texts(headline: str = "polychromic", variance: costs.GradientVariance = VARIANCE) -> dict[str, str]:
    return {record.key: record.text for record in cost_numbers(COST, SAMPLER, variance, headline)}


def about(**changes) -> About:
    return About(**({"ours": False, "sees_checker": False, "trained": True, "budget": 1.0, "trains_like": "polychromic"} | changes))


def test_training_cost_is_relative_to_lora_and_counts_steps():
    assert COST.training(about(trains_like="lora")) == 1.0
    assert COST.training(about(trains_like="lora", budget=1.25)) == 1.25
    assert COST.training(about()) == pytest.approx(1.3 / 0.95)
    assert COST.training(about(trains_like="not_measured")) is None
    assert COST.training(about(trains_like="lora", trained=False)) is None


def test_cost_table_starts_with_the_references_and_has_the_gain_beside_the_cost():
    compare = Compare.model_validate(make_compare("listqa"))
    (contrast,) = [c for c in compare.contrasts if (c.a, c.b, c.rule) == ("polychromic", "lora", "matched")]
    gain = f"+{contrast.delta:.2f} [{contrast.low:+.2f}, {contrast.high:+.2f}]".replace("[-", r"[\ensuremath{-}")
    assert costs.gain(compare, "polychromic") == gain
    lines = costs.cost_table(COST, compare).split(r"\midrule")[1].strip().splitlines()
    assert lines[0] == r"Trainer + PEFT & -- & -- & -- & 0.500 & 1.00 [0.96, 1.04] & -- & -- & -- & -- & -- & -- \\"
    assert [line.split(" & ")[0] for line in lines[1:4]] == ["LoRA (ours)", "Rejection-sampled", "Polychromic, quarter"]
    assert rf"Polychromic & 0.5 & 1 & 1 & 0.650 & 1.30 [1.26, 1.34] & {gain} & 10 & 30 & 5 & 45 & 10 \\" in lines


def test_a_peer_with_more_steps_is_compared_with_what_both_cost():
    document = make_compare("listqa")
    (row,) = [c for c in document["contrasts"] if (c["a"], c["b"], c["rule"]) == ("polychromic", "lora", "matched")]
    (found,) = equal_cost_numbers(COST, Compare.model_validate(document))
    assert (found.key, found.text) == ("listqa.equal_cost.sentence", "No peer with more steps was compared on this domain.")
    document["contrasts"].append(row | {"b": "lora_long", "id": "another", "delta": 0.2, "low": 0.1, "high": 0.3, "p_adjusted": 0.01})
    (found,) = equal_cost_numbers(COST, Compare.model_validate(document))
    assert found.text.startswith(
        "LoRA, more steps takes 1.25 times as long to train as LoRA, Polychromic 1.37 times. The valid distinct@10 of Polychromic is "
        "higher than that of LoRA, more steps at matched pass@1 ("
    )


def test_sampler_table():
    assert r"8 & 4 & 10 & 800 & 50 & 16.00 \\" in costs.sampler_table(SAMPLER)


def test_variance_table_has_a_column_per_size_and_marks_bias():
    text = costs.variance_table(VARIANCE)
    assert r"baseline & $N=4$ & $N=8$ \\" in text
    assert r"set-shared & 3.10 {\scriptsize [3.05, 3.15]} & 3.10 {\scriptsize [3.05, 3.15]} \\" in text
    assert text.index("marginal contribution") < text.index("set-shared") < text.index(r"wrong$^{\dagger}$")


def test_sentences_follow_the_intervals():
    found = texts()
    assert found["cost.headline.sentence"] == (
        "A step of Polychromic takes 1.30 [1.26, 1.34] times as long as one of the plain trainer and 1.37 times as long as one of LoRA "
        "in this trainer."
    )
    assert found["cost.bar.sentence"] == ("That is above the bound of 1.25 that we had set; the interval lies above it.")
    assert texts("absent")["cost.headline.sentence"] == "The step of absent was not measured."
    assert found["sampler.sentence"] == "It decodes 2.00 to 16.00 times the tokens per second of the library's own generation."
    first = found["gradient.sentence"].split(" At $N=8$")[0]
    assert "larger with set-shared (3.10) and smaller with marginal, less other prompts' mean (0.80)." in first
    assert "leave-one-out" not in first, "its interval holds 1"
    assert "wrong" not in first, "a biased estimate has another mean"
    assert found["gradient.others.n4.ci"] == "[0.75, 0.85]" and found["cost.device"] == r"a CPU\_with \& marks"


@pytest.mark.parametrize(
    ("ratio", "low", "high", "said"),
    [
        (1.2, 1.1, 1.24, "within the bound of 1.25 that we had set; the interval lies within it."),
        (1.2, 1.1, 1.3, "within the bound of 1.25 that we had set; the interval reaches to both sides of it."),
        (1.3, 1.2, 1.4, "above the bound of 1.25 that we had set; the interval reaches to both sides of it."),
    ],
)
def test_the_bound_is_judged_by_mean_and_interval(ratio, low, high, said):
    variant = COST.variants["polychromic"].model_copy(update={"ratio_to_plain": ratio, "low": low, "high": high})
    cost = COST.model_copy(update={"variants": COST.variants | {"polychromic": variant}})
    found = {record.key: record.text for record in headline_numbers(cost, "polychromic", "replies.cost")}
    assert found["replies.cost.bar.sentence"] == f"That is {said}"


def test_no_difference_is_said_as_such():
    rows = [row | {"low": 0.5, "high": 1.5} for row in FILES["gradient_variance.json"]["rows"]]
    variance = costs.GradientVariance.model_validate(FILES["gradient_variance.json"] | {"rows": rows})
    assert texts(variance=variance)["gradient.sentence"].count("not distinguishable with any other unbiased baseline") == 2


@pytest.mark.parametrize("name", ["plain", "lora"])
def test_a_file_without_a_reference_is_refused(tmp_path: Path, name: str):
    document = FILES["step_cost-listqa.json"]
    write_json(tmp_path / "cost.json", document | {"variants": {k: v for k, v in document["variants"].items() if k != name}})
    with pytest.raises(PolychromicError, match=f"no variant {name}.*make bench"):
        costs.load(costs.StepCost, tmp_path / "cost.json")


def test_a_malformed_file_names_the_field(tmp_path: Path):
    write_json(tmp_path / "sampler.json", FILES["sampler.json"] | {"rows": []})
    with pytest.raises(DataError, match=r"sampler\.json: rows: "):
        costs.load(costs.Sampler, tmp_path / "sampler.json")
