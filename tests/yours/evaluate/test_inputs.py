"""Files of replies: what is read, and one clear message for each way in which a file can be wrong."""

from __future__ import annotations

import gzip
import json

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.yours.evaluate.evaluate import Asked, compare
from polychromic.yours.evaluate.inputs import other_prompts, read_systems
from tests.workspace import listqa_record, write_listqa
from tests.yours.evaluate.conftest import GOOD, evaluate, write
from tests.yours.evaluate.conftest import compare as compare_files

LANGUAGES = {"samples": ["C++", "c++.", "C", "C#"], "valid": ["C++", "C#"]}


@pytest.mark.parametrize(("changes", "answers"), [
    ({}, ("red", "red", "blue", None)), ({"valid": [True, True, False, True]}, ("red", "red", None, "stone")),
    (LANGUAGES, ("c++", "c++", None, "c#")),
    ({"valid": []}, None),  # on every line: not known, and not four wrong replies
    ({"valid": None}, None),
])  # fmt: skip
def test_valid_replies_in_the_form_in_which_two_are_one_answer(changes, answers, tmp_path):
    (system,) = read_systems([write(tmp_path / "mine.jsonl", GOOD | changes, GOOD | changes | {"id": "b"})])
    assert (system.name, system.n, list(system.prompts), system.seeds) == ("mine", 4, ["a", "b"], [0])
    assert system.rows[0, "a"].answers == answers and system.first.references is None


def test_one_file_or_several_may_hold_systems_temperatures_and_seeds(tmp_path):
    rows = [GOOD | {"system": s, "temperature": t, "seed": seed} for s, t in (("lora", 0.5), ("lora", 1.0), ("base", 1)) for seed in (0, 1)]
    systems = read_systems([write(tmp_path / "x.jsonl", *rows)])
    assert [(s.name, s.seeds) for s in systems] == [("lora@T=0.5", [0, 1]), ("lora@T=1", [0, 1]), ("base", [0, 1])]
    files = [write(tmp_path / f"{t}.jsonl", GOOD | {"system": "lora", "temperature": t}) for t in (0.5, 1)]
    systems = read_systems(files)
    assert [(s.name, s.label, s.temperature) for s in systems] == [("lora@T=0.5", "lora", 0.5), ("lora@T=1", "lora", 1)]


@pytest.mark.parametrize(("rows", "fragments"), [
    ([{"id": "a", "prompt": "p", "sample": ["x"]}],
     ["x.jsonl:1: no column 'samples'; found: 'id', 'prompt', 'sample'", "Add it, or rename what is meant"]),
    ([GOOD, "{not json"], ["x.jsonl:2: not JSON"]), ([{"prompt": 3, "samples": ["x"]}], ["x.jsonl:1: prompt is 3"]),
    ([{"prompt": 3}], ["x.jsonl:1: no column 'samples'"]), ([{"samples": ["x"]}], ["x.jsonl:1: no column 'prompt'"]),
    ([GOOD | {"samples": "red"}], ["x.jsonl:1: samples is 'red'", "a list of one or more texts"]),
    ([GOOD | {"samples": []}], ["samples is []"]), ([GOOD | {"samples": ["red", 3]}], ["samples is ['red', 3]"]),
    ([GOOD, GOOD], ["x.jsonl:2: id 'a' was already used at", "x.jsonl:1"]),
    ([GOOD | {"valid": [True]}], ["valid is [True]", "one boolean for each of 4 samples"]),
    ([GOOD | {"valid": ["red", True]}], ["valid is ['red', True]", "a list of booleans, one per sample, or a list of right answers"]),
    ([GOOD, GOOD | {"id": "b", "valid": []}], ["x.jsonl:2: 'b' has 4 samples, 'a'", "booleans that are all false"]),
    ([GOOD, GOOD | {"id": "b", "samples": ["red"]}], ["x.jsonl:2: 'b' has 1 samples, valid, 'a' at", "x.jsonl:1 has 4 samples"]),
    ([GOOD, GOOD | {"id": "b", "references": ["x"]}], ["x.jsonl:2: 'b' has 4 samples, valid, references, 'a' at"]),
    ([GOOD, GOOD | {"id": "b", "seed": 1}], ["no line for id 'b' with seed 0"]),
    ([GOOD | {"seed": "0"}], ["seed is '0'", "a whole number"]), ([GOOD | {"temperature": True}], ["temperature is True", "a number"]),
    ([GOOD | {"temperature": -1}], ["temperature is -1", "of 0 or more"]), ([GOOD | {"temperature": -0.5}], ["is -0.5", "of 0 or more"]),
    (['{"id": "a", "prompt": "p", "samples": ["ok"], "temperature": NaN}'], ["x.jsonl:1: the line cannot be written again (Out"]),
    ([GOOD | {"system": ""}], ["system is ''", "text that is not empty"]), ([GOOD | {"id": ""}], ["id is ''"]),
    ([GOOD | {"valid": ["red", " "]}], ["valid is ['red', ' ']", "texts that are not empty"]),
    ([GOOD | {"references": ["a red one", ""]}], ["x.jsonl:1: references is ['a red one', '']"]),
    ([GOOD | {"references": []}], ["references is []", "a list of one or more texts"]),
    (['{"id": "a", "prompt": "p", "samples": ["ok \\ud83d"]}'], ["x.jsonl:1: the line cannot be written again ('utf-8' codec"]),
    ([], ["x.jsonl: the file holds no line"]),
])  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(rows, fragments, tmp_path):
    with pytest.raises(PolychromicError) as error:
        read_systems([write(tmp_path / "x.jsonl", *rows)])
    for fragment in (*fragments, "" if "not JSON" in fragments[0] else "Allowed: "):
        assert fragment in str(error.value)


