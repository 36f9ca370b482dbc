"""Pairs of a log, and a pair among the others: equal and nearly equal texts, caps, groups, strata by quantiles, the final selection.

Near-duplicates are exact, not approximate: the index finds every kept text above the threshold. Words are ranked from rare to
frequent. Two sets of m and n words with a Jaccard index of at least t share a = max(⌈tm⌉, ⌈tn⌉) words or more, so the l rarest
shared ones stand among the n − ⌈tn⌉ + l rarest words of each (prefix filter of Bayardo et al., WWW 2007; with l > 1 as in Wang, Li and
Feng, SIGMOD 2012). Here l = 2: in a small vocabulary a word is in every hundredth text, a pair in hardly any. (Above a
threshold of one half two texts that match share two words, but for texts of one word, which match only themselves.)
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

from polychromic.base.io import read_jsonl
from polychromic.base.progress import progress
from polychromic.data.text import normalised
from polychromic.yours.collect.schema import read_item
from polychromic.yours.curate.rules import Text, count_words

CLASSES = {"length": (["any"], ["short", "long"], ["short", "medium", "long"])}
CLASSES["engagement"] = (["any"], ["low", "high"], ["low", "middle", "high"])


@dataclass(frozen=True, slots=True)
class Pair:
    """A post and one reply to it, blanks collapsed and else as typed.

    Attributes:
        where: "file:line" of the log; of this machine no folder is named.
        author: who wrote the reply, by whatever name the log has; it never reaches a record.
        engagement: in the log's own unit (likes, rating …).
        source: where the pair is from; the file's name when the log does not say.
        problem: why the line is no such pair; "" where it is one.
    """

    where: str
    post: Text
    reply: Text
    author: str | None
    engagement: float | None
    source: str
    problem: str = ""

    @property
    def digest(self) -> str:
        """An order that has nothing to do with content or place, and is the same everywhere; its head is the record's id."""
        return hashlib.sha256(f"{self.post}\x1f{self.reply}".encode()).hexdigest()


def read_pairs(path: Path) -> Iterator[Pair]:
    """Pairs in the order of the file; columns are those of collect.schema.RawRecord, and others are left alone.

    Raises PolychromicError: no such file; DataError: a line that is no JSON object.
    """
    return (read_pair(Path(where).name, row) for where, row in read_jsonl(path))


def read_pair(where: str, row: dict[str, Any]) -> Pair:
    source = " ".join(str(row.get("source") or "").split()) or where.rpartition(":")[0]
    found = read_item(row, {}, source, None)
    if isinstance(found, str):
        return Pair(where, Text(row.get("post") or ""), Text(row.get("reply") or ""), None, None, source, found)
    post, reply = (Text(" ".join(text.split())) for text in (found.post, found.reply))
    return Pair(where, post, reply, found.author, found.engagement, written(source))


def written(text: str) -> str:
    """`text` as UTF-8 can hold it: halves of surrogate pairs, which JSON may spell, become their escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


KEYS: dict[str, Callable[[Pair], str | None]] = {"author": lambda p: p.author, "post": lambda p: normalised(p.post) or p.post}


def exact_key(pair: Pair, of: str) -> str:
    """Equal for texts that differ only in case, accents, punctuation or blanks; emoji count where there is no word."""
    key = lambda text: " ".join(text.words) or text.folded
    return key(pair.reply) if of == "reply" else f"{key(pair.post)}\n{key(pair.reply)}"


def exact_duplicates(pairs: Sequence[Pair], of: str) -> dict[int, str]:
    """place -> which earlier pair has equal texts."""
    first: dict[str, int] = {}
    originals = [first.setdefault(exact_key(pair, of), place) for place, pair in enumerate(pairs)]
    return {place: f"equal to {pairs[original].where}" for place, original in enumerate(originals) if original != place}


def near_duplicates(pairs: Sequence[Pair], of: str, threshold: float) -> dict[int, str]:
    """place -> which pair that is kept before it is how close; closeness is the Jaccard index of the sets of words."""
    words: dict[str, Callable[[Pair], list[str]]] = {"post": lambda p: p.post.words, "reply": lambda p: p.reply.words}
    words["pair"] = lambda p: p.post.words + p.reply.words
    sets, near = [frozenset(words[of](pair)) for pair in pairs], {}
    with progress("near-duplicates", len(pairs)) as tick:
        for place, original in enumerate(closest(sets, threshold), start=1):
            if original is not None:
                a, b = sets[place - 1], sets[original]
                near[place - 1] = f"{len(a & b) / len(a | b):.2f} like {pairs[original].where}"
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
    seen: Counter[str | None] = Counter()
    over = {}
    for place, name in enumerate(map(KEYS[what], pairs)):
        seen[name] += 1
        if name is not None and seen[name] > most:
            over[place] = f"this {what} has {most} already"
    return over


def groups(pairs: Sequence[Pair], by: str) -> list[str]:
    """A name per pair, equal for pairs that may not be parted: of one post, or of one author; who has no name is alone.

    Names are made of the least digest in the group: they say nothing about posts or authors, and do not hang on the order.
    """
    keys, least = [KEYS[by](pair) or pair.digest for pair in pairs], {}
    for key, pair in zip(keys, pairs, strict=True):
        least[key] = min(least.get(key, pair.digest), pair.digest)
    return [f"{by}-{least[key][:12]}" for key in keys]


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
