"""What `polychromic judge` prints: estimates and results as tables. Names and texts are shown as they are, without markup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from polychromic.base.visible import visible
from polychromic.judge.providers import PERSON

LISTED = 3  # names of questions that a note shows


def _table(title: str, *columns: str) -> Table:
    found = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title=Text(title), title_justify="left")
    for place, name in enumerate(columns):
        found.add_column(Text(name), overflow="fold", justify="left" if place == 0 else "right")
    return found


def costs(document: Mapping[str, Any]) -> Group:
    """{"models": [what polychromic.judge.work.estimates gives]}."""
    return Group(*(_costs(one) for one in document["models"]))


def _costs(document: Mapping[str, Any]) -> Group:
    prices, how = document["prices"], "in batches" if document["batch"] else "directly"
    when = f", prices of {prices['checked']}" if prices["checked"] else ""
    title = f"{document['model']}, {how}: ${prices['input']:g} and ${prices['output']:g} per million tokens directly{when}"
    table = _table(title, "contrast", "calls", "in the store", "tokens read", "tokens written", "dollars: low", "expected", "high")
    for row in [*document["contrasts"], document["total"]]:
        tokens = [f"{row[name][1]:,.0f}" for name in ("input", "output")]
        dollars = [f"{value:.{2 if value >= 1 else 4}f}" for value in row["dollars"]]
        cells = [visible(row["contrast"]), f"{row['calls']:,}", f"{row['held']:,}", *tokens, *dollars]
        table.add_row(*map(Text, cells))
    known = document["measured"]
    basis = "by rules of thumb" if known is None else f"measured: {known['bytes_per_token']:.2f} bytes per token read, " \
        f"{known['tokens_per_answer']:.0f} tokens per answer"  # fmt: skip
    notes = [f"expected {basis}; high is what the budget reckons with. Spent so far: ${document['spent']:.4f}."]
    if document["too_long"]:
        notes.append(f"{document['too_long']} calls may be longer than the prompts that these prices hold for.")
    return Group(table, *(Text(note) for note in notes))


def results(document: Mapping[str, Any]) -> Group:
    """What `polychromic.judge.results.document` gives."""
    parts = [part for judge in document["judges"] for part in _of_judge(judge)]
    if document["agreement"]:
        table = _table("Agreement on whole questions (win, tie, loss)", "judges", "contrast", "n", "same", "kappa")
        for row in document["agreement"]:
            k = row["kappa"]
            value = "not defined" if k["value"] is None else f"{k['value']:.2f} [{k['low']:.2f}, {k['high']:.2f}]"
            name = "all" if row["kind"] == "all" else _name(row)
            table.add_row(*map(Text, (visible(" and ".join(row["judges"])), name, str(row["n"]), f"{row['same']:.1%}", value)))
        parts.append(table)
    if addressed := document["addressed"]:
        shown = ", ".join(map(visible, addressed[:LISTED])) + (", ..." if len(addressed) > LISTED else "")
        parts.append(Text(f"{len(addressed)} questions hold a reply that seems to speak to the judge; it was passed on as text: {shown}"))
    return Group(*parts)


def _of_judge(judge: Mapping[str, Any]) -> list:
    days = " to ".join(judge["days"]) or "no day"
    spent = "" if judge["provider"] == PERSON else f", ${judge['dollars']:.4f}"
    title = f"{visible(judge['judge'])}: {judge['calls']:,} answers, {days}{spent}"
    columns = ("contrast", "scored", "win", "tie", "loss", "score", "at equal length", "consistent", "first")
    table = _table(title, *columns)
    notes = []
    for row in judge["contrasts"]:
        rates = ["-" if row[name] is None else f"{row[name]['value']:.1%}" for name in ("win", "tie", "loss")]
        cells = [_name(row), f"{row['scored']} of {row['questions']}", *rates, _interval(row["score"]), _interval(row["length_controlled"])]
        table.add_row(*map(Text, [*cells, _share(row["consistency"]), _share(row["first"])]))
        if row["missing"]:
            reasons = ", ".join(f"{count} {visible(reason)}" for reason, count in row["missing"].items())
            worst, best = row["bounds"]
            missing = f"{sum(row['missing'].values())} calls without a verdict, which are no ties ({reasons})"
            notes.append(Text(f"{_name(row)}: {missing}; with them the score would lie in {worst:.3f} to {best:.3f}"))
    if judge["stability"]["n"]:
        stable = judge["stability"]
        notes.append(Text(f"asked again: {stable['same']} of {stable['n']} verdicts the same ({stable['share']:.1%})"))
    return [table, *notes]


def _name(row: Mapping[str, Any]) -> str:
    return visible(f"{row['domain']}: {row['a']} - {row['b']}, {row['kind']}")


def _share(found: Mapping[str, Any]) -> str:
    return "-" if found["share"] is None else f"{found['share']:.1%}"


def _interval(found: Mapping[str, float] | None) -> str:
    return "-" if found is None else f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