def test_files_that_cannot_be_read(tmp_path):
    path = write(tmp_path / "x.jsonl", *(GOOD | {"id": f"q{i}"} for i in range(16)))
    path.write_bytes(path.read_bytes() + b'{"id": "q\xff"}\n')
    (tmp_path / "b").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "evaluation.json").write_text('{"systems": [{}]}')
    twice = [write(folder / "y.jsonl", GOOD) for folder in (tmp_path, tmp_path / "b")]
    for paths, said in (
        ([path], r"x\.jsonl:17: invalid UTF-8"), ([tmp_path / "nosuch.jsonl"], r"nosuch\.jsonl: file not found"),
        ([tmp_path], r"the folder holds no evaluation\.json"), ([tmp_path / "damaged"], "no evaluation.json that names systems"),
        (twice, "system 'y' was read before"),
    ):  # fmt: skip
        with pytest.raises(PolychromicError, match=said):
            read_systems(paths)


def test_systems_are_compared_on_the_same_prompts_only(tmp_path):
    one, same = (write(tmp_path / f"{name}.jsonl", GOOD, GOOD | {"id": "b"}) for name in ("one", "same"))
    two = write(tmp_path / "two.jsonl", GOOD, GOOD | {"id": "c"})
    hue = write(tmp_path / "hue.jsonl", GOOD | {"prompt": "Name a hue."}, GOOD | {"id": "b"})
    assert other_prompts(*read_systems([one, same])) == ""
    note = "'one' and 'two' answer different prompts (1 of 'one' that 'two' lacks, such as 'b'; 1 of 'two' that 'one' lacks, such as 'c')"
    assert other_prompts(*read_systems([one, two])) == note
    assert "1 of 'one' that 'hue' lacks, such as 'a'; 1 of 'hue' that 'one' lacks, such as 'a'" in other_prompts(*read_systems([one, hue]))
    for other in (two, hue):
        with pytest.raises(PolychromicError, match="answer different prompts .*Allowed: the same prompts under the same ids"):
            compare(read_systems([same, one, other]), Asked())


def test_the_pipelines_own_replies_get_prompts_and_answers_from_the_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_listqa(tmp_path)
    record, cell = listqa_record(0), tmp_path / "results" / "listqa" / "dev" / "lora"
    cell.mkdir(parents=True)
    row = {"id": record.id, "samples": [record.valid[0], "nothing"], "seed": 0, "temperature": 1.0, "finished": [True, True]}
    with gzip.open(cell / "samples.jsonl.gz", "wt") as file:
        file.write(json.dumps(row) + "\n")
    (system,) = read_systems([cell.relative_to(tmp_path) / "samples.jsonl.gz"])
    assert (system.name, system.first.prompt, system.first.references) == ("lora", record.prompt, record.references)
    assert [answer is not None for answer in system.first.answers] == [True, False]
    with gzip.open(cell / "samples.jsonl.gz", "wt") as file:
        file.write(json.dumps(row | {"id": "gone"}) + "\n")
    with pytest.raises(PolychromicError, match=r"samples.jsonl.gz:1: id 'gone' is not in data/listqa.jsonl"):
        read_systems([cell / "samples.jsonl.gz"])


def test_an_id_is_optional_and_columns_may_be_called_otherwise(tmp_path, monkeypatch):
    """Two files without ids are paired by their prompts, in whatever order."""
    monkeypatch.chdir(tmp_path)
    rows = [{"question": f"Ask {i}.", "outputs": ["red", "blue"], "valid": ["red"]} for i in range(3)]
    one, other = write(tmp_path / "one.jsonl", *rows), write(tmp_path / "other.jsonl", *reversed(rows))
    result = compare_files(one, other, more="--columns prompt=question,samples=outputs --metrics pass@1")
    assert result.exit_code == 0, result.exception
    assert evaluate(one, more="--columns prompt=question,samples=outputs --metrics pass@1", out=tmp_path / "out").exit_code == 0
    kept = json.loads((tmp_path / "out" / "samples-one.jsonl").read_text().splitlines()[0])  # under our names, for the next reader
    assert kept == {"prompt": "Ask 0.", "samples": ["red", "blue"], "valid": ["red"], "system": "one"}
    assert compare_files(tmp_path / "out", other.rename(tmp_path / "x.jsonl"), more="--metrics pass@1").exit_code == 1  # x has other names
    for columns, message in (("samples=answers", "no column 'answers', which --columns names"), ("reply=outputs", "--columns has")):
        assert message in str(compare_files(one, other, more=f"--columns {columns}").exception)
