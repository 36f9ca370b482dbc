"""Train, dev, test and calibration: grouped, stratified, and checked. No model, no sampling of replies.

`split` decides, `check_split` distrusts: it recomputes every invariant from the records and the split alone, so that a
defect in `split` (or an edited file) fails the stage instead of leaking test prompts into training.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from polychromic.base import paths
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import write_json
from polychromic.data.records import Record, read_records
from polychromic.data.text import near_duplicates, normalised, word_list

SPLITS = ("train", "dev", "test")
CALIBRATION = "calibration"
# Records of this stratum have many references each; they measure human diversity and are never trained or tested on.
CALIBRATION_STRATUM = "opener"

Splits = dict[str, list[str]]


def is_seen(record: Record) -> bool:
    """The prompt, or one about its category, was used while the method was designed; it may not stand in test."""
    if record.prompt in word_list("seen_prompts.txt"):
        return True
    match = re.fullmatch(r"Name one kind of (.+)\.", record.prompt)
    return bool(match) and match.group(1).lower() in word_list("seen_words.txt")


def units(records: Sequence[Record]) -> list[list[Record]]:
    """Records that may not be separated: one group, or groups joined by a near-duplicate prompt; each sorted by id."""
    parent = {record.group: record.group for record in records}

    def root(group: str) -> str:
        while parent[group] != group:
            group = parent[group]
        return group

    for i, j in near_duplicates([record.prompt for record in records]):
        a, b = sorted((root(records[i].group), root(records[j].group)))
        parent[b] = a
    members: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        members[root(record.group)].append(record)
    return [sorted(members[key], key=lambda record: record.id) for key in sorted(members)]


def split(records: Sequence[Record], sizes: Mapping[str, int], seed: int, barred: Collection[str] = ()) -> Splits:
    """Assign records to train, dev, test and calibration.

    Units go one by one, the largest first and else in the order of a hash of seed and ids, to the split that
    lacks their strata most, relative to its target; a unit goes only where no stratum overshoots while another split has room.
    What no split needs stays out. The result depends on the set of records, `sizes`, `seed` and `barred` alone.

    Args:
        records: of one domain, in any order.
        sizes: target number of records for "train", "dev" and "test"; each is met or exceeded by at most a unit.
        seed: chooses among equally good splits.
        barred: ids that may not stand in test (nor may what shares a unit with them).

    Returns:
        {"train": ids, "dev": ids, "test": ids, "calibration": ids}, each sorted.

    Raises:
        UsageError: `sizes` is not three positive numbers, the seed is negative, or the records are too few.
    """
    if set(sizes) != set(SPLITS) or any(size < 1 for size in sizes.values()):
        allowed = f"a positive number for each of {', '.join(SPLITS)}"
        raise UsageError(f"split sizes are {dict(sizes)}; allowed: {allowed}. Correct them in params.yaml.")
    if seed < 0:
        raise UsageError(f"split seed is {seed}; allowed: 0 or more. Correct it in params.yaml.")
    records = sorted(records, key=lambda record: record.id)
    pool = [record for record in records if record.stratum != CALIBRATION_STRATUM]
    calibration = [record for record in records if record.stratum == CALIBRATION_STRATUM]
    if sum(sizes.values()) > len(pool):
        raise UsageError(f"split sizes {dict(sizes)} need {sum(sizes.values())} records, there are {len(pool)}. Lower them in params.yaml.")

    held = {unit[0].id for unit in units(records) if any(record.stratum == CALIBRATION_STRATUM for record in unit)}
    share = {stratum: count / len(pool) for stratum, count in sorted(Counter(record.stratum for record in pool).items())}
    need = {name: {stratum: sizes[name] * share[stratum] for stratum in share} for name in SPLITS}
    chosen: dict[str, list[str]] = {name: [] for name in SPLITS}

    def order(unit: list[Record]) -> tuple:
        free = not any(record.id in barred for record in unit)
        digest = hashlib.sha256(f"{seed}:{':'.join(record.id for record in unit)}".encode()).hexdigest()
        return (free, -len(unit), digest)  # barred units first, while train and dev have room for them

    def put(name: str, unit: list[Record]) -> None:
        chosen[name] += [record.id for record in unit]
        for record in unit:
            need[name][record.stratum] -= 1

    waiting = []
    for unit in sorted((u for u in units(records) if u[0].id not in held), key=order):
        allowed = [name for name in SPLITS if name != "test" or not any(record.id in barred for record in unit)]
        counts = Counter(record.stratum for record in unit)
        fits = [name for name in allowed if all(need[name][stratum] > count - 1 for stratum, count in counts.items())]
        if fits:
            put(max(fits, key=lambda name: sum(need[name][s] * n for s, n in counts.items()) / sizes[name]), unit)
        else:
            waiting.append((allowed, unit))
    # Rounding leaves a split some records short: fill it with the units that distort its strata least.
    for name in SPLITS:
        while len(chosen[name]) < sizes[name]:
            options = [(allowed, unit) for allowed, unit in waiting if name in allowed]
            if not options:
                raise PolychromicError(
                    f"split {name!r} got {len(chosen[name])} of {sizes[name]} records: the rest may not stand there. "
                    "Lower the sizes in params.yaml or curate more records."
                )
            best = max(options, key=lambda option: sum(need[name][record.stratum] for record in option[1]) / len(option[1]))
            waiting.remove(best)
            put(name, best[1])
    return {**{name: sorted(chosen[name]) for name in SPLITS}, CALIBRATION: [record.id for record in calibration]}


def check_split(
    records: Sequence[Record], splits: Mapping[str, Sequence[str]], sizes: Mapping[str, int], tolerance: float, barred: Collection[str] = ()
) -> None:
    """Raise unless the split keeps its promises.

    Args:
        records: all records of the domain.
        splits: as `split` returns them.
        sizes: as given to `split`.
        tolerance: largest allowed difference between a stratum's share in a split and its share overall, in [0, 1].
        barred: ids that may not stand in test.

    Raises:
        PolychromicError: one message that lists what is wrong (the first case of each kind): an unknown or doubly
            used id; a group, an equal or a near-duplicate prompt in two splits; a barred record in test; a split that is
            too small; a stratum that lost its share.
    """
    by_id = {record.id: record for record in records}
    place: dict[str, str] = {}
    problems: list[str] = []
    for name in sorted(splits):
        for key in splits[name]:
            if key not in by_id:
                problems.append(f"{name}: id {key!r} is not in the data")
            elif key in place:
                problems.append(f"id {key!r} stands in {place[key]} and in {name}")
            else:
                place[key] = name
    used = [by_id[key] for key in sorted(place)]

    for kind, key_of in (("group", lambda record: record.group), ("prompt", lambda record: normalised(record.prompt))):
        first: dict[str, Record] = {}
        for record in used:
            other = first.setdefault(key_of(record), record)
            if place[other.id] != place[record.id]:
                both = f"{place[other.id]} ({other.id}) and in {place[record.id]} ({record.id})"
                problems.append(f"leakage: {kind} {key_of(record)!r} stands in {both}")
                break
    # Over all records, as in `split`, since what counts as a common word depends on the whole file.
    ordered = sorted(records, key=lambda record: record.id)
    for i, j in near_duplicates([record.prompt for record in ordered]):
        a, b = ordered[i], ordered[j]
        if a.id in place and b.id in place and place[a.id] != place[b.id]:
            both = f"{a.prompt!r} in {place[a.id]} ({a.id}) and {b.prompt!r} in {place[b.id]} ({b.id})"
            problems.append(f"leakage: near-duplicate prompts {both}")
            break
    problems += [f"test holds {key!r}, a prompt seen while the method was designed" for key in splits.get("test", ()) if key in barred][:1]

    pool = [record for record in records if record.stratum != CALIBRATION_STRATUM]
    overall = Counter(record.stratum for record in pool)
    for name in SPLITS:
        ids = [key for key in splits.get(name, ()) if key in by_id]
        if len(ids) < sizes[name]:
            problems.append(f"{name} has {len(ids)} records, {sizes[name]} are needed")
        found = Counter(by_id[key].stratum for key in ids)
        for stratum in sorted(overall.keys() | found.keys()):
            want, got = overall[stratum] / len(pool), found[stratum] / max(len(ids), 1)
            if abs(got - want) > tolerance:
                problems.append(f"{name}: stratum {stratum!r} has a share of {got:.3f}, overall {want:.3f}, tolerance {tolerance}")
    if problems:
        remedy = "Correct the sizes, seed or tolerance of the split in params.yaml, or the groups in data/."
        raise PolychromicError(f"split: {'; '.join(problems)}. {remedy}")


def run(domain: str, sizes: Mapping[str, int], seed: int, tolerance: float) -> None:
    """Stage: read data/{domain}.jsonl, split it, check it, write results/{domain}/split.json. Nothing is written when the check fails."""
    records = read_records(paths.data_file(domain))
    barred = frozenset(record.id for record in records if is_seen(record))
    splits = split(records, sizes, seed, barred)
    check_split(records, splits, sizes, tolerance, barred)
    write_json(paths.split_file(domain), {"domain": domain, "seed": seed, "splits": splits})
