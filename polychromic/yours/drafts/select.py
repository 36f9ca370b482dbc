"""Which k of the drafts that were drawn to a prompt are kept. Arrays and texts in, places out; no model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polychromic.score.text import answer_key, shows

NEAR = 2  # of the drafts, so many times k of the likeliest may be kept for their difference: what is behind them is often broken


def distinct(samples: Sequence[str]) -> list[int]:
    """Places of the first of each answer (score.text.answer_key), those that show nothing left out unless all do."""
    first: dict[str, int] = {}
    for place, text in enumerate(samples):
        if shows(text):
            first.setdefault(answer_key(text), place)
    return list(first.values()) or list(range(min(1, len(samples))))


def likeliest(samples: Sequence[str], log_likelihood: Sequence[float], k: int) -> list[int]:
    """The k of highest mean log-likelihood per token, each answer once, in that order; where there are fewer answers, the likeliest that
    are left, again.

    Args: samples, of one prompt; log_likelihood, (n,) of each.
    """
    order = lambda places: sorted(places, key=lambda i: (-log_likelihood[i], i))
    chosen = order(distinct(samples))[:k]
    return chosen + order(set(range(len(samples))) - set(chosen))[: k - len(chosen)]


def diverse(samples: Sequence[str], log_likelihood: Sequence[float], similarity: np.ndarray, k: int) -> list[int]:
    """k drafts that differ: the likeliest, then each time the one whose nearest kept draft is farthest (the likelier of equals), among the
    NEAR * k likeliest answers; greedy, as max-min dispersion is done (Ravi et al. 1994). Fewer answers than k: as `likeliest`.

    Args: similarity, (n, n) in [0, 1] of all samples.
    """
    ranked = likeliest(samples, log_likelihood, len(samples))
    near = [i for i in ranked if i in set(distinct(samples))][: NEAR * k]
    chosen = near[:1]
    while len(chosen) < min(k, len(near)):
        left = [i for i in near if i not in chosen]
        chosen.append(min(left, key=lambda i: (round(float(similarity[i, chosen].max()), 9), near.index(i))))
    return chosen + [i for i in ranked if i not in chosen][: k - len(chosen)]
