"""Which cells a hash draws, what an audit expects to cost, and intervals where bytes cannot be compared. Reruns: test_tampering.py."""

import gzip
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import read_json, read_jsonl, write_json, write_jsonl
from polychromic.pipeline.workspace import workspace_environment
from polychromic.provenance import audit as audits
from polychromic.provenance import intervals
from polychromic.provenance.audit import choose, drawn, plan, population, within_reach
from polychromic.provenance.declared import Declared
from polychromic.provenance.intervals import check_comparable, within
from polychromic.provenance.rerun import lines, run
from polychromic.provenance.state import State
from polychromic.report.audit import AuditedCell, AuditedOut

REPO = Path(__file__).resolve().parents[2]
NAMES = [f"lora@{number}" for number in range(20)]


@pytest.fixture(scope="module")
def here() -> State:
    return State(REPO)


def test_the_draw_is_a_function_of_its_seed():
    assert drawn(NAMES, "a", 3) == drawn(NAMES[::-1], "a", 3) and len(set(drawn(NAMES, "a", 3))) == 3
    assert drawn(NAMES, "a", 5)[:3] == drawn(NAMES, "a", 3)
    assert len({tuple(drawn(NAMES, str(seed), 1)) for seed in range(40)}) > 8
    assert drawn(NAMES, "a", 99) != NAMES and sorted(drawn(NAMES, "a", 99)) == sorted(NAMES)


def test_only_what_trains_or_samples_is_drawn(here):
    cells = population(here)
    assert "lora@listqa-lora" in cells and "openers@replies-lora" in cells
    assert not [name for name in cells if name.startswith(("split", "score", "report", "paper"))]
    (one,) = choose(here, 1, [], "text")
    assert one in cells and choose(here, 1, [], "text") == [one]


def test_cells_that_take_this_processor_days_are_drawn_only_where_there_are_no_others(here, monkeypatch):
    monkeypatch.setattr("polychromic.provenance.audit.fast_bfloat16", lambda: True)
    assert within_reach(here) == population(here)
    monkeypatch.setattr("polychromic.provenance.audit.fast_bfloat16", lambda: False)
    slow = {name for name in population(here) if here.declared[name].cmd.split()[3] != "sample-test"}
    assert here.params.sampling.precision == "bfloat16" and here.params.for_test("code").sampling.precision == "float32"
    assert set(within_reach(here)) == (set(population(here)) - slow or slow)
    assert set(choose(here, 2, [], "text")) <= set(within_reach(here))


def test_a_stage_may_be_named(here):
    assert choose(here, 1, ["split@listqa", "split@listqa", "compare@code"], None) == ["split@listqa", "compare@code"]
    with pytest.raises(UsageError, match="'split@poems' is no stage that has run. Allowed: split@listqa"):
        choose(here, 1, ["split@poems"], None)


def test_without_a_commit_a_text_is_asked_for(repository, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(repository.parent))
    (repository / ".git").rename(repository / "git")
    with pytest.raises(UsageError, match="--seed-from TEXT"):
        choose(State(repository), 1, [], None)


def test_the_plan_says_minutes_and_where_they_are_from(here):
    trained, prompted, other = plan(here, ["lora@listqa-lora", "prompted@listqa-zero_shot", "split@listqa"])
    assert trained.minutes > prompted.minutes > 0 and "timings on" in trained.basis
    assert (other.minutes, other.kind, trained.kind) == (None, "stage", "cell")


def rows(*values: float, **changes) -> list[dict]:
    base = {"method": "lora", "lambda": None, "split": "dev", "temperature": 0.5}
    return [base | changes | {"metrics": {"pass@1": value}} for value in values]


COMPARE = {
    "split": "dev",
    "systems": [
        {"method": "lora", "lambda": None, "temperature": 0.5, "metrics": {"pass@1": {"mean": 0.5, "low": 0.4, "high": 0.6}}},
        {"method": "polychromic", "lambda": 3.0, "temperature": 0.5, "metrics": {"pass@1": {"mean": 0.9, "low": 0.8, "high": 1.0}}},
    ],
}


def test_a_mean_is_within_its_interval_or_not():
    others = rows(9.0, split="test") + rows(9.0, method="polychromic", **{"lambda": 3.0}) + rows(9.0, temperature=1.0)
    (mean,) = within(COMPARE, "lora", None, rows(0.3, 0.5) + others)
    assert (mean.mean, mean.low, mean.high, mean.within) == (0.4, 0.4, 0.6, True)
    (mean,) = within(COMPARE, "lora", None, rows(0.2, 0.5) + others)
    assert not mean.within
    with pytest.raises(PolychromicError, match="The results have no gem at weight None"):
        within(COMPARE, "gem", None, rows(0.2))


def recorded(here: State, name: str) -> Path:
    """Where the bytes of a result of `creative` are, here or in the store."""
    return here.place(here.made[f"results/creative/{name}"])


