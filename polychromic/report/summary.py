"""The four baselines over all domains: one table, and what may be said of them together. No statistics of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from polychromic.report import labels
from polychromic.report.choices import beyond, comparison
from polychromic.report.latex_rows import DASH, row, tabular
from polychromic.report.records import Number, unique, verdict
from polychromic.report.results import Contrast, Results

FLOOR, CEILING = 0.05, 0.95  # of LoRA's pass@10: outside, the tasks and not the methods decide
BASELINES = ("zero_shot", "few_shot", "lora")


def gain(compare: Results) -> Contrast:
    """The headline against LoRA: the primary metric at matched quality."""
    return compare.contrast(compare.headline, "lora", compare.primary, ("matched",))


def summary_table(compares: Sequence[Results]) -> str:
    """Per domain its four baselines at their chosen temperature, and the headline's gain over LoRA at matched quality."""
    lines = [row(["", "$T$", r"pass@1 (\%)", r"pass@10 (\%)", "primary metric", r"$\Delta$ to LoRA, matched", r"$p_{\mathrm{adj}}$"])]
    for compare in compares:
        name = labels.DOMAINS.get(compare.domain, compare.domain)
        contrast, n_prompts = gain(compare), compare.chosen("lora").n_prompts
        seeds = len(compare.chosen(compare.headline).seeds)
        primary = labels.escape(labels.metric(compare.primary).label)
        head = f"{name[0].upper()}{name[1:]}: {primary}, {n_prompts} prompts, {seeds} seeds"
        lines += [r"\midrule", rf"\multicolumn{{7}}{{@{{}}l}}{{\emph{{{head}}}}}\\*"]
        for label in (*BASELINES, compare.headline):
            system = compare.chosen(label)
            shown = [
                f"{labels.format_value(metric, e.mean)} {{\\scriptsize {labels.format_interval(metric, e.low, e.high)}}}"
                for metric in ("pass@1", "pass@10", compare.primary)
                for e in [system.metrics[metric]]
            ]
            effect = [DASH, DASH]
            if label == compare.headline:
                delta = labels.format_value(contrast.metric, contrast.delta, sign=True)
                delta = rf"\textbf{{{delta}}}" if contrast.significant else delta
                interval = labels.format_interval(contrast.metric, contrast.low, contrast.high, sign=True)
                adjusted = DASH if contrast.p_adjusted is None else labels.format_p(contrast.p_adjusted)
                effect = [f"{delta} {{\\scriptsize {interval}}}", adjusted]
            lines.append(row([labels.system_name(label), labels.plain(system.temperature), *shown, *effect]))
    return tabular("lrrrrrr", lines)


def summary_numbers(compares: Sequence[Results]) -> list[Number]:
    """ "summary.domains.count", "summary.sentence" (where the headline gains over LoRA), "summary.range.sentence" (is LoRA's pass@10
    away from floor and ceiling), "summary.<domain>.sentence"."""
    return unique(_numbers(compares))


def _numbers(compares: Sequence[Results]) -> Iterator[Number]:
    source = "; ".join(f"results/{compare.domain}/{compare.file}" for compare in compares)
    yield Number("summary.domains.count", len(compares), str(len(compares)), source="params.yaml#domains")
    claims: dict[str, list[str]] = {}
    caveats: dict[str, list[str]] = {}
    for compare in compares:
        contrast = gain(compare)
        name = labels.DOMAINS.get(compare.domain, compare.domain)
        claims.setdefault(verdict(contrast), []).append(name)
        if side := beyond(compare, contrast):
            caveats.setdefault(f"its {labels.metric(compare.quality).label} lies {side.format(peer='LoRA')}", []).append(name)
        where = f"results/{compare.domain}/{compare.file}#contrasts/{contrast.id}"
        yield Number(f"summary.{compare.domain}.sentence", None, comparison(compare, contrast), split=compare.split, source=where)
    parts = [f"{claim} LoRA's on {_listed(names)}" for claim, names in claims.items()]
    text = f"At matched quality, the primary metric of Polychromic is {', and '.join(parts)}."
    text += "".join(f" On {_listed(names)}, {caveat}." for caveat, names in caveats.items())
    yield Number("summary.sentence", None, text, source=source)
    shares = {labels.DOMAINS.get(c.domain, c.domain): c.chosen("lora").metrics["pass@10"].mean for c in compares}
    low, high = (labels.format_value("pass@10", value, unit=True) for value in (min(shares.values()), max(shares.values())))
    outside = [name for name, value in shares.items() if not FLOOR < value < CEILING]
    bounds = [labels.format_value("pass@10", value, unit=True) for value in (FLOOR, CEILING)]
    text = f"At its chosen temperature, LoRA's pass@10 lies between {low} and {high} over the domains. "
    text += (
        f"On {_listed(outside)} it lies outside {bounds[0]} to {bounds[1]}, where tasks more than methods decide."
        if outside
        else f"No domain is at its floor or ceiling ({bounds[0]}, {bounds[1]})."
    )
    yield Number("summary.range.sentence", None, text, source=source)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
