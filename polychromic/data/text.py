"""Small text tools that curation and split share: word lists, words, near-duplicates. No models, no downloads."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache
from importlib import resources


@cache
def word_list(name: str) -> frozenset[str]:
    """The words of a list in this package, one a line; lines that start with # are comments."""
    text = resources.files("polychromic.data").joinpath(name).read_text(encoding="utf-8")
    return frozenset(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def words(text: str) -> list[str]:
    """Lower-case words and numbers, without accents and punctuation; "don't" is one word."""
    folded = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c)).replace("\u2019", "'")
    return re.findall(r"\w+(?:'\w+)*", folded)


def suitable(text: str, lists: Sequence[str] = ("unsuitable_words.txt",)) -> bool:
    """No whole word of `text` is on one of the lists ("Scunthorpe" and "class" are fine)."""
    found = set(re.findall(r"[a-z]+", text.lower()))
    return not any(found & word_list(name) for name in lists)


def normalised(text: str) -> str:
    """Equal for texts that differ only in case, accents, punctuation or blanks."""
    return " ".join(words(text))


def near_duplicates(texts: Sequence[str], threshold: float = 0.8, common: float = 0.02) -> list[tuple[int, int]]:
    """Pairs i < j whose sets of content words have a Jaccard index of at least `threshold`, sorted.

    Content words are those that at most `common` of the texts hold (but never fewer than 5 texts), so that a template
    ("Name a country that borders …") does not make all its instances alike; a text that has only common words keeps
    them all. Exact up to that definition, and cheap: candidates share one of their rarest words (prefix filter of
    Bayardo et al., WWW 2007), since a pair above the threshold cannot differ in all of them.
    """
    sets = [frozenset(words(text)) for text in texts]
    frequency = Counter(word for s in sets for word in s)
    limit = max(5, common * len(texts))
    sets = [frozenset(w for w in s if frequency[w] <= limit) or s for s in sets]
    index: dict[str, list[int]] = defaultdict(list)
    pairs = []
    for j, tokens in enumerate(sets):
        ordered = sorted(tokens, key=lambda w: (frequency[w], w))
        # |A ∩ B| ≥ t·|A| is needed, so one of the |A| − ⌈t·|A|⌉ + 1 rarest words of A is shared.
        prefix = ordered[: len(ordered) - math.ceil(threshold * len(ordered)) + 1]
        candidates = {i for word in prefix for i in index[word]}
        for i in sorted(candidates):
            union = len(sets[i] | tokens)
            if union and len(sets[i] & tokens) >= threshold * union:
                pairs.append((i, j))
        for word in prefix:
            index[word].append(j)
    return sorted(pairs)
