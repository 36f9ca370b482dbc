"""What training costs: the files of benchmarks/results/ as typed objects, and their tables.

`make bench` measures and writes them; the pipeline only reads them, since a time depends on the machine. A ratio is a
mean step's seconds over that of another trainer, measured side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, FiniteFloat

from polychromic.base.errors import PolychromicError
from polychromic.report import labels
from polychromic.report.latex_rows import DASH, row, tabular
from polychromic.report.results import About, Compare, Model, parse
from polychromic.report.selected import Frozen

Positive = Annotated[FiniteFloat, Field(gt=0)]
# Columns of the table: parts of a step's time. Encoding replies is a part of scoring them.
PARTS = {"prefill": ("prefill",), "decode": ("decode",), "score": ("encode", "score"), "backward": ("backward",), "other": ("other",)}
REFERENCES = ("plain", "lora")  # variants that others are divided by
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
    reuse: int | None = None
    part_seconds: dict[str, FiniteFloat] | None = None


class StepCost(Frozen):
    """benchmarks/results/step_cost-{domain}.json. Of its variants, plain is transformers.Trainer with PEFT, lora this package's trainer."""

    device: str
    threads: int
    commit: str
    domain: str
    batch_size: int
    n: int
    horizon: int
    precision: str
    steps: int
    variants: dict[str, Variant]

    def training(self, about: About) -> float | None:
        """Training cost of a method relative to `lora`, its number of steps included; None where it was not measured or does not train."""
        variant = self.variants.get(about.trains_like)
        return variant.ratio_to_lora * about.budget if variant and about.trained else None


class SamplerRow(Frozen):
    """`ratio` is our sampler's tokens per second over those of transformers' generate."""

    prompts: int
    n: int
    horizon: int
    tokens_per_second: Positive
    generate_tokens_per_second: Positive
    ratio: Positive


class Sampler(Frozen):
    device: str
    commit: str
    rows: Annotated[list[SamplerRow], Field(min_length=1)]


class VarianceRow(Frozen):
    """Trace of the covariance of the gradient that a step estimates from a batch, relative to that of `marginal` at the same N."""

    n: int
    baseline: str
    trace_variance: Positive
    relative_to_marginal: Positive
    low: Positive
    high: Positive
    biased: bool


class GradientVariance(Frozen):
    device: str
    commit: str
    objective: str
    prompts: int
    draws: int
    rows: Annotated[list[VarianceRow], Field(min_length=1)]


def load(model: type[Model], path: Path) -> Model:
    """Read a benchmark file.

    Raises:
        PolychromicError: it does not exist, or lacks a variant that others are divided by.
        DataError: a field is missing or malformed.
    """
    if not path.exists():
        raise PolychromicError(f"{path}: file not found. The paper's costs come from it; run `make bench`, which measures them.")
    found = parse(model, path)
    if isinstance(found, StepCost) and (missing := [name for name in REFERENCES if name not in found.variants]):
        raise PolychromicError(f"{path}: no variant {', '.join(missing)}. Every ratio needs it; run `make bench` again.")
    return found


def variants(cost: StepCost) -> list[str]:
    """Names in printed order: the references first, then as labels.rank has them."""
    return [*REFERENCES, *sorted(cost.variants.keys() - set(REFERENCES), key=labels.rank)]


def variant_name(name: str) -> str:
    return {"plain": "Trainer + PEFT", "lora": "LoRA (ours)", "naive": "Naive rollouts"}.get(name) or labels.system_name(name)


def cost_table(cost: StepCost, compare: Compare) -> str:
    """One row per variant: rollouts, seconds of a mean step, its ratio to the plain trainer's, its gain, its time's parts in per cent.

    The gain is over LoRA, on the primary metric at matched quality, where that contrast was declared.
    """
    head = ["trainer", r"$\rho$", "$m$", "$K$", "seconds", r"$\div$ plain [CI]", "gain [CI]", *PARTS]
    lines = [row(head), r"\midrule"]
    for name in variants(cost):
        v = cost.variants[name]
        settings = [DASH if value is None else labels.plain(value) for value in (v.rho, v.every, v.reuse)]
        measured = [f"{v.mean_seconds:.3f}", f"{v.ratio_to_plain:.2f} [{v.low:.2f}, {v.high:.2f}]", gain(compare, name)]
        shares = [_share(v, parts) for parts in PARTS.values()]
        lines.append(row([variant_name(name), *settings, *measured, *shares]))
    return tabular("l" + "r" * (len(head) - 1), lines)


def _share(v: Variant, parts: Sequence[str]) -> str:
    """Of the step's time, in per cent."""
    if v.part_seconds is None:
        return DASH
    return f"{100 * sum(v.part_seconds[part] for part in parts) / v.mean_seconds:.0f}"


def gain(compare: Compare, name: str) -> str:
    """A method minus LoRA on the primary metric at matched quality, with its interval; a dash where that was not compared."""
    for c in compare.contrasts:
        if (c.a, c.b, c.metric, c.rule) == (name, "lora", compare.primary, "matched"):
            return f"{labels.format_value(c.metric, c.delta, sign=True)} {labels.format_interval(c.metric, c.low, c.high, sign=True)}"
    return DASH


def sampler_table(sampler: Sampler) -> str:
    """Tokens per second of the shared-prefix sampler and of generate."""
    lines = [row(["prompts", "$N$", "horizon", "tokens/s", "generate, tokens/s", "ratio"]), r"\midrule"]
    for r in sampler.rows:
        speeds = [f"{r.tokens_per_second:.0f}", f"{r.generate_tokens_per_second:.0f}", f"{r.ratio:.2f}"]
        lines.append(row([str(r.prompts), str(r.n), str(r.horizon), *speeds]))
    return tabular("rrrrrr", lines)


def variance_table(variance: GradientVariance) -> str:
    """One row per baseline, a column per N: variance relative to the marginal contribution's, with its interval."""
    sizes = sorted({r.n for r in variance.rows})
    lines = [row(["baseline", *(f"$N={n}$" for n in sizes)]), r"\midrule"]
    present = {r.baseline for r in variance.rows}
    for name in [*(b for b in BASELINES if b in present), *sorted(present - BASELINES.keys())]:
        found = {r.n: r for r in variance.rows if r.baseline == name}
        title = labels.escape(BASELINES.get(name, name.replace("_", " ")))
        title += r"$^{\dagger}$" if any(r.biased for r in found.values()) else ""
        cells = [
            f"{r.relative_to_marginal:.2f} {{\\scriptsize [{r.low:.2f}, {r.high:.2f}]}}" if (r := found.get(n)) else DASH for n in sizes
        ]
        lines.append(row([title, *cells]))
    return tabular("l" + "r" * len(sizes), lines)


class Relative(Frozen):
    """Training cost as a multiple of the plain trainer's for LoRA's number of steps, with its interval over steps."""

    mean: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat


def relative(cost: StepCost, compare: Compare) -> dict[str, Relative]:
    """Label -> cost of each trained method whose step was measured; more steps count as more cost."""
    found = {}
    for label in compare.method_labels():
        about = compare.methods[label]
        v = cost.variants.get(about.trains_like)
        if v and about.trained:
            found[label] = Relative(mean=about.budget * v.ratio_to_plain, low=about.budget * v.low, high=about.budget * v.high)
    return found
