"""The toy workspace, made once: tests read it, and copy it to change it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from polychromic.params import Params
from tests.explore.toy import make_workspace


@pytest.fixture(scope="session")
def _made(tmp_path_factory) -> tuple[Path, Params]:
    folder = tmp_path_factory.mktemp("explore") / "workspace"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        params = make_workspace(folder, patch)
    return folder, params


@pytest.fixture
def params(_made) -> Params:
    return _made[1]


@pytest.fixture
def workspace(_made, tmp_path, monkeypatch) -> Path:
    """A copy, and the current folder."""
    target = tmp_path / "workspace"
    shutil.copytree(_made[0], target, symlinks=True)
    monkeypatch.chdir(target)
    return target
