"""What was measured once and is committed: the files of benchmarks/results/ as typed objects.

`make bench` and `make calibration` write them; the pipeline only reads them, since a time depends on the machine. A ratio is a mean
step's seconds over that of another trainer, measured side by side.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, FiniteFloat

from polychromic.base.errors import PolychromicError
from polychromic.report import labels
from polychromic.report.choices import Frozen, Probability
from polychromic.report.results import About, Compare, Model, parse

FOLDER = Path("benchmarks/results")
Positive = Annotated[FiniteFloat, Field(gt=0)]
REFERENCES = ("plain", "lora")  # variants that others are divided by
NAMES = {"plain": "Trainer + PEFT", "lora": "LoRA (ours)", "naive": "Naive rollouts"}
BASELINES = {
    "marginal": "marginal contribution",
    "others": "marginal, less other prompts' mean",
    "running": "marginal, less a running mean",
    "mix": "marginal, less both means",
    "leave_one_out": "leave-one-out",
    "set": "set-shared",
}


class Variant(Frozen):
    """One trainer. ratio_to_plain has the 95 % bootstrap interval [low, high] over steps; part_seconds add to mean_seconds."""

    mean_seconds: Positive
    ratio_to_plain: Positive
    ratio_to_lora: Positive
    low: Positive
    high: Positive
    rho: FiniteFloat | None = None
    every: int | None = None
    part_seconds: dict[str, FiniteFloat] | None = None


class StepCost(Frozen):
    """step_cost-{domain}.json. Of its variants, plain is transformers.Trainer with PEFT, lora this package's trainer."""

    device: str
    threads: int
    domain: str
    batch_size: int
    precision: str
    steps: int
    variants: dict[str, Variant]

    def training(self, about: About) -> float | None:
        """Training cost of a method relative to `lora`, its number of steps included; None where it was not measured or does not train."""
        variant = self.variants.get(about.trains_like)
        return variant.ratio_to_lora * about.budget if variant and about.trained else None

    def shown(self, compare: Compare) -> list[str]:
        """Names of variants in printed order: the references, then by labels.rank what the domain has, and what is no method."""
        names = self.variants.keys() & {*compare.methods, *NAMES} - set(REFERENCES)
        return [*REFERENCES, *sorted(names, key=labels.rank)]


class SamplerRow(Frozen):
    """`ratio` is our sampler's tokens per second over those of transformers' generate."""

    prompts: int
    n: int
    horizon: int
    tokens_per_second: Positive
    generate_tokens_per_second: Positive
    ratio: Positive


class Sampler(Frozen):
    """sampler.json."""

    device: str
    rows: Annotated[list[SamplerRow], Field(min_length=1)]


class VarianceRow(Frozen):
    """Trace of the covariance of the gradient that a step estimates from a batch, relative to that of `marginal` at the same N."""

    n: int
    baseline: str
    relative_to_marginal: Positive
    low: Positive
    high: Positive
    biased: bool


class GradientVariance(Frozen):
    """gradient_variance.json."""

    device: str
    objective: str
    prompts: int
    draws: int
    rows: Annotated[list[VarianceRow], Field(min_length=1)]


class DesignRow(Frozen):
    """How often, over the simulated runs, an interval holds the truth and a test rejects; `_se` are Monte-Carlo standard errors."""

    prompts: int
    design: str
    ours: bool
    coverage: Probability | None
    coverage_se: FiniteFloat | None
    false_positives: Probability
    false_positives_se: FiniteFloat
    power: Probability
    power_se: FiniteFloat
    minimum_detectable_effect: FiniteFloat


class Observed(Frozen):
    """Coverage of the primary contrast of a domain in experiments drawn from its own prompts."""

    domain: str
    metric: str
    rule: str
    prompts: int
    coverage: Probability
    coverage_se: FiniteFloat


class Designs(Frozen):
    """calibration.json: are the intervals right?"""

    runs: int
    seeds: int
    samples: int
    effect: FiniteFloat
    rows: Annotated[list[DesignRow], Field(min_length=1)]
    observed: list[Observed] = []


def load(model: type[Model], path: Path) -> Model:
    """Read a benchmark file.

    Raises:
        PolychromicError: it does not exist, or lacks a variant that others are divided by.
        DataError: a field is missing or malformed.
    """
    if not path.exists():
        what, command = ("check of its intervals", "make calibration") if model is Designs else ("costs", "make bench")
        raise PolychromicError(f"{path}: file not found. The paper's {what} come from it; run `{command}`, which measures them.")
    found = parse(model, path)
    if isinstance(found, StepCost) and (missing := [name for name in REFERENCES if name not in found.variants]):
        raise PolychromicError(f"{path}: no variant {', '.join(missing)}. Every ratio needs it; run `make bench` again.")
    return found


def variant_name(name: str) -> str:
    return NAMES.get(name) or labels.system_name(name)
