"""What is trusted is accepted in bulk: only what is undecided and passes, counted as unread, undone like any other."""

from __future__ import annotations

import pytest

from polychromic.base.errors import UsageError
from polychromic.base.io import read_json
from polychromic.data.records import read_records
from polychromic.yours.review import bulk
from polychromic.yours.review.log import Action, log_path, read_candidates, read_log
from polychromic.yours.review.results import export
from tests.yours.review.bench import candidate, write_candidates


def test_what_passes_and_is_undecided_is_accepted_and_said_to_be_unread(tmp_path):
    records = [candidate(i).model_copy(update={"stratum": "trusted" if i < 3 else "other"}) for i in range(5)]
    write_candidates(tmp_path, *records)
    candidates, path = read_candidates(tmp_path), log_path(tmp_path, "anna")
    names = [record.id for record in records]
    log = read_log(path, candidates, "anna")
    log.append(Action("reject", names[0], reason="spam"))
    log.append(Action("accept", names[4]))
    said = bulk.accept(candidates, tmp_path, "anna", "trusted")
    assert said.startswith("2 accepted that nobody read. 4 of 5 reviewed: 3 accepted (0 edited), 1 rejected, 1 undecided")
    summary = export(read_log(path, candidates), tmp_path / "out")
    assert summary["unread"] == 2 and summary["exported"] == 3 and read_json(tmp_path / "out" / "replies-review.json")["unread"] == 2
    assert {record.id for record in read_records(tmp_path / "out" / "replies.jsonl")} == {names[1], names[2], names[4]}
    again = read_log(path, candidates, "anna")
    again.append(Action("undo", again.undoable.id))
    assert again.counts()["undecided"] == 2
    for wanted, message in ((" , ", "--accept is empty"), ("no such text", "none of the undecided candidates passes. Allowed: strata")):
        with pytest.raises(UsageError, match=message):
            bulk.accept(candidates, tmp_path, "anna", wanted)


def test_the_command_needs_no_terminal(tmp_path, command):
    write_candidates(tmp_path, *map(candidate, range(3)))
    code, out, _ = command("review", str(tmp_path), "--accept", "undecided")
    assert code == 0 and out.startswith("3 accepted that nobody read")
