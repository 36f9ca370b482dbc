"""Test opened in several processes: each adapter once, and what is written is what the stages write one by one."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from polychromic.base import paths
from polychromic.params import Params
from polychromic.pipeline import run
from polychromic.sample.cells import sample_cell
from polychromic.score.score import score
from tests.workspace import (
    REPOSITORY,
    declared_values,
    make_models,
    small_params,
    small_plan,
    small_values,
    split_listqa,
    write_listqa,
    write_params,
)


def test_every_adapter_of_the_paper_is_trained_once_and_every_system_drawn():
    values = declared_values()
    opened = {name: {"seeds": 2, "temperatures": [1.0]} for name in ("lora_min_p", "lora_4c", "polychromic_4c", "rft", "gem")}
    values["analysis"]["test"]["listqa"]["systems"] |= opened
    params = Params.model_validate(values)
    groups = run.tasks(params, params.domains)
    assert all({task.kind for task in group} == {kind} for kind, group in groups.items()) and list(groups)[-1] == "score"
    declared = {(domain, cell): len(cell.seeds) for domain in params.domains for cell in params.cells(domain, "test")}
    assert [(task.domain, task.cell) for task in groups["write"]] == list(declared)
    assert Counter((task.domain, task.cell) for task in groups["draw"]) == declared
    # min-p decodes what others trained; of two that train alike for as long, one is in the list.
    first, trained = groups["train"][0], groups["train"]
    assert not [task for task in trained if task.cell.method.endswith("min_p")] and len(set(trained)) == len(trained)
    assert "gem" in {task.cell.method for task in trained} and Counter(task.cell.method for task in trained)["lora_4c"] == 2
    assert [(task.domain, task.cell.method) for task in trained[:4]] == [("listqa", "lora_4c")] * 2 + [("listqa", "polychromic_4c")] * 2
    assert first.number == 0, "the longest first"


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    """Data and parameters, in the current folder; no split and no models."""
    write_listqa(tmp_path)
    write_params(tmp_path, small_values())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize("processes", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_files_are_those_of_the_stages_to_the_byte(processes, workspace, monkeypatch, capfd):
    make_models(workspace)
    params = small_params()
    split_listqa(params)
    if not processes:
        monkeypatch.setattr(run, "ProcessPoolExecutor", lambda *_, **__: ThreadPoolExecutor(1))
    run.open_test(params, ["listqa"], 2)
    said = capfd.readouterr().err
    assert "train: 5 of 5" in said and ("seed 0" not in said or not processes), "one bar for all processes"
    made = {path: path.read_bytes() for path in Path("results/listqa/test").rglob("*") if path.is_file()}
    assert len(made) == 2 * len(small_plan()["systems"]) + 2, "samples and histories"
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(workspace / "another"))
    for cell in params.cells("listqa", "test"):
        sample_cell(params, "listqa", "test", cell, paths.cell_dir("listqa", "test", cell.name))
    score(params, "listqa", "test")
    assert {path: path.read_bytes() for path in made} == made


def test_an_error_in_a_process_is_the_command_s(workspace):
    command = [sys.executable, "-m", "polychromic", "open-test", "listqa", "--jobs", "2"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 1 and "split.json" in done.stderr and "Traceback" not in done.stderr
