"""What curation dropped, as a table: each filter with its count and up to two of its examples. Texts are shown, never obeyed."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from polychromic.base.visible import visible

SHOWN = 2  # examples per filter in the terminal; the JSON report has more
WIDTH = 60  # characters of a text


def _cut(text: str) -> str:
    text = visible(text)
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "\u2026"


def render(report: dict, folder: str) -> Group:
    """The report of curation.run.curate as tables for a terminal."""
    title = Text(f"{report['input']['pairs']:,} pairs of {visible(report['input']['file'])}")
    table = Table()
    table.add_column("filter", no_wrap=True)
    table.add_column("dropped", justify="right", no_wrap=True)
    table.add_column("left", justify="right", no_wrap=True)
    table.add_column("examples: why | post | reply", overflow="fold")
    for step in report["filters"]:
        lines = [" | ".join(_cut(example[key]) for key in ("why", "post", "reply")) for example in step["examples"][:SHOWN]]
        table.add_row(step["name"], f"{step['dropped']:,}", f"{step['left']:,}", Text("\n".join(lines)))
    strata = Table("stratum")
    strata.add_column("candidates", justify="right")
    for name, count in report["strata"].items():
        strata.add_row(name, f"{count:,}")
    groups = report["groups"]
    note = Text(
        f"{report['candidates']:,} candidates in {groups['count']:,} groups, the largest of {groups['largest']:,}, in {visible(folder)}"
    )
    if groups["largest"] * 2 > report["candidates"] > 1:
        note.append(
            "\nwarning: one group holds more than half of them, and a group is never parted: no split is possible. "
            "Set records.group to post."
        )
    return Group(title, table, strata, note)
