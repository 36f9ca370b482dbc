"""Fixtures around the synthetic results: as dicts, and as a workspace with the paper's own sources."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import pytest

from polychromic.base.io import write_json
from polychromic.report.audit import build_audit
from polychromic.report.build import build, build_costs, build_designs, build_people, build_setup, build_summary, build_test
from polychromic.report.examples import examples_table
from tests.report.synthetic import (
    METRICS,
    PARAMS,
    REPOSITORY,
    make_benchmarks,
    make_compare,
    make_designs,
    make_openers,
    make_test,
    write_provenance,
)
from tests.workspace import listqa_record


@pytest.fixture(scope="session")
def _compares() -> dict[str, dict]:
    return {domain: make_compare(domain) for domain in METRICS}


@pytest.fixture
def compares(_compares: dict[str, dict]) -> dict[str, dict]:
    """domain -> compare.json as a dict, a copy for each test to change."""
    return copy.deepcopy(_compares)


@pytest.fixture
def confirmed() -> dict[str, dict]:
    """domain -> test.json as a dict."""
    return {domain: make_test(domain) for domain in METRICS}


@pytest.fixture
def workspace(tmp_path: Path, compares: dict[str, dict]) -> Path:
    """A folder with results/ of all domains, benchmarks/results/ and the paper's own sources."""
    return _workspace(tmp_path / "workspace", compares)


def _workspace(root: Path, compares: dict[str, dict]) -> Path:
    for domain, compare in compares.items():
        write_json(root / "results" / domain / "compare.json", compare)
        write_json(root / "results" / domain / "select.json", compare["selection"])
        write_json(root / "results" / domain / "test.json", make_test(domain))
    for name, document in make_benchmarks().items():
        write_json(root / "benchmarks" / "results" / name, document)
    for domain in list(METRICS)[1:]:
        timed = make_benchmarks()["step_cost-listqa.json"] | {"domain": domain}
        write_json(root / "benchmarks" / "results" / f"step_cost-{domain}.json", timed)
    write_json(root / "results" / "replies" / "openers.json", make_openers())
    write_json(root / "benchmarks" / "results" / "calibration.json", make_designs())
    write_json(root / "benchmarks" / "results" / "audit.json", {"cells": [], "population": 57})
    (root / "paper").mkdir(parents=True)
    for name in ("main.tex", "refs.bib"):
        shutil.copyfile(REPOSITORY / "paper" / name, root / "paper" / name)
    return root


@pytest.fixture(scope="session")
def _written(tmp_path_factory, _compares: dict[str, dict]) -> Path:
    workspace = _workspace(tmp_path_factory.mktemp("written") / "workspace", copy.deepcopy(_compares))
    for domain in METRICS:
        build(domain, workspace / "results", workspace / "paper", workspace / "benchmarks" / "results")
        build_test(domain, workspace / "results", workspace / "paper")
    build_costs(tuple(METRICS), workspace / "results", workspace / "paper", workspace / "benchmarks" / "results")
    build_people("replies", workspace / "results", workspace / "paper")
    build_designs(workspace / "results", workspace / "paper", workspace / "benchmarks" / "results")
    build_audit(workspace / "results", workspace / "paper", workspace / "benchmarks" / "results" / "audit.json")
    build_setup(PARAMS, workspace / "results", workspace / "paper")
    build_summary(list(METRICS), workspace / "results", workspace / "paper")
    for domain in METRICS:
        shown, drafts = [listqa_record(0)], {"lora": [["cat", "cat 100%"]], "polychromic": [["dog", "caf\u00e9 \U0001f602"]]}
        table = examples_table(shown, dict.fromkeys(drafts, 0.75), drafts, dict.fromkeys(drafts, [[True, False]]))
        for name in (f"{domain}-samples.tex", f"{domain}-lambda-samples.tex"):
            (workspace / "paper" / "tables" / name).write_text(table, encoding="utf-8")
    write_provenance(workspace / "paper")
    return workspace


@pytest.fixture
def paper(_written: Path, tmp_path: Path) -> Path:
    """A workspace's paper/ with all that main.tex reads, and the results beside it; a copy for each test to change."""
    shutil.copytree(_written, tmp_path / "workspace")
    return tmp_path / "workspace" / "paper"
