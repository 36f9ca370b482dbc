"""docs/evaluate.md: every command on it runs, in the order printed, on tiny models."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from polychromic.base.io import read_json, write_json
from tests.workspace import KINDS, REPOSITORY, make_models, small_values, write_listqa, write_params

PAGE = (REPOSITORY / "docs" / "evaluate.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    make_models(folder)
    write_params(folder, small_values())
    write_listqa(folder)
    ids = [f"listqa-{kind}" for kind in KINDS]
    splits = {"train": ids[:6], "dev": ids[6:10], "test": ids[10:], "calibration": []}
    write_json(folder / "results" / "listqa" / "split.json", {"domain": "listqa", "seed": 0, "splits": splits})
    return folder


def bash(folder, script: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": str(REPOSITORY),
        "POLYCHROMIC_CACHE": str(folder / "cache"),
        "TOKENIZERS_PARALLELISM": "false",
    }
    shim = f'polychromic() {{ "{sys.executable}" -m polychromic "$@"; }}\nset -e\n'
    return subprocess.run(["bash", "-c", shim + script], cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_page_runs_from_nothing_to_figures_in_two_commands(workspace):
    assert len([line for line in BLOCKS[0].splitlines() if line.startswith(("cat", "polychromic"))]) == 2
    for block in BLOCKS:
        done = bash(workspace, block)
        assert done.returncode == 0, done.stderr[-2000:]
    assert {"table.csv", "table.tex", "evaluation.json", "passk.pdf"} <= {path.name for path in (workspace / "my-evaluation").iterdir()}
    assert (workspace / "my-evaluation" / "samples-mine.jsonl").exists(), "which compare reads"
    assert "|encoder:encoder|" in read_json(workspace / "my-evaluation" / "evaluation.json")["signatures"]["semantic_diversity"]
    assert {"samples-zero_shot.jsonl", "samples-my-lora.jsonl"} <= {path.name for path in (workspace / "my-run").iterdir()}


def test_the_page_is_short():
    assert len(PAGE.splitlines()) <= 65
