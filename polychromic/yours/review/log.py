"""The log of a review: one JSON object a line, appended and synced before the decision counts.

First line: {"candidates": sha256 of candidates.jsonl, "reviewer": name}; then {"act", "id", "reviewer"} and what the act needs. No
clock: the same key presses give the same bytes. A last line that a crash cut is left out, and cut off before the next is appended.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from polychromic.base.errors import DataError, PolychromicError, UsageError
from polychromic.base.io import dumps, sha256_file
from polychromic.data.records import Record, read_records
from polychromic.yours.review.state import ACTS, Action, Review

CANDIDATES = "candidates.jsonl"  # what polychromic.yours.curate.run writes
CUT = "the last line of the log was cut (a crash, or a full disk); that decision is not counted"
FIELDS = tuple(Action.__dataclass_fields__)


@dataclass(frozen=True)
class Candidates:
    """What is reviewed. ids are in the order of the file."""

    path: Path
    sha256: str
    records: dict[str, Record]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self.records)


@dataclass(frozen=True)
class Log:
    """A log and what it says.

    Attributes:
        last: the action it ends with.
        bytes, sha256: of the lines that hold.
        cut: a last line without its end lies beyond them.
    """

    path: Path
    reviewer: str
    review: Review
    last: Action | None = None
    bytes: int = 0
    sha256: str = ""
    cut: bool = False


def read_candidates(folder: Path) -> Candidates:
    """Raises PolychromicError without candidates.jsonl, DataError for a malformed line of it."""
    path = folder / CANDIDATES
    if not path.is_file():
        raise PolychromicError(f"{path}: file not found. Allowed: a folder that `polychromic curate RAW.jsonl --out FOLDER` wrote.")
    return Candidates(path, sha256_file(path), {record.id: record for record in read_records(path)})


def log_path(folder: Path, reviewer: str) -> Path:
    """Raises UsageError for a name that is no safe part of a file's name."""
    if not re.fullmatch(r"[\w-][\w.-]*", reviewer):
        raise UsageError(f"--reviewer is {reviewer!r}. Allowed: letters, digits, dots, - and _, such as anna or anna-2.")
    return folder / f"review-{reviewer}.jsonl"


def read_log(path: Path, candidates: Candidates) -> Log:
    """Replay a log.

    Raises:
        PolychromicError: no such file, or it reviews other candidates.
        DataError: a line before the last that is not as the head of this module says, or an action that cannot follow those before it.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise PolychromicError(
            f"{path}: file not found. Allowed: the log of a review, such as review-anna.jsonl. "
            f"Run `polychromic review {candidates.path.parent}` first."
        ) from None
    review, last, reviewer, good = Review(candidates.ids), None, "", 0
    lines = content.split(b"\n")
    for number, raw in enumerate(lines[:-1], start=1):  # what follows the last line feed was cut, and nobody was told that it counts
        where = f"{path}:{number}"
        row = _row(where, raw)
        if number == 1:
            reviewer = _check_head(where, row, candidates)
        else:
            last = _action(where, row)
            try:
                review.do(last)
            except ValueError as error:
                raise DataError(where, str(error), "an action that follows those before it", "Restore the log from a copy.") from None
        good += len(raw) + 1
    if not good:
        raise DataError(f"{path}:1", "no whole line", "a log of `polychromic review`", "Delete the file.")
    return Log(path, reviewer, review, last, good, hashlib.sha256(content[:good]).hexdigest(), bool(lines[-1]))


def _row(where: str, raw: bytes) -> dict:
    try:
        row = json.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError):
        row = None
    if not isinstance(row, dict):
        raise DataError(where, "not a JSON object", "one JSON object a line", "Restore the log from a copy.")
    return row


def _check_head(where: str, row: dict, candidates: Candidates) -> str:
    if set(row) != {"candidates", "reviewer"} or not all(isinstance(value, str) for value in row.values()):
        raise DataError(where, f"keys {', '.join(map(repr, row))}", "candidates and reviewer", "Name a log of `polychromic review`.")
    if row["candidates"] != candidates.sha256:
        raise PolychromicError(
            f"{where}: the log reviews other candidates (sha256 {row['candidates'][:12]}) than {candidates.path} (sha256 "
            f"{candidates.sha256[:12]}). Allowed: a log of these. Restore those candidates, or start a log with another --reviewer."
        )
    return row["reviewer"]


def _action(where: str, row: dict) -> Action:
    values = {name: value for name, value in row.items() if name != "reviewer"}
    unknown = set(values) - set(FIELDS)
    if unknown or not all(isinstance(value, str) for value in row.values()) or row.get("act") not in ACTS or "id" not in row:
        problem = f"unknown key {min(unknown)!r}" if unknown else f"act {row.get('act')!r}, id {row.get('id')!r}"
        raise DataError(where, problem, f"act: {', '.join(ACTS)}; id; all values texts", "Restore the log from a copy.")
    return Action(**values)


class Writer:
    """Appends actions to a log, each synced; a new log gets its head first.

    Args:
        good: bytes of an existing log that hold; what lies beyond is cut off.
    """

    def __init__(self, path: Path, reviewer: str, candidates: Candidates, good: int = 0):
        self._reviewer = reviewer
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = open(path, "ab", buffering=0)  # noqa: SIM115 - closed by close()
        self._file.truncate(good)
        self._good = good
        if not good:
            self._append({"candidates": candidates.sha256, "reviewer": reviewer})

    def append(self, action: Action) -> None:
        """Raises PolychromicError when the line cannot be written; the log is then as it was."""
        self._append({name: value for name, value in asdict(action).items() if value} | {"reviewer": self._reviewer})

    def _append(self, row: dict) -> None:
        line = (dumps(row) + "\n").encode()
        try:
            if self._file.write(line) != len(line):
                raise OSError("the disk took a part of the line")
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(self._good)
            raise PolychromicError(
                f"{self._file.name}: the decision was not written ({error}). Allowed: a disk with room. Make room, and decide again."
            ) from None
        self._good += len(line)

    def close(self) -> None:
        self._file.close()


def open_log(folder: Path, reviewer: str, candidates: Candidates) -> tuple[Log, Writer]:
    """The log so far (empty for a new one), and a writer that goes on from there."""
    path = log_path(folder, reviewer)
    content = path.read_bytes() if path.exists() else b""
    # A log without a whole line is one whose head a crash cut.
    found = read_log(path, candidates) if b"\n" in content else Log(path, reviewer, Review(candidates.ids), cut=bool(content))
    return found, Writer(path, reviewer, candidates, found.bytes)
