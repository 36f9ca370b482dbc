"""Tables of benchmarks/results/ (steps, gradient variance, whether intervals are right) and of drafts beside people."""

from __future__ import annotations

from polychromic.report import labels
from polychromic.report.results import Fields
from polychromic.report.tables import DASH, row, small, tabular

VARIANTS = {"plain": "Trainer + PEFT", "lora": "LoRA (ours)", "naive": "Naive rollouts"}  # of a step, beside methods
# Columns of the table: parts of a step's time. Encoding replies is a part of scoring them.
PARTS = {"prefill": ("prefill",), "decode": ("decode",), "score": ("encode", "score"), "backward": ("backward",), "other": ("other",)}
BASELINES = {
    "marginal": "marginal contribution", "others": "marginal, less other prompts' mean", "running": "marginal, less a running mean",
    "mix": "marginal, less both means", "leave_one_out": "leave-one-out", "set": "set-shared",
}  # fmt: skip
DESIGNS = {
    "percentile": "paired, percentile interval", "bca": "paired, BCa interval", "sign_flip": "paired, sign flips",
    "pooled": "samples as independent, $z$", "welch": "prompts unpaired, Welch", "mann_whitney": "prompts unpaired, Mann--Whitney",
    "seed_t": "$t$ over seeds, random seeds", "percentile_random": "percentile, random seeds",
}  # fmt: skip


def cost_table(cost: Fields) -> str:
    """One row per variant: rollouts, seconds of a mean step, its ratio to the plain trainer's, its time's parts in per cent."""
    head, lines = ["trainer", r"$\rho$", "$m$", "seconds", r"$\div$ plain [CI]", *PARTS], []
    for name in ("plain", "lora", *sorted(cost.variants.keys() - {"plain", "lora"}, key=labels.rank)):
        v = cost.variants[name]
        settings = [DASH if value is None else labels.plain(value) for value in (v.rho, v.every)]
        shares = [DASH] * len(PARTS)
        if v.part_seconds is not None:
            shares = [f"{100 * sum(v.part_seconds[part] for part in parts) / v.mean_seconds:.0f}" for parts in PARTS.values()]
        measured = [f"{v.mean_seconds:.3f}", f"{v.ratio_to_plain:.2f} [{v.low:.2f}, {v.high:.2f}]"]
        lines.append(row([VARIANTS.get(name) or labels.system_name(name), *settings, *measured, *shares]))
    return tabular("l" + "r" * (len(head) - 1), lines, head)


def variance_table(variance: Fields) -> str:
    """One row per baseline, a column per N: the trace of the covariance of a step's gradient, relative to that with the marginal
    contribution at the same N, with its interval; a dagger: biased."""
    sizes, lines = sorted({r.n for r in variance.rows}), []
    present = {r.baseline for r in variance.rows}
    for name in [*(b for b in BASELINES if b in present), *sorted(present - BASELINES.keys())]:
        found = {r.n: r for r in variance.rows if r.baseline == name}
        title = labels.escape(BASELINES.get(name, name.replace("_", " "))) + r"$^{\dagger}$" * any(r.biased for r in found.values())
        cells = [f"{r.relative_to_marginal:.2f} {small(f'[{r.low:.2f}, {r.high:.2f}]')}" if (r := found.get(n)) else DASH for n in sizes]
        lines.append(row([title, *cells]))
    return tabular("l" + "r" * len(sizes), lines, ["baseline", *(f"$N={n}$" for n in sizes)])


def designs_table(found: Fields) -> str:
    """A block per number of prompts, a row per design: how often an interval holds the truth, and how often a test rejects where there is
    nothing and where there is something, in per cent with Monte-Carlo standard errors.

    Last, the coverage of the primary contrasts in experiments drawn from the prompts that were scored.
    """
    lines, last = [], None
    for r in found.rows:
        lines += [r"\addlinespace"] * (last not in (None, r.prompts))
        cells = [_percent(r[name], r[f"{name}_se"]) for name in ("coverage", "false_positives", "power")]
        lines.append(row([str(r.prompts) if r.prompts != last else "", DESIGNS.get(r.design, r.design.replace("_", " ")), *cells]))
        last = r.prompts
    lines += [r"\midrule"] * bool(found.observed)
    for r in found.observed:
        rule = "matched quality" if r.rule == "matched" else "chosen temperatures"
        analysis = f"{labels.escape(labels.metric(r.metric).label)} of {labels.escape(r.domain)}, {rule}"
        lines.append(row([str(r.prompts), analysis, _percent(r.coverage, r.coverage_se), DASH, DASH]))
    return tabular("rlrrr", lines, ["prompts", "analysis", r"coverage (\%)", r"false positives (\%)", r"power (\%)"])


def _percent(value: float | None, se: float | None) -> str:
    return DASH if value is None else f"{100 * value:.1f} " + small(rf"$\pm$ {100 * se:.1f}")


def people_table(found: Fields) -> str:
    """R, and the highest k's share of people matched and of messages on which some held-out person is matched, each with its floor (the
    same drafts at other messages), a row per system; people's own replies last: the ceiling."""

    def matched(of: Fields) -> list[str]:
        cells = []
        for own, floor in ((of[name][-1], of.floor[name][-1]) for name in ("human_recall", "pass")):
            cells += [f"{100 * own.value:.1f} {small(labels.bracketed(own.low, own.high, percent=True))}", f"{100 * floor.value:.1f}"]
        return cells

    lines = []
    for label in sorted(found.systems, key=labels.rank):
        s, r = found.systems[label], found.systems[label].ratio
        lines.append(row([labels.system_name(label), f"{r.value:.2f} {small(labels.bracketed(r.low, r.high))}", *matched(s)]))
    lines += [r"\midrule", row(["people", "1", *matched(found.people)])]
    k = found.drafts
    return tabular("lrrrrr", lines, ["", "$R$", rf"human recall@{k} (\%)", "floor", rf"any match@{k} (\%)", "floor"])
