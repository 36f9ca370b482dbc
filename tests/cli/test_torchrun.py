"""`polychromic train` and `sample` as processes: two under torchrun give what one gives, and SIGTERM costs a step and no byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from polychromic.base.io import read_jsonl, sha256_file
from polychromic.params import Params
from tests.workspace import REPOSITORY, make_models, small_values, split_listqa, write_listqa, write_params

WEIGHTS = "adapter_model.safetensors"
SECONDS = 900  # of a machine that is busy
STEPS = 60
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * SECONDS)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A workspace with tiny models. Its twelve rows fill steps of four: a rest would be padded by each process for itself."""
    folder = tmp_path_factory.mktemp("torchrun")
    values = small_values()
    values["seeds"] = [0]
    values["methods"]["polychromic"] |= {"after": 0.2}
    long = small_values()
    long["listqa"]["steps"], long["train"]["checkpoint_every"], long["seeds"] = STEPS, STEPS, [0]
    write_params(folder, values)
    write_params(folder, long, "long.yaml")
    make_models(folder)
    write_listqa(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        split_listqa(Params.model_validate(values))
    return folder


def start(folder: Path, cache: str, *arguments: str, processes: int = 1) -> subprocess.Popen:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m", "polychromic"]
    command = [sys.executable, "-m", "polychromic"] if processes == 1 else launcher
    kept = {key: value for key, value in os.environ.items() if key not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    environment = kept | {"POLYCHROMIC_CACHE": str(folder / cache), "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*command, *arguments], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: subprocess.Popen) -> tuple[int, str, str]:
    """(exit code, stdout, stderr); a process that hangs is killed, and the test fails."""
    try:
        out, said = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    return process.returncode, out, said


def run(*arguments, **settings) -> str:
    code, out, said = end(start(*arguments, **settings))
    assert code == 0, said[-3000:]
    return out


@pytest.mark.parametrize("method", ["lora", "polychromic"])
def test_two_processes_train_what_one_trains(folder, method):
    asked = ("train", "listqa", method, "--seed", "0", *(("--lam", "3.0") if method == "polychromic" else ()))
    run(folder, "cache-one", *asked, "--out", f"{method}-one")
    out = run(folder, "cache-two", *asked, "--out", f"{method}-two", processes=2)
    assert out.splitlines() == [f"{method}-two"], "the first process alone prints"
    one, two = (load_file(folder / f"{method}-{name}" / WEIGHTS) for name in ("one", "two"))
    assert one.keys() == two.keys() and max(float(value.abs().max()) for key, value in one.items() if "lora_B" in key) > 1e-4
    assert max(float((one[key] - two[key]).abs().max()) for key in one) < 1e-5


def test_a_cell_is_sampled_once_by_two_processes(folder):
    run(folder, "cache-cell", "sample", "listqa", "lora", "--split", "dev", "--out", "cell", processes=2)
    rows = [row for _, row in read_jsonl(folder / "cell" / "samples.jsonl.gz")]
    assert len(rows) == 4 * 2 and all(len(row["samples"]) == 10 for row in rows)


def test_a_batch_that_cannot_be_shared_is_refused(folder):
    asked = ("train", "listqa", "lora", "--seed", "0", "--out", "odd")
    code, _, said = end(start(folder, "cache-odd", *asked, processes=3))
    assert code != 0 and "train.batch_size is 4. Allowed: a multiple of the 3 processes" in said


def test_sigterm_saves_a_checkpoint_and_the_run_that_goes_on_ends_with_the_same_bytes(folder):
    asked = ("train", "listqa", "polychromic", "--lam", "3.0", "--seed", "0", "--params", "long.yaml")
    run(folder, "cache-calm", *asked, "--out", "calm")
    process, lines = start(folder, "cache-stopped", *asked, "--out", "stopped"), []
    while not lines or "train, seed 0: " not in lines[-1]:  # the first step is done
        lines.append(process.stderr.readline())
        assert lines[-1], "".join(lines)
    process.send_signal(signal.SIGTERM)
    code, out, said = end(process)
    assert code == 143 and out == "", said
    assert said.count("error:") == 1 and "which is saved. Run the same command again to go on." in said and "Traceback" not in said
    saved = list((folder / "cache-stopped").glob("runs/*/checkpoints/checkpoint-*/trainer_state.json"))
    assert len(saved) == 1 and not (folder / "stopped").exists()
    run(folder, "cache-stopped", *asked, "--out", "stopped")
    for name in (WEIGHTS, "history.json"):
        assert sha256_file(folder / "calm" / name) == sha256_file(folder / "stopped" / name)
