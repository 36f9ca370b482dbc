"""Where things are, relative to the workspace (the folder that holds params.yaml), and the cache outside of it."""

from __future__ import annotations

import os
from pathlib import Path

PARAMS = Path("params.yaml")
DATA = Path("data")
RESULTS = Path("results")
PAPER = Path("paper")


def cache_dir() -> Path:
    """Content-addressed cache of weights and adapters: $POLYCHROMIC_CACHE, else the user's cache folder."""
    if root := os.environ.get("POLYCHROMIC_CACHE"):
        return Path(root)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "polychromic"


def data_file(domain: str) -> Path:
    return DATA / f"{domain}.jsonl"


def split_file(domain: str) -> Path:
    return RESULTS / domain / "split.json"


def cell_dir(domain: str, cell: str) -> Path:
    return RESULTS / domain / cell
