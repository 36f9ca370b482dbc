"""What the judge that training never sees reads in a post and a reply: words, letters and marks. No sentence vectors.

It is fitted as training's scorer is (polychromic.data.domains.replies.scorer), on other conversations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from polychromic.data.records import Record
from polychromic.data.text import FUNCTION_WORDS, words

GRAMS = {"word": (1, 2), "char_wb": (2, 4)}
TERMS = 1024  # of each, hashed
STRENGTH = 0.3  # C of the regressions
STEM, LETTERS = 5, 4


def stems(text: str) -> list[str]:
    """Beginnings of the words that carry meaning, in their order."""
    return [word[:STEM] for word in words(text) if word not in FUNCTION_WORDS]


def rarity(records: Sequence[Record]) -> dict[str, float]:
    """Stem -> ln(texts / texts that hold it), of posts and people's replies; of stems in two texts or more."""
    texts = [set(stems(text)) for record in records for text in (record.prompt, *record.references)]
    counts = Counter(stem for text in texts for stem in text)
    return {stem: round(float(np.log(len(texts) / n)), 3) for stem, n in sorted(counts.items()) if n > 1}


def overlap(texts: Sequence[frozenset[str]]) -> np.ndarray:
    """(n, n) shared share (Jaccard) of n sets; 1 for two empty ones."""
    return np.array([[len(a & b) / len(a | b) if a | b else 1.0 for b in texts] for a in texts])


def describe(posts: Sequence[str], replies: Sequence[str], rare: Mapping[str, float]) -> np.ndarray:
    """(n, 2 TERMS + 17): n-grams of the reply (of words and of letters, each of length 3), what it shares with its post, lengths, marks."""
    grams = [3 * vectorizer.transform(replies).toarray() for vectorizer in _vectorizers()]
    return np.hstack([*grams, [_pair(post, reply, rare) for post, reply in zip(posts, replies, strict=True)]])


@cache
def _vectorizers() -> list:
    from sklearn.feature_extraction.text import HashingVectorizer

    common = {"n_features": TERMS, "alternate_sign": False}
    words_and_marks = {"token_pattern": r"[\w']+|[.!?,]"}
    return [HashingVectorizer(analyzer=of, ngram_range=n, **common, **(words_and_marks if of == "word" else {})) for of, n in GRAMS.items()]


def _pair(post: str, reply: str, rare: Mapping[str, float]) -> list[float]:
    """Each about 0 to 3."""
    asked, said = stems(post), stems(reply)
    both, most, n = set(asked) & set(said), max(rare.values()), len(words(reply))
    weight = lambda some: sum(rare.get(stem, most) for stem in set(some))
    a, b = (frozenset(text[i : i + LETTERS] for i in range(len(text))) for text in (" ".join(asked), " ".join(said)))
    taken_up = [len(both), weight(both) / 5, max((rare.get(stem, most) for stem in both), default=0.0) / 2]
    shares = [weight(both) / (weight(said) + 1), weight(both) / (weight(asked) + 1), len(a & b) / (len(a | b) + 1)]
    form = [np.log1p(n), len(set(said)) / max(n, 1), *(min(reply.count(mark), 3) for mark in ".!?,'"), reply[:1].isupper()]
    return [*taken_up, *shares, *form, reply.endswith((".", "!", "?")), "?" in post, "?" in post and "?" in reply]
