"""Files of replies, from any model: read, checked line by line, and grouped into systems. No metric, no model.

A line: {"id", "prompt", "samples": [text, ...]} and, where there are such, "references": [text, ...], "valid" (a list of booleans,
one per sample, or of answers that are right), "system", "temperature", "seed". Other columns are left alone.
"""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from polychromic.base.errors import DataError, PolychromicError, UsageError
from polychromic.base.io import read_json, read_jsonl
from polychromic.score.text import answer_key

COLUMNS = ("id", "prompt", "samples", "references", "valid", "system", "temperature", "seed")
NEEDED = ("id", "prompt", "samples")
MEANT = {
    "samples": {"responses", "replies", "outputs", "completions", "generations", "predictions", "texts"},
    "prompt": {"question", "input"},
}
EVALUATION = "evaluation.json"  # in a folder of `evaluate --out`: names the files of replies beside it


@dataclass(frozen=True)
class Row:
    """The replies of one system to one prompt.

    Attributes:
        where: "path:line". raw: the line itself.
        answers: canonical valid answer per sample, None for an invalid one; None where the file does not say what is valid.
    """

    where: str
    id: str
    prompt: str
    samples: tuple[str, ...]
    references: tuple[str, ...] | None
    answers: tuple[str | None, ...] | None
    seed: int
    raw: dict


@dataclass(frozen=True)
class System:
    """A system at one temperature: rows by (seed, id). All seeds have the same prompts, all rows the same number of samples.

    Attributes:
        name: as printed, the temperature added where another system has the same label. label: without it.
    """

    name: str
    rows: dict[tuple[int, str], Row]
    label: str = ""
    temperature: float | None = None

    @property
    def seeds(self) -> list[int]:
        return sorted({seed for seed, _ in self.rows})

    @property
    def ids(self) -> list[str]:
        return sorted({name for _, name in self.rows})

    @property
    def n(self) -> int:
        return len(self.first.samples)

    @property
    def first(self) -> Row:
        return next(iter(self.rows.values()))


Table = dict[tuple[str, float | None], System]  # (label, temperature) -> system


def read_systems(given: Sequence[Path]) -> list[System]:
    """Systems in the order given: of files, which may hold several, and of folders that `evaluate --out` wrote.

    Two folders may hold a system of one name; it is then called by the folder's name, too.

    Raises:
        PolychromicError: a file is missing or empty.
        UsageError: two files hold a system of one name and temperature.
        DataError: a line that is not as the head of this module says (the first one is named).
    """
    tables = [(path, _read_table(path)) for path in given]
    often = Counter(key for _, table in tables for key in table)
    found: Table = {}
    for path, table in tables:
        for (label, temperature), system in table.items():
            if often[label, temperature] > 1 and path.is_dir():
                label = f"{path.resolve().name}/{label}"
            if (label, temperature) in found:
                raise UsageError(f"{path}: system {label!r} was read before. Allowed: each once. Rename a file, or its `system` column.")
            found[label, temperature] = replace(system, label=label)
    temperatures = Counter(label for label, _ in found)
    return [
        replace(system, name=f"{label}@T={t:g}" if temperatures[label] > 1 and t is not None else label)
        for (label, t), system in found.items()
    ]


