"""The content-addressed cache: what a result is known by. Every key holds all that its bytes depend on.

That is the inputs, the source of the modules that compute it (`code_fingerprint`) and the versions of the libraries under them
(`environment`); a run that was killed, or a stage that is asked again, finds what was finished and nothing that another code made.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path

from polychromic.base.hardware import best_device

LIBRARIES = ("torch", "transformers", "peft", "accelerate", "sentence-transformers")
PACKAGE = Path(__file__).resolve().parents[1]


def code_fingerprint(names: Sequence[str]) -> str:
    """sha256 over the source of modules and folders of the package, such as "base/seeds.py" and "train"."""
    digest = hashlib.sha256()
    for name in names:
        path = PACKAGE / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def environment() -> dict[str, str]:
    """What last bits depend on beside inputs and code: versions of libraries, and the GPU's name where one computes."""
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    if best_device() != "cuda":
        return versions
    import torch

    return versions | {"gpu": torch.cuda.get_device_name()}
