"""`polychromic review` without a terminal: exports, comparisons, and what it refuses."""

from __future__ import annotations

import json

import pytest
from tests.review.candidates import some, write_candidates

from polychromic.yours.review.log import open_log
from polychromic.yours.review.state import Action


@pytest.fixture
def command(command, monkeypatch, tmp_path):
    """Run the command line in this process, beside a folder `mine` of six candidates and two logs: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    candidates = write_candidates(tmp_path / "mine", list(some(6).values()))
    for reviewer, said in (("anna", "aarr"), ("ben", "araa")):
        _, writer = open_log(tmp_path / "mine", reviewer, candidates)
        for name, letter in zip(candidates.ids, said, strict=False):
            writer.append(Action("accept", name) if letter == "a" else Action("reject", name, "spam"))
        writer.close()
    return command


def test_the_export_says_how_many_were_reviewed(command, tmp_path):
    code, out, err = command("review", "mine", "--reviewer", "anna", "--export", "data")
    assert code == 0 and "wrote replies.jsonl and replies-review.json to data" in err
    assert "2 records, reviewed by anna" in out
    code, out, _ = command("review", "mine", "--reviewer", "anna", "--export", "data", "--json")
    summary = json.loads(out)
    assert summary == json.loads((tmp_path / "data" / "replies-review.json").read_text())
    counts = {name: summary[name] for name in ("candidates", "reviewed", "accepted", "edited", "rejected", "undecided", "exported")}
    assert counts == {"candidates": 6, "reviewed": 4, "accepted": 2, "edited": 0, "rejected": 2, "undecided": 2, "exported": 2}
    assert summary["reasons"] == {"spam": 2} and summary["reviewer"] == "anna"
    assert set(summary["made_from"]) == {"candidates.jsonl", "review-anna.jsonl"}


def test_agreement(command):
    logs = ["mine/review-anna.jsonl", "mine/review-ben.jsonl"]
    code, out, _ = command("review", "mine", "--agreement", *logs)
    assert code == 0 and "agreement 25.0%" in out and "Cohen's kappa -0.50" in out and "replies-001" in out
    code, out, _ = command("review", "mine", "--agreement", *logs, "--json")
    assert code == 0 and json.loads(out)["table"] == [[1, 1], [2, 0]]


def test_a_cut_line_is_said_and_does_not_change_the_export(command, tmp_path):
    export = ["review", "mine", "--reviewer", "anna", "--export"]
    command(*export, "one")
    with (tmp_path / "mine" / "review-anna.jsonl").open("a") as log:
        log.write('{"act": "acc')
    code, _, err = command(*export, "two")
    assert code == 0 and "the last line of the log was cut" in err
    for name in ("replies.jsonl", "replies-review.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "fragment"),
    [
        (["mine"], 2, "is not a terminal"),
        (["none"], 1, "none/candidates.jsonl: file not found"),
        (["mine", "--reviewer", "a/b", "--export", "x"], 2, "--reviewer is 'a/b'"),
        (["mine", "--export", "x"], 1, "review-reviewer.jsonl: file not found"),
        (["mine", "--json"], 2, "--json is for --export and --agreement"),
        (["mine", "--export", "x", "--agreement", "a", "b"], 2, "exclude each other"),
        (["mine", "--agreement", "a.jsonl", "b.jsonl"], 1, "a.jsonl: file not found"),
        (["mine", "--agreement", "a.jsonl"], 2, "requires 2 arguments"),
        (["mine", "--reviewer", "anna", "--agreement", "a.jsonl", "b.jsonl"], 2, "review --agreement makes no use of --reviewer."),
    ],
)
def test_what_is_refused(arguments, exit_code, fragment, command, tmp_path):
    code, out, err = command("review", *arguments)
    assert code == exit_code and out == "" and fragment in " ".join(err.split()) and "Traceback" not in err
    assert not (tmp_path / "x").exists()


def test_nothing_accepted_is_no_data_file(command, tmp_path):
    path = tmp_path / "mine" / "review-anna.jsonl"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    code, _, err = command("review", "mine", "--reviewer", "anna", "--export", "x")
    assert code == 1 and "none of 0 reviewed candidates is accepted" in " ".join(err.split()) and not (tmp_path / "x").exists()
