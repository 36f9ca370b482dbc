"""Which drafts to one prompt say nearly the same, without a model: equal keys, and on request texts that share most of their letters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polychromic.score.quality import chrf_matrix
from polychromic.score.text import shows

ALIKE = 0.6  # chrF from which on two texts are near-duplicates, mean of both directions


def grouped(keys: Sequence[str], near: bool) -> list[int]:
    """(n,) the group of each key, numbered in the order in which groups first appear; keys that show nothing are one group.

    Args:
        keys: forms in which two drafts are the same answer.
        near: also put keys together of which any two have a mean chrF of ALIKE or more (complete linkage, so that no chain of small
            steps joins two texts that differ). False: equal keys alone.
    """
    distinct = list(dict.fromkeys(keys))
    spoken = [key for key in distinct if shows(key)] if near else []
    clusters = dict(zip(spoken, _clusters(spoken), strict=True)) if len(spoken) > 1 else {}
    names = [("near", clusters[key]) if key in clusters else ("key", key if shows(key) else "") for key in keys]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return [numbers[name] for name in names]


def _clusters(texts: Sequence[str]) -> list[int]:
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    alike = chrf_matrix(texts, texts)
    apart = 1 - (alike + alike.T) / 2
    np.fill_diagonal(apart, 0.0)
    tree = linkage(squareform(np.round(apart, 9), checks=False), method="complete")
    return fcluster(tree, 1 - ALIKE, criterion="distance").tolist()


def described(near: bool, key: str) -> str:
    """What one colour means, for the page. key: what two equal drafts have in common, such as "the same answer"."""
    return f"{key}, or near-duplicates: any two of a colour have a chrF of {ALIKE:g} or more" if near else key
