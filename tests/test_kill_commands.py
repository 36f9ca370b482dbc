"""SIGKILL at random lines, and in the middle of writes, of what a user runs: the end is the bytes of an undisturbed run, and on the way Git
sees whole files of the command and nothing else. tests/test_kill.py kills dvc and its cells."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import polychromic.report.build
import polychromic.sample.cells
import polychromic.score.score
import polychromic.train.trainer
import polychromic.yours.collect.sources
import polychromic.yours.curate.run
import polychromic.yours.evaluate.draw
import polychromic.yours.evaluate.output  # noqa: F401 - what a life would import
from polychromic.base.drafts import DRAFT
from polychromic.base.io import write_json, write_jsonl
from tests.lives import live
from tests.report.synthetic import make_benchmarks
from tests.workspace import KINDS, make_models, small_values, write_listqa, write_params

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
KILLS = 5  # of each command
METHODS = ("zero_shot", "few_shot", "lora", "polychromic")
COMMANDS = {  # name -> (which workspace, command line)
    "train": ("split", "train listqa polychromic --lam 3 --seed 0 --out adapter"),
    "sample": ("split", "sample listqa lora --split dev"),
    "score": ("sampled", "score listqa --split dev"),
    "report": ("compared", "report listqa --split dev"),
    "evaluate": ("split", "evaluate --samples one.jsonl --samples two.jsonl --no-encoder --bootstrap 200 --out out"),
    "draw": ("split", "evaluate --base model --data one.jsonl --n 32 --max-new-tokens 4 --no-encoder --bootstrap 200 --k 1 --out out"),
    "collect": ("split", "collect file raw.jsonl --keep-authors --page-size 4 --out out"),
    "curate": ("split", "curate raw.jsonl --out out"),
}


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgSign=false"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def run(folder: Path, cache: Path, line: str) -> int:
    found = live(line.split(), folder, cache)
    assert (found.signal, found.code) == (0, 0), (folder.parent / "said.txt").read_text()
    return found.lines


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, Path]:
    """Workspaces under Git, which ignores nothing: split, with all cells sampled, and compared."""
    folder = tmp_path_factory.mktemp("made")
    start, cache = folder / "split", folder / "cache"
    start.mkdir()
    values = small_values() | {"seeds": [0], "domains": ["listqa"]}
    values["methods"] = {name: values["methods"][name] for name in METHODS}
    metrics = ["pass@1", "pass@10", "valid_distinct@10", "semantic_diversity"]
    values["listqa"] |= {"lambdas": [3.0], "temperatures": [1.0], "metrics": metrics}
    values["analysis"]["contrasts"] = values["analysis"]["contrasts"][:1]
    write_params(start, values)
    make_models(start)
    write_listqa(start)
    write_json(start / "benchmarks" / "results" / "step_cost-listqa.json", make_benchmarks()["step_cost-listqa.json"])
    rows = [{"id": kind, "prompt": f"Name one {kind}.", "samples": ["red", "blue", kind, "-"], "valid": ["red", kind]} for kind in KINDS]
    for name, right in (("one", "red"), ("two", "green")):
        write_jsonl(start / f"{name}.jsonl", [row | {"samples": [right, *row["samples"][1:]]} for row in rows])
    pair = lambda n, kind: {"post": f"What is the use of thing {n}?", "reply": f"you can put {kind} on it", "author": f"a{n % 3}"}
    write_jsonl(start / "raw.jsonl", [pair(n, kind) for n, kind in enumerate(KINDS)])
    subprocess.run(["git", "init", "--quiet", start], check=True)
    run(start, cache, "split listqa")
    run(start, cache, "norms listqa")
    git(start, "add", "--all")
    git(start, "commit", "--quiet", "--message", "start")
    found, before = {"split": start}, start
    for name, lines in {
        "sampled": [f"sample listqa {method} --split dev" for method in METHODS[:3]] + ["sample listqa polychromic --lam 3 --split dev"],
        "compared": ["score listqa --split dev", "compare listqa --split dev"],
    }.items():
        found[name] = shutil.copytree(before, folder / name)
        for line in lines:
            run(found[name], cache, line)
        git(found[name], "add", "--all")
        git(found[name], "commit", "--quiet", "--message", name)
        before = found[name]
    return found


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def untracked(folder: Path) -> set[str]:
    """What `git status` lists."""
    return {line[3:] for line in git(folder, "status", "--porcelain", "--untracked-files=all").splitlines()}


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_anywhere_a_command_ends_with_the_same_bytes_and_git_sees_no_orphan(name, made, tmp_path):
    which, line = COMMANDS[name]
    rng, deaths = random.Random(name), []
    calm, rough = (shutil.copytree(made[which], tmp_path / kind) for kind in ("calm", "rough"))
    lines = run(calm, tmp_path / "calm-cache", line)
    wanted, outputs = contents(calm), untracked(calm)
    largest = max(len(wanted[path]) for path in outputs)
    for turn in range(200):
        if turn % 3 < 2:
            found = live(line.split(), rough, tmp_path / "cache", line=rng.randint(1, lines))
        else:
            found = live(line.split(), rough, tmp_path / "cache", size=rng.randint(1, largest))
        if found.signal:
            deaths.append(found.signal)
            assert untracked(rough) <= outputs, "Git sees what is no output"
        else:  # it came through, as it went on where the last one had stopped: begin anew
            assert found.code == 0 and contents(rough) == wanted, (tmp_path / "said.txt").read_text()
            shutil.rmtree(rough)
            shutil.rmtree(tmp_path / "cache")
            shutil.copytree(made[which], rough)
        if len(deaths) >= KILLS:
            break
    run(rough, tmp_path / "cache", line)
    assert len(deaths) >= KILLS and set(deaths) <= {signal.SIGKILL, signal.SIGXFSZ}
    assert contents(rough) == wanted and untracked(rough) == outputs
    assert not [path for path in rough.rglob(f"{DRAFT}*")], "the next run clears what a kill left"


def test_there_are_forty_kills():
    assert len(COMMANDS) * KILLS >= 40
