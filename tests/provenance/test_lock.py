"""dvc.lock and data.dvc as objects, against DVC's own reading of them."""

import json
import re
import time
from pathlib import Path

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.provenance.lock import Entry, File, Lock, data_entry, data_files, md5_of, stored
from tests.provenance.conftest import REPO, put

SCORES = "{path: results/scores.jsonl.gz, md5: 9999aaaa333344445555666677778888, size: 3}"
CELL = "{path: results/cell, hash: md5, md5: 11112222333344445555666677778888.dir, size: 7, nfiles: 1}"
SMALL = f"""\
schema: '2.0'
stages:
  score:
    cmd: python -m polychromic score listqa
    deps: [{CELL}, {{path: data/listqa.jsonl, hash: md5, md5: '00000000000000000000000000000042', size: 9}}]
    params:
      params.yaml:
        train.learning_rate: 1e-05
        model.revision: on
        seeds: [0, 1]
    outs: [{SCORES}]
  cell:
    cmd: [first, second]
    outs: [{CELL}]
  select:
    cmd: python -m polychromic select listqa
    deps: [{SCORES}, {{path: results/cell/history.jsonl}}]
    outs: [{{path: paper/select.tex}}]
  paper:
    cmd: compile
    deps: [{{path: paper}}]
"""


def parse_lock(folder: Path, text: str) -> Lock:
    put(folder, {"dvc.lock": text})
    return Lock.load(folder)


def test_a_stage_has_its_command_files_and_parameters(tmp_path):
    stages = parse_lock(tmp_path, SMALL).stages
    stage = stages["score"]
    assert stage.cmd == "python -m polychromic score listqa" and stages["cell"].cmd == "first && second"
    assert stage.dep("data/listqa.jsonl") == File("data/listqa.jsonl", "00000000000000000000000000000042")
    assert stage.dep("results/cell/history.jsonl").path == "results/cell" and stage.dep("results/cells") is None
    assert stage.out("results/scores.jsonl.gz").md5 == "9999aaaa333344445555666677778888" and stage.out("nothing") is None
    assert parse_lock(tmp_path, "schema: '2.0'\nstages: []").stages == {}
    # YAML 1.2, which DVC writes: 1e-05 is a number, on a text
    assert stage.params == {"params.yaml": {"train.learning_rate": 1e-05, "model.revision": "on", "seeds": [0, 1]}}


def test_producer_makers_and_upstream_follow_files_and_folders(tmp_path):
    lock = parse_lock(tmp_path, SMALL)
    assert lock.producer("results/cell/samples.jsonl.gz").name == "cell" and lock.producer("data/listqa.jsonl") is None
    assert [stage.name for stage in lock.makers("paper")] == ["select"] and lock.makers("data") == []
    upstream = {name: [one.name for one in lock.upstream(stage)] for name, stage in lock.stages.items()}
    assert upstream == {"cell": [], "score": ["cell"], "select": ["cell", "score"], "paper": ["cell", "score", "select"]}
    adding = Entry("c", "x", (File("r", None),), (File("r/out", None),))
    assert Lock({"c": adding}).upstream(adding) == []


