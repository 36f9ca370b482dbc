"""Tables of what was measured once (polychromic.report.timings): steps, sampler, gradient variance, and whether intervals are right."""

from __future__ import annotations

from polychromic.report import labels
from polychromic.report.results import Compare
from polychromic.report.tables import DASH, row, small, tabular
from polychromic.report.timings import BASELINES, Designs, GradientVariance, Sampler, StepCost, Variant, variant_name

# Columns of the table: parts of a step's time. Encoding replies is a part of scoring them.
PARTS = {"prefill": ("prefill",), "decode": ("decode",), "score": ("encode", "score"), "backward": ("backward",), "other": ("other",)}
DESIGNS = {
    "percentile": "paired, percentile interval",
    "bca": "paired, BCa interval",
    "sign_flip": "paired, sign flips",
    "pooled": "samples as independent, $z$",
    "welch": "prompts unpaired, Welch",
    "mann_whitney": "prompts unpaired, Mann--Whitney",
    "seed_t": "$t$ over seeds, random seeds",
    "percentile_random": "percentile, random seeds",
}


def cost_table(cost: StepCost, compare: Compare) -> str:
    """One row per variant: rollouts, seconds of a mean step, its ratio to the plain trainer's, its gain, its time's parts in per cent.

    The gain is over LoRA, on the primary metric at matched quality, where that contrast was declared.
    """
    head = ["trainer", r"$\rho$", "$m$", "seconds", r"$\div$ plain [CI]", "gain [CI]", *PARTS]
    lines = [row(head), r"\midrule"]
    for name in cost.shown(compare):
        v = cost.variants[name]
        settings = [DASH if value is None else labels.plain(value) for value in (v.rho, v.every)]
        measured = [f"{v.mean_seconds:.3f}", f"{v.ratio_to_plain:.2f} [{v.low:.2f}, {v.high:.2f}]", gain(compare, name)]
        lines.append(row([variant_name(name), *settings, *measured, *_shares(v)]))
    return tabular("l" + "r" * (len(head) - 1), lines)


def _shares(v: Variant) -> list[str]:
    """Of the step's time, in per cent."""
    if v.part_seconds is None:
        return [DASH] * len(PARTS)
    return [f"{100 * sum(v.part_seconds[part] for part in parts) / v.mean_seconds:.0f}" for parts in PARTS.values()]


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
    """One row per baseline, a column per N: variance relative to the marginal contribution's, with its interval; a dagger: biased."""
    sizes = sorted({r.n for r in variance.rows})
    lines = [row(["baseline", *(f"$N={n}$" for n in sizes)]), r"\midrule"]
    present = {r.baseline for r in variance.rows}
    for name in [*(b for b in BASELINES if b in present), *sorted(present - BASELINES.keys())]:
        found = {r.n: r for r in variance.rows if r.baseline == name}
        title = labels.escape(BASELINES.get(name, name.replace("_", " "))) + r"$^{\dagger}$" * any(r.biased for r in found.values())
        cells = [f"{r.relative_to_marginal:.2f} {small(f'[{r.low:.2f}, {r.high:.2f}]')}" if (r := found.get(n)) else DASH for n in sizes]
        lines.append(row([title, *cells]))
    return tabular("l" + "r" * len(sizes), lines)


def designs_table(found: Designs) -> str:
    """A block per number of prompts, a row per design: coverage, false positives, power, in per cent with standard errors.

    Last, the coverage of the primary contrasts in experiments drawn from the prompts that were scored.
    """
    lines = [row(["prompts", "analysis", r"coverage (\%)", r"false positives (\%)", r"power (\%)"]), r"\midrule"]
    last = None
    for r in found.rows:
        lines += [r"\addlinespace"] * (last not in (None, r.prompts))
        cells = [_percent(r.coverage, r.coverage_se), _percent(r.false_positives, r.false_positives_se), _percent(r.power, r.power_se)]
        lines.append(row([str(r.prompts) if r.prompts != last else "", DESIGNS.get(r.design, r.design.replace("_", " ")), *cells]))
        last = r.prompts
    lines += [r"\midrule"] * bool(found.observed)
    for r in found.observed:
        rule = "matched quality" if r.rule == "matched" else "chosen temperatures"
        analysis = f"{labels.escape(labels.metric(r.metric).label)} of {labels.escape(r.domain)}, {rule}"
        lines.append(row([str(r.prompts), analysis, _percent(r.coverage, r.coverage_se), DASH, DASH]))
    return tabular("rlrrr", lines)


def _percent(value: float | None, se: float | None) -> str:
    return DASH if value is None or se is None else f"{100 * value:.1f} " + small(rf"$\pm$ {100 * se:.1f}")
