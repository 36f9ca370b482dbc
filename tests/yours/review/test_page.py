"""docs/curate.md: every command on it runs, in the order printed; the reviews in a terminal, by keys."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from tests.review.terminal import Terminal

from polychromic.data.records import read_records
from tests.workspace import REPOSITORY

PAGE = (REPOSITORY / "docs" / "curate.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL)
REVIEWS = {"anna": "aar1", "ben": "aaa"}  # the keys that the reviewers press


@pytest.fixture
def folder(tmp_path):
    """A workspace of DVC that has the default rules where the repository has them."""
    (tmp_path / "polychromic" / "curation").mkdir(parents=True)
    source = REPOSITORY / "polychromic" / "curation" / "rules.yaml"
    (tmp_path / "polychromic" / "curation" / "rules.yaml").write_bytes(source.read_bytes())
    assert bash(tmp_path, "dvc init --no-scm --quiet").returncode == 0
    return tmp_path


def bash(folder, script: str) -> subprocess.CompletedProcess[str]:
    shim = f'polychromic() {{ "{sys.executable}" -m polychromic "$@"; }}\ndvc() {{ "{sys.executable}" -m dvc "$@"; }}\nset -e\n'
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "POLYCHROMIC_CACHE": str(folder / "cache")}
    return subprocess.run(["bash", "-c", shim + script], cwd=folder, env=environment, capture_output=True, text=True, check=False)


def review(folder, command: str) -> None:
    _, *arguments = command.split()
    opened = Terminal(folder, *arguments)
    try:
        opened.wait("0 of 3 reviewed")
        opened.press(REVIEWS[arguments[-1]])
        opened.wait("3 of 3 reviewed")
        opened.press("q")
        assert opened.end() == 0
    finally:
        opened.close()


def test_the_page_runs_from_nothing_to_a_data_file(folder):
    reviews = [block for block in BLOCKS if "--reviewer ben" in block]
    assert len(reviews) == 1
    for block in BLOCKS:
        if block in reviews:
            for command in block.splitlines():
                review(folder, command)
            continue
        done = bash(folder, block)
        assert done.returncode == 0, done.stderr[-2000:]
    assert "spam" in bash(folder, BLOCKS[0]).stdout
    prompts = [record.prompt for record in read_records(folder / "my-data" / "replies.jsonl")]
    assert len(prompts) == 2 and (folder / "my-data.dvc").is_file()


def test_the_page_is_short_and_its_links_lead_to_files():
    assert len(PAGE.splitlines()) <= 65
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (REPOSITORY / "docs" / target).exists(), target
