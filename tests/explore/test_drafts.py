"""Stage `drafts`: which prompts and drafts it keeps, what is valid, and that a kept file is the same twice."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import dumps, read_json, read_jsonl, write_jsonl
from polychromic.data.domains import get_domain
from polychromic.data.records import Record, load_split, read_records
from polychromic.explore import drafts as stage
from polychromic.provenance.lock import md5_of
from polychromic.score.people import Calibration
from tests.explore.toy import HOSTILE
from tests.workspace import REPOSITORY, listqa_record


@pytest.fixture
def kept(workspace) -> dict:
    return read_json(paths.drafts_file("listqa", "dev"))


def test_every_point_of_the_first_prompts_and_the_chosen_ones_of_the_others(kept):
    chosen = read_json(paths.choices_file("listqa"))["chosen"]
    whole, rest = kept["prompts"][: stage.WHOLE], kept["prompts"][stage.WHOLE :]
    assert rest and all(len(one["rows"]) == 8 * 6 for one in whole), "eight systems, six temperatures"
    for one in rest:
        assert {label: t for label, t, *_ in one["rows"]} == chosen
    assert {one["id"] for one in kept["prompts"]} == {record.id for record in load_split("listqa")["dev"]}
    assert kept["n"] == 10 and f"first {stage.WHOLE} with every temperature" in kept["chosen"]


def test_drafts_marks_and_groups_are_those_of_the_domain(kept):
    rules, records = get_domain("listqa"), {record.id: record for record in load_split("listqa")["dev"]}
    samples = {row["id"]: row["samples"] for _, row in read_jsonl(paths.cell_dir("listqa", "dev", "lora") / paths.SAMPLES)
               if row["seed"] == 0 and row["temperature"] == 0.6}  # fmt: skip
    for one in kept["prompts"][: stage.WHOLE]:
        record = records[one["id"]]
        ((places, count),) = ((mine, n) for label, t, mine, n in one["rows"] if (label, t) == ("lora", 0.6))
        assert [one["texts"][place] for place in places] == samples[one["id"]]
        assert sum(one["valid"][place] == "1" for place in places) == count
        for text, mark, group in zip(one["texts"], one["valid"], one["group"], strict=True):
            assert (mark == "1") == (rules.answer(record, text) is not None)
            same = [other for other, its in zip(one["texts"], one["group"], strict=True) if its == group]
            assert {rules.key(record, other) for other in same} == {rules.key(record, text)}
    assert any(HOSTILE in one["texts"] for one in kept["prompts"])


def test_how_many_drafts_are_valid_is_counted_over_all_seeds(kept):
    counts = [round(10 * row["metrics"]["pass@1"]) for _, row in read_jsonl(paths.scores_file("listqa", "dev"))
              if row["method"] == "lora" and row["temperature"] == 0.4]  # fmt: skip
    assert kept["passed"]["lora"]["0.4"] == [counts.count(c) for c in range(max(counts) + 1)]
    assert sum(kept["passed"]["lora"]["0.4"]) == 2 * 8 and len(counts) == 16


def test_where_they_are_from_is_said(kept):
    of_lora = kept["cells"]["lora"]
    assert of_lora == {"cell": "lora", "file": "results/listqa/dev/lora/samples.jsonl.gz", "md5": md5_of(Path(of_lora["file"])), "seed": 0}
    assert kept["cells"]["polychromic"]["cell"] == "polychromic-3.0" and kept["cells"]["polychromic@0.3"]["cell"] == "polychromic-0.3"


def test_the_same_twice_and_another_seed_other_prompts_first(workspace, params, monkeypatch):
    path = paths.drafts_file("listqa", "dev")
    before = path.read_bytes()
    assert stage.write_drafts(params, "listqa", "dev") == path and path.read_bytes() == before
    first = lambda document: [one["id"] for one in document["prompts"]]
    other = params.model_copy(update={"split": params.split.model_copy(update={"seed": 5})})
    assert first(stage.drafts(other, "listqa", "dev")) != first(json.loads(gzip.decompress(before)))


def test_a_file_stays_below_its_limit_and_a_draft_below_its_own(workspace, params, monkeypatch):
    monkeypatch.setattr(stage, "LIMIT", 6_000)
    monkeypatch.setattr(stage, "LONGEST", 5)
    found = stage.drafts(params, "listqa", "dev")
    assert 1 <= len(found["prompts"]) < 8 and sum(len(dumps(one).encode()) for one in found["prompts"]) <= 6_000
    texts = {text for one in found["prompts"] for text in one["texts"]}
    assert HOSTILE[:5] + "…" in texts and "stone" in texts and max(map(len, texts)) == 6
    monkeypatch.setattr(stage, "LIMIT", 1)
    assert len(stage.drafts(params, "listqa", "dev")["prompts"]) == 1, "one prompt at least"


def test_where_the_evaluation_asks_a_model_what_no_row_decides_stays_open():
    kept = [True, True, False, True, True]
    all_of_them, none, some = ["a", 1.0, [0, 0, 2], 2], ["b", 1.0, [3, 2], 0], ["c", 1.0, [4, 1, 2], 1]
    assert stage.verdicts(kept, [all_of_them, none, some]) == "1?00?"
    assert stage.verdicts(kept, [["d", 1.0, [0, 1, 2], None]]) == "??0??", "no scores"
    assert stage.verdicts([False], []) == "0"


def one_prompt(domain: str, record: Record, texts: list[str], calibration: Calibration | None = None) -> dict:
    drawn = {("lora", 1.0): {record.id: texts}}
    return stage._prompt(record, drawn, drawn, stage.Scored({("lora", 1.0, 0, record.id): 1}, {"lora": 0}), get_domain(domain), calibration)


def test_what_matches_a_person_is_valid_and_near_duplicates_are_one_group():
    post = listqa_record(0, domain="replies", checker="person", valid=[], references=["I love hiking in the hills with my dog."])
    texts = ["I love hiking in the hills with my dogs.", "I love hiking in the hills with my dogs!!", "No idea.", ""]
    found = one_prompt("replies", post, texts, Calibration(0.5, 0.1, 0.01, 1.0, 0.1, 2, 30))
    assert (found["valid"], found["group"]) == ("1100", [0, 0, 1, 2])
    assert stage._said(get_domain("replies"), Calibration(0.5, 0.1, 0.01, 1.0, 0.1, 2, 30)).endswith("(chrF above 0.5)")


def test_of_sentences_the_scores_say_which_of_those_that_keep_the_rules_are_valid():
    record = listqa_record(0, domain="creative", valid=["dog dogs", "run ran running runs"])
    good, other = "The old dog ran along the quiet river.", "Her dog runs quickly over green hills."
    assert one_prompt("creative", record, [good, "dog run"])["valid"] == "10", "as many keep the rules as the scores counted"
    assert one_prompt("creative", record, [good, other])["valid"] == "??"
    assert "also asks a model" in stage._said(get_domain("creative"), None)


def test_right_programs_that_do_the_same_are_one_group():
    record = next(one for one in read_records(REPOSITORY / "data" / "code.jsonl") if len(one.references) > 1)
    same = f"{record.references[0]}\n"
    found = one_prompt("code", record, [record.references[0], same, "def f(x): return 'no'", "not a program ("])
    assert found["valid"] == "1100" and found["group"][0] == found["group"][1] and len(set(found["group"])) == 3


def test_a_cell_without_a_prompt_or_without_samples_is_an_error(workspace, params):
    path = paths.cell_dir("listqa", "dev", "lora") / paths.SAMPLES
    rows = [row for _, row in read_jsonl(path)]
    missing = rows[0]["id"]
    write_jsonl(path, [row for row in rows if row["id"] != missing])
    with pytest.raises(PolychromicError, match=f"lora at temperature .* has no samples of {missing}. Run `dvc repro`."):
        stage.drafts(params, "listqa", "dev")
    for label in ("zero_shot", "few_shot", "lora_2c", "rft", "polychromic_1c", "polychromic-0.3", "polychromic-3.0"):
        other = paths.cell_dir("listqa", "dev", label) / paths.SAMPLES
        write_jsonl(other, [row for _, row in read_jsonl(other) if row["id"] != missing])
    assert missing not in {one["id"] for one in stage.drafts(params, "listqa", "dev")["prompts"]}, "nobody was asked"
    write_jsonl(path, [])
    with pytest.raises(PolychromicError, match="no samples. Run `dvc repro`."):
        stage.drafts(params, "listqa", "dev")


def test_the_command_writes_both_splits(workspace, command):
    for split in ("dev", "test"):
        paths.drafts_file("listqa", split).unlink()
    code, out, _ = command("drafts", "listqa")
    assert code == 0 and out.split() == [paths.drafts_file("listqa", split).as_posix() for split in ("dev", "test")]
    code, _, err = command("drafts", "listqa", "--split", "calibration")
    assert code == 2 and "Allowed: dev, test." in err
