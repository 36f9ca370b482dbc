"""What a reader sees first, over all domains: the baselines, the best peers and the headline, in one figure and one table, as LaTeX and as
Markdown for the README. Of a domain whose test is not opened it is about dev, and says so. No statistic is computed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from polychromic.base import paths
from polychromic.base.io import read_object
from polychromic.method.advantages import marginal_contributions
from polychromic.method.objective import make_objective
from polychromic.params import Params
from polychromic.report import labels, results
from polychromic.report.examples import tex
from polychromic.report.figures import Point
from polychromic.report.results import BASELINES, SHOWN, Compare
from polychromic.report.style import draw_line, drawing, errorbar, looks, name_axis
from polychromic.report.tables import DASH, bold, gap, gap_with_interval, row, tabular

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
    names = ("pass@1", "held_out_quality", "held_out_coverage@10")
    heads = [labels.title("pass@1", math=True), r"judge: quality (\%)", "coverage@10", "primary metric", "gap of Polychromic's front"]
    lines = [row(["", "$T$", *heads, r"$p_{\mathrm{adj}}$"])]
    for compare in compares:
        title = f"{_title(compare)}: {labels.escape(labels.metric(compare.primary).label)}; {about(compare)}"
        lines += [r"\midrule", rf"\multicolumn{{8}}{{@{{}}l}}{{\emph{{{title}}}}}\\*"]
        for label in shown(compare):
            system, found = compare.chosen_system(label), compare.contrast(compare.headline, label)
            found_of = [(name, system.metrics.get(name)) for name in (*names, compare.primary)]
            cells = [DASH if estimate is None else labels.plus_minus(name, estimate) for name, estimate in found_of]
            p = "" if found is None or found.p_adjusted is None else rf"\ensuremath{{{labels.format_p(found.p_adjusted)}}}"
            beside = ["", ""] if label == compare.headline else [gap(found, compare.primary), p]
            lines.append(row([labels.system_name(label), labels.plain(system.temperature), *cells, *beside]))
    return tabular("l" + "r" * 7, lines)


def markdown(compares: Sequence[Compare]) -> str:
    """A row per domain: its primary metric and its quality of LoRA, the best peer and the headline at their chosen temperatures, and the
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
    """ "1.23 at pass@1 45.6 %", of the domain's quality metric; with the system's name before it."""
    if label is None:
        return "none"
    metrics = compare.chosen_system(label).metrics
    quality = f"{labels.metric(compare.quality).label} {100 * metrics[compare.quality].mean:.1f} %"
    said = f"{labels.plain_value(compare.primary, metrics[compare.primary].mean)} at {quality}"
    return f"{labels.system_name(label, math=False)}: {said}" if named else said


@dataclass(frozen=True)
class Set:
    """A system's drafts to one prompt, in the order drawn, with what each adds to the set; None where a verdict is not known."""

    label: str
    temperature: float
    drafts: list[str]
    valid: list[bool | None]
    credits: list[float | None]


def drafts_side_by_side(compares: Sequence[Compare]) -> tuple[str, list[Set]]:
    """A prompt, and LoRA's and the headline's drafts at their chosen temperatures: of the domain SHOWN, or the first one.

    Nobody picks the prompt: it is the first of a shuffle (polychromic.explore.drafts), of those whose drafts' verdicts are all known where
    there is one. A credit is the marginal contribution to effective coverage, where near-duplicates are the same and all others differ.
    Raises PolychromicError: the file of drafts is missing.
    """
    compare = next((compare for compare in compares if compare.domain == SHOWN), compares[0])
    prompts = read_object(paths.drafts_file(compare.domain, compare.split))["prompts"]
    found = [(one["prompt"], [_set(compare, one, label) for label in ("lora", compare.headline)]) for one in prompts]
    return next((pair for pair in found if all(None not in one.valid for one in pair[1])), found[0])


def _set(compare: Compare, one: dict, label: str) -> Set:
    """Of an entry of "prompts"."""
    (places,) = (places for name, temperature, places, _ in one["rows"] if (name, temperature) == (label, compare.chosen[label]))
    groups = np.array([one["group"][place] for place in places])
    valid = [{"1": True, "0": False}.get(one["valid"][place]) for place in places]
    credit: list[float | None] = [None] * len(places)
    if None not in valid:
        q, s = np.array(valid, dtype=float)[None], (groups[:, None] == groups).astype(float)[None]
        credit = marginal_contributions(make_objective("coverage", len(places)), q, s)[0].tolist()
    return Set(label, compare.chosen[label], [one["texts"][place] for place in places], valid, credit)


def drafts_table(compares: Sequence[Compare]) -> str:
    """`drafts_side_by_side` as LaTeX: a row per draft, those that pass in bold, the credit of each beside it."""
    prompt, sets = drafts_side_by_side(compares)
    heads = [cell for one in sets for cell in (rf"{labels.system_name(one.label)}, $T={labels.plain(one.temperature)}$", "$m_i$")]
    lines = [row(heads), r"\midrule"]
    for drawn in zip(*(zip(one.drafts, one.valid, one.credits, strict=True) for one in sets), strict=True):
        lines.append(row([cell for text, good, credit in drawn for cell in (bold(tex(text)) if good else tex(text), _credit(credit))]))
    title = rf"\multicolumn{{{len(heads)}}}{{@{{}}l}}{{\emph{{{tex(prompt)}}}}}\\"
    return tabular(r">{\raggedright\arraybackslash}p{0.43\linewidth}r" * len(sets), [title, r"\addlinespace", *lines])


def drafts_markdown(compares: Sequence[Compare]) -> str:
    """The same for the README."""
    prompt, sets = drafts_side_by_side(compares)
    heads = [f"{labels.system_name(one.label, math=False)} (T = {labels.plain(one.temperature)})" for one in sets]
    lines = [f"“{prompt}”", "", f"| {' | adds | '.join(heads)} | adds |", "|---" * 2 * len(sets) + "|"]
    for drawn in zip(*(zip(one.drafts, one.valid, one.credits, strict=True) for one in sets), strict=True):
        told = ((f"**{markdown_text(text)}**" if good else markdown_text(text), credit) for text, good, credit in drawn)
        cells = [cell for text, credit in told for cell in (text, _credit(credit))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _credit(value: float | None) -> str:
    return "?" if value is None else labels.signed_zero(f"{value:.1f}")


def markdown_text(text: str) -> str:
    """Model text in a cell of a Markdown table: one line, nothing in it is markup."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#|!~&" else c for c in " ".join(text.split())) or "(nothing)"
