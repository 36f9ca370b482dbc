"""Files of replies: what is read, and one clear message for each way in which a file can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polychromic.errors import PolychromicError
from polychromic.oneoff.inputs import common_ids, read_systems

GOOD = {"id": "a", "prompt": "Name a colour.", "samples": ["Red.", "red", "blue", "stone"], "valid": ["red", "blue", "green"]}


def write(path: Path, *rows: dict | str) -> Path:
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows), encoding="utf-8"
    )
    return path


def test_valid_answers_are_matched_after_normalisation(tmp_path):
    (system,) = read_systems([write(tmp_path / "mine.jsonl", GOOD)])
    row = system.rows[0, "a"]
    assert (system.name, system.n, system.ids, system.seeds) == ("mine", 4, ["a"], [0])
    assert row.answers == ("red", "red", "blue", None) and row.references is None


def test_booleans_say_which_samples_are_valid_and_equal_texts_are_one_answer(tmp_path):
    (system,) = read_systems([write(tmp_path / "x.jsonl", GOOD | {"valid": [True, True, False, True]})])
    assert system.rows[0, "a"].answers == ("red", "red", None, "stone")


def test_one_file_may_hold_systems_temperatures_and_seeds(tmp_path):
    rows = [GOOD | {"system": s, "temperature": t, "seed": seed} for s, t in (("lora", 0.5), ("lora", 1.0), ("base", 1)) for seed in (0, 1)]
    systems = read_systems([write(tmp_path / "x.jsonl", *rows)])
    assert [(s.name, s.seeds) for s in systems] == [("lora@T=0.5", [0, 1]), ("lora@T=1", [0, 1]), ("base", [0, 1])]


def test_an_empty_list_of_answers_means_that_nothing_is_right(tmp_path):
    (system,) = read_systems([write(tmp_path / "x.jsonl", GOOD | {"valid": []})])
    assert system.rows[0, "a"].answers == (None,) * 4


@pytest.mark.parametrize(
    ("rows", "fragments"),
    [
        (
            [{"id": "a", "prompt": "p", "sample": ["x"]}],
            ["x.jsonl:1: no column 'samples'; found: 'id', 'prompt', 'sample'", "Did you mean 'sample'?"],
        ),
        ([{"id": "a", "text": "p", "samples": ["x"]}], ["x.jsonl:1: no column 'prompt'", "Add it"]),
        ([GOOD, "{not json"], ["x.jsonl:2: not JSON"]),
        ([GOOD | {"samples": "red"}], ["x.jsonl:1: samples is 'red'", "a list of one or more texts"]),
        ([GOOD | {"samples": []}], ["samples is []"]),
        ([GOOD | {"samples": ["red", 3]}], ["samples is ['red', 3]"]),
        ([GOOD, GOOD], ["x.jsonl:2: id 'a' was already used at", "x.jsonl:1"]),
        ([GOOD | {"valid": [True]}], ["valid has 1 booleans for 4 samples"]),
        ([GOOD | {"valid": ["red", True]}], ["valid is ['red', True]", "a list of booleans, one per sample, or a list of right answers"]),
        ([GOOD, GOOD | {"id": "b", "samples": ["red"]}], ["x.jsonl:2: 'b' has 1 samples, 'a' at", "has 4", "equally many"]),
        ([GOOD, {"id": "b", "prompt": "p", "samples": ["x"] * 4}], ["x.jsonl:2: no valid, which", "x.jsonl:1 has"]),
        ([GOOD, GOOD | {"id": "b", "seed": 1}], ["no line for id 'b' with seed 0"]),
        ([GOOD | {"seed": "0"}], ["seed is '0'"]),
        ([GOOD | {"id": ""}], ["id is ''"]),
        ([], ["x.jsonl: the file holds no line"]),
    ],
)
def test_what_is_wrong_is_named_with_its_line(rows, fragments, tmp_path):
    with pytest.raises(PolychromicError) as error:
        read_systems([write(tmp_path / "x.jsonl", *rows)])
    for fragment in fragments:
        assert fragment in str(error.value)


def test_invalid_utf_8_is_named_with_its_line(tmp_path):
    path = write(tmp_path / "x.jsonl", *(GOOD | {"id": f"q{i}"} for i in range(16)))
    path.write_bytes(path.read_bytes() + b'{"id": "q\xff"}\n')
    with pytest.raises(PolychromicError, match=r"x.jsonl:17: invalid UTF-8"):
        read_systems([path])


def test_two_files_of_one_name_are_refused(tmp_path):
    (tmp_path / "b").mkdir()
    with pytest.raises(PolychromicError, match="system 'x' was read before"):
        read_systems([write(tmp_path / "x.jsonl", GOOD), write(tmp_path / "b" / "x.jsonl", GOOD)])


def test_systems_are_compared_on_the_same_prompts_only(tmp_path):
    one = write(tmp_path / "one.jsonl", GOOD, GOOD | {"id": "b"})
    two = write(tmp_path / "two.jsonl", GOOD, GOOD | {"id": "c"})
    systems = read_systems([one, two])
    with pytest.raises(PolychromicError, match="'one' has 1 prompts that others lack, such as 'b', which 'two' has not.*--common"):
        common_ids(systems, common=False)
    assert common_ids(systems, common=True) == ["a"]
    other = read_systems([one, write(tmp_path / "three.jsonl", GOOD | {"prompt": "Name a fruit."})])
    with pytest.raises(PolychromicError, match="id 'a' stands for different prompts"):
        common_ids(other, common=True)
    with pytest.raises(PolychromicError, match="share no id"):
        common_ids(read_systems([one, write(tmp_path / "four.jsonl", GOOD | {"id": "z"})]), common=True)
