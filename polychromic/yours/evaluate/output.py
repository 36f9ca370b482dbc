"""What an evaluation looks like in the terminal: tables of means and of contrasts, and replies side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from polychromic.report import labels
from polychromic.yours.evaluate.inputs import Row, System

MINUS = "\u2212"


def metrics_table(document: dict) -> Table:
    """Systems as columns, metrics as rows: mean and interval."""
    systems = document["systems"]
    caption = "; ".join(f"{s['system']}: {s['n_prompts']} prompts, {s['n_samples']} samples, {len(s['seeds'])} seed(s)" for s in systems)
    caption = escape(f"{caption}. Intervals: 95 %, bootstrap over prompts.")
    table = Table("metric", *(escape(s["system"]) for s in systems), caption=caption)
    for name in document["signatures"]:
        table.add_row(labels.title(name), *(escape(_cell(name, s["metrics"][name])) for s in systems))
    return table


def _cell(name: str, value: dict) -> str:
    if value["low"] is None:
        return labels.plain_interval(name, value["mean"], value["mean"], value["mean"]).partition(" [")[0]
    return labels.plain_interval(name, value["mean"], value["low"], value["high"])


def contrasts_table(document: dict) -> Table:
    """Paired differences a - b with intervals, p-values and what may be concluded; the caption says how p was adjusted."""
    table = Table(f"a {MINUS} b", "metric", "difference", "p", "p (Holm)", "d_z", "verdict", caption=escape(adjusted(document)))
    for r in document["contrasts"]:
        effect = "\u2013" if r["d_z"] is None else f"{r['d_z']:+.2f}"
        difference = labels.plain_interval(r["metric"], r["delta"], r["low"], r["high"])
        p, p_holm = labels.format_p(r["p_permutation"]), labels.format_p(r["p_holm"])
        cells = (f"{r['a']} {MINUS} {r['b']}", labels.title(r["metric"]), difference, p, p_holm, effect, concluded(r))
        table.add_row(*map(escape, cells))
    return table


def adjusted(document: dict) -> str:
    """What stands behind the verdicts, in a sentence."""
    how = document["adjustment"]
    return (
        f"{len(document['prompts'])} prompts, paired. p: {how['test'].partition(',')[0]} test; adjusted by {how['method']} over all "
        f"{how['tests']} tests shown ({how['over']}). A verdict needs a 95 % interval without 0 and an adjusted p below "
        f"{how['alpha']:g}."
    )


def concluded(contrast: dict) -> str:
    """The verdict in words."""
    if not contrast["distinguishable"]:
        return "not distinguishable"
    return f"{contrast['better']} is better" if contrast["better"] else f"{contrast['higher']} is higher"


def replies_table(systems: Sequence[System], name: str, count: int) -> Table:
    """The first `count` replies of each system to one prompt, side by side; valid ones in bold with a check mark."""
    found = [system.row(name) for system in systems]
    table = Table(title=escape(f"{name}: {next(row for row in found if row).prompt}"), show_lines=False)
    for system in systems:
        table.add_column(escape(system.name), overflow="fold", ratio=1)
    for place in range(min(count, max(len(row.samples) for row in found if row))):
        table.add_row(*("" if row is None or place >= len(row.samples) else _reply(row, place) for row in found))
    return table


def _reply(row: Row, place: int) -> str:
    text = escape(row.samples[place]) or "[dim](empty)[/]"
    if row.answers is None:
        return text
    return f"[bold]\u2713 {text}[/]" if row.answers[place] is not None else f"[dim]  {text}[/]"
