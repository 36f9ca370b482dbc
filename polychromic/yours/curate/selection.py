"""A pair among the others: equal and nearly equal texts, caps, groups that may not be parted, strata by quantiles, the final selection.

Near-duplicates are exact, not approximate: the index finds every kept text above the threshold. Words are ranked from rare to
frequent. Two sets of m and n words with a Jaccard index of at least t share a = max(⌈tm⌉, ⌈tn⌉) words or more, so the l rarest
shared ones stand among the n − ⌈tn⌉ + l rarest words of each (prefix filter of Bayardo et al., WWW 2007; with l > 1 as in Wang, Li and
Feng, SIGMOD 2012). Here l = 2: in a small vocabulary a word is in every hundredth text, a pair in hardly any. (Above a
threshold of one half two texts that match share two words, but for texts of one word, which match only themselves.)
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain

from polychromic.data.text import joined, normalised
from polychromic.yours.curate.filters import count_words
from polychromic.yours.curate.raw import Pair, Text, fast_words

Key = Callable[[Pair], Hashable | None]
LENGTH_NAMES = {1: ("any",), 2: ("short", "long"), 3: ("short", "medium", "long")}
ENGAGEMENT_NAMES = {1: ("any",), 2: ("low", "high"), 3: ("low", "middle", "high")}
UNKNOWN = "unknown"


def exact_key(pair: Pair, of: str) -> str:
    """Equal for texts that differ only in case, accents, punctuation or blanks; emoji count where there is no word."""
    key = lambda text: " ".join(fast_words(text)) or Text(text).folded
    return key(pair.reply) if of == "reply" else f"{key(pair.post)}\n{key(pair.reply)}"


def compared_words(pair: Pair, of: str) -> frozenset[str]:
    text = {"post": pair.post, "reply": pair.reply, "pair": f"{pair.post} {pair.reply}"}[of]
    return frozenset(fast_words(text))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Shared words / words of either; 0 for two empty sets."""
    return len(a & b) / max(len(a | b), 1)


class NearDuplicates:
    """Texts kept so far, and which of them a further text is too close to.

    Args:
        texts: the words of all texts that will come; only speed depends on them.
        threshold: Jaccard index from which two sets of words are too close, above 0.5.
    """

    def __init__(self, texts: Iterable[frozenset[str]], threshold: float):
        assert 0.5 < threshold <= 1
        frequency = Counter(chain.from_iterable(texts))
        self._rank = {word: place for place, word in enumerate(sorted(frequency, key=lambda w: (frequency[w], w)))}
        self._threshold = Fraction(str(threshold))  # 0.55 * 20 is above 11 in floats; as a fraction of whole numbers it is 11
        self._kept: list[frozenset[str]] = []
        self._by_word: defaultdict[str, set[int]] = defaultdict(set)

    def closest(self, found: frozenset[str]) -> int | None:
        """Number of the first kept text that is too close to the words `found`; None when there is none or `found` is empty."""
        num, den, n = self._threshold.numerator, self._threshold.denominator, len(found)
        once, twice = set(), set()  # texts that share a word, or two, of the prefix
        for word in self._prefix(found):
            others = self._by_word[word]
            twice |= once & others
            once |= others
        for other in sorted(once if n == 1 else twice):
            m = len(self._kept[other])
            if num * max(m, n) > den * min(m, n):
                continue  # sizes too different to reach the threshold
            both = len(found & self._kept[other])
            if both * den >= num * (m + n - both):
                return other
        return None

    def keep(self, found: frozenset[str]) -> None:
        """Add a text; its number is the count of those added before."""
        for word in self._prefix(found):
            self._by_word[word].add(len(self._kept))
        self._kept.append(found)

    def _prefix(self, found: frozenset[str]) -> list[str]:
        """The rarest of n words, so many that they hold two of those that it shares with any match: n − ⌈tn⌉ + 2."""
        most = len(found) - math.ceil(self._threshold * len(found)) + 2
        return sorted(found, key=self._rank.__getitem__)[:most]


def post_key(pair: Pair) -> str:
    """Equal for posts that differ only in case, accents, punctuation or blanks."""
    return normalised(pair.post) or pair.post


def author_key(pair: Pair) -> str | None:
    return pair.author


def over_cap(pairs: Sequence[Pair], key: Key, most: int) -> Iterator[int]:
    """Places of the pairs beyond the first `most` with the same key; a key of None is not counted."""
    seen: Counter[Hashable] = Counter()
    for place, pair in enumerate(pairs):
        name = key(pair)
        seen[name] += 1
        if name is not None and seen[name] > most:
            yield place


def groups(pairs: Sequence[Pair], by: str) -> list[str]:
    """A name per pair, equal for pairs that may not be parted: of one post, of one author, or linked by either ("both").

    Names are made of the least digest in the group: they say nothing about posts or authors, and do not hang on the order.
    """
    digests, links = [pair.digest for pair in pairs], []
    for key in {"post": [post_key], "author": [author_key], "both": [post_key, author_key]}[by]:
        first: dict[Hashable, str] = {}
        names = [key(pair) for pair in pairs]
        links += [(first.setdefault(name, digest), digest) for name, digest in zip(names, digests, strict=True) if name is not None]
    least = joined(digests, links)
    return [f"{by}-{least[digest][:12]}" for digest in digests]


def quantile_names(values: Sequence[float | None], names: Sequence[str]) -> list[str]:
    """The quantile of each of `values`, by name; None is a class of its own, and does not move the quantiles.

    Cuts are values themselves (inverted distribution function), and a value equal to a cut goes below it. Equal values therefore never
    part, whatever their number: with many ties classes differ in size, and some are empty.
    """
    known, classes = sorted(value for value in values if value is not None), len(names)
    cuts = [known[-(-k * len(known) // classes) - 1] for k in range(1, classes)] if known else []
    return [UNKNOWN if value is None else names[bisect_left(cuts, value)] for value in values]


def strata(pairs: Sequence[Pair], length_classes: int, engagement_classes: int) -> list[str]:
    """Per pair "length_engagement", such as "short_high": quantiles, among `pairs`, of the reply's words and of the engagement."""
    lengths = quantile_names([count_words(pair.reply) for pair in pairs], LENGTH_NAMES[length_classes])
    engagements = quantile_names([pair.engagement for pair in pairs], ENGAGEMENT_NAMES[engagement_classes])
    return [f"{length}_{engagement}" for length, engagement in zip(lengths, engagements, strict=True)]


def allot(counts: Mapping[str, int], total: int) -> dict[str, int]:
    """Shares of `total` in proportion to `counts`, by largest remainder; ties go to the first name. All of them when they are fewer."""
    available = sum(counts.values())
    if available <= total:
        return dict(counts)
    shares = {name: count * total // available for name, count in sorted(counts.items())}
    rest = sorted(shares, key=lambda name: (-(counts[name] * total % available), name))
    for name in rest[: total - sum(shares.values())]:
        shares[name] += 1
    return shares


def select(names: Sequence[str], total: int) -> list[int]:
    """Places of the first pairs of each stratum, so many that each keeps its share of `total`."""
    left, chosen = allot(Counter(names), total), []
    for place, name in enumerate(names):
        if left[name]:
            left[name] -= 1
            chosen.append(place)
    return chosen
