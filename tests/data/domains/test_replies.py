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


@pytest.mark.parametrize(
    ("reply", "good"),
    [
        ("You should go!", True),
        ("Me too", True),
        ("Yes", False),
        ("", False),
        ("🎉🎉", False),
        ("want to see the ocean", False),
        ("I REALLY want to see the ocean, this summer", False),
        ("I really want to see the ocean this summer too", True),
        ("no no no no no", False),
        ("no no yes yes", True),
        ("no no no yes yes", False),
        (" ".join(f"w{i}" for i in range(MAX_WORDS)), True),
        (" ".join(f"w{i}" for i in range(MAX_WORDS + 1)), False),
    ],
)
def test_well_formed(reply, good):
    assert DOMAIN.well_formed(POST, reply) == good


@pytest.mark.parametrize(
    ("reply", "good"),
    [("I am", True), ("hi amazing", False), ("amazing people", False), ("Amazing, PEOPLE!", False), ("amazing peoples", True)],
)
def test_an_echo_is_one_of_words(reply, good):
    """ "i am" stands in "hi amazing", letter by letter, and echoes nothing."""
    post = POST.model_copy(update={"prompt": "hi amazing people"})
    assert DOMAIN.well_formed(post, reply) == good


def make_embed(**cosines: tuple[float, float, float]):
    """Vectors with the given cosine to the post (first axis) and to each human reply (second and third)."""
    axes = {POST.prompt: [1, 0, 0, 0], POST.references[0]: [0, 1, 0, 0], POST.references[1]: [0, 0, 1, 0]}

    def embed(texts):
        rows = []
        for text in texts:
            vector = axes.get(text) or [*cosines[text.replace(" ", "_")]]
            rows.append([*vector[:3], np.sqrt(max(0.0, 1 - sum(x * x for x in vector[:3])))])
        return np.array(rows, dtype=np.float32)

    return embed


def test_quality_is_zero_or_one_at_the_mean_of_post_and_nearest_human():
    embed = make_embed(
        near_post=(0.7, 0.0, 0.0),
        near_one_human=(0.0, 0.1, 0.7),
        near_other=(0.1, 0.55, 0.0),
        a_little_of_both=(0.25, 0.3, 0.3),
        far_away=(0.0, 0.0, 0.0),
        against_it=(-0.5, 0.6, 0.0),
    )
    replies = ["near post", "near one human", "near other", "a little of both", "far away", "against it"]
    assert RELEVANT == 0.3
    assert DOMAIN.training_quality(POST, replies, embed).tolist() == [1, 1, 1, 0, 0, 0]


def test_a_relevant_reply_of_bad_form_is_not_good():
    embed = make_embed(one=(0.9, 0.3, 0.0), fine_words=(0.9, 0.3, 0.0))
    assert DOMAIN.training_quality(POST, ["one", "fine words"], embed).tolist() == [0, 1]


def test_the_key_ignores_case_and_marks():
    assert DOMAIN.key(POST, "Me too!!") == DOMAIN.key(POST, "me, too") != DOMAIN.key(POST, "me three")
