"""Diversity of one prompt's replies. Compare systems at equal numbers of replies, with mean length beside.

Per prompt only: pooling replies of several prompts would count the prompts' differences as diversity. A value that does not exist
(no bigram in one-word replies, one reply alone) is a PolychromicError, never 0.
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
from polychromic.score.text import ngrams, tokenize, tokenizer_signature

ZLIB_LEVEL = 9
_EPSILON = 0.1  # nltk's SmoothingFunction(epsilon=0.1).method1: matches of an order that has none


def _at_least(count: int, least: int, metric: str) -> None:
    if count < least:
        raise PolychromicError(f"{metric}: got {count} replies. Allowed: {least} or more of one prompt. Sample the prompt more often.")


def self_bleu(replies: Sequence[str], max_n: int = 4) -> float:
    """Self-BLEU (Zhu et al. 2018, 1802.01886): the mean BLEU of each of n >= 2 replies against all others, n-grams up to `max_n`.

    In [0, 1]; lower is more diverse. Raises as self_bleu_tokens.
    """
    return float(np.mean(self_bleu_tokens([tokenize(reply) for reply in replies], max_n)))


def self_bleu_tokens(replies: Sequence[Sequence[str]], max_n: int = 4) -> np.ndarray:
    """BLEU of each token sequence against all the others, in time linear in the number of tokens.

    Equal to nltk's sentence_bleu(others, reply, uniform weights over m orders, SmoothingFunction().method1) with the
    effective order m = min(max_n, length of the reply): a short reply is judged on the orders that it has, so two equal
    two-token replies score 1. A reply without any common token scores 0. An empty reply scores 1 when another one is
    empty (its duplicate), else 0. As references, empty replies count for the brevity penalty alone.

    Linear, because the best count of an n-gram among the others follows from its two highest counts among all.

    Returns:
        (n,) float64 in [0, 1].

    Raises:
        PolychromicError: fewer than two replies, or max_n < 1.
    """
    _at_least(len(replies), 2, "self_bleu")
    if max_n < 1:
        raise PolychromicError(f"self_bleu: got max_n = {max_n}. Allowed: 1 or more. Pass the highest n-gram order.")
    lengths = Counter(len(reply) for reply in replies)
    # the length nearest to a reply's own among the others, the shorter of two equally near
    others = {own: [length for length, count in lengths.items() if length != own or count > 1] for own in lengths}
    closest = {own: min(found, key=lambda length: (abs(length - own), length)) for own, found in others.items()}
    log_sum, matched = np.zeros(len(replies)), np.zeros(len(replies), dtype=bool)
    for order in range(1, max_n + 1):
        counts = [Counter(ngrams(reply, order)) for reply in replies]
        first: dict[tuple[str, ...], int] = {}
        second: dict[tuple[str, ...], int] = {}
        for count in counts:
            for gram, c in count.items():
                top = first.get(gram, 0)
                if c > top:
                    first[gram], second[gram] = c, top
                elif c > second[gram]:
                    second[gram] = c
        for i, count in enumerate(counts):
            total = len(replies[i]) - order + 1
            if total > 0:
                # c < first: another reply has more, nothing is clipped; c == first: the best other has `second`
                clipped = sum(c if c < first[gram] else second[gram] for gram, c in count.items())
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


def self_bleu_signature(max_n: int = 4) -> str:
    return f"self-bleu-{max_n}|refs:all others|order:effective|smooth:method1(.1)|{tokenizer_signature()}"


def distinct_counts(replies: Sequence[str], n: int) -> tuple[int, int]:
    """(distinct n-grams, all n-grams) of one prompt's replies; no n-gram spans two replies."""
    grams = [gram for reply in replies for gram in ngrams(tokenize(reply), n)]
    return len(set(grams)), len(grams)


def distinct_n(replies: Sequence[str], n: int) -> float:
    """Distinct-n (Li et al. 2016, 1510.03055): distinct n-grams / all n-grams, in (0, 1]; falls with length and number of replies.

    Raises:
        PolychromicError: no reply has n tokens (one-word answers have no bigrams).
    """
    distinct, total = distinct_counts(replies, n)
    if total == 0:
        raise PolychromicError(
            f"distinct_{n}: got {len(replies)} replies without one {n}-gram. Allowed: a reply of {n} tokens. Use a smaller n here."
        )
    return distinct / total


def ead(distinct: int, total: int, vocabulary: int) -> float:
    """Expectation-adjusted distinct (Liu et al. 2022, 2202.13587): N / (V (1 - ((V-1)/V)^C)) of N distinct among C tokens.

    Near [0, 1]; above 1 for tokens spread more evenly than uniform draws; higher is more diverse. The size V of the vocabulary is
    the same for all systems compared.

    Raises:
        PolychromicError: not 1 <= N <= min(C, V).
    """
    if not 1 <= distinct <= min(total, vocabulary):
        raise PolychromicError(
            f"ead: got N = {distinct}, C = {total}, V = {vocabulary}. Allowed: 1 <= distinct <= min(total, vocabulary). "
            "Count tokens and vocabulary with the same tokenizer."
        )
    # log1p(-1/V) does not exist at V = 1, where one draw finds the whole vocabulary
    expected = -vocabulary * math.expm1(total * math.log1p(-1 / vocabulary)) if vocabulary > 1 else 1.0
    return distinct / expected


