"""dvc.lock and data.dvc as objects, against DVC's own reading of them."""

import json
import re
import time

import pytest
from ruamel.yaml import YAML

from polychromic.base.errors import DataError, PolychromicError
from polychromic.provenance.lock import DATA, Lock, data_files, md5_of
from tests.provenance.conftest import REPO, put


def test_the_repository_lock_reads_as_dvc_reads_it_and_fast():
    text = (REPO / "dvc.lock").read_text()
    started = time.process_time()
    lock = Lock.load(REPO)
    assert time.process_time() - started < 1.5
    first = text[: text.index("\n  ", len(text) // 100)]  # ruamel takes seconds for all of it
    expected = dict(list(YAML(typ="safe").load(first)["stages"].items())[:-1])
    assert expected
    for name, entry in expected.items():
        assert lock.stages[name].params == entry.get("params", {})
        for kind in ("deps", "outs"):
            assert getattr(lock.stages[name], kind) == {one["path"]: one.get("md5") for one in entry.get(kind, [])}


@pytest.mark.parametrize(
    ("text", "message"),
    [("[", "while parsing a flow"), ("{a: {deps: []}}", "('cmd')"), ("{a: {cmd: x, deps: {b: c}}}", "lists of path, md5"),
     ("{a: {cmd: x, deps: [{md5: c}]}}", "('path')"), ("{a: {cmd: x, params: [b]}}", "file -> key -> value")],
)  # fmt: skip
def test_a_malformed_lock_is_one_clear_error(tmp_path, text, message):
    for lock, said in ((f"schema: '2.0'\nstages: {text}", message), ("", "not what DVC writes"), ("schema: 3.0\nstages: {}", "schema 3.0")):
        with pytest.raises(DataError, match=re.escape(said)) as caught:
            put(tmp_path, {"dvc.lock": lock})
            Lock.load(tmp_path)
        assert str(tmp_path / "dvc.lock") in str(caught.value) and "Allowed" in str(caught.value)


def test_files_and_folders_are_hashed_as_dvc_does(tmp_path):
    put(tmp_path, {"a/x": "1", "a/b/y": "2", "a/__pycache__/z": "3", "a/w.pyc": "4"})
    rows = [{"md5": md5_of(tmp_path / "a" / name), "relpath": name} for name in ("b/y", "x")]
    assert md5_of(tmp_path / "a/x") == "c4ca4238a0b923820dcc509a6f75849b"
    put(tmp_path, {"rows": json.dumps(rows)})
    assert md5_of(tmp_path / "a") == f"{md5_of(tmp_path / 'rows')}.dir"
    if (REPO / "data").is_dir():
        assert md5_of(REPO / "data") == data_files(REPO)["data"]
    with pytest.raises(PolychromicError, match="nothing: file not found.*dvc pull"):
        md5_of(tmp_path / "nothing")


LIST = "0d44fb6888144c4b82f34eb5530dac46.dir"
PINNED = f"outs:\n- md5: {LIST}\n  size: 5\n  nfiles: 1\n  hash: md5\n  path: data\n"


@pytest.mark.parametrize(("pinned", "members"), [(PINNED, "{"), (PINNED, '[{"md5": 1}]'), ("x: 1", "[]"), ("outs: []", "[]")])
def test_data_files_come_from_the_store_or_the_cache_and_what_is_missing_or_malformed_says_what_to_do(tmp_path, pinned, members):
    for read, message in ((data_files, "data.dvc: file not found"), (Lock.load, "dvc.lock: file not found.*dvc repro")):
        with pytest.raises(PolychromicError, match=message):
            read(tmp_path)
    put(tmp_path, {DATA: PINNED})
    with pytest.raises(PolychromicError, match="neither in store/ nor in .dvc/cache.*dvc pull"):
        data_files(tmp_path)
    for place in (".dvc/cache", "store"):
        put(tmp_path, {DATA: PINNED, f"{place}/files/md5/{LIST[:2]}/{LIST[2:]}": '[{"md5": "ab", "relpath": "sub/x.txt"}]'})
        assert data_files(tmp_path) == {"data": LIST, "data/sub/x.txt": "ab"}
    put(tmp_path, {DATA: pinned, f"store/files/md5/{LIST[:2]}/{LIST[2:]}": members})
    with pytest.raises(DataError, match="one out with path and md5, and for it a JSON list"):
        data_files(tmp_path)
