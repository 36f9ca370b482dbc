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

# Whatever stands between inputs and the bytes that are kept, tests/test_caches.py holds this against the imports.
LIBRARIES = (
    "torch", "transformers", "tokenizers", "safetensors", "numpy", "peft", "accelerate", "sentence-transformers", "bert-score",
)  # fmt: skip
PACKAGE = Path(__file__).resolve().parents[1]


def code_fingerprint(names: Sequence[str]) -> str:
    """sha256 over the source of modules and folders of the package, such as "base/seeds.py" and "train"."""
    digest = hashlib.sha256()
    for name in names:
        path = PACKAGE / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def versions(names: Sequence[str]) -> dict[str, str]:
    """The installed version of each library."""
    return {name: importlib.metadata.version(name) for name in names}


def environment() -> dict[str, str]:
    """What last bits depend on beside inputs and code: versions of libraries, and the GPU's name where one computes."""
    if best_device() != "cuda":
        return versions(LIBRARIES)
    import torch

    return versions(LIBRARIES) | {"gpu": torch.cuda.get_device_name()}
