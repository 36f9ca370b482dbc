"""Are the intervals right? The table and numbers of benchmarks/results/calibration.json, which `make calibration` writes.

No file is read or written here, and nothing is computed but the extremes that the text names.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, FiniteFloat

from polychromic.report import labels
from polychromic.report.latex_rows import DASH, row, tabular
from polychromic.report.records import Number
from polychromic.report.selected import Frozen, Probability

SOURCE = "benchmarks/results/calibration.json"
NAMES = {
    "percentile": "paired, percentile interval",
    "bca": "paired, BCa interval",
    "sign_flip": "paired, sign flips",
    "pooled": "samples as independent, $z$",
    "welch": "prompts unpaired, Welch",
    "mann_whitney": "prompts unpaired, Mann--Whitney",
    "seed_t": "$t$ over seeds, random seeds",
    "percentile_random": "percentile, random seeds",
}


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
    """Coverage of the primary contrast of a domain in experiments drawn from its own prompts; `truth`: the contrast over all of them."""

    domain: str
    metric: str
    rule: str
    prompts: int
    truth: FiniteFloat
    coverage: Probability
    coverage_se: FiniteFloat


class Designs(Frozen):
    commit: str
    source: str
    runs: int
    seeds: int
    samples: int
    effect: FiniteFloat
    rows: Annotated[list[DesignRow], Field(min_length=1)]
    observed: list[Observed] = []


def designs_table(found: Designs) -> str:
    """A block per number of prompts, a row per design: coverage, false positives, power, in per cent with standard errors.

    Last, the coverage of the primary contrasts in experiments drawn from the prompts that were scored.
    """
    lines = [row(["prompts", "analysis", r"coverage (\%)", r"false positives (\%)", r"power (\%)"]), r"\midrule"]
    last = None
    for r in found.rows:
        if last not in (None, r.prompts):
            lines.append(r"\addlinespace")
        cells = [_percent(r.coverage, r.coverage_se), _percent(r.false_positives, r.false_positives_se), _percent(r.power, r.power_se)]
        lines.append(row([str(r.prompts) if r.prompts != last else "", NAMES.get(r.design, r.design.replace("_", " ")), *cells]))
        last = r.prompts
    if found.observed:
        lines.append(r"\midrule")
    for r in found.observed:
        rule = "matched quality" if r.rule == "matched" else "chosen temperatures"
        analysis = f"{labels.escape(labels.metric(r.metric).label)} of {labels.escape(r.domain)}, {rule}"
        lines.append(row([str(r.prompts), analysis, _percent(r.coverage, r.coverage_se), DASH, DASH]))
    return tabular("rlrrr", lines)


def _percent(value: float | None, se: float | None) -> str:
    return DASH if value is None or se is None else rf"{100 * value:.1f} {{\scriptsize $\pm$ {100 * se:.1f}}}"


def designs_numbers(found: Designs) -> list[Number]:
    """False positives are the test's, which the paper's verdicts need beside the interval.

    Keys designs.{runs,seeds,samples,effect,coverage.low,coverage.high,false_positives,pooled.false_positives,mde.<prompts>}."""
    ours = [r for r in found.rows if r.ours]
    pooled = [r.false_positives for r in found.rows if r.design == "pooled"]
    covered = [r.coverage for r in [*ours, *found.observed] if r.coverage is not None]
    share = lambda key, value: Number(f"designs.{key}", value, rf"{100 * value:.1f}\,\%", unit="%", source=SOURCE)
    numbers = [
        Number(f"designs.{key}", getattr(found, key), str(getattr(found, key)), source=SOURCE) for key in ("runs", "seeds", "samples")
    ]
    numbers += [
        share("effect", found.effect),
        share("coverage.low", min(covered)),
        share("coverage.high", max(covered)),
        share("false_positives", max(r.false_positives for r in ours if r.coverage is None)),
        share("pooled.false_positives", max(pooled)),
    ]
    for prompts, mde in dict.fromkeys((r.prompts, r.minimum_detectable_effect) for r in found.rows):
        numbers.append(Number(f"designs.mde.{prompts}", mde, f"{100 * mde:.1f} points", unit="points", n=prompts, source=SOURCE))
    largest, smallest_effect = max((r.prompts, r.minimum_detectable_effect) for r in found.rows)
    text = f"With {largest} prompts, a difference of {100 * smallest_effect:.1f} points is found with a probability of four in five."
    return [*numbers, Number("designs.sentence", None, text, source=SOURCE)]
