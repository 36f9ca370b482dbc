"""What is looked at: a filter over the candidates, and the place among those that pass. Nothing here decides or is logged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from polychromic.data.records import Record
from polychromic.yours.review.state import Review

STATES: dict[str, Callable[[Review, str], bool]] = {
    "all": lambda review, name: True,
    "undecided": lambda review, name: name not in review.decisions,
    "accepted": lambda review, name: name in review.decisions and review.decisions[name].verdict == "accept",
    "rejected": lambda review, name: name in review.decisions and review.decisions[name].verdict == "reject",
    "edited": lambda review, name: name in review.decisions and review.decisions[name].edited,
}


@dataclass(frozen=True)
class Filter:
    """state: one of STATES; stratum: one of the candidates' strata, or None for all; text: what post or reply holds, whatever the case."""

    state: str = "all"
    stratum: str | None = None
    text: str = ""

    def __str__(self) -> str:
        parts = [self.state if self.state != "all" else "", self.stratum or "", f"text {self.text!r}" if self.text else ""]
        return ", ".join(part for part in parts if part) or "all"


def texts(records: Mapping[str, Record], review: Review, name: str) -> tuple[str, str]:
    """Post and reply as they now stand, with the edit that holds."""
    return review.texts(name) or (records[name].prompt, records[name].references[0])


class Browser:
    """The place among the candidates that pass a filter.

    `at` is the record on the screen; None when none passes.
    """

    def __init__(self, records: Mapping[str, Record], review: Review):
        self.records, self.review = records, review
        self.filter = Filter()
        self.at: str | None = None
        self._order = {name: place for place, name in enumerate(review.ids)}

    @property
    def strata(self) -> list[str]:
        return sorted({record.stratum for record in self.records.values()})

    def passing(self) -> list[str]:
        """Ids that pass the filter, in the order of the candidates."""
        wanted, text = self.filter, self.filter.text.casefold()
        return [
            name
            for name in self.review.ids
            if STATES[wanted.state](self.review, name)
            and (wanted.stratum is None or self.records[name].stratum == wanted.stratum)
            and (not text or any(text in part.casefold() for part in texts(self.records, self.review, name)))
        ]

    def place(self) -> tuple[int, int]:
        """(number of the record on the screen among those that pass, from 1; how many pass). 0 when it does not pass itself."""
        found = self.passing()
        return (found.index(self.at) + 1 if self.at in found else 0), len(found)

    def narrow(self, **changes: str | None) -> None:
        """Change the filter; stay where it still passes, else go to the next that does."""
        self.filter = replace(self.filter, **changes) if changes else Filter()
        found = self.passing()
        if self.at not in found:
            self.at = self._after(found, self.at)

    def show(self, name: str) -> None:
        """Go to a record, whatever the filter; one that hides it is dropped."""
        if name not in self.passing():
            self.filter = Filter()
        self.at = name

    def step(self, by: int) -> None:
        """To the next (1) or the previous (-1) record that passes; around the ends."""
        found = self.passing()
        if self.at in found:
            self.at = found[(found.index(self.at) + by) % len(found)]
        else:
            self.at = self._after(found, self.at)

    def advance(self, origin: str | None = None) -> None:
        """To the next undecided record after `origin` (default: the one on the screen) that passes, around the end.

        Where none is undecided, to the next that passes; None where none does.
        """
        origin = origin or self.at
        found = self.passing()
        undecided = [name for name in found if name not in self.review.decisions and name != origin]
        if origin in found and origin not in self.review.decisions and not undecided:
            self.at = origin  # the last one that is undecided, and it was skipped
        else:
            self.at = self._after(undecided or found, origin)

    def _after(self, found: list[str], origin: str | None) -> str | None:
        """The first of `found` behind `origin` in the order of the candidates, around the end."""
        if not found:
            return None
        place = -1 if origin is None else self._order[origin]
        return next((name for name in found if self._order[name] > place), found[0])
