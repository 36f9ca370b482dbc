"""Which cells a hash draws, what they are expected to take, what comes out when a stage runs again, and intervals where bytes differ."""

import json
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import psutil
import pytest

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import read_json, write_jsonl
from polychromic.pipeline.stages import Stage
from polychromic.pipeline.workspace import workspace_environment
from polychromic.provenance import audit as audits
from polychromic.provenance import rerun
from polychromic.provenance.audit import SOURCE, audit, choose, drawn, expected, foreseen, plan, population, remedy, within_reach
from polychromic.provenance.lock import Lock, md5_of, stored
from polychromic.provenance.verify import verify
from polychromic.provenance.workspace import Workspace
from tests.provenance.conftest import CELLS, COMPARE, DATA, REPO, SPLIT, STAGES, archive, commit, git, keep, put, ran, samples

OTHERWISE = {"equal": False, "compared": "bytes", "cpu": "Z"}
NAMES = [f"lora@{number}" for number in range(20)]
LORA, PROMPTED, TEST = "tuned-dev@listqa-lora", "prompted-dev@listqa-zero_shot", "tuned-test@listqa-lora"
POLY = ["polychromic-dev-listqa@0.3", "polychromic-dev-listqa@3.0"]
SCORES, SCORED = "results/listqa/dev/scores.jsonl.gz", "score-dev-listqa"
STEP_COST, SAMPLER = "benchmarks/results/step_cost-listqa.json", "benchmarks/results/sampler.json"


@pytest.fixture
def here(repository, monkeypatch) -> Workspace:
    """With timings; stages are run in a copy of the repository's sources."""
    put(repository, {name: (REPO / name).read_bytes() for name in (STEP_COST, SAMPLER)})

    @contextmanager
    def laboratory(here: Workspace):
        target = archive(here.folder, here.folder.parent / "workspace")
        yield target
        shutil.rmtree(target)

    monkeypatch.setattr(audits, "laboratory", laboratory)
    return Workspace(repository)


def test_the_draw_is_a_function_of_its_seed():
    assert drawn(NAMES, "a", 5)[:3] == drawn(NAMES, "a", 3) == drawn(NAMES[::-1], "a", 3)
    assert len({tuple(drawn(NAMES, str(seed), 1)) for seed in range(40)}) > 8
    assert drawn(NAMES, "a", 99) != NAMES and sorted(drawn(NAMES, "a", 99)) == sorted(NAMES)


def test_only_what_trains_or_samples_is_drawn_and_any_stage_may_be_named(here):
    assert population(here) == sorted(cell.name for cell in CELLS)
    (one,) = choose(here, 1, [], "text")
    assert one in population(here) and choose(here, 1, [], "text") == [one] and choose(here, 0, [], None) == []
    assert choose(here, 1, ["split@listqa", "split@listqa", "compare-dev"], None) == ["split@listqa", "compare-dev"]
    (here.folder / ".git").rename(here.folder / "git")
    with pytest.raises(UsageError, match="--seed-from TEXT"):
        choose(here, 1, [], None)


def test_cells_that_take_this_processor_days_are_drawn_only_where_there_are_no_others(here, monkeypatch):
    monkeypatch.setattr(audits, "fast_bfloat16", lambda: True)
    assert within_reach(here) == population(here)
    monkeypatch.setattr(audits, "fast_bfloat16", lambda: False)
    assert here.params.sampling.precision == "bfloat16" and here.params.on("listqa", "test").sampling.precision == "float32"
    assert within_reach(here) == [name for name in population(here) if "-test@" in name]
    monkeypatch.setattr(type(here.params), "on", lambda self, domain, split: self)
    assert within_reach(here) == population(here)


def test_a_cell_takes_its_steps_and_its_tokens(here):
    lora, prompted, test = (expected(here, STAGES[name]) for name in (LORA, PROMPTED, TEST))
    step = read_json(here.folder / STEP_COST)["variants"]["lora"]["mean_seconds"]
    assert list(lora.training.values()) == pytest.approx([here.params.listqa.steps * step] * len(here.params.seeds))
    assert prompted.training == {} and prompted.sampling == lora.sampling > 0
    assert lora.minutes == round((lora.sampling + sum(lora.training.values())) / 60, 1)
    others = [expected(here, STAGES[name]).training.keys() for name in POLY]
    assert not lora.training.keys() & (test.training.keys() | others[0] | others[1]) and not others[0] & others[1], "test trains anew"
    assert len(test.training) == len(here.params.cell("listqa", "test", "lora").seeds)
    like = lambda method: Stage("x", "x", CELLS[0].cmd, {"domain": "listqa", "split": "dev", "method": method})
    of = lambda method: expected(here, like(method)).training.keys()
    assert of("lora_min_p") <= of("lora") and not of("rft") & of("lora") and not of("lora_long") & of("lora"), "what decodes otherwise"


