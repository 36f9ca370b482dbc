"""booktabs tables from compare.json and params.yaml; each function returns LaTeX text and touches no file.

Captions stand in paper/main.tex (with n, seeds and split from numbers.py); here is only what lies between the rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polychromic.report import labels
from polychromic.report.costs import StepCost
from polychromic.report.latex_rows import DASH, longtable, row, stacked, tabular
from polychromic.report.results import Compare, Contrast, Estimate, System


def systems_table(compare: Compare) -> str:
    r"""The body's metrics as rows, methods at their chosen temperature as columns, each cell mean and 95 % interval.

    Bold: better than LoRA, adjusted p < ALPHA and an interval without zero (rule "chosen"). A dagger: worse, by the same test.
    """
    return _by_metric(compare, body=True)


def metrics_table(compare: Compare) -> str:
    """All other metrics, laid out as in `systems_table`; for the appendix."""
    return _by_metric(compare, body=False)


def _by_metric(compare: Compare, body: bool) -> str:
    systems = [compare.chosen(label) for label in compare.main_labels()]
    head = [""] + [stacked(labels.system_name(system.label)) for system in systems]
    temperatures = ["temperature"] + [labels.plain(system.temperature) for system in systems]
    lines = [row(head), row(temperatures), r"\midrule"]
    for name in _metric_order(compare, systems, body):
        title = _title(name, star=name == compare.primary)
        found = [system.metrics.get(name) for system in systems]
        lines.append(row([title, *(_mean(name, e, _mark(compare, s, name)) for s, e in zip(systems, found, strict=True))]) + r"[-0.2em]")
        lines.append(row(["", *(_ci(name, e) for e in found)]) + r"[0.15em]")
    return tabular("l" + "r" * len(systems), lines)


def systems_markdown(compare: Compare) -> str:
    """The README's table: methods as rows at their chosen temperature, the metrics that decide as columns, mean and interval."""
    wanted = (compare.primary, compare.quality, "pass@10", "semantic_diversity", "tokens")
    systems = [compare.chosen(label) for label in compare.main_labels()]
    columns = [name for name in dict.fromkeys(wanted) if name in systems[0].metrics]
    titles = [labels.title(name) for name in columns]
    lines = ["| method | temperature | " + " | ".join(titles) + " |", "|---|---|" + "---|" * len(columns)]
    for system in systems:
        found = [(name, system.metrics[name]) for name in columns]
        cells = [labels.plain_interval(name, estimate.mean, estimate.low, estimate.high) for name, estimate in found]
        lines.append(f"| {labels.system_name(system.label, math=False)} | {system.temperature:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def peers_table(compare: Compare, cost: StepCost | None) -> str:
    """Every method at its chosen temperature, in groups; a star marks the best peer of dev. Bold and dagger as in `systems_table`.

    Args:
        cost: of this domain's training steps; None prints dashes.
    """
    columns = (compare.quality, compare.primary, "objective")
    lines = [row(["method", "$T$", *(_title(name) for name in columns), "area", "cost", "seeds"]), r"\midrule"]
    best = set(compare.selection.best.values())
    for number, (group, members) in enumerate(compare.grouped_labels()):
        lines += [r"\addlinespace"] * (number > 0) + [rf"\multicolumn{{{len(columns) + 5}}}{{@{{}}l}}{{\emph{{{group}}}}}\\*"]
        for label in members:
            system = compare.chosen(label)
            spent = cost.training(compare.methods[label]) if cost else None
            name = labels.system_name(label) + ("$^{*}$" if label in best else "")
            cells = [_mean(c, e := system.metrics[c], _mark(compare, system, c), _ci(c, e)) for c in columns]
            area = f"{compare.frontiers[label].hypervolume:.3f}"
            spent_text = DASH if spent is None else f"{spent:.2f}"
            lines.append(row([name, labels.plain(system.temperature), *cells, area, spent_text, str(len(system.seeds))]))
    return tabular("lr" + "r" * len(columns) + "rrr", lines)


def tries_table(compare: Compare) -> str:
    """Every system that was scored on dev, as a longtable: methods in printed order, then λ, then temperature."""
    head = row(["method", r"$\lambda$", "$T$", "seeds", *(_title(name) for name in (compare.quality, compare.primary, "objective"))])
    order = lambda t: (labels.rank(t.method), t.lam or 0.0, t.temperature)
    lines = []
    for t in sorted(compare.selection.tries, key=order):
        values = ((compare.quality, t.quality), (compare.primary, t.primary), ("objective", t.objective))
        cells = [
            labels.system_name(t.method),
            DASH if t.lam is None else labels.plain(t.lam),
            labels.plain(t.temperature),
            str(len(t.seeds)),
        ]
        lines.append(row([*cells, *(labels.format_value(name, value) for name, value in values)]))
    return longtable("lrrrrrr", head, lines)


def lambda_table(compare: Compare) -> str:
    r"""One row per λ, `lora` as λ = 0; a star marks the headline's λ, a dagger the largest within the margin of validation cross-entropy.

    Left: what dev says after training. Right: metrics at one temperature that all rows share, with intervals.
    """
    grid = {weight.label: weight for weight in compare.selection.grid.rows}
    columns = (compare.quality, compare.primary)
    head = [r"$\lambda$", "validation CE", "KL to base", "tokens", "$D$ at $T=1$", *(_title(name) for name in columns)]
    lines = [row(head), r"\midrule"]
    for system in compare.lambda_rows():
        if (weight := grid.get(system.label)) is None:
            continue  # a cell at 0 is LoRA once more
        marks = "*" * (weight.lam == compare.selection.grid.headline) + r"\dagger" * (weight.lam == compare.selection.grid.recommended)
        lam = ("0 (LoRA)" if system.label == "lora" else labels.plain(weight.lam)) + (rf"$^{{{marks}}}$" if marks else "")
        objective = DASH if weight.objective is None else labels.format_value("objective", weight.objective)
        after = [f"{weight.validation_ce:.3f}", f"{weight.kl_to_base:.2f}", f"{weight.reply_tokens:.1f}", objective]
        lines.append(row([lam, *after, *(_mean(name, e := system.metrics[name], "", _ci(name, e)) for name in columns)]))
    return tabular("l" + "r" * (len(head) - 1), lines)


def contrasts_table(compare: Compare) -> str:
    r"""All contrasts as a longtable under their pair, the primary family first with its seeds; bold: significant after adjustment.

    \tablecaption comes from main.tex.
    """
    effects = [r"$\Delta$ [CI]", r"$p$", r"$p_{\mathrm{adj}}$", r"$p_{W}$", r"$p_{U}$", "$d_z$", r"$\delta$", "MDE"]
    titles = ["$a-b$, metric", "$T_a$", "$T_b$", *effects]
    head, columns = row(titles), len(titles)
    groups = [[c for c in compare.contrasts if c.family == family] for family in ("primary", "secondary")]
    lines: list[str] = []
    for title, group in zip(("Primary family", "Secondary"), groups, strict=True):
        if not group:
            continue
        lines.append(rf"\multicolumn{{{columns}}}{{@{{}}l}}{{\emph{{{title}}}}}\\*")
        pairs: dict[str, list[Contrast]] = {}
        for contrast in group:
            pairs.setdefault(f"{labels.system_name(contrast.a)} $-$ {labels.system_name(contrast.b)}", []).append(contrast)
        for pair, members in pairs.items():
            rows = [text for contrast in members for text in _contrast_rows(contrast, columns if group is groups[0] else 0)]
            heading = rf"\multicolumn{{{columns}}}{{@{{}}l}}{{{pair}}}\\"
            lines += [f"{text}*" for text in (heading, *rows[:-1])] + rows[-1:]  # a pair stays on one page
        if group is groups[0] and groups[1]:
            lines.append(r"\midrule")
    return longtable("l" + "r" * (columns - 1), head, lines)


def definitions_table(params: Mapping[str, Any]) -> str:
    """Every metric that a domain reports, in the catalogue's order: label with direction, range, signature."""
    from polychromic.score.compute import signature  # brings the metrics' packages, which no other table needs

    names = labels.metric_order({name for domain in params["domains"] for name in params[domain]["metrics"]} | {"objective"})
    encoder = params["encoder"].get("package") or params["encoder"].get("repository") or ""
    lines = []
    for name in names:
        info = labels.metric(name)
        bounds = [
            r"$-\infty$" if info.low is None else f"{info.low:g}",
            r"$\infty$" if info.high is None else f"{info.high}".removesuffix(".0"),
        ]
        text = labels.escape(signature(name, encoder).partition("|")[2]).replace("|", r" \textbar{} ")
        lines.append(row([_title(name), f"{bounds[0]} to {bounds[1]}", text]))
    return longtable(r"llp{0.6\linewidth}", row(["metric", "range", "definition"]), lines)


def _metric_order(compare: Compare, systems: list[System], body: bool) -> list[str]:
    """The body's metrics, the primary and the quality metric first; or the others. In the catalogue's order."""
    present = labels.metric_order({name for system in systems for name in system.metrics})
    first = [compare.primary, compare.quality]
    chosen = {*first, *(name for name in present if labels.metric(name).body)}
    if not body:
        return [name for name in present if name not in chosen]
    return list(dict.fromkeys([*first, *(name for name in present if name in chosen)]))


def _mark(compare: Compare, system: System, name: str) -> str:
    """ "bold", "dagger" or "": how `system` compares with LoRA on this metric when each is at its chosen temperature."""
    for contrast in compare.contrasts:
        if (
            contrast.metric != name
            or contrast.rule != "chosen"
            or {contrast.a, contrast.b} != {system.label, "lora"}
            or system.label == "lora"
        ):
            continue
        if contrast.significant and labels.metric(name).direction != "none":
            delta = contrast.delta if contrast.a == system.label else -contrast.delta
            return "bold" if labels.metric(name).better(delta) else "dagger"
    return ""


def _mean(name: str, estimate: Estimate | None, mark: str = "", beside: str = "") -> str:
    """A mean with its mark; a dagger hangs into the space between columns, unless something stands beside it in the cell."""
    if estimate is None:
        return DASH
    text = labels.format_value(name, estimate.mean)
    dagger = rf"{text}$^{{\dagger}}$" if beside else rf"{text}\rlap{{$^{{\dagger}}$}}"
    marked = {"bold": _bold(text), "dagger": dagger, "": text}[mark]
    return f"{marked} {beside}".rstrip()


def _ci(name: str, estimate: Estimate | None) -> str:
    return "" if estimate is None else rf"{{\scriptsize {labels.format_interval(name, estimate.low, estimate.high)}}}"


def _contrast_rows(contrast: Contrast, seeds_over: int) -> list[str]:
    """The row of a contrast, and one of its seeds over so many columns (none for 0). A side at matched quality has no temperature."""
    name = contrast.metric
    delta = labels.format_value(name, contrast.delta, sign=True)
    cells = [
        rf"\quad {_title(name)}",
        labels.plain(contrast.a_temperature),
        DASH if contrast.rule == "matched" else labels.plain(contrast.b_temperature),
        f"{_bold(delta) if contrast.significant else delta} {labels.format_interval(name, contrast.low, contrast.high, sign=True)}",
        *(_p(p) for p in (contrast.p_value, contrast.p_adjusted, contrast.p_wilcoxon, contrast.p_mannwhitney)),
        *(DASH if effect is None else labels.format_effect(effect) for effect in (contrast.d_z, contrast.cliffs_delta)),
        labels.format_value(name, contrast.mde),
    ]
    if not seeds_over:
        return [row(cells)]
    each = ", ".join(f"{labels.format_value(name, value, sign=True)}" for value in contrast.delta_by_seed)
    return [row(cells), rf"\multicolumn{{{seeds_over}}}{{@{{}}l}}{{\quad by seed: {each}}}\\"]


def _title(name: str, star: bool = False) -> str:
    """Name, star of the primary metric, unit and better direction."""
    text = labels.title(name, math=True)
    label = labels.escape(labels.metric(name).label)
    return text.replace(label, label + "$^{*}$", 1) if star else text


def _bold(text: str) -> str:
    return rf"\textbf{{{text}}}"


def _p(p: float | None) -> str:
    return DASH if p is None else rf"\ensuremath{{{labels.format_p(p)}}}"
