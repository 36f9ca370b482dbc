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


def test_all_errors_are_said_at_once_with_key_and_got(refused):
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
    for part in (
        "records.group: Input should be 'post' or 'author' (got 'thread')",
        "records.length_classes: Input should be less than or equal to 3 (got '4')",
        "records.engagement_classes: Field required",
        "lenght: Extra inputs are not permitted",
        "length.reply: Value error, least is above most",
        "near_duplicates.threshold: Input should be greater than 0.5",
        *("records.licence: ", "length.post.least: ", "length.post.most: ", "language.allowed.1: ", "language.undecided: ", "links: "),
        *("spam.phrases.0: ", "spam.phrases.1: ", "repetition.distinct: ", "toxicity.lists.0: ", "toxicity.also.0: "),
        *("engagement.least: ", "author_cap.most: ", "rules.yaml explains. Copy it"),
    ):
        assert part in message, part


@pytest.mark.parametrize(("text", "fragment"), [
    ("records: [", "rules.yaml:1:11: not YAML (expected the node content"), (RECORDS + RECORDS, 'found duplicate key "records"'),
    ("records: \xff", "rules.yaml:1: invalid UTF-8 ("), ("- length", "record: Input should be a valid dictionary"),
    ("length: {post: {least: 1}}", "records: Field required"),
])  # fmt: skip
def test_what_is_no_rules_file_is_refused(text, fragment, refused):
    assert fragment in refused(text)