def test_the_plan_says_minutes_and_where_they_are_from(here):
    found = plan(here, [LORA, PROMPTED, "split@listqa"])
    trained, prompted, other = found["stages"]
    assert trained["minutes"] > 0 == prompted["minutes"] and "timings on" in trained["basis"] and found["minutes"] is None
    assert (other["minutes"], other["basis"]) == (None, "not measured") and plan(here, [LORA])["minutes"] == trained["minutes"]
    (here.folder / SAMPLER).unlink()
    assert plan(here, [LORA])["stages"][0]["basis"] == "no timings in benchmarks/results/"


def test_what_all_takes_is_foreseen_with_each_adapter_once(here, monkeypatch):
    alone = [expected(here, cell) for cell in CELLS]
    shared = {key: value for one in alone for key, value in one.training.items()}
    hours = (sum(shared.values()) + sum(one.sampling for one in alone)) / 3600
    assert f"about {hours / 2:.1f} hours for training and sampling, 2 at a time (of one core: dev " in foreseen(2, here.folder)
    twice = [*CELLS, Stage("again", "tuned-dev", CELLS[1].cmd, CELLS[1].axes, (), {samples("dev", "again"): True}, {})]
    monkeypatch.setattr("polychromic.pipeline.stages.stages", lambda root: {stage.name: stage for stage in twice})
    assert " 1 cell that never ran or that nobody timed" in foreseen(2, here.folder)
    (here.folder / STEP_COST).unlink()
    assert "not known: no timings in benchmarks/results/ are of cells that have run. 8 cells" in foreseen(2, here.folder)


def stages_with(monkeypatch, here: Workspace, **commands: str) -> Workspace:
    """The same with other commands, as if they had run."""
    changed = {name: replace(stage, cmd=commands.get(stage.group, stage.cmd)) for name, stage in STAGES.items()}
    monkeypatch.setattr("polychromic.pipeline.stages.stages", lambda root: changed)
    ran(here.folder, changed)
    return Workspace(here.folder)


SPLITTING = f"mkdir -p results/listqa && test -s {DATA} && printf 'a\\nb\\nc\\n' > {SPLIT}"


def test_an_honest_stage_comes_out_the_same_and_a_forged_one_does_not(here, monkeypatch):
    """Entries of other outs are dropped: the paper must not count a cell that was run again for results that are no longer there."""
    for content, equal in (("a\nb\nc\n", True), ("a\nx\nc\n", False)):
        put(here.folder, {SPLIT: content})
        here = stages_with(monkeypatch, here, split=SPLITTING)
        assert audit(here, []) == [] and read_json(here.folder / SOURCE) == {"population": 7, "cells": []}
        (cell,) = audit(here, ["split@listqa"], among=3)
        assert (cell.equal, cell.kind, cell.among) == (equal, "stage", 3) and cell.outs[0].expected == md5_of(here.folder / SPLIT)
        assert ("dvc repro --force --single-item split@listqa" in remedy(cell)) is not equal
        assert audit(here, []) == [] and read_json(here.folder / SOURCE)["cells"] == [cell.model_dump(mode="json")]


def test_a_stage_that_fails_and_inputs_that_are_not_to_be_had(here, monkeypatch, capfd):
    here = stages_with(monkeypatch, here, split="echo said && false")
    (cell,) = audit(here, ["split@listqa"])
    assert not cell.equal and cell.outs[0].got is None and "The stage failed" in remedy(cell) and "said" in capfd.readouterr().err
    shutil.rmtree(here.folder / "store")
    data = (here.folder / DATA).read_bytes()
    put(here.folder, {DATA: "other\n"})
    with pytest.raises(PolychromicError, match=rf"{DATA}: dvc.lock has md5 \w+, and neither the file here nor store/ has it.*dvc pull"):
        audit(Workspace(here.folder), ["split@listqa"])
    shutil.rmtree(here.folder.parent / "workspace")
    put(here.folder, {DATA: data, "polychromic/train/trainer.py": "loss = 2\n"})
    commit(here.folder, "Code")
    with pytest.raises(PolychromicError, match=r"polychromic/train is not what tuned-dev@listqa-lora ran with"):
        audit(Workspace(here.folder), [LORA])


@pytest.mark.parametrize(("value", "equal"), [(0.24, True), (0.9, False)])
def test_a_cell_of_another_machine_is_scored_beside_the_recorded_ones(here, monkeypatch, value, equal):
    """Its mean lies in the interval of compare.json or not; the other cells are those that dvc.lock records."""
    about, mine = {"method": "lora", "lambda": None, "temperature": 0.5}, samples("dev", "lora")
    compared = {"split": "dev", "systems": [about | {"metrics": {"pass@1": {"mean": 0.242, "low": 0.2, "high": 0.3}}}]}
    put(here.folder, {COMPARE: json.dumps(compared)})
    write_jsonl(here.folder / SCORES, [about | {"split": "dev", "metrics": {"pass@1": value}}])
    put(here.folder, {"made": (here.folder / SCORES).read_bytes()})
    commit(here.folder, "Scores")
    scoring = f'test "$(cat {mine})" = other && test -s {samples("dev", "polychromic-0.3")} && cp made {SCORES}'
    scored = Stage(SCORED, SCORED, scoring, {}, tuple(path for cell in CELLS[:4] for path in cell.outs), {SCORES: True}, {})
    ran(here.folder, STAGES | {SCORED: scored})
    cell = replace(STAGES[LORA], cmd=f"echo other > {mine}", params={})
    monkeypatch.setattr("polychromic.pipeline.stages.stages", lambda root: STAGES | {SCORED: scored, LORA: cell})
    monkeypatch.setattr(audits, "is_cell", lambda stage: stage.name == LORA)
    here = Workspace(here.folder)
    (found,) = audit(here, [LORA], by_intervals=True)
    assert (found.equal, found.within, found.means, found.compared) == (equal, int(equal), 1, "intervals")
    assert found.outs[0].got != found.outs[0].expected and (remedy(found) == "") is equal
    assert "another one than this Z, compare with --intervals" in remedy(found.model_copy(update=OTHERWISE))
    with pytest.raises(UsageError, match="--intervals makes no use of split@listqa"):
        audit(here, ["split@listqa"], by_intervals=True)


