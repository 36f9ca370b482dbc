"""What a domain must say: which replies are good, and which are the same; and the table of domains.

Each folder in this one is a domain, under its own name: a module that ends in DOMAIN = ... Its prompts stand in prompts.yaml, its
parameters and the names of its metrics in one section of params.yaml.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from itertools import combinations
from pkgutil import iter_modules
from typing import Any, Protocol

import numpy as np

from polychromic.base.errors import UsageError
from polychromic.data.records import Record
from polychromic.data.text import latin_unaccented

Embed = Callable[[Sequence[str]], np.ndarray]  # n texts -> (n, d) float32, unit length


class Readers(Protocol):
    """What a domain may ask about replies beside its own rules. Each answer is a function of its own prompt and reply alone.

    norms: what `Domain.norms` found in people's replies before any method was trained; in evaluation with `held_out_norms`.
    """

    norms: Mapping[str, Any]

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """n texts -> (n, d) float32 sentence vectors of unit length."""

    def fluency(self, replies: Sequence[str]) -> np.ndarray:
        """(n, 2) under the frozen base model, asked for nothing in particular: mean natural log-probability per token, end token included,
        and the lowest mean over three tokens in a row."""


class FirstReaders(Readers, Protocol):
    """What `Domain.norms` and `held_out_norms` may ask beside; nobody else does."""

    def draft(self, records: Sequence[Record], n: int) -> list[list[str]]:
        """n replies of the frozen base model to each record's prompt, zero-shot."""


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
    """A subclass sets the three texts, and says what differs from a checker that compares normalised replies.

    What training sees (`training_quality`, and `key` or the calibrated cosine) has a judge beside it that it never sees: `held_out_quality`
    and `held_out_similarity` measure the same thing by other features. Their gap is how far a method has gamed what it was trained on.
    """

    name: str
    checker: str  # "set" (answers are checked against a set) or "person" (drafts are matched with held-out human replies)
    similarity: str  # of the coverage objective: "exact" or "semantic"
    # Whether what was cut at the horizon may be good, as where the rules say themselves what is whole. Where they do not, replies that
    # never end are what a method finds: they are long, and so unlike each other.
    unfinished: bool = True

    def key(self, record: Record, reply: str) -> str:
        """The form in which two replies to this prompt are the same answer."""
        return normalise(reply)

    def answer(self, record: Record, reply: str) -> str | None:
        """With checker "set": the key of a reply that keeps the rules, else None."""
        raise NotImplementedError(f"domain {self.name} has checker {self.checker!r}: no set of answers")

    def answers(self, record: Record, replies: Sequence[str], readers: Readers) -> list[str | None]:
        """With checker "set": the key of each valid reply, None for the others; pass@k counts them. Here: those that keep the rules."""
        return [self.answer(record, reply) for reply in replies]

    def training_quality(self, record: Record, replies: Sequence[str], readers: Readers) -> np.ndarray:
        """(N,) quality q in [0, 1] that the set objective sees; uses training data only. Here: 1 for a valid reply, else 0."""
        return np.array([answer is not None for answer in self.answers(record, replies, readers)], dtype=float)

    def alike(self, record: Record, replies: Sequence[str], readers: Readers, similarity: str = "domain") -> np.ndarray:
        """(N, N) similarity that the set objective sees: "exact", equal keys; "semantic", the calibrated cosine; "domain", its own."""
        if (self.similarity if similarity == "domain" else similarity) == "semantic":
            vectors = readers.embed(replies).astype(float)
            same = calibrated(vectors @ vectors.T, readers.norms)
            np.fill_diagonal(same, 1.0)
            return same
        keys = np.array([self.key(record, reply) for reply in replies], dtype=object)
        return (keys[:, None] == keys[None, :]).astype(float)

    def held_out_quality(self, record: Record, replies: Sequence[str], readers: Readers) -> np.ndarray:
        """(N,) in [0, 1]: the same quality by other features; evaluation alone reads it."""
        raise NotImplementedError(f"domain {self.name} has no held-out judge of quality")

    def held_out_similarity(self, record: Record, replies: Sequence[str], readers: Readers) -> np.ndarray:
        """(N, N) in [0, 1], 1 on the diagonal: the same similarity by other features; evaluation alone reads it."""
        raise NotImplementedError(f"domain {self.name} has no held-out judge of similarity")

    def asks_fluency(self, record: Record, reply: str) -> bool:
        """Whether validity or quality of the reply asks for its fluency."""
        return False

    def judged(self, record: Record, reply: str) -> str:
        """The text of which the held-out judge takes sentence vectors, if it does. Here: the reply."""
        return reply

    def norms(self, records: Sequence[Record], readers: FirstReaders) -> dict[str, Any]:
        """What people's replies to training prompts, and to those of split `calibration`, say, as JSON. Here: cosine, the median one of two
        replies to a prompt."""
        return {"cosine": typical_cosine(records, readers.embed)}

    def held_out_norms(self, records: Sequence[Record], readers: FirstReaders) -> dict[str, Any]:
        """The same for the judge that training never sees. Here: nothing."""
        return {}


def typical_cosine(records: Sequence[Record], embed: Embed) -> float:
    """Median over prompts of the mean cosine of their references' pairs: how alike two people's replies to one prompt are. 0 where no
    record has two references, of which nothing can be said: similarity is then the cosine as it is."""
    several = [record.references for record in records if len(set(record.references)) > 1]
    if not several:
        return 0.0
    unique = list(dict.fromkeys(text for texts in several for text in texts))
    vectors = dict(zip(unique, embed(unique).astype(float), strict=True))
    mean = lambda texts: np.mean([vectors[a] @ vectors[b] for a, b in combinations(dict.fromkeys(texts), 2)])
    return round(float(np.median([mean(texts) for texts in several])), 6)


def calibrated(cosines: np.ndarray, norms: Mapping[str, Any]) -> np.ndarray:
    """Similarity in [0, 1]: 1 for the same text, 0 for replies as different as two people's (or more): (cos - c0) / (1 - c0), clipped."""
    floor = norms["cosine"]
    return np.clip((cosines - floor) / (1 - floor), 0.0, 1.0)


def domain_names() -> list[str]:
    return sorted(module.name for module in iter_modules(__path__))


def get_domain(name: str) -> Domain:
    """Raises UsageError for a name that is not in the folder."""
    if name not in domain_names():
        raise UsageError(f"domain {name!r} does not exist. Allowed: {', '.join(domain_names())}.")
    return import_module(f"{__package__}.{name}").DOMAIN
