"""The judge that training never sees: is the order of words in a sentence as usual as people's? Knows classes of words, no vectors.

A trigram model with Witten-Bell smoothing over function words as they are and all other words by their ending, fitted on people's
sentences. It sees word salad and wrong grammar, which the likelihood under a language model sees by quite other means.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from polychromic.data.text import FUNCTION_WORDS

ORDER = 3
_ENDINGS = re.compile(r"(ing|ed|ly|tion|ness|ment|ful|ous|able|ive|ies|es|s|er|est|al|ity|y|t|n|e)$")


def classes(said: Sequence[str]) -> list[str]:
    """Function words as they are, numbers as 0, and "+" with the ending of all other words."""
    ending = lambda word: (found := _ENDINGS.search(word)) and found[0] or ""
    return [word if word in FUNCTION_WORDS else "0" if word.isdigit() else f"+{ending(word)}" for word in said]


@lru_cache(maxsize=8)
def _model(sentences: tuple[str, ...]):  # noqa: ANN202 - nltk is imported inside
    from nltk.lm import Vocabulary, WittenBellInterpolated
    from nltk.lm.preprocessing import padded_everygram_pipeline

    grams, seen = padded_everygram_pipeline(ORDER, [sentence.split() for sentence in sentences])
    model = WittenBellInterpolated(ORDER, vocabulary=Vocabulary(seen, unk_cutoff=2))  # what was seen once stands for what was not
    model.fit(grams)
    return model


@lru_cache(maxsize=1 << 17)
def usualness(said: tuple[str, ...], sentences: tuple[str, ...]) -> float:
    """Mean log2-probability of the classes of the words (and of the end), by the model of people's sentences (classes, joined by blanks)."""
    from nltk.lm.preprocessing import pad_both_ends

    padded = list(pad_both_ends(classes(said), n=ORDER))
    model = _model(sentences)
    return float(np.mean([model.logscore(padded[i], padded[i - ORDER + 1 : i]) for i in range(ORDER - 1, len(padded) - ORDER + 2)]))
