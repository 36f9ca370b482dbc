"""List questions: "Name one kind of fruit." A reply is good when the one thing that it names is in the prompt's valid set.

A line of `valid` is a thing: its forms, separated by FORMS, the canonical one first. What a reply names is decided by reading.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from polychromic.data.domains import Domain, Readers, calibrated, normalise
from polychromic.data.domains.listqa.reading import folded, line_of, plausible, readings, together
from polychromic.data.records import FORMS, Record
from polychromic.data.text import word_list

SPELLED = ("ending", "syllables", "unseen:rhyme")  # strata that ask for a word as it is spelled or sounds: its other forms are other words
LEAST = 6  # letters of a word whose neighbours at edit distance 1 are taken for misspellings


@lru_cache(maxsize=4096)
def _index(valid: tuple[str, ...], spelled: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Canonical form by exact form, without blanks, and by folded form; the first line that holds a form has it."""
    exact: dict[str, str] = {}
    alike: dict[str, str] = {}
    for line in valid:
        canonical, *others = line.split(FORMS)
        for form in (canonical, *others):
            if key := together(form):
                exact.setdefault(key, canonical)
                if not spelled:
                    alike.setdefault(folded(form), canonical)
    return exact, alike


def neighbours(one: str, other: str) -> bool:
    """Whether one letter more, less or other makes one word of the other (edit distance 1 or 0), in long words."""
    if min(len(one), len(other)) < LEAST or abs(len(one) - len(other)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return start > 0 and any(one[start + i :] == other[start + j :] for i, j in ((0, 1), (1, 0), (1, 1)))


class ListQA(Domain):
    name, checker, similarity = "listqa", "set", "exact"

    def key(self, record: Record, reply: str) -> str:
        """The thing that a valid reply names; else the first item that it names, in the form that all spellings of it share."""
        found = readings(reply, record.prompt)
        return self.answer(record, reply) or (folded(found[-1]) if found else " ".join(reply.lower().split()) if normalise(reply) else "")

    def answer(self, record: Record, reply: str) -> str | None:
        """The canonical form, as the record writes it, of the thing that the reply names, if that is valid; else None."""
        exact, alike = _index(tuple(record.valid), record.stratum in SPELLED)
        found = readings(reply, record.prompt)
        for text in found:
            if (key := together(text)) in exact:
                return exact[key]
        return next((alike[key] for text in found for key in sorted(plausible(text), key=len, reverse=True) if key in alike), None)

    def judged(self, record: Record, reply: str) -> str:
        return line_of(reply, record.prompt)

    def held_out_quality(self, record: Record, replies: Sequence[str], readers: Readers) -> np.ndarray:
        """1 where the reply as it was written, all of it, is one known right answer, else 0; evaluation alone reads it.

        It shares the set of right answers with the checker, and nothing else: no rule of reading.py is applied (no first item, no lead-in,
        no folding), a name must be spelled as the source spells it, and every other word must be one of the 25,000 most frequent of a
        second source (common_words.txt). What is right by a rare sense of a common word is right here, too.
        """
        known = {form: all(word in word_list("common_words.txt") for word in re.findall(r"\b[a-z]{2,}", form))
                 for line in record.valid for form in line.split(FORMS)}  # fmt: skip
        said = [reply.strip().removesuffix(".") for reply in replies]
        return np.array([known.get(text, False) or known.get(text[:1].lower() + text[1:], False) for text in said], dtype=float)

    def held_out_similarity(self, record: Record, replies: Sequence[str], readers: Readers) -> np.ndarray:
        """(N, N) in [0, 1]: 1 for lines with the same letters, or, in words of six letters or more, with one letter more, less or other
        after the first; else how alike the encoder finds the lines: as two right answers usually are, or less: 0; the same: 1.
        Evaluation alone reads it.

        It shares with `key` the line of the reply (reading.line_of) and no more: neither WordNet's synonyms nor folding nor the valid set.
        """
        said = [line_of(reply, record.prompt) for reply in replies]
        vectors = readers.embed(said).astype(float)
        alike = calibrated(vectors @ vectors.T, readers.norms)
        letters = [together(text) for text in said]
        same = np.array([[a == b or neighbours(a, b) for b in letters] for a in letters])
        return np.where(same, 1.0, alike)


DOMAIN = ListQA()
