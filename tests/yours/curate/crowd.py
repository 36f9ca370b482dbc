"""A log whose pairs' fate is known by construction: 100,000 of them, or a share of that.

Replies are words of a Reed-Solomon code: word p of pair (a, b) is number a + b·p mod 331 of the p-th vocabulary. Two different pairs
agree in one place at most, so no two of them are alike, although every word is in every 331st reply: rare words do not make it easy.
"""

from __future__ import annotations

import random
from itertools import count
from pathlib import Path

from tests.yours.collect.conftest import write

Q = 331  # a prime; Q * Q > 100,000
CODED = 10  # words of a reply that the code chooses
FREQUENT = ("the", "and", "is", "you", "with")
PAIRS, CAP = 100_000, 20
UNUSED = 65_000  # with a pair's number that has a twin of another reply: above the numbers of all rows, and below Q * Q
SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
# Filter -> what it drops of 100,000 pairs, and what makes it drop: a change of one pair, or of the twin that stands beside it. In the order
# in which they are applied; each line of the log is meant for one of them.
SPOIL = {
    "unreadable": (500, lambda row: {"reply": row["reply"] + " \x1b[31m"}),
    "length": (3_000, lambda row: {"reply": "sure"}),
    "language": (2_000, lambda row: {"post": row["post"].replace("the and is", "und der ist")}),
    "media": (1_500, lambda row: {"reply": row["reply"] + " pic.twitter.com/abc"}),
    "links": (2_500, lambda row: {"reply": row["reply"] + " https://example.org/page"}),
    "mentions": (1_000, lambda row: {"reply": row["reply"] + " @somebody"}),
    "spam": (2_000, lambda row: {"reply": row["reply"] + " Click here!"}),
    "repetition": (1_000, lambda row: {"reply": row["reply"] + " soooooo"}),
    "toxicity": (1_000, lambda row: {"reply": row["reply"] + " bullshit"}),
    "engagement": (2_000, lambda row: {"engagement": 1000}),
    "exact_duplicates": (5_000, lambda row: {"reply": row["reply"].upper() + "!"}),
    "near_duplicates": (5_000, lambda row: {"reply": row["reply"].rpartition(" ")[0] + " other"}),
    "author_cap": (2_980, lambda row: {"author": "busy"}),
    "post_cap": (1_000, lambda row: {"reply": texts(UNUSED + int(row["id"]))[1]}),
}
TWINS = ("exact_duplicates", "near_duplicates", "post_cap")


def word(place: int, number: int) -> str:
    """No word of any language: it ends in x, and place and number can be told from it."""
    return SYLLABLES[place] + SYLLABLES[number // 64 + 20] + SYLLABLES[number % 64] + "x"


def texts(pair: int) -> tuple[str, str]:
    """Post and reply of 13 and 15 different words."""
    a, b = divmod(pair, Q)
    post, reply = ([word(first + place, (a + b * place) % Q) for place in range(CODED)] for first in (20, 0))
    return " ".join([*FREQUENT[:3], *post]), " ".join([*FREQUENT, *reply])


def write_crowd(path: Path, share: int) -> dict[str, int]:
    """The log, one pair of `share` of 100,000, in an order that has nothing to do with the filters; returns what each filter drops."""
    numbers, rows = count(), []

    def row() -> dict:
        pair = next(numbers)
        post, reply = texts(pair)
        return {"id": str(pair), "post": post, "reply": reply, "author": f"u{pair}", "engagement": pair % 7, "source": "crowd"}

    for name, (dropped, change) in SPOIL.items():
        for one in (row() for _ in range(dropped // share)):
            rows += [one, one | change(one)] if name in TWINS else [one | change(one)]
    rows += [row() | {"author": "busy"} for _ in range(CAP)]  # under the cap
    rows += [row() for _ in range(PAIRS // share - len(rows))]
    random.Random(0).shuffle(rows)
    write(path, rows)
    return {name: dropped // share for name, (dropped, _) in SPOIL.items()}
