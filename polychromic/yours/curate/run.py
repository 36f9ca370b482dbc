"""Curate a log: filters in the declared order, then duplicates, caps and selection; candidates and report, written at the end.

The result depends on the set of lines and the rules alone, not on the order of the log (examples in the report do: they are the first of
the log).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rich.console import Group
from rich.table import Column, Table
from rich.text import Text as Shown

from polychromic.base.errors import PolychromicError
from polychromic.base.io import atomic_open, dumps, sha256_file, together, write_json
from polychromic.base.progress import progress
from polychromic.base.visible import visible
from polychromic.data.records import Record
from polychromic.yours.curate import selection
from polychromic.yours.curate.rules import Rules
from polychromic.yours.curate.selection import Pair, read_pairs, written

CANDIDATES, REPORT = "candidates.jsonl", "report.json"
REVIEWS = "review-*.jsonl"  # logs of polychromic.yours.review beside the candidates
EXAMPLES, SHOWN = 5, 2  # per filter, in the report and in the terminal
WIDTH = 60  # characters of an example in the terminal


class Funnel:
    """The pairs that are left, and what each filter dropped: how many, and the first few with the reason."""

    def __init__(self, pairs: list[Pair]):
        self.pairs, self.steps = pairs, []

    def drop(self, name: str, why: Mapping[int, str]) -> None:
        """Take out the pairs whose place is in `why`."""
        first = [(self.pairs[place], reason) for place, reason in list(why.items())[:EXAMPLES]]
        examples = [{"where": p.where, "post": written(p.post), "reply": written(p.reply), "why": reason} for p, reason in first]
        self.pairs = [pair for place, pair in enumerate(self.pairs) if place not in why]
        self.steps.append({"name": name, "dropped": len(why), "left": len(self.pairs), "examples": examples})


def curate(raw: Path, rules: Rules, out: Path) -> dict:
    """Write `out`/candidates.jsonl (data.records.Record, checker "person", in the order of their ids) and `out`/report.json.

    Returns: The report: {"input": {"file", "sha256", "pairs"}, "filters": [{"name", "dropped", "left", "examples"}] in the order in which
    they were applied, "candidates": n, "strata": {stratum: n}, "groups": {"count", "largest"}, "rules"}.
    Raises PolychromicError: the log is missing, nothing is left, or `out` holds reviews of other candidates; DataError: a line that
    is no JSON object.
    """
    funnel = Funnel(list(read_pairs(raw)))
    total = len(funnel.pairs)
    with progress("filtering", len(rules.filters)) as tick:
        for number, (name, judge) in enumerate(rules.filters.items(), start=1):
            judged = ((place, p.problem or judge(p.post, p.reply, p.engagement)) for place, p in enumerate(funnel.pairs))
            funnel.drop(name, {place: why for place, why in judged if why is not None})
            tick(number)
    # Of pairs with the same texts the one with most engagement comes first; the rest of the key only makes ties fall the same way.
    funnel.pairs.sort(key=lambda p: (p.digest, p.engagement is None, -(p.engagement or 0), p.author or "", p.source))
    funnel.drop("exact_duplicates", selection.exact_duplicates(funnel.pairs, rules.exact_duplicates.of))
    if near := rules.near_duplicates:
        funnel.drop("near_duplicates", selection.near_duplicates(funnel.pairs, near.of, near.threshold))
    for what in ("author", "post"):
        if cap := getattr(rules, f"{what}_cap"):
            funnel.drop(f"{what}_cap", selection.over_cap(funnel.pairs, what, cap.most))
    names = selection.strata(funnel.pairs, rules.records.length_classes, rules.records.engagement_classes)
    if rules.selection:
        full = selection.beyond_share(names, rules.selection.most)
        funnel.drop("selection", full)
        names = [name for place, name in enumerate(names) if place not in full]
    if not funnel.pairs:
        worst = max(funnel.steps, key=lambda step: step["dropped"])
        found = "the log holds no line"
        if worst["dropped"]:
            found = f"filter {worst['name']!r} dropped {worst['dropped']} of them ({worst['examples'][0]['why']})"
        allowed = "one or more. Relax the rules, or collect more"
        raise PolychromicError(f"{raw}: none of {total} pairs is left; {found}. Allowed: {allowed}.")
    same = {"domain": "replies", "checker": "person", "licence": rules.records.licence}
    records = [
        Record(id=f"replies-{p.digest[:12]}", prompt=p.post, references=[p.reply], group=group, stratum=name, source=p.source, **same)
        for p, name, group in zip(funnel.pairs, names, selection.groups(funnel.pairs, rules.records.group), strict=True)
    ]
    sizes = Counter(record.group for record in records)
    report = {
        "input": {"file": written(raw.name), "sha256": sha256_file(raw), "pairs": total},
        "filters": funnel.steps,
        "candidates": len(records),
        "strata": dict(sorted(Counter(names).items())),
        "groups": {"count": len(sizes), "largest": max(sizes.values())},
        "rules": rules.model_dump(mode="json", by_alias=True),
    }
    content = "".join(dumps(record.model_dump()) + "\n" for record in sorted(records, key=lambda record: record.id)).encode()
    # Decisions name the candidates they were made on: new ones would leave the reviews without a meaning.
    reviews, target = sorted(out.glob(REVIEWS)), out / CANDIDATES
    if target.exists() and target.samefile(raw):
        raise PolychromicError(f"{out}: {CANDIDATES} there is the log that is read. Allowed: another folder. Give another --out FOLDER.")
    if reviews and (not target.is_file() or target.read_bytes() != content):
        allowed = "the same candidates, or a folder without reviews. Give another --out FOLDER"
        raise PolychromicError(f"{out}: {reviews[0].name} reviews other candidates than the log and rules make now. Allowed: {allowed}.")
    with together():
        with atomic_open(out / CANDIDATES) as file:
            file.write(content)
        write_json(out / REPORT, report)
    return report


def render(report: dict) -> Group:
    """The report as tables for a terminal. Texts are shown, never obeyed."""
    cut = lambda text: text if len(text) <= WIDTH else text[: WIDTH - 1] + "\u2026"
    counts = (Column(name, justify="right", no_wrap=True) for name in ("dropped", "left"))
    table = Table(Column("filter", no_wrap=True), *counts, Column("examples: why | post | reply", overflow="fold"))
    for step in report["filters"]:
        lines = [" | ".join(cut(visible(example[key])) for key in ("why", "post", "reply")) for example in step["examples"][:SHOWN]]
        table.add_row(step["name"], f"{step['dropped']:,}", f"{step['left']:,}", Shown("\n".join(lines)))
    strata = Table("stratum", Column("candidates", justify="right"))
    for name, count in report["strata"].items():
        strata.add_row(name, f"{count:,}")
    number, largest = report["groups"].values()
    note = f"{report['candidates']:,} candidates in {number:,} groups, the largest of {largest:,}"
    return Group(Shown(f"{report['input']['pairs']:,} pairs of {visible(report['input']['file'])}"), table, strata, note)
