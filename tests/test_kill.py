"""SIGKILL to dvc, to the cell, to both, in the middle of training: never two writers, and the end is the same bytes."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from polychromic.base.errors import PolychromicError
from polychromic.base.locks import single_writer
from tests import pipeline_tools as tools
from tests.workspace import make_models

STEPS = 300
STAGE = "tuned-dev@listqa-lora"
Launch = Callable[..., subprocess.Popen]

pytestmark = pytest.mark.timeout(2 * tools.PATIENCE)


def last_checkpoint(cache: Path) -> int:
    complete = cache.glob("runs/*/checkpoints/checkpoint-*/trainer_state.json")
    return max((int(path.parent.name.split("-")[1]) for path in complete), default=0)


@pytest.fixture
def launch() -> Iterator[Launch]:
    """tools.start, whose processes do not outlive the test."""
    with ExitStack() as stack:

        def start(*arguments, log: Path) -> subprocess.Popen:
            process = tools.start(*arguments, log=log)
            stack.callback(tools.stop, process)
            return process

        yield start


def start_and_wait(launch: Launch, workspace: Path, environment: dict[str, str], log: Path) -> tuple[subprocess.Popen, psutil.Process]:
    """Start the stage; return dvc and its cell once it has written a checkpoint later than the ones that were there."""
    cache = Path(environment["POLYCHROMIC_CACHE"])
    before, deadline = last_checkpoint(cache), time.monotonic() + tools.PATIENCE
    dvc = launch(workspace, environment, "dvc", "repro", STAGE, log=log)
    while last_checkpoint(cache) <= before:
        assert dvc.poll() is None, f"dvc ended before it could be killed:\n{log.read_text()[-2000:]}"
        assert time.monotonic() < deadline, "no checkpoint was written"
        time.sleep(0.05)
    children = psutil.Process(dvc.pid).children(recursive=True)
    return dvc, next(child for child in children if {"-m", "polychromic", "sample"} <= set(child.cmdline()))  # python itself, no shell


@pytest.mark.slow
def test_killed_runs_resume_to_the_same_bytes(launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_models(tmp_path)
    sizes = {"listqa__steps": STEPS, "methods__lora__cost": None, "train__checkpoint_every": 5, "train__eval_every": STEPS}
    calm, rough = tools.tiny_workspace(tmp_path / "calm", **sizes), tools.tiny_workspace(tmp_path / "rough", **sizes)
    calm_log, log, cache = tmp_path / "calm.log", tmp_path / "rough.log", tmp_path / "rough-cache"
    undisturbed = launch(calm, tools.environment(calm, tmp_path / "calm-cache"), "dvc", "repro", STAGE, log=calm_log)
    environment = tools.environment(rough, cache)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(cache))

    # dvc alone: its cell, which nobody else may write, follows within seconds
    dvc, cell = start_and_wait(launch, rough, environment, log)
    with pytest.raises(PolychromicError, match="another process"), single_writer(rough / "results/listqa/dev/lora", wait_seconds=0.1):
        pytest.fail("two writers")
    dvc.kill()
    dvc.wait()
    assert psutil.wait_procs([cell], timeout=20)[1] == [], "the cell outlived dvc"
    reached = [last_checkpoint(cache)]

    # the cell alone: dvc says so and records nothing. It started although the first left its entry in rwlock.
    assert (rough / ".dvc" / "tmp" / "rwlock").read_text().count(f'"pid": {dvc.pid}') > 0
    dvc, cell = start_and_wait(launch, rough, environment, log)
    cell.kill()
    assert dvc.wait(tools.PATIENCE) != 0
    assert f"failed to reproduce '{STAGE}'" in log.read_text()
    assert STAGE not in tools.recorded(rough)
    assert {path.name for path in (rough / "results" / "listqa").rglob("*") if path.is_file()} <= {"split.json", "norms.json", ".gitignore"}
    reached.append(last_checkpoint(cache))

    # both
    dvc, cell = start_and_wait(launch, rough, environment, log)
    dvc.kill()
    cell.kill()
    dvc.wait()
    psutil.wait_procs([cell], timeout=20)
    reached.append(last_checkpoint(cache))
    assert 0 < reached[0] < reached[1] < reached[2] < STEPS, "a kill came too late to be in the middle"

    output = tools.finish(launch(rough, environment, "dvc", "repro", STAGE, log=log), log)
    first_step = int(re.search(rf"train, seed 0: (\d+) of {STEPS}", output).group(1))
    assert first_step == reached[2] + 1  # resumed, not begun anew
    tools.finish(undisturbed, calm_log)
    assert f"train, seed 0: 1 of {STEPS}" in calm_log.read_text()
    assert tools.recorded(rough)[STAGE] == tools.recorded(calm)[STAGE]
    assert not list(cache.glob("runs/*/checkpoints"))
