"""Does a reply read as a person's reply to this very post? Two logistic regressions on whatever describes a post and a reply.

One tells people's replies from people's replies to other posts, the other from the base model's own replies to the same posts. A reply
passes where both say so: else style could make up for having nothing to do with the post, and an echo of the post for style.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from polychromic.base.errors import DataError
from polychromic.data.records import Record
from polychromic.data.text import hashed, words

Describe = Callable[[Sequence[str], Sequence[str]], np.ndarray]  # n posts, n replies -> (n, d) features of each pair

HUMANS = 0.9  # least share of people's replies that pass, cross-validated
FOLDS = 5
LIKE_LONG, NEAR = 20, 5  # among how many replies of the nearest length, and to the nearest posts, a shuffled one is drawn
SEED = 0  # of these draws
DIGITS = 5  # that weights are rounded to, so that another machine's last bits are not seen


def half(records: Sequence[Record], which: int) -> list[Record]:
    """The records of one person's reply in half of the groups, by a hash: training's scorer learns from 0, the held-out judge from 1."""
    return [record for record in records if len(record.references) == 1 and int(hashed("half", record.group)[:8], 16) % 2 == which]


def shuffled(records: Sequence[Record], near: np.ndarray, rng: np.random.Generator) -> list[tuple[int, int]]:
    """(post, reply) places of replies to posts of other groups: per post one of about the right length, and one to a post like it.

    near: (n, n) likeness of the posts.
    """
    lengths = np.array([len(words(record.references[0])) for record in records])
    groups = np.array([record.group for record in records])
    found = []
    for i in range(len(records)):
        others = np.flatnonzero(groups != groups[i])
        by_length = others[np.argsort(np.abs(lengths[others] - lengths[i]), kind="stable")]
        by_post = others[np.argsort(-near[i, others], kind="stable")]
        found += [(i, int(rng.choice(by_length[:LIKE_LONG]))), (i, int(rng.choice(by_post[:NEAR])))]
    return found


def fit(
    records: Sequence[Record], drafts: Mapping[str, Sequence[str]], describe: Describe, near: np.ndarray, strength: float
) -> dict[str, Any]:
    """The two regressions, as JSON.

    Args:
        records: training posts; the first reference of each is a person's reply.
        drafts: post -> the base model's own replies to it, for some of the posts.
        near: (n, n) likeness of the posts.
        strength: C, the inverse of the regularisation's weight.

    Returns: {"weights": a list for each, the intercept last; "least": their log-odds at which a reply passes}. These are the same
    percentile of people's replies, cross-validated by group: the highest one (in half points) at which HUMANS of them pass both.
    Raises DataError: fewer than FOLDS groups.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict

    if (n := len({record.group for record in records})) < FOLDS:
        raise DataError("training records", f"replies in {n} groups", f"{FOLDS} or more, of which what people say is learnt")
    own = [(record.prompt, record.references[0], record.group) for record in records]
    pairs = shuffled(records, near, np.random.default_rng(SEED))
    others = [(records[i].prompt, records[j].references[0], records[i].group) for i, j in pairs]
    said = [(record.prompt, reply, record.group) for record in records for reply in drafts.get(record.prompt, ())]
    model, weights, people = LogisticRegression(C=strength, class_weight="balanced", max_iter=2000), [], []
    for wrong in (others, said):
        posts, replies, groups = zip(*own, *wrong, strict=True)
        features, human = describe(posts, replies), np.arange(len(posts)) < len(own)
        odds = cross_val_predict(model, features, human, groups=groups, cv=GroupKFold(FOLDS), method="decision_function")
        people.append(odds[human])
        model.fit(features, human)
        weights.append([*model.coef_[0], model.intercept_[0]])
    bounds = [np.percentile(people, share, axis=1) for share in np.arange(50, -0.5, -0.5)]
    least = next(least for least in bounds if (np.array(people) >= least[:, None]).all(axis=0).mean() >= HUMANS)
    return {"weights": np.round(weights, DIGITS).tolist(), "least": np.round(least, DIGITS).tolist()}


def log_odds(features: np.ndarray, fitted: Mapping[str, Any]) -> np.ndarray:
    """(n, 2) log-odds that a person said it, less the least that passes: against replies to other posts, against the model's own."""
    weights = np.array(fitted["weights"]).T
    return features @ weights[:-1] + weights[-1] - np.array(fitted["least"])
