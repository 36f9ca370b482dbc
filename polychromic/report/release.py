"""The release copy: paper/main.pdf under a name that says its commit, with the commit, dirty flag and dvc.lock's hash beside it.

main.pdf itself cannot hold these: it is an output recorded in dvc.lock, so its hash would have to contain itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from polychromic.errors import PolychromicError
from polychromic.io import atomic_open, sha256_file, write_json

UNKNOWN = "unknown"


def release(root: Path) -> Path:
    """Copy root/paper/main.pdf to root/release/polychromic-<commit7>[-dirty].pdf, and its facts to the same name with .json.

    The JSON holds {"commit", "dirty", "dvc_lock_sha256", "pdf_sha256"}. Without .git, or before the first commit, the
    commit is "unknown" and dirty is null.

    Raises:
        PolychromicError: paper/main.pdf or dvc.lock is missing, or git refuses to answer.
    """
    pdf, lock = root / "paper" / "main.pdf", root / "dvc.lock"
    for path in (pdf, lock):
        if not path.exists():
            raise PolychromicError(f"{path}: file not found. A release needs it; run `dvc repro` first.")
    commit, dirty = revision(root)
    name = f"polychromic-{commit if commit == UNKNOWN else commit[:7]}{'-dirty' if dirty else ''}"
    out = root / "release" / f"{name}.pdf"
    with atomic_open(out) as file:
        file.write(pdf.read_bytes())
    write_json(
        out.with_suffix(".json"), {"commit": commit, "dirty": dirty, "dvc_lock_sha256": sha256_file(lock), "pdf_sha256": sha256_file(out)}
    )
    return out


def revision(root: Path) -> tuple[str, bool | None]:
    """(commit, dirty) of the repository whose top is `root`; ("unknown", None) when `root` is none or has no commit.

    A repository around `root` does not count: an unpacked archive inside one has no commit of its own.
    """
    if not (root / ".git").exists() or shutil.which("git") is None:
        return UNKNOWN, None
    commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD", allowed=(0, 1))
    if not commit:
        return UNKNOWN, None
    return commit, bool(_git(root, "status", "--porcelain"))


def _git(root: Path, *arguments: str, allowed: tuple[int, ...] = (0,)) -> str:
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    done = subprocess.run(["git", *arguments], cwd=root, env=env, capture_output=True, text=True, check=False)
    if done.returncode not in allowed:
        raise PolychromicError(
            f"git {' '.join(arguments)} failed in {root}: {done.stderr.strip()}. Fix the repository; without .git a release has no commit."
        )
    return done.stdout.strip()
