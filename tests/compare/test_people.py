"""Drafts to messages that many people answered, on tiny models and by hand."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from polychromic.base import paths
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import read_json, write_json, write_jsonl
from polychromic.compare import people
from polychromic.data.records import Record
from polychromic.score.people import human_ratio
from tests.workspace import make_models, small_params


def opener(name: str, replies: list[str]) -> Record:
    return Record(
        id=name, domain="replies", prompt=f"post {name}", references=replies, group=name, stratum="opener", checker="person",
        source="made", licence="MIT",
    )  # fmt: skip


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    make_models(tmp_path)
    return tmp_path


def twins(name: str, size: int = 22) -> Record:
    """Each reply has one twin under the same message; chrF of any other two is 0."""
    start = 0x4E00 + 4000 * ord(name[-1])
    texts = ["".join(chr(start + 8 * i + j) for j in range(8)) for i in range(size // 2)]
    return opener(name, [text for text in texts for _ in range(2)])


def answers(label: str, seed: int, records: list[Record], drafts) -> list[dict]:
    return [{"label": label, "seed": seed, "id": record.id, "samples": drafts(record)} for record in records]


def by_k(curve: list[dict]) -> dict[int, float]:
    return {at["k"]: at["value"] for at in curve}


@pytest.mark.usefixtures("workspace")
def test_summary_by_hand():
    """Each person has one twin among 21 others. Drafts that repeat one reply match two of 22 people, whatever k; strangers none."""
    records = [twins("a"), twins("b")]
    same, nobody = (lambda record: [record.references[0]] * 20), (lambda record: [f"{record.id} draft {i}" for i in range(20)])
    rows = answers("lora", 0, records, same) + answers("lora", 1, records, nobody) + answers("polychromic", 0, records, same)
    found = people.summarise(small_params(), rows, records, 0.5)
    humans, lora, ours = found["people"], found["systems"]["lora"], found["systems"]["polychromic"]
    assert (found["n_prompts"], found["drafts"], found["targets"], lora["seeds"]) == (2, 10, 10, [0, 1])
    assert by_k(humans["human_recall"]) == pytest.approx({k: k / 21 for k in (1, 3, 5, 10)})
    assert by_k(ours["human_recall"]) == pytest.approx(dict.fromkeys((1, 3, 5, 10), 2 / 22))
    assert by_k(lora["human_recall"]) == pytest.approx(dict.fromkeys((1, 3, 5, 10), 1 / 22)), "mean over seeds"
    # one of two twins is among ten of 22 that are held out: 1 - C(20, 10) / C(22, 10), over the splits that were drawn
    assert by_k(ours["pass"])[1] == by_k(ours["pass"])[10] == pytest.approx(1 - comb(20, 10) / comb(22, 10), abs=0.1)
    assert by_k(lora["pass"])[10] == pytest.approx(by_k(ours["pass"])[10] / 2), "the same splits for every system"
    for side in (humans, lora, ours):
        assert set(by_k(side["floor"]["human_recall"]).values()) == set(by_k(side["floor"]["pass"]).values()) == {0}
    assert ours["above_floor"]["value"] == pytest.approx(2 / 22)
    assert ours["ratio"]["value"] == pytest.approx(1 / found["human_collision"])
    (pair,) = found["contrasts"]
    assert (pair["a"], pair["b"]) == ("polychromic", "lora") and pair["low"] <= pair["value"] <= pair["high"]
    assert pair["value"] == pytest.approx(ours["ratio"]["value"] - lora["ratio"]["value"])


@pytest.mark.usefixtures("workspace")
def test_drafts_that_say_what_people_say_elsewhere_are_the_floor():
    """Of three messages, the drafts to one repeat what people said to the next."""
    records = [twins("a"), twins("b"), twins("c")]
    after = {"a": records[1], "b": records[2], "c": records[0]}
    rows = answers("lora", 0, records, lambda record: [after[record.id].references[0]] * 20)
    system = people.summarise(small_params(), rows, records, 0.5)["systems"]["lora"]
    assert by_k(system["human_recall"])[10] == 0 and by_k(system["floor"]["human_recall"])[10] == pytest.approx((2 / 22 + 0) / 2)
    assert system["above_floor"]["value"] < 0 and system["above_floor"]["high"] < 0


@pytest.mark.usefixtures("workspace")
def test_a_summary_repeats_to_the_digit_and_knows_no_order_of_rows():
    records = [twins("a"), twins("b")]
    rows = answers("lora", 0, records, lambda record: [*record.references[:3], *(f"draft {i}" for i in range(17))])
    rows += answers("rft", 1, records, lambda record: [f"{record.id} {i}" for i in range(20)])
    assert people.summarise(small_params(), rows, records, 0.5) == people.summarise(small_params(), rows[::-1], records, 0.5)


@pytest.mark.usefixtures("workspace")
def test_all_systems_are_put_beside_people_at_the_headlines_weight():
    """Two messages with 22 human replies each, answered by every system, polychromic at the weights of its grid."""
    records = [twins("a"), twins("b")]
    write_jsonl("data/replies.jsonl", [record.model_dump() for record in records])
    splits = {"train": [], "dev": [], "test": [], "calibration": ["a", "b"]}
    write_json("results/replies/split.json", {"domain": "replies", "seed": 0, "splits": splits})
    write_json(paths.calibration_file("replies"), {"threshold": 0.5})
    params = small_params()
    for cell in params.cells("replies", "calibration"):
        drafts = ["same"] * 10 if cell.lam == 0.3 else [f"{cell.name} {i}" for i in range(10)]
        rows = [{"seed": 0, "temperature": 1.0, "split": "calibration", "id": name, "samples": drafts} for name in "ab"]
        write_jsonl(paths.cell_dir("replies", "calibration", cell.name) / paths.SAMPLES, rows)
    people.compare_people(params, "replies")
    found = read_json(paths.compare_file("replies", "calibration"))
    assert found["systems"].keys() == set(params.replies.people) and found["temperature"] == 1.0
    assert found["systems"]["polychromic"]["ratio"]["value"] < 1 / found["human_collision"]
    gone = paths.cell_dir("replies", "calibration", "rft") / paths.SAMPLES
    gone.unlink()
    with pytest.raises(PolychromicError, match=r"rft/samples.jsonl.gz: the cell was not sampled"):
        people.compare_people(params, "replies")


def test_a_domain_with_a_checker_has_no_such_messages(workspace):
    write_json(paths.calibration_file("listqa"), None)
    with pytest.raises(UsageError, match="no person-match"):
        people.compare_people(small_params(), "listqa")


def test_the_ratio_of_means_and_its_interval():
    model, human = np.array([0.4, 0.6, 0.8]), np.array([0.2, 0.3, 0.4])
    exact = human_ratio(model, human, np.random.default_rng(0))
    assert tuple(exact.values()) == pytest.approx((2, 2, 2)), "proportional: every draw has the same ratio"
    wide = human_ratio(np.array([0.1, 0.9, 0.5, 0.3]), np.full(4, 0.5), np.random.default_rng(0))
    assert wide["value"] == pytest.approx(0.9) and wide["low"] < 0.9 < wide["high"]


def test_a_difference_of_ratios_is_paired_by_message():
    """Messages differ far more than the two systems do: each alone has a wide interval, their difference a narrow one."""
    rng = np.random.default_rng(0)
    human = np.full(40, 0.5)
    b = rng.uniform(0.2, 0.8, 40)
    a = b + 0.05 + rng.normal(0, 0.01, 40)
    alone = [human_ratio(x, human, np.random.default_rng(1)) for x in (a, b)]
    paired = human_ratio(a - b, human, np.random.default_rng(1))
    assert alone[0]["low"] < alone[1]["high"], "the intervals overlap"
    assert paired["value"] == pytest.approx(alone[0]["value"] - alone[1]["value"]) and 0.08 < paired["low"] < paired["high"] < 0.12
