"""What a domain must say: which replies are good, and which are the same.

A domain is one file in this folder that ends in DOMAIN = ..., prompts in prompts.yaml, and one section in params.yaml,
which also names its metrics.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from polychromic.data.records import Record
from polychromic.data.text import unaccented

Embed = Callable[[Sequence[str]], np.ndarray]  # n texts -> (n, d) float32, unit length

_LEAD = re.compile(r"^(?:an?|the|some|one)\s+")
_PUNCTUATION = re.compile(r"[^\w\s]+")


def normalise(reply: str) -> str:
    """Lower case without accents, punctuation, a leading article and repeated blanks."""
    return _LEAD.sub("", " ".join(_PUNCTUATION.sub(" ", unaccented(reply).lower()).split()))


class Domain:
    """A subclass sets the three texts, and says what differs from a checker that compares normalised replies."""

    name: str
    checker: str  # "set" (answers are checked against a set) or "person" (drafts are matched with held-out human replies)
    similarity: str  # of the coverage objective: "exact" or "semantic"

    def key(self, record: Record, reply: str) -> str:
        """The form in which two replies to this prompt are the same answer."""
        return normalise(reply)

    def answer(self, record: Record, reply: str) -> str | None:
        """With checker "set": the key of a valid reply, else None; pass@k counts it."""
        raise NotImplementedError(f"domain {self.name} has checker {self.checker!r}: no set of answers")

    def training_quality(self, record: Record, replies: Sequence[str], embed: Embed) -> np.ndarray:
        """(N,) quality q in [0, 1] that the set objective sees; uses training data only. Here: 1 for a valid reply, else 0."""
        return np.array([self.answer(record, reply) is not None for reply in replies], dtype=float)
