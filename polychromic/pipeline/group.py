"""A group of stages: what its command, deps, parameters and outs are. polychromic.pipeline.groups lists them, inputs first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from polychromic.base import paths
from polychromic.pipeline.imports import code_deps

RUN = "python -m polychromic"
PDF, EXPLORER = f"{paths.PAPER}/main.pdf", paths.EXPLORER.as_posix()


@dataclass(frozen=True)
class Group:
    """Stages that differ in their items alone, or the one there is where there are none. Texts may hold ${item.NAME} and ${lambda}.

    Attributes:
        cmd: what follows RUN.
        code: the module whose imports are deps, and the domain that it is about (polychromic.pipeline.imports.code_deps).
        keys: dotted, of params.yaml; None for all of the file. DVC parses the file once per stage and walks it once per key.
        axes: what all of its stages are about, as in Stage.
        each: key of a stage's item -> what ${item.NAME} stands for.
        lambdas: a matrix over ${lambda} and these weights, instead of `each`.
    """

    name: str
    desc: str
    cmd: str
    deps: Sequence[str]
    code: tuple[str, str | None] | None
    keys: Sequence[str] | None
    outs: Sequence[str]
    axes: Mapping[str, str] = field(default_factory=dict)
    each: Mapping[str, Mapping[str, str]] | None = None
    lambdas: Sequence[float] = ()


def deps_of(root: Path, group: Group) -> list[str]:
    """What the group's stages read: files of data and results, then code."""
    return [*group.deps, *(code_deps(root, *group.code) if group.code else ())]


def kept(path: str) -> bool:
    """Whether DVC keeps an out in its cache, and so in the store. Git has tables, figures and macros; DVC has the PDF and the page."""
    return path in (PDF, EXPLORER) or not path.startswith(f"{paths.PAPER}/")
