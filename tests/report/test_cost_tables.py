"""Tables of what was measured, against the synthetic benchmark files."""

from polychromic.report import cost_tables, timings
from polychromic.report.results import Compare
from tests.report.synthetic import make_benchmarks, make_designs

FILES = make_benchmarks()
COST = timings.StepCost.model_validate(FILES["step_cost-listqa.json"])


def test_cost_table_starts_with_the_references_and_has_the_gain_beside_the_cost(compare: Compare):
    (contrast,) = [c for c in compare.contrasts if (c.a, c.b, c.rule) == ("polychromic", "lora", "matched")]
    gain = f"+{contrast.delta:.2f} [{contrast.low:+.2f}, {contrast.high:+.2f}]".replace("[-", r"[\ensuremath{-}")
    assert cost_tables.gain(compare, "polychromic") == gain
    lines = cost_tables.cost_table(COST, compare).split(r"\midrule")[1].strip().splitlines()
    assert lines[0] == r"Trainer + PEFT & -- & -- & 0.500 & 1.00 [0.96, 1.04] & -- & -- & -- & -- & -- & -- \\"
    assert [line.split(" & ")[0] for line in lines[1:4]] == ["LoRA (ours)", "Rejection-sampled", "Polychromic, quarter"]
    assert rf"Polychromic & 0.5 & 1 & 0.650 & 1.30 [1.26, 1.34] & {gain} & 10 & 30 & 5 & 45 & 10 \\" in lines


def test_sampler_table():
    sampler = timings.Sampler.model_validate(FILES["sampler.json"])
    assert r"8 & 4 & 10 & 800 & 50 & 16.00 \\" in cost_tables.sampler_table(sampler)


def test_variance_table_has_a_column_per_size_and_marks_bias():
    text = cost_tables.variance_table(timings.GradientVariance.model_validate(FILES["gradient_variance.json"]))
    assert r"baseline & $N=4$ & $N=8$ \\" in text
    assert r"set-shared & 3.10 {\scriptsize [3.05, 3.15]} & 3.10 {\scriptsize [3.05, 3.15]} \\" in text
    assert text.index("marginal contribution") < text.index("set-shared") < text.index(r"wrong$^{\dagger}$")


def test_designs_table():
    rows = cost_tables.designs_table(timings.Designs.model_validate(make_designs())).splitlines()
    assert r" & samples as independent, $z$ & -- & 41.0 {\scriptsize $\pm$ 1.1} & 60.0 {\scriptsize $\pm$ 1.1} \\" in rows
    assert sum(line.startswith("60 & ") for line in rows) == sum(line.startswith("300 & ") for line in rows) == 1
    assert r"141 & valid distinct@10 of listqa, matched quality & 96.2 {\scriptsize $\pm$ 0.5} & -- & -- \\" in rows
