"""Equal and nearly equal texts: each is compared with those kept before it, so that a swarm of copies costs no more than its length.

Near-duplicates are exact, not approximate: the index finds every kept text above the threshold. Words are ranked from rare to
frequent. Two sets of m and n words with a Jaccard index of at least t share a = max(⌈tm⌉, ⌈tn⌉) words or more, so the l rarest
shared ones stand among the n − ⌈tn⌉ + l rarest words of each (prefix filter of Bayardo et al., WWW 2007; with l > 1 as in Wang, Li and
Feng, SIGMOD 2012). Short texts are indexed by pairs of these words (l = 2): in a small vocabulary a word is in every hundredth text, a
pair in hardly any. Long texts have too many pairs: they are indexed by single words, and those that share l = 4 of them are compared.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain, combinations

from polychromic.yours.curate.raw import Pair, Text, fast_words

PAIR_PREFIX = 12  # texts whose prefix is at most so long (up to 66 pairs) are indexed by pairs: 54 words at a threshold of 0.8
SHARED = 4  # words that two texts have to share of their prefixes, where one of them is long


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
        self._whole: dict[tuple[int, ...], int] = {}
        self._by_pair: dict[int, int | list[int]] = {}
        self._by_word: defaultdict[int, list[int]] = defaultdict(list)

    def closest(self, found: frozenset[str]) -> int | None:
        """Number of the first kept text that is too close to the words `found`; None when there is none or `found` is empty."""
        ranks = self._ranks(found)
        if (same := self._whole.get(ranks)) is not None:
            return same
        candidates: set[int] = set()
        for key in self._pairs(ranks):
            hit = self._by_pair.get(key)
            if hit is not None:
                candidates.update((hit,) if isinstance(hit, int) else hit)
        shared = Counter(chain.from_iterable(self._by_word.get(word, ()) for word in self._words(ranks)))
        candidates.update(other for other, count in shared.items() if count >= SHARED)
        mine, n = set(ranks), len(ranks)
        for other in sorted(candidates):
            m = len(self._kept[other])
            if self._num * max(m, n) > self._den * min(m, n):
                continue  # sizes too different to reach the threshold
            both = len(mine.intersection(self._kept[other]))
            if both * self._den >= self._num * (m + n - both):
                return other
        return None

    def keep(self, found: frozenset[str]) -> int:
        """Add a text; its number is the count of those added before."""
        number, ranks = len(self._kept), self._ranks(found)
        self._kept.append(ranks)
        if ranks:
            self._whole.setdefault(ranks, number)
        for key in self._pairs(ranks):
            hit = self._by_pair.get(key)
            if hit is None:
                self._by_pair[key] = number  # most pairs have one text: no list for them
            elif isinstance(hit, int):
                self._by_pair[key] = [hit, number]
            else:
                hit.append(number)
        for word in self._words(ranks):
            self._by_word[word].append(number)
        return number

    def _ranks(self, found: Iterable[str]) -> tuple[int, ...]:
        return tuple(sorted(self._rank[word] for word in found))

    def _prefix(self, n: int, shared: int) -> int:
        """How many of the rarest words of n hold `shared` of those that it shares with any match: n − ⌈tn⌉ + shared."""
        return n + self._num * -n // self._den + shared

    def _pairs(self, ranks: tuple[int, ...]) -> Iterator[int]:
        """Keys of a short text; a text of one word matches itself alone, which needs no key."""
        prefix = self._prefix(len(ranks), 2)
        if prefix <= PAIR_PREFIX and len(ranks) > 1:
            for a, b in combinations(ranks[:prefix], 2):
                yield a << 32 | b

    def _words(self, ranks: tuple[int, ...]) -> tuple[int, ...]:
        """Keys of a text that is long, or that a long one could match."""
        n = len(ranks)
        longest = n * self._den // self._num
        return ranks[: self._prefix(n, SHARED)] if self._prefix(longest, 2) > PAIR_PREFIX else ()


def word_frequency(sets: Iterable[frozenset[str]]) -> Counter[str]:
    return Counter(word for found in sets for word in found)


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Shared words / words of either; 0 for two empty sets."""
    return len(a & b) / max(len(a | b), 1)
