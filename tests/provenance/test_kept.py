"""What dvc.lock said is kept by content: the same answer, and no stale or broken one."""

from __future__ import annotations

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.base.io import dumps
from polychromic.provenance import kept
from polychromic.provenance.lock import Lock

TEXT = "schema: '2.0'\nstages:\n  a:\n    cmd: {cmd}\n    outs:\n    - path: x\n      md5: abcd\n      size: 3\n    params:\n      p.yaml:\n        k: {{0.1: 2}}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    (tmp_path / "dvc.lock").write_text(TEXT.format(cmd="one"))
    return tmp_path


def loads(monkeypatch) -> list:
    calls, load = [], Lock.load
    monkeypatch.setattr(Lock, "load", classmethod(lambda cls, where: calls.append(where) or load(where)))
    return calls


def test_the_second_time_nothing_is_parsed(folder, monkeypatch):
    first = kept.load_lock(folder)
    calls = loads(monkeypatch)
    again = kept.load_lock(folder)
    assert calls == [] and again.stages["a"].outs == first.stages["a"].outs and again.stages["a"].deps == ()
    assert dumps(again.stages["a"].params) == dumps(first.stages["a"].params) == dumps({"p.yaml": {"k": {0.1: 2}}})
    assert again.producer("x").name == "a"


def test_another_text_is_another_lock(folder):
    assert kept.load_lock(folder).stages["a"].cmd == "one"
    (folder / "dvc.lock").write_text(TEXT.format(cmd="two"))
    assert kept.load_lock(folder).stages["a"].cmd == "two"


def test_what_is_broken_is_read_anew(folder, monkeypatch):
    kept.load_lock(folder)
    (file,) = (folder / "cache" / "locks-read").iterdir()
    file.write_bytes(b"\x80")
    calls = loads(monkeypatch)
    assert kept.load_lock(folder).stages["a"].cmd == "one" and len(calls) == 1
    assert kept.load_lock(folder).stages["a"].cmd == "one" and len(calls) == 1


def test_a_cache_that_cannot_be_written_and_a_lock_that_is_not_there(folder, monkeypatch):
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(folder / "dvc.lock"))  # a file
    assert kept.load_lock(folder).stages["a"].cmd == "one"
    (folder / "dvc.lock").unlink()
    with pytest.raises(PolychromicError, match="dvc.lock"):
        kept.load_lock(folder)
