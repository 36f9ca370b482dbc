"""Files of replies, from any model: read, checked line by line, and grouped into systems. No metric, no model.

A line: {"id", "prompt", "samples": [text, ...]} and, where there are such, "references": [text, ...], "valid" (a list of booleans,
one per sample, or of answers that are right), "system", "temperature", "seed". Other columns are left alone.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationInfo, field_validator

from polychromic.base import paths
from polychromic.base.errors import DataError, PolychromicError, UsageError
from polychromic.base.io import read_json, read_jsonl
from polychromic.yours.lines import checked

MEANT = {
    "samples": {"responses", "replies", "outputs", "completions", "generations", "predictions", "texts"},
    "prompt": {"question", "input"},
}
EVALUATION = "evaluation.json"  # in a folder of `evaluate --out`: names the files of replies beside it
Text = Annotated[str, Field(pattern=r"\S", description="text that is not empty")]
Texts = Annotated[list[str], Field(min_length=1, description="a list of one or more texts")]


class Row(BaseModel):
    """The replies of one system to one prompt: the columns of a line, where it stands ("path:line"), and the line itself."""

    model_config = ConfigDict(strict=True, frozen=True)

    id: Text
    prompt: Text
    samples: Texts
    references: Texts | None = Field(None, description="a list of one or more texts")
    valid: list[bool] | list[str] | None = Field(None, description="a list of booleans, one per sample, or a list of right answers")
    system: Text = ""
    temperature: int | FiniteFloat | None = Field(None, description="a number")
    seed: int = Field(0, description="a whole number")
    where: str
    raw: dict[str, Any]

    @field_validator("references", "valid")
    @classmethod
    def _something_to_score_against(cls, value: list | None, info: ValidationInfo) -> list | None:
        from polychromic.score.text import answer_key

        if any(isinstance(text, str) and not answer_key(text) for text in value or ()):
            raise ValueError("holds an empty text", "texts that are not empty", "Take the empty text out.")
        n = len(info.data.get("samples", ()))
        if value and isinstance(value[0], bool) and n and len(value) != n:
            raise ValueError(f"has {len(value)} booleans for {n} samples", "one boolean per sample")
        return value

    @cached_property
    def answers(self) -> tuple[str | None, ...] | None:
        """Canonical valid answer per sample, None for an invalid one: samples of one answer_key are one answer. None: not known."""
        from polychromic.score.text import answer_key

        if self.valid is None:
            return None
        keys, right = [answer_key(text) for text in self.samples], self.valid
        if right and isinstance(right[0], str):
            known = {answer_key(answer) for answer in right}
            right = [key in known for key in keys]
        return tuple(key if good else None for key, good in zip(keys, right, strict=True))


COLUMNS = [name for name in Row.model_fields if name not in ("where", "raw")]


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
    def ids(self) -> list[str]:
        return sorted({name for _, name in self.rows})

    @property
    def n(self) -> int:
        """Samples per prompt."""
        return len(self.first.samples)

    @property
    def first(self) -> Row:
        return next(iter(self.rows.values()))

    def row(self, name: str) -> Row | None:
        """The replies of the first seed to a prompt; None where the system has none."""
        return self.rows.get((self.seeds[0], name))


def read_row(where: str, raw: dict, **defaults: Any) -> Row:
    """One line, checked; `defaults` are of columns that it does not have. Raises DataError, see polychromic.yours.lines."""
    for column, value in raw.items():
        if half := re.search("[\ud800-\udfff]", json.dumps(value, ensure_ascii=False)):
            found = f"{column} holds \\u{ord(half[0]):04x}, half of a character"
            raise DataError(where, found, "whole Unicode characters", "Write it as UTF-8.")
    given = {name: value for name, value in defaults.items() if name not in raw}
    return checked(Row, where, raw, COLUMNS, MEANT, **given, where=where, raw=raw)


def group(path: Path, rows: Iterable[Row]) -> list[System]:
    """The systems of a file's lines, each a whole.

    Raises:
        DataError: an id comes twice, or a line differs from the first in columns or in the number of samples.
        PolychromicError: no line, or a prompt that a seed lacks.
    """
    found: dict[tuple[str, float | None], dict[tuple[int, str], Row]] = {}
    for row in rows:
        cell = found.setdefault((row.system, row.temperature), {})
        if before := cell.get((row.seed, row.id)):
            raise DataError(row.where, f"id {row.id!r} was already used at {before.where}", "each id once per system and seed")
        cell[row.seed, row.id] = row
    if not found:
        raise PolychromicError(f"{path}: the file holds no line. Allowed: one JSON object per prompt, with {', '.join(COLUMNS[:3])}.")
    return [System(label, _checked(path, label, cell), label, t) for (label, t), cell in found.items()]


def _checked(path: Path, label: str, rows: dict[tuple[int, str], Row]) -> dict[tuple[int, str], Row]:
    """The rows, without `valid` where it is [] on every line: such a file does not know what is right, as if it had no such column."""
    if empty := [row for row in rows.values() if row.valid == []]:
        if len(empty) < len(rows):  # it might mean that nothing is right, or that nothing is known
            remedy = "Give booleans that are all false where no reply is right; take the line out where that is not known."
            allowed = "right answers, or one boolean per sample"
            raise DataError(empty[0].where, "valid is [], and not on other lines", allowed, remedy)
        rows = {key: row.model_copy(update={"valid": None}) for key, row in rows.items()}
    first = next(iter(rows.values()))
    for row in rows.values():
        if len(row.samples) != len(first.samples):
            found = f"{row.id!r} has {len(row.samples)} samples, {first.id!r} at {first.where} has {len(first.samples)}"
            remedy = "Metrics depend on their number: draw as many for each."
            raise DataError(row.where, found, "equally many samples for every prompt", remedy)
        for column in ("valid", "references"):
            with_it, without = (row, first) if getattr(first, column) is None else (first, row)
            if getattr(with_it, column) is not None and getattr(without, column) is None:
                raise DataError(without.where, f"no {column}, which {with_it.where} has", f"{column} on every line, or on none")
    seeds, names = ({key[place] for key in rows} for place in (0, 1))
    if missing := sorted({(seed, name) for seed in seeds for name in names} - rows.keys()):
        seed, name = missing[0]
        raise PolychromicError(
            f"{path}: system {label!r} has no line for id {name!r} with seed {seed}. "
            "Allowed: every prompt with every seed. Add the line, or take the id out."
        )
    return rows


def read_systems(given: Sequence[Path]) -> list[System]:
    """Systems in the order given: of files, which may hold several, and of folders that `evaluate --out` wrote.

    Two folders may hold a system of one name; it is then called by the folder's name, too.

    Raises:
        PolychromicError: a file is missing, empty or wrong, see `read_row` and `group`.
        UsageError: two files hold a system of one name and temperature.
    """
    read = [(path, system) for path in given for system in group(path, _lines(path))]
    often = Counter((system.label, system.temperature) for _, system in read)
    found: dict[tuple[str, float | None], System] = {}
    for path, system in read:
        t, label = system.temperature, system.label
        if often[label, t] > 1 and path.is_dir():
            label = f"{path.resolve().name}/{label}"
        if (label, t) in found:
            raise UsageError(f"{path}: system {label!r} was read before. Allowed: each once. Rename a file, or its `system` column.")
        found[label, t] = replace(system, label=label)
    temperatures = Counter(label for label, _ in found)
    return [
        replace(system, name=f"{label}@T={t:g}" if temperatures[label] > 1 and t is not None else label)
        for (label, t), system in found.items()
    ]


def _lines(path: Path) -> Iterator[Row]:
    """The lines of a file, or of the files of replies of a folder."""
    files = [path]
    if path.is_dir():
        if not (path / EVALUATION).is_file():
            raise PolychromicError(
                f"{path}: the folder holds no {EVALUATION}. Allowed: a folder that `polychromic evaluate --out` wrote, "
                "or files of replies. Evaluate into it first, or name the files."
            )
        files = list(dict.fromkeys(path / system["replies"] for system in read_json(path / EVALUATION)["systems"]))
    for file in files:
        parents = file.resolve().parents
        cell = file.name == paths.SAMPLES and len(parents) > 3 and parents[3] == paths.RESULTS.resolve()
        for where, raw in _with_prompts(file, parents[2].name) if cell else read_jsonl(file):
            yield read_row(where, raw, system=file.name.removesuffix(".gz").removesuffix(".jsonl"))


def _with_prompts(path: Path, name: str) -> Iterator[tuple[str, dict]]:
    """The lines of results/NAME/SPLIT/CELL/samples.jsonl.gz with prompts, references and what is valid, from the domain's data."""
    from polychromic.data.domains import get_domain
    from polychromic.data.records import read_records

    records, domain = {record.id: record for record in read_records(paths.data_file(name))}, get_domain(name)
    for where, row in read_jsonl(path):
        if (record := records.get(row["id"])) is None:
            raise PolychromicError(f"{where}: id {row['id']!r} is not in {paths.data_file(name)}. Run `dvc pull`, or `dvc repro`.")
        own = {key: row[key] for key in ("id", "samples", "seed", "temperature")}
        if domain.checker != "person":
            own["valid"] = [domain.answer(record, text) is not None for text in row["samples"]]
        yield where, own | {"prompt": record.prompt, "references": record.references, "system": path.parent.name}


