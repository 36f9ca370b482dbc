"""Diversity of one prompt's replies. Compare systems at equal numbers of replies, with mean length beside.

Per prompt only: pooling replies of several prompts would count the prompts' differences as diversity. A value that does not exist
(no bigram in one-word replies) is a PolychromicError, never 0.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from polychromic.base.errors import PolychromicError
from polychromic.score.text import ngrams, said, tokenize

ZLIB_LEVEL = 9
NO_TEXT = "{}: got {} replies without a token. Allowed: some text. Check the sampler's output."
_EPSILON = 0.1  # nltk's SmoothingFunction(epsilon=0.1).method1: matches of an order that has none


def self_bleu(replies: Sequence[str], max_n: int = 4) -> float:
    """Self-BLEU (Zhu et al. 2018, 1802.01886): the mean BLEU of each of n >= 2 replies against all others, n-grams up to `max_n`.

    In [0, 1]; lower is more diverse.
    """
    return float(np.mean(self_bleu_tokens([tokenize(reply) for reply in replies], max_n)))


def self_bleu_tokens(replies: Sequence[Sequence[str]], max_n: int = 4) -> np.ndarray:
    """BLEU of each of n >= 2 token sequences against all the others, (n,) in [0, 1], in time linear in the number of tokens.

    Equal to nltk's sentence_bleu(others, reply, uniform weights over m orders, SmoothingFunction().method1) with the
    effective order m = min(max_n, length of the reply): a short reply is judged on the orders that it has, so two equal
    two-token replies score 1. A reply without any common token scores 0. An empty reply scores 1 when another one is
    empty (its duplicate), else 0. As references, empty replies count for the brevity penalty alone.

    Linear, because the best count of an n-gram among the others follows from its two highest counts among all.
    """
    lengths = Counter(len(reply) for reply in replies)
    # the length nearest to a reply's own among the others, the shorter of two equally near
    others = {own: [length for length, count in lengths.items() if length != own or count > 1] for own in lengths}
    closest = {own: min(found, key=lambda length: (abs(length - own), length)) for own, found in others.items()}
    log_sum, matched = np.zeros(len(replies)), np.zeros(len(replies), dtype=bool)
    for order in range(1, max_n + 1):
        counts = [Counter(ngrams(reply, order)) for reply in replies]
        top: dict[tuple[str, ...], tuple[int, int]] = {}  # the two highest counts
        for count in counts:
            for gram, c in count.items():
                first, second = top.get(gram, (0, 0))
                top[gram] = (c, first) if c > first else (first, max(c, second))
        for i, count in enumerate(counts):
            total = len(replies[i]) - order + 1
            if total > 0:
                # c below the highest: another reply has more, nothing is clipped; else the best other has the second
                clipped = sum(c if c < top[gram][0] else top[gram][1] for gram, c in count.items())
                if order == 1:
                    matched[i] = clipped > 0
                log_sum[i] += math.log((clipped or _EPSILON) / total)
    scores = np.zeros(len(replies))
    for i, reply in enumerate(replies):
        length = len(reply)
        if length == 0:
            scores[i] = float(lengths[0] > 1)
        elif matched[i]:
            penalty = min(0.0, 1 - closest[length] / length)
            scores[i] = math.exp(penalty + log_sum[i] / min(max_n, length))
    return scores


def distinct_counts(replies: Sequence[str], n: int) -> tuple[int, int]:
    """(distinct n-grams, all n-grams) of one prompt's replies; no n-gram spans two replies."""
    grams = [gram for reply in replies for gram in ngrams(tokenize(reply), n)]
    return len(set(grams)), len(grams)


def distinct_n(replies: Sequence[str], n: int) -> float:
    """Distinct-n (Li et al. 2016, 1510.03055): distinct n-grams / all n-grams, in (0, 1]; falls with length and number of replies.

    Raises PolychromicError where no reply has n tokens (one-word answers have no bigrams).
    """
    distinct, total = distinct_counts(replies, n)
    if total == 0:
        raise PolychromicError(
            f"distinct_{n}: got {len(replies)} replies without one {n}-gram. Allowed: a reply of {n} tokens. Use a smaller n here."
        )
    return distinct / total


