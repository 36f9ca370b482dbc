"""Equal and nearly equal texts: each is compared with those kept before it, so that a swarm of copies costs no more than its length.

Near-duplicates are exact, not approximate: the index finds every kept text above the threshold. Words are ranked from rare to
frequent. Two sets of m and n words with a Jaccard index of at least t share a = max(⌈tm⌉, ⌈tn⌉) words or more, so the l rarest
shared ones stand among the n − ⌈tn⌉ + l rarest words of each (prefix filter of Bayardo et al., WWW 2007; with l > 1 as in Wang, Li and
Feng, SIGMOD 2012). With l = 2 the index is over pairs of words: in a small vocabulary a word is in every hundredth text, a pair in
hardly any. Long texts have too many pairs and rare words enough: they are indexed with l = 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import combinations

from polychromic.curation.raw import Pair, Text, fast_words

PAIR_PREFIX = 12  # texts whose prefix is at most so long (up to 66 pairs) are indexed by pairs; 50 words at a threshold of 0.8


def exact_key(pair: Pair, of: str) -> str:
    """Equal for texts that differ only in case, accents, punctuation or blanks; emoji count where there is no word."""

    def key(text: str) -> str:
        return " ".join(fast_words(text)) or Text(text).folded

    return key(pair.reply) if of == "reply" else f"{key(pair.post)}\n{key(pair.reply)}"


def compared_words(pair: Pair, of: str) -> frozenset[str]:
    text = {"post": pair.post, "reply": pair.reply, "pair": f"{pair.post} {pair.reply}"}[of]
    return frozenset(fast_words(text))


class NearDuplicates:
    """Texts kept so far, and which of them a further text is too close to.

    Args:
        frequency: word -> number of texts that hold it, over all texts that will come; only speed depends on it.
        threshold: Jaccard index from which two sets of words are too close, above 0.5 (then texts of two words or more that match share
            two, and a text of one word matches only itself).
    """

    def __init__(self, frequency: Counter[str], threshold: float):
        assert 0.5 < threshold <= 1
        self._rank = {word: place for place, word in enumerate(sorted(frequency, key=lambda w: (frequency[w], w)))}
        # 0.55 * 20 is above 11 in floats; as a fraction of whole numbers it is 11.
        exact = Fraction(str(threshold))
        self._num, self._den = exact.numerator, exact.denominator
        self._kept: list[tuple[int, ...]] = []
        self._index: dict[int, int | list[int]] = {}
        self._whole: dict[tuple[int, ...], int] = {}

    def closest(self, found: frozenset[str]) -> int | None:
        """Number of the first kept text that is too close to the words `found`; None when there is none or `found` is empty."""
        ranks = self._ranks(found)
        if not ranks:
            return None
        if (same := self._whole.get(ranks)) is not None:
            return same
        mine, n = set(ranks), len(ranks)
        seen: set[int] = set()
        best: int | None = None
        for key in self._keys(ranks):
            hit = self._index.get(key)
            for other in (hit,) if isinstance(hit, int) else hit or ():
                if other in seen or best is not None and other > best:
                    continue
                seen.add(other)
                m = len(self._kept[other])
                if self._num * max(m, n) > self._den * min(m, n):
                    continue  # sizes too different to reach the threshold
                shared = len(mine.intersection(self._kept[other]))
                if shared * self._den >= self._num * (m + n - shared):
                    best = other
        return best

    def keep(self, found: frozenset[str]) -> int:
        """Add a text; its number is the count of those added before."""
        number, ranks = len(self._kept), self._ranks(found)
        self._kept.append(ranks)
        self._whole.setdefault(ranks, number)
        for key in self._keys(ranks):
            hit = self._index.get(key)
            if hit is None:
                self._index[key] = number  # most keys have one text: no list for them
            elif isinstance(hit, int):
                self._index[key] = [hit, number]
            else:
                hit.append(number)
        return number

    def _ranks(self, found: Iterable[str]) -> tuple[int, ...]:
        return tuple(sorted(self._rank[word] for word in found))

    def _needed(self, n: int) -> int:
        """⌈t n⌉: words that a set of n shares at least with any that matches it."""
        return -(-self._num * n // self._den)

    def _keys(self, ranks: Sequence[int]) -> Iterator[int]:
        """Keys of the index: pairs of rare words while both texts are short, single rare words as soon as one may be long.

        A short text is also kept under single words where a long one could match it; then long texts need not look among the pairs.
        """
        n = len(ranks)
        prefix = n - self._needed(n) + 2
        if prefix <= PAIR_PREFIX and n > 1:
            for a, b in combinations(ranks[:prefix], 2):
                yield (a + 1) << 32 | b
            longest = n * self._den // self._num
            if longest - self._needed(longest) + 2 <= PAIR_PREFIX:
                return
        elif n == 1:
            return  # matches itself alone, which the whole set finds
        yield from ranks[: prefix - 1]


def word_frequency(sets: Iterable[frozenset[str]]) -> Counter[str]:
    return Counter(word for found in sets for word in found)


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Shared words / words of either; 0 for two empty sets."""
    return len(a & b) / max(len(a | b), 1)
