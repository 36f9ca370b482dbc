"""SIGKILL in the middle of drawing: what was complete is kept, and the end is the bytes of an undisturbed run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.oneoff.test_inputs import write

from polychromic.yours.evaluate import draw
from tests.pipeline_tools import PATIENCE
from tests.tiny import make_tiny_model
from tests.workspace import REPOSITORY

PROMPTS, N = 40, draw.ROWS // 2  # blocks of two prompts
ASKED = f"evaluate --base base --data data.jsonl --n {N} --max-new-tokens 12 --no-encoder --metrics distinct@2 --bootstrap 200"

pytestmark = pytest.mark.timeout(2 * PATIENCE)


def start(workspace: Path, out: str) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "POLYCHROMIC_CACHE": str(workspace / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "polychromic", *ASKED.split(), "--out", out]
    with (workspace / f"{out}.log").open("ab") as log:
        return subprocess.Popen(command, cwd=workspace, env=environment, stdout=log, stderr=log)


def killed_after(workspace: Path, out: str, lines: int) -> int:
    """Kill the run once the file holds more than `lines`; returns how many complete lines it left."""
    path, deadline = workspace / out / "samples-zero_shot.jsonl", time.monotonic() + PATIENCE
    process = start(workspace, out)
    try:
        while not path.exists() or path.read_bytes().count(b"\n") <= lines:
            assert process.poll() is None, (workspace / f"{out}.log").read_text()[-2000:]
            assert time.monotonic() < deadline, "no block was written"
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    return path.read_bytes().count(b"\n")


def test_killed_runs_resume_at_the_block_they_were_in(tmp_path):
    make_tiny_model(tmp_path / "base")
    write(tmp_path / "data.jsonl", *({"id": f"q{i}", "prompt": f"Name {i}"} for i in range(PROMPTS)))
    calm = start(tmp_path, "calm")
    assert calm.wait(PATIENCE) == 0, (tmp_path / "calm.log").read_text()[-2000:]

    reached = [killed_after(tmp_path, "rough", 0)]
    reached.append(killed_after(tmp_path, "rough", reached[0]))
    assert 0 < reached[0] < reached[1] < PROMPTS, "a kill came too late to be in the middle"
    path = tmp_path / "rough" / "samples-zero_shot.jsonl"
    path.write_bytes(path.read_bytes() + b'{"half a line')  # what a cut in the middle of a write leaves
    (tmp_path / "rough.log").unlink()
    last = start(tmp_path, "rough")
    said = lambda: (tmp_path / "rough.log").read_text()
    assert last.wait(PATIENCE) == 0, said()[-2000:]
    first = int(re.search(r"zero_shot, prompts (\d+) to", said()).group(1))
    assert first == reached[1] // 2 * 2 + 1, "gone on with the block that was cut, not begun anew"
    for name in ("samples-zero_shot.jsonl", "table.csv", "evaluation.json"):
        assert (tmp_path / "rough" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()
