"""A folder to work in, the command line in this process, and the dataset server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from polychromic.yours.collect import apify
from tests.yours.collect.server import DatasetServer


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory; cache and salt are the test's own, no token is set, and waits are short."""
    workplace = tmp_path / "work"
    workplace.mkdir()
    monkeypatch.chdir(workplace)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("APIFY_TOKEN", "POLYCHROMIC_SALT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(apify, "BACKOFF", 0.001)
    return workplace


@pytest.fixture
def collect(folder: Path, command: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, str, str]]:
    """Run `polychromic collect` in the folder: (exit code, stdout, stderr with its lines joined)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code, out, err = command("collect", *map(str, arguments))
        assert "Traceback" not in err
        return code, out, " ".join(err.split())

    return call


@pytest.fixture
def serve() -> Iterator[Callable[[list], DatasetServer]]:
    """Start a server of these items; it ends with the test."""
    with ExitStack() as started:

        def start(items: list) -> DatasetServer:
            server = DatasetServer(items)
            started.callback(server.stop)
            return server

        yield start


def pairs(count: int, start: int = 0) -> list[dict]:
    """Items that all give a record; every fifth is by the same person."""
    item = lambda i: {"id": 1000 + i, "post": f"Post {i}?", "reply": f"Reply {i}.", "author": f"person{i % 5}", "engagement": i}
    return [item(i) for i in range(start, start + count)]


def write(name: str | Path, rows: list) -> Path:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Path(name)


def log(out: str | Path) -> list[dict]:
    return [json.loads(line) for line in Path(out, "raw.jsonl").read_text().splitlines()]
