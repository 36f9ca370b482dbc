"""What lies here beside what dvc.lock says: what is stale, the lock of an up-to-date pipeline, and what a value rests on."""

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.provenance.lock import Lock
from polychromic.provenance.workspace import Workspace, evidence, is_code
from tests.provenance.conftest import COMPARE, COST, STAGES, put


def hashes(lock: Lock) -> tuple[str, str, dict]:
    found = evidence(lock, lock.producers["results/numbers.json.gz"], [COMPARE])
    return found["params_hash"], found["code_hash"], found["data"]


def test_as_locked_it_is_the_lock_of_an_up_to_date_pipeline(repository):
    here = Workspace(repository)
    mine = here.as_locked()
    assert mine.stages.keys() == here.lock.stages.keys()
    for name, stage in here.lock.stages.items():
        one = mine.stages[name]
        assert (one.cmd, one.params, [*one.outs], [*one.deps]) == (stage.cmd, stage.params, [*stage.outs], [*stage.deps]), name
        assert {path: md5 for path, md5 in one.deps.items() if md5}.items() <= stage.deps.items()
        assert {path for path, md5 in one.deps.items() if not md5} == {path for path in stage.deps if here.lock.makers(path)}
    assert hashes(mine) == hashes(here.lock) and list(hashes(mine)[2]) == ["data/listqa.jsonl"]
    assert not list(here.stale(STAGES["numbers"]))


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


def test_code_is_told_from_data():
    assert all(map(is_code, ("polychromic", "polychromic/train", "polychromic/data/seen_words.txt", "requirements.lock", "params.yaml")))
    assert not any(map(is_code, ("data/listqa.jsonl", "benchmarks/results", "paper/main.tex")))
