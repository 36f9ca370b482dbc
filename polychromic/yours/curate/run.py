"""Curate a log: filters in the declared order, then duplicates, caps and selection; candidates and report, written at the end.

The log is read line by line and only pairs that pass the filters of one pair are held. The result depends on the set of lines and the
rules alone, not on the order of the log (examples in the report do: they are the first of the log).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.console import Group
from rich.table import Column, Table
from rich.text import Text as Shown

from polychromic.base.errors import PolychromicError
from polychromic.base.io import atomic_open, dumps, sha256_file, write_json
from polychromic.base.progress import progress
from polychromic.base.visible import visible
from polychromic.data.records import Record
from polychromic.yours.curate import selection
from polychromic.yours.curate.raw import Pair, Text, count_lines, read_pairs, written
from polychromic.yours.curate.rules import Rules

CANDIDATES, REPORT = "candidates.jsonl", "report.json"
REVIEWS = "review-*.jsonl"  # logs of polychromic.yours.review beside the candidates
EXAMPLES, SHOWN = 5, 2  # per filter, in the report and in the terminal
WIDTH = 60  # characters of an example in the terminal
EVERY = 1000  # lines between two updates of the progress bar


class Funnel:
    """What each filter dropped, in the order in which they are applied: how many, and the first few with the reason."""

    def __init__(self):
        self.read, self.steps = 0, []

    def step(self, name: str) -> dict:
        self.steps.append({"name": name, "dropped": 0, "examples": []})
        return self.steps[-1]

    def drop(self, step: dict, pair: Pair, why: str) -> None:
        step["dropped"] += 1
        if len(step["examples"]) < EXAMPLES:
            step["examples"].append({"where": pair.where, "post": written(pair.post), "reply": written(pair.reply), "why": why})

    def drop_places(self, name: str, pairs: list[Pair], why: dict[int, str]) -> list[Pair]:
        """The pairs whose place is not in `why`."""
        step = self.step(name)
        for place, reason in why.items():
            self.drop(step, pairs[place], reason)
        return [pair for place, pair in enumerate(pairs) if place not in why]

    def report(self) -> list[dict]:
        """The steps, each with how many pairs it left."""
        left = self.read
        return [step | {"left": (left := left - step["dropped"])} for step in self.steps]


def curate(raw: Path, rules: Rules, out: Path) -> dict:
    """Write `out`/candidates.jsonl (data.records.Record, checker "person", in the order of their ids) and `out`/report.json.

    Returns:
        The report: {"input": {"file", "sha256", "pairs"}, "filters": [{"name", "dropped", "left", "examples"}] in the order in which
        they were applied, "candidates": n, "strata": {stratum: n}, "groups": {"count", "largest"}, "rules"}.

    Raises:
        PolychromicError: the log is missing, nothing is left, or `out` holds reviews of other candidates.
        DataError: a line of the log that is not as raw.Pair says.
    """
    funnel = Funnel()
    pairs = _filtered(raw, rules, funnel)
    # Of pairs with the same texts the one with most engagement comes first; the rest of the key only makes ties fall the same way.
    pairs.sort(key=lambda p: (p.digest, p.engagement is None, -(p.engagement or 0), p.author or "", p.source))
    first: dict[str, int] = {}
    originals = [first.setdefault(selection.exact_key(pair, rules.exact_duplicates.of), place) for place, pair in enumerate(pairs)]
    equal = {place: f"equal to {pairs[original].where}" for place, original in enumerate(originals) if original != place}
    pairs = funnel.drop_places("exact_duplicates", pairs, equal)
    if rules.near_duplicates:
        pairs = funnel.drop_places("near_duplicates", pairs, _near(pairs, rules))
    for name, what, key in (("author_cap", "author", selection.author_key), ("post_cap", "post", selection.post_key)):
        if section := getattr(rules, name):
            over = {place: f"this {what} has {section.most} already" for place in selection.over_cap(pairs, key, section.most)}
            pairs = funnel.drop_places(name, pairs, over)
    names = selection.strata(pairs, rules.records.length_classes, rules.records.engagement_classes)
    if rules.selection:
        chosen = set(selection.select(names, rules.selection.most))
        full = {place: f"stratum {name} is full" for place, name in enumerate(names) if place not in chosen}
        pairs = funnel.drop_places("selection", pairs, full)
        names = [name for place, name in enumerate(names) if place in chosen]
    if not pairs:
        worst = max(funnel.steps, key=lambda step: step["dropped"])
        found = f"filter {worst['name']!r} dropped {worst['dropped']} of them" if worst["dropped"] else "the log holds no line"
        allowed = "one or more. Relax the rules, or collect more"
        raise PolychromicError(f"{raw}: none of {funnel.read} pairs is left; {found}. Allowed: {allowed}.")
    same = {"domain": "replies", "checker": "person", "licence": rules.records.licence}
    records = [
        Record(id=f"replies-{p.digest[:12]}", prompt=p.post, references=[p.reply], group=group, stratum=name, source=p.source, **same)
        for p, name, group in zip(pairs, names, selection.groups(pairs, rules.records.group), strict=True)
    ]
    sizes = Counter(record.group for record in records)
    report = {
        "input": {"file": raw.name, "sha256": sha256_file(raw), "pairs": funnel.read},
        "filters": funnel.report(),
        "candidates": len(records),
        "strata": dict(sorted(Counter(names).items())),
        "groups": {"count": len(sizes), "largest": max(sizes.values())},
        "rules": rules.model_dump(mode="json", by_alias=True),
    }
    content = "".join(dumps(record.model_dump()) + "\n" for record in sorted(records, key=lambda record: record.id)).encode()
    _refuse_to_replace(out, content)
    with atomic_open(out / CANDIDATES) as file:
        file.write(content)
    write_json(out / REPORT, report)
    return report


def _filtered(raw: Path, rules: Rules, funnel: Funnel) -> list[Pair]:
    """The pairs that pass every filter of one pair; a pair counts at the first that drops it."""
    judges = [(funnel.step(name), judge) for name, judge in rules.filters.items()]
    kept, total = [], count_lines(raw)
    with progress("reading and filtering", total) as tick:
        for funnel.read, pair in enumerate(read_pairs(raw), start=1):
            post, reply = Text(pair.post), Text(pair.reply)
            for step, judge in judges:
                if (why := judge(post, reply, pair.engagement)) is not None:
                    funnel.drop(step, pair, why)
                    break
            else:
                kept.append(pair)
            if funnel.read % EVERY == 0:
                tick(min(funnel.read, total))
        tick(total)
    return kept


def _near(pairs: list[Pair], rules: Rules) -> dict[int, str]:
    """The places of the pairs that are near a pair that is kept before them, and near which."""
    of = rules.near_duplicates.of
    known = selection.NearDuplicates((selection.compared_words(pair, of) for pair in pairs), rules.near_duplicates.threshold)
    near, originals = {}, []
    with progress("near-duplicates", len(pairs)) as tick:
        for place, pair in enumerate(pairs):
            found = selection.compared_words(pair, of)
            if (match := known.closest(found)) is None:
                known.keep(found)
                originals.append(pair)
            else:
                near[place] = (
                    f"{selection.jaccard(found, selection.compared_words(originals[match], of)):.2f} like {originals[match].where}"
                )
            if place % EVERY == 0:
                tick(place)
        tick(len(pairs))
    return near


def _refuse_to_replace(out: Path, content: bytes) -> None:
    """Decisions name the candidates they were made on: new ones would leave the reviews without a meaning."""
    reviews, target = sorted(out.glob(REVIEWS)), out / CANDIDATES
    if reviews and (not target.is_file() or target.read_bytes() != content):
        raise PolychromicError(
            f"{out}: {reviews[0].name} reviews other candidates than the log and the rules make now. "
            "Allowed: the same candidates, or a folder without reviews. Give another --out FOLDER."
        )


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
    candidates, number, largest = report["candidates"], report["groups"]["count"], report["groups"]["largest"]
    note = Shown(f"{candidates:,} candidates in {number:,} groups, the largest of {largest:,}")
    if largest * 2 > candidates > 1:
        note.append("\nwarning: one group holds more than half of them, and a group is never parted: no split is possible. ")
        note.append("Set records.group to post.")
    return Group(Shown(f"{report['input']['pairs']:,} pairs of {visible(report['input']['file'])}"), table, strata, note)
