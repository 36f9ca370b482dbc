"""Train, dev, test and calibration: grouped, stratified, and checked. No model, no sampling of replies.

`split` decides, `check_split` distrusts: it recomputes every invariant from the records and the split alone, so that a
defect in `split` (or an edited file) fails the stage instead of leaking test prompts into training.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from polychromic.base import paths
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import write_json
from polychromic.data.records import Record, read_records
from polychromic.data.text import hashed, joined, near_duplicates, word_list

SPLITS = ("train", "dev", "test")
UNLABELLED = "unlabelled"  # records of which training uses prompt and checker, and no reference
CALIBRATION_STRATUM = "opener"  # records with many references each: they measure human diversity and are never trained or tested on
UNSEEN = "unseen:"  # a stratum that begins so is a kind of prompt held out whole: all of it is for test, beyond test's size
# What a list question is about: a category, with or without a first letter, a verb, a thing that has parts, a word.
ABOUT = r"one kind of|one way to|one part of an?|a word that means nearly the same as|an?"
ASKED = re.compile(rf"Name (?:{ABOUT}) (.+?)(?: that starts with the letter [A-Z])?\.")


def is_seen(record: Record) -> bool:
    """The prompt, or one about its category or of its family, was used while the method was designed; it may not stand in test."""
    if record.domain == "code":
        return record.group in word_list("seen_families.txt")
    match = ASKED.fullmatch(record.prompt)
    listed = record.prompt in word_list("seen_prompts.txt") or record.id in word_list("seen_ids.txt")
    return listed or (match and match.group(1).lower()) in word_list("seen_words.txt")


def sharing(records: Iterable[Record]) -> Counter[str]:
    """Records by stratum, of the strata whose share is the same in all splits."""
    return Counter(sorted(r.stratum for r in records if r.stratum != CALIBRATION_STRATUM and not r.stratum.startswith(UNSEEN)))


def alike(records: Sequence[Record]) -> list[tuple[Record, Record]]:
    """Records with near-duplicate prompts; all of a file, as what counts as a common word depends on it."""
    return [(records[i], records[j]) for i, j in near_duplicates([record.prompt for record in records])]


def units(records: Sequence[Record]) -> list[list[Record]]:
    """Records that may not be separated: one group, or groups joined by a near-duplicate prompt; each sorted by id."""
    first = joined((record.group for record in records), ((a.group, b.group) for a, b in alike(records)))
    members: dict[str, list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.id):
        members[first[record.group]].append(record)
    return [members[key] for key in sorted(members)]


def split(records: Sequence[Record], sizes: Mapping[str, int], seed: int, barred: Collection[str] = ()) -> dict[str, list[str]]:
    """Assign records to train, dev, test and calibration, and, where it has a size, unlabelled: prompts that no other split needs.

    Units go one by one, the largest first and else in the order of a hash of seed and ids, to the split that lacks their strata most,
    relative to its target; a unit goes only where no stratum overshoots while another split has room. What no split needs stays out.
    A unit that holds a record of a kind held out whole (UNSEEN) goes to test before all others, or stays out where it is barred.

    Args:
        records: of one domain, in any order.
        sizes: target number of records for "train", "dev" and "test", without kinds held out; each is met or exceeded by at most a unit;
            and how many are unlabelled, met exactly.
        barred: ids that may not stand in test (nor may what shares a unit with them).

    Returns: {"train": ids, "dev": ids, "test": ids, "calibration": ids}, each sorted; "unlabelled", if asked for.
    Raises: UsageError, the records are too few; PolychromicError, too many of them are barred.
    """
    strata = sharing(records)
    if sum(sizes.values()) > (total := strata.total()):
        raise UsageError(f"split sizes {dict(sizes)} need {sum(sizes.values())} records, there are {total}. Lower them in params.yaml.")
    need = {name: {stratum: sizes[name] * (count / total) for stratum, count in strata.items()} for name in SPLITS}
    chosen: dict[str, list[str]] = {name: [] for name in SPLITS}
    by_id = {record.id: record for record in records}

    def may(name: str, unit: list[Record]) -> bool:
        return name != "test" or not any(record.id in barred for record in unit)

    def order(unit: list[Record]) -> tuple:  # barred units first, while train and dev have room for them
        return may("test", unit), -len(unit), hashed(f"{seed}:{':'.join(record.id for record in unit)}")

    def put(name: str, unit: list[Record]) -> None:
        chosen[name] += [record.id for record in unit]
        for record in unit:
            need[name][record.stratum] = need[name].get(record.stratum, 0) - 1

    waiting, together = [], units(records)
    for unit in together:
        if any(record.stratum.startswith(UNSEEN) for record in unit) and may("test", unit):
            put("test", unit)
    for unit in sorted((unit for unit in together if all(record.stratum in strata for record in unit)), key=order):
        counts = Counter(record.stratum for record in unit)
        fits = [name for name in SPLITS if may(name, unit) and all(need[name][stratum] > count - 1 for stratum, count in counts.items())]
        if fits:
            put(max(fits, key=lambda name: sum(need[name][s] * n for s, n in counts.items()) / sizes[name]), unit)
        else:
            waiting.append(unit)
    # Rounding leaves a split some records short: fill it with the units that distort its strata least.
    for name in SPLITS:
        while sharing(by_id[key] for key in chosen[name]).total() < sizes[name]:
            if not (options := [unit for unit in waiting if may(name, unit)]):
                raise PolychromicError(
                    f"split {name!r} got {len(chosen[name])} of {sizes[name]} records: the rest may not stand there. "
                    "Lower the sizes in params.yaml or curate more records."
                )
            best = max(options, key=lambda unit: sum(need[name][record.stratum] for record in unit) / len(unit))
            waiting.remove(best)
            put(name, best)
    if wanted := sizes.get(UNLABELLED, 0):
        left = sorted((record.id for unit in waiting for record in unit), key=lambda key: hashed(f"{seed}:{UNLABELLED}:{key}"))
        if len(left) < wanted:
            raise PolychromicError(
                f"split {UNLABELLED!r} got {len(left)} of {wanted} records: the others are needed. Lower the sizes in params.yaml."
            )
        chosen[UNLABELLED] = left[:wanted]
    chosen["calibration"] = [record.id for record in records if record.stratum == CALIBRATION_STRATUM]
    return {name: sorted(ids) for name, ids in chosen.items()}


def check_split(
    records: Sequence[Record], splits: Mapping[str, Sequence[str]], sizes: Mapping[str, int], tolerance: float, barred: Collection[str] = ()
) -> None:
    """Raise unless the split, as `split` returns it for these arguments, keeps its promises.

    tolerance: largest allowed difference between a stratum's share in a split and its share overall, in [0, 1]. The PolychromicError
    lists all that is wrong: an unknown or doubly used id; a group or a near-duplicate prompt in two splits, or a barred record in test
    (the first of each); a kind held out for test elsewhere; a split that is too small; a stratum that lost its share.
    """
    by_id = {record.id: record for record in records}
    place: dict[str, str] = {}
    problems: list[str] = []
    for name, key in [(name, key) for name, ids in sorted(splits.items()) for key in ids]:
        if key not in by_id:
            problems.append(f"{name}: id {key!r} is not in the data")
        elif key in place:
            problems.append(f"id {key!r} stands in {place[key]} and in {name}")
        else:
            place[key] = name

    first: dict[str, Record] = {}
    same = [("group", first.setdefault(by_id[key].group, by_id[key]), by_id[key]) for key in sorted(place)]
    same += [("near-duplicate prompts", a, b) for a, b in alike(records) if {a.id, b.id} <= place.keys()]
    leaks = {kind: (a, b) for kind, a, b in reversed(same) if place[a.id] != place[b.id]}
    for kind, (a, b) in leaks.items():
        what = f"group {a.group!r}" if kind == "group" else f"{kind} {a.prompt!r} and {b.prompt!r}"
        problems.append(f"leakage: {what}: {a.id} stands in {place[a.id]}, {b.id} in {place[b.id]}")
    problems += [f"test holds {key!r}, a prompt seen while the method was designed" for key in splits.get("test", ()) if key in barred][:1]

    seen = [
        key
        for name in ("train", "dev", UNLABELLED)
        for key in splits.get(name, ())
        if key in by_id and by_id[key].stratum.startswith(UNSEEN)
    ]
    problems += [f"{place[key]} holds {key!r}, of a kind held out for test" for key in seen][:1]

    if (found := len(splits.get(UNLABELLED, ()))) < sizes.get(UNLABELLED, 0):
        problems.append(f"{UNLABELLED} has {found} records, {sizes[UNLABELLED]} are needed")
    overall = sharing(records)
    for name in SPLITS:
        found = sharing(by_id[key] for key in splits.get(name, ()) if key in by_id)
        if found.total() < sizes[name]:
            problems.append(f"{name} has {found.total()} records, {sizes[name]} are needed")
        for stratum in sorted(overall | found):
            want, got = overall[stratum] / overall.total(), found[stratum] / max(found.total(), 1)
            if abs(got - want) > tolerance:
                problems.append(f"{name}: stratum {stratum!r} has a share of {got:.3f}, overall {want:.3f}, tolerance {tolerance}")
    if problems:
        remedy = "Correct the sizes, seed or tolerance of the split in params.yaml, or the groups in data/."
        raise PolychromicError(f"split: {'; '.join(problems)}. {remedy}")


def run(domain: str, sizes: Mapping[str, int], seed: int, tolerance: float) -> None:
    """Stage: read data/{domain}.jsonl, split it, check it, write results/{domain}/split.json. Nothing is written when the check fails."""
    records = read_records(paths.data_file(domain), domain)
    barred = frozenset(record.id for record in records if is_seen(record))
    splits = split(records, sizes, seed, barred)
    check_split(records, splits, sizes, tolerance, barred)
    write_json(paths.split_file(domain), {"domain": domain, "seed": seed, "splits": splits})
