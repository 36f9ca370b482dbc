"""Likeness of a reply to reference replies: ROUGE and chrF, the best over the references.

Likeness to a reference is not correctness: the domain's checker decides what passes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial
from importlib.metadata import version
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from polychromic.base.errors import PolychromicError
from polychromic.score.text import ngrams, said, shows, tokenize, tokenizer_signature

if TYPE_CHECKING:  # who only asks which metrics there are waits for neither
    from rouge_score.rouge_scorer import RougeScorer
    from scipy.sparse import csr_array

CHAR_ORDER = 6
BETA = 2
BERTSCORE_LAYER = 5  # of MiniLM's six: the layer whose token vectors BERTScore compares; the last one where a model has fewer


@cache
def _rouge_l_scorer() -> RougeScorer:
    """With our tokens: its own tokenizer drops all but a-z and 0-9, so that emoji-only text would score 0 against itself."""
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], tokenizer=SimpleNamespace(tokenize=tokenize))


def check_references(references: Sequence[str], metric: str, has_text: Callable = shows) -> None:
    """PolychromicError for no reference, or one without text."""
    if not references or not all(has_text(reference) for reference in references):
        raise PolychromicError(
            f"{metric}: got {len(references)} references, none or an empty one. Allowed: one or more with text. Check the record."
        )


def rouge_l(prediction: str, references: Sequence[str]) -> float:
    """ROUGE-L (Lin 2004), F-measure of the longest common subsequence of tokens, best over references; 0 for an empty prediction.

    In [0, 1]. Raises PolychromicError for no reference, or one without a token.
    """
    check_references(references, "rouge_l", tokenize)
    return max(_rouge_l_scorer().score(reference, prediction)["rougeL"].fmeasure for reference in references)


def rouge_n(prediction: str, references: Sequence[str], n: int) -> float:
    """ROUGE-n: as `rouge_l`, F-measure 2 PR / (P + R) of common n-grams, as rouge_score, its tables kept.

    0 where one side has n-grams and the other, of fewer than n tokens, has none: nothing is in common. Where neither side has one, there
    is neither precision nor recall, and no ROUGE-n, however equal the texts are: PolychromicError, unless another reference has one.
    """
    check_references(references, f"rouge_{n}", tokenize)
    own, others = _ngram_counts(prediction, n), [_ngram_counts(reference, n) for reference in references]
    if found := [2 * (own & other).total() / total for other in others if (total := own.total() + other.total())]:
        return max(found)
    raise PolychromicError(
        f"rouge_{n}: got a reply without a bigram ({prediction[:40]!r}) and no reference that has one. "
        "Allowed: a bigram on one side. Use rouge_1 for texts of one token."
    )


rouge_1, rouge_2 = partial(rouge_n, n=1), partial(rouge_n, n=2)


@lru_cache(maxsize=2048)
def _ngram_counts(text: str, n: int) -> Counter:
    return Counter(ngrams(tokenize(text), n))


@lru_cache(maxsize=2048)  # about 30 kB for a reply of 60 characters
def _char_ngrams(text: str) -> tuple[frozenset, ...]:
    """The character n-grams of orders 1 to CHAR_ORDER, white space removed: multisets, written as sets.

    The second "an" of a text is ("an", 2): then the clipped count of common n-grams is the size of a set intersection.
    """
    text = "".join(said(text).split())
    orders = []
    for n in range(1, CHAR_ORDER + 1):
        seen: dict[str, int] = {}
        grams: set[str | tuple[str, int]] = set()
        for i in range(len(text) - n + 1):
            gram = text[i : i + n]
            seen[gram] = times = seen.get(gram, 0) + 1
            grams.add(gram if times == 1 else (gram, times))
        orders.append(frozenset(grams))
    return tuple(orders)


def chrf(prediction: str, references: Sequence[str]) -> float:
    """Sentence chrF2 (Popovic 2015, W15-3049), best over references: character n-grams to 6, white space removed, case kept.

    Equal to sacrebleu.CHRF().sentence_score(prediction, references).score / 100 (orders that either text lacks are left out). In
    [0, 1]; 0 for an empty prediction. Raises PolychromicError for no reference, or an empty one.
    """
    check_references(references, "chrf")
    own = _char_ngrams(prediction)
    return max(_f_score(own, _char_ngrams(reference)) for reference in references)


def _f_score(hypothesis: tuple[frozenset, ...], reference: tuple[frozenset, ...]) -> float:
    precision, recall, orders = 0.0, 0.0, 0
    for h, r in zip(hypothesis, reference, strict=True):
        if not h or not r:
            break  # a text without n-grams has no longer ones
        common = len(h & r)
        precision, recall, orders = precision + common / len(h), recall + common / len(r), orders + 1
    if precision + recall == 0:
        return 0.0
    precision, recall = precision / orders, recall / orders
    return (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)


def chrf_matrix(predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """(predictions, references) chrF of every pair apart, many at once: row i, column j equals chrf(predictions[i], [references[j]]).

    Raises PolychromicError for no reference, or an empty one.
    """
    check_references(references, "chrf_matrix")
    hypotheses, targets = [_char_ngrams(text) for text in predictions], [_char_ngrams(text) for text in references]
    precision = np.zeros((len(hypotheses), len(targets)))
    recall, orders = np.zeros_like(precision), np.zeros_like(precision)
    for n in range(CHAR_ORDER):
        columns: dict = {}
        h, h_size = _incidence([grams[n] for grams in hypotheses], columns)
        r, r_size = _incidence([grams[n] for grams in targets], columns)
        h.resize((len(hypotheses), len(columns)))
        common = (h @ r.T).toarray()
        has = (h_size[:, None] > 0) & (r_size[None, :] > 0)
        precision += common / np.maximum(h_size, 1)[:, None]
        recall += common / np.maximum(r_size, 1)[None, :]
        orders += has
    orders = np.maximum(orders, 1)
    precision, recall = precision / orders, recall / orders
    below = BETA**2 * precision + recall
    return np.divide((1 + BETA**2) * precision * recall, below, out=np.zeros_like(below), where=below > 0)


def _incidence(sets: list[frozenset], columns: dict) -> tuple[csr_array, np.ndarray]:
    """(texts, n-grams seen so far) 0/1 matrix and the size of each set; new n-grams are added to `columns`."""
    from scipy.sparse import csr_array

    sizes = np.array([len(s) for s in sets])
    indices = np.fromiter((columns.setdefault(gram, len(columns)) for s in sets for gram in s), dtype=np.int64, count=sizes.sum())
    matrix = csr_array((np.ones(len(indices)), indices, np.concatenate([[0], np.cumsum(sizes)])), shape=(len(sets), len(columns)))
    return matrix, sizes


def bertscore_signature() -> str:
    return f"F1|idf:no|rescaled:no|marks:weight 0|layer:{BERTSCORE_LAYER} or the last|refs:max|bert-score:{version('bert-score')}"


def rouge_signature(kind: str = "rougeL") -> str:
    return f"{kind}|f-measure|refs:max|{tokenizer_signature()}|rouge-score:{version('rouge-score')}"


def chrf_signature() -> str:
    return f"chrF{BETA}|nc:{CHAR_ORDER}|nw:0|space:no|case:mixed|eff:yes|refs:max|as sacrebleu:{version('sacrebleu')}"
