"""Replies: a form that is checked by words, and relevance by cosine."""

from __future__ import annotations

import numpy as np
import pytest

from polychromic.data.domains.replies import MAX_WORDS, RELEVANT, Replies
from polychromic.data.records import Record

DOMAIN = Replies()
POST = Record(
    id="r", domain="replies", prompt="I really want to see the ocean this summer!", references=["me too", "go for it"], group="g",
    stratum="s", checker="person", source="made", licence="MIT",
)  # fmt: skip


LONG = " ".join(f"w{i}" for i in range(MAX_WORDS + 1))


@pytest.mark.parametrize(("reply", "good"), [
    ("You should go!", True), ("Me too", True), ("Yes", False), ("", False), ("🎉🎉", False), ("want to see the ocean", False),
    ("I REALLY want to see the ocean, this summer", False), ("I really want to see the ocean this summer too", True),
    ("ant to see the ocean", True), ("want to see the ocea", True),  # an echo is one of words, not of letters
    ("no no no no no", False), ("no no yes yes", True), ("no no no yes yes", False), (LONG, False), (LONG.rpartition(" ")[0], True),
])  # fmt: skip
def test_well_formed(reply, good):
    assert DOMAIN.well_formed(POST, reply) == good


# Reply: (cosine to the post, to one human reply, to the other; quality).
COSINES = {
    "near post": (0.7, 0.0, 0.0, 1),
    "near one human": (0.0, 0.1, 0.7, 1),
    "near other": (0.1, 0.55, 0.0, 1),
    "a little of both": (0.25, 0.3, 0.3, 0),
    "far away": (0.0, 0.0, 0.0, 0),
    "against it": (-0.5, 0.6, 0.0, 0),
    "fine words": (0.9, 0.3, 0.0, 1),
    "one": (0.9, 0.3, 0.0, 0),  # relevant, and no reply
}


def test_quality_is_zero_or_one_at_the_mean_of_post_and_nearest_human():
    axes = dict(zip([POST.prompt, *POST.references], np.eye(3), strict=True))

    def embed(texts):
        rows = np.array([axes[text] if text in axes else COSINES[text][:3] for text in texts])
        return np.column_stack([rows, np.sqrt(np.maximum(0, 1 - (rows**2).sum(axis=1)))]).astype(np.float32)

    assert RELEVANT == 0.3
    assert DOMAIN.key(POST, "Me too!!") == DOMAIN.key(POST, "me, too") != DOMAIN.key(POST, "me three")
    assert DOMAIN.training_quality(POST, list(COSINES), embed).tolist() == [row[3] for row in COSINES.values()]
