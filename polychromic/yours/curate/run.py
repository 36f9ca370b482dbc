"""Curate a log: filters in the declared order, then duplicates, caps and selection; candidates and report, written at the end.

The log is read line by line and only pairs that pass the filters of one pair are held. The result depends on the set of lines and the
rules alone, not on the order of the log (examples in the report do: they are the first of the log).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from polychromic.base.errors import PolychromicError
from polychromic.base.io import atomic_open, dumps, sha256_file, write_json
from polychromic.base.progress import progress
from polychromic.data.records import Record
from polychromic.yours.curate.duplicates import NearDuplicates, compared_words, exact_key, jaccard, word_frequency
from polychromic.yours.curate.filters import filters, texts
from polychromic.yours.curate.raw import Pair, count_lines, read_pairs, written
from polychromic.yours.curate.rules import Rules
from polychromic.yours.curate.selection import groups, over_cap, post_key, select, strata

CANDIDATES, REPORT = "candidates.jsonl", "report.json"
REVIEWS = "review-*.jsonl"  # logs of polychromic.yours.review beside the candidates
EXAMPLES = 5
EVERY = 1000  # lines between two updates of the progress bar


@dataclass
class Dropped:
    """What one filter dropped: how many, and the first few with the reason."""

    count: int = 0
    examples: list[dict[str, str]] = field(default_factory=list)

    def add(self, pair: Pair, why: str) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append({"where": pair.where, "post": written(pair.post), "reply": written(pair.reply), "why": why})


def curate(raw: Path, rules: Rules, out: Path) -> dict:
    """Write `out`/candidates.jsonl (data.records.Record, checker "person", in the order of their ids) and `out`/report.json.

    Returns:
        The report: {"input": {"file", "sha256", "pairs"}, "filters": [{"name", "dropped", "left", "examples"}] in the order in which
        they were applied, "candidates": n, "strata": {stratum: n}, "groups": {"count", "largest"}, "rules"}.

    Raises:
        PolychromicError: the log is missing, nothing is left, or `out` holds reviews of other candidates.
        DataError: a line of the log that is not as curation.raw says.
    """
    total = count_lines(raw)
    dropped: dict[str, Dropped] = {}
    with progress("reading and filtering", total) as tick:
        read, pairs = _filtered(read_pairs(raw), rules, dropped, lambda done: tick(min(done, total)))
        tick(total)
    report: dict = {"input": {"file": raw.name, "sha256": sha256_file(raw), "pairs": read}}
    # Of pairs with the same texts the one with most engagement comes first; the rest of the key only makes ties fall the same way.
    pairs.sort(key=lambda p: (p.digest, p.engagement is None, -(p.engagement or 0), p.author or "", p.source))
    pairs = _without_duplicates(pairs, rules, dropped)
    for name, what, key in (("author_cap", "author", lambda pair: pair.author), ("post_cap", "post", post_key)):
        if section := getattr(rules, name):
            over = {i: f"this {what} has {section.most} already" for i in over_cap(pairs, key, section.most)}
            pairs = _drop(pairs, dropped.setdefault(name, Dropped()), over)
    names = strata(pairs, rules.records.length_classes, rules.records.engagement_classes)
    if rules.selection:
        chosen = set(select(names, rules.selection.most))
        rest = {i: f"stratum {names[i]} is full" for i in range(len(pairs)) if i not in chosen}
        pairs = _drop(pairs, dropped.setdefault("selection", Dropped()), rest)
        names = [name for i, name in enumerate(names) if i in chosen]
    report["filters"] = _steps(read, dropped)
    if not pairs:
        worst = max(dropped, key=lambda name: dropped[name].count, default=None)
        found = f"filter {worst!r} dropped {dropped[worst].count} of them" if worst and dropped[worst].count else "the log holds no line"
        raise PolychromicError(f"{raw}: none of {read} pairs is left; {found}. Allowed: one or more. Relax the rules, or collect more.")
    records = sorted(_records(pairs, names, rules), key=lambda record: record.id)
    sizes = Counter(record.group for record in records)
    report |= {
        "candidates": len(records),
        "strata": dict(sorted(Counter(names).items())),
        "groups": {"count": len(sizes), "largest": max(sizes.values())},
        "rules": rules.model_dump(mode="json", by_alias=True),
    }
    content = "".join(dumps(record.model_dump()) + "\n" for record in records).encode()
    _refuse_to_replace(out, content)
    with atomic_open(out / CANDIDATES) as file:
        file.write(content)
    write_json(out / REPORT, report)
    return report


def _filtered(read: Iterable[Pair], rules: Rules, dropped: dict[str, Dropped], tick: Callable[[int], None]) -> tuple[int, list[Pair]]:
    """Number of pairs read, and those that pass every filter of one pair; a pair counts at the first that drops it."""
    judges = filters(rules)
    for name in judges:
        dropped[name] = Dropped()
    kept, n = [], 0
    for n, pair in enumerate(read, start=1):
        post, reply = texts(pair)
        for name, judge in judges.items():
            if (why := judge(post, reply, pair.engagement)) is not None:
                dropped[name].add(pair, why)
                break
        else:
            kept.append(pair)
        if n % EVERY == 0:
            tick(n)
    return n, kept


def _without_duplicates(pairs: list[Pair], rules: Rules, dropped: dict[str, Dropped]) -> list[Pair]:
    """The first of each set of equal pairs, then those that are not near a pair that is kept before them."""
    first: dict[str, int] = {}
    equal = {}
    for place, pair in enumerate(pairs):
        original = first.setdefault(exact_key(pair, rules.exact_duplicates.of), place)
        if original != place:
            equal[place] = f"equal to {pairs[original].where}"
    pairs = _drop(pairs, dropped.setdefault("exact_duplicates", Dropped()), equal)
    if rules.near_duplicates is None:
        return pairs
    of = rules.near_duplicates.of
    known = NearDuplicates(word_frequency(compared_words(pair, of) for pair in pairs), rules.near_duplicates.threshold)
    near, originals = {}, []
    with progress("near-duplicates", len(pairs)) as tick:
        for place, pair in enumerate(pairs):
            found = compared_words(pair, of)
            if (match := known.closest(found)) is None:
                known.keep(found)
                originals.append(pair)
            else:
                near[place] = f"{jaccard(found, compared_words(originals[match], of)):.2f} like {originals[match].where}"
            if place % EVERY == 0:
                tick(place)
        tick(len(pairs))
    return _drop(pairs, dropped.setdefault("near_duplicates", Dropped()), near)


def _drop(pairs: list[Pair], into: Dropped, why: dict[int, str]) -> list[Pair]:
    """The pairs whose place is not in `why`; the others are counted."""
    for place, reason in why.items():
        into.add(pairs[place], reason)
    return [pair for place, pair in enumerate(pairs) if place not in why]


def _steps(read: int, dropped: dict[str, Dropped]) -> list[dict]:
    steps, left = [], read
    for name, found in dropped.items():
        left -= found.count
        steps.append({"name": name, "dropped": found.count, "left": left, "examples": found.examples})
    return steps


def _records(pairs: list[Pair], names: list[str], rules: Rules) -> Iterable[Record]:
    for pair, stratum, group in zip(pairs, names, groups(pairs, rules.records.group), strict=True):
        yield Record(
            id=f"replies-{pair.digest[:12]}",
            domain="replies",
            prompt=pair.post,
            references=[pair.reply],
            group=group,
            stratum=stratum,
            checker="person",
            source=pair.source,
            licence=rules.records.licence,
        )


def _refuse_to_replace(out: Path, content: bytes) -> None:
    """Decisions name the candidates they were made on: new ones would leave the reviews without a meaning."""
    reviews = sorted(out.glob(REVIEWS))
    target = out / CANDIDATES
    if reviews and (not target.is_file() or target.read_bytes() != content):
        raise PolychromicError(
            f"{out}: {reviews[0].name} reviews other candidates than the log and the rules make now. "
            "Allowed: the same candidates, or a folder without reviews. Give another --out FOLDER."
        )
