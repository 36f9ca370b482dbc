"""Filters of replies on lines that are easy to get wrong, and selection on a small made-up corpus."""

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.data import replies

SENDER = ["11111111-aaaa-4111-8111-111111111111", "22222222-bbbb-4222-8222-222222222222"]


def block(who, *texts):
    return [{"sender": SENDER[who], "text": text, "timestamp": "2018-05-02T19:38:15Z"} for text in texts]


KEPT = """
Our service has 1000 users and they seem happy
The assistant in Scunthorpe analysed the class results
A billion dollars would build me a nice spaceship
Someone painted a warden and a warship
The typewriter was invented before the computer
"""
DROPPED = """
Look at www.example.com for more pictures of pigs
You can write to someone@example.org about the dogs
Ring 801-555-0123 if the pig learns to fly
People say my name is hard to spell correctly
Jessica told everyone about the concert last night
What a shit day for the whole football team
Las películas españolas son mejores que las otras
hahahaaaaaa the movie had me rolling on the floor
Dogs are the best pets *beast pets in the world
Too short to be answered
I think the prompt wants us to discuss superpowers
Hello there my good friend of the sea
Great day outside, how are you doing today my friend
Yeah that movie was better than the book
They're probably going to win the world cup again
"""


@pytest.mark.parametrize(("posts", "reply", "kept"), [
    (KEPT, "That would be fun to see", True), (DROPPED, "That would be fun to see", False), ("word " * 41, "That would be fun", False),
    ("The best smell is bread from the oven", "Yeah, bread in the morning!", True),  # it may point back
    *(("The best smell is bread from the oven", reply, False) for reply in ("the best smell is BREAD from the oven!", "Me too")),
    ("The best smell is bread from the oven", "Hey, nice to hear from someone", False),
])  # fmt: skip
def test_what_is_a_post_and_its_reply(posts, reply, kept):
    assert [post for post in posts.strip().splitlines() if replies.is_pair(post, reply) != kept] == []


def pair(post, reply="a reply here", i=0):
    return replies.Pair(post, reply, f"c{i}", (f"a{i}", f"b{i}"), None)


def test_messages_of_one_person_are_one_turn_even_across_blocks_and_ratings_may_be_strings():
    said = replies.turns({"messages": [block(0, "I like  tea", ""), block(0, "and milk"), block(1, "me too")]})
    assert said == [(SENDER[0], "I like tea and milk"), (SENDER[1], "me too")]
    ratings = [{"witty": "1", "upbeat": 5, "interesting": 6}, {}, None]
    assert [replies.mean_rating({"ratings": found}) for found in ratings] == [4.0, None, None]


def test_on_topic_needs_a_rare_word_of_the_post():
    pairs = [pair(f"people really love subject{'abcdefghij'[i % 10]}{'klmnopqrst'[i // 10]}", "people really do") for i in range(100)]
    hit = pair("people really love volcanoes", "a volcanoe erupted")
    assert replies.on_topic([*pairs, hit]) == [hit]


ANIMALS = [f"{first}{second}" for first in ("badger", "beaver", "camel", "coyote") for second in ("dog", "cat", "owl", "frog", "crow")]
PLACES = ["cave", "forest", "meadow", "harbor", "glacier", "canyon", "desert", "jungle", "lagoon", "valley"]


def corpus(n_openers=10):
    chats = {
        f"id-{animal}": {
            "messages": [block(0, f"A {animal} met another {animal[::-1]} near {animal}ville"), block(1, f"Did the {animal} wake up?")],
            "ratings": {"witty": 9 if i % 2 else 2},
        }
        for i, animal in enumerate(ANIMALS)
    }
    for i in range(n_openers):
        first = [{"sender": f"person{i}", "text": f"Bacon would come down from the {PLACES[i]} sky", "timestamp": ""}]
        chats[f"opener-{i}"] = {"prompt": "What if pigs could fly?", "messages": [first], "ratings": {}}
    return chats


def test_build_is_anonymous_and_grouped():
    records = replies.build(corpus(), n=20)
    pairs, openers = records[:20], records[20:]
    assert all(len(r.references) == 1 and r.checker == "person" for r in pairs) and len({r.group for r in pairs}) == 20
    assert [(r.prompt, r.group, r.stratum, len(r.references)) for r in openers] == [("What if pigs could fly?", "opener", "opener", 10)]
    assert not any(secret in repr(records) for secret in [*SENDER, "person3", "id-badger", "2018-05"])
    assert {r.stratum.split("_")[1] for r in pairs} == {"high", "other"}


def test_caps_on_a_person_and_near_duplicate_posts_and_openers(monkeypatch):
    monkeypatch.setattr(replies, "MAX_PER_PERSON", 5)
    candidates = list(replies.pairs(corpus()))
    assert len(candidates) == 20 and len(replies.select(candidates, 5)) == 5
    with pytest.raises(PolychromicError, match="5 pairs pass the filters, 6 are needed"):
        replies.select(candidates, 6)
    posts = ["Bananas grow quickly on sunny islands", "bananas grow QUICKLY on sunny islands!"]
    posts += ["What if pigs could fly then", "Snow fell on the red barn"]
    kept = replies.select([pair(post, f"reply number {i} here", i) for i, post in enumerate(posts)], 2, ["What if pigs could fly?"])
    assert {p.post.lower().strip("!") for p in kept} == {"bananas grow quickly on sunny islands", "snow fell on the red barn"}


def test_opener_reply_must_follow_the_opener():
    prompt, answer = "What if pigs could fly?", "Bacon prices would go up a lot"
    chats = [
        [block(0, answer)],  # at once
        [block(0, "Hey!"), block(1, "So what if pigs could fly?"), block(0, answer + " indeed")],  # after the question
        [block(0, "What did you eat today?"), block(1, "Some pancakes with a lot of syrup")],  # to another question
        [*(block(i % 2, "ok") for i in range(5)), block(1, "Umbrellas would become much more popular")],  # late
        *([[{"sender": f"p{i}", "text": f"They would land in my {place} garden"}]] for i, place in enumerate(PLACES)),
    ]
    said = replies.opener_replies({str(i): {"prompt": prompt, "messages": chat} for i, chat in enumerate(chats)})[prompt]
    assert len(said) == 11 and (answer in said) != (f"{answer} indeed" in said)  # ten others and one of the two by the same person
    assert not any("pancakes" in text or "Umbrellas" in text for text in said)
