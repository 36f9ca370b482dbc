"""What the tests of docs/ share: the blocks of a page, a copy of the package to edit as a page says, and its commands in bash."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def read(name: str) -> str:
    return (REPOSITORY / "docs" / name).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[str]:
    """The lines of its bash blocks without comments and here-documents."""
    script = re.sub(r"(<<'(\w+)'\n)(?:.*\n)*?\2\n", r"\1", "".join(blocks(page, "bash")))
    return list(filter(None, (re.sub(r"(^|\s)#.*", "", line).strip() for line in script.splitlines())))


def check(page: str) -> None:
    """It is one page, printed, and its links lead to files."""
    assert len(page.splitlines()) <= 60
    for target in re.findall(r"\]\(([^)#]+)\)", page):
        assert (REPOSITORY / "docs" / target).exists(), target


def copy_package(folder: Path) -> Path:
    """The package and params.yaml in `folder`, to be edited."""
    shutil.copytree(REPOSITORY / "polychromic", folder / "polychromic", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "params.yaml", folder)
    return folder


def insert(path: Path, text: str, *, before: str = "", after: str = "") -> None:
    """Put `text` before or after a piece that the file holds once."""
    content, place = path.read_text(encoding="utf-8"), before or after
    assert content.count(place) == 1, f"{path.name} holds {place!r} {content.count(place)} times"
    path.write_text(content.replace(place, text + place if before else place + text), encoding="utf-8")


def environment(folder: Path, package: Path = REPOSITORY) -> dict[str, str]:
    """Of a command in `folder` that uses the package at `package`."""
    settings = {"PYTHONPATH": str(package), "POLYCHROMIC_CACHE": str(folder / "cache")}
    return os.environ | settings | {"TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}


def bash(folder: Path, script: str, package: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    programs = {"polychromic": "-m polychromic", "dvc": "-m dvc", "python": ""}
    shim = "".join(f'{name}() {{ "{sys.executable}" {module} "$@"; }}\n' for name, module in programs.items()) + "set -e\n"
    settings = {"cwd": folder, "env": environment(folder, package)}
    return subprocess.run(["bash", "-c", shim + script], capture_output=True, text=True, check=False, **settings)
