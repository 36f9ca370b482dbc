"""A second copy of the repository in which the pipeline can run without touching the paper's results; and the smoke run in one.

A workspace holds the source files and the data, but no result: everything in it is made there. It is a Git and DVC
repository of its own (the ablation commands work in it), with a cache of its own; only the data store is shared, and read.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import write_text
from polychromic.params import read_yaml
from polychromic.pipeline.stages import PIPELINE, stages, to_yaml

MARKER = ".polychromic-workspace"
MARKER_TEXT = "Made by `polychromic`, which may delete and rebuild this folder. Keep nothing of yours in it.\n"
STORE = "store"
APART = (f"{STORE}/", f"{paths.CALLS.parent}/")
# One commit, the same for the same files: nothing of the user's configuration, no clock.
IDENTITY = {"NAME": "polychromic", "EMAIL": "polychromic@localhost", "DATE": "2000-01-01T00:00:00+00:00"}

# The real model and the real data, few of both: one domain, one seed, four steps.
SMOKE: Mapping[str, Any] = {
    "domains": ["listqa"],
    "seeds": [0],
    "listqa.sizes": {"train": 24, "dev": 12, "test": 300},
    "listqa.steps": 4,
    "listqa.temperatures": [1.0],
    "methods.lora.temperatures": {},
    "split.tolerance": 0.2,  # a dozen prompts cannot keep every stratum's share
    "sampling.n": 12,
    "analysis.bootstrap": 500,
    "analysis.resamples": 500,
    "analysis.permutations": 500,
}
# Its cells: the four baselines, polychromic at the headline lambda.
SMOKE_METHODS = ("zero_shot", "few_shot", "lora", "polychromic")


def make_workspace(
    root: Path,
    target: Path,
    overrides: Mapping[str, Any],
    methods: Collection[str] | None = None,
    lambdas: Collection[float] | None = None,
) -> Path:
    """Copy the repository at `root` to `target`, with other parameters and, on request, some of the cells only.

    Args:
        root: the folder that holds params.yaml. Files that its .gitignore does not name are copied, as they are now, with Git or without.
        target: a folder that does not exist, is empty, or is an earlier workspace, which is replaced.
        overrides: params.yaml's values by dotted key, such as {"listqa.steps": 4}; every key must exist.
        methods: to keep, the four baselines among them; lambdas: weights of the grid to keep, beside the headline's; None keeps all.

    Returns:
        `target`, absolute: one commit, data/ in place, no results, no dvc.lock, dvc.yaml printed anew.

    Raises:
        UsageError: no params.yaml, or values that it may not hold.
        PolychromicError: `target` holds something else, or data/ is absent and cannot be pulled.
    """
    root, target, yaml = root.resolve(), target.resolve(), round_trip_yaml()
    read_yaml(root / paths.PARAMS)  # says what is wrong with it, where it is
    values = yaml.load(root / paths.PARAMS)
    for key, value in overrides.items():
        *parents, last = key.split(".")
        reduce(getitem, parents, values)[last] = value
    _keep(values, methods, lambdas)
    _clear(target)
    write_text(target / MARKER, MARKER_TEXT)  # first, so that a workspace that was cut short can be replaced
    for name in _sources(root, target):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, target / name, follow_symlinks=False)
    yaml.dump(values, target / paths.PARAMS)
    write_text(target / PIPELINE, to_yaml(target))
    write_text(target / ".dvc" / "config.local", f"['remote \"store\"']\n    url = {root / STORE}\n")
    for command in (("init", "--quiet", "--initial-branch=main"), ("add", "--all"), ("commit", "--quiet", "--message=Workspace")):
        _run(["git", *command], target, _git_environment())
    if (data := root / paths.DATA).is_dir() and any(data.iterdir()):
        shutil.copytree(data, target / paths.DATA)
    else:  # a clone in which they were not pulled yet
        _run([sys.executable, "-m", "dvc", "pull", "--quiet", "data.dvc"], target, workspace_environment(target))
    return target


def workspace_environment(target: Path) -> dict[str, str]:
    """The environment for a command in a workspace: its code, this interpreter, no variable of a repository around it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "DVC_"))}
    search = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)])
    return environment | {"PATH": search, "PYTHONPATH": str(target), "TOKENIZERS_PARALLELISM": "false"}


