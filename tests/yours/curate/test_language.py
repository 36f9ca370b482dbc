"""The heuristic on what people wrote: the shipped chats, which are English, and sentences of each language and script."""

from __future__ import annotations

import pytest

from polychromic.data.records import read_records
from polychromic.yours.curate.language import LANGUAGES, languages, script
from polychromic.yours.curate.rules import Language, Text
from tests.workspace import REPOSITORY

SENTENCES = {
    "en": "I don't know what you mean by that, but it sounds fun",
    "de": "Ich weiß nicht, was du damit meinst, aber es klingt gut",
    "es": "No sé qué quieres decir con eso, pero suena muy bien",
    "fr": "Je ne sais pas ce que tu veux dire, mais c'est très bien",
    "it": "Non so che cosa vuoi dire, ma mi sembra una bella idea",
    "nl": "Ik weet niet wat je daarmee bedoelt, maar het klinkt goed",
    "pt": "Não sei o que você quer dizer com isso, mas parece muito bom",
    "greek": "Δεν ξέρω τι εννοείς, αλλά ακούγεται ωραίο",
    "cyrillic": "Я не знаю, что ты имеешь в виду, но звучит хорошо",
    "hebrew": "אני לא יודע למה אתה מתכוון",
    "arabic": "لا أعرف ماذا تقصد بذلك",
    "devanagari": "मुझे नहीं पता कि तुम क्या कहना चाहते हो",
    "thai": "ฉันไม่รู้ว่าคุณหมายถึงอะไร",
    "hangul": "무슨 말인지 모르겠지만 좋은 것 같아요",
    "kana": "何を言っているのか分からないけど、楽しそうですね",
    "han": "我不知道你是什么意思，但听起来很有趣",
}
ENGLISH, SHORT, GERMAN = SENTENCES["en"], "Genau!", SENTENCES["de"]


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_sentence_of_each(name):
    assert languages(SENTENCES[name]) == {name}
    assert languages(f"{SENTENCES[name]} lol \U0001f602 2024") == {name}, "a borrowed word changes nothing"


def test_of_english_chats_one_in_a_thousand_is_missed():
    texts = [t for record in read_records(REPOSITORY / "data" / "replies.jsonl") for t in (record.prompt, *record.references)]
    found = [languages(text) for text in texts]
    assert len(texts) > 4000
    wrong = sum(bool(f) and "en" not in f for f in found) / len(texts)
    assert wrong <= 0.002, "three of them are French and Spanish"
    assert sum(not f for f in found) / len(texts) <= 0.005
    assert sum(f == {"en"} for f in found) / len(texts) >= 0.98


def test_what_tells_nothing_and_a_tie_that_counts_for_all():
    assert languages("") == languages("1000 :) !!!") == languages("Kapla!") == frozenset()
    assert script("") == script("123") == script("\U0001f602") == "latin"
    assert languages("zab dok fim gul hep jor kev lum") == {"other"}, "eight words without a frequent one"
    assert languages("zab dok fim gul hep jor kev") == frozenset()
    assert languages("was") == {"en", "de", "nl"}


@pytest.mark.parametrize(("post", "reply", "allowed", "undecided", "why"), [
    ("was", "was", ["nl"], "drop", None),
    (ENGLISH, SHORT, ["en"], "drop", None),  # a text that tells nothing takes the other one's language
    (GERMAN, SHORT, ["en"], "keep", "post: de"), (ENGLISH, GERMAN, ["en"], "keep", "reply: de"),
    (ENGLISH, GERMAN, ["en", "de"], "keep", None), (SHORT, SHORT, ["en"], "keep", None), (SHORT, SHORT, ["en"], "drop", "undecided"),
])  # fmt: skip
def test_the_filter_of_pairs(post, reply, allowed, undecided, why):
    assert Language(allowed=allowed, undecided=undecided)(Text(post), Text(reply), None) == why
