"""dvc.lock, read once: 25,000 lines of YAML take longer than all else that a trace does, and the file changes only when something ran.

What it said is kept in the cache folder, as JSON, under the hash of its text and of the code that reads it, so nothing kept can be out
of date. Keys of parameters that are numbers come back as text, as they do wherever they are compared or hashed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import astuple
from pathlib import Path

from polychromic.base import paths
from polychromic.base.io import write_text
from polychromic.provenance import lock
from polychromic.provenance.lock import LOCK, File, Lock, Stage


def load_lock(folder: Path) -> Lock:
    """As Lock.load, which is asked where nothing is kept; a cache folder that cannot be written costs time and nothing else.

    Raises:
        PolychromicError: folder/dvc.lock does not exist.
        DataError: it is not what DVC writes.
    """
    try:
        text = (folder / LOCK).read_bytes()
    except OSError:
        return Lock.load(folder)  # says what is missing
    kept = _place(text)
    try:
        return Lock({entry[0]: _stage(*entry) for entry in json.loads(kept.read_bytes())})
    except (OSError, ValueError, TypeError):
        found = Lock.load(folder)
    try:
        write_text(kept, json.dumps([astuple(stage) for stage in found.stages.values()]))
    except OSError:
        pass
    return found


def _stage(name: str, cmd: str, deps: list, outs: list, params: dict) -> Stage:
    return Stage(name, cmd, tuple(File(*dep) for dep in deps), tuple(File(*out) for out in outs), params)


def _place(text: bytes) -> Path:
    """Of what a lock of this text said."""
    digest = hashlib.sha256(Path(lock.__file__).read_bytes() + b"\0" + text).hexdigest()
    return paths.cache_dir() / "locks-read" / f"{digest}.json"
