"""What test says, as numbers, a table and the rows of a figure: the declared systems and their contrasts. No statistics of its own.

Keys stand under "<domain>.test."; whole sentences are records, since what may be said depends on the tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from polychromic.report import labels
from polychromic.report.choices import comparison
from polychromic.report.distributions import Gain
from polychromic.report.figures import Curves, Point
from polychromic.report.latex_rows import row, tabular
from polychromic.report.numbers import system_numbers
from polychromic.report.records import Number, contrast_numbers, rule_text, unique
from polychromic.report.results import BASELINES, Confirmation

LONGEST = 44  # characters of a figure's label in one line
SHOWN = ("semantic_diversity",)  # beside pass@1, pass@10, the primary metric and the quality metric


def columns(test: Confirmation) -> list[str]:
    """The metrics of the table, in its order."""
    present = test.systems[0].metrics
    return [name for name in dict.fromkeys((test.primary, test.quality, "pass@1", "pass@10", *SHOWN)) if name in present]


def test_numbers(test: Confirmation) -> list[Number]:
    """All records about test, sorted by key, each key once."""
    source = f"results/{test.domain}/test.json"
    groups = (_about(test), _family(test), system_numbers(test), _contrasts(test))
    return unique(
        [
            replace(number, key=f"{test.domain}.test.{number.key}", split="test", source=_placed(source, number.source))
            for group in groups
            for number in group
        ]
    )


def _placed(file: str, rows: str) -> str:
    """Rows of test.json as a record names them, with the file before each."""
    return "; ".join(f"{file}#{row}" for row in rows.split("; "))


def _about(test: Confirmation) -> Iterator[Number]:
    counts = {system.n_prompts for system in test.systems}
    seeds = sorted({seed for system in test.systems for seed in system.seeds})
    most = test.chosen(test.headline)
    yield Number("n_prompts", max(counts), str(max(counts)), source="systems")
    yield Number("n_samples", most.n_samples, str(most.n_samples), source="systems")
    yield Number("seeds", None, ", ".join(map(str, seeds)), seeds=tuple(seeds), source="systems")
    yield Number("seeds.count", len(most.seeds), str(len(most.seeds)), seeds=tuple(most.seeds), source="systems")
    yield Number("machines", None, labels.escape(" and ".join(test.machines)), source="machines")
    drafts = sum(len(system.seeds) * system.n_prompts * system.n_samples for system in test.systems)
    for key, count, where in (("runs", test.training.runs, "training"), ("steps", test.training.steps, "training"), ("drafts", drafts, "systems")):
        yield Number(key, count, f"{count:,}".replace(",", r"\,"), source=where)
    yield Number("systems.count", len(test.method_labels()), str(len(test.method_labels())), source="systems")


def _family(test: Confirmation) -> Iterator[Number]:
    """ "family.count", ".higher", ".sentence"; and in whole sentences what the family says of the headline against its peers other than
    LoRA ("peers.sentences") and of other systems ("variants.sentences")."""
    primary = [c for c in test.contrasts if c.family == "primary"]
    higher, lower = (sum(c.significant and (c.low > 0) == up for c in primary) for up in (True, False))
    yield Number("family.count", len(primary), str(len(primary)), source="contrasts")
    yield Number("family.higher", higher, str(higher), source="contrasts")
    text = f"In the primary family of {len(primary)} contrasts, the first system is higher in {higher}, lower in {lower} and not "
    yield Number("family.sentence", None, f"{text}distinguishable in {len(primary) - higher - lower}.", source="contrasts")
    peers = [c for c in primary if c.a == test.headline and c.b != "lora"]
    others = [c for c in primary if c.a != test.headline]
    for key, what, found in (("peers", "contrast of the headline", peers), ("variants", "system", others)):
        text = " ".join(comparison(test, c) for c in found) or f"No other {what} is in the primary family."
        yield Number(f"{key}.sentences", None, text, source="; ".join(f"contrasts/{c.id}" for c in found) or "contrasts")


def _contrasts(test: Confirmation) -> Iterator[Number]:
    """ "<a>-vs-<b>.<metric>.<rule>.<field>", on the primary metric with ".sentence"; "primary.*", "quality.*": the headline and LoRA."""
    for contrast in test.contrasts:
        key = f"{contrast.a}-vs-{contrast.b}.{contrast.metric}.{contrast.rule}"
        yield from contrast_numbers(key, contrast)
        if contrast.metric == test.primary:
            yield Number(f"{key}.sentence", None, comparison(test, contrast), source=f"contrasts/{contrast.id}")
    main = {
        "primary": test.contrast(test.headline, "lora", test.primary, ("matched",)),
        "quality": test.contrast(test.headline, "lora", test.quality, ("chosen",)),
    }
    for alias, contrast in main.items():
        yield from contrast_numbers(alias, contrast)
        yield Number(f"{alias}.rule", None, rule_text(contrast, test), source=f"contrasts/{contrast.id}")


def test_table(test: Confirmation) -> str:
    """Every declared system at the temperature that dev chose, in groups: mean and 95 % interval over prompts."""
    names = columns(test)
    lines = [row(["", "$T$", "seeds", *(labels.title(name, math=True) for name in names)]), r"\midrule"]
    for number, (group, members) in enumerate(test.grouped_labels()):
        lines += [r"\addlinespace"] * (number > 0) + [rf"\multicolumn{{{len(names) + 3}}}{{@{{}}l}}{{\emph{{{group}}}}}\\*"]
        for label in members:
            system = test.chosen(label)
            found = [(name, system.metrics[name]) for name in names]
            cells = [
                f"{labels.format_value(name, e.mean)} {{\\scriptsize {labels.format_interval(name, e.low, e.high)}}}" for name, e in found
            ]
            lines.append(row([labels.system_name(label), labels.plain(system.temperature), str(len(system.seeds)), *cells]))
    return tabular("lrr" + "r" * len(names), lines)


def test_markdown(test: Confirmation) -> str:
    """The same for the README."""
    names = columns(test)
    titles = " | ".join(labels.title(name) for name in names)
    lines = [f"| method | temperature | seeds | {titles} |", "|---|---|---|" + "---|" * len(names)]
    for label in test.method_labels():
        system = test.chosen(label)
        found = [(name, system.metrics[name]) for name in names]
        cells = [labels.plain_interval(name, e.mean, e.low, e.high) for name, e in found]
        name = labels.system_name(label, math=False)
        lines.append(f"| {name} | {system.temperature:g} | {len(system.seeds)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def test_curves(test: Confirmation) -> tuple[Curves, Curves]:
    """Per system one point per temperature, ascending: quality and primary metric. First the baselines, the headline and those that it is
    compared with in the primary family; then the others."""
    shown = {*BASELINES, test.headline, *(one.b for one in test.declared if (one.a, one.family) == (test.headline, "primary"))}
    main: Curves = {}
    others: Curves = {}
    for label in test.method_labels():
        curves = main if label in shown else others
        curves[label] = []
        for system in sorted((s for s in test.systems if s.label == label), key=lambda s: s.temperature):
            x, y = system.metrics[test.quality], system.metrics[test.primary]
            curves[label].append(Point(x.mean, y.mean, y.low, y.high, x.low, x.high, f"{system.temperature:g}"))
    return main, others


def gains(test: Confirmation) -> list[Gain]:
    """Rows of the figure: each declared pair on the primary metric under its declared rule, the primary family first."""
    rows = []
    for declared in sorted(test.declared, key=lambda one: one.family != "primary"):
        found = test.contrast(declared.a, declared.b, test.primary, (declared.rule,))
        a, b = (labels.system_name(side, math=False) for side in (declared.a, declared.b))
        label = f"{a} \u2212 {b}" if len(a) + len(b) + 3 <= LONGEST else f"{a}\n\u2212 {b}"
        rows.append(Gain(label, found.delta, found.low, found.high, declared.family == "primary", found.delta_by_seed))
    return rows
