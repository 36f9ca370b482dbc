"""Replies to social-media posts: no checker exists, so a draft passes when it matches a held-out human reply."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polychromic.data.domains import Domain, Readers, normalise
from polychromic.data.records import Record

MIN_WORDS, MAX_WORDS = 2, 60
RELEVANT = 0.3  # mean cosine at which a reply counts as being about the post


class Replies(Domain):
    name, checker, similarity = "replies", "person", "semantic"

    def well_formed(self, record: Record, reply: str) -> bool:
        """A few words that neither echo the post nor loop."""
        words = normalise(reply).split()
        if not MIN_WORDS <= len(words) <= MAX_WORDS or f" {' '.join(words)} " in f" {normalise(record.prompt)} ":
            return False
        return len(set(words)) * 2 >= len(words)

    def training_quality(self, record: Record, replies: Sequence[str], readers: Readers) -> np.ndarray:
        """1 for a well-formed reply about the post, else 0: the mean of its cosine to the post and to the nearest human
        reply is at least RELEVANT.

        It is 0 or 1 because coverage does not change when all q are scaled: a graded q would hardly count.
        It is not the match that the evaluation uses (chrF with held-out replies), so training cannot copy the test.
        """
        vectors = readers.embed([*replies, record.prompt, *record.references]).astype(float)
        n = len(replies)
        drafts, post, humans = vectors[:n], vectors[n], vectors[n + 1 :]
        relevance = (drafts @ post + (drafts @ humans.T).max(axis=1)) / 2
        formed = np.array([self.well_formed(record, reply) for reply in replies])
        return ((relevance >= RELEVANT) & formed).astype(float)


DOMAIN = Replies()
