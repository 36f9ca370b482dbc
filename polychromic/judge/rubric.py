"""Rubrics, a file per domain: what a reply is, and what makes one better; for sets, variety as well."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from polychromic.base.errors import UsageError, problems
from polychromic.params import read_yaml

FOLDER = Path(__file__).parent / "rubrics"
GENERAL = "general"  # of a domain that has none of its own, and of anybody's files


class Rubric(BaseModel):
    """about: what is compared. criteria: name -> what is better; `set`: the same, for sets alone."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    about: str = Field(pattern=r"\S")
    criteria: Mapping[str, str] = Field(min_length=1)
    set: Mapping[str, str] = Field(min_length=1)

    def of(self, kind: str) -> dict[str, str]:
        return {**self.criteria, **(self.set if kind == "set" else {})}


def load_rubric(path: Path) -> Rubric:
    """Raises UsageError: no such file, no YAML, or not the keys of a rubric."""
    values: Any = read_yaml(path)
    try:
        return Rubric.model_validate(values)
    except ValidationError as error:
        allowed = f"about, criteria and set, as {FOLDER.name}/{GENERAL}.yaml of this package has them"
        raise UsageError(f"{path}: {problems(error)}. Allowed: {allowed}. Fix the keys.") from None


def rubric_of(domain: str) -> Rubric:
    """The domain's, or the general one."""
    path = FOLDER / f"{domain}.yaml"
    return load_rubric(path if path.is_file() else FOLDER / f"{GENERAL}.yaml")
