"""What decisions mean, without files, keys or screens: a list of actions gives the state, and undo takes the last one back.

An action that is undone stays in the log, followed by its undo: replaying the log gives the same state as the session had.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from polychromic.data.records import Record

Act = Literal["accept", "reject", "edit", "skip", "undo"]
ACTS: tuple[str, ...] = ("accept", "reject", "edit", "skip", "undo")
# Why a pair is rejected: key in the log -> what the reviewer reads. "other" goes with a text of one's own.
REASONS = {
    "off_topic": "the reply does not answer the post",
    "context": "cannot be understood without what was said before",
    "toxic": "rude, hateful or sexual",
    "spam": "advertising or written by a bot",
    "personal": "tells who or where a person is",
    "language": "not in the language wanted",
    "quality": "broken, garbled or empty of content",
    "repeat": "much like another candidate",
}
OTHER = "other"


@dataclass(frozen=True)
class Action:
    """One key press that counts.

    Attributes:
        id: the record it is about; of an undo, the record whose action is taken back.
        reason, note: of a reject: a key of REASONS, or "other" with the reviewer's words.
        prompt, reply: of an edit: both texts as they shall be.
    """

    act: Act
    id: str
    reason: str = ""
    note: str = ""
    prompt: str = ""
    reply: str = ""


@dataclass(frozen=True)
class Decision:
    """What holds for a record. An edit is an acceptance of the edited texts."""

    verdict: Literal["accept", "reject"]
    reason: str = ""
    note: str = ""
    texts: tuple[str, str] | None = None  # (prompt, reply) of an edit

    @property
    def edited(self) -> bool:
        return self.texts is not None


class Review:
    """The state after a list of actions.

    Args:
        ids: the candidates, in the order in which they are shown.
    """

    def __init__(self, ids: Sequence[str]):
        self.ids = tuple(ids)
        self.known = frozenset(ids)
        self.decisions: dict[str, Decision] = {}
        self._past: list[tuple[Action, Decision | None]] = []  # each action that holds, with what held before it

    def check(self, action: Action) -> None:
        """Raises ValueError, saying what is allowed, for an action that cannot follow this state."""
        if action.id not in self.known:
            raise ValueError(f"id {action.id!r} is none of the candidates")
        if action.act == "undo" and (self.undoable is None or self.undoable.id != action.id):
            last = "nothing" if self.undoable is None else f"the action on {self.undoable.id!r}"
            raise ValueError(f"undo of {action.id!r}, but what can be undone is {last}")
        if action.act == "reject" and not (action.reason in REASONS or action.reason == OTHER and action.note):
            raise ValueError(f"reason {action.reason!r}; allowed: {', '.join(REASONS)}, or {OTHER} with a note")
        if action.act == "edit" and not (action.prompt.strip() and action.reply.strip()):
            raise ValueError("an edit with an empty text; reject the pair instead")

    def do(self, action: Action) -> None:
        """Apply one action. Raises ValueError (see check), and then nothing has changed."""
        self.check(action)
        if action.act == "undo":
            _, before = self._past.pop()
            if before is None:
                self.decisions.pop(action.id, None)
            else:
                self.decisions[action.id] = before
            return
        self._past.append((action, self.decisions.get(action.id)))
        if action.act == "accept":
            # Accepting a pair that was edited keeps the edit: it is what the reviewer sees.
            self.decisions[action.id] = Decision("accept", texts=self.texts(action.id))
        elif action.act == "edit":
            self.decisions[action.id] = Decision("accept", texts=(action.prompt, action.reply))
        elif action.act == "reject":
            self.decisions[action.id] = Decision("reject", action.reason, action.note)

    def texts(self, name: str) -> tuple[str, str] | None:
        """The texts of an edit that holds; None where the candidate's own hold."""
        found = self.decisions.get(name)
        return found.texts if found else None

    @property
    def undoable(self) -> Action | None:
        """The action that undo takes back; None at the start."""
        return self._past[-1][0] if self._past else None

    def counts(self) -> dict[str, int]:
        """Candidates by state; "edited" are among the accepted."""
        verdicts = Counter(found.verdict for found in self.decisions.values())
        return {
            "candidates": len(self.ids),
            "reviewed": len(self.decisions),
            "accepted": verdicts["accept"],
            "edited": sum(found.edited for found in self.decisions.values()),
            "rejected": verdicts["reject"],
            "undecided": len(self.ids) - len(self.decisions),
        }


def replay(ids: Sequence[str], actions: Iterable[Action]) -> Review:
    review = Review(ids)
    for action in actions:
        review.do(action)
    return review


def accepted(records: Sequence[Record], review: Review) -> list[Record]:
    """The records that are accepted, with their edits, in the order of their ids: the set that is exported.

    id, group and stratum stay those of the candidate: they say where the record is from, and the log names it by its id.
    """
    found = []
    for record in sorted(records, key=lambda record: record.id):
        decision = review.decisions.get(record.id)
        if decision is None or decision.verdict != "accept":
            continue
        if decision.texts:
            prompt, reply = decision.texts
            record = record.model_copy(update={"prompt": prompt, "references": [reply, *record.references[1:]]})
        found.append(record)
    return found
