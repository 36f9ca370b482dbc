"""What lies here beside what dvc.lock says: what is stale, the lock of an up-to-date pipeline, and what a value rests on."""

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.provenance.lock import Lock
from polychromic.provenance.workspace import Workspace, evidence, is_code
from tests.provenance.conftest import CELLS, COMPARE, COST, STAGES, put, ran, samples


def hashes(lock: Lock) -> tuple[str, str, str]:
    found = evidence(lock, lock.producer("results/numbers.json.gz"), [COMPARE])
    return found.params_hash, found.code_hash, found.data_text()


def test_as_locked_it_is_the_lock_of_an_up_to_date_pipeline(repository):
    here = Workspace(repository)
    mine = here.as_locked()
    assert mine.stages.keys() == here.lock.stages.keys()
    for name, stage in here.lock.stages.items():
        assert (mine.stages[name].cmd, mine.stages[name].params) == (stage.cmd, stage.params), name
        for made in ("outs", "deps"):
            assert [file.path for file in getattr(mine.stages[name], made)] == [file.path for file in getattr(stage, made)]
        inputs = [(file.path, file.md5) for file in stage.deps if not here.lock.makers(file.path)]
        assert [(file.path, file.md5) for file in mine.stages[name].deps if file.md5] == inputs
    assert hashes(mine) == hashes(here.lock) and hashes(mine)[2].startswith("listqa.jsonl ")
    assert not list(here.stale(STAGES["numbers"])) and not list(here.changed_parameters(STAGES["numbers"]))


def test_an_edit_of_code_or_parameters_shows_in_its_hash_alone(repository):
    params, code, data = hashes(Workspace(repository).as_locked())
    put(repository, {"polychromic/train/trainer.py": "loss = 2\n", "polychromic/train/__pycache__/x.pyc": "new"})
    assert hashes(Workspace(repository).as_locked()) == (params, changed := hashes(Workspace(repository).as_locked())[1], data)
    assert changed != code
    put(repository, {"polychromic/train/trainer.py": "loss = 1\n"})
    text = (repository / "params.yaml").read_text()
    put(repository, {"params.yaml": text.replace("steps: 4", "steps: 5")})
    found = hashes(Workspace(repository).as_locked())
    assert found[0] != params and found[1:] == (code, data)
    put(repository, {"params.yaml": text.replace("train:", "trained:")})
    with pytest.raises(DataError, match=r"params\.yaml: no key 'train'"):
        Workspace(repository).as_locked()


def test_what_is_stale_is_named(repository):
    put(repository, {"polychromic/train/trainer.py": "loss = 2\n"})
    (said,) = Workspace(repository).stale(STAGES["tuned-dev@listqa-lora"])
    assert said.startswith("polychromic/train changed since tuned-dev@listqa-lora ran (")
    lock = repository / "dvc.lock"
    lock.write_text(lock.read_text().replace("cmd: python -m polychromic compare listqa\n", "cmd: other\n").replace(COST, "b/c.json"))
    here = Workspace(repository)
    assert list(here.stale(STAGES["compare-dev"])) == ["compare-dev ran as `other`"]
    assert list(here.stale(STAGES["numbers"])) == [f"numbers ran with other inputs: b/c.json, {COST}"]
    with pytest.raises(PolychromicError, match=r"x\.json: neither here nor in store/.*dvc pull"):
        here.result("results/x.json")


def test_a_cell_at_another_lambda_counts_and_what_is_left_over_does_not(repository):
    other = "results/listqa/dev/polychromic-0.5/samples.jsonl.gz"
    put(repository, {other: (repository / samples("dev", "lora")).read_bytes()})
    cell = next(stage for stage in CELLS if stage.axes.get("lam") == "0.3")
    moved = {name: type(cell)(name, cell.group, cell.cmd, cell.axes, cell.deps, {other: True}, {}) for name in
             ("polychromic-dev-listqa@0.5", "polychromic-dev-listqa@lora", "polychromic-dev-replies@0.5", "left")}  # fmt: skip
    ran(repository, STAGES | moved)
    here = Workspace(repository)
    assert here.entries.keys() - STAGES.keys() == {"polychromic-dev-listqa@0.5"} and other in here.cached


def test_code_is_told_from_data():
    assert all(map(is_code, ("polychromic", "polychromic/train", "polychromic/data/seen_words.txt", "requirements.lock", "params.yaml")))
    assert not any(map(is_code, ("data/listqa.jsonl", "benchmarks/results", "paper/main.tex")))
