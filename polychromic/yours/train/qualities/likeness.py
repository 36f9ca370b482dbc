"""How like a reply is to the row's references: by its words, or by what it means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from polychromic.base.errors import UsageError
from polychromic.score.quality import rouge_l
from polychromic.score.text import shows, tokenize

Embed = Callable[[Sequence[str]], np.ndarray]


FLOORS = {"likeness": 0.2, "meaning": 0.4}  # up to which a reply is nothing: any two English sentences share an article


def above(values: Sequence[float], floor: float) -> np.ndarray:
    """0 up to the floor, then in proportion up to 1. D weighs the replies of a set against each other alone: where the worst have a little
    quality, a set of bad replies would be worth as much as one of good ones."""
    return np.clip((np.asarray(values, dtype=float) - floor) / (1 - floor), 0.0, 1.0)


def read_floor(name: str, text: str) -> float:
    """The floor behind likeness: or meaning:. Raises UsageError: no number in [0, 1)."""
    try:
        floor = float(text) if text else FLOORS[name]
    except ValueError:
        floor = -1.0
    if not 0 <= floor < 1:
        allowed = f"{name}, or {name}:FLOOR, 0 or more and below 1, up to which a reply is nothing"
        raise UsageError(f"--quality {name}:{text}. Allowed: {allowed}.")
    return floor


class Likeness:
    """ROUGE-L, the F-measure of the longest common subsequence of words, of the best reference, as far as it is above a floor; in [0, 1].

    An F-measure, so that neither a longer reply nor all references in a row gain anything. It rewards saying what the references say: with
    a single one the adapter learns to repeat it, so give several where you can, or ask for more than likeness.
    """

    def __init__(self, floor: float = FLOORS["likeness"]):
        self.floor = floor

    def __call__(self, row: dict[str, Any], replies: Sequence[str]) -> np.ndarray:
        references = [text for text in row["references"] if tokenize(text)]
        return above([rouge_l(reply, references) if references and shows(reply) else 0.0 for reply in replies], self.floor)


class Meaning:
    """Cosine of sentence vectors with the nearest reference, as far as it is above a floor; in [0, 1].

    An encoder reads the first few hundred tokens and likes a bag of the right words nearly as much as a sentence: use it with `length`, or
    with a classifier that knows what a sentence is. An empty reply is like nothing: 0.

    Args: embed, n texts -> (n, d) vectors of unit length.
    """

    def __init__(self, embed: Embed, floor: float = FLOORS["meaning"]):
        self.embed, self.floor = embed, floor

    def __call__(self, row: dict[str, Any], replies: Sequence[str]) -> np.ndarray:
        texts = [*row["references"], *replies]
        vectors = self.embed(texts).astype(float)
        count = len(row["references"])
        best = (vectors[count:] @ vectors[:count].T).max(axis=1)
        return np.where([shows(reply) for reply in replies], above(best, self.floor), 0.0)