def _read_table(path: Path) -> Table:
    """The systems of a file or folder."""
    if not path.exists():
        raise PolychromicError(
            f"{path}: no such file or folder. Allowed: a file of replies (JSONL), or a folder that `polychromic evaluate --out` wrote. "
            "Check the path."
        )
    rows: dict[tuple[str, float | None], dict[tuple[int, str], Row]] = {}
    for file in _files(path):
        stem = file.name.removesuffix(".gz").removesuffix(".jsonl")
        for where, raw in read_jsonl(file):
            row = read_row(where, raw)
            label, temperature = raw.get("system", stem), raw.get("temperature")
            if not isinstance(label, str) or not label.strip() or not (temperature is None or _number(temperature)):
                raise DataError(where, f"system {label!r}, temperature {temperature!r}", "a text that is not empty, and a number")
            _whole(where, "system", label)
            cell = rows.setdefault((label, temperature), {})
            if (row.seed, row.id) in cell:
                raise DataError(
                    where, f"id {row.id!r} was already used at {cell[row.seed, row.id].where}", "each id once per system and seed"
                )
            cell[row.seed, row.id] = row
    if not rows:
        raise PolychromicError(f"{path}: the file holds no line. Allowed: one JSON object per prompt, with {', '.join(NEEDED)}.")
    return {(label, t): _checked(path, System(label, cell, label, t)) for (label, t), cell in rows.items()}


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    if not (path / EVALUATION).is_file():
        raise PolychromicError(
            f"{path}: the folder holds no {EVALUATION}. Allowed: a folder that `polychromic evaluate --out` wrote, or files of replies. "
            "Evaluate into it first, or name the files."
        )
    return list(dict.fromkeys(path / system["replies"] for system in read_json(path / EVALUATION)["systems"]))


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def read_row(where: str, raw: dict) -> Row:
    """One line, checked. Raises DataError that says what was got, what is allowed, and which column may have been meant."""
    for column in NEEDED:
        if column not in raw:
            others = [name for name in raw if name not in COLUMNS]
            near = [name for name in others if name in MEANT.get(column, ())] or difflib.get_close_matches(column, others, n=1, cutoff=0.5)
            guess = f" Did you mean {near[0]!r}? Rename it to {column!r}." if near else ""
            raise DataError(where, f"no column {column!r}; found: {', '.join(map(repr, raw)) or 'none'}", f"columns {', '.join(COLUMNS)}",
                            guess.strip() or "Add it and run the command again.")  # fmt: skip
    samples, references, seed = raw["samples"], raw.get("references"), raw.get("seed", 0)
    for column, value in (("id", raw["id"]), ("prompt", raw["prompt"])):
        if not isinstance(value, str) or not value.strip():
            raise DataError(where, f"{column} is {value!r}", "text that is not empty")
        _whole(where, column, value)
    check_texts(where, "samples", samples)
    if references is not None:
        check_texts(where, "references", references)
        check_filled(where, "references", references)
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise DataError(where, f"seed is {seed!r}", "a whole number")
    answers = _answers(where, samples, raw["valid"]) if raw.get("valid") is not None else None
    return Row(where, raw["id"], raw["prompt"], tuple(samples), tuple(references) if references else None, answers, seed, raw)


def check_texts(where: str, column: str, value: object) -> None:
    """Raises DataError for anything but a list of one or more texts that can be written as UTF-8."""
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise DataError(where, f"{column} is {repr(value)[:60]}", "a list of one or more texts")
    for text in value:
        _whole(where, column, text)


def check_filled(where: str, column: str, texts: Sequence[str]) -> None:
    """Raises DataError for an empty text, against which nothing can be scored."""
    if not all(answer_key(text) for text in texts):
        raise DataError(where, f"{column} holds an empty text", "texts that are not empty", "Take the empty text out.")


def _whole(where: str, column: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        raise DataError(where, f"{column} holds {half}, half of a character", "whole Unicode characters", "Write it as UTF-8.") from None


def _answers(where: str, samples: list[str], valid: object) -> tuple[str | None, ...]:
    """Canonical valid answer per sample: samples of the same answer_key are one answer."""
    if isinstance(valid, list) and valid and all(isinstance(flag, bool) for flag in valid):
        if len(valid) != len(samples):
            raise DataError(where, f"valid has {len(valid)} booleans for {len(samples)} samples", "one boolean per sample")
        return tuple(answer_key(text) if flag else None for text, flag in zip(samples, valid, strict=True))
    if isinstance(valid, list) and all(isinstance(answer, str) for answer in valid):
        check_filled(where, "valid", valid)
        right = {answer_key(answer) for answer in valid}
        return tuple(key if (key := answer_key(text)) in right else None for text in samples)
    raise DataError(where, f"valid is {repr(valid)[:60]}", "a list of booleans, one per sample, or a list of right answers")


def empty_valid(valid: Sequence[tuple[str, object]]) -> bool:
    """Whether `valid` is [] on every line: the file does not know what is right, as if it had no such column.

    Args:
        valid: ("path:line", value) of each line.

    Raises:
        DataError: it is [] on some lines only, where it might mean that nothing is right or that nothing is known.
    """
    empty = [where for where, value in valid if value == []]
    if empty and len(empty) < len(valid):
        raise DataError(empty[0], "valid is [], and not on other lines", "right answers, or one boolean per sample",
                        "If no reply can be right, give booleans that are all false; if it is not known, take the line out.")  # fmt: skip
    return bool(empty)


def _checked(path: Path, system: System) -> System:
    if empty_valid([(row.where, row.raw.get("valid")) for row in system.rows.values()]):
        system = replace(system, rows={key: replace(row, answers=None) for key, row in system.rows.items()})
    first = system.first
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
    return system


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
        text = lambda of, name: of.rows[of.seeds[0], name].prompt
        if renamed := sorted(name for name in ours & theirs if text(first, name) != text(system, name)):
            parts.append(f"{len(renamed)} ids stand for other text, such as {renamed[0]!r}")
        if parts:
            found.append(f"{first.name!r} and {system.name!r} answer different prompts ({'; '.join(parts)}): do not compare their means. "
                         "`polychromic compare --common` uses the prompts that both have.")  # fmt: skip
    return found