def common_ids(systems: Sequence[System], common: bool) -> list[str]:
    """The prompts of all systems, sorted; with `common` without those that some system lacks.

    Raises:
        PolychromicError: the prompts differ (and `common` is off), none is shared, or an id stands for several.
    """
    shared = sorted(set.intersection(*(set(system.ids) for system in systems)))
    if not shared:
        problem = f"the files share no id; first ids: {', '.join(system.ids[0] for system in systems)}"
    elif different := [name for name in shared if len({system.row(name).prompt for system in systems}) > 1]:
        problem = f"id {different[0]!r} stands for different prompts in different files"
    elif not common and (notes := other_prompts(systems)):
        remedy = "Evaluate the same prompts, or add --common to use those that all have"
        raise PolychromicError(f"{notes[0].partition(': do not')[0]}. Allowed: the same prompts in all files. {remedy}.")
    else:
        return shared
    raise PolychromicError(f"{problem}. Allowed: the same prompts under the same ids. Correct the ids.")


def other_prompts(systems: Sequence[System]) -> list[str]:
    """Notes on systems whose prompts are not those of the first: their means are of different things."""
    found, first = [], systems[0]
    for system in systems[1:]:
        ours, theirs = set(first.ids), set(system.ids)
        parts = [
            f"{len(extra)} of {one.name!r} that {other.name!r} lacks, such as {min(extra)!r}"
            for one, other, extra in ((first, system, ours - theirs), (system, first, theirs - ours))
            if extra
        ]
        if renamed := sorted(name for name in ours & theirs if first.row(name).prompt != system.row(name).prompt):
            parts.append(f"{len(renamed)} ids stand for other text, such as {renamed[0]!r}")
        if parts:
            found.append(
                f"{first.name!r} and {system.name!r} answer different prompts ({'; '.join(parts)}): do not compare their means. "
                "`polychromic compare-files --common` uses the prompts that both have."
            )
    return found
