"""What tests of evaluation start from: files of replies, and the commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from polychromic.cli.yours import replies_app

GOOD = {"id": "a", "prompt": "Name a colour.", "samples": ["Red.", "red", "blue", "stone"], "valid": ["red", "blue", "green"]}


def write(path: Path, *rows: dict | str) -> Path:
    lines = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def many(path: Path, prompts: int, right: int) -> Path:
    """A system with `right` of 4 valid replies to each prompt, one more to every third."""
    counts = [right + (i % 3 == 0) for i in range(prompts)]
    rows = ({"id": f"q{i}", "prompt": f"Ask {i}.", "samples": ["red"] * n + ["x"] * (4 - n)} for i, n in enumerate(counts))
    return write(path, *(row | {"valid": ["red"]} for row in rows))


def invoke(command: str, *arguments: object) -> Result:
    return CliRunner().invoke(replies_app, [command, *map(str, arguments)])


def evaluate(*files: Path, more: str = "", out: Path | None = None) -> Result:
    named = [word for path in files for word in ("--samples", path)] + (["--out", out] if out else [])
    return invoke("evaluate", *named, "--no-encoder", *more.split())


def compare(*files: Path, more: str = "") -> Result:
    return invoke("compare-files", *files, "--no-encoder", *more.split())


@pytest.fixture
def two(tmp_path, monkeypatch) -> tuple[Path, Path]:
    """Two systems on two prompts, four samples each: three and four of four valid, then half and half."""
    monkeypatch.chdir(tmp_path)
    other = {"id": "b", "prompt": "Name a fruit.", "valid": ["fig"]}
    one = write(tmp_path / "one.jsonl", GOOD, other | {"samples": ["fig", "fig", "car", "x"]})
    more = GOOD | {"samples": ["red", "blue", "green", "red"]}
    return one, write(tmp_path / "best.jsonl", more, other | {"samples": ["fig", "car", "fig", "y"]})
