"""English inflection from WordNet 3.0: how often a lemma is used, which lemma a word may be a form of, which forms a lemma has.

Irregular forms come from the package's exception lists (noun.exc and so on, morphy(7WN)), regular ones from rules of spelling, counts from
its tagged corpus. Any part of speech counts in which a lemma was tagged: "play" is a noun and a verb, and has the forms of both.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from functools import cached_property

from polychromic.data import wordnet

PARTS = {"1": "noun", "2": "verb", "3": "adj", "4": "adv", "5": "adj"}  # ss_type of a sense key, senseidx(5WN)
INFLECTED = ("noun", "verb", "adj")
VOWELS = "aeiou"


def with_s(lemma: str) -> set[str]:
    """Plural of a noun, third person of a verb: cats, boxes, cherries, both heros and heroes."""
    if lemma.endswith("y") and lemma[-2:-1] not in VOWELS:
        return {lemma[:-1] + "ies"}
    if lemma.endswith(("s", "x", "z", "ch", "sh")):
        return {lemma + "es"}
    return {lemma + "s", lemma + "es"} if lemma.endswith("o") else {lemma + "s"}


def with_ending(lemma: str, ending: str) -> str:
    """An ending that opens with e (ed, er, est): baked, tried, walked."""
    if lemma.endswith("e"):
        return lemma + ending[1:]
    if lemma.endswith("y") and lemma[-2:-1] not in VOWELS:
        return lemma[:-1] + "i" + ending
    return lemma + ending


def with_ing(lemma: str) -> str:
    if lemma.endswith("ie"):
        return lemma[:-2] + "ying"
    return (lemma[:-1] if lemma.endswith("e") and not lemma.endswith(("ee", "oe", "ye")) else lemma) + "ing"


class Lexicon:
    """Single-word lemmas of WordNet that were tagged at least once, and their forms; raises as wordnet.read does."""

    def __init__(self):
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        for key, count in wordnet.counts():
            lemma, _, sense = key.partition("%")
            if lemma.isalpha() and lemma.isascii():
                self._counts[lemma][PARTS[sense[0]]] += count
        self._irregular: dict[tuple[str, str], set[str]] = defaultdict(set)
        for part in INFLECTED:
            for line in wordnet.read(f"{part}.exc"):
                form, *lemmas = line.split()
                for lemma in lemmas:
                    self._irregular[lemma, part].add(form)

    def count(self, lemma: str, part: str | None = None) -> int:
        """How often the lemma was tagged, as `part` ("noun", "verb", "adj", "adv") or as anything."""
        counts = self._counts.get(lemma, Counter())
        return counts.total() if part is None else counts[part]

    def part(self, lemma: str) -> str:
        """The part of speech that the lemma was tagged with most; "" for a word that was never tagged."""
        return max(sorted(self._counts[lemma]), key=lambda part: self._counts[lemma][part]) if lemma in self._counts else ""

    def forms_as(self, lemma: str, part: str) -> frozenset[str]:
        """The lemma and its forms as a noun, a verb or an adjective.

        A regular form is left out where it is no word, or another one: "hoped" is no form of "hop" (hopped), "seed" none of "see",
        "number" none of "numb". Beside irregular forms of its own kind it stays: dreamt and dreamed, travelled and traveled.
        """
        irregular = self._irregular.get((lemma, part), set())
        forms = {lemma} | irregular
        if part == "noun":
            forms |= with_s(lemma) if all(form.endswith("s") for form in irregular) else set()  # child: children alone
        elif part == "verb":
            doubles = len(re.findall(f"[{VOWELS}]+", lemma)) == 1 and lemma + lemma[-1] + "ing" in irregular  # hop: hopping alone
            past = with_ending(lemma, "ed")
            other = bool(irregular) and any(self.count(*word) for word in ((past, "noun"), (past, "verb"), (lemma + "e", "verb")))
            forms |= with_s(lemma) | (set() if doubles else {with_ing(lemma)}) | (set() if doubles or other else {past})
        elif part == "adj":
            forms |= {form for ending in ("er", "est") if not self.count(form := with_ending(lemma, ending), "noun")}
        return frozenset(form for form in forms if form.isalpha())

    def forms(self, lemma: str) -> frozenset[str]:
        """The lemma and all its forms in the parts of speech in which it was tagged."""
        return frozenset({lemma}).union(*(self.forms_as(lemma, part) for part in INFLECTED if self.count(lemma, part)))

    @cached_property
    def _lemmas(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for lemma in sorted(self._counts, key=lambda lemma: (-self.count(lemma), lemma)):
            for form in self.forms(lemma):
                found[form].append(lemma)
        return found

    def lemmas(self, word: str) -> list[str]:
        """Lemmas that the word (lower case) may be a form of, the most used first."""
        return self._lemmas.get(word, [])
