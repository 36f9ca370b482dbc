"""Filters of replies on lines that are easy to get wrong, and selection on a small made-up corpus."""

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.data import replies
from polychromic.data.records import Record

SENDER = ["11111111-aaaa-4111-8111-111111111111", "22222222-bbbb-4222-8222-222222222222"]


def block(who, *texts):
    return [{"sender": SENDER[who], "text": text, "timestamp": "2018-05-02T19:38:15Z"} for text in texts]


@pytest.mark.parametrize(
    "text",
    [
        "Our service has 1000 users and they seem happy",  # "user", "ser" and a number are no personal remark
        "The assistant in Scunthorpe analysed the class results",
        "A billion dollars would build me a nice spaceship",
        "Someone painted a warden and a warship",  # not the whole word "ward"
        "The typewriter was invented before the computer",
    ],
)
def test_kept_as_typed(text):
    assert replies.acceptable_post(text)


@pytest.mark.parametrize(
    "text",
    [
        "Look at www.example.com for more pictures of pigs",
        "You can write to someone@example.org about the dogs",
        "Ring 801-555-0123 if the pig learns to fly",
        "People say my name is hard to spell correctly",
        "Jessica told everyone about the concert last night",
        "What a shit day for the whole football team",
        "Las películas españolas son mejores que las otras",
        "hahahaaaaaa the movie had me rolling on the floor",
        "Dogs are the best pets *beast pets in the world",
        "Too short to be answered",
        "word " * 41,
        "I think the prompt wants us to discuss superpowers",
        "Hello there my good friend of the sea",
        "Great day outside, how are you doing today my friend",
        "Yeah that movie was better than the book",
        "They're probably going to win the world cup again",
    ],
)
def test_dropped_as_a_post(text):
    assert not replies.acceptable_post(text)


def test_reply_may_point_back_but_not_copy_or_greet():
    post = "The best smell is bread from the oven"
    assert replies.acceptable_reply(post, "Yeah, bread in the morning!")
    assert not replies.acceptable_reply(post, "the best smell is BREAD from the oven!")
    assert not replies.acceptable_reply(post, "Hey, nice to hear from someone")
    assert not replies.acceptable_reply(post, "Me too")


def test_messages_of_one_person_are_one_turn_even_across_blocks():
    said = replies.turns({"messages": [block(0, "I like  tea", ""), block(0, "and milk"), block(1, "me too")]})
    assert [(turn.person, turn.text) for turn in said] == [(SENDER[0], "I like tea and milk"), (SENDER[1], "me too")]


def test_ratings_may_be_strings():
    assert replies.mean_rating({"ratings": {"witty": "1", "upbeat": 5, "interesting": 6}}) == 4.0
    assert replies.mean_rating({"ratings": {}}) is None
    assert replies.mean_rating({}) is None


def test_on_topic_needs_a_rare_word_of_the_post():
    def pair(post, reply):
        return replies.Pair(post, reply, "c", ("a", "b"), None)

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
    assert all(len(r.references) == 1 for r in pairs)
    assert [(r.prompt, r.group, r.stratum, len(r.references)) for r in openers] == [("What if pigs could fly?", "opener", "opener", 10)]
    text = repr(records)
    assert not any(secret in text for secret in [*SENDER, "person3", "id-badger", "2018-05"])
    assert len({r.group for r in pairs}) == 20
    assert all(isinstance(r, Record) and r.checker == "person" for r in records)
    assert {r.stratum.split("_")[1] for r in pairs} == {"high", "other"}


def test_caps_on_conversation_and_person(monkeypatch):
    monkeypatch.setattr(replies, "MAX_PER_PERSON", 5)
    candidates = list(replies.pairs(corpus()))
    assert len(candidates) == 20
    with pytest.raises(PolychromicError, match="5 pairs pass the filters, 6 are needed"):
        replies.select(candidates, 6)
    assert len(replies.select(candidates, 5)) == 5


def test_near_duplicate_posts_and_openers_are_dropped():
    def pair(i, post):
        return replies.Pair(post, f"reply number {i} here", f"c{i}", (f"a{i}", f"b{i}"), None)

    posts = ["Bananas grow quickly on sunny islands", "bananas grow QUICKLY on sunny islands!"]
    posts += ["What if pigs could fly then", "Snow fell on the red barn"]
    kept = replies.select([pair(i, post) for i, post in enumerate(posts)], 2, ["What if pigs could fly?"])
    assert {p.post.lower().strip("!") for p in kept} == {"bananas grow quickly on sunny islands", "snow fell on the red barn"}


def test_opener_reply_must_follow_the_opener():
    prompt = "What if pigs could fly?"

    def chat(*blocks):
        return {"prompt": prompt, "messages": list(blocks)}

    answer = "Bacon prices would go up a lot"
    direct = chat(block(0, answer))
    after_question = chat(block(0, "Hey!"), block(1, "So what if pigs could fly?"), block(0, answer + " indeed"))
    answers_other = chat(block(0, "What did you eat today?"), block(1, "Some pancakes with a lot of syrup"))
    late = chat(*(block(i % 2, "ok") for i in range(5)), block(1, "Umbrellas would become much more popular"))
    monkey = {str(i): c for i, c in enumerate([direct, after_question, answers_other, late])}
    monkey |= {f"x{i}": chat([{"sender": f"p{i}", "text": f"They would land in my {place} garden"}]) for i, place in enumerate(PLACES)}
    said = replies.opener_replies(monkey)[prompt]
    assert len(said) == 11  # ten others and one of the two by the same person
    assert ("Bacon prices would go up a lot" in said) != ("Bacon prices would go up a lot indeed" in said)
    assert not any("pancakes" in text or "Umbrellas" in text for text in said)


def test_corpus_that_is_no_json(tmp_path):
    path = tmp_path / "dataset.json"
    path.write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        replies.load_conversations(path)
    path.write_text("[]")
    with pytest.raises(DataError, match="no conversations"):
        replies.load_conversations(path)
