"""Replies: well-formed or not, training's scorer and the held-out judge on made-up people, and both as fitted on real ones."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import HashingVectorizer

from polychromic.base import paths
from polychromic.base.errors import DataError
from polychromic.base.io import read_json
from polychromic.data.domains import get_domain
from polychromic.data.domains.replies import MAX_WORDS, describe, judge, scorer, well_formed
from polychromic.data.records import Record
from tests.workspace import REPOSITORY

REPLIES = get_domain("replies")
POST = "I really want to see the ocean this summer!"
LONG = " ".join(f"w{i}" for i in range(MAX_WORDS))


@pytest.mark.parametrize(("reply", "good"), [
    ("You should go there soon!", True), ("No way, not me", True), ("Me too", False), ("Yes", False), ("", False), ("?", False),
    ("\U0001f389" * 4, False),
    ("I REALLY want to see the ocean, this summer", False), ("So you really want to see the ocean this summer", False),  # echoes
    ("I want to see the ocean, which is so far away from here", True), ("ocean summer want see really this", False),
    ("no no no no no", False), ("I think so, I think so, and that is why", False),  # loops
    ("whales sing to whales that know whales", False), ("whales sing to whales that know dolphins", True),
    (f"{LONG} w", False), (LONG, True),
])  # fmt: skip
def test_a_reply_is_well_formed(reply, good):
    assert well_formed(POST, reply) == good


ANIMALS = (
    "badger beaver camel coyote dolphin eagle falcon ferret gecko giraffe hamster heron iguana jaguar koala lemur lizard lobster".split()
)
ANIMALS += "magpie meerkat monkey octopus ostrich otter panda parrot pelican penguin pigeon rabbit raven salmon spider turtle".split()
HUMAN = [
    "haha my %s sleeps all day long",
    "we saw one %s near the lake, it was huge",
    "ugh that %s would bite me for sure",
    "no kidding, a %s is so cute tho",
]
MODEL = ["I am glad to hear about the %s.", "That sounds great! A %s can be a wonderful experience."]


def person(i: int, name: str, said: str, chat: str = "chat") -> Record:
    fields = {"group": chat, "stratum": "s", "checker": "person", "source": "made", "licence": "MIT"}
    return Record(id=f"r{i}", domain="replies", prompt=f"I read about the {name} in a book yesterday", references=[said], **fields)


PEOPLE = [person(4 * i + k, name, said % name, f"chat{i}") for i, name in enumerate(ANIMALS) for k, said in enumerate(HUMAN)]
OPENER = PEOPLE[0].model_copy(update={"id": "o", "group": "opener", "stratum": "opener", "references": [said % "cat" for said in HUMAN]})


class Toy:
    """FirstReaders with vectors of hashed content words, and a model that knows two replies."""

    norms: dict = {}

    def embed(self, texts):
        found = HashingVectorizer(n_features=256, alternate_sign=False, analyzer=judge.stems).transform(texts).toarray()
        return np.column_stack([found, np.where(found.any(axis=1), 0.0, 1.0)]).astype(np.float32)

    def draft(self, records, n):
        return [[MODEL[i % 2] % record.prompt.split()[4] for i in range(n)] for record in records]


class Known(Toy):
    def __init__(self, norms):
        self.norms = norms


@pytest.fixture(scope="module")
def toy():
    records = [*PEOPLE, OPENER]
    return Known(REPLIES.norms(records, Toy()) | REPLIES.held_out_norms(records, Toy()))


JUDGES = [REPLIES.training_quality, REPLIES.held_out_quality]
TRICKS = {
    "echo": lambda post: post,
    "echo in a frame": lambda post: f"So you say that {post}",
    "boilerplate": lambda post: "That's great! I'm glad to hear that.",
    "help": lambda post: "I'm sorry to hear that. How can I help you today?",
    "salad": lambda post: " ".join(sorted(post.split(), key=len)[-7:]),
    "a word again and again": lambda post: " ".join([max(post.split(), key=len)] * 6),
    "a mark": lambda post: "?",
    "nothing": lambda post: "",
    "very long": lambda post: f"{post} {' '.join(f'thing{i}' for i in range(60))}",
    "another post's": lambda post: "haha my zebra sleeps all day long",
}


@pytest.mark.parametrize("judged", JUDGES)
@pytest.mark.parametrize("trick", TRICKS)
def test_tricks_are_no_good_replies_for_scorer_and_judge_of_made_up_people(trick, judged, toy):
    asked = PEOPLE[7]
    assert judged(asked, [TRICKS[trick](asked.prompt)], toy).tolist() == [0.0]


@pytest.mark.parametrize("judged", JUDGES)
def test_people_pass_and_the_model_does_not_whatever_else_is_asked_with_them(judged, toy):
    people = [judged(record, record.references, toy)[0] for record in PEOPLE]
    model = [judged(record, [said % record.prompt.split()[4] for said in MODEL], toy).mean() for record in PEOPLE]
    assert np.mean(people) >= 0.8 and np.mean(model) <= 0.1
    said = [*PEOPLE[4].references, *PEOPLE[9].references]
    assert judged(PEOPLE[4], said, toy).tolist() == [judged(PEOPLE[4], [reply], toy)[0] for reply in said] == [1.0, 0.0]


def test_scorer_and_judge_learn_from_other_chats_and_nothing_from_openers():
    first, second = ({record.id for record in scorer.half([*PEOPLE, OPENER], which)} for which in (0, 1))
    assert first and second and not first & second and first | second == {record.id for record in PEOPLE}
    elsewhere = [r.model_copy(update={"references": ["so what about that then"]}) for r in scorer.half(PEOPLE, 1)]
    changed = [*scorer.half(PEOPLE, 0), *elsewhere, OPENER]
    assert REPLIES.norms(changed, Toy()) == REPLIES.norms([*PEOPLE, OPENER], Toy())
    with pytest.raises(DataError, match="replies in 2 groups"):
        scorer.fit(PEOPLE[:8], {}, lambda posts, replies: np.zeros((len(posts), 1)), np.eye(8), 1.0)


def test_shuffled_replies_are_of_other_chats_of_about_the_length_and_of_near_posts():
    records = [person(i, name, "x " * (4 + i // 6)).model_copy(update={"group": f"chat{i // 2}"}) for i, name in enumerate(ANIMALS)]
    place = np.arange(len(records))
    near = -np.abs(place[:, None] - place[None, :]).astype(float)
    pairs = scorer.shuffled(records, near, np.random.default_rng(0))
    assert [i for i, _ in pairs] == np.repeat(place, 2).tolist() and all(records[i].group != records[j].group for i, j in pairs)
    assert max(abs(i - j) for i, j in pairs[1::2]) <= scorer.NEAR + 2
    assert max(abs(len(records[i].references[0]) - len(records[j].references[0])) for i, j in pairs[::2]) <= 8


def test_features_of_a_pair_by_hand():
    u, v = np.array([[1.0, 0.0]]), np.array([[0.6, 0.8], [1.0, 0.0]])
    root = 2**0.5
    expected = [[root, 0, 0.6 * root, 0.8 * root, 0.4 * root, 0.8 * root, 1.2, 0, 3.0], [root, 0, root, 0, 0, 0, 2, 0, 5]]
    assert describe(u, v) == pytest.approx(np.array(expected))
    read = judge.describe(["Do you like whales?"] * 2, ["Whales are great!", ""], {"whale": 1.5, "like": 0.5})
    assert read.shape == (2, 2 * judge.TERMS + 17) and not read[1, : 2 * judge.TERMS].any()
    assert read[0, 2 * judge.TERMS :][:3] == pytest.approx([1, 0.3, 0.75]) and np.isfinite(read).all()


def test_held_out_similarity_is_of_words_that_are_not_the_post_s():
    asked = PEOPLE[0]  # about a badger in a book
    said = ["A badger dug up our garden", "Gardens! The badger digs them", "That book was boring", "The badger book"]
    same = REPLIES.held_out_similarity(asked, said, Toy())
    assert same.tolist() == [[1, 1 / 3, 0, 0], [1 / 3, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert REPLIES.key(asked, "Me too!!") == REPLIES.key(asked, "me, too") != REPLIES.key(asked, "me three")


NORMS = REPOSITORY / "results" / "replies" / "norms.json"


@pytest.fixture(scope="module")
def fitted():
    """Scorer and judge as the stage `norms` fitted them, with the real encoder."""
    from polychromic.models import weights
    from polychromic.models.load import embed, load_encoder
    from polychromic.params import load_params

    found = read_json(NORMS)
    encoder = load_encoder(weights.obtain(load_params(REPOSITORY / "params.yaml").encoder), "cpu")

    class Real(Known):
        def embed(self, texts):
            return embed(encoder, texts)

    return Real(found["training"] | found["held_out"])


POSTS = [
    "I love to travel, last year I went to Germany and Austria with my sister.",
    "My favorite movie is probably Inception, the ending is so confusing though!",
    "I have been learning to play the guitar for about two months now.",
]
SAID = [
    "Wow, I've always wanted to see Germany! Did you like Austria better?",
    "haha I had to watch that movie twice to understand the ending",
    "Nice! I play the guitar too but I'm still pretty bad at it",
]
FITTED = pytest.mark.skipif(
    not NORMS.is_file() or not (paths.cache_dir() / "weights").is_dir(), reason="no results/replies/norms.json or no weights: dvc pull"
)


@FITTED
@pytest.mark.parametrize("judged", JUDGES)
def test_tricks_fail_and_people_pass_by_scorer_and_judge_of_real_people(judged, fitted):
    asked = [person(i, "x", said).model_copy(update={"prompt": post}) for i, (post, said) in enumerate(zip(POSTS, SAID, strict=True))]
    assert [judged(record, record.references, fitted)[0] for record in asked] == [1.0] * 3
    passed = {name: sum(judged(record, [trick(record.prompt)], fitted)[0] for record in asked) for name, trick in TRICKS.items()}
    assert {name for name, count in passed.items() if count} == set()