def vocabulary_richness(replies: Sequence[str]) -> float:
    """Guiraud's (1954) index of all replies together: distinct tokens / sqrt(tokens), above 0. Raises PolychromicError without a token."""
    distinct, total = distinct_counts(replies, 1)
    if total == 0:
        raise PolychromicError(NO_TEXT.format("vocabulary", len(replies)))
    return distinct / math.sqrt(total)


def ead(distinct: int, total: int, vocabulary: int) -> float:
    """Expectation-adjusted distinct (Liu et al. 2022, 2202.13587): N / (V (1 - ((V-1)/V)^C)) of N distinct among C tokens.

    Near [0, 1]; above 1 for tokens spread more evenly than uniform draws; higher is more diverse. The size V > 1 of the vocabulary is
    the same for all systems compared. Raises PolychromicError without a token.
    """
    if total == 0:
        raise PolychromicError(NO_TEXT.format("ead", "only"))
    return distinct / (-vocabulary * math.expm1(total * math.log1p(-1 / vocabulary)))


def semantic_diversity(embeddings: ArrayLike) -> float:
    """Mean over pairs of 1 - cosine of (n, d) vectors of any length, n >= 2, in [0, n/(n-1)]; higher is more diverse.

    Equal to 1 - (|sum of unit vectors|^2 - n) / (n (n-1)), hence in O(nd). Raises PolychromicError for a NaN or a vector of length 0.
    """
    x = np.asarray(embeddings, dtype=np.float64)  # the sum of n float32 unit vectors loses the digits that pairs differ in
    n, lengths = len(x), np.linalg.norm(x, axis=1)
    if len(bad := np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))):
        row = int(bad[0])
        raise PolychromicError(
            f"semantic_diversity: row {row} has length {lengths[row]}. Allowed: finite, not zero. Check the encoder on that reply."
        )
    total = (1 / lengths) @ x
    value = 1 - (total @ total - n) / (n * (n - 1))
    return float(np.clip(value, 0, n / (n - 1)))  # the clip removes rounding alone


def vendi(kernel: ArrayLike, q: float = 1.0) -> float:
    """Vendi score (Friedman and Dieng 2023, 2210.02410; orders: 2310.12952): exp of the Renyi entropy of order q of K/n's eigenvalues.

    The effective number of replies, in [1, n]. K: (n, n) similarities, symmetric, unit diagonal, positive semi-definite (cosines, not
    clipped). q in [0, inf]: small orders stress rare replies, 1 is Shannon's, inf is 1 / the largest eigenvalue.
    """
    k = np.asarray(kernel, dtype=np.float64)
    values = np.linalg.eigvalsh((k + k.T) / (2 * len(k)))
    p = values[values > 1e-12] / values[values > 1e-12].sum()
    if q == 1:
        from scipy.special import entr

        return float(np.exp(entr(p).sum()))
    top = p.max()
    if q == np.inf:
        return float(1 / top)
    scale = top if q * np.log(top) < -600 else 1.0  # a power that would vanish is taken of shares of the largest
    return float(np.exp(np.log(((p / scale) ** q).sum()) / (1 - q) + np.log(scale) * (q / (1 - q))))


def compression_ratio(replies: Sequence[str]) -> float:
    """Bytes before / after gzip of the replies joined by newlines (Shaib et al. 2024, 2403.00553): above 0, below 1 for short texts.

    Lower is more diverse. Raises PolychromicError where there is nothing to compress.
    """
    data = "\n".join(map(said, replies)).encode()
    if not data.strip():
        raise PolychromicError(NO_TEXT.format("compression_ratio", len(replies)))
    return len(data) / len(gzip.compress(data, compresslevel=ZLIB_LEVEL, mtime=0))


def effective_diversity(quality: ArrayLike, distance: ArrayLike) -> float:
    """Mean over ordered pairs i != j of q_i q_j d_ij: diversity that only good replies earn. In [0, 1] for d in [0, 1].

    q: (n,) in [0, 1], n >= 2. d: (n, n), symmetric, >= 0, e.g. 1 - cosine; the diagonal is not read.
    """
    q, d = np.asarray(quality, dtype=np.float64), np.asarray(distance, dtype=np.float64)
    others = ~np.eye(len(q), dtype=bool)
    return float(np.mean(np.outer(q, q)[others] * d[others]))


def compression_signature() -> str:
    return f"gzip|level:{ZLIB_LEVEL}|joined:newline|zlib:{zlib.ZLIB_RUNTIME_VERSION}"
