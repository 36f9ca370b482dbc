"""The rules file: its default documents every key, and every error is said at once with key, got and allowed."""

from __future__ import annotations

import pytest

from polychromic.base.errors import UsageError
from polychromic.data.text import word_list
from polychromic.yours.curate.rules import DEFAULT, Rules, load_rules

RECORDS = "records: {licence: MIT, group: post, length_classes: 3, engagement_classes: 2}\n"


@pytest.fixture
def refused(tmp_path):
    def call(text: str) -> str:
        path = tmp_path / "rules.yaml"
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(UsageError) as caught:
            load_rules(path)
        return str(caught.value)

    return call


def test_the_default_names_every_filter_in_the_order_in_which_it_is_applied():
    rules, text = load_rules(), DEFAULT.read_text(encoding="utf-8")
    toxic = {word for name in rules.toxicity.lists for word in word_list(name)}
    assert not {*rules.spam.phrases} & toxic, "a phrase in both lists would be counted as spam, whatever it is"
    places = [text.index(f"\n{name}:") for name in Rules.model_fields]
    assert places == sorted(places)
    applied = list(rules.filters)
    assert applied == ["unreadable", *(name for name in Rules.model_fields if name in applied)]
    assert all(getattr(rules, name) is not None for name in Rules.model_fields)
    for number, name in enumerate(list(Rules.model_fields)[1:], start=1):
        assert f"\n# {number}. " in text[: text.index(f"\n{name}:")], name


def test_a_filter_that_is_not_named_is_off(tmp_path):
    (tmp_path / "rules.yaml").write_text(RECORDS, encoding="utf-8")
    rules = load_rules(tmp_path / "rules.yaml")
    assert list(rules.filters) == ["unreadable"] and rules.near_duplicates is None and rules.exact_duplicates.of == "pair"


def test_all_errors_are_said_at_once_with_key_got_and_allowed(refused):
    message = refused(
        """
records: {licence: "  ", group: thread, length_classes: 4}
lenght: {post: {least: 3}}
length: {post: {least: -1, most: 2.5}, reply: {least: 9, most: 3}}
language: {allowed: [en, klingon], undecided: perhaps}
links: 0
spam: {phrases: ["!!!", 7]}
repetition: {distinct: 1.5}
toxicity: {lists: [mine.txt], also: ["two words"]}
engagement: {least: .nan}
near_duplicates: {of: reply, threshold: 0.5}
author_cap: {most: 0}
"""
    )
    assert "19 error(s):" in message
    for line in (
        "records.licence: got '  '. Allowed: text with a letter or a digit",
        "records.group: got 'thread'. Allowed: 'post', 'author' or 'both'",
        "records.length_classes: got 4. Allowed: less than or equal to 3",
        "records.engagement_classes: missing. Allowed: a value such as 2",
        "lenght: no such key (did you mean length?). Allowed: records, length, language, media,",
        "length.post.least: got -1. Allowed: greater than or equal to 0",
        "length.post.most: got 2.5. Allowed: a valid integer",
        "length.reply: got {'least': 9, 'most': 3}. Allowed: least not above most",
        "language.allowed.1: got 'klingon'. Allowed: 'de', 'en', 'es',",
        "language.undecided: got 'perhaps'. Allowed: 'keep' or 'drop'",
        "links: got 0. Allowed: a valid dictionary",
        "spam.phrases.0: got '!!!'. Allowed: text with a letter or a digit",
        "spam.phrases.1: got 7. Allowed: a valid string",
        "repetition.distinct: got 1.5. Allowed: less than or equal to 1",
        "toxicity.lists.0: got 'mine.txt'. Allowed: 'unsuitable_words.txt' or 'profane_words.txt'",
        "toxicity.also.0: got 'two words'. Allowed: one word of letters",
        "engagement.least: got nan. Allowed: a finite number",
        "near_duplicates.threshold: got 0.5. Allowed: greater than 0.5",
        "author_cap.most: got 0. Allowed: greater than or equal to 1",
    ):
        assert line in message, line


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("records: [", "line 1, column 11: records: ["),
        (RECORDS + RECORDS, 'found duplicate key "records"'),
        ("records: \xff", "UTF-8"),
        ("- length", "the whole: got ['length']. Allowed: a valid dictionary"),
        ("", "the whole: got None"),
        ("length: {post: {least: 1}}", "records: missing. Allowed: a value such as {'licence': 'not stated', 'group': 'post'"),
    ],
)
def test_what_is_no_rules_file_is_refused(text, fragment, refused):
    assert fragment in refused(text)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"No such file or directory\. Allowed: YAML"):
        load_rules(tmp_path / "none.yaml")
