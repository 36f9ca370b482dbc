"""List questions: "Name one kind of fruit." A reply is good when it is in the prompt's valid set."""

from __future__ import annotations

import re
from functools import lru_cache

from polychromic.data.domains import Domain, normalise
from polychromic.data.records import Record

# Endings of a plural after two letters or more, and what stands in their place in the singular: cherries, boxes, cats.
PLURALS = {r"(?<=..)ies$": "y", r"(?<=..)es$": "", r"(?<=.[^s])s$": ""}


@lru_cache(maxsize=4096)
def _normalised(valid: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(normalise, valid)) - {""}


class ListQA(Domain):
    name, checker, similarity = "listqa", "set", "exact"

    def key(self, record: Record, reply: str) -> str:
        return self.answer(record, reply) or normalise(reply)

    def answer(self, record: Record, reply: str) -> str | None:
        """The valid answer that the reply gives, itself or in its plural, in normalised form; or None."""
        text, valid = normalise(reply), _normalised(tuple(record.valid))
        forms = [text, *(re.sub(ending, instead, text) for ending, instead in PLURALS.items())]
        return next((form for form in forms if form in valid), None)


DOMAIN = ListQA()
