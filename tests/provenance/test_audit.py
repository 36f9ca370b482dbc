"""Which cells a hash draws, what they are expected to take, what comes out when a stage runs again, and intervals where bytes differ."""

import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import pytest

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import read_json, write_jsonl
from polychromic.pipeline.stages import Stage
from polychromic.pipeline.workspace import workspace_environment
from polychromic.provenance import audit as audits
from polychromic.provenance.audit import SOURCE, audit, choose, foreseen, plan, population, remedy, seconds, within_reach
from polychromic.provenance.lock import Lock, md5_of, stored
from polychromic.provenance.verify import verify
from polychromic.provenance.workspace import Workspace
from tests.provenance.conftest import CELLS, COMPARE, DATA, REPO, SPLIT, STAGES, archive, commit, git, keep, put, ran, samples

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


def test_a_hash_draws_what_trains_or_samples_and_any_stage_may_be_named(here):
    assert population(here) == sorted(cell.name for cell in CELLS)
    drawn = [choose(here, 3, [], str(seed)) for seed in range(40)]
    assert all(set(names) < set(population(here)) and len(set(names)) == 3 for names in drawn) and len({names[0] for names in drawn}) > 4
    assert choose(here, 3, [], "7") == drawn[7] == choose(here, 99, [], "7")[:3] and choose(here, 0, [], None) == []
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
    lora, prompted, test = (seconds(here, STAGES[name]) for name in (LORA, PROMPTED, TEST))
    drafts, *training = lora.values()  # of the stage itself, then of each seed's adapter
    step = read_json(here.folder / STEP_COST)["variants"]["lora"]["mean_seconds"]
    cost, seeds = here.params.methods["lora"].cost, len(here.params.seeds)
    assert training == pytest.approx([cost * here.params.listqa.steps * step] * seeds) and [*prompted.values()] == [drafts] != [0]
    others = [seconds(here, STAGES[name]).keys() for name in POLY]
    assert not lora.keys() & (test.keys() | others[0] | others[1]) and not others[0] & others[1], "test trains anew"
    assert len(test) == 1 + len(here.params.cell("listqa", "test", "lora").seeds)
    like = lambda method: Stage(LORA, "x", CELLS[0].cmd, {"domain": "listqa", "split": "dev", "method": method})
    of = lambda method: seconds(here, like(method)).keys() - {LORA}
    assert of("lora_min_p") and of("lora_min_p") <= of("lora"), "what decodes otherwise"
    assert not of("rft") & of("lora") and not of("lora_long") & of("lora")
    long = [time for what, time in seconds(here, like("lora_long")).items() if what != LORA]
    assert long == pytest.approx([round(1.4 * here.params.listqa.steps) * step] * seeds), "without a budget in FLOPs: the steps"


def test_what_cells_take_is_foreseen_with_each_adapter_once(here, monkeypatch):
    found = plan(here, [LORA, PROMPTED, "split@listqa"])
    minutes = round(sum(seconds(here, STAGES[LORA]).values()) / 60, 1)
    assert [row["minutes"] for row in found["stages"]] == [minutes, 0.0, None] and found["minutes"] is None
    assert plan(here, [LORA, PROMPTED])["minutes"] == minutes > 0
    shared = {key: value for cell in CELLS for key, value in seconds(here, cell).items()}
    hours = f"about {sum(shared.values()) / 3600 / 2:.1f} hours for training and sampling, 2 at a time (0 cells that never ran"
    assert hours in foreseen(2, here.folder)
    twice = [*CELLS, Stage("again", "tuned-dev", CELLS[1].cmd, CELLS[1].axes, (), {samples("dev", "again"): True}, {})]
    monkeypatch.setattr("polychromic.pipeline.stages.stages", lambda root: {stage.name: stage for stage in twice})
    assert hours.replace("(0 cells", "(1 cells") in foreseen(2, here.folder)
    (here.folder / STEP_COST).unlink()
    assert "(8 cells that never ran or that nobody timed" in foreseen(2, here.folder)


def splitting(monkeypatch, here: Workspace, command: str) -> Workspace:
    """The same where another command splits, as if it had run."""
    changed = STAGES | {"split@listqa": replace(STAGES["split@listqa"], cmd=command)}
    monkeypatch.setattr("polychromic.pipeline.stages.stages", lambda root: changed)
    ran(here.folder, changed)
    return Workspace(here.folder)


SPLITTING = f"mkdir -p results/listqa && test -s {DATA} && printf 'a\\nb\\nc\\n' > {SPLIT}"


def test_an_honest_stage_comes_out_the_same_and_a_forged_one_does_not(here, monkeypatch):
    """Entries of other outs are dropped: the paper must not count a cell that was run again for results that are no longer there."""
    for content, equal in (("a\nb\nc\n", True), ("a\nx\nc\n", False)):
        put(here.folder, {SPLIT: content})
        here = splitting(monkeypatch, here, SPLITTING)
        assert audit(here, []) == [] and read_json(here.folder / SOURCE) == {"population": 7, "cells": []}
        (cell,) = audit(here, ["split@listqa"], among=3)
        assert (cell.equal, cell.kind, cell.among) == (equal, "stage", 3) and cell.outs[0].expected == md5_of(here.folder / SPLIT)
        assert ("dvc repro --force --single-item split@listqa" in remedy(cell)) is not equal
        assert audit(here, []) == [] and read_json(here.folder / SOURCE)["cells"] == [cell.model_dump(mode="json")]


