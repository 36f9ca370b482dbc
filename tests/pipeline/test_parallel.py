"""Test opened in several processes: each adapter once, and what is written is what the stages write one by one."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from polychromic.pipeline.parallel import KINDS, open_test, tasks
from polychromic.sample.opening import sample_test, score_test

from polychromic.base import paths
from polychromic.base.errors import UsageError
from polychromic.data import split as splitting
from polychromic.params import Params, load_params
from tests.workspace import REPOSITORY, make_models, small_params, small_plan, small_values, write_listqa, write_params

COMMAND = [sys.executable, "-m", "polychromic", "open-test", "listqa", "--jobs", "2"]


def values() -> dict:
    found = small_values()
    found["domains"] = ["listqa"]
    found["analysis"]["test"] = {"listqa": small_plan()}
    return found


def test_every_adapter_of_the_paper_is_trained_once_and_every_system_drawn():
    params = load_params(REPOSITORY / paths.PARAMS)
    groups = tasks(params, params.domains)
    assert tuple(groups) == KINDS
    assert {task.kind for group in groups.values() for task in group} == set(KINDS)
    declared = [(domain, name) for domain in params.domains for name in params.test_plan(domain).systems]
    assert [(task.domain, task.system) for task in groups["write"]] == declared
    drawn = Counter((task.domain, task.system) for task in groups["draw"])
    assert drawn == {(domain, name): params.test_plan(domain).systems[name].seeds for domain, name in declared}
    # min-p decodes what others trained; of two that train alike for as long, one is in the list.
    assert not [task for task in groups["train"] if task.system.endswith("min_p")]
    assert len(set(groups["train"])) == len(groups["train"])
    first = groups["train"][0]
    assert (first.domain, first.system) in {("listqa", "polychromic_long"), ("listqa", "lora_longer")}, "the longest first"


def test_the_files_are_those_of_the_stages_to_the_byte(tmp_path, monkeypatch):
    make_models(tmp_path)
    write_listqa(tmp_path)
    write_params(tmp_path, values())
    monkeypatch.chdir(tmp_path)
    splitting.run("listqa", small_params().listqa.sizes.model_dump(), 0, 1.0)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    done = subprocess.run(COMMAND, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert "train: 5 of 5" in done.stderr and "seed 0" not in done.stderr, "one bar for all"
    made = {path: path.read_bytes() for path in sorted(Path("results/listqa").glob("test*/*")) + sorted(Path("results/listqa").glob("test-*"))}
    assert len(made) == len(small_plan()["systems"]) + 2
    params = Params.model_validate(values())
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "another"))
    for name in small_plan()["systems"]:
        sample_test(params, "listqa", name)
    score_test(params, "listqa")
    assert {path: path.read_bytes() for path in made} == made


def test_an_error_in_a_process_is_the_command_s(tmp_path, monkeypatch):
    write_listqa(tmp_path)
    write_params(tmp_path, values())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    done = subprocess.run(COMMAND, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 1 and "split.json" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(("domains", "jobs", "message"), [(["listqa"], 0, r"--jobs is 0\. Allowed: 1 or more"), (["poems"], 2, "has no 'poems'")])
def test_what_cannot_run_is_refused_before_a_process_starts(domains, jobs, message):
    with pytest.raises(UsageError, match=message):
        open_test(Params.model_validate(values()), domains, jobs)
