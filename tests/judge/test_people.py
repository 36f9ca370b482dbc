"""People answer the same questions, in the terminal and in a CSV; their records are those of models."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from polychromic.base.errors import DataError, UsageError
from polychromic.base.visible import Terminal
from polychromic.judge import files, people, work
from polychromic.judge.people import Session, export_csv, import_csv, person
from polychromic.judge.results import Plan
from polychromic.judge.store import Store
from tests.judge.service import write_replies

ANNA = person("anna")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    a = write_replies(tmp_path / "sun.jsonl", lambda i, j: f"good {i}{j} [red]x[/red]\x1b[2J", 4)
    return files.plan(a, write_replies(tmp_path / "moon.jsonl", lambda i, j: f"=bad {i}{j}", 4), sets=2)


def play(plan: Plan, store: Store, keys: str) -> str:
    drawn = Terminal(file=StringIO(), width=100)
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        pipe.send_text(keys + "q")
        Session(plan, ANNA, store, drawn).run()
    return drawn.file.getvalue()


def read(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_answers_are_on_the_disk_and_the_session_goes_on_where_it_was(plan: Plan, tmp_path: Path):
    store = Store(tmp_path / "calls.jsonl")
    screen = play(plan, store, "1s2t")
    assert "3 of 8 questions answered" in screen and "sun" not in screen and "moon" not in screen and "\x1b" not in screen
    assert "␛[2J" in screen and "[red]x[/red]" in screen and "From which of these two sets of 2 would you rather choose a reply?" in screen
    again = Store(tmp_path / "calls.jsonl")
    verdicts = [one["reply"]["text"] for one in again.records.values()]
    assert [text.partition('"verdict": ')[2] for text in verdicts] == ['"first"}', '"second"}', '"tie"}']
    assert {(*ANNA, 0)} == {(one["request"]["provider"], one["request"]["model"], one["dollars"]) for one in again.records.values()}
    play(plan, again, "1")  # the one that was skipped
    last = list(again.records)[2]
    assert "4 of 8 questions answered" in play(plan, again, "b2b")
    assert len(again.records) == 4 and '"second"' in again[last]["reply"]["text"], "going back replaces an answer"


def test_a_persons_results_are_of_what_was_answered_and_agree_with_a_judge(plan: Plan, tmp_path: Path):
    store = Store(tmp_path / "calls.jsonl")
    asked = plan.asks(ANNA)
    store.extend(people.answer(plan, ANNA, one, "first" if one.first == "a" else "second") for one in asked[:5])
    ben = person("ben")
    store.extend(people.answer(plan, ben, one, "tie") for one in plan.asks(ben))
    document = work.score(plan, store, [], 0, 200)
    rows = {one["judge"]: one["contrasts"] for one in document["judges"]}
    assert sum(row["questions"] for row in rows["anna"]) == 5 and all(row["missing"] == {} for row in rows["anna"])
    assert [row["score"]["value"] for row in rows["anna"]] == [1.0, 1.0] and [row["tie"]["value"] for row in rows["ben"]] == [1.0, 1.0]
    assert all(row["consistency"]["both"] == 0 for row in rows["anna"])
    assert document["agreement"][-1]["n"] == 5 and document["agreement"][-1]["same"] == 0.0


def test_a_csv_goes_out_and_comes_back(plan: Plan, tmp_path: Path):
    path, store = tmp_path / "anna.csv", Store(tmp_path / "calls.jsonl")
    assert export_csv(plan, ANNA, path) == 8
    head, *rows = read(path)
    assert tuple(head) == people.COLUMNS and len(rows) == 8
    text = path.read_text()
    assert "sun" not in text and "moon" not in text and "\x1b" not in text
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row), "a spreadsheet computes none of it"
    for row, verdict in zip(rows, ("first", "2", " Tie ", "", "1"), strict=False):
        row[5], row[6] = verdict, "why, \"so\"\nand so"
    with path.open("w", newline="", encoding="utf-8-sig") as file:  # as spreadsheets save it
        csv.writer(file, delimiter=";").writerows([head, *rows])
    assert import_csv(plan, ANNA, path, store) == 4
    assert import_csv(plan, ANNA, path, store) == 4 and len(Store(tmp_path / "calls.jsonl").records) == 4, "twice is once"
    assert sum("why" in one["reply"]["text"] for one in store.records.values()) == 4


@pytest.mark.parametrize("edit, said", [
    (lambda rows: rows[2].__setitem__(5, "A"), r"anna\.csv:\d+: verdict 'a'"),
    (lambda rows: [rows[2].__setitem__(5, "tie"), rows[2].__setitem__(0, "0" * 64)], "question '000000000000' is none that anna was asked"),
    (lambda rows: rows[0].__setitem__(5, "answer"), r"anna\.csv:1: columns question, .*answer"),
    (lambda rows: rows.clear(), r"anna\.csv:1: columns none"),
])  # fmt: skip
def test_a_wrong_line_takes_nothing(plan: Plan, tmp_path: Path, edit, said: str):
    path, store = tmp_path / "anna.csv", Store(tmp_path / "calls.jsonl")
    export_csv(plan, ANNA, path)
    rows = read(path)
    rows[1][5] = "first"
    edit(rows)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(DataError, match=said):
        import_csv(plan, ANNA, path, store)
    assert store.records == {} and not store.path.exists()


def test_another_persons_file_a_missing_one_and_a_wrong_name(plan: Plan, tmp_path: Path):
    path, store = tmp_path / "ben.csv", Store(tmp_path / "calls.jsonl")
    export_csv(plan, person("ben"), path)
    rows = read(path)
    rows[1][5] = "tie"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(DataError, match="is none that anna was asked"):
        import_csv(plan, ANNA, path, store)
    with pytest.raises(UsageError, match=r"--import .*none\.csv: file not found"):
        import_csv(plan, ANNA, tmp_path / "none.csv", store)
    (tmp_path / "latin.csv").write_bytes(b"question,verdict\n\xe9,tie\n")
    with pytest.raises(DataError, match="not UTF-8"):
        import_csv(plan, ANNA, tmp_path / "latin.csv", store)
    for name in ("", "../anna", "anna ben", "a/b"):
        with pytest.raises(UsageError, match="--reviewer is"):
            person(name)


def test_without_a_terminal_it_says_what_to_do(plan: Plan, tmp_path: Path):
    with pytest.raises(UsageError, match="judge --people: .*--export and --import FILE.csv"):
        people.terminal(plan, ANNA, Store(tmp_path / "calls.jsonl"))


def test_nothing_to_ask_is_said(tmp_path: Path):
    same = [write_replies(tmp_path / f"{name}.jsonl", lambda i, j: "same", 2) for name in "ab"]
    plan = files.plan(*same)
    assert "No question: all pairs of replies are the same." in play(plan, Store(tmp_path / "calls.jsonl"), "1")


def test_an_export_takes_no_answers_away_and_every_length_comes_back(plan: Plan, tmp_path: Path):
    """A file that is there is left as it is; a field may be longer than csv's own limit."""
    store, path = Store(tmp_path / "calls.jsonl"), tmp_path / "anna.csv"
    export_csv(plan, ANNA, path)
    before = path.read_text()
    with pytest.raises(UsageError, match="is there already"):
        export_csv(plan, ANNA, path)
    assert path.read_text() == before
    rows = list(csv.DictReader(StringIO(before)))
    rows[0] |= {"verdict": "first", "rationale": "x" * 200_000}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    assert import_csv(plan, ANNA, path, store) == 1
