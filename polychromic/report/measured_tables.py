"""Tables of benchmarks/results/ (steps, gradient variance, whether intervals are right, an earlier opening) and of drafts beside people."""

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
SHAPES = {"same": "the same curves", "stretched": "one front from other temperatures", "itself": "one system against itself"}


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
    """A block per domain whose spreads were simulated, a row per pair of fronts, seeds and prompts: how often the interval of the paper
    holds the true gap, how often it finds one where there is none, beside the normal interval that takes no account of how few seeds there
    are; the gap that is found four times out of five. Per cent with Monte-Carlo standard errors."""
    lines: list[str] = []
    for domain in dict.fromkeys(r.domain for r in found.rows):
        lines += [r"\addlinespace"] * bool(lines)
        lines.append(rf"\multicolumn{{7}}{{@{{}}l}}{{\emph{{Spreads of {labels.DOMAINS.get(domain, domain)}}}}}\\*")
        for r in (r for r in found.rows if r.domain == domain):
            rates = [_percent(r.rules[rule][name], r.rules[rule][f"{name}_se"]) for rule in ("ours", "normal")
                     for name in ("coverage", "false_positives")]  # fmt: skip
            lines.append(row([SHAPES.get(r["shape"], r["shape"]), str(r.seeds), str(r.prompts), *rates[:3], f"{r.detectable:.2f}"]))
    head = ["", "seeds", "prompts", r"coverage (\%)", r"false positives (\%)", r"normal: coverage (\%)", "detectable"]
    return tabular("lrrrrrr", lines, head)


def opening_table(found: Fields) -> str:
    """What an earlier opening of test said, a block per domain, a row per primary contrast: what was expected before it, beside the
    difference with its interval, the adjusted p, and how many seeds and prompts."""
    lines: list[str] = []
    for domain in dict.fromkeys(r.domain for r in found.rows):
        rows = [r for r in found.rows if r.domain == domain]
        lines += [r"\addlinespace"] * bool(lines)
        about = f"{labels.DOMAINS.get(domain, domain).capitalize()}, {labels.metric(rows[0].metric).label}"
        lines.append(rf"\multicolumn{{6}}{{@{{}}l}}{{\emph{{{labels.escape(about)}}}}}\\*")
        for r in rows:
            delta = f"{labels.format_value(r.metric, r.delta, sign=True)} {labels.format_interval(r.metric, r.low, r.high, sign=True)}"
            pair = f"{labels.system_name(r.a)} $-$ {labels.system_name(r.b)}"
            p = rf"\ensuremath{{{labels.format_p(r.p_adjusted)}}}"
            lines.append(row([pair, labels.escape(r.expected), delta, p, str(len(r.seeds)), str(r.n_prompts)]))
    return tabular("llrrrr", lines, ["contrast, matched", "expected before", "found [CI]", "adjusted $p$", "seeds", "prompts"])


def _percent(value: float, se: float) -> str:
    return f"{100 * value:.1f} " + small(rf"$\pm$ {100 * se:.1f}")


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
