"""WordNet 3.0, read from the database files of the Debian package wordnet-base: senses and what they are linked with, and inflection.

Only what curation needs, in the format of the manual pages wndb(5), cntlist(5), senseidx(5WN) and morphy(7WN); NLTK's reader needs a
file (lexnames) that the package does not ship.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from polychromic.base.errors import PolychromicError
from polychromic.base.io import sha256_file

SOURCE, LICENCE = "WordNet 3.0 (wordnet-base 1:3.0-37)", "WordNet-3.0"
FOLDER = Path("/usr/share/wordnet")
SHA256 = {
    "data.noun": "fea17d2f9656611334eac790e5d69e47645fa180c4aa481fb4cd9b3520754ca2",
    "data.verb": "adcf43e35b581e8036d8b5a52d63d9cd3d3b4870b2720d3c03c799df44777bc2",
    "data.adj": "c89120dfc1f046ddff4a631bf9b7e9fa1a36b5e86565a23bf82dbe14f30b88a7",
    "data.adv": "444a63bf3955080ab7524f5079cfc07ff9bc682cb98bdb1db73b0fb9829f1139",
    "index.noun": "a490d99d93d017bf4822fe2f0ffa51fd73911ce271dc7535fade21f8814b5a04",
    "index.verb": "e2ac24816c3a8289dcb72aaa9cf8db81fdf25ec34d792bfc96ac5b7a20c8b4ae",
    "index.adj": "c9865d7b4d1f805bdef82ccdcea5282436e23083e6f6f1b33e716327c4eda810",
    "cntlist.rev": "a198580b8f705fa02797bba8b13e5cbe4a9f9f40cb1697e774c7fc6a5865b035",
    "noun.exc": "2b5d675c380b39ecf595af9fa9d4e7feb1d58c643b0bff08c40ed5bfe41fab7a",
    "verb.exc": "dbbcf9a601b2d77e934e413b91d90e88ec7f933a8b77cfc00602a923b891b42c",
    "adj.exc": "8824cc24bbedd797b9702316b27f07cd4c2b76b629539f0a1276f03926758016",
}
PARTS = {"1": "noun", "2": "verb", "3": "adj", "4": "adv", "5": "adj"}  # ss_type of a sense key
LETTERS = {"noun": "n", "verb": "v", "adj": "as", "adv": "r"}  # of a part of speech in a pointer
LINKS = ("~", "~i", "@i", "%p", "&")  # pointers to hyponyms, instances, classes, parts, similar adjectives
INFLECTED = ("noun", "verb", "adj")
VOWELS = "aeiou"


def read(name: str) -> list[str]:
    """The lines of a database file but for its licence's, which open with a blank. PolychromicError: missing, or not as pinned."""
    path, remedy = FOLDER / name, f"Curation reads {SOURCE}, a Debian package: `apt-get install wordnet-base`."
    if not path.is_file():
        raise PolychromicError(f"{path}: file not found. {remedy}")
    if (got := sha256_file(path)) != SHA256.get(name, got):
        raise PolychromicError(f"{path}: sha256 is {got}, allowed is {SHA256[name]}. {remedy}")
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] != " "]


class Synset(NamedTuple):
    """One sense: a line of data.*."""

    offset: int  # byte offset in the file, WordNet's own identifier
    lexfile: int  # number of the lexicographer file (lexnames(5)), a coarse semantic class: 5 animal, 6 artifact, 18 person …
    lemmas: tuple[str, ...]  # as written, spaces for underscores, in the database's order
    counts: tuple[int, ...]  # for each lemma of a noun or verb, how often it was tagged with this sense (0: never)
    hyponyms: tuple[int, ...]  # offsets of synsets of the same part of speech, as the next four
    instances: tuple[int, ...]
    classes: tuple[int, ...]
    parts: tuple[int, ...]
    similar: tuple[int, ...]  # of an adjective
    gloss: str  # definition and examples


def counts() -> dict[str, int]:
    """Sense key → how often it was tagged in the semantic concordances; raises as `read` does."""
    return {key: int(count) for key, _, count in map(str.split, read("cntlist.rev"))}


