"""A pair among the pairs that are left: caps, groups that may not be parted, strata by quantiles, and the final selection."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

from polychromic.data.text import normalised
from polychromic.yours.curate.filters import count_words
from polychromic.yours.curate.raw import Pair

T = TypeVar("T")
Number = int | float

LENGTH_NAMES = {1: ("any",), 2: ("short", "long"), 3: ("short", "medium", "long")}
ENGAGEMENT_NAMES = {1: ("any",), 2: ("low", "high"), 3: ("low", "middle", "high")}
UNKNOWN = "unknown"


def post_key(pair: Pair) -> str:
    """Equal for posts that differ only in case, accents, punctuation or blanks."""
    return normalised(pair.post) or pair.post


def over_cap(pairs: Sequence[Pair], key: Callable[[Pair], Hashable | None], most: int) -> Iterator[int]:
    """Places of the pairs beyond the first `most` with the same key; a key of None is not counted."""
    seen: Counter[Hashable] = Counter()
    for place, pair in enumerate(pairs):
        name = key(pair)
        seen[name] += 1
        if name is not None and seen[name] > most:
            yield place


def groups(pairs: Sequence[Pair], by: str) -> list[str]:
    """A name per pair, equal for pairs that may not be parted: of one post, of one author, or linked by either ("both").

    Names are made of the digest of the group's first pair: they say nothing about posts or authors, and do not hang on the order.
    """
    parent = list(range(len(pairs)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    keys: list[Callable[[Pair], Hashable | None]] = []
    if by in ("post", "both"):
        keys.append(post_key)
    if by in ("author", "both"):
        keys.append(lambda pair: pair.author)
    for key in keys:
        first: dict[Hashable, int] = {}
        for i, pair in enumerate(pairs):
            if (name := key(pair)) is not None:
                a, b = sorted((root(first.setdefault(name, i)), root(i)))
                parent[b] = a
    heads: dict[int, str] = {}
    for i, pair in enumerate(pairs):
        digest = pair.digest
        heads[root(i)] = min(heads.get(root(i), digest), digest)
    return [f"{by}-{heads[root(i)][:12]}" for i in range(len(pairs))]


def cuts(values: Sequence[Number], classes: int) -> list[Number]:
    """The classes − 1 values that cut `values` into quantiles, ascending; each is one of the values (inverted distribution function)."""
    ordered = sorted(values)
    return [ordered[-(-k * len(ordered) // classes) - 1] for k in range(1, classes)] if ordered else []


def quantile_class(value: Number, at: Sequence[Number]) -> int:
    """Number of cuts below `value`: a value equal to a cut goes below it.

    Equal values therefore never part, whatever their number: with many ties classes differ in size, and some are empty.
    """
    return sum(value > cut for cut in at)


def strata(pairs: Sequence[Pair], length_classes: int, engagement_classes: int) -> list[str]:
    """Per pair "length_engagement", such as "short_high": quantile classes of the reply's words and of the engagement.

    The quantiles are those of `pairs`; engagement that is not known is a class of its own and does not move them.
    """
    lengths = [count_words(pair.reply) for pair in pairs]
    length_cuts = cuts(lengths, length_classes)
    engagement_cuts = cuts([pair.engagement for pair in pairs if pair.engagement is not None], engagement_classes)
    names = []
    for pair, n in zip(pairs, lengths, strict=True):
        size = LENGTH_NAMES[length_classes][quantile_class(n, length_cuts)]
        if pair.engagement is None:
            names.append(f"{size}_{UNKNOWN}")
        else:
            names.append(f"{size}_{ENGAGEMENT_NAMES[engagement_classes][quantile_class(pair.engagement, engagement_cuts)]}")
    return names


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
    left = allot(Counter(names), total)
    chosen: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(names):
        if len(chosen[name]) < left[name]:
            chosen[name].append(place)
    return sorted(place for places in chosen.values() for place in places)
