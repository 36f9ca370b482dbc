"""Files of replies, from any model: read, checked line by line, and grouped into systems. No metric, no model.

A line: {"id", "prompt", "samples": [text, ...]} and, where there are such, "references": [text, ...], "valid" (a list of booleans,
one per sample, or of answers that are right), "system", "temperature", "seed". Other columns are left alone. Without an id the prompt is
it. Where columns are called otherwise, the user says how.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeInt, ValidationError, ValidationInfo, field_validator

from polychromic.base import paths
from polychromic.base.errors import DataError, PolychromicError, UsageError
from polychromic.base.io import dumps, read_json, read_jsonl
from polychromic.score.text import answer_key, shows

LONGEST = 200  # characters of a system's name
EVALUATION = "evaluation.json"  # in a folder of `evaluate --out`: names the files of replies beside it
Text = Annotated[str, Field(pattern=r"\S", description="text that is not empty")]
CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
Name = Annotated[
    str,
    Field(
        pattern=rf"^[^{CONTROL}]*[^\s{CONTROL}][^{CONTROL}]*$",
        max_length=LONGEST,
        description=f"text that is not empty, on one line, of up to {LONGEST} characters",
    ),
]
Texts = Annotated[list[str], Field(min_length=1, description="a list of one or more texts")]


class Row(BaseModel):
    """The replies of one system to one prompt: the columns of a line, where it stands ("path:line"), and the line itself."""

    model_config = ConfigDict(strict=True, frozen=True)

    id: Text
    prompt: Text
    samples: Texts
    references: Texts | None = Field(None, description="a list of one or more texts")
    valid: list[bool] | list[str] | None = Field(None, description="a list of booleans, one per sample, or a list of right answers")
    system: Name = ""
    temperature: NonNegativeInt | Annotated[FiniteFloat, Field(ge=0)] | None = Field(None, description="a number of 0 or more, finite")
    seed: int = Field(0, description="a whole number")
    where: str
    raw: dict[str, Any]

    @field_validator("references", "valid")
    @classmethod
    def _something_to_score_against(cls, value: list | None, info: ValidationInfo) -> list | None:
        """[] does not say what is right, as if there were no such column."""
        if any(isinstance(text, str) and not answer_key(text) for text in value or ()):
            raise ValueError("texts that are not empty")
        if value and isinstance(value[0], bool) and len(value) != (n := len(info.data.get("samples", value))):
            raise ValueError(f"one boolean for each of {n} samples")
        return value or None

    @field_validator("temperature")
    @classmethod
    def _finite(cls, value: float | None) -> float | None:
        """An integer may be beyond all numbers that can be printed."""
        if isinstance(value, int) and abs(value) > 1e300:
            raise ValueError("a number of 0 or more, finite")
        return value

    @cached_property
    def answers(self) -> tuple[str | None, ...] | None:
        """Canonical valid answer per sample, None for an invalid one or one that shows nothing: samples of one answer_key
        are one answer. None: not known."""
        if self.valid is None:
            return None
        keys, right = [answer_key(text) for text in self.samples], self.valid
        if isinstance(right[0], str):
            known = {answer_key(answer) for answer in right}
            right = [key in known for key in keys]
        return tuple(key if good and key else None for key, good in zip(keys, right, strict=True))

    @property
    def shape(self) -> str:
        """What is the same on all lines of a system."""
        return ", ".join([f"{len(self.samples)} samples", *(name for name in ("valid", "references") if getattr(self, name))])


@dataclass(frozen=True)
class System:
    """A system at one temperature: rows by (seed, id). All seeds have the same prompts, all rows the same number of samples.

    Attributes:
        name: as printed, the temperature added where another system has the same label. label: without it.
    """

    name: str
    rows: dict[tuple[int, str], Row]
    label: str
    temperature: float | None

    @cached_property
    def seeds(self) -> list[int]:
        return sorted({seed for seed, _ in self.rows})

    @cached_property
    def prompts(self) -> dict[str, str]:
        """id -> prompt, sorted."""
        return {name: row.prompt for (_, name), row in sorted(self.rows.items(), key=lambda item: item[0][1])}

    @property
    def first(self) -> Row:
        return next(iter(self.rows.values()))

    @property
    def n(self) -> int:
        """Samples per prompt."""
        return len(self.first.samples)

    @property
    def empty(self) -> int:
        """Replies that show nothing: each is wrong, has no word, and is like no reference."""
        return sum(not shows(text) for row in self.rows.values() for text in row.samples)


def read_row(where: str, raw: dict, **defaults: Any) -> Row:
    """One line, checked; `defaults` are of columns that it does not have.

    Raises DataError: says what was got and what is allowed.
    """
    columns = [name for name in Row.model_fields if name not in ("where", "raw")]
    try:
        dumps(raw).encode()  # it will be
        return Row(**defaults | {name: raw[name] for name in columns if name in raw}, where=where, raw=raw)
    except ValidationError as error:
        # Without an id the prompt is it: that there is none says only that the prompt is none.
        rank = lambda one: (one["type"] != "missing") if one["loc"][0] != "id" or "id" in raw else 2
        first = min(error.errors(include_url=False), key=rank)
    except ValueError as error:
        raise DataError(where, f"the line cannot be written again ({error})", "numbers, and whole Unicode characters") from None
    column = str(first["loc"][0])
    if first["type"] == "missing":
        found = f"no column {column!r}; found: {', '.join(map(repr, raw))}"
        raise DataError(where, found, f"columns {', '.join(columns)}", "Add it, or rename what is meant.")
    allowed = first["ctx"]["error"].args[0] if first["type"] == "value_error" else Row.model_fields[column].description
    raise DataError(where, f"{column} is {repr(raw[column])[:60]}", allowed)


def group(path: Path, rows: Iterable[Row]) -> list[System]:
    """The systems of a file's lines, each a whole.

    Raises DataError: an id comes twice, or a line differs from the first in columns or in the number of samples; PolychromicError: no line,
    or a prompt that a seed lacks.
    """
    found: dict[tuple[str, float | None], dict[tuple[int, str], Row]] = {}
    for row in rows:
        cell = found.setdefault((row.system, row.temperature), {})
        if before := cell.get((row.seed, row.id)):
            raise DataError(row.where, f"id {row.id!r} was already used at {before.where}", "each id once per system and seed")
        cell[row.seed, row.id] = row
        first = next(iter(cell.values()))
        if row.shape != first.shape:
            allowed = "as many samples and the same columns on every line; booleans that are all false where no reply is right"
            raise DataError(row.where, f"{row.id!r} has {row.shape}, {first.id!r} at {first.where} has {first.shape}", allowed)
    if not found:
        raise PolychromicError(f"{path}: the file holds no line. Allowed: one JSON object per prompt, with id, prompt, samples.")
    systems = [System(label, cell, label, t) for (label, t), cell in found.items()]
    for system in systems:
        if missing := sorted({(seed, name) for seed in system.seeds for name in system.prompts} - system.rows.keys()):
            lacks = f"system {system.label!r} has no line for id {missing[0][1]!r} with seed {missing[0][0]}"
            raise PolychromicError(f"{path}: {lacks}. Allowed: every prompt with every seed. Add the line, or take the id out.")
    return systems


def read_systems(given: Sequence[Path], columns: Mapping[str, str] | None = None) -> list[System]:
    """Systems in the order given: of files, which may hold several, and of folders that `evaluate --out` wrote.

    Two folders may hold a system of one name; it is then called by the folder's name, too.

    Args: columns, what a column of ours is called in files, such as {"samples": "outputs"}.

    Raises PolychromicError: a file is missing, empty or wrong, see `read_row` and `group`; UsageError: two files hold a system of one name
    and temperature.
    """
    read = [(path, system) for path in given for system in group(path, _lines(path, columns or {}))]
    often = Counter((system.label, system.temperature) for _, system in read)
    found: dict[tuple[str, float | None], System] = {}
    for path, system in read:
        t, label = system.temperature, system.label
        if often[label, t] > 1 and path.is_dir():
            label = f"{paths.real(path).name}/{label}"
        if (label, t) in found:
            raise UsageError(f"{path}: system {label!r} was read before. Allowed: each once. Rename a file, or its `system` column.")
        found[label, t] = replace(system, label=label)
    temperatures = Counter(label for label, _ in found)
    named = lambda label, t: f"{label}@T={t:g}" if temperatures[label] > 1 and t is not None else label
    return [replace(system, name=named(label, t)) for (label, t), system in found.items()]


def _lines(path: Path, columns: Mapping[str, str]) -> Iterator[Row]:
    """The lines of a file, or of the files of replies of a folder."""
    files = [path]
    if path.is_dir():
        found = read_json(path / EVALUATION) if (path / EVALUATION).is_file() else None
        named = found.get("systems") if isinstance(found, dict) else None
        names = [one.get("replies") if isinstance(one, dict) else None for one in named] if isinstance(named, list) else []
        if not names or not all(isinstance(name, str) and name and name == Path(name).name for name in names):
            allowed = "a folder that `polychromic evaluate --out` wrote, or files of replies. Evaluate into it first, or name the files"
            found = f"the folder holds no {EVALUATION} that names systems and their files of replies"
            raise PolychromicError(f"{path}: {found}. Allowed: {allowed}.")
        files = [path / name for name in dict.fromkeys(names)]
    for file in files:
        parents = paths.real(file).parents
        cell = file.name == paths.SAMPLES and len(parents) > 3 and parents[3] == paths.real(paths.RESULTS)
        for where, raw in _with_prompts(file, parents[2].name) if cell else read_jsonl(file):
            raw = raw if path.is_dir() else mapped(where, raw, columns)
            name = {"id": raw["prompt"]} if isinstance(raw.get("prompt"), str) and "id" not in raw else {}
            yield read_row(where, raw, system=file.name.removesuffix(".gz").removesuffix(".jsonl"), **name)


def mapped(where: str, raw: dict, columns: Mapping[str, str]) -> dict:
    """The line with its columns under our names. Raises DataError: it lacks a column that the user named."""
    if missing := [column for column in columns.values() if column not in raw]:
        found = ", ".join(map(repr, raw))
        raise DataError(where, f"no column {missing[0]!r}, which --columns names", f"columns of the line: {found}", "Correct --columns.")
    kept = {name: value for name, value in raw.items() if name not in columns and name not in columns.values()}
    return kept | {name: raw[column] for name, column in columns.items()}


def _with_prompts(path: Path, name: str) -> Iterator[tuple[str, dict]]:
    """The lines of results/NAME/SPLIT/CELL/samples.jsonl.gz with prompts, references and what is valid, from the domain's data."""
    from polychromic.data.domains import get_domain
    from polychromic.data.records import read_records

    records, domain = {record.id: record for record in read_records(paths.data_file(name), name)}, get_domain(name)
    for where, row in read_jsonl(path):
        if (record := records.get(row["id"])) is None:
            raise PolychromicError(f"{where}: id {row['id']!r} is not in {paths.data_file(name)}. Run `dvc pull`, or `dvc repro`.")
        own = {key: row[key] for key in ("id", "samples", "seed", "temperature")}
        if domain.checker != "person":
            own["valid"] = [domain.answer(record, text) is not None for text in row["samples"]]
        yield where, own | {"prompt": record.prompt, "references": record.references, "system": path.parent.name}


def other_prompts(one: System, other: System) -> str:
    """What tells the prompts of two systems apart, whose means are then of different things; "" where they are the same."""
    extra = ((a, b, a.prompts.items() - b.prompts.items()) for a, b in ((one, other), (other, one)))
    parts = [f"{len(rest)} of {a.name!r} that {b.name!r} lacks, such as {min(rest)[0]!r}" for a, b, rest in extra if rest]
    return f"{one.name!r} and {other.name!r} answer different prompts ({'; '.join(parts)})" if parts else ""
