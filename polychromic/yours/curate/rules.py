"""A rules file as frozen typed objects. Every error is reported at once: key, what was got, what is allowed."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML, YAMLError

from polychromic.base.errors import UsageError
from polychromic.yours.curate.language import LANGUAGES

DEFAULT = Path(__file__).with_name("rules.yaml")
TOXICITY_LISTS = ("unsuitable_words.txt", "profane_words.txt")

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Missing = Literal["keep", "drop"]


def _has_word(text: str) -> str:
    if not any(c.isalnum() for c in text):
        raise ValueError("text with a letter or a digit")  # the message of a validator here is what is allowed
    return text


def _single(text: str) -> str:
    if not text.isalpha():
        raise ValueError("one word of letters")
    return text


def _ordered(section: Any) -> Any:
    if section.least is not None and section.most is not None and section.least > section.most:
        raise ValueError("least not above most")
    return section


Phrase = Annotated[str, AfterValidator(_has_word)]
Word = Annotated[str, AfterValidator(_single)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True, allow_inf_nan=False)


class Records(Section):
    licence: Phrase
    group: Literal["post", "author", "both"]
    length_classes: Annotated[int, Field(ge=1, le=3)]
    engagement_classes: Annotated[int, Field(ge=1, le=3)]


class Words(Section):
    """Limits in words, both inclusive; None: no limit."""

    least: Count | None = None
    most: Positive | None = None
    _check = model_validator(mode="after")(_ordered)


class Length(Section):
    post: Words = Words()
    reply: Words = Words()


class Language(Section):
    allowed: Annotated[list[Literal[LANGUAGES]], Field(min_length=1)]
    undecided: Missing


class AtMost(Section):
    most: Count


class Cap(Section):
    most: Positive


class Spam(Section):
    phrases: list[Phrase]


class Repetition(Section):
    characters: Positive | None = None
    words: Positive | None = None
    distinct: Annotated[float, Field(ge=0, le=1)] | None = None


class Toxicity(Section):
    lists: list[Literal[TOXICITY_LISTS]] = []
    also: list[Word] = []
    fine: list[Word] = Field(default=[], alias="except")


class Engagement(Section):
    least: float | None = None
    most: float | None = None
    missing: Missing = "keep"
    _check = model_validator(mode="after")(_ordered)


class ExactDuplicates(Section):
    of: Literal["pair", "reply"] = "pair"


class NearDuplicates(Section):
    """Above one half, so that texts of two words or more that match share two words: duplicates.py relies on it."""

    of: Literal["pair", "reply", "post"]
    threshold: Annotated[float, Field(gt=0.5, le=1)]


class Rules(Section):
    """One section per filter, in the order in which they are applied; None: off. See rules.yaml for what each means."""

    records: Records
    length: Length | None = None
    language: Language | None = None
    media: AtMost | None = None
    links: AtMost | None = None
    mentions: AtMost | None = None
    spam: Spam | None = None
    repetition: Repetition | None = None
    toxicity: Toxicity | None = None
    engagement: Engagement | None = None
    exact_duplicates: ExactDuplicates = ExactDuplicates()
    near_duplicates: NearDuplicates | None = None
    author_cap: Cap | None = None
    post_cap: Cap | None = None
    selection: Cap | None = None


def load_rules(path: str | os.PathLike = DEFAULT) -> Rules:
    """Read and validate a rules file.

    Raises:
        UsageError: no such file, not YAML (with line and column), or a list of all keys that are wrong.
    """
    path = Path(path)
    try:
        values = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--rules {path}: {error.strerror}. Allowed: a rules file. Copy and change {DEFAULT}.") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"--rules {path}: invalid UTF-8 ({error.reason} at byte {error.start}). Allowed: UTF-8. Save it so.") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise UsageError(f"{where}: not YAML ({getattr(error, 'problem', error)}). Fix the line.") from None
    if not isinstance(values, dict):
        raise UsageError(f"{path}: holds {_short(values)}. Allowed: keys and values. Copy and change {DEFAULT}.")
    try:
        return Rules.model_validate(values)
    except ValidationError as error:
        lines = [_line(e) for e in error.errors(include_url=False)]
        remedy = f"Fix these keys; each is explained in {DEFAULT}."
        raise UsageError(f"{path}: {len(lines)} error(s):\n" + "\n".join(lines) + f"\n{remedy}") from None


def _line(error: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "(top level)"
    if error["type"] == "extra_forbidden":
        known = _keys(error["loc"][:-1])
        near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
        return f"  {key}: no such key{f' (did you mean {near[0]}?)' if near else ''}. Allowed: {', '.join(known)}"
    if error["type"] == "missing":
        return f"  {key}: missing. Allowed: {_allowed_below(error['loc'])}"
    return f"  {key}: got {_short(error['input'])}. Allowed: {_allowed(error)}"


def _allowed(error: dict[str, Any]) -> str:
    """What pydantic would have accepted, in words."""
    kind, limits = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, ")
    if kind == "literal_error":
        return limits["expected"]
    if kind in ("model_type", "model_attributes_type"):
        return f"keys {', '.join(_keys(error['loc']))}"
    if kind == "too_short":
        return f"{limits['min_length']} or more of them"
    words = {"greater_than_equal": ("ge", "{} or more"), "greater_than": ("gt", "above {}"), "less_than_equal": ("le", "{} or less")}
    if kind in words:
        name, text = words[kind]
        return text.format(limits[name])
    types = {"int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number", "finite_number": "a finite number"}
    types |= {"string_type": "text", "list_type": "a list", "bool_type": "true or false"}
    return types.get(kind, error["msg"])


def _keys(where: tuple) -> list[str]:
    """The keys of the section at `where`."""
    return [field.alias or name for name, field in _section(where).model_fields.items()]


def _section(where: tuple) -> type[Section]:
    section: Any = Rules
    for part in where:
        found = section.model_fields[part].annotation
        section = next(kind for kind in (found, *getattr(found, "__args__", ())) if isinstance(kind, type) and issubclass(kind, Section))
    return section


def _allowed_below(where: tuple) -> str:
    """What a key that is missing may hold: what its section would say of a value of no kind at all."""
    try:
        _section(where[:-1]).model_validate({where[-1]: object()})
    except ValidationError as error:
        return next(_allowed({**e, "loc": where}) for e in error.errors(include_url=False) if e["loc"] == where[-1:])
    raise AssertionError(f"{where} takes anything")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
