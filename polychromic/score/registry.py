"""What a metric is, what it may read of one prompt's replies, and the decorator that declares one.

The metrics are in polychromic.score.metrics, which fills FAMILIES: import from there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Prompt:
    """What metrics may read of one prompt's n replies; None where the caller does not have it."""

    samples: Sequence[str]  # (n,) the replies
    answers: Sequence[Hashable | None] | None = None  # (n,) the valid answer of each in canonical form, None for an invalid reply
    keys: Sequence[Hashable] | None = None  # (n,) the form in which two replies are the same
    references: Sequence[str] | None = None  # human replies
    vectors: np.ndarray | None = None  # (n, d) sentence vectors
    quality: np.ndarray | None = None  # (n,) q in [0, 1], as the set objective sees it
    tokens: Sequence[int] | None = None  # (n,) generated tokens
    matches: np.ndarray | None = None  # (n, humans) booleans, draft i matches held-out human reply h
    pieces: Sequence[Sequence[int]] | None = None  # (n,) word-piece ids of each reply
    vocabulary: int | None = None  # how many pieces there are
    bertscore: np.ndarray | None = None  # (n,) F1, best over references (polychromic.score.models)
    log_likelihood: np.ndarray | None = None  # (m, 2) of the first m: natural log-probability under the base model, and tokens

    @cached_property
    def kernel(self) -> np.ndarray:
        """(n, n) cosines of `vectors`, 1 on the diagonal; made once for all metrics that read it."""
        x = np.asarray(self.vectors, dtype=np.float64)
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        kernel = x @ x.T
        np.fill_diagonal(kernel, 1.0)
        return kernel

    @property
    def correct(self) -> int:
        """How many replies are valid."""
        return sum(answer is not None for answer in self.answers)


@dataclass(frozen=True)
class Metric:
    """One metric of one prompt's replies. What a declaration leaves out is as in a share of which more is better."""

    name: str  # as params.yaml, scores and command line spell it
    family: str  # the key of FAMILIES: the name, with k, n or tau for the number
    function: Callable[[Prompt, Metric], float] | None  # None where it needs the parameters of training
    label: str  # plain text for figures and tables, {} where the number stands
    source: str  # paper id or definition
    direction: Literal["up", "down", "none"] = "up"  # of what is better; "none": only reported
    low: float | None = 0.0  # None is unbounded
    high: float | Literal["k", "n"] | None = 1.0  # "k" and "n" stand for `at` and for the number of replies
    unit: str = "share"
    percent: bool = False  # printed as value times 100
    decimals: int = 3  # digits after the point, after that
    needs: tuple[str, ...] = ()  # fields of Prompt that it reads beside `samples`
    least: int | Literal["k"] = 1  # replies it needs at least; "k" stands for `at`
    body: bool = False  # stands in the paper's main tables, among them three of diversity; the others stand in its appendix
    of_number: bool = False  # its expected value changes with the number of replies: systems are compared on equally many
    recipe: Callable[[], str] | None = None  # what another needs to repeat it, where that is more than `source`
    tokenizer: Callable[[], str] | None = None  # what it counts as a token
    at: float | None = None  # k, n or tau of the family's member
    symbol: str = ""  # which of these; "" where the family has no number

    def better(self, delta: float) -> bool:
        """Whether a difference a - b of `delta` favours a."""
        return (self.direction == "up" and delta > 0) or (self.direction == "down" and delta < 0)


FAMILIES: dict[str, Metric] = {}
NUMBERED: dict[str, str] = {}  # "pass@" -> "pass@k"


def declare(name: str, label: str, source: str, **about) -> Callable:
    """Declare the decorated function of a Prompt and a Metric as the metric `name`; `about`: the other fields of Metric.

    A name that ends in @k, ^k, @tau or _n is a family's, whose members have a number there.
    """

    def add(function: Callable[[Prompt, Metric], float] | None) -> Callable[[Prompt, Metric], float] | None:
        symbol = ""
        if numbered := re.fullmatch(r"(.+[@^_])(k|tau|n)", name):
            NUMBERED[numbered[1]], symbol = name, numbered[2]
        decimals = {"decimals": 1} if about.get("percent") else {}
        FAMILIES[name] = Metric(name, name, function, label, source, symbol=symbol, **decimals | about)
        return function

    return add
