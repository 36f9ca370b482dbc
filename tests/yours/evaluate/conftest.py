"""What several tests of one-off evaluation start from."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.oneoff.test_inputs import GOOD, write


@pytest.fixture
def two(tmp_path, monkeypatch) -> tuple[Path, Path]:
    """Two systems on two prompts, four samples each: three and four of four valid, then half and half."""
    monkeypatch.chdir(tmp_path)
    other = {"id": "b", "prompt": "Name a fruit.", "valid": ["fig"]}
    one = write(tmp_path / "one.jsonl", GOOD, other | {"samples": ["fig", "fig", "car", "x"]})
    best = write(
        tmp_path / "best.jsonl", GOOD | {"samples": ["red", "blue", "green", "red"]}, other | {"samples": ["fig", "car", "fig", "y"]}
    )
    return one, best
