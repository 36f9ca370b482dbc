"""Where things are, relative to the workspace (the folder that holds params.yaml), and the cache outside of it.

What is about one split of a domain lies in one folder: results/DOMAIN/SPLIT, where SPLIT is dev, test or calibration. In it a cell has
a folder of its own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from polychromic.base.errors import PolychromicError

PARAMS = Path("params.yaml")
DATA = Path("data")
RESULTS = Path("results")
PAPER = Path("paper")
NUMBERS = RESULTS / "numbers.json.gz"  # the records of all that the paper prints
CALLS = Path("judge/calls.jsonl.gz")  # answers of models and people to the declared questions of params.yaml, `judge`
JUDGED = Path("judge/declared.json")  # whose answers are all there; without it no judge takes part in the pipeline
JUDGEMENT = RESULTS / "judge.json"
EXPLORER = PAPER / "explore.html"  # the page, beside the PDF
SAMPLES, HISTORY = "samples.jsonl.gz", "history.jsonl"  # of a cell

Split = Literal["dev", "test", "calibration"]
SPLITS: tuple[Split, ...] = ("dev", "test", "calibration")


def real(path: str | os.PathLike) -> Path:
    """The absolute path without links. A loop of links, at which Path.resolve stops with an error, is left as it is."""
    return Path(os.path.realpath(path))


def cache_dir() -> Path:
    """Content-addressed cache of weights and adapters: $POLYCHROMIC_CACHE, else the user's cache folder."""
    if root := os.environ.get("POLYCHROMIC_CACHE"):
        return Path(root)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "polychromic"
    except RuntimeError:
        said = "HOME is not set, and the user has no home. Allowed: a place for the cache. Set POLYCHROMIC_CACHE"
        raise PolychromicError(f"{said}.") from None


def data_file(domain: str) -> Path:
    return DATA / f"{domain}.jsonl"


def split_file(domain: str) -> Path:
    return RESULTS / domain / "split.json"


def norms_file(domain: str) -> Path:
    """What people's replies to training prompts say, before training (Domain.norms), and what its judge learns (held_out_norms)."""
    return RESULTS / domain / "norms.json"


def cell_name(method: str, lam: float | None) -> str:
    """Folder of a cell: the method's name, with lambda where it is the grid's axis."""
    return method if lam is None else f"{method}-{lam}"


def cell_dir(domain: str, split: str, cell: str) -> Path:
    return RESULTS / domain / split / cell


def scores_file(domain: str, split: str) -> Path:
    return RESULTS / domain / split / "scores.jsonl.gz"


def drafts_file(domain: str, split: str) -> Path:
    """Drafts of some prompts, for the page that a reader explores (polychromic.explore.drafts)."""
    return RESULTS / domain / split / "drafts.json.gz"


def calibration_file(domain: str) -> Path:
    """The person-match's threshold; null where a checker decides what is valid."""
    return RESULTS / domain / "dev" / "calibration.json"


def signatures_file(domain: str) -> Path:
    return RESULTS / domain / "dev" / "signatures.json"


def choices_file(domain: str) -> Path:
    """What dev decided: temperatures, best peers, the recommended lambda."""
    return RESULTS / domain / "dev" / "choices.json"


def machines_file(domain: str) -> Path:
    """Machine -> the systems of test that it sampled."""
    return RESULTS / domain / "test" / "machines.json"


def compare_file(domain: str, split: str) -> Path:
    """Systems with intervals and tested contrasts; on calibration, drafts beside people."""
    return RESULTS / domain / split / "compare.json"
