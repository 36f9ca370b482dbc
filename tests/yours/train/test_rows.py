"""Rows to train on: every shape and format that is read, what is refused with its place, and a split without leaks."""

from __future__ import annotations

import json

import datasets
import pandas as pd
import pytest

from polychromic.base.errors import DataError, PolychromicError, UsageError
from polychromic.yours.train.rows import parse_columns, read_rows, shared_prompts, split, text_of

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Name a fruit."}]
REPLY = [{"role": "assistant", "content": "fig"}]


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def pairs(rows):
    return [(example["prompt"], example["completion"]) for example in rows.examples]


@pytest.mark.parametrize(("row", "prompt", "completions"), [
    ({"prompt": "Name a fruit.", "completion": " fig\n"}, "Name a fruit.", ["fig"]),
    ({"prompt": CHAT, "completion": REPLY}, CHAT, ["fig"]), ({"messages": CHAT + REPLY}, CHAT, ["fig"]),
    ({"prompt": CHAT, "completion": "fig"}, CHAT, ["fig"]),
    ({"messages": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ho"}]}, [{"role": "user", "content": "hi"}], ["ho"]),
    ({"prompt": "Name a fruit.", "references": ["fig", "plum"]}, "Name a fruit.", ["fig", "plum"]),
])  # fmt: skip
def test_every_shape_of_a_row_becomes_prompt_and_completion(row, prompt, completions, tmp_path):
    found = read_rows(write(tmp_path / "rows.jsonl", row))
    assert pairs(found) == [(prompt, completion) for completion in completions]
    assert found.examples[0]["row"]["references"] == completions and found.examples[0]["where"].endswith("rows.jsonl:1")


ROWS = [{"prompt": f"Say {i}.", "completion": f"word {i}", "id": str(i)} for i in range(3)]


def test_formats_of_the_same_rows_are_the_same_data(tmp_path):
    frame = pd.DataFrame(ROWS)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "folder")
    datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}).save_to_disk(tmp_path / "both")
    expected = read_rows(write(tmp_path / "rows.jsonl", *ROWS))
    for name in ("rows.csv", "rows.parquet", "rows.json", "folder", "both"):
        found = read_rows(tmp_path / name)
        assert pairs(found) == pairs(expected) and found.sha256 == expected.sha256, name
    assert read_rows(write(tmp_path / "other.jsonl", *ROWS[:2])).sha256 != expected.sha256


def test_lists_in_csv_are_read_as_json(tmp_path):
    pd.DataFrame([{"messages": json.dumps(CHAT + REPLY), "valid": '["fig", "plum"]'}]).to_csv(tmp_path / "rows.csv", index=False)
    found = read_rows(tmp_path / "rows.csv")
    assert pairs(found) == [(CHAT, "fig")] and found.examples[0]["row"]["valid"] == ["fig", "plum"]


def test_columns_are_mapped_and_what_is_inside_a_column_too(tmp_path):
    path = write(tmp_path / "rows.jsonl", {"q": {"text": "Name a fruit."}, "a": "fig", "extra": 7})
    found = read_rows(path, parse_columns("prompt=q.text, completion=a"))
    assert pairs(found) == [("Name a fruit.", "fig")] and found.examples[0]["row"]["extra"] == 7
    message = r"rows.jsonl:1: no column 'b', which --columns names for completion. Allowed: one of 'q', 'a', 'extra'"
    with pytest.raises(DataError, match=message):
        read_rows(path, parse_columns("prompt=q.text,completion=b"))


@pytest.mark.parametrize("text", ["prompt", "prompt=", "question=prompt", "prompt=a,prompt=b"])
def test_a_mapping_that_names_nothing_of_ours_is_refused(text):
    with pytest.raises(UsageError, match="--columns has "):
        parse_columns(text)


