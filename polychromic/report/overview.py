"""What a reader sees first, over all domains: the baselines, the best peers and the headline, in one figure and one table, as LaTeX and as
Markdown for the README. Of a domain whose test is not opened it is about dev, and says so. No statistic is computed here."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from polychromic.params import Params
from polychromic.report import labels, results
from polychromic.report.figures import Point
from polychromic.report.results import BASELINES, Compare
from polychromic.report.style import draw_line, drawing, errorbar, looks, name_axis
from polychromic.report.tables import gap, gap_with_interval, row, tabular

SPLITS = {"dev": "development set", "test": "test set"}


def decisive(params: Params) -> list[Compare]:
    """Per domain what is said last: of test where it is opened, else of dev."""
    return [results.load(domain, "test" if params.cells(domain, "test") else "dev") for domain in params.domains]


def peers(compare: Compare) -> list[str]:
    """Beside the baselines: those that the primary family asks about, and on dev the best ones, with the checker and without."""
    return [label for label in compare.main_labels() if label not in (*BASELINES, compare.headline)]


def shown(compare: Compare) -> list[str]:
    return [*BASELINES, *peers(compare), compare.headline]


def about(compare: Compare) -> str:
    """ "Test set, 150 prompts, 5 seeds": of the headline."""
    system = compare.chosen_system(compare.headline)
    seeds = f"{len(system.seeds)} seed{'s' * (len(system.seeds) > 1)}"
    return f"{SPLITS[compare.split]}, {system.n_prompts} prompts, {seeds}"


def _title(compare: Compare) -> str:
    return compare.domain_name[0].upper() + compare.domain_name[1:]


def fronts(compares: Sequence[Compare]) -> Figure:
    """A panel per domain: quality (x) against the primary metric (y) of LoRA, the peers and the headline over temperature; what each offers
    to who asks for a quality (curve), what was measured (marks), and the intervals of both at the chosen temperature (cross)."""
    trained = [[label for label in shown(compare) if label not in BASELINES[:2]] for compare in compares]
    look = looks(dict.fromkeys(label for names in trained for label in names))
    with drawing(2.35 * -(-len(compares) // 2) + 0.3, -(-len(compares) // 2), min(2, len(compares)), legend=4) as (figure, axes):
        for ax in axes[len(compares) :]:
            ax.set_axis_off()
        for ax, compare, names in zip(axes, compares, trained, strict=False):
            for label in names:
                front, system = compare.fronts[label], compare.chosen_system(label)
                x, y = system.metrics[compare.quality], system.metrics[compare.primary]
                errorbar(ax, look[label], Point(x.mean, y.mean, y.low, y.high, x.low, x.high))
                curve = front.curve and (front.curve.quality, front.curve.value)
                draw_line(ax, label, look[label], front.quality, front.value, curve=curve)
            name_axis(ax.xaxis, compare.quality)
            name_axis(ax.yaxis, compare.primary)
            ax.margins(x=0.06, y=0.08)
            ax.set_title(f"{_title(compare)}\n({about(compare)})", fontsize=8.5)
        return figure


def table(compares: Sequence[Compare]) -> str:
    """Per domain the baselines, the peers and the headline at their chosen temperatures, and the gap of the headline's front to each."""
    shares = [labels.title(name, math=True) for name in ("pass@1", "pass@10")]
    lines = [row(["", "$T$", *shares, "primary metric", "gap of Polychromic's front", r"$p_{\mathrm{adj}}$"])]
    for compare in compares:
        title = f"{_title(compare)}: {labels.escape(labels.metric(compare.primary).label)}; {about(compare)}"
        lines += [r"\midrule", rf"\multicolumn{{7}}{{@{{}}l}}{{\emph{{{title}}}}}\\*"]
        for label in shown(compare):
            system, found = compare.chosen_system(label), compare.contrast(compare.headline, label)
            cells = [labels.plus_minus(metric, system.metrics[metric]) for metric in ("pass@1", "pass@10", compare.primary)]
            p = "" if found is None or found.p_adjusted is None else rf"\ensuremath{{{labels.format_p(found.p_adjusted)}}}"
            beside = ["", ""] if label == compare.headline else [gap(found, compare.primary), p]
            lines.append(row([labels.system_name(label), labels.plain(system.temperature), *cells, *beside]))
    return tabular("lrrrrrr", lines)


def markdown(compares: Sequence[Compare]) -> str:
    """A row per domain: metric, LoRA, the best peer and the headline at their chosen temperatures, pass@1 and the primary metric, and the
    gap of the headline's front to either with its interval."""
    head = ["domain", "metric", "LoRA", "best peer", "Polychromic", "gap to LoRA's front", "gap to the peer's front"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for compare in compares:
        others = peers(compare)
        best = max(others, key=lambda label: compare.chosen_system(label).metrics[compare.primary].mean, default=None)
        where = f"{compare.domain_name} ({about(compare)})"
        cells = [_plain(compare, "lora"), _plain(compare, best, named=True), _plain(compare, compare.headline)]
        gaps = [gap_with_interval(compare.contrast(compare.headline, label), compare.primary) for label in ("lora", best)]
        lines.append(f"| {' | '.join([where, labels.title(compare.primary), *cells, *gaps])} |")
    return "\n".join(lines) + "\n"


def _plain(compare: Compare, label: str | None, named: bool = False) -> str:
    """ "1.23 at pass@1 45.6 %"; with the system's name before it."""
    if label is None:
        return "none"
    metrics = compare.chosen_system(label).metrics
    said = f"{labels.plain_value(compare.primary, metrics[compare.primary].mean)} at pass@1 {100 * metrics['pass@1'].mean:.1f} %"
    return f"{labels.system_name(label, math=False)}: {said}" if named else said
