"""How like a reply is to the row's references: by its words, or by what it means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from polychromic.score.quality import rouge_l
from polychromic.score.text import shows, tokenize

Embed = Callable[[Sequence[str]], np.ndarray]


class Likeness:
    """ROUGE-L, the F-measure of the longest common subsequence of words, of the best reference; in [0, 1].

    An F-measure, so that neither a longer reply nor all references in a row gain anything. It rewards saying what the references say: with
    a single one the adapter learns to repeat it, so give several where you can, or ask for more than likeness.
    """

    def __call__(self, row: dict[str, Any], replies: Sequence[str]) -> list[float]:
        references = [text for text in row["references"] if tokenize(text)]
        return [rouge_l(reply, references) if references and shows(reply) else 0.0 for reply in replies]


class Meaning:
    """Cosine of sentence vectors with the nearest reference, 0 where it is negative; in [0, 1].

    An encoder reads the first few hundred tokens and likes a bag of the right words nearly as much as a sentence: use it with `length`, or
    with a classifier that knows what a sentence is. An empty reply is like nothing: 0.

    Args: embed, n texts -> (n, d) vectors of unit length.
    """

    def __init__(self, embed: Embed):
        self.embed = embed

    def __call__(self, row: dict[str, Any], replies: Sequence[str]) -> np.ndarray:
        texts = [*row["references"], *replies]
        vectors = self.embed(texts).astype(float)
        count = len(row["references"])
        best = (vectors[count:] @ vectors[:count].T).max(axis=1)
        return np.where([shows(reply) for reply in replies], np.clip(best, 0.0, 1.0), 0.0)
