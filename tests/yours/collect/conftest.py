"""A folder to work in, the command line in this process, and the dataset server."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.collect.server import DatasetServer

from polychromic.cli.app import app as cli
from polychromic.yours.collect import http


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
    monkeypatch.setattr(http, "FIRST_WAIT", 0.001)
    return workplace


@pytest.fixture
def command(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., tuple[int, str, str]]:
    """Run `polychromic collect`: (exit code, stdout, stderr with its lines joined)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["polychromic", "collect", *map(str, arguments)])
        monkeypatch.setattr(cli.errors, "_file", sys.stderr)
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, " ".join(err.split())

    return call


@pytest.fixture
def serve() -> Iterator[Callable[[list], DatasetServer]]:
    """Start a server of these items; it ends with the test."""
    started: list[DatasetServer] = []

    def start(items: list) -> DatasetServer:
        server = DatasetServer(items)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.closing.set()
        server.shutdown()
        server.server_close()


def pairs(count: int, start: int = 0) -> list[dict]:
    """Items that all give a record; every fifth is by the same person."""
    return [
        {"id": 1000 + i, "post": f"Post {i}?", "reply": f"Reply {i}.", "author": f"person{i % 5}", "engagement": i}
        for i in range(start, start + count)
    ]