def run_smoke(root: Path, target: Path) -> None:
    """Run the pipeline up to the report of listqa on the real model in a fresh workspace, and print its table of systems.

    Few steps on few prompts: that it works, not how well. The table, others and figures lie in `target`/paper.

    Raises:
        PolychromicError: a stage failed; its own messages are on stderr above.
    """
    started = time.monotonic()
    target = make_workspace(root, target, SMOKE, SMOKE_METHODS, lambdas=())
    # The stages' output is progress: stdout is for what was found.
    command = [sys.executable, "-m", "dvc", "repro", "report-dev@listqa"]
    done = subprocess.run(command, cwd=target, env=workspace_environment(target), stdout=sys.stderr, check=False)
    if done.returncode:
        raise PolychromicError(f"the smoke run failed in {target}: see the stage's message above. Mend it and run it again.")
    print((target / paths.PAPER / "tables" / "listqa-systems.md").read_text(encoding="utf-8"))
    print(f"{time.monotonic() - started:.0f} s; tables and figures are in {target / paths.PAPER}")


def _clear(target: Path) -> None:
    if target.exists() and not (target.is_dir() and ((target / MARKER).is_file() or not any(target.iterdir()))):
        raise PolychromicError(f"{target} holds files but no {MARKER}: it is no workspace and stays as it is. Name another folder.")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)


def _sources(root: Path, target: Path) -> list[str]:
    """Paths under `root` that make a workspace, sorted: all but what .gitignore names, the outs of stages, and what judges said of the
    paper's replies. An empty repository lists them, since an unpacked archive has none."""
    made = {path for stage in stages(root).values() for path in stage.outs} | {"dvc.lock", MARKER}
    with tempfile.TemporaryDirectory() as empty:
        _run(["git", "init", "--quiet", "--bare", empty], root, _git_environment())
        place = [f"--git-dir={empty}", f"--work-tree={root}"]
        listed = _run(["git", *place, "ls-files", "--others", "--exclude-standard", "-z"], root, _git_environment()).split("\0")
    kept = (name for name in listed if name not in made and not name.startswith(APART) and not (root / name).is_relative_to(target))
    return sorted(name for name in kept if (root / name).is_file())  # a repository of its own is listed as a folder


def _keep(values: Any, methods: Collection[str] | None, lambdas: Collection[float] | None) -> None:
    """Drop other methods and weights from params.yaml's values: from the grid, the contrasts, and what test is declared for."""
    dropped = set() if methods is None else set(values["methods"]) - set(methods)
    for domain in (values[name] for name in values["domains"]):
        _discard(domain["lambdas"], lambda lam: lambdas is not None and lam not in lambdas)
        if not domain["lambdas"]:
            domain["lambdas"].append(values["lambda"])
        _discard(domain.get("people", []), lambda name: name in dropped)
    plans = values["analysis"]["test"].values()
    for table in (values["methods"], *(plan["systems"] for plan in plans)):
        for name in dropped & table.keys():
            del table[name]
    for holder in (values["analysis"], *plans):
        _discard(holder["contrasts"], lambda pair: bool({pair["a"], pair["b"]} & dropped))
    for pairs in values["judge"]["pairs"].values():
        _discard(pairs, lambda pair: bool(set(pair.split(" - ")) & dropped))


def _discard(items: list, unwanted: Callable[[Any], bool]) -> None:
    """Delete in place, from the end: ruamel keeps the comments of what stays."""
    for place in reversed(range(len(items))):
        if unwanted(items[place]):
            del items[place]


def round_trip_yaml() -> YAML:
    """Loads and dumps with comments, quotes and order as they are."""
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _git_environment() -> dict[str, str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in IDENTITY.items()}
    return environment | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def _run(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise PolychromicError(f"`{' '.join(command[:4])} …` failed in {folder}: {said}. Mend what it names and run the command again.")
    return done.stdout
