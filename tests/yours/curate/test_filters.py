"""Filters of one pair, on lines that are easy to get wrong; and that no text is edited."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polychromic.data.records import read_records
from polychromic.data.text import words
from polychromic.yours.curate.rules import Rules, Text, count_words, load_rules
from polychromic.yours.curate.run import curate
from tests.yours.collect.conftest import write

POST = "What do you think of the new release?"


def first_reason(reply: str, rules: Rules | None = None, engagement: float | None = None, post: str = POST) -> tuple[str, str] | None:
    """(filter, why) of the filter that drops the pair; None when it is kept."""
    for name, judge in (rules or load_rules()).filters.items():
        if why := judge(Text(post), Text(" ".join(reply.split())), engagement):
            return name, why
    return None


def rules_with(**sections) -> Rules:
    records = {"licence": "MIT", "group": "post", "length_classes": 3, "engagement_classes": 2}
    return Rules.model_validate({"records": records} | sections)


KEPT = [
    "1000 users and counting",
    "We passed 1000000 users, and 3.14 of them are here",
    "The service is good and the server, the user and his serum are fine",  # each holds "ser"
    "I unsubscribed, and the subscribers did so too",
    "The class of Scunthorpe passed the assessment",  # "ass", "cunt"
    "I like assassins, cocktails and shiitake, e.g. on Sunday",
    "It ended.Then we left, at 5.30 p.m. or so",  # no address
    "Node.js and .NET are what I know best",
    "I'll meet you @ the pub, it is 5 @ most",
    "soooo good, that is all I can say!!!!",
    "No, no, no, you can't do that to me",
    "It\u2019s what I\u2019d do, don\u2019t you think?",
    "caf\u00e9 na\u00efve \U0001f469\u200d\U0001f4bb is what it is",
    "follow the path back to me",  # "follow back", "follow me" with words between
    "I'm working from homes all over the world",
    "[bold]markup[/bold] and {braces} %s are only text to me",
    "image processing is what I do, the video was great",
]


DROPPED = [
    ("", "unreadable", "reply: blank"), (" \u00a0\u3000 ", "unreadable", "reply: blank"),
    ("see \x1b[31mred\x1b[0m text", "unreadable", "character U+001B"),
    ("half a pair \ud83d of surrogates", "unreadable", "character U+D83D"), ("ok then", "length", "reply: 2 words"),
    ("\U0001f602 \U0001f602 \U0001f602 \U0001f602", "length", "reply: 0 words"), ("so " * 51, "length", "reply: 51 words"),
    ("Das ist nicht so gut, oder?", "language", "reply: de"),
    ("\u042d\u0442\u043e \u043e\u0447\u0435\u043d\u044c \u0445\u043e\u0440\u043e\u0448\u043e", "language", "reply: cyrillic"),
    ("<Media omitted> was what he sent", "media", "<Media omitted>"), ("here it is: cat.gif for you", "media", "t.gif"),
    ("it is on HTTPS://example.org/x now", "links", "HTTPS://example.org/x"), ("it is on www.example now for you", "links", "www.example"),
    ("I got it at amazon.com for less", "links", "amazon.com"), ("write to me at jane.doe@example.org please", "links", "e@example.org"),
    ("@jane what do you think of it", "mentions", "@j"), ("I'd say (@jane) is right on this", "mentions", "@j"),
    ("gm SER, how are you today", "spam", "ser"), ("you have to Click\u00a0 Here for that", "spam", "click here"),
    ("that is sooooo good of you", "repetition", "'o' more than 4 times in a row"),
    ("it is very very Very VERY good", "repetition", "'very' more than 3 times in a row"),
    ("buy it now buy it now buy it now", "repetition", "3 different words of 9"), ("that is Bullshit, you know it", "toxicity", "bullshit"),
    ("that is b\u00fcllshit-free, a damn thing", "toxicity", "bullshit"),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "name", "why"), DROPPED)
def test_what_is_dropped_and_why(reply, name, why):
    found = first_reason(reply)
    assert found is not None and found[0] == name and why in found[1]


WORDS = rules_with(toxicity={"lists": ["unsuitable_words.txt"], "also": ["Schei\u00dfe", "mist"], "except": ["bullshit"]})


@pytest.mark.parametrize(("rules", "reply", "found"), [
    (rules_with(links={"most": 1}), "see https://a.org for it", None),
    (rules_with(links={"most": 1}), "see https://a.org and https://b.org", ("links", "reply: https://b.org")),
    (WORDS, "that is bullshit", None), (WORDS, "so eine SCHEISSE", ("toxicity", "reply: scheisse")), (WORDS, "mistake and optimist", None),
    (rules_with(spam={"phrases": []}), "buy now", None),
])  # fmt: skip
def test_rules_of_ones_own(rules, reply, found):
    assert first_reason(reply, rules) == found


def test_the_post_and_engagement_are_judged_too():
    assert first_reason("that is a good one", post="click here to see what we do") == ("spam", "post: click here")
    window = {"least": 1, "most": 5}
    found = [first_reason("fine", rules_with(engagement=window | {"missing": "drop"}), n) for n in (None, 0, 1, 5, 5.5, 10**400)]
    assert [f and f[0] for f in found] == ["engagement", "engagement", None, None, "engagement", "engagement"]
    assert first_reason("fine", rules_with(engagement=window), None) is None


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=60) | st.text(max_size=20))
def test_words_are_those_of_the_data(text):
    assert Text(text).words == words(text)


def test_han_and_kana_count_by_character():
    assert count_words("\u4eca\u65e5\u306f good \u5929\u6c17, isn't it? - !") == 8
    assert count_words("don't well-known 3.5 \u00e9t\u00e9") == 4


def test_good_lines_are_kept_and_reach_the_candidates_as_typed(tmp_path):
    """Through files and back: JSON escapes, markup, emoji and numbers stay what they are; only runs of blanks change."""
    kept = [*KEPT, "a\tb \u00a0x \u202etxt  \n &amp; <b> {0}"]
    posts = [f"What do you think of thing {number}, my friend?" for number in range(len(kept))]
    raw = write(tmp_path / "raw.jsonl", [{"post": post, "reply": f" {reply}\n"} for post, reply in zip(posts, kept, strict=True)])
    curate(raw, load_rules(), tmp_path / "out")
    found = {record.prompt: record.references for record in read_records(tmp_path / "out" / "candidates.jsonl")}
    assert found == {post: [" ".join(reply.split())] for post, reply in zip(posts, kept, strict=True)}
