"""Where things are, relative to the workspace (the folder that holds params.yaml), and the cache outside of it."""

from __future__ import annotations

import os
from collections.abc import Iterable
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


def scores_file(domain: str, split: str) -> Path:
    """Scores on dev, on which everything is chosen, and on test lie apart, so that no choice reads test."""
    return RESULTS / domain / ("scores.jsonl.gz" if split == "dev" else f"{split}-scores.jsonl.gz")


def record_files(domains: Iterable[str]) -> list[Path]:
    """The records of all that the paper prints: a file per domain, and those of the stages that are of no domain."""
    names = [f"{domain}/{name}" for domain in domains for name in ("numbers.json.gz", "test-numbers.json.gz")]
    others = ("audit", "costs", "designs", "people", "setup", "summary")
    return [RESULTS / name for name in (*names, *(f"{of}/numbers.json.gz" for of in others))]
