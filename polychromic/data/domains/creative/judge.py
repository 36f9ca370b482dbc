"""The judge that training never sees: is the order of words in a sentence as usual as people's, at its worst place? Knows no vectors.

A bigram model with Witten-Bell smoothing over function words as they are and the parts of speech of all others, which a tagger by
rules and a lexicon finds, fitted on people's sentences. It sees word salad, wrong grammar and keywords that have no place in their
sentence, which the likelihood under a language model sees by quite other means.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from polychromic.data.text import FUNCTION_WORDS

ORDER, WINDOW = 2, 4  # of the model; words in a row


@lru_cache(maxsize=1 << 17)
def classes(text: str) -> tuple[str, ...]:
    """Function words as they are, of other words and marks the part of speech (Penn Treebank's names)."""
    tagged = _tagger().tag(text)
    return tuple(word.lower() if word.lower() in FUNCTION_WORDS else tag for word, tag in tagged)


@lru_cache(maxsize=1)
def _tagger():  # noqa: ANN202 - textblob is imported inside
    from textblob.en.taggers import PatternTagger

    return PatternTagger()


@lru_cache(maxsize=8)
def _model(sentences: tuple[str, ...]):  # noqa: ANN202 - nltk is imported inside
    from nltk.lm import Vocabulary, WittenBellInterpolated
    from nltk.lm.preprocessing import padded_everygram_pipeline

    grams, seen = padded_everygram_pipeline(ORDER, [sentence.split() for sentence in sentences])
    model = WittenBellInterpolated(ORDER, vocabulary=Vocabulary(seen, unk_cutoff=2))  # what was seen once stands for what was not
    model.fit(grams)
    return model


@lru_cache(maxsize=1 << 17)
def usualness(said: tuple[str, ...], sentences: tuple[str, ...]) -> tuple[float, float]:
    """log2-probabilities of the classes of a sentence, its beginning and its end: their mean, and the lowest mean over WINDOW in a row.

    sentences: people's, in classes joined by blanks.
    """
    from nltk.lm.preprocessing import pad_both_ends

    padded, model = list(pad_both_ends(said, n=ORDER)), _model(sentences)
    scores = np.array([model.logscore(padded[i], padded[i - ORDER + 1 : i]) for i in range(ORDER - 1, len(padded))])
    width = min(WINDOW, len(scores))
    return float(scores.mean()), float(np.convolve(scores, np.ones(width) / width, "valid").min())


def floors(said: Sequence[tuple[str, ...]], percentile: float) -> list[float]:
    """What so many in a hundred sentences fall below in either value of `usualness`, each by a model of the other half of them."""
    halves = [(said[half::2], tuple(map(" ".join, said[1 - half :: 2]))) for half in (0, 1)]
    scores = [usualness(one, others) for some, others in halves for one in some]
    return np.percentile(scores, percentile, axis=0).round(6).tolist()
