"""WordNet 3.0 nouns, read from the database files of the Debian package wordnet-base; no network, no corpus download.

Only what curation needs: synsets, their lemmas, corpus counts, and the pointers hyponym, instance hyponym and part
meronym. The format is that of the manual pages wndb(5) and cntlist(5). It is not a general reader: NLTK's needs a
file (lexnames) that the package does not ship.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from polychromic.base.errors import PolychromicError
from polychromic.base.io import sha256_file

FOLDER = Path("/usr/share/wordnet")
SHA256 = {
    "data.noun": "fea17d2f9656611334eac790e5d69e47645fa180c4aa481fb4cd9b3520754ca2",
    "index.noun": "a490d99d93d017bf4822fe2f0ffa51fd73911ce271dc7535fade21f8814b5a04",
    "cntlist.rev": "a198580b8f705fa02797bba8b13e5cbe4a9f9f40cb1697e774c7fc6a5865b035",
}
POINTERS = {"~": "hyponyms", "~i": "instances", "%p": "parts", "@": "hypernyms", "@i": "classes"}


@dataclass(frozen=True)
class Synset:
    """One noun sense.

    Attributes:
        offset: byte offset in data.noun, WordNet's own identifier.
        lexfile: number of the lexicographer file (lexnames(5)), a coarse semantic class: 5 animal, 6 artifact, 18 person …
        lemmas: as written, spaces for underscores, in the database's order.
        counts: for each lemma, how often it was tagged with this sense in the semantic concordances (0: never).
        gloss: definition and examples.
        hyponyms, instances, parts, hypernyms, classes: offsets of noun synsets.
    """

    offset: int
    lexfile: int
    lemmas: tuple[str, ...]
    counts: tuple[int, ...]
    gloss: str
    hyponyms: tuple[int, ...] = ()
    instances: tuple[int, ...] = ()
    parts: tuple[int, ...] = ()
    hypernyms: tuple[int, ...] = ()
    classes: tuple[int, ...] = ()


def parse_synset(line: str, counts: dict[str, int]) -> Synset:
    """One line of data.noun: offset lex_filenum type w_cnt (word lex_id)… p_cnt (pointer)… | gloss."""
    body, _, gloss = line.partition("|")
    fields = body.split()
    n_words = int(fields[3], 16)
    words = [(fields[4 + 2 * i], int(fields[5 + 2 * i], 16)) for i in range(n_words)]
    start = 4 + 2 * n_words
    links: dict[str, list[int]] = {name: [] for name in POINTERS.values()}
    for i in range(int(fields[start])):
        symbol, offset, part_of_speech, _ = fields[start + 1 + 4 * i : start + 5 + 4 * i]
        if symbol in POINTERS and part_of_speech == "n":
            links[POINTERS[symbol]].append(int(offset))
    keys = [f"{word.lower()}%1:{int(fields[1]):02d}:{lex_id:02d}::" for word, lex_id in words]
    return Synset(
        offset=int(fields[0]),
        lexfile=int(fields[1]),
        lemmas=tuple(word.replace("_", " ") for word, _ in words),
        counts=tuple(counts.get(key, 0) for key in keys),
        gloss=gloss.strip(),
        **{name: tuple(offsets) for name, offsets in links.items()},
    )


def check_files(folder: Path, names: Iterable[str], sha256: Mapping[str, str]) -> None:
    """Raise unless the named database files lie in `folder`, with the digests that `sha256` has for them.

    Raises:
        PolychromicError: a file is missing, or is not the pinned version.
    """
    for name in names:
        path = folder / name
        if not path.is_file():
            raise PolychromicError(
                f"{path}: file not found. Curation reads WordNet 3.0 from the Debian package wordnet-base: `apt-get install wordnet-base`."
            )
        if name in sha256 and (got := sha256_file(path)) != sha256[name]:
            raise PolychromicError(
                f"{path}: sha256 is {got}, allowed is {sha256[name]} (wordnet-base 1:3.0-37). Install that version of wordnet-base."
            )


class WordNet:
    """The noun part of the database in `folder`.

    Args:
        folder: holds data.noun, index.noun and cntlist.rev.
        sha256: expected digest per file; a file that differs is refused. Empty for a database made by hand.

    Raises:
        PolychromicError: a file is missing, or is not the pinned version.
    """

    def __init__(self, folder: Path = FOLDER, sha256: dict[str, str] = SHA256):
        check_files(folder, SHA256, sha256)
        counts = {}
        for line in (folder / "cntlist.rev").read_text(encoding="utf-8").splitlines():
            key, _, count = line.split()
            counts[key] = int(count)
        # Licence lines open with a blank; a synset line opens with its offset.
        lines = (folder / "data.noun").read_text(encoding="utf-8").splitlines()
        self.synsets = {s.offset: s for s in (parse_synset(line, counts) for line in lines if line[:1].isdigit())}
        self._index = {}
        for line in (folder / "index.noun").read_text(encoding="utf-8").splitlines():
            if line[:1] != " " and line:
                fields = line.split()
                self._index[fields[0].replace("_", " ")] = tuple(map(int, fields[-int(fields[2]) :]))

    def senses(self, word: str) -> list[Synset]:
        """Synsets of a noun (lower case), most frequent first; empty when WordNet does not know it."""
        return [self.synsets[offset] for offset in self._index.get(word, ())]

    def words(self) -> list[str]:
        """All noun lemmas, lower case, sorted."""
        return sorted(self._index)

    def closure(self, synset: Synset, *pointers: str) -> list[Synset]:
        """Everything below `synset` along the named pointers ("hyponyms", "instances", "parts"), without itself, by offset."""
        found: dict[int, Synset] = {}
        stack = [synset]
        while stack:
            current = stack.pop()
            for pointer in pointers:
                for offset in getattr(current, pointer):
                    if offset not in found:
                        found[offset] = self.synsets[offset]
                        stack.append(found[offset])
        found.pop(synset.offset, None)
        return [found[offset] for offset in sorted(found)]
