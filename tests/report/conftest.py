"""Fixtures around the synthetic results: as dicts, and as a workspace with the paper's own sources."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import pytest

from polychromic.io import write_json
from tests.report.synthetic import METRICS, REPOSITORY, make_benchmarks, make_compare, make_designs, make_openers


@pytest.fixture(scope="session")
def _compares() -> dict[str, dict]:
    return {domain: make_compare(domain) for domain in METRICS}


@pytest.fixture
def compares(_compares: dict[str, dict]) -> dict[str, dict]:
    """domain -> compare.json as a dict, a copy for each test to change."""
    return copy.deepcopy(_compares)


@pytest.fixture
def workspace(tmp_path: Path, compares: dict[str, dict]) -> Path:
    """A folder with results/ of both domains, benchmarks/results/ and the paper's own sources."""
    root = tmp_path / "workspace"
    for domain, compare in compares.items():
        write_json(root / "results" / domain / "compare.json", compare)
        write_json(root / "results" / domain / "select.json", compare["selection"])
    for name, document in make_benchmarks().items():
        write_json(root / "benchmarks" / "results" / name, document)
    replies = make_benchmarks()["step_cost-listqa.json"] | {"domain": "replies"}
    write_json(root / "benchmarks" / "results" / "step_cost-replies.json", replies)
    write_json(root / "results" / "replies" / "openers.json", make_openers())
    write_json(root / "benchmarks" / "results" / "calibration.json", make_designs())
    (root / "paper").mkdir(parents=True)
    for name in ("main.tex", "refs.bib"):
        shutil.copyfile(REPOSITORY / "paper" / name, root / "paper" / name)
    return root
