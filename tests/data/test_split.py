"""The split keeps groups together and strata in proportion, and the check catches a split that does not."""

import json
import os
import random
import subprocess
import sys
from collections import Counter

import pytest

from polychromic.base import paths
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.data.records import Record
from polychromic.data.split import check_split, is_seen, run, split, units

SIZES = {"train": 60, "dev": 20, "test": 60}
ROOT = os.path.dirname(os.path.dirname(paths.__file__))
NONSENSE = random.Random(7)


def record(i, group=None, stratum="easy", prompt=None):
    noise = "".join(NONSENSE.choices("bcdfghjklmnpqrstvwxyz", k=12))
    return Record(
        id=f"r{i:03d}", domain="toy", prompt=prompt or f"Say {noise} {i}.", references=["x"], group=group or f"g{i:03d}", stratum=stratum,
        checker="person", source="by hand", licence="CC0-1.0",
    )  # fmt: skip


@pytest.fixture
def records():
    """160 records: groups of 1, 2 and 3, a quarter "hard"; and four openers."""
    made, i = [], 0
    for size, count in ((1, 100), (2, 15), (3, 10)):
        for g in range(count):
            made += [record(i + k, group=f"g{size}-{g}", stratum="hard" if g % 4 == 0 else "easy") for k in range(size)]
            i += size
    return made + [record(900 + k, group="opener", stratum="opener") for k in range(4)]


def test_sizes_groups_and_strata(records):
    splits = split(records, SIZES, seed=0)
    check_split(records, splits, SIZES, tolerance=0.05)
    by_id = {r.id: r for r in records}
    assert {name: len(splits[name]) for name in SIZES} == pytest.approx(SIZES, abs=2)
    place = {by_id[key].group: name for name in SIZES for key in splits[name]}
    assert all(place[by_id[key].group] == name for name in SIZES for key in splits[name])
    hard = sum(r.stratum == "hard" for r in records) / 160
    for name in SIZES:
        assert Counter(by_id[key].stratum for key in splits[name])["hard"] / len(splits[name]) == pytest.approx(hard, abs=0.05)
    assert splits["calibration"] == ["r900", "r901", "r902", "r903"]


def test_order_of_the_input_is_irrelevant_and_the_seed_is_not(records):
    splits = split(records, SIZES, seed=3)
    shuffled = list(records)
    random.Random(1).shuffle(shuffled)
    assert split(shuffled, SIZES, seed=3) == splits
    assert split(records, SIZES, seed=4) != splits


def test_near_duplicate_prompts_of_different_groups_form_one_unit(records):
    twin = record(500, group="elsewhere", prompt=records[0].prompt.upper() + "!")
    joined = [unit for unit in units([*records, twin]) if twin in unit]
    assert joined == [[records[0], twin]]


def test_barred_records_and_what_they_drag_along_stay_out_of_test(records):
    barred = {r.id for r in records if r.group.startswith("g2")} - {"r101"}
    test = set(split(records, SIZES, 0, barred)["test"])
    assert not test & (barred | {"r101"})


def test_leaking_group_is_caught(records):
    splits = split(records, SIZES, seed=0)
    by_id = {r.id: r for r in records}
    moved = next(key for key in splits["train"] if by_id[key].group.startswith("g3"))
    mutant = {**splits, "train": [key for key in splits["train"] if key != moved], "test": [*splits["test"], moved]}
    with pytest.raises(PolychromicError, match=f"leakage: group '{by_id[moved].group}'"):
        check_split(records, mutant, {**SIZES, "train": 50}, tolerance=1.0)


def test_leaking_prompt_and_near_duplicate_are_caught(records):
    splits = split(records, SIZES, seed=0)
    at = {key: name for name in SIZES for key in splits[name]}
    first = next(r for r in records if at.get(r.id) == "train")
    index = next(i for i, r in enumerate(records) if at.get(r.id) == "test")
    same = [*records[:index], records[index].model_copy(update={"prompt": first.prompt.lower()}), *records[index + 1 :]]
    with pytest.raises(PolychromicError, match="leakage: prompt "):
        check_split(same, splits, SIZES, tolerance=1.0)
    long = "alpha beta gamma delta epsilon zeta eta theta"
    near = [r.model_copy(update={"prompt": long}) if r.id == first.id else r for r in records]
    near[index] = records[index].model_copy(update={"prompt": long + " iota"})
    with pytest.raises(PolychromicError, match="leakage: near-duplicate prompts"):
        check_split(near, splits, SIZES, tolerance=1.0)


def test_lost_stratum_is_caught(records):
    splits = split(records, SIZES, seed=0)
    hard = {r.id for r in records if r.stratum == "hard"}
    mutant = {**splits, "dev": [key for key in splits["dev"] if key not in hard]}
    with pytest.raises(PolychromicError, match=r"dev: stratum 'hard' has a share of 0\.000, overall 0\.2"):
        check_split(records, mutant, {**SIZES, "dev": 1}, tolerance=0.1)


def test_barred_short_double_and_unknown_are_all_reported_at_once(records):
    splits = split(records, SIZES, seed=0)
    mutant = {**splits, "dev": [*splits["dev"][:5], "nobody", splits["train"][0]]}
    with pytest.raises(PolychromicError) as caught:
        check_split(records, mutant, SIZES, tolerance=1.0, barred={splits["test"][0]})
    unknown, double = "'nobody' is not in the data", "stands in dev and in train"
    for said in (unknown, double, "seen while the method was designed", "dev has 6 records, 20 are needed"):
        assert said in str(caught.value)


@pytest.mark.parametrize(
    ("sizes", "seed", "said"),
    [
        ({"train": 5, "dev": 5}, 0, "allowed: a positive number"),
        ({**SIZES, "dev": 0}, 0, "allowed: a positive number"),
        (SIZES, -1, "seed is -1"),
        ({**SIZES, "train": 600}, 0, "there are 160"),
    ],
)
def test_bad_parameters(records, sizes, seed, said):
    with pytest.raises(UsageError, match=said):
        split(records, sizes, seed)


def test_impossible_bar_is_reported(records):
    with pytest.raises(PolychromicError, match="split 'test' got 0 of 60"):
        split(records, SIZES, 0, barred={r.id for r in records})


def test_seen_categories(records):
    assert is_seen(record(1, prompt="Name one kind of vegetable."))
    assert not is_seen(record(1, prompt="Name one kind of root vegetable."))
    assert not is_seen(record(1, prompt="Name a country that no list names."))
    assert is_seen(record(1, prompt="Name a country in Africa.")), "a prompt of the earlier split"


def write_data(folder, records):
    (folder / "data").mkdir()
    text = "".join(json.dumps(r.model_dump()) + "\n" for r in records)
    (folder / "data" / "toy.jsonl").write_text(text, encoding="utf-8")


def test_stage_writes_the_same_bytes_whatever_the_hash_seed(tmp_path, records):
    found = []
    for hash_seed in ("1", "2"):
        folder = tmp_path / f"workspace{hash_seed}"
        folder.mkdir()
        write_data(folder, records if hash_seed == "1" else records[::-1])
        code = f"from polychromic.data.split import run; run('toy', {SIZES}, 5, 0.1)"
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": ROOT}
        subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, env=environment)
        found.append((folder / "results" / "toy" / "split.json").read_bytes())
    assert found[0] == found[1]
    assert json.loads(found[0])["seed"] == 5


def test_stage_writes_nothing_when_the_check_fails(tmp_path, monkeypatch, records):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path, records)
    with pytest.raises(PolychromicError, match="stratum"):
        run("toy", SIZES, 0, tolerance=0.0)
    assert not (tmp_path / "results").exists()