def test_a_mean_is_within_its_interval_or_not():
    lora, poly = {"method": "lora", "lambda": None}, {"method": "polychromic", "lambda": 3.0}
    row = lambda of, value, split="dev", heat=0.5: of | {"split": split, "temperature": heat, "metrics": {"pass@1": value}}
    system = lambda of, low, high: of | {"temperature": 0.5, "metrics": {"pass@1": {"mean": low, "low": low, "high": high}}}
    compared = {"split": "dev", "systems": [system(lora, 0.4, 0.6), system(poly, 0.8, 1.0)]}
    within = lambda method, lam, *values: rerun.within(compared, method, lam, [*(row(lora, value) for value in values), *others])
    others = [row(lora, 9.0, split="test"), row(poly, 0.9), row(lora, 9.0, heat=1.0)]
    assert within("lora", None, 0.3, 0.5) == [True] and within("lora", None, 0.2, 0.5) == [False]
    assert within("polychromic", 3.0) == within("polychromic", None) == [True]
    with pytest.raises(PolychromicError, match="The results have no gem at weight None"):
        within("gem", None)


def test_the_command(here, command, monkeypatch):
    monkeypatch.chdir(here.folder)
    monkeypatch.setenv("COLUMNS", "300")
    code, out, _ = command("audit", "--plan", "--seed-from", "text")
    assert code == 0 and "to run again: 1" in out and not (here.folder / SOURCE).exists()
    code, out, _ = command("audit", "--plan", "--cell", LORA, "--cell", "split@listqa", "--json")
    assert code == 0 and [one["stage"] for one in json.loads(out)["stages"]] == [LORA, "split@listqa"]
    assert command("audit", "--cells", "-1")[0] == 2
    code, _, err = command("audit", "--cell", "split@poems")
    assert code == 2 and "'split@poems' is no stage that has run. Allowed: split@listqa" in " ".join(err.split())
    monkeypatch.setattr(rerun, "run", lambda *_: False)
    code, out, err = command("audit", "--cell", "split@listqa")
    assert code == 1 and "FAILED" in out and "as recorded: 0" in out and "expected minutes: not known" in err


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux")
def test_a_stage_is_told_to_die_with_the_audit(tmp_path, capfd):
    program = "import ctypes, sys; found = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(found)); sys.exit(found.value != 9)"
    assert rerun.run(f'exec {sys.executable} -c "{program}"', tmp_path, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux to end the child")
def test_a_stage_dies_with_the_audit(tmp_path):
    """kill -9 leaves no second writer: the stage that was running ends, too."""
    mark = tmp_path / "pid"
    (tmp_path / "target").mkdir()
    stage = f"exec sh -c 'echo $$ > {mark}; exec sleep 600'"
    starter = f"from pathlib import Path; from polychromic.provenance.rerun import run; run({stage!r}, Path('target'), Path('.'))"
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


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_only_an_audit_sees_a_forged_input_of_everything(tmp_path):
    """Two prompts of the training set change places, in the split, its hash and its object in the store: nothing else notices."""
    if not (REPO / ".git").exists():
        pytest.skip("this is an archive, which nobody can clone")
    folder = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{REPO}", str(folder))
    out = Lock.load(folder).producer(SPLIT).out(SPLIT)
    document = json.loads(stored(folder, out.md5).read_bytes())
    ids = document["splits"]["train"]
    ids[0], ids[1] = ids[1], ids[0]
    md5 = keep(folder, (json.dumps(document, sort_keys=True, ensure_ascii=False, indent=2) + "\n").encode())
    put(folder, {"dvc.lock": (folder / "dvc.lock").read_text().replace(str(out.md5), md5)})
    assert verify(folder)["ok"]
    words = [sys.executable, "-m", "polychromic", "audit", "--cell", "split@listqa", "--cell", "split@code"]
    done = subprocess.run(words, cwd=folder, env=workspace_environment(folder) | {"COLUMNS": "300"}, capture_output=True, text=True)
    assert done.returncode == 1 and "dvc repro --force --single-item split@listqa" in done.stdout, done.stderr
    honest, forged = read_json(folder / SOURCE)["cells"]
    assert honest["equal"] and not forged["equal"] and forged["outs"][0]["got"] == out.md5 and not (folder / ".work/audit").exists()
