"""Replies to social-media posts: no checker exists, so a draft passes when it matches a held-out human reply.

Training's quality is another thing, so that training cannot copy the test: would it pass for a person's reply to this very post?
What neither its scorer nor the judge sees: a reply that would do for any post, with a word of this one put in its place ("I've never tried
... before haha"), is one that people give. Several of them for one post are nearly one by the calibrated cosine, not by the judge's words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from polychromic.data.domains import Domain, FirstReaders, Readers
from polychromic.data.domains.replies import judge, scorer
from polychromic.data.records import Record
from polychromic.data.text import hashed, words

# As curation keeps people's replies (REPLY_WORDS); of the other bounds each holds for 97 in 100 of them or more.
MIN_WORDS, MAX_WORDS = 4, 30
ECHO, DIFFERENT, TWICE = 0.6, 0.7, 2
DRAFTED, DRAFTS = 400, 2  # posts of a half that the base model answers, and how often
STRENGTH = 0.002  # C of the regressions on sentence vectors


def well_formed(post: str, reply: str) -> bool:
    """As long as a person's; at most ECHO of the words are the post's; no loop: DIFFERENT of them or more are different, no three in a
    row come twice, no beginning of a content word more than TWICE."""
    said, asked = words(reply), set(words(post))
    n = len(said)
    if not MIN_WORDS <= n <= MAX_WORDS or len(set(said)) < DIFFERENT * n or sum(word in asked for word in said) > ECHO * n:
        return False
    threes = list(zip(said, said[1:], said[2:], strict=False))
    return len(set(threes)) == len(threes) and max(Counter(judge.stems(reply)).values(), default=0) <= TWICE


def describe(posts: np.ndarray, replies: np.ndarray) -> np.ndarray:
    """(n, 4 d + 1) of sentence vectors u (1 or n, d) of posts and v (n, d) of replies: u, v, |u - v|, u v, the cosine; each entry of about
    unit size."""
    u, v = np.broadcast_arrays(posts.astype(float), replies.astype(float))
    root = v.shape[1] ** 0.5
    return np.hstack([root * u, root * v, root * np.abs(u - v), root**2 * u * v, 5 * (u * v).sum(axis=1, keepdims=True)])


def own_drafts(records: Sequence[Record], readers: FirstReaders) -> dict[str, list[str]]:
    """Post -> the base model's replies, of DRAFTED posts in the order of a hash."""
    some = sorted(records, key=lambda record: hashed("drafts", record.id))[:DRAFTED]
    return dict(zip([record.prompt for record in some], readers.draft(some, DRAFTS), strict=True))


class Replies(Domain):
    name, checker, similarity = "replies", "person", "semantic"
    unfinished = False

    def training_quality(self, record: Record, replies: Sequence[str], readers: Readers) -> np.ndarray:
        """1 for a well-formed reply that training's scorer takes for a person's to this post, else 0.

        It is 0 or 1 because coverage does not change when all q are scaled: a graded q would hardly count.
        """
        vectors = readers.embed([record.prompt, *replies])
        return self._passes(record, replies, scorer.log_odds(describe(vectors[:1], vectors[1:]), readers.norms["scorer"]))

    def norms(self, records: Sequence[Record], readers: FirstReaders) -> dict[str, Any]:
        """cosine, of the prompts that many people answered; scorer, fitted on half of the training chats."""
        mine = scorer.half(records, 0)
        posts = readers.embed([record.prompt for record in mine])
        ask = lambda posts, replies: describe(readers.embed(posts), readers.embed(replies))
        return super().norms(records, readers) | {"scorer": scorer.fit(mine, own_drafts(mine, readers), ask, posts @ posts.T, STRENGTH)}

    def held_out_norms(self, records: Sequence[Record], readers: FirstReaders) -> dict[str, Any]:
        """rare and judge, fitted on the other half of the training chats."""
        mine = scorer.half(records, 1)
        rare, near = judge.rarity(mine), judge.overlap([frozenset(judge.stems(record.prompt)) for record in mine])
        ask = lambda posts, replies: judge.describe(posts, replies, rare)
        return {"rare": rare, "judge": scorer.fit(mine, own_drafts(mine, readers), ask, near, judge.STRENGTH)}

    def held_out_quality(self, record: Record, replies: Sequence[str], readers: Readers) -> np.ndarray:
        """The same by the judge."""
        features = judge.describe([record.prompt] * len(replies), replies, readers.norms["rare"])
        return self._passes(record, replies, scorer.log_odds(features, readers.norms["judge"]))

    def held_out_similarity(self, record: Record, replies: Sequence[str], readers: Readers) -> np.ndarray:
        """Shared share (Jaccard) of the content words that are not the post's; 1 for two replies without any."""
        asked = frozenset(judge.stems(record.prompt))
        return judge.overlap([frozenset(judge.stems(reply)) - asked for reply in replies])

    def _passes(self, record: Record, replies: Sequence[str], odds: np.ndarray) -> np.ndarray:
        formed = np.array([well_formed(record.prompt, reply) for reply in replies], dtype=bool)
        return (formed & (odds >= 0).all(axis=1)).astype(float)


DOMAIN = Replies()
