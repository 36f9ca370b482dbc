"""List questions: "Name one kind of fruit." A reply is good when it is in the prompt's valid set."""

from __future__ import annotations

from functools import lru_cache

from polychromic.data.domains.base import Domain, normalise
from polychromic.data.records import Record


def _singulars(text: str) -> list[str]:
    """The text and what it may be the plural of: cherries -> cherry, boxes -> box, cats -> cat."""
    forms = [text]
    if text.endswith("ies") and len(text) > 4:
        forms.append(text[:-3] + "y")
    if text.endswith("es") and len(text) > 3:
        forms.append(text[:-2])
    if text.endswith("s") and not text.endswith("ss") and len(text) > 2:
        forms.append(text[:-1])
    return forms


@lru_cache(maxsize=4096)
def _normalised(valid: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(normalise, valid)) - {""}


class ListQA(Domain):
    name, checker, similarity = "listqa", "set", "exact"

    def key(self, record: Record, reply: str) -> str:
        return self.answer(record, reply) or normalise(reply)

    def answer(self, record: Record, reply: str) -> str | None:
        """The valid answer that the reply gives, itself or in its plural, in normalised form; or None."""
        valid = _normalised(tuple(record.valid))
        return next((form for form in _singulars(normalise(reply)) if form in valid), None)


DOMAIN = ListQA()
