"""List questions: "Name one kind of fruit." A reply is good when it is in the prompt's valid set."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from polychromic.data.domains.base import Embed
from polychromic.data.domains.text import normalise
from polychromic.data.records import Record


def _singulars(text: str) -> tuple[str, ...]:
    """The text and what it may be the plural of: cherries -> cherry, boxes -> box, cats -> cat."""
    forms = [text]
    if text.endswith("ies") and len(text) > 4:
        forms.append(text[:-3] + "y")
    if text.endswith("es") and len(text) > 3:
        forms.append(text[:-2])
    if text.endswith("s") and not text.endswith("ss") and len(text) > 2:
        forms.append(text[:-1])
    return tuple(forms)


@lru_cache(maxsize=4096)
def _lookup(valid: tuple[str, ...]) -> dict[str, str]:
    """Normalised form -> canonical answer, plural of a valid answer included."""
    table: dict[str, str] = {}
    for answer in valid:
        form = normalise(answer)
        if form:
            table.setdefault(form, form)
    return table


class ListQA:
    name = "listqa"
    checker = "set"
    similarity = "exact"

    def key(self, record: Record, reply: str) -> str:
        return self.answer(record, reply) or normalise(reply)

    def answer(self, record: Record, reply: str) -> str | None:
        """The valid answer that the reply gives, in canonical form, or None."""
        table = _lookup(tuple(record.valid))
        for form in _singulars(normalise(reply)):
            if form in table:
                return table[form]
        return None

    def training_quality(self, record: Record, replies: Sequence[str], embed: Embed) -> np.ndarray:
        return np.array([self.answer(record, reply) is not None for reply in replies], dtype=float)


DOMAIN = ListQA()
