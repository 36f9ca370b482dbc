"""Files of replies: what is read, and one clear message for each way in which a file can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.yours.evaluate.inputs import common_ids, other_prompts, read_systems

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


def test_temperatures_of_one_system_may_stand_in_several_files(tmp_path):
    files = [write(tmp_path / f"{t}.jsonl", GOOD | {"system": "lora", "temperature": t}) for t in (0.5, 1)]
    systems = read_systems(files)
    assert [(s.name, s.label, s.temperature) for s in systems] == [("lora@T=0.5", "lora", 0.5), ("lora@T=1", "lora", 1)]


def test_empty_lists_of_answers_on_every_line_say_nothing_about_what_is_right(tmp_path):
    (system,) = read_systems([write(tmp_path / "x.jsonl", GOOD | {"valid": []}, GOOD | {"id": "b", "valid": []})])
    assert system.first.answers is None, "not four wrong replies"


def test_an_empty_list_of_answers_on_some_lines_could_mean_two_things(tmp_path):
    path = write(tmp_path / "x.jsonl", GOOD, GOOD | {"id": "b", "valid": []})
    with pytest.raises(DataError, match=r"x.jsonl:2: valid is \[\], and not on other lines.*booleans that are all false"):
        read_systems([path])


def test_answers_that_differ_in_a_symbol_are_different_answers(tmp_path):
    row = {"id": "a", "prompt": "Name a language.", "samples": ["C++", "c++.", "C", "C#"], "valid": ["C++", "C#"]}
    (system,) = read_systems([write(tmp_path / "x.jsonl", row)])
    assert system.first.answers == ("c++", "c++", None, "c#")


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
        ([{"id": "a", "prompt": "p", "responses": ["x"]}], ["x.jsonl:1: no column 'samples'", "Did you mean 'responses'?"]),
        ([GOOD | {"seed": "0"}], ["seed is '0'"]),
        ([GOOD | {"temperature": True}], ["temperature True"]),
        ([GOOD | {"system": ""}], ["system ''"]),
        ([GOOD | {"valid": ["red", " "]}], ["valid holds an empty text"]),
        ([GOOD | {"references": ["a red one", ""]}], ["x.jsonl:1: references holds an empty text"]),
        (['{"id": "a", "prompt": "p", "samples": ["ok \\ud83d"]}'], ["x.jsonl:1: samples holds \\ud83d, half of a character"]),
        (['{"id": "a", "prompt": "p", "samples": ["ok"], "temperature": NaN}'], ["temperature nan"]),
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


def test_systems_of_other_prompts_are_named_with_the_prompts(tmp_path):
    one = write(tmp_path / "one.jsonl", GOOD, GOOD | {"id": "b"})
    same = write(tmp_path / "same.jsonl", GOOD, GOOD | {"id": "b"})
    other = write(tmp_path / "other.jsonl", GOOD | {"prompt": "Name a hue."}, GOOD | {"id": "c"})
    assert other_prompts(read_systems([one, same])) == []
    (note,) = other_prompts(read_systems([one, same, other]))
    assert "'one' and 'other' answer different prompts" in note and "do not compare their means" in note
    for part in ("1 of 'one' that 'other' lacks, such as 'b'", "1 of 'other' that 'one' lacks, such as 'c'", "other text, such as 'a'"):
        assert part in note


def test_a_path_that_does_not_exist_and_a_folder_without_an_evaluation(tmp_path):
    with pytest.raises(PolychromicError, match="nosuch.jsonl: no such file or folder"):
        read_systems([tmp_path / "nosuch.jsonl"])
    with pytest.raises(PolychromicError, match="the folder holds no evaluation.json"):
        read_systems([tmp_path])
