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
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain

from polychromic.base.progress import progress
from polychromic.data.text import joined, normalised
from polychromic.yours.curate.raw import Pair, Text, fast_words
from polychromic.yours.curate.rules import count_words

Key = Callable[[Pair], Hashable | None]
CLASSES = {"length": (["any"], ["short", "long"], ["short", "medium", "long"])}
CLASSES["engagement"] = (["any"], ["low", "high"], ["low", "middle", "high"])
KEYS: dict[str, Key] = {"author": lambda pair: pair.author, "post": lambda pair: normalised(pair.post) or pair.post}
EVERY = 1000  # pairs between two updates of the progress bar


def exact_key(pair: Pair, of: str) -> str:
    """Equal for texts that differ only in case, accents, punctuation or blanks; emoji count where there is no word."""
    key = lambda text: " ".join(fast_words(text)) or Text(text).folded
    return key(pair.reply) if of == "reply" else f"{key(pair.post)}\n{key(pair.reply)}"


def exact_duplicates(pairs: Sequence[Pair], of: str) -> dict[int, str]:
    """place -> which earlier pair has equal texts."""
    first: dict[str, int] = {}
    originals = [first.setdefault(exact_key(pair, of), place) for place, pair in enumerate(pairs)]
    return {place: f"equal to {pairs[original].where}" for place, original in enumerate(originals) if original != place}


def near_duplicates(pairs: Sequence[Pair], of: str, threshold: float) -> dict[int, str]:
    """place -> which pair that is kept before it is how close; closeness is the Jaccard index of the sets of words."""
    texts = [fast_words({"post": pair.post, "reply": pair.reply, "pair": f"{pair.post} {pair.reply}"}[of]) for pair in pairs]
    sets, near = [frozenset(text) for text in texts], {}
    with progress("near-duplicates", len(pairs)) as tick:
        for place, original in enumerate(closest(sets, threshold), start=1):
            if original is not None:
                a, b = sets[place - 1], sets[original]
                near[place - 1] = f"{len(a & b) / len(a | b):.2f} like {pairs[original].where}"
            if place % EVERY == 0 or place == len(pairs):
                tick(place)
    return near


def closest(sets: Sequence[frozenset[str]], threshold: float) -> Iterator[int | None]:
    """Of each set of words the place of the first one kept before it with a Jaccard index of the threshold or more, above 0.5; None where
    there is none, and the set is kept. An empty set is close to nothing."""
    frequency = Counter(chain.from_iterable(sets))
    rank = {word: place for place, word in enumerate(sorted(frequency, key=lambda w: (frequency[w], w)))}
    t = Fraction(str(threshold))  # 0.55 * 20 is above 11 in floats; as a fraction of whole numbers it is 11
    by_word: defaultdict[str, set[int]] = defaultdict(set)
    for place, words in enumerate(sets):
        n = len(words)
        prefix = sorted(words, key=rank.__getitem__)[: n - math.ceil(t * n) + 2]  # so many that they hold two of those shared with a match
        once, twice = set(), set()  # kept sets that share a word, or two, of the prefix
        for word in prefix:
            twice |= once & by_word[word]
            once |= by_word[word]
        found = next((other for other in sorted(once if n == 1 else twice) if _alike(words, sets[other], t)), None)
        if found is None:
            for word in prefix:
                by_word[word].add(place)
        yield found


def _alike(a: frozenset[str], b: frozenset[str], t: Fraction) -> bool:
    """In whole numbers, and without a look at the words where the sizes are too different."""
    if t.numerator * max(len(a), len(b)) > t.denominator * min(len(a), len(b)):
        return False
    both = len(a & b)
    return both * t.denominator >= t.numerator * (len(a) + len(b) - both)


def over_cap(pairs: Sequence[Pair], what: str, most: int) -> dict[int, str]:
    """place -> why, of the pairs beyond the first `most` of one author or post ("what"); unknown authors are not one author."""
    seen: Counter[Hashable] = Counter()
    over = {}
    for place, name in enumerate(map(KEYS[what], pairs)):
        seen[name] += 1
        if name is not None and seen[name] > most:
            over[place] = f"this {what} has {most} already"
    return over


def groups(pairs: Sequence[Pair], by: str) -> list[str]:
    """A name per pair, equal for pairs that may not be parted: of one post, of one author, or linked by either ("both").

    Names are made of the least digest in the group: they say nothing about posts or authors, and do not hang on the order.
    """
    digests, links = [pair.digest for pair in pairs], []
    for what in ("post", "author") if by == "both" else (by,):
        first: dict[Hashable, str] = {}
        named = [(name, digest) for name, digest in zip(map(KEYS[what], pairs), digests, strict=True) if name is not None]
        links += [(first.setdefault(name, digest), digest) for name, digest in named]
    least = joined(digests, links)
    return [f"{by}-{least[digest][:12]}" for digest in digests]


def quantile_names(values: Sequence[float | None], names: Sequence[str]) -> list[str]:
    """The quantile of each of `values`, by name; None is a class of its own, "unknown", and does not move the quantiles.

    Cuts are values themselves (inverted distribution function), and a value equal to a cut goes below it. Equal values therefore never
    part, whatever their number: with many ties classes differ in size, and some are empty.
    """
    known, classes = sorted(value for value in values if value is not None), len(names)
    cuts = [known[-(-k * len(known) // classes) - 1] for k in range(1, classes)] if known else []
    return ["unknown" if value is None else names[bisect_left(cuts, value)] for value in values]


def strata(pairs: Sequence[Pair], length_classes: int, engagement_classes: int) -> list[str]:
    """Per pair "length_engagement", such as "short_high": quantiles, among `pairs`, of the reply's words and of the engagement."""
    lengths = quantile_names([count_words(pair.reply) for pair in pairs], CLASSES["length"][length_classes - 1])
    engagements = quantile_names([pair.engagement for pair in pairs], CLASSES["engagement"][engagement_classes - 1])
    return [f"{length}_{engagement}" for length, engagement in zip(lengths, engagements, strict=True)]


def allot(counts: Mapping[str, int], total: int) -> dict[str, int]:
    """Shares of `total` in proportion to `counts`, by largest remainder; ties go to the first name. All of them when they are fewer."""
    available = sum(counts.values())
    if available <= total:
        return dict(counts)
    shares = {name: count * total // available for name, count in sorted(counts.items())}
    rest = sorted(shares, key=lambda name: (-(counts[name] * total % available), name))
    return {name: share + (name in rest[: total - sum(shares.values())]) for name, share in shares.items()}


def beyond_share(names: Sequence[str], total: int) -> dict[int, str]:
    """place -> why, of the pairs beyond the first of each stratum, so many that each keeps its share of `total`."""
    left, full = allot(Counter(names), total), {}
    for place, name in enumerate(names):
        left[name] -= 1
        if left[name] < 0:
            full[place] = f"stratum {name} is full"
    return full