@pytest.mark.parametrize("scale", [1, 2])
def test_a_cell_of_test_stands_beside_the_intervals_of_test(here, tmp_path, monkeypatch, scale):
    """The recorded scores give the recorded means, which lie in their intervals; twice as high ones do not."""
    stage = here.declared["sample_test_others@creative-few_shot"]
    scores = [row for _, row in read_jsonl(recorded(here, "test-scores.jsonl.gz")) if row["method"] == "few_shot"]

    def score(words, target):
        assert words[-2:] == ["creative", "few_shot"] and target == tmp_path
        changed = [row | {"metrics": {metric: scale * value for metric, value in row["metrics"].items()}} for row in scores]
        write_jsonl(target / "results" / "creative" / "test-scores.jsonl.gz", changed)
        return True

    monkeypatch.setattr(intervals, "run", score)
    found = intervals.means(here, stage, tmp_path)
    (system,) = (one for one in read_json(recorded(here, "test.json"))["systems"] if one["label"] == "few_shot")
    assert {one.metric: one.mean for one in found} == pytest.approx({m: scale * v["mean"] for m, v in system["metrics"].items()})
    assert [one.within for one in found if one.metric.startswith("pass")] == [scale == 1] * 4


def test_a_cell_of_another_machine_is_to_be_compared_by_intervals(here):
    out = AuditedOut(path="a", expected="1", got="2")
    cell = AuditedCell(stage="sample_test@listqa-lora", kind="cell", commit="c", cpu="A", compared="bytes", equal=False, minutes=1.0, outs=[out])
    assert "this is A; what is recorded comes from NVIDIA H200, torch 2.11.0. Compare with --intervals." in audits.remedy(here, cell)
    same = cell.model_copy(update={"cpu": "NVIDIA H200"})
    assert "dvc repro --force --single-item sample_test@listqa-lora" in audits.remedy(here, same)
    assert audits.remedy(here, cell.model_copy(update={"equal": True})) == ""


def test_what_gives_no_samples_has_no_means():
    check_comparable(Declared("lora@listqa-lora", "lora", "python -m polychromic cell listqa lora"))
    check_comparable(Declared("sample_test@listqa-lora", "sample_test", "python -m polychromic sample-test listqa lora"))
    with pytest.raises(UsageError, match="--intervals makes no use of split@listqa"):
        check_comparable(Declared("split@listqa", "split", "python -m polychromic split listqa"))


def test_entries_of_other_outs_are_dropped(here, tmp_path):
    """The paper must not count a cell that was run again for results that are no longer there."""
    out = here.made["results/listqa/split.json"]
    cell = {"stage": "split@listqa", "kind": "stage", "commit": "abc", "cpu": "x", "compared": "bytes", "equal": True, "minutes": 1.0}
    entry = lambda md5: cell | {"outs": [{"path": out.path, "expected": md5, "got": md5, "rows": 3, "rows_equal": 3}]}
    for md5, kept in ((out.md5, ["split@listqa"]), ("0" * 32, [])):
        write_json(tmp_path / "audit.json", {"population": 1, "cells": [entry(md5)]})
        state = State(REPO)
        state.__dict__["made"] = here.made
        earlier = audits.earlier(state, tmp_path / "audit.json")
        assert [one.stage for one in earlier.cells] == kept


def test_an_audit_of_nothing_counts_the_cells(here, tmp_path):
    assert audits.audit(here, [], out=tmp_path / "audit.json") == []
    assert read_json(tmp_path / "audit.json")["population"] == len(population(here))


def test_a_command_that_fails_is_no_result(tmp_path, capfd):
    (tmp_path / "target").mkdir()
    assert run("echo said && false", tmp_path / "target") is False
    assert run("true", tmp_path / "target") is True
    assert "said" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux to end the child")
def test_a_stage_dies_with_the_audit(tmp_path):
    """kill -9 leaves no second writer: the stage that was running ends, too."""
    mark = tmp_path / "pid"
    (tmp_path / "target").mkdir()
    stage = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    begin = "import sys; from pathlib import Path; from polychromic.provenance.rerun import run"
    starter = f"{begin}; run([sys.executable, '-c', {stage!r}], Path('target'))"
    parent = subprocess.Popen([sys.executable, "-c", starter], cwd=tmp_path, env=workspace_environment(REPO))
    try:
        until = time.monotonic() + 120
        while not (mark.exists() and mark.read_text()) and time.monotonic() < until:
            time.sleep(0.1)
        child = psutil.Process(int(mark.read_text()))
        parent.kill()
        parent.wait()
        assert child not in psutil.wait_procs([child], timeout=20)[1]
    finally:
        parent.kill()


def test_lines_of_packed_and_broken_files(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"1\n2\n"))
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"1\n2\n")[:-9])
    (tmp_path / "c").write_bytes(b"1\n2\n")
    assert lines(tmp_path / "a.gz") == lines(tmp_path / "c") == [b"1", b"2"] and lines(tmp_path / "b.gz") is None
