"""Files of replies, from any model: read, checked line by line, and grouped into systems. No metric, no model.

A line: {"id", "prompt", "samples": [text, ...]} and, where there are such, "references": [text, ...], "valid" (a list of booleans,
one per sample, or of answers that are right), "system", "temperature", "seed". Other columns are left alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from polychromic.domains.text import normalise
from polychromic.errors import DataError, PolychromicError, UsageError
from polychromic.io import read_jsonl

COLUMNS = ("id", "prompt", "samples", "references", "valid", "system", "temperature", "seed")
NEEDED = ("id", "prompt", "samples")


@dataclass(frozen=True)
class Row:
    """The replies of one system to one prompt. answers: canonical valid answer per sample, None for an invalid one; None if unknown."""

    where: str
    id: str
    prompt: str
    samples: tuple[str, ...]
    references: tuple[str, ...] | None
    answers: tuple[str | None, ...] | None
    seed: int


@dataclass(frozen=True)
class System:
    """A system at one temperature: rows by (seed, id). All seeds have the same prompts, all rows the same number of samples."""

    name: str
    rows: dict[tuple[int, str], Row]

    @property
    def seeds(self) -> list[int]:
        return sorted({seed for seed, _ in self.rows})

    @property
    def ids(self) -> list[str]:
        return sorted({name for _, name in self.rows})

    @property
    def n(self) -> int:
        return len(next(iter(self.rows.values())).samples)


def read_systems(files: Sequence[Path]) -> list[System]:
    """Systems in the order of the files; one file may hold several, by "system" and "temperature".

    Raises:
        PolychromicError: a file is missing or empty, or two files hold a system of one name.
        DataError: a line that is not as the head of this module says (the first one is named).
    """
    found: dict[str, System] = {}
    for path in files:
        for system in _read_file(path):
            if system.name in found:
                raise UsageError(
                    f"{path}: system {system.name!r} was read before. Allowed: each once. Rename a file, or its `system` column."
                )
            found[system.name] = system
    return list(found.values())


def _read_file(path: Path) -> list[System]:
    rows: dict[tuple[str, object], dict[tuple[int, str], Row]] = {}
    stem = path.name.removesuffix(".gz").removesuffix(".jsonl")
    for where, raw in read_jsonl(path):
        row = read_row(where, raw)
        name, temperature = raw.get("system", stem), raw.get("temperature")
        if not isinstance(name, str) or not (temperature is None or isinstance(temperature, int | float)):
            raise DataError(where, f"system {name!r}, temperature {temperature!r}", "a text and a number")
        cell = rows.setdefault((name, temperature), {})
        if (row.seed, row.id) in cell:
            raise DataError(where, f"id {row.id!r} was already used at {cell[row.seed, row.id].where}", "each id once per system and seed")
        cell[row.seed, row.id] = row
    if not rows:
        raise PolychromicError(f"{path}: the file holds no line. Allowed: one JSON object per prompt, with {', '.join(NEEDED)}.")
    several = {name for name, _ in rows if sum(other == name for other, _ in rows) > 1}
    systems = [System(f"{name}@T={t:g}" if name in several and t is not None else name, cell) for (name, t), cell in rows.items()]
    for system in systems:
        _check_system(path, system)
    return systems


def read_row(where: str, raw: dict) -> Row:
    """One line, checked. Raises DataError that says what was got, what is allowed, and which column may have been meant."""
    for column in NEEDED:
        if column not in raw:
            near = difflib.get_close_matches(column, [name for name in raw if name not in COLUMNS], n=1, cutoff=0.5)
            guess = f" Did you mean {near[0]!r}? Rename it to {column!r}." if near else ""
            raise DataError(where, f"no column {column!r}; found: {', '.join(map(repr, raw)) or 'none'}", f"columns {', '.join(COLUMNS)}",
                            guess.strip() or "Add it and run the command again.")  # fmt: skip
    samples, references, seed = raw["samples"], raw.get("references"), raw.get("seed", 0)
    for column, value in (("id", raw["id"]), ("prompt", raw["prompt"])):
        if not isinstance(value, str) or not value.strip():
            raise DataError(where, f"{column} is {value!r}", "text that is not empty")
    for column, value in (("samples", samples), *([("references", references)] if references is not None else [])):
        if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
            raise DataError(where, f"{column} is {repr(value)[:60]}", "a list of one or more texts")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise DataError(where, f"seed is {seed!r}", "a whole number")
    answers = _answers(where, samples, raw["valid"]) if raw.get("valid") is not None else None
    return Row(where, raw["id"], raw["prompt"], tuple(samples), tuple(references) if references else None, answers, seed)


def _answers(where: str, samples: list[str], valid: object) -> tuple[str | None, ...]:
    """Canonical valid answer per sample: samples that are the same after normalisation are one answer."""
    if isinstance(valid, list) and valid and all(isinstance(flag, bool) for flag in valid):
        if len(valid) != len(samples):
            raise DataError(where, f"valid has {len(valid)} booleans for {len(samples)} samples", "one boolean per sample")
        return tuple((normalise(text) or text) if flag else None for text, flag in zip(samples, valid, strict=True))
    if isinstance(valid, list) and all(isinstance(answer, str) for answer in valid):
        right = {normalise(answer) for answer in valid} - {""}
        return tuple(form if (form := normalise(text)) in right else None for text in samples)
    raise DataError(where, f"valid is {repr(valid)[:60]}", "a list of booleans, one per sample, or a list of right answers")


def _check_system(path: Path, system: System) -> None:
    first = next(iter(system.rows.values()))
    for row in system.rows.values():
        if len(row.samples) != len(first.samples):
            raise DataError(row.where, f"{row.id!r} has {len(row.samples)} samples, {first.id!r} at {first.where} has {len(first.samples)}",
                            "equally many samples for every prompt", "Metrics depend on their number: draw as many for each.")  # fmt: skip
        for column in ("answers", "references"):
            if (getattr(row, column) is None) != (getattr(first, column) is None):
                with_it, without = (row, first) if getattr(row, column) is not None else (first, row)
                name = "valid" if column == "answers" else column
                raise DataError(without.where, f"no {name}, which {with_it.where} has", f"{name} on every line, or on none")
    expected = len(system.seeds) * len(system.ids)
    if len(system.rows) != expected:
        seed, name = next((seed, name) for seed in system.seeds for name in system.ids if (seed, name) not in system.rows)
        raise PolychromicError(
            f"{path}: system {system.name!r} has no line for id {name!r} with seed {seed}. Allowed: every prompt with every seed."
        )


def common_ids(systems: Sequence[System], common: bool) -> list[str]:
    """The prompts of all systems, sorted.

    Args:
        common: drop prompts that some system lacks, instead of refusing.

    Raises:
        PolychromicError: the prompts differ (and `common` is off), or none is shared.
    """
    shared = set.intersection(*(set(system.ids) for system in systems))
    for system in systems:
        if not common and (extra := sorted(set(system.ids) - shared)):
            lacking = next(other.name for other in systems if extra[0] not in other.ids)
            raise PolychromicError(
                f"{system.name!r} has {len(extra)} prompts that others lack, such as {extra[0]!r}, which {lacking!r} has not. "
                "Allowed: the same prompts in all files. Evaluate the same prompts, or add --common to use those that all have."
            )
    if not shared:
        raise PolychromicError(
            f"the files share no id. Allowed: the same prompts under the same ids. First ids: {', '.join(s.ids[0] for s in systems)}."
        )
    texts = {name: {system.rows[system.seeds[0], name].prompt for system in systems} for name in shared}
    if different := sorted(name for name, found in texts.items() if len(found) > 1):
        raise PolychromicError(
            f"id {different[0]!r} stands for different prompts in different files. Allowed: one prompt per id. Correct the ids."
        )
    return sorted(shared)