def test_other_rows_replies_to_a_prompt_are_its_references_and_repeats_are_one(tmp_path):
    one, other = {"prompt": "Name a fruit.", "completion": "fig"}, {"prompt": "Name a fruit.", "completion": "plum"}
    found = read_rows(write(tmp_path / "rows.jsonl", one, other, one))
    assert pairs(found) == [("Name a fruit.", "fig"), ("Name a fruit.", "plum")]
    assert [example["row"]["references"] for example in found.examples] == [["fig", "plum"]] * 2
    assert found.notes == ["1 of 3 pairs of prompt and completion stand there more than once; each is taken once"]


@pytest.mark.parametrize(("row", "message"), [
    ({"text": "once upon"}, r"rows.jsonl:2: columns 'text'. Allowed: prompt with completion .* --columns prompt=YOURS"),
    ({"prompt": "a"}, "rows.jsonl:2: no completion and no references"), ({"prompt": "a", "completion": " "}, "completion is ' '"),
    ({"prompt": 3, "completion": "a"}, "prompt is 3"), ({"prompt": "a", "completion": 3}, "completion is 3"),
    ({"prompt": [{"role": "user"}], "completion": "a"}, "prompt holds"), ({"messages": CHAT}, r"messages end with \['system', 'user'\]"),
    ({"prompt": "a", "completion": REPLY}, "prompt is a text and completion a chat"),
    ({"prompt": CHAT + REPLY, "completion": "a"}, "the prompt does not end with something to reply to"),
    ({"prompt": "a", "completion": "b", "valid": "c"}, "valid is 'c'"), ({"prompt": "a", "completion": "b", "weight": 0}, "weight is 0"),
])  # fmt: skip
def test_a_row_that_cannot_be_trained_on_is_refused_with_its_place(row, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_rows(write(tmp_path / "rows.jsonl", ROWS[0], row))


@pytest.mark.parametrize("extra", ['"\\ud800"', "[NaN]", '{"a": Infinity}'])
def test_what_json_has_not_is_refused_with_its_line(extra, tmp_path):
    (tmp_path / "rows.jsonl").write_text(f'{{"prompt": "a", "completion": "b", "other": {extra}}}\n')
    with pytest.raises(DataError, match=r"rows.jsonl:1: the row cannot be written as JSON \(.*Allowed: texts, finite numbers"):
        read_rows(tmp_path / "rows.jsonl")


def test_files_that_hold_no_rows_are_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "one.json").write_text("{}")
    for name, message in (("empty.jsonl", "holds no row"), ("gone.jsonl", "no such file"), ("gone.json", "no such file"),
                          ("rows.xlsx", "not a format"), ("folder", "no dataset"), ("one.json", "a JSON dict")):  # fmt: skip
        with pytest.raises(PolychromicError, match=message):
            read_rows(tmp_path / name)


def test_a_split_keeps_equal_and_nearly_equal_prompts_together_and_depends_on_the_seed_alone(tmp_path):
    subjects = ["the tides of the northern sea", "a violin maker's glue", "copper roofs turning green", "why geese fly in a wedge",
                "sourdough in a cold kitchen", "a chess opening for children", "moss between paving stones", "the sound of old lifts",
                "packing for a desert night", "ink that fades in daylight"]  # fmt: skip
    rows = [{"prompt": f"Explain {s}.", "completion": f"{i} {j}"} for i, s in enumerate(subjects) for j in range(3)]
    rows += [{"prompt": f"Explain {subjects[0]}!", "completion": "near"}]
    examples = read_rows(write(tmp_path / "rows.jsonl", *rows)).examples
    train, dev = split(examples, 0.2, 0)
    assert len(train) + len(dev) == len(examples) and len({text_of(e["prompt"]) for e in dev}) == 2 and shared_prompts(train, dev) == 0
    near = {text_of(e["prompt"]) for e in examples if subjects[0] in text_of(e["prompt"])}
    assert len(near) == 2 and any(near <= {text_of(e["prompt"]) for e in part} for part in (train, dev))
    assert split(list(reversed(examples)), 0.2, 0)[1] == list(reversed(dev)) and split(examples, 0.2, 1)[1] != dev
    assert split(examples, 0.0, 0) == (examples, [])
    with pytest.raises(PolychromicError, match="the rows cannot be split: 1 prompts"):
        split(examples[:3], 0.2, 0)
