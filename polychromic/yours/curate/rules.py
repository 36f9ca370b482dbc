"""A rules file as frozen typed objects. Every error is reported at once: key, what was got, what is allowed."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from ruamel.yaml import YAML, YAMLError

from polychromic.base.errors import UsageError
from polychromic.yours.curate.filters import (
    Engagement,
    Filter,
    Language,
    Length,
    Links,
    Media,
    Mentions,
    Phrase,
    Positive,
    Repetition,
    Section,
    Spam,
    Toxicity,
    Unreadable,
)  # fmt: skip  # isort: skip
from polychromic.yours.lines import shown

DEFAULT = Path(__file__).with_name("rules.yaml")


class Records(Section):
    licence: Phrase
    group: Literal["post", "author", "both"]
    length_classes: Annotated[int, Field(ge=1, le=3)]
    engagement_classes: Annotated[int, Field(ge=1, le=3)]


class Cap(Section):
    most: Positive


class ExactDuplicates(Section):
    of: Literal["pair", "reply"] = "pair"


class NearDuplicates(Section):
    """Above one half, so that texts of two words or more that match share two words: selection.py relies on it."""

    of: Literal["pair", "reply", "post"]
    threshold: Annotated[float, Field(gt=0.5, le=1)]


class Rules(Section):
    """One section per filter, in the order in which they are applied; None: off. See rules.yaml for what each means."""

    records: Records
    length: Length | None = None
    language: Language | None = None
    media: Media | None = None
    links: Links | None = None
    mentions: Mentions | None = None
    spam: Spam | None = None
    repetition: Repetition | None = None
    toxicity: Toxicity | None = None
    engagement: Engagement | None = None
    exact_duplicates: ExactDuplicates = ExactDuplicates()
    near_duplicates: NearDuplicates | None = None
    author_cap: Cap | None = None
    post_cap: Cap | None = None
    selection: Cap | None = None

    @property
    def filters(self) -> dict[str, Filter]:
        """Name -> filter of one pair, in the order in which they are applied; those that are on."""
        sections = {name: getattr(self, name) for name in Rules.model_fields}
        return {"unreadable": Unreadable()} | {name: section for name, section in sections.items() if isinstance(section, Filter)}


def load_rules(path: str | os.PathLike = DEFAULT) -> Rules:
    """Read and validate a rules file. Raises UsageError: it cannot be read, or a list of all keys that are wrong."""
    try:
        values = YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))  # the C parser names no line
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        said = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UsageError(f"--rules {path}: {said}. Allowed: YAML in UTF-8. Copy and change {DEFAULT}.") from None
    try:
        return Rules.model_validate(values)
    except ValidationError as error:
        lines = [_line(e) for e in error.errors(include_url=False)]
        remedy = f"Fix these keys; each is explained in {DEFAULT}."
        raise UsageError(f"{path}: {len(lines)} error(s):\n" + "\n".join(lines) + f"\n{remedy}") from None


def _line(error: dict[str, Any]) -> str:
    """Key, what was got, and what is allowed: pydantic's words, or those of the default, which names every key."""
    key = ".".join(map(str, error["loc"])) or "the whole"
    if error["type"] not in ("extra_forbidden", "missing"):
        allowed = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        return f"  {key}: got {shown(error['input'], 80)}. Allowed: {allowed}"
    default: Any = YAML(typ="safe").load(DEFAULT)
    for part in error["loc"][:-1]:
        default = default[part]
    name = error["loc"][-1]
    if error["type"] == "missing":
        return f"  {key}: missing. Allowed: a value such as {shown(default[name], 80)}"
    near = difflib.get_close_matches(str(name), default, n=1)
    return f"  {key}: no such key{f' (did you mean {near[0]}?)' if near else ''}. Allowed: {', '.join(default)}"
