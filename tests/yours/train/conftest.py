"""A trained adapter, once for all tests of the door."""

from __future__ import annotations

from pathlib import Path

import pytest

from polychromic.yours.train.run import train
from tests.yours.train.bench import make_place, request_of


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A folder with a base, rows, mine.py and a trained adapter."""
    folder = make_place(tmp_path_factory.mktemp("door"))
    train(request_of(folder))
    return folder
