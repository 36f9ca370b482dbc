"""Recorded programs judged again: a verdict that is another one now is named with its row and its programs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from benchmarks import verdicts
from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, read_jsonl, write_json, write_jsonl
from polychromic.data.code import build
from tests.workspace import REPOSITORY

RIGHT, WRONG, ENDLESS = "def f(x):\n    return abs(x)", "def f(x): return x", "def f(x):\n    while True: pass"
TASK = "code-absolute"


@pytest.fixture
def cells(tmp_path, monkeypatch) -> list[str]:
    """A workspace with one task, sampled on dev at two temperatures and on test; the score of the last row is wrong. Its cells."""
    monkeypatch.chdir(tmp_path)
    for folder in ("data", verdicts.RESULTS):
        (tmp_path / folder).mkdir(parents=True)
    write_jsonl(paths.data_file("code"), [record.model_dump() for record in build() if record.id == TASK])
    write_json(paths.split_file("code"), {"splits": {"train": [], "dev": [TASK], "test": [], "calibration": []}})
    of = lambda temperature, **more: {"id": TASK, "seed": 0, "temperature": temperature, **more}
    score = lambda temperature, share: of(temperature, method="lora", metrics={"pass@1": share}) | {"lambda": None}
    sampled = [
        of(0.5, samples=[RIGHT, WRONG, f"```\n{RIGHT}\n```", "no program"]),
        of(1.0, samples=[ENDLESS, RIGHT.replace("x", "y"), WRONG, WRONG]),
    ]
    for split, rows, shares in (("dev", sampled, {0.5: 0.5, 1.0: 0.5}), ("test", sampled[:1], {0.5: 0.5})):
        write_jsonl(paths.cell_dir("code", split, "lora") / paths.SAMPLES, rows)
        write_jsonl(paths.scores_file("code", split), [score(*pair) for pair in shares.items()])
    known = ["lora"]
    cell = lambda name: SimpleNamespace(name=name, method=name, lam=None)
    monkeypatch.setattr(verdicts, "load_params", lambda: SimpleNamespace(cells=lambda domain, split: map(cell, known)))
    return known


def test_each_program_is_judged_once_and_a_changed_row_is_named_with_its_programs(cells, monkeypatch):
    judged, answer = [], verdicts.DOMAIN.answer
    monkeypatch.setattr(verdicts.DOMAIN, "answer", lambda record, reply: judged.append(reply) or answer(record, reply), raising=False)
    verdicts.main(["--pairs", "pairs.jsonl"])
    found = read_json(verdicts.RESULTS / "verdicts.json")
    assert [found[name] for name in ("rows", "replies", "pairs", "right")] == [3, 12, 5, 2] and len(judged) == 5
    (row,) = found["changed"]
    assert (row["split"], row["cell"], row["temperature"], row["recorded"], row["right"], row["replies"]) == ("dev", "lora", 1.0, 2, 1, 4)
    assert row["programs"] == {ENDLESS: False, RIGHT.replace("x", "y"): True, WRONG: False}
    pairs = [line for _, line in read_jsonl("pairs.jsonl")]
    assert sorted(line["right"] for line in pairs) == [False] * 3 + [True] * 2 and pairs == sorted(pairs, key=lambda line: line["program"])


def test_a_row_without_a_score_is_an_error_that_names_it(cells):
    cells.append("rft")
    write_jsonl(paths.cell_dir("code", "dev", "rft") / paths.SAMPLES, [{"id": TASK, "seed": 0, "temperature": 0.5, "samples": [RIGHT]}])
    with pytest.raises(PolychromicError, match=r"rft/samples.jsonl.gz:1: no score in .*scores.jsonl.gz. Run `dvc pull`"):
        verdicts.main([])
    assert not (verdicts.RESULTS / "verdicts.json").exists()


def test_the_data_sheet_says_what_was_found_and_nothing_where_none_were_judged():
    path, sheet = REPOSITORY / verdicts.RESULTS / "verdicts.json", " ".join((REPOSITORY / "DATA.md").read_text(encoding="utf-8").split())
    if not path.exists():
        assert "were judged again" not in sheet and "`make verdicts` judges all recorded pairs of task and program again" in sheet
        return
    found = read_json(path)
    assert found["changed"] == [] and f"All {found['pairs']:,} recorded pairs of task and program were judged again" in sheet
