"""Which files of the package a command's code can reach, by the import statements of its modules; inside functions and for types, too.

What changes no number is left out. A folder that is one thing counts as a whole, so that a stage's deps stay a short list. Nothing is
imported or run. And which files the paper reads.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from polychromic.base import paths
from polychromic.base.errors import PolychromicError

PACKAGE = "polychromic"
# Folders that are one thing each: who reaches a module of theirs depends on all of them.
WHOLE = ("method", "models", "train", "sample", "score", "compare", "report", "judge")
DOMAINS = "data.domains"  # looks a domain up by name
# What is reached but changes no number: messages, names of files, their outer form, locks, downloads that a hash pins, and what the
# stage declares under params.
WITHOUT_INFLUENCE = ("__init__", "params", "data.packages", "data.seal", *(f"base.{name}" for name in (
    "__init__", "cache", "drafts", "errors", "hardware", "io", "locks", "parse", "paths", "progress", "visible")))  # fmt: skip
DATA_FILES = (".txt", ".toml", ".html", ".css", ".js")


def code_deps(root: Path, entry: str, domain: str | None) -> list[str]:
    """Files and folders of the package that the module `entry` ("score.score") can use, sorted, relative to `root`.

    Args:
        domain: the domain whose folder counts where domains are looked up by name; None for a command about no single one.
    """
    found, package = set(), root / PACKAGE
    reached = _reached(root, entry)
    if DOMAINS in reached and domain:
        found.add(package.joinpath(*DOMAINS.split("."), domain))
    for module in set(reached) - set(WITHOUT_INFLUENCE):
        if (folder := module.partition(".")[0]) in WHOLE:
            found.add(package / folder)
            continue
        path = _file(root, module)
        texts = {node.value for node in ast.walk(_tree(root, module)) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        found |= {path, *(file for file in path.parent.iterdir() if file.suffix in DATA_FILES and file.name in texts)}
    return sorted(path.relative_to(root).as_posix() for path in found if not found & set(path.parents))


@cache
def _reached(root: Path, entry: str) -> tuple[str, ...]:
    pending, seen = [entry], set()
    while pending:
        module = pending.pop()
        if module not in seen:
            seen.add(module)
            pending += [] if module in WITHOUT_INFLUENCE else _imports(root, module)
    return tuple(sorted(seen))


def _imports(root: Path, module: str) -> Iterator[str]:
    for node in ast.walk(_tree(root, module)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == PACKAGE:
            base = node.module.partition(".")[2]
            for alias in node.names:
                inner = f"{base}.{alias.name}" if base else alias.name
                yield inner if _file(root, inner) else base or "__init__"


@cache
def _tree(root: Path, module: str) -> ast.Module:
    if (path := _file(root, module)) is None:
        where = root / PACKAGE / module.replace(".", "/")
        raise PolychromicError(f"{where}: no such module. Allowed: a copy of the repository. Run in the folder that holds {PACKAGE}/.")
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _file(root: Path, module: str) -> Path | None:
    """The file of a module ("data.split"; "__init__" is the package itself), None where there is none."""
    path = root.joinpath(PACKAGE, *(() if module == "__init__" else module.split(".")))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def read_by_paper(root: Path) -> list[str]:
    r"""What main.tex reads: itself, its packages beside it, its bibliography, what it \inputs and what it shows; sorted."""
    main = root / paths.PAPER / "main.tex"
    if not main.is_file():
        raise PolychromicError(f"{main}: file not found. Restore it with `git checkout {paths.PAPER}/main.tex`.")
    text = re.sub(r"(?<!\\)%.*", "", main.read_text(encoding="utf-8"))
    found = re.findall(r"\\(input|includegraphics|bibliography|usepackage)(?:\[[^\]]*\])?\{([^}]+)\}", text)
    suffix = {"input": "tex", "includegraphics": "pdf", "bibliography": "bib", "usepackage": "sty"}
    names = [f"{name}.{suffix[command]}" for command, name in found if command != "usepackage" or (main.parent / f"{name}.sty").is_file()]
    return sorted(f"{paths.PAPER}/{name}" for name in {"main.tex", *names})
