"""docs/quickstart.md and qualities.md: the commands run as printed, with a tiny base and no install; what the pages name is there."""

from __future__ import annotations

import re
import shlex
import shutil

import pytest
from typer.main import get_command

from polychromic.base.io import read_json, read_jsonl
from polychromic.cli.app import app
from polychromic.yours.train import run, watch
from polychromic.yours.train.functions import COMBINE, QUALITIES, SIMILARITIES
from polychromic.yours.train.guard import SECONDS
from polychromic.yours.train.qualities.judge import KEY
from polychromic.yours.train.qualities.likeness import FLOORS
from tests import page_tools as pages
from tests.tiny import make_tiny_encoder, make_tiny_model
from tests.workspace import REPOSITORY

PAGE, QUALITY_PAGE = pages.read("quickstart.md"), pages.read("qualities.md")
COMMANDS = pages.commands(PAGE)


def test_pages_are_pages_and_options_and_names_exist():
    known = get_command(app).commands
    for page in (PAGE, QUALITY_PAGE):
        pages.check(page)
    options = {option for name in ("train", "draw", "compare-files", "samples") for one in known[name].params for option in one.opts}
    named = set(re.findall(r"`(--[\w-]+)", PAGE + QUALITY_PAGE))
    assert named <= options and {"--quality", "--good", "--select"} <= named
    rows = [re.findall(r"`([^`]+)`", line.split("|")[1]) for line in QUALITY_PAGE.splitlines() if line.startswith("| `")]
    assert [names[0].partition(":")[0] for names in rows if names[0].partition(":")[0] in QUALITIES] == list(QUALITIES)
    assert {f"likeness:{FLOORS['likeness']}", f"meaning:{FLOORS['meaning']}"} <= {name for names in rows for name in names}
    assert set(COMBINE) | set(SIMILARITIES) | {KEY} <= set(re.findall(r"[\w]+", PAGE + QUALITY_PAGE))
    assert f"({SECONDS:g})" in QUALITY_PAGE and f"above {run.SLOW:g} s" in QUALITY_PAGE and "ten logged steps" in PAGE and watch.LOGS == 10


def test_the_rows_are_forty_chats_with_two_replies_each():
    rows = [row for _, row in read_jsonl(REPOSITORY / "docs" / "quickstart.jsonl")]
    assert len(rows) == len({row["messages"][0]["content"] for row in rows}) == 40
    assert all(row["messages"][1]["content"] == row["references"][0] and len(set(row["references"])) == 2 for row in rows)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder in which the commands ran, and what each printed."""
    folder = tmp_path_factory.mktemp("quickstart")
    (folder / "docs").mkdir()
    shutil.copy(REPOSITORY / "docs" / "quickstart.jsonl", folder / "docs")
    make_tiny_model(folder / "base", "qwen3")
    make_tiny_encoder(folder / "encoder")
    return folder


def test_the_five_commands_run(done, monkeypatch, command):
    monkeypatch.chdir(done)
    install, *rest = COMMANDS
    assert install == "pip install ." and [line.split()[1] for line in rest] == ["train", "draw", "compare-files", "samples"]
    small = {"train": "--encoder encoder --steps 3 --batch 4 --max-new-tokens 5", "compare-files": "--bootstrap 200"}
    printed = []
    for line in rest:
        words = shlex.split(line.replace("--base default", "--base base"))[1:]
        code, out, err = command(*words, *small.get(words[0], "").split())
        assert code == 0, err[-2000:]
        printed.append(out)
    card = read_json("my-adapter/polychromic.json")
    assert card["dev"]["prompts"] == 8 and card["functions"]["quality"] == ["likeness", "length:4-14"]
    drafts = [row for _, row in read_jsonl("my-drafts.jsonl")]
    assert len(drafts) == 8 and all(len(row["samples"]) == 5 for row in drafts)
    assert {"comparison.json", "contrasts.csv", "forest.pdf"} <= {path.name for path in (done / "my-comparison").iterdir()} | {"forest.pdf"}
    assert "pass@10" in printed[2] and "distinct@10" in printed[2] and printed[3].count("Suggest") == 3