def test_the_repository_lock_reads_as_dvc_reads_it_and_fast():
    text = (REPO / "dvc.lock").read_text()
    started = time.process_time()
    lock = Lock.load(REPO)
    assert time.process_time() - started < 1.5
    first = text[: text.index("\n  ", len(text) // 100)]  # ruamel takes seconds for all of it
    from ruamel.yaml import YAML

    expected = dict(list(YAML(typ="safe").load(first)["stages"].items())[:-1])
    assert expected
    for name, entry in expected.items():
        assert lock.stages[name].params == entry.get("params", {})
        for kind in ("deps", "outs"):
            files = [(one.path, one.md5) for one in getattr(lock.stages[name], kind)]
            assert files == [(one["path"], one.get("md5")) for one in entry.get(kind, [])]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema: '2.0'\nstages: [", "not YAML"),
        ("", "not what DVC writes (a NoneType)"),
        ("schema: '3.0'\nstages: {}", "schema '3.0'"),
        ("schema: '2.0'\nstages: [a]", "a mapping of stages"),
        ("schema: '2.0'\nstages: {a: {deps: []}}", "stage a: not what DVC writes ('cmd')"),
        ("schema: '2.0'\nstages: {a: 3}", "stage a: not what"),
        ("schema: '2.0'\nstages: {a: {cmd: x, deps: {b: c}}}", "lists of path and md5"),
        ("schema: '2.0'\nstages: {a: {cmd: x, deps: [{md5: c}]}}", "stage a: not what DVC writes ('path')"),
        ("schema: '2.0'\nstages: {a: {cmd: x, outs: [{path: b, md5: 12}]}}", "'md5': 12"),
        ("schema: '2.0'\nstages: {a: {cmd: x, params: [b]}}", "file -> key -> value"),
    ],
)
def test_a_malformed_lock_is_one_clear_error(tmp_path, text, message):
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        parse_lock(tmp_path, text)
    assert str(tmp_path / "dvc.lock") in str(caught.value) and "Allowed" in str(caught.value)


def test_files_and_folders_are_hashed_as_dvc_does(tmp_path):
    put(tmp_path, {"a/x": "1", "a/b/y": "2", "a/__pycache__/z": "3", "a/w.pyc": "4"})
    rows = [{"md5": md5_of(tmp_path / "a" / name), "relpath": name} for name in ("b/y", "x")]
    assert md5_of(tmp_path / "a/x") == "c4ca4238a0b923820dcc509a6f75849b"
    put(tmp_path, {"rows": json.dumps(rows)})
    assert md5_of(tmp_path / "a") == f"{md5_of(tmp_path / 'rows')}.dir"
    if (REPO / "data").is_dir():
        assert md5_of(REPO / "data") == data_entry(REPO).md5
    with pytest.raises(PolychromicError, match="nothing: file not found.*dvc pull"):
        md5_of(tmp_path / "nothing")


def pin(folder: Path, place: str, members: str) -> None:
    md5 = "0d44fb6888144c4b82f34eb5530dac46.dir"
    pinned = f"outs:\n- md5: {md5}\n  size: 5\n  nfiles: 1\n  hash: md5\n  path: data\n"
    put(folder, {"data.dvc": pinned, f"{place}/files/md5/{md5[:2]}/{md5[2:]}": members})


@pytest.mark.parametrize("place", ["store", ".dvc/cache"])
def test_data_files_come_from_the_store_or_the_cache(tmp_path, place):
    pin(tmp_path, place, json.dumps([{"md5": "ab", "relpath": "listqa.jsonl"}, {"md5": "cd", "relpath": "sub/x.txt"}]))
    assert data_entry(tmp_path) == File("data", "0d44fb6888144c4b82f34eb5530dac46.dir")
    assert data_files(tmp_path) == {"data/listqa.jsonl": "ab", "data/sub/x.txt": "cd"}
    assert stored(tmp_path, None) is None and stored(tmp_path, "ab" * 16) is None


@pytest.mark.parametrize("members", ["{", '[{"md5": 1}]', '{"a": 1}'])
def test_a_malformed_list_of_members_is_one_clear_error(tmp_path, members):
    pin(tmp_path, "store", members)
    with pytest.raises(DataError, match="a JSON list of md5 and relpath"):
        data_files(tmp_path)


@pytest.mark.parametrize("text", ["outs: []", "outs: 3", "outs: [{path: data}]", "x: 1"])
def test_missing_and_malformed_files_say_what_to_do(tmp_path, text):
    for read, message in ((data_entry, "data.dvc: file not found"), (Lock.load, "dvc.lock: file not found.*dvc repro")):
        with pytest.raises(PolychromicError, match=message):
            read(tmp_path)
    put(tmp_path, {"data.dvc": "outs:\n- {md5: ab.dir, path: data}\n"})
    with pytest.raises(PolychromicError, match="neither in store/ nor in .dvc/cache.*dvc pull"):
        data_files(tmp_path)
    put(tmp_path, {"data.dvc": text})
    with pytest.raises(DataError, match="a list of one out"):
        data_entry(tmp_path)
