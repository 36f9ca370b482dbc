"""The whole pipeline on tiny random models: workspaces in which `dvc repro` takes minutes, and commands to run in them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from polychromic.base.io import write_json
from polychromic.params import read_yaml
from polychromic.pipeline.stages import Stage, stages
from polychromic.pipeline.workspace import make_workspace, workspace_environment
from tests.report.synthetic import make_benchmarks, make_designs
from tests.workspace import FURTHER, PEOPLE, REPOSITORY, declared_values, small_plan, write_params

PATIENCE = 3600  # seconds for one command; only a failure, or a machine that does other things, takes as long
VALUES = read_yaml(REPOSITORY / "params.yaml")
DOMAINS = tuple(VALUES["domains"])
# The models lie beside the workspace: the same path from workspaces of any name.
TINY: Mapping[str, Any] = {
    "model": {"source": "folder", "path": "../model"},
    "encoder": {"source": "folder", "path": "../encoder"},
    "seeds": [0],
    "split.tolerance": 0.6,
    "methods.lora.temperatures": {},
    "train.batch_size": 4,
    "train.eval_every": 1,
    "train.checkpoint_every": 1,
    "sampling.n": 10,
    "analysis.bootstrap": 200,
    "analysis.resamples": 200,
    "analysis.permutations": 200,
} | {
    f"{domain}.{key}": value
    for domain in DOMAINS
    for key, value in {
        "sizes": {"train": 16, "dev": 8, "test": 20},
        "steps": 2,
        "rollouts": {"share": 1.0, "every": 1},
        "max_new_tokens": 4,
        "temperatures": [1.0],
    }.items()
}
# A random model that is asked for a list may say nothing in any: ratios of n-grams do not exist for it, and scoring refuses them.
OF_NGRAMS = {"distinct_1", "distinct_2", "ead", "vocabulary"}
TINY |= {
    f"{domain}.metrics": [name for name in VALUES[domain]["metrics"] if name not in OF_NGRAMS] for domain in ("listqa", "creative", "code")
}
# Its judges are fitted on people in several groups.
TINY |= {"replies.sizes": {"train": 60, "dev": 8, "test": 20}}
# One of each kind: prompted, listed, decoded otherwise, another loss, self-training, another objective, a grid.
PEERS = ("list_prompt", "lora_min_p", "gem", "rft", "polychromic_plain")
METHODS = ("zero_shot", "few_shot", "lora", "polychromic", *PEERS)
HEADLINE, OTHER = 3.0, 10.0
# Domain -> weights of its grid: the one of an ablation is in some, and a new cell in the others.
GRID = {"listqa": [HEADLINE, OTHER], "replies": [HEADLINE], "creative": [OTHER], "code": [HEADLINE]}
TINY |= {f"{domain}.lambdas": weights for domain, weights in GRID.items()} | {"lambda": HEADLINE}
TINY |= {f"methods.{name}": FURTHER[name] | {"domains": ["listqa"]} for name in PEERS if name in FURTHER}
TINY |= {"methods.lora_min_p.domains": ["listqa"], "methods.lora_min_p.temperatures": {}}
TINY |= {"replies.people": list(PEOPLE)}
# Test is opened in each, whether or not the repository's own declares so.
PLAN = small_plan()
TINY |= {
    f"analysis.test.{domain}": {
        "seeds": [0],
        "prompts": 6,
        "systems": {name: system | {"seeds": 1, "temperatures": [1.0]} for name, system in PLAN["systems"].items()},
        "contrasts": [contrast | {"family": "secondary", "rule": "chosen"} for contrast in PLAN["contrasts"]],
    }
    for domain in DOMAINS
}


def tiny_workspace(target: Path, **overrides: Any) -> Path:
    """A workspace at `target` with the cells of METHODS and GRID, TINY's parameters and `overrides` (dots as double underscores).

    Timings are inputs of the pipeline: made-up ones stand in it, as timings of these models would say nothing.
    """
    values = TINY | {key.replace("__", "."): value for key, value in overrides.items()}
    workspace = make_workspace(REPOSITORY, target, values, METHODS, (HEADLINE, OTHER))
    timings = make_benchmarks()
    timings["fronts.json"] = make_designs()
    timings["audit.json"] = {"cells": [], "population": 0}
    timings["step_cost-replies.json"] = timings["step_cost-listqa.json"] | {"domain": "replies"}
    for name, document in timings.items():
        write_json(workspace / "benchmarks" / "results" / name, document)
    return workspace


def link_sources(folder: Path) -> None:
    """What decides about the pipeline, but for params.yaml."""
    for name in ("polychromic", "paper", "benchmarks"):
        (folder / name).symlink_to(REPOSITORY / name)


def declared_stages(folder: Path, edit: Callable[[dict[str, Any]], Any] = lambda values: None) -> dict[str, Stage]:
    """The stages where each domain has a plan for test, after `edit` of such values; `folder` has the sources, and gets its params.yaml."""
    values = declared_values()
    edit(values)
    write_params(folder, values)
    return stages(folder)


def environment(workspace: Path, cache: Path, hash_seed: int = 0) -> dict[str, str]:
    settings = {"POLYCHROMIC_CACHE": str(cache), "PYTHONHASHSEED": str(hash_seed), "OMP_NUM_THREADS": "1"}
    return workspace_environment(workspace) | settings


def start(workspace: Path, environment: Mapping[str, str], module: str, *arguments: str, log: Path) -> subprocess.Popen:
    """Start `python -m module arguments` in the workspace, its output going to `log`."""
    with log.open("wb") as out:
        streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": subprocess.STDOUT}
        return subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=workspace, env=dict(environment), **streams)


def stop(process: subprocess.Popen) -> None:
    """End a process that a failed test leaves behind; a cell follows its dvc on its own."""
    if process.poll() is None:
        process.kill()
        process.wait()


def finish(process: subprocess.Popen, log: Path, timeout: float = PATIENCE) -> str:
    """Wait for the end and return the output; a failure fails the test with its last lines."""
    code = process.wait(timeout)
    text = log.read_text(errors="replace")
    if code:
        pytest.fail(f"{' '.join(process.args[2:])} ended with {code}:\n" + "\n".join(text.splitlines()[-30:]))
    return text


def dvc(workspace: Path, environment: Mapping[str, str], *arguments: str) -> str:
    return output(workspace, environment, "dvc", *arguments)


def output(workspace: Path, environment: Mapping[str, str], module: str, *arguments: str) -> str:
    """What `python -m module arguments` says in the workspace, on both streams."""
    log = workspace.with_name(f"{workspace.name}-{module}.log")
    process = start(workspace, environment, module, *arguments, log=log)
    try:
        return finish(process, log)
    finally:
        stop(process)


def git(workspace: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgSign=false"]
    return subprocess.run(["git", *identity, *arguments], cwd=workspace, check=True, capture_output=True, text=True).stdout.strip()


def commit(workspace: Path, message: str) -> None:
    git(workspace, "add", "--all")
    git(workspace, "commit", "--quiet", "--message", message)


def stages_run(output: str) -> list[str]:
    """Names of the stages that a `dvc repro` or `dvc exp run` executed, in order."""
    return re.findall(r"^Running stage '([^']+)':", output, flags=re.MULTILINE)


def recorded(workspace: Path) -> dict[str, dict[str, str]]:
    """dvc.lock as {stage: {out: md5}}."""
    stages = YAML(typ="safe").load(workspace / "dvc.lock")["stages"]
    return {name: {out["path"]: out["md5"] for out in stage["outs"]} for name, stage in stages.items()}


def way_back() -> list[str]:
    """The README's command that takes an ablation back."""
    page = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^(git restore .*?)(?:\s+#.*)?$", page, flags=re.MULTILINE)
