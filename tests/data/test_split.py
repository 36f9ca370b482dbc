"""The split keeps groups together and strata in proportion, and the check catches a split that does not."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.data.records import Record
from polychromic.data.split import check_split, is_seen, run, split, units
from tests.workspace import REPOSITORY

SIZES = {"train": 60, "dev": 20, "test": 60}
NONSENSE = random.Random(7)


def record(i, group=None, stratum="easy", prompt=None) -> Record:
    noise = "".join(NONSENSE.choices("bcdfghjklmnpqrstvwxyz", k=12))
    common = {"domain": "toy", "references": ["x"], "checker": "person", "source": "by hand", "licence": "CC0-1.0"}
    return Record(id=f"r{i:03d}", prompt=prompt or f"Say {noise} {i}.", group=group or f"g{i:03d}", stratum=stratum, **common)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """160 records: groups of 1, 2 and 3, a quarter "hard"; and four openers."""
    groups = [(size, g) for size, count in ((1, 100), (2, 15), (3, 10)) for g in range(count)]
    rows = [(f"g{size}-{g}", "easy" if g % 4 else "hard") for size, g in groups for _ in range(size)]
    return [record(i, *row) for i, row in enumerate(rows)] + [record(900 + k, "opener", "opener") for k in range(4)]


@pytest.fixture(scope="module")
def splits(records) -> dict[str, list[str]]:
    return split(records, SIZES, seed=0)


def test_sizes_groups_and_strata(records, splits):
    check_split(records, splits, SIZES, tolerance=0.05)
    by_id = {r.id: r for r in records}
    assert {name: len(splits[name]) for name in SIZES} == pytest.approx(SIZES, abs=2)
    groups = [{by_id[key].group for key in splits[name]} for name in SIZES]
    assert len(set.union(*groups)) == sum(map(len, groups)), "no group stands in two"
    for name in SIZES:
        assert Counter(by_id[key].stratum for key in splits[name])["hard"] / len(splits[name]) == pytest.approx(42 / 160, abs=0.05)
    assert splits["calibration"] == ["r900", "r901", "r902", "r903"]
    assert split(random.Random(1).sample(records, len(records)), SIZES, seed=0) == splits != split(records, SIZES, seed=4)


def test_near_duplicate_prompts_of_different_groups_form_one_unit(records):
    twin = record(500, group="elsewhere", prompt=records[0].prompt.upper() + "!")
    assert [unit for unit in units([*records, twin]) if twin in unit] == [[records[0], twin]]


def test_barred_records_and_what_they_drag_along_stay_out_of_test(records):
    barred = {r.id for r in records if r.group.startswith("g2")} - {"r101"}
    assert not set(split(records, SIZES, 0, barred)["test"]) & (barred | {"r101"})
    with pytest.raises(PolychromicError, match="split 'test' got 0 of 60"):
        split(records, SIZES, 0, barred={r.id for r in records})
    with pytest.raises(UsageError, match="there are 160"):
        split(records, {**SIZES, "train": 600}, 0)


def test_kinds_held_out_are_all_of_test_and_of_no_other_split(records, splits):
    held = [record(700 + i, group="g3-0" if i == 0 else None, stratum="unseen:rhyme") for i in range(9)]  # one shares a group
    found = split([*records, *held], SIZES, seed=0)
    check_split([*records, *held], found, SIZES, tolerance=0.05)
    assert {r.id for r in held} <= set(found["test"]) and len(found["test"]) >= SIZES["test"] + 9
    assert {r.id for r in records if r.group == "g3-0"} <= set(found["test"])
    for place in ("train", "dev"):
        moved = {**found, "test": [key for key in found["test"] if key != "r708"], place: [*found[place], "r708"]}
        with pytest.raises(PolychromicError, match=f"{place} holds 'r708', of a kind held out for test"):
            check_split([*records, *held], moved, SIZES, tolerance=0.05)
    barred = {r.id for r in held}
    assert not any(barred & set(ids) for ids in split([*records, *held], SIZES, 0, barred).values()), "barred, it stands nowhere"


def test_prompts_that_no_split_needs_are_unlabelled(records, splits):
    held = [record(700 + i, group="g1-90" if i == 0 else None, stratum="unseen:rhyme") for i in range(3)]
    whole, sizes = [*records, *held], {**SIZES, "unlabelled": 12}
    found, plain = split(whole, sizes, seed=0), split(whole, {**SIZES, "unlabelled": 0}, seed=0)
    check_split(whole, found, sizes, tolerance=0.05)
    assert {name: ids for name, ids in found.items() if name != "unlabelled"} == plain, "the others are as they were"
    chosen, by_id = found["unlabelled"], {r.id: r for r in whole}
    assert len(set(chosen)) == 12 == len(chosen) and not set(chosen) & {key for ids in plain.values() for key in ids}
    groups = {by_id[key].group for name in SIZES for key in found[name]}
    assert not {by_id[key].group for key in chosen} & groups and {by_id[key].stratum for key in chosen} <= {"easy", "hard"}
    assert split(whole[::-1], sizes, seed=0) == found
    with pytest.raises(PolychromicError, match="leakage: group"):
        check_split(
            [r.model_copy(update={"group": by_id[found["dev"][0]].group}) if r.id == chosen[0] else r for r in whole], found, sizes, 1.0
        )
    with pytest.raises(PolychromicError, match="unlabelled has 11 records, 12 are needed"):
        check_split(whole, {**found, "unlabelled": chosen[1:]}, sizes, 1.0)
    with pytest.raises(PolychromicError, match="unlabelled holds 'r701', of a kind held out for test"):
        check_split(whole, {**found, "test": [key for key in found["test"] if key != "r701"], "unlabelled": [*chosen, "r701"]}, sizes, 1.0)
    with pytest.raises(PolychromicError, match=r"split 'unlabelled' got \d+ of 20 records"):
        split(whole, {**SIZES, "unlabelled": 20}, seed=0)


LONG = "alpha beta gamma delta epsilon zeta eta theta"


@pytest.mark.parametrize(("changes", "kind"), [
    (({"group": "one"}, {"group": "one"}), "group 'one'"), (({"prompt": LONG}, {"prompt": LONG.upper() + " iota"}), "near-duplicate"),
])  # fmt: skip
def test_leaks_are_caught(records, splits, changes, kind):
    changed = dict(zip((splits["train"][0], splits["test"][0]), changes, strict=True))
    with pytest.raises(PolychromicError, match=f"leakage: {kind}.*: r.* stands in t.*, r.* in t"):
        check_split([r.model_copy(update=changed.get(r.id, {})) for r in records], splits, SIZES, tolerance=1.0)


def test_lost_strata_and_barred_short_double_and_unknown_ids_are_all_reported_at_once(records, splits):
    easy = {r.id for r in records if r.stratum == "easy"}
    mutant = {**splits, "dev": [*[key for key in splits["dev"] if key in easy][:5], "nobody", splits["train"][0]]}
    with pytest.raises(PolychromicError) as caught:
        check_split(records, mutant, SIZES, tolerance=0.1, barred={splits["test"][0]})
    unknown, double, barred = "'nobody' is not in the data", "stands in dev and in train", "seen while the method was designed"
    for said in (unknown, double, barred, "dev has 6 records, 20 are needed", "dev: stratum 'hard' has a share of 0."):
        assert said in str(caught.value)


def test_seen_categories_and_prompts_of_the_earlier_split():
    seen = [
        "Name one kind of vegetable.",
        "Name a country in Africa.",
        "Name one kind of tool that starts with the letter C.",
        "Name an aircraft.",
    ]
    seen += ["Name one way to travel.", "Name one part of a building.", "Name a word that means nearly the same as official."]
    assert [text for text in seen if not is_seen(record(1, prompt=text))] == []
    fresh = [
        "Name one kind of root vegetable.",
        "Name a country that no list names.",
        'Name a word that starts with "too".',
        "Name a river.",
    ]
    assert [text for text in fresh if is_seen(record(1, prompt=text))] == []


def test_stage_writes_the_same_bytes_whatever_the_hash_seed_and_nothing_when_the_check_fails(tmp_path, monkeypatch, records):
    found = []
    for hash_seed, rows in (("1", records), ("2", records[::-1])):
        (tmp_path / hash_seed / "data").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / hash_seed)
        Path("data/toy.jsonl").write_text("".join(json.dumps(r.model_dump()) + "\n" for r in rows), encoding="utf-8")
        with pytest.raises(PolychromicError, match="stratum"):
            run("toy", SIZES, 0, tolerance=0.0)
        assert not Path("results").exists()
        code = f"from polychromic.data.split import run; run('toy', {SIZES}, 5, 0.1)"
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(REPOSITORY)}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        found.append(Path("results/toy/split.json").read_bytes())
    assert found[0] == found[1] and json.loads(found[0])["seed"] == 5
