"""What a domain must say: which replies are good, and which are the same; and the table of domains.

Each folder in this one is a domain, under its own name: a module that ends in DOMAIN = ... Its prompts stand in prompts.yaml, its
parameters and the names of its metrics in one section of params.yaml.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from importlib import import_module
from pkgutil import iter_modules

import numpy as np

from polychromic.base.errors import UsageError
from polychromic.data.records import Record
from polychromic.data.text import latin_unaccented

Embed = Callable[[Sequence[str]], np.ndarray]  # n texts -> (n, d) float32, unit length


def normalise(reply: str) -> str:
    """Lower case without accents of Latin letters, invisible characters, punctuation, a leading article and repeated blanks.

    Letters, digits and marks of any script stay, and so do signs that end a word: C, C++ and C# are three. "" for what shows no letter.
    """
    kept = []
    for char in latin_unaccented(reply).lower():
        kind = unicodedata.category(char)
        if kind[0] in "LMN" or char in "+#" and kept and kept[-1] != " ":
            kept.append(char)
        elif kind != "Cf":  # zero width: nothing stands there
            kept.append(" ")
    text = " ".join("".join(kept).split())
    return re.sub(r"^(?:an?|the|some|one)\s+", "", text) if any(unicodedata.category(char)[0] in "LN" for char in text) else ""


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


def domain_names() -> list[str]:
    return sorted(module.name for module in iter_modules(__path__))


def get_domain(name: str) -> Domain:
    """Raises UsageError for a name that is not in the folder."""
    if name not in domain_names():
        raise UsageError(f"domain {name!r} does not exist. Allowed: {', '.join(domain_names())}.")
    return import_module(f"{__package__}.{name}").DOMAIN
