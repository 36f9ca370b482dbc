"""dvc.lock, read once: 25,000 lines of YAML take longer than all else that a trace does, and the file changes only when something ran.

What it said is kept in the cache folder under the hash of its text and of the code that reads it, so nothing kept can be out of date.
"""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

from polychromic import paths
from polychromic.io import atomic_open
from polychromic.provenance import lock
from polychromic.provenance.lock import LOCK, Lock


def load_lock(folder: Path) -> Lock:
    """As Lock.load, which is asked where nothing is kept; a cache folder that cannot be written costs time and nothing else."""
    try:
        text = (folder / LOCK).read_bytes()
    except OSError:
        return Lock.load(folder)
    kept = _place(text)
    try:
        return pickle.loads(kept.read_bytes())  # noqa: S301, this function wrote it
    except (OSError, EOFError, pickle.UnpicklingError, AttributeError, ImportError):
        found = Lock.load(folder)
    try:
        with atomic_open(kept) as file:
            pickle.dump(found, file)
    except OSError:
        pass
    return found


def _place(text: bytes) -> Path:
    digest = hashlib.sha256(Path(lock.__file__).read_bytes() + b"\0" + text).hexdigest()
    return paths.cache_dir() / "locks-read" / f"{digest}.pickle"
