"""Which drafts are kept: the likeliest answers, or good ones that differ."""

from __future__ import annotations

import numpy as np

from polychromic.yours.drafts.select import distinct, diverse, likeliest
from polychromic.yours.train.functions import same_words

SAMPLES = ["a red fox", "A red fox.", "", "a red foxes", "the sea at night", "zxq", "a red fox runs"]
LIKELY = [-1.0, -0.5, -0.1, -1.2, -2.0, -9.0, -1.1]


def kept(function, k, *more):
    return [SAMPLES[i] for i in function(SAMPLES, LIKELY, *more, k)]


def test_an_answer_counts_once_and_what_shows_nothing_not_at_all():
    assert distinct(SAMPLES) == [0, 3, 4, 5, 6] and distinct(["", " "]) == [0] and distinct([]) == []


def test_the_likeliest_answers_come_in_their_order_and_then_again_what_is_left():
    assert kept(likeliest, 3) == ["a red fox", "a red fox runs", "a red foxes"]
    assert kept(likeliest, 7) == ["a red fox", "a red fox runs", "a red foxes", "the sea at night", "zxq", "", "A red fox."]


def test_diverse_begins_with_the_likeliest_and_leaves_what_is_unlikely_alone():
    s = same_words({}, SAMPLES)
    assert kept(diverse, 2, s) == ["a red fox", "the sea at night"]
    assert "zxq" not in kept(diverse, 2, s) and "zxq" in kept(diverse, 3, s)  # of twice k the likeliest
    assert len(kept(diverse, 7, s)) == 7 and kept(diverse, 1, s) == ["a red fox"]


def test_diverse_drafts_are_farther_apart_than_likely_ones_on_random_pools():
    """On the whole: a greedy choice is not the best of each pool."""
    rng, nearest = np.random.default_rng(0), []
    for _ in range(50):
        points = rng.random((12, 2))
        s = 1 - np.linalg.norm(points[:, None] - points[None], axis=-1) / np.sqrt(2)
        samples, likely = [f"w{i}" for i in range(12)], rng.normal(size=12).tolist()
        spread = lambda chosen: max(s[i, j] for i in chosen for j in chosen if i != j)  # noqa: B023 - called at once
        nearest.append([spread(diverse(samples, likely, s, 3)), spread(likeliest(samples, likely, 3))])
    apart, likely = np.mean(nearest, axis=0)
    assert apart < likely - 0.1
