"""The log of a review: one JSON object a line, appended and synced before the decision counts.

First line: {"candidates": sha256 of candidates.jsonl, "reviewer": name}; then {"act", "id", "reviewer"} and what the act needs. No
clock: the same key presses give the same bytes. What is undone stays, followed by its undo: replaying the lines gives the state that
the session had. A last line that a crash cut does not count, and is cut off before the next is appended.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import ConfigDict, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from polychromic.base.errors import DataError, PolychromicError, UsageError, problems
from polychromic.base.io import append, dumps, read_bytes, sha256_file
from polychromic.base.parse import parse_json
from polychromic.data.records import Record, read_records

CANDIDATES = "candidates.jsonl"  # what polychromic.yours.curate writes
BULK = "in bulk"  # the note of an acceptance that no reader made
# Why a pair is rejected: key in the log -> what the reviewer reads.
REASONS = {
    "off_topic": "the reply does not answer the post",
    "context": "cannot be understood without what was said before",
    "toxic": "rude, hateful or sexual",
    "spam": "advertising or written by a bot",
    "personal": "tells who or where a person is",
    "language": "not in the language wanted",
    "quality": "broken, garbled or empty of content",
    "repeat": "much like another candidate",
    "other": "another reason, in your own words",
}


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Action:
    """One key press that counts.

    Attributes:
        id: the record it is about; of an undo, the record whose action is taken back.
        reason, note: of a reject: a key of REASONS; with "other", the reviewer's words. Of an accept: BULK, or nothing.
        prompt, reply: of an edit, which accepts: both texts as they shall be.
    """

    act: Literal["accept", "reject", "edit", "skip", "undo"]
    id: str
    reason: str = ""
    note: str = ""
    prompt: str = ""
    reply: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Action:
        if self.act == "reject" and not (self.reason in REASONS and (self.note or self.reason != "other")):
            raise ValueError(f"reason {self.reason!r}; allowed: {', '.join(REASONS)} with a note")
        if self.act == "edit" and not (self.prompt.strip() and self.reply.strip()):
            raise ValueError("an edit with an empty text; reject the pair instead")
        return self


class Candidates(NamedTuple):
    """What is reviewed: the file, its hash, and its records by id, in its order."""

    path: Path
    sha256: str
    records: dict[str, Record]


class Log:
    """The decisions of a reviewer, and the file that keeps them.

    Attributes:
        decisions: the accept, edit or reject that holds, by id of its record.
        last: the action that the log ends with.
        bytes: of the lines that hold; a last one that was cut lies beyond them.
    """

    def __init__(self, path: Path, candidates: Candidates, reviewer: str = "", size: int = 0):
        self.path, self.candidates, self.reviewer, self.bytes = path, candidates, reviewer, size
        self.decisions: dict[str, Action] = {}
        self.last: Action | None = None
        self._past: list[tuple[Action, Action | None]] = []  # each action that holds, with the decision before it

    @property
    def undoable(self) -> Action | None:
        """The action that undo takes back; None at the start."""
        return self._past[-1][0] if self._past else None

    def texts(self, name: str) -> tuple[str, str]:
        """Post and reply as they now stand, with the edit that holds."""
        found, record = self.decisions.get(name), self.candidates.records[name]
        return (found.prompt, found.reply) if found and found.act == "edit" else (record.prompt, record.references[0])

    def counts(self) -> dict[str, int]:
        """Candidates by state; "edited" are among the accepted."""
        total, acts = len(self.candidates.records), Counter(found.act for found in self.decisions.values())
        decided = {"accepted": acts["accept"] + acts["edit"], "edited": acts["edit"], "rejected": acts["reject"]}
        return {"candidates": total, "reviewed": acts.total(), **decided, "undecided": total - acts.total()}

    def apply(self, action: Action) -> None:
        """Count an action. Raises ValueError for one that cannot follow those before it, and then nothing has changed."""
        if action.id not in self.candidates.records:
            raise ValueError(f"id {action.id!r} is none of the candidates")
        holds = before = self.decisions.get(action.id)
        if action.act == "undo":
            if self.undoable is None or self.undoable.id != action.id:
                raise ValueError(f"undo of {action.id!r}, which is not what was done last")
            _, holds = self._past.pop()
        else:
            self._past.append((action, before))
            # A skip decides nothing, and accepting a pair that was edited keeps the edit: it is what the reviewer sees.
            if not (action.act == "skip" or action.act == "accept" and before is not None and before.act == "edit"):
                holds = action
        self.decisions.pop(action.id, None)
        if holds is not None:
            self.decisions[action.id] = holds
        self.last = action

    def append(self, action: Action) -> None:
        """Write an action, then count it. Raises PolychromicError when it cannot be written; log and decisions are then as they were."""
        self.write({name: value for name, value in asdict(action).items() if value} | {"reviewer": self.reviewer})
        self.apply(action)

    def write(self, row: dict[str, str]) -> None:
        """Append a line for good, in place of what a crash may have left behind the last."""
        line = (dumps(row) + "\n").encode()
        try:
            append(self.path, self.bytes, line)
        except OSError as error:
            allowed = "a disk with room. Make room, and decide again"
            raise PolychromicError(f"{self.path}: the decision was not written ({error}). Allowed: {allowed}.") from None
        self.bytes += len(line)


def read_candidates(folder: Path) -> Candidates:
    """Raises PolychromicError without candidates.jsonl, DataError for a malformed line of it."""
    path = folder / CANDIDATES
    if not path.is_file():
        raise PolychromicError(f"{path}: file not found. Allowed: a folder that `polychromic curate RAW.jsonl --out FOLDER` wrote.")
    return Candidates(path, sha256_file(path), {record.id: record for record in read_records(path, "replies")})


def log_path(folder: Path, reviewer: str) -> Path:
    """Raises UsageError for a name that is no safe part of a file's name."""
    if not re.fullmatch(r"[\w-][\w.-]*", reviewer):
        raise UsageError(f"--reviewer is {reviewer!r}. Allowed: letters, digits, dots, - and _, such as anna or anna-2.")
    return folder / f"review-{reviewer}.jsonl"


