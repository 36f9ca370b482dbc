"""What calls cost: estimated before, from the bytes of the texts; and as the store measured it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from polychromic.judge.models import Price, Usage, table
from polychromic.judge.prompt import SCHEMA
from polychromic.judge.store import Store

# Bytes per token of English text, and tokens of an answer with its hidden reasoning: rules of thumb, replaced by what was measured once
# `ENOUGH` calls of the judge are in the store. The high estimate is what the budget reckons with before a call: few bytes per token, and an
# answer as long as is allowed.
BYTES = {"low": 4.5, "expected": 3.2, "high": 2.0}
ANSWER = {"low": 80, "expected": 250}
OVERHEAD = len(str(SCHEMA)) + 200  # bytes that the schema and the frame of a request add
ENOUGH = 20
ENDS = ("low", "expected", "high")


class Measured(NamedTuple):
    """Of answered calls: bytes per token read, tokens per answer."""

    bytes: float
    answer: float


@dataclass(frozen=True)
class Estimate:
    """Of some calls: how many, tokens read and written, dollars; each (low, expected, high)."""

    calls: int
    input: tuple[float, ...]
    output: tuple[float, ...]
    dollars: tuple[float, ...]


def measured(store: Store, provider: str, model: str) -> Measured | None:
    """From the judge's answered calls in the store; None where they are too few."""
    found = [one for one in store.of(provider, model) if one["usage"]["input"] and one["usage"]["output"]]
    if len(found) < ENOUGH:
        return None
    read = sum(one["usage"]["input"] for one in found)
    return Measured(sum(size(one["request"]) for one in found) / read, sum(one["usage"]["output"] for one in found) / len(found))


def size(request: Mapping[str, Any]) -> int:
    return len(request["system"].encode()) + len(request["user"].encode()) + OVERHEAD


def estimate(requests: Iterable[Mapping[str, Any]], price: Price, batch: bool, known: Measured | None = None) -> Estimate:
    """Of calls that were not made yet."""
    sizes = [(size(one), one["max_tokens"]) for one in requests]
    per_token = BYTES | ({"expected": known.bytes} if known else {})
    read = tuple(sum(length for length, _ in sizes) / per_token[end] for end in ENDS)
    answers = ANSWER | ({"expected": known.answer} if known else {})
    written = tuple(sum(answers.get(end, longest) for _, longest in sizes) for end in ENDS)
    dollars = tuple(price.dollars(Usage(input=r, output=w), batch) for r, w in zip(read, written, strict=True))
    # What was measured may lie outside of what was thought; low and high are never on the wrong side of it.
    ordered = lambda three: (min(three), three[1], max(three))
    return Estimate(len(sizes), ordered(read), ordered(written), ordered(dollars))


def longest(request: Mapping[str, Any]) -> bool:
    """Whether a request may be longer than the prompts that the prices are for."""
    return size(request) / BYTES["high"] > table()["longest_prompt"]


def spent(store: Store, provider: str, model: str) -> float:
    """Dollars that the judge's calls in the store took."""
    return sum(one["dollars"] for one in store.of(provider, model))
