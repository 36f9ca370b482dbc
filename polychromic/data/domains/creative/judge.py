"""The judge that training never sees: is the order of words in a sentence as usual as people's? Knows classes of words, no vectors.

A trigram model with Witten-Bell smoothing over function words as they are and all other words by their ending, fitted on people's
sentences. It sees word salad and wrong grammar, which the likelihood under a language model sees by quite other means.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

ORDER = 3
# Words that say how others hang together.
FUNCTION_WORDS = frozenset("""
a about above across after again against ago all along already also although always am among an and another any anyone anything are around as at
away back be because been before behind being below beside between both but by can cannot can't could couldn't did didn't do does doesn't doing don't
done down during each either else enough even ever every everyone everything except few for from get gets got had hadn't has hasn't have haven't having
he he'd he'll he's her here hers herself him himself his how however i i'd i'll i'm i've if in into is isn't it it's its itself just least less let like
many may me might mine more most much must my myself near neither never no nobody none nor not nothing now of off often on once one only onto or other
others our ours out over own perhaps quite rather she she'd she'll she's should shouldn't since so some someone something sometimes soon still such than
that that's the their theirs them themselves then there there's these they they'd they'll they're they've this those though through till to together too
toward towards two under until up upon us very was wasn't we we'd we'll we're we've were weren't what when where whether which while who whom whose why
will with within without won't would wouldn't yes yet you you'd you'll you're you've your yours yourself
""".split())
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
