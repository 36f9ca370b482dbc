"""Shared by the tests of every command."""

from __future__ import annotations

import sys

import pytest
from hypothesis import settings

from polychromic.cli import app as cli

# property tests: the same examples on every run, and no wall-clock deadline on a busy machine
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture
def command(monkeypatch, capsys):
    """Run the command line in this process: (exit code, stdout, stderr)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["polychromic", *arguments])
        monkeypatch.setattr(cli.errors, "_file", sys.stderr)
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call
