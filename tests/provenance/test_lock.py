"""dvc.lock and data.dvc as objects, against DVC's own reading of them."""

import json
import re
import time
from pathlib import Path

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.provenance.lock import File, Lock, data_entry, data_files, parse_lock

REPO = Path(__file__).resolve().parents[2]
SMALL = """\
schema: '2.0'
stages:
  score:
    cmd: python -m polychromic score listqa
    deps:
    - path: results/cell
      hash: md5
      md5: 11112222333344445555666677778888.dir
      size: 7
    - path: data/listqa.jsonl
      hash: md5
      md5: '00000000000000000000000000000042'
      size: 9
    params:
      params.yaml:
        train.learning_rate: 1e-05
        model.revision: on
        seeds:
        - 0
        - 1
    outs:
    - path: results/scores.jsonl.gz
      hash: md5
      md5: 9999aaaa333344445555666677778888
      size: 3
  cell:
    cmd:
    - first
    - second
    outs:
    - path: results/cell
      md5: 11112222333344445555666677778888.dir
      size: 7
      nfiles: 1
  select:
    cmd: python -m polychromic select listqa
    deps:
    - path: results/scores.jsonl.gz
      md5: 9999aaaa333344445555666677778888
      size: 3
    - path: results/cell/history.jsonl
      md5: 3999aaaa333344445555666677778888
      size: 3
    outs:
    - path: results/select.json
      md5: 7999aaaa333344445555666677778888
      size: 3
"""


def test_a_stage_has_its_command_files_and_parameters():
    stage = parse_lock(SMALL).stages["score"]
    assert stage.cmd == "python -m polychromic score listqa"
    assert stage.dep("data/listqa.jsonl") == File("data/listqa.jsonl", "00000000000000000000000000000042", 9)
    assert stage.out("results/scores.jsonl.gz").md5 == "9999aaaa333344445555666677778888" and stage.out("nothing") is None
    assert parse_lock(SMALL).stages["cell"].cmd == "first && second"


def test_scalars_are_those_of_yaml_1_2_which_dvc_writes():
    assert parse_lock(SMALL).stages["score"].params == {
        "params.yaml": {"train.learning_rate": 1e-05, "model.revision": "on", "seeds": [0, 1]}
    }


def test_producer_and_upstream_follow_files_and_folders():
    lock = parse_lock(SMALL)
    assert lock.producer("results/cell/samples.jsonl.gz").name == "cell"
    assert lock.producer("data/listqa.jsonl") is None
    assert [stage.name for stage in lock.upstream(lock.stages["select"])] == ["cell", "score"]
    assert lock.upstream(lock.stages["cell"]) == []


def test_the_repository_lock_reads_as_dvc_reads_it_and_fast():
    from ruamel.yaml import YAML

    started = time.process_time()
    lock = Lock.load(REPO)
    assert time.process_time() - started < 1.5
    expected = YAML(typ="safe").load((REPO / "dvc.lock").read_text())["stages"]
    assert {name: stage.params for name, stage in lock.stages.items()} == {
        name: entry.get("params", {}) for name, entry in expected.items()
    }
    for name, entry in expected.items():
        assert [(file.path, file.md5, file.size) for file in lock.stages[name].outs] == [
            (out["path"], out.get("md5"), out.get("size")) for out in entry["outs"]
        ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema: '2.0'\nstages: [", "not YAML"),
        ("", "a YAML NoneType"),
        ("schema: '3.0'\nstages: {}", "schema '3.0'"),
        ("schema: '2.0'\nstages: []", None),
        ("schema: '2.0'\nstages: [a]", "stages is a list"),
        ("schema: '2.0'\nstages: {a: {deps: []}}", "stage a"),
        ("schema: '2.0'\nstages: {a: {cmd: x, deps: {b: c}}}", "deps is a dict"),
        ("schema: '2.0'\nstages: {a: {cmd: x, deps: [{md5: c}]}}", "{'md5': 'c'}"),
        ("schema: '2.0'\nstages: {a: {cmd: x, outs: [{path: b, md5: 12}]}}", "b has md5 12"),
        ("schema: '2.0'\nstages: {a: {cmd: x, params: [b]}}", "params is not"),
        ("<<<<<<< HEAD\nschema: '2.0'\n=======\n", "not YAML"),
    ],
)
def test_a_malformed_lock_is_one_clear_error(tmp_path, text, message):
    (tmp_path / "dvc.lock").write_text(text)
    if message is None:
        assert Lock.load(tmp_path).stages == {}
        return
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        Lock.load(tmp_path)
    assert str(tmp_path / "dvc.lock") in str(caught.value) and "Allowed" in str(caught.value)


def test_a_missing_lock_says_what_to_do(tmp_path):
    with pytest.raises(PolychromicError, match="file not found.*dvc repro"):
        Lock.load(tmp_path)


def test_stages_in_a_circle_are_refused():
    stages = "  a: {cmd: x, deps: [{path: q}], outs: [{path: p}]}\n  b: {cmd: x, deps: [{path: p}], outs: [{path: q}]}\n"
    text = f"schema: '2.0'\nstages:\n{stages}"
    lock = parse_lock(text)
    with pytest.raises(DataError, match="a -> b -> a"):
        lock.upstream(lock.stages["a"])


def pin(folder: Path, place: str, members: str) -> None:
    md5 = "0d44fb6888144c4b82f34eb5530dac46.dir"
    (folder / "data.dvc").write_text(f"outs:\n- md5: {md5}\n  size: 5\n  nfiles: 1\n  hash: md5\n  path: data\n")
    target = folder / place / "files" / "md5" / md5[:2] / md5[2:]
    target.parent.mkdir(parents=True)
    target.write_text(members)


@pytest.mark.parametrize("place", ["store", ".dvc/cache"])
def test_data_files_come_from_the_store_or_the_cache(tmp_path, place):
    pin(tmp_path, place, json.dumps([{"md5": "ab", "relpath": "listqa.jsonl"}, {"md5": "cd", "relpath": "sub/x.txt"}]))
    assert data_entry(tmp_path) == File("data", "0d44fb6888144c4b82f34eb5530dac46.dir", 5)
    assert data_files(tmp_path) == {"data/listqa.jsonl": "ab", "data/sub/x.txt": "cd"}


def test_data_of_the_repository_agree_with_the_lock():
    members = data_files(REPO)
    for stage in Lock.load(REPO).stages.values():
        assert all(members[dep.path] == dep.md5 for dep in stage.deps if dep.path.startswith("data/"))


@pytest.mark.parametrize("members", ["{", '[{"md5": 1}]', '{"a": 1}'])
def test_a_malformed_list_of_members_is_one_clear_error(tmp_path, members):
    pin(tmp_path, "store", members)
    with pytest.raises(DataError, match="not a list of files"):
        data_files(tmp_path)


def test_missing_data_say_what_to_do(tmp_path):
    with pytest.raises(PolychromicError, match="data.dvc: file not found"):
        data_entry(tmp_path)
    (tmp_path / "data.dvc").write_text("outs:\n- {md5: ab.dir, path: data}\n")
    with pytest.raises(PolychromicError, match="neither in store/ nor in .dvc/cache.*dvc pull"):
        data_files(tmp_path)
    (tmp_path / "data.dvc").write_text("outs: []\n")
    with pytest.raises(DataError, match="a list of one out"):
        data_entry(tmp_path)
