"""100,000 pairs whose fate is known by construction.

Replies are words of a Reed-Solomon code: word p of pair (a, b) is number a + b·p mod 331 of the p-th vocabulary. Two different pairs
agree in one place at most, so no two of them are alike, although every word is in every 331st reply: rare words do not make it easy.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

Q = 331  # a prime; Q * Q > 100,000
CODED = 10  # words of a reply that the code chooses
FREQUENT = ("the", "and", "is", "you", "with")
GERMAN = ("und", "der", "ist", "nicht", "mit")
PAIRS = 100_000
# What each filter drops, in the order in which they are applied; each line of the log is meant for one of them.
EXPECTED = {
    "unreadable": 500,
    "length": 3_000,
    "language": 2_000,
    "media": 1_500,
    "links": 2_500,
    "mentions": 1_000,
    "spam": 2_000,
    "repetition": 1_000,
    "toxicity": 1_000,
    "engagement": 2_000,
    "exact_duplicates": 5_000,
    "near_duplicates": 5_000,
    "author_cap": 2_980,
    "post_cap": 1_000,
}
CAP = 20
LEFT = PAIRS - sum(EXPECTED.values())
SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]


def word(place: int, number: int) -> str:
    """No word of any language: it ends in x, and place and number can be told from it."""
    return SYLLABLES[place] + SYLLABLES[number // 64 + 20] + SYLLABLES[number % 64] + "x"


def coded(pair: int, first: int) -> list[str]:
    a, b = divmod(pair, Q)
    return [word(first + place, (a + b * place) % Q) for place in range(CODED)]


def texts(pair: int, frequent: tuple[str, ...] = FREQUENT) -> tuple[str, str]:
    """Post and reply of 13 and 15 different words."""
    return " ".join([*frequent[:3], *coded(pair, 20)]), " ".join([*frequent, *coded(pair, 0)])


def rows() -> Iterator[dict]:
    """The log, filter by filter: what it drops, then what is left."""
    fresh = iter(range(PAIRS))
    spoil = {
        "length": lambda reply: "sure",
        "media": lambda reply: f"{reply} pic.twitter.com/abc",
        "links": lambda reply: f"{reply} https://example.org/page",
        "mentions": lambda reply: f"{reply} @somebody",
        "spam": lambda reply: f"{reply} Click here!",
        "repetition": lambda reply: f"{reply} soooooo",
        "toxicity": lambda reply: f"{reply} bullshit",
        "unreadable": lambda reply: f"{reply} \x1b[31m",
    }
    for name, count in EXPECTED.items():
        for _ in range(count):
            pair = next(fresh)
            post, reply = texts(pair, GERMAN if name == "language" else FREQUENT)
            row = {"id": str(pair), "post": post, "reply": reply, "author": f"u{pair}", "engagement": pair % 7, "source": "crowd"}
            if name in spoil:
                yield row | {"reply": spoil[name](reply)}
            elif name == "engagement":
                yield row | {"engagement": 1000 + pair}
            elif name == "exact_duplicates":
                yield row
                yield row | {"reply": reply.upper() + "!"}
            elif name == "near_duplicates":
                yield row
                yield row | {"reply": reply.rpartition(" ")[0] + " other"}
            elif name == "author_cap":
                yield row | {"author": "busy"}
            elif name == "post_cap":
                yield row
                yield row | {"reply": texts(next(fresh))[1]}
            else:
                yield row
    for number in range(CAP):  # the busy author's, under the cap
        post, reply = texts(next(fresh))
        yield {"post": post, "reply": reply, "author": "busy", "engagement": number}
    rest = LEFT - EXPECTED["exact_duplicates"] - EXPECTED["near_duplicates"] - EXPECTED["post_cap"] - CAP
    for _ in range(rest):
        pair = next(fresh)
        post, reply = texts(pair)
        yield {"post": post, "reply": reply, "author": f"u{pair}", "engagement": pair % 7}


def write_crowd(path: Path) -> None:
    """The log in an order that has nothing to do with the filters."""
    lines = [json.dumps(row) + "\n" for row in rows()]
    assert len(lines) == PAIRS
    random.Random(0).shuffle(lines)
    path.write_text("".join(lines), encoding="utf-8")