def semantic_diversity(embeddings: ArrayLike) -> float:
    """Mean over pairs of 1 - cosine of (n, d) vectors of any length, n >= 2, in [0, n/(n-1)]; higher is more diverse.

    Equal to 1 - (|sum of unit vectors|^2 - n) / (n (n-1)), hence in O(nd).

    Raises:
        PolychromicError: not a matrix, n < 2, a NaN, or a vector of length 0.
    """
    x = np.asarray(embeddings)
    if x.ndim != 2:
        raise PolychromicError(f"semantic_diversity: got shape {x.shape}. Allowed: (n, d). Pass one row per reply.")
    n = len(x)
    _at_least(n, 2, "semantic_diversity")
    x = x.astype(np.float64)  # the sum of n float32 unit vectors loses the digits that pairs differ in
    lengths = np.linalg.norm(x, axis=1)
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

    The effective number of replies, in [1, n]. K: (n, n) similarities, symmetric, unit diagonal, positive semi-definite. q in
    [0, inf]: small orders stress rare replies, 1 is Shannon's.

    Raises:
        PolychromicError: the kernel is not such a matrix, or q < 0.
    """
    k = np.asarray(kernel, dtype=np.float64)
    if k.ndim != 2 or k.shape[0] != k.shape[1] or k.shape[0] == 0:
        raise PolychromicError(f"vendi: got shape {k.shape}. Allowed: (n, n), n >= 1. Pass pairwise similarities.")
    if not np.allclose(k, k.T, atol=1e-6) or not np.allclose(np.diag(k), 1, atol=1e-6):
        raise PolychromicError(
            "vendi: the kernel is not symmetric with unit diagonal. Allowed: similarities with s_ii = 1, s_ij = s_ji. Normalise it."
        )
    if not q >= 0:
        raise PolychromicError(f"vendi: got q = {q}. Allowed: q >= 0. Use 1 for the usual score.")
    values = np.linalg.eigvalsh((k + k.T) / (2 * len(k)))
    if values[0] < -1e-6:
        raise PolychromicError(
            f"vendi: the kernel has eigenvalue {values[0] * len(k):.3g}. Allowed: none below 0. Clipped cosines are no kernel."
        )
    p = values[values > 1e-12] / values[values > 1e-12].sum()
    if q == 1:
        from scipy.special import entr

        return float(np.exp(entr(p).sum()))
    if np.isinf(q):
        return float(1 / p.max())
    return float(np.exp(np.log((p**q).sum()) / (1 - q)))


def compression_ratio(replies: Sequence[str]) -> float:
    """Bytes before / after gzip of the replies joined by newlines (Shaib et al. 2024, 2403.00553): above 0, below 1 for short texts.

    Lower is more diverse. Raises PolychromicError where there is nothing to compress.
    """
    data = "\n".join(replies).encode()
    if not data.strip():
        raise PolychromicError(
            f"compression_ratio: got {len(replies)} replies without text. Allowed: some text. Check the sampler's output."
        )
    return len(data) / len(gzip.compress(data, compresslevel=ZLIB_LEVEL, mtime=0))


def compression_signature() -> str:
    return f"gzip|level:{ZLIB_LEVEL}|joined:newline|zlib:{zlib.ZLIB_RUNTIME_VERSION}"


def effective_diversity(quality: ArrayLike, distance: ArrayLike) -> float:
    """Mean over ordered pairs i != j of q_i q_j d_ij: diversity that only good replies earn. In [0, 1] for d in [0, 1].

    q: (n,) in [0, 1], n >= 2. d: (n, n), symmetric, >= 0, e.g. 1 - cosine; the diagonal is not read.

    Raises:
        PolychromicError: shapes that do not fit, quality outside [0, 1], a negative or NaN distance.
    """
    q, d = np.asarray(quality, dtype=np.float64), np.asarray(distance, dtype=np.float64)
    if q.ndim != 1 or d.shape != (len(q), len(q)):
        raise PolychromicError(
            f"effective_diversity: got quality {q.shape}, distance {d.shape}. Allowed: (n,) and (n, n). Pass one prompt's replies."
        )
    _at_least(len(q), 2, "effective_diversity")
    others = ~np.eye(len(q), dtype=bool)
    pairs = d[others]
    if not ((q >= 0) & (q <= 1)).all() or not (pairs >= 0).all():
        raise PolychromicError(
            "effective_diversity: got a quality outside [0, 1] or a distance below 0 or NaN. Allowed: q in [0, 1], d >= 0. Rescale them."
        )
    return float(np.mean(np.outer(q, q)[others] * pairs))


def vocabulary_richness(replies: Sequence[str]) -> float:
    """Guiraud's (1954) index of all replies together: distinct tokens / sqrt(tokens), above 0. Raises PolychromicError without a token."""
    distinct, total = distinct_counts(replies, 1)
    if total == 0:
        raise PolychromicError(f"vocabulary: got {len(replies)} replies without a token. Allowed: some text. Check the sampler's output.")
    return distinct / math.sqrt(total)
