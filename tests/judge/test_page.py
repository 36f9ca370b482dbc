"""docs/judge.md: its commands and options exist, and it runs as printed, with a service on this machine."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from polychromic.base.io import read_json
from polychromic.cli.app import app
from tests import page_tools as pages
from tests.judge.service import KEY, serving

PAGE = pages.read("judge.md")
JUDGE = get_command(app).commands["judge"]


def test_the_page_is_one_and_its_options_exist():
    pages.check(PAGE)
    for line in pages.commands(PAGE):
        if line.startswith("polychromic "):
            _, command, *words = shlex.split(line)
            assert command == "judge" and JUDGE.make_context(command, words)
    options = {option for parameter in JUDGE.params for option in parameter.opts}
    assert set(re.findall(r"(?<=[` ])(--[a-z-]+)", PAGE)) <= options


@pytest.mark.slow
def test_it_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    with serving() as service:
        # the one thing that is not as printed: where the service is; and somebody fills the file in
        script = "".join(pages.blocks(PAGE, "bash")).replace("--budget 2", f"--budget 2 --base-url {service.url}")
        *first, last = script.rstrip().split("\n")
        done = pages.bash(tmp_path, "\n".join([*first, "sed -i 's/,,$/,tie,/' anna.csv", last]))
    assert done.returncode == 0, done.stderr
    assert "took 4 answers of anna" in done.stderr and len(service.asked) == 8
    document = read_json(tmp_path / "my-judge" / "judge.json")
    assert [one["judge"] for one in document["judges"]] == ["claude-haiku-5-5", "anna"]