def read_log(path: Path, candidates: Candidates, reviewer: str = "") -> Log:
    """Replay a log; where there is none yet, and a reviewer is given, begin it.

    Raises PolychromicError: no log, or one of other candidates; DataError: a line that is not as the head of this module says, or an action
    that cannot follow those before it.
    """
    content = read_bytes(path) if path.exists() else b""
    *lines, rest = content.split(b"\n")
    log = Log(path, candidates, reviewer, len(content) - len(rest))
    if not lines and not reviewer:
        allowed = f"the log of a review, such as review-anna.jsonl. Run `polychromic review {candidates.path.parent}` first"
        raise PolychromicError(f"{path}: no file with a whole line. Allowed: {allowed}.")
    if not lines:
        log.write({"candidates": candidates.sha256, "reviewer": reviewer})
    for number, line in enumerate(lines, start=1):
        try:
            row = parse_json(line)
            if not isinstance(row, dict):
                raise ValueError(f"a JSON {type(row).__name__}")
            log.reviewer = row.pop("reviewer", "")
            if number > 1:
                log.apply(Action(**row))
            elif row != {"candidates": candidates.sha256}:
                found = f"the log reviews other candidates (sha256 {str(row.get('candidates'))[:12]}) than {candidates.path}"
                allowed = "a log of these. Restore those, or start a log with another --reviewer"
                raise PolychromicError(f"{path}: {found} (sha256 {candidates.sha256[:12]}). Allowed: {allowed}.")
        except ValueError as error:  # of json, of Action, of apply
            problem = problems(error) if isinstance(error, ValidationError) else str(error)
            allowed = "one JSON object a line: act, id and what the act needs, all texts, and an action that follows those before it"
            raise DataError(f"{path}:{number}", problem, allowed, "Restore the log from a copy.") from None
    return log
