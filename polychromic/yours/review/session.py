"""Keys to decisions, without a terminal: a key, or the line of text that was asked for, goes in; what the screen shows can be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from polychromic.base.errors import PolychromicError
from polychromic.yours.review.log import CUT, REASONS, Action, Log

# What a filter can ask for -> the acts that pass; None: undecided.
STATES = {"undecided": (None,), "accepted": ("accept", "edit"), "rejected": ("reject",), "edited": ("edit",)}
Keys = dict[str, tuple[str, Callable[[], None]]]  # key -> (what it does, the function that does it)


class Question(NamedTuple):
    """A line of text to be edited; `done` takes it, and raises, saying why, where it cannot."""

    label: str
    text: str
    done: Callable[[str], None]


class Session:
    """A review in progress.

    Attributes:
        at: id of the record on the screen; None when none passes the filter.
        filter: with commas between: states (of STATES), strata, and texts that post or reply hold, whatever the case. All must hold.
        page: of texts that the screen cannot hold.
        keys: what keys mean now: `browse`, or the numbered reasons.
        question: the line that is being edited, instead of keys.
        over: the reviewer has quit.
    """

    def __init__(self, log: Log):
        self.log, self.records = log, log.candidates.records
        self.at = log.last.id if log.last else None
        self.filter, self.page, self.over = "", 0, False
        self.message = CUT if log.cut else ""
        self.question: Question | None = None
        self.browse: Keys = {
            "a": ("accept", lambda: self._decide("accept")),
            "r": ("reject", lambda: setattr(self, "keys", self.reasons)),
            "e": ("edit reply", lambda: self._edit("reply")),
            "p": ("edit post", lambda: self._edit("post")),
            "u": ("undo", self._undo),
            "s": ("skip", lambda: self._decide("skip")),
            "n": ("next", lambda: self._go()),
            "b": ("back", lambda: self._go(back=True)),
            "f": ("filter", self._ask_filter),
            "space": ("more", lambda: self._turn(1)),
            "pageup": ("less", lambda: self._turn(-1)),
            "q": ("quit", lambda: setattr(self, "over", True)),
        }
        decide = lambda reason: lambda: self._decide("reject", reason=reason)
        self.reasons: Keys = {str(n): (text, decide(name)) for n, (name, text) in enumerate(REASONS.items(), start=1)}
        self.reasons["9"] = (REASONS["other"], self._ask_reason)
        self.keys = self.browse
        if log.last is None or log.last.act != "undo":
            self._go(undecided=True)

    def press(self, key: str) -> None:
        """Apply a key: one of `keys`, or another, which then means nothing."""
        keys, self.keys, self.message = self.keys, self.browse, ""
        if keys is self.browse and self.at is None and key in "arepsnb":
            self.message = "no candidate passes the filter; f changes it"
        elif key in keys:
            try:
                keys[key][1]()
            except PolychromicError as error:  # a decision that is not on the disk is none
                self.message = str(error)
        elif keys is self.browse:
            self.message = f"key {key!r} does nothing"
        elif key not in ("escape", "q"):
            self.keys, self.message = keys, "press a number, or Esc"

    def answer(self, text: str | None) -> None:
        """Take the line that was edited; None leaves all as it was."""
        question, self.question, self.message = self.question, None, "nothing changed" if text is None else ""
        try:
            if text is not None:
                question.done(text)
        except (PolychromicError, ValueError) as error:
            self.question, self.message = question, str(error)

    def passing(self) -> list[str]:
        """Ids that pass the filter, in the order of the candidates."""
        return [name for name in self.records if self._passes(name)]

    def _passes(self, name: str) -> bool:
        decision = self.log.decisions.get(name)
        texts = [text.casefold() for text in self.log.texts(name)]
        for term in filter(None, map(str.strip, self.filter.casefold().split(","))):
            of_texts = term == self.records[name].stratum.casefold() or any(term in text for text in texts)
            if not ((decision and decision.act) in STATES[term] if term in STATES else of_texts):
                return False
        return True

    def _go(self, back: bool = False, undecided: bool = False) -> None:
        """To the next record that passes, around the end, the one on the screen last; where asked, to an undecided one if there is any."""
        names = list(self.records)
        place = names.index(self.at) if self.at is not None else len(names) - 1
        ring = names[:place][::-1] + names[place:][::-1] if back else names[place + 1 :] + names[: place + 1]
        found = [name for name in ring if self._passes(name)]
        wanted = [name for name in found if name not in self.log.decisions] if undecided else []
        self.at, self.page = next(iter(wanted or found), None), 0

    def _turn(self, by: int) -> None:
        self.page += by

    def _decide(self, act: str, **values: str) -> None:
        self.log.append(Action(act, self.at, **values))
        self._go(undecided=True)
        if not self.log.counts()["undecided"]:
            self.message = "every candidate is decided; q quits, and `polychromic review-export` writes the set"

    def _undo(self) -> None:
        last = self.log.undoable
        if last is None:
            self.message = "nothing to undo"
            return
        self.log.append(Action("undo", last.id))
        self.at, self.page, self.message = last.id, 0, f"undone: {last.act}"
        self.filter = self.filter if self._passes(last.id) else ""

    def _ask_reason(self) -> None:
        def done(text: str) -> None:
            if not text.strip():
                raise ValueError("write a reason, or press Esc")
            self._decide("reject", reason="other", note=" ".join(text.split()))

        self.question = Question("reason in your own words", "", done)

    def _edit(self, part: str) -> None:
        texts = dict(zip(("post", "reply"), self.log.texts(self.at), strict=True))

        def done(text: str) -> None:
            edited = {name: clean(old) for name, old in (texts | {part: text}).items()}
            if edited == texts:
                self.message = "nothing changed"
            else:
                self._decide("edit", prompt=edited["post"], reply=edited["reply"])

        self.question = Question(part, texts[part], done)

    def _ask_filter(self) -> None:
        def done(text: str) -> None:
            self.filter = text.strip()
            if self.at is None or not self._passes(self.at):
                self._go()

        self.question = Question(f"show only ({', '.join(STATES)}, a stratum, a text; empty: all)", self.filter, done)


def clean(text: str) -> str:
    """Runs of blanks become one blank, as in curation. Raises ValueError for a text that is empty or holds a control character."""
    text = " ".join(text.split())
    if not text:
        raise ValueError("an empty text is no edit; reject the pair instead")
    if bad := next((c for c in text if ord(c) < 32 or 127 <= ord(c) < 160), None):
        raise ValueError(f"the text holds the control character U+{ord(bad):04X}; remove it")
    return text
