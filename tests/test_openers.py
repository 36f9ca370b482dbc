"""Drafts to messages that many people answered, on tiny models and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from polychromic import openers
from polychromic.data.records import Record
from polychromic.errors import PolychromicError, UsageError
from polychromic.io import read_json, read_jsonl, write_json, write_jsonl
from polychromic.metrics.person import human_ratio
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


@pytest.mark.usefixtures("workspace")
def test_summary_by_hand():
    """Drafts that repeat one human reply are twice as alike as people who say two things; they match half of the people."""
    records = [opener("a", ["red cat sat", "zzz qqq"]), opener("b", ["blue dog ran", "vvv www"])]
    rows = [
        {"label": "lora", "seed": seed, "id": record.id, "samples": [record.references[0]] * 12} for seed in (0, 1) for record in records
    ]
    found = openers.summarise(small_params(), rows, records, 0.5)
    system = found["systems"]["lora"]
    assert (system["human_recall"], system["pass"], system["seeds"]) == (0.5, 1.0, [0, 1])
    assert system["ratio"]["value"] == pytest.approx(1 / found["human_collision"])
    assert found["n_prompts"] == 2 and system["ratio"]["low"] <= system["ratio"]["value"] <= system["ratio"]["high"]


@pytest.fixture
def answered(workspace):
    """Two messages with two human replies each, answered by every system."""
    records = [opener("a", ["red cat sat", "zzz qqq"]), opener("b", ["blue dog ran", "vvv www"])]
    others = [opener(f"t{i}", ["me"]) for i in range(6)]
    write_jsonl(workspace / "data/replies.jsonl", [record.model_dump() for record in [*records, *others]])
    splits = {"train": [record.id for record in others], "dev": [], "test": [], "calibration": ["a", "b"]}
    write_json(workspace / "results/replies/split.json", {"domain": "replies", "seed": 0, "splits": splits})
    write_json(workspace / "results/replies/calibration.json", {"threshold": 0.5})
    return workspace


def test_a_cell_answers_each_message_with_each_seed_and_again_to_the_byte(answered):
    path = answered / "results/replies/few_shot/openers.jsonl.gz"
    openers.run(small_params(), "replies", "few_shot", None, path)
    rows = [row for _, row in read_jsonl(path)]
    assert [(row["seed"], row["id"]) for row in rows] == [(0, "a"), (0, "b")] and all(len(row["samples"]) == 10 for row in rows)
    before = path.read_bytes()
    openers.run(small_params(), "replies", "few_shot", None, path)
    assert path.read_bytes() == before


def test_all_systems_are_put_beside_people(answered):
    for method in openers.SYSTEMS:
        cell = "polychromic-3.0" if method == "polychromic" else method
        rows = [{"seed": 0, "id": name, "samples": [f"{name} {i}" for i in range(10)]} for name in "ab"]
        write_jsonl(answered / f"results/replies/{cell}/openers.jsonl.gz", rows)
    openers.beside(small_params(), "replies")
    found = read_json(answered / "results/replies/openers.json")
    assert found["systems"].keys() == set(openers.SYSTEMS) and found["temperature"] == 1.0
    (answered / "results/replies/rft/openers.jsonl.gz").unlink()
    with pytest.raises(PolychromicError, match=r"rft/openers.jsonl.gz: the messages were not answered"):
        openers.beside(small_params(), "replies")


def test_a_domain_with_a_checker_has_no_such_messages(workspace):
    write_json(workspace / "results/listqa/calibration.json", None)
    with pytest.raises(UsageError, match="no person-match"):
        openers.beside(small_params(), "listqa")


def test_the_ratio_of_means_and_its_interval():
    model, human = np.array([0.4, 0.6, 0.8]), np.array([0.2, 0.3, 0.4])
    exact = human_ratio(model, human, np.random.default_rng(0))
    assert (exact.value, exact.low, exact.high) == pytest.approx((2, 2, 2)), "proportional: every draw has the same ratio"
    wide = human_ratio(np.array([0.1, 0.9, 0.5, 0.3]), np.full(4, 0.5), np.random.default_rng(0))
    assert wide.value == pytest.approx(0.9) and wide.low < 0.9 < wide.high


@pytest.mark.parametrize(("model", "human"), [([0.1], [0.1]), ([0.1, 0.2], [0.1, -0.2]), ([0.1, np.nan], [0.1, 0.2]), ([0.1, 0.2], [0.1])])
def test_a_ratio_that_does_not_exist_is_an_error(model, human):
    with pytest.raises(PolychromicError, match="human ratio"):
        human_ratio(np.array(model), np.array(human), np.random.default_rng(0))