def test_a_stage_that_fails_and_inputs_that_are_not_to_be_had(here, monkeypatch, capfd):
    here = splitting(monkeypatch, here, "echo said && false")
    (cell,) = audit(here, ["split@listqa"])
    assert not cell.equal and cell.outs[0].got is None and "The stage failed" in remedy(cell) and "said" in capfd.readouterr().err
    shutil.rmtree(here.folder / "store")
    data = (here.folder / DATA).read_bytes()
    put(here.folder, {DATA: "other\n"})
    with pytest.raises(PolychromicError, match=rf"{DATA} of split@listqa: dvc.lock has md5 \w+, which is not what lies here.*dvc pull"):
        audit(Workspace(here.folder), ["split@listqa"])
    shutil.rmtree(here.folder.parent / "workspace")
    put(here.folder, {DATA: data, "polychromic/train/trainer.py": "loss = 2\n"})
    commit(here.folder, "Code")
    with pytest.raises(PolychromicError, match=r"polychromic/train of tuned-dev@listqa-lora: dvc.lock has.*dvc repro"):
        audit(Workspace(here.folder), [LORA])


@pytest.mark.parametrize(("values", "equal"), [((0.2, 0.28), True), ((0.9, 0.9), False), ((0.1, 0.29), False)])
def test_a_cell_of_another_machine_is_scored_beside_the_recorded_ones(here, monkeypatch, values, equal):
    """Its mean lies in the interval of compare.json or not; other cells are those that dvc.lock records, and their rows do not count."""
    about, mine = {"method": "lora", "lambda": None, "temperature": 0.5, "split": "dev"}, samples("dev", "lora")
    system = about | {"metrics": {"pass@1": {"mean": 0.242, "low": 0.2, "high": 0.3}}}
    put(here.folder, {COMPARE: json.dumps({"split": "dev", "systems": [system, system | {"method": "polychromic", "lambda": 3.0}]})})
    others = [about | other for other in ({"split": "test"}, {"temperature": 1.0}, {"method": "polychromic", "lambda": 3.0})]
    rows = [about | {"metrics": {"pass@1": value}} for value in values] + [row | {"metrics": {"pass@1": 9.0}} for row in others]
    write_jsonl(here.folder / SCORES, rows)
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
    assert "on another processor than this, compare with --intervals" in remedy(found.model_copy(update={"equal": False}))
    with pytest.raises(UsageError, match="--intervals: split@listqa gives no samples"):
        audit(here, ["split@listqa"], by_intervals=True)
    put(here.folder, {COMPARE: json.dumps({"split": "dev", "systems": []})})
    with pytest.raises(PolychromicError, match=f"{LORA}: no system of the results is this cell"):
        audit(here, [LORA], by_intervals=True)


def test_the_command(here, inside, monkeypatch):
    code, out, _ = inside("audit", "--plan", "--seed-from", "text")
    assert code == 0 and "minutes:" in out and not (here.folder / SOURCE).exists()
    code, out, _ = inside("audit", "--plan", "--cell", LORA, "--cell", "split@listqa", "--json")
    assert code == 0 and [one["stage"] for one in json.loads(out)["stages"]] == [LORA, "split@listqa"]
    assert inside("audit", "--cells", "-1")[0] == 2
    code, _, err = inside("audit", "--cell", "split@poems")
    assert code == 2 and "'split@poems' is no stage that has run. Allowed: those of `dvc stage list`" in " ".join(err.split())
    monkeypatch.setattr(audits, "run", lambda *_: False)
    code, out, err = inside("audit", "--cell", "split@listqa")
    assert code == 1 and "equal: false" in out and "The stage failed" in out and "stage: split@listqa" in err


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux")
def test_a_stage_is_told_to_die_with_the_audit(tmp_path, capfd):
    program = "import ctypes, sys; found = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(found)); sys.exit(found.value != 9)"
    assert audits.run(f'exec {sys.executable} -c "{program}"', tmp_path, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not (REPO / ".git").exists(), reason="this is an archive, which nobody can clone")
def test_only_an_audit_sees_a_forged_input_of_everything(tmp_path):
    """Two prompts of the training set change places, in the split, its hash and its object in the store: nothing else notices."""
    folder = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{REPO}", str(folder))
    recorded = Lock.load(folder).outs[SPLIT]
    document = json.loads(stored(folder, recorded).read_bytes())
    ids = document["splits"]["train"]
    ids[0], ids[1] = ids[1], ids[0]
    md5 = keep(folder, (json.dumps(document, sort_keys=True, ensure_ascii=False, indent=2) + "\n").encode())
    put(folder, {"dvc.lock": (folder / "dvc.lock").read_text().replace(recorded, md5)})
    assert verify(folder)["ok"]
    words = [sys.executable, "-m", "polychromic", "audit", "--cell", "split@listqa", "--cell", "split@code"]
    done = subprocess.run(words, cwd=folder, env=workspace_environment(folder) | {"COLUMNS": "300"}, capture_output=True, text=True)
    assert done.returncode == 1 and "dvc repro --force --single-item split@listqa" in done.stdout, done.stderr
    found = {cell["stage"]: cell for cell in read_json(folder / SOURCE)["cells"]}  # beside those of earlier audits
    honest, forged = found["split@code"], found["split@listqa"]
    assert honest["equal"] and not forged["equal"] and forged["outs"][0]["got"] == recorded and not (folder / ".work/audit").exists()