def synsets(part: str) -> Iterator[Synset]:
    """Of lines: offset lex_filenum type w_cnt (word lex_id)… p_cnt (symbol offset pos source)… | gloss; raises as `read` does."""
    tagged, digit = (counts(), ("noun", "verb").index(part) + 1) if part in ("noun", "verb") else ({}, 0)
    for body, _, gloss in (line.partition("|") for line in read(f"data.{part}")):
        fields = body.split()
        lexfile, start = int(fields[1]), 4 + 2 * int(fields[3], 16)
        words, numbers = fields[4:start:2], fields[5:start:2]
        keys = [f"{word.lower()}%{digit}:{lexfile:02d}:{int(number, 16):02d}::" for word, number in zip(words, numbers, strict=True)]
        links = [fields[i : i + 3] for i in range(start + 1, start + 1 + 4 * int(fields[start]), 4)]
        linked = [tuple(int(offset) for symbol, offset, of in links if symbol == wanted and of in LETTERS[part]) for wanted in LINKS]
        lemmas = tuple(re.sub(r"\((?:p|a|ip)\)$", "", word.replace("_", " ")) for word in words)
        yield Synset(int(fields[0]), lexfile, lemmas, tuple(tagged.get(key, 0) for key in keys), *linked, gloss)


class WordNet:
    """The words of a part of speech, nouns if nothing else is said; raises as `read` does."""

    def __init__(self, part: str = "noun"):
        self.synsets = {synset.offset: synset for synset in synsets(part)}
        rows = map(str.split, read(f"index.{part}"))
        self._index = {row[0].replace("_", " "): tuple(map(int, row[-int(row[2]) :])) for row in rows}

    def senses(self, word: str) -> list[Synset]:
        """Synsets of a word (lower case), most frequent first; empty when WordNet does not know it."""
        return [self.synsets[offset] for offset in self._index.get(word, ())]

    def below(self, above: Synset) -> list[Synset]:
        """All direct and indirect hyponyms, without the synset itself, by offset."""
        found, pending = set(), {above.offset}
        while pending:
            found |= pending
            pending = {lower for offset in pending for lower in self.synsets[offset].hyponyms} - found
        return [self.synsets[offset] for offset in sorted(found - {above.offset})]


def with_ending(lemma: str, ending: str) -> set[str]:
    """Regular forms by the rules of spelling. ending: "s" (of nouns and verbs; both heros and heroes), "ing", "ed", "er" or "est"."""
    if ending == "ing":
        if lemma.endswith("ie"):
            return {lemma[:-2] + "ying"}
        return {(lemma[:-1] if lemma.endswith("e") and not lemma.endswith(("ee", "oe", "ye")) else lemma) + "ing"}
    if lemma.endswith("y") and lemma[-2:-1] not in VOWELS:
        return {lemma[:-1] + "i" + ("es" if ending == "s" else ending)}
    if ending == "s":
        if lemma.endswith(("s", "x", "z", "ch", "sh")):
            return {lemma + "es"}
        return {lemma + "s", lemma + "es"} if lemma.endswith("o") else {lemma + "s"}
    return {lemma + ending[lemma.endswith("e") :]}


class Lexicon:
    """Single-word lemmas of WordNet that were tagged at least once, and their forms; raises as `read` does.

    Irregular forms come from the exception lists (noun.exc and so on), counts from the tagged corpus.
    """

    def __init__(self):
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        for key, count in counts().items():
            lemma, _, sense = key.partition("%")
            if lemma.isalpha() and lemma.isascii():
                self._counts[lemma][PARTS[sense[0]]] += count
        self._irregular: dict[tuple[str, str], set[str]] = defaultdict(set)
        for part in INFLECTED:
            for form, *lemmas in map(str.split, read(f"{part}.exc")):
                for lemma in lemmas:
                    self._irregular[lemma, part].add(form)

    def count(self, lemma: str, part: str | None = None) -> int:
        """How often the lemma was tagged, as `part` ("noun", "verb", "adj", "adv") or as anything."""
        found = self._counts.get(lemma, Counter())
        return found.total() if part is None else found[part]

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
        if part == "noun" and all(form.endswith("s") for form in irregular):  # child: children alone
            forms |= with_ending(lemma, "s")
        elif part == "verb":
            forms |= with_ending(lemma, "s")
            if not (len(re.findall(f"[{VOWELS}]+", lemma)) == 1 and lemma + lemma[-1] + "ing" in irregular):  # hop: hopping alone
                (past,) = with_ending(lemma, "ed")
                other = any(self.count(*word) for word in ((past, "noun"), (past, "verb"), (lemma + "e", "verb")))
                forms |= with_ending(lemma, "ing") | (set() if irregular and other else {past})
        elif part == "adj":
            forms |= {form for form in with_ending(lemma, "er") | with_ending(lemma, "est") if not self.count(form, "noun")}
        return frozenset(form for form in forms if form.isalpha())

    def forms(self, lemma: str) -> frozenset[str]:
        """The lemma and all its forms in the parts of speech in which it was tagged: "play" has those of a noun and of a verb."""
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
