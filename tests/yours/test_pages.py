"""docs/collect.md, curate.md and evaluate.md: every command and option on them exists, and each page runs as printed, in order."""

from __future__ import annotations

import re
import shlex

import pytest
from typer.main import get_command

from polychromic.base import paths
from polychromic.base.io import read_json, write_json
from polychromic.cli.app import app
from polychromic.data.records import read_records
from polychromic.yours.collect.schema import RawRecord
from tests import page_tools as pages
from tests.workspace import KINDS, make_models, small_values, write_listqa, write_params
from tests.yours.collect.conftest import folder, log, serve  # noqa: F401 - fixtures
from tests.yours.collect.test_sources import put_corpus
from tests.yours.review.bench import Terminal

COMMANDS = get_command(app).commands
OPTIONS = {option for command in COMMANDS.values() for parameter in command.params for option in parameter.opts}
SHOWN = {"collect.md": {"collect"}, "curate.md": {"curate", "review", "agreement", "review-export"}}
SHOWN["evaluate.md"] = {"evaluate", "compare-files", "samples", "train"}


@pytest.mark.parametrize("name", SHOWN)
def test_a_page_is_one_and_its_commands_and_options_exist(name):
    page = pages.read(name)
    pages.check(page)
    written = [shlex.split(line)[1:] for line in pages.commands(page) if line.startswith("polychromic ")]
    assert {words[0] for words in written} == SHOWN[name]
    for words in written:
        COMMANDS[words[0]].make_context(words[0], words[1:])
    assert set(re.findall(r"`(--[\w-]+)`", page)) <= OPTIONS


def run(folder, block: str) -> str:  # noqa: F811
    done = pages.bash(folder, block)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_collecting(folder, serve):  # noqa: F811
    page = pages.read("collect.md")
    row = next(line for line in page.splitlines() if line.startswith("| `raw.jsonl`"))
    assert re.findall(r"`(\w+)`", row.split("records:")[1]) == list(RawRecord.model_fields)
    put_corpus(folder / "cache")
    server = serve([{"post": {"text": f"P{i}"}, "text": f"R{i}", "user": {"name": "anna"}} for i in range(30)])
    server.token = "your-token"
    # the one thing that is not as printed: where Apify is
    script = "".join(pages.blocks(page, "bash")).replace("collect apify", f"collect apify --base-url {server.url}")
    assert '"complete": true' in run(folder, script)
    assert [row["engagement"] for row in log("raw/mine")] == [3, 12]
    assert len(log("raw/apify")) == 30 and server.offsets() == [0, 20, 30] and len(log("raw/chat")) == 3


@pytest.mark.slow
def test_from_posts_to_a_data_file(tmp_path):
    """In a workspace of DVC; the reviews in a terminal, by keys."""
    (tmp_path / "polychromic").symlink_to(pages.REPOSITORY / "polychromic")  # where the rules are
    for block in ["dvc init --no-scm --quiet", *pages.blocks(pages.read("curate.md"), "bash")]:
        if "--reviewer ben" not in block:
            run(tmp_path, block)
            continue
        for line, keys in zip(block.splitlines(), ("aar1q", "aaaq"), strict=True):
            with Terminal(tmp_path, *line.split()[1:]) as opened:
                opened.until("0 of 3 reviewed")
                opened.press(keys)
                opened.until("3 of 3 reviewed: ")
                assert opened.process.wait() == 0
    assert len(read_records(tmp_path / "my-data" / "replies.jsonl")) == 2 and (tmp_path / "my-data.dvc").is_file()


@pytest.mark.slow
def test_evaluating_on_tiny_models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_models(tmp_path)
    write_params(tmp_path, small_values())
    write_listqa(tmp_path)
    ids = [f"listqa-{kind}" for kind in KINDS]
    splits = {"train": ids[:6], "dev": ids[6:10], "test": ids[10:], "calibration": []}
    write_json(paths.split_file("listqa"), {"domain": "listqa", "seed": 0, "splits": splits})
    for block in pages.blocks(pages.read("evaluate.md"), "bash"):
        run(tmp_path, block)
    assert {"table.csv", "table.tex", "passk.pdf", "samples-mine.jsonl"} <= {path.name for path in (tmp_path / "my-evaluation").iterdir()}
    assert "|encoder:encoder|" in read_json(tmp_path / "my-evaluation" / "evaluation.json")["signatures"]["semantic_diversity"]
    assert {"samples-zero_shot.jsonl", "samples-my-lora.jsonl"} <= {path.name for path in (tmp_path / "my-run").iterdir()}
