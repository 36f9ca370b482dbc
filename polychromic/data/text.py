"""What curation, split and domains share: word lists, words, near-duplicates, groups, an order by hash. No models, no downloads."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import TypeVar

import numpy as np

Key = TypeVar("Key", str, tuple[str, ...])
# Words that say how others hang together.
FUNCTION_WORDS = frozenset("""
a about above across after again against ago all along already also although always am among an and another any anyone anything are around
as at away back be because been before behind being below beside between both but by can cannot can't could couldn't did didn't do does
doesn't doing don't done down during each either else enough even ever every everyone everything except few for from get gets got had
hadn't has hasn't have haven't having he he'd he'll he's her here hers herself him himself his how however i i'd i'll i'm i've if in into
is isn't it it's its itself just least less let like many may me might mine more most much must my myself near neither never no nobody
none nor not nothing now of off often on once one only onto or other others our ours out over own perhaps quite rather she she'd she'll
she's should shouldn't since so some someone something sometimes soon still such than that that's the their theirs them themselves then
there there's these they they'd they'll they're they've this those though through till to together too toward towards two under until up
upon us very was wasn't we we'd we'll we're we've were weren't what when where whether which while who whom whose why will with within
without won't would wouldn't yes yet you you'd you'll you're you've your yours yourself
""".split())  # fmt: skip


def shipped(name: str) -> str:
    """The text of a file of this package."""
    return resources.files("polychromic.data").joinpath(name).read_text(encoding="utf-8")


@cache
def word_list(name: str) -> frozenset[str]:
    """The words of a list in this package, one a line; lines that start with # are comments."""
    return frozenset(line.strip() for line in shipped(name).splitlines() if line.strip() and not line.startswith("#"))


def unaccented(text: str) -> str:
    """Without accents, width and ligatures."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def latin_unaccented(text: str) -> str:
    """Without the accents of Latin letters, width and ligatures; a mark on any other letter makes another letter (か, が; и, й)."""
    kept, base = [], ""
    for char in unicodedata.normalize("NFKD", text):
        if not unicodedata.category(char).startswith("M"):
            base = char
        elif base and unicodedata.name(base, "").startswith("LATIN "):
            continue
        kept.append(char)
    return unicodedata.normalize("NFC", "".join(kept))


def words(text: str) -> list[str]:
    """Lower-case words and numbers, without accents and punctuation; "don't" is one word."""
    return re.findall(r"\w+(?:'\w+)*", unaccented(text.lower()).replace("\u2019", "'"))


def suitable(text: str, lists: Sequence[str] = ("unsuitable_words.txt",)) -> bool:
    """No whole word of `text` is on one of the lists ("Scunthorpe" and "class" are fine)."""
    found = set(re.findall(r"[a-z]+", text.lower()))
    return not any(found & word_list(name) for name in lists)


def normalised(text: str) -> str:
    """Equal for texts that differ only in case, accents, punctuation or blanks."""
    return " ".join(words(text))


def hashed(*parts: str) -> str:
    """Hexadecimal digits; as a key of `sorted` an order that has nothing to do with content, and is the same everywhere."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def tercile(lengths: Sequence[int]) -> list[str]:
    """The third of all that each belongs to: "short", "medium" or "long"."""
    return [("short", "medium", "long")[place] for place in np.searchsorted(np.quantile(lengths, [1 / 3, 2 / 3]), lengths)]


def joined(names: Iterable[Key], pairs: Iterable[tuple[Key, Key]]) -> dict[Key, Key]:
    """Name → the least of the names that pairs join it with, directly or through others."""
    from scipy.cluster.hierarchy import DisjointSet

    sets = DisjointSet(names)
    for pair in pairs:
        sets.merge(*pair)
    return {name: least for members in sets.subsets() for least in [min(members)] for name in members}


def near_duplicates(texts: Sequence[str], threshold: float = 0.8, common: float = 0.02) -> list[tuple[int, int]]:
    """Pairs i < j whose sets of content words have a Jaccard index of at least `threshold`, sorted.

    Content words are those that at most `common` of the texts hold (but never fewer than 5 texts), so that a template ("Name a country
    that borders …") does not make all its instances alike; a text of common words alone keeps them all.
    """
    from scipy.sparse import csr_array, triu

    sets = [frozenset(words(text)) for text in texts]
    frequency = Counter(word for s in sets for word in s)
    limit = max(5, common * len(texts))
    sets = [frozenset(w for w in s if frequency[w] <= limit) or s for s in sets]
    column = {word: place for place, word in enumerate(frequency)}
    places = np.array([(i, column[w]) for i, s in enumerate(sets) for w in s], dtype=int).reshape(-1, 2)
    held = csr_array((np.ones(len(places), dtype=int), places.T), shape=(len(sets) + 1, len(column) + 1))
    shared, size = triu(held @ held.T, k=1).tocoo(), np.array([*map(len, sets), 0])
    alike = shared.data >= threshold * (size[shared.row] + size[shared.col] - shared.data)
    return sorted(zip(shared.row[alike].tolist(), shared.col[alike].tolist(), strict=True))
