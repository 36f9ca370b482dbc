"""What a domain must say: which replies are good, and which are the same.

A domain is one file in this folder that ends in DOMAIN = ..., prompts in prompts.yaml, and one section in params.yaml,
which also names its metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from polychromic.data.records import Record

Embed = Callable[[Sequence[str]], np.ndarray]  # n texts -> (n, d) float32, unit length


class Domain(Protocol):
    name: str
    checker: str  # "set" (answers are checked against a set) or "person" (drafts are matched with held-out human replies)
    similarity: str  # of the coverage objective: "exact" or "semantic"

    def key(self, record: Record, reply: str) -> str:
        """The form in which two replies to this prompt are the same answer."""

    def training_quality(self, record: Record, replies: Sequence[str], embed: Embed) -> np.ndarray:
        """(N,) quality q in [0, 1] that the set objective sees; uses training data only."""
