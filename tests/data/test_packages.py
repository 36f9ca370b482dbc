"""A file comes out of a wheel with the pinned sha256 or not at all."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.base.io import sha256_file
from polychromic.data import packages, replies
from polychromic.data.packages import CHITCHAT, DownloadError, obtain


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A pip that serves a small wheel: (that wheel as it is pinned, its calls, the cache)."""
    source, calls = tmp_path / "served.whl", []
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr(CHITCHAT.member, '{"a": 1}')

    def pip(*arguments):
        calls.append(arguments[-1])
        Path(arguments[arguments.index("--dest") + 1], "served.whl").write_bytes(source.read_bytes())
        return subprocess.CompletedProcess(arguments, 0, "", "")

    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(packages, "pip", pip)
    return CHITCHAT._replace(sha256=sha256_file(source)), calls, tmp_path / "cache" / "packages"


def test_fetched_once(served):
    pinned, calls, cache = served
    path = obtain(pinned)
    assert path == obtain(pinned) == cache / pinned.sha256 / "dataset.json" and path.read_text() == '{"a": 1}'
    assert calls == ["chitchat-dataset==0.9.0"]
    assert [p.name for p in cache.rglob("*")] == [pinned.sha256, "dataset.json"], "the wheel itself is not kept"


def test_another_wheel_and_no_network_keep_nothing(served, monkeypatch):
    with pytest.raises(PolychromicError, match=rf"served.whl: wrong sha256: got [0-9a-f]{{64}}, expected {CHITCHAT.sha256}"):
        replies.load_conversations()
    said = "WARNING: retrying\nERROR: no matching distribution\n"
    monkeypatch.setattr(packages, "pip", lambda *command: subprocess.CompletedProcess(command, 1, "", said))
    with pytest.raises(DownloadError, match=r"0\.9\.0: pip could not download it \(no matching distribution\)\. Check the"):
        replies.load_conversations()
    assert not served[2].exists()
