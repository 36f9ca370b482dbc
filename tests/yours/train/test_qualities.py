"""The qualities to start from: what each gives, and the ways to game each that it does not reward."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.yours.train.functions import COMBINE, QUALITIES, SIMILARITIES, Meaning, build, same_answer, same_words, together
from polychromic.yours.train.qualities import form
from polychromic.yours.train.qualities.classifier import Classifier
from polychromic.yours.train.qualities.form import Answers, Length, Pattern
from polychromic.yours.train.qualities.likeness import Likeness, read_floor
from polychromic.yours.train.qualities.likeness import Meaning as MeaningQuality
from polychromic.yours.train.qualities.programs import Tests
from polychromic.yours.train.qualities.schema import Schema
from tests.tiny import make_tiny_encoder, make_tiny_model

ROW = {"prompt": "Name a fruit.", "references": ["a ripe fig", "the plum tree"], "valid": ["fig", "plum"]}


def test_answers_take_the_whole_reply_and_no_list_of_them():
    replies = ["Fig.", " 'plum' ", "fig, plum", "fig plum", "It is a fig.", "", "figs"]
    assert Answers()(ROW, replies) == [1, 1, 0, 0, 0, 0, 0]
    assert Answers()({"references": ["pear"]}, ["pear", "fig"]) == [1, 0]


def test_a_pattern_must_match_the_whole_reply_and_something(monkeypatch):
    monkeypatch.setattr(form, "MATCHING", 0.1)
    assert Pattern("[A-Z][^.]*\\.")({}, ["A fig.", "A fig. And more", "x A fig.", "  A fig.\n", ""]) == [1, 0, 0, 1, 0]
    for text, message in (("(", "no regular expression"), (".*", "matches the empty reply"), ("a*", "matches the empty reply")):
        with pytest.raises(UsageError, match=message):
            Pattern(text)
    with pytest.raises(PolychromicError, match="took longer than 0.1 s"):
        Pattern("(a|a|aa)+(b|bb)+c(a|aa)+d")({}, ["a" * 3000 + "b" * 300 + "a"])


def test_a_length_counts_what_is_said_and_not_what_is_repeated():
    good = Length("4-8")
    assert good({}, ["a ripe fig today", "one two three four five six seven eight"]) == [1, 1]
    assert good({}, ["very " * 8, "ha! ha! ha! ha!", "!!! ... ??? ---", "\u200b \u200b \u200b \u200b", ""])[2:] == [0, 0, 0]
    repeated, enough = good({}, ["very " * 8, "a ripe fig of mine"])
    assert repeated <= 0.75 < enough == 1
    assert good({}, ["word" + " other" * 15]) == [0.0] and 0 < good({}, [" ".join("abcdefghijkl")])[0] < 1  # too long, by degrees
    assert Length("2")({}, ["a fig"]) == [1]
    for text in ("5-4", "0-3", "a-b", "5-"):
        with pytest.raises(UsageError, match="Allowed: LEAST-MOST words"):
            Length(text)


SCHEMA = {"type": "object", "required": ["name", "age"], "additionalProperties": False,
          "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer", "minimum": 0},
                         "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True}}}  # fmt: skip


@pytest.mark.parametrize(("reply", "good"), [
    ({"name": "x", "age": 3}, 1), ({"name": "x", "age": 3, "tags": ["a", "b"]}, 1), ({"name": "", "age": 3}, 0), ({"name": "x"}, 0),
    ({"name": "x", "age": True}, 0), ({"name": "x", "age": 3.5}, 0), ({"name": "x", "age": 3, "z": 1}, 0), ({}, 0), ([], 0),
    ({"name": "x", "age": 3, "tags": ["a", "a"]}, 0), ('```json\n{"name": "x", "age": 3}\n```', 0), ('{"name": "x", "age": NaN}', 0),
    ('{"name": "x", "age": 3, "age": 4}', 0), ('{"name": "x", "age": 3} done', 0), ("", 0), ("[" * 5000, 0),
])  # fmt: skip
def test_json_must_be_one_document_that_the_schema_allows(reply, good, tmp_path):
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    assert Schema(str(tmp_path / "schema.json"))({}, [reply if isinstance(reply, str) else json.dumps(reply)]) == [good]


@pytest.mark.parametrize(("schema", "message"), [
    ({"type": "object"}, "it allows {}, which any model learns"), ({"type": "array"}, r"it allows \[\]"), (True, "it allows"),
    ({"type": "object", "required": ["a"], "propertyNames": {}}, "'propertyNames', which is not known here"),
    ({"type": "text"}, "schema.type"),
    ({"properties": {"a": {"minimum": "3"}}}, "schema.properties.a.minimum is '3'"), ("{", "no schema"), ({"anyOf": []}, "anyOf"),
])  # fmt: skip
def test_a_schema_that_asks_for_nothing_or_cannot_be_checked_is_refused(schema, message, tmp_path):
    (tmp_path / "schema.json").write_text(schema if isinstance(schema, str) else json.dumps(schema))
    with pytest.raises(UsageError, match=message):
        Schema(str(tmp_path / "schema.json"))


def test_json_without_a_schema_is_anything_that_is_not_empty():
    assert Schema()({}, ['{"a": 1}', "[1]", "{}", "[]", "3", '"x"']) == [1, 1, 0, 0, 0, 0]


def test_likeness_gains_nothing_by_length_by_all_references_or_by_repeating():
    best, all_of_them, again, longer, other, none = Likeness()(
        ROW, ["a ripe fig", "a ripe fig the plum tree", "a ripe fig a ripe fig", "a ripe fig which I ate", "zzz", ""]
    )
    assert best == 1 > max(all_of_them, again, longer) and other == none == 0
    assert Likeness()(ROW, ["a dog ran to the old red barn"])[0] == 0 < Likeness(0.0)(ROW, ["a dog ran to the old red barn"])[0]
    for text in ("1", "-0.1", "nan", "x"):
        with pytest.raises(UsageError, match="Allowed: likeness, or likeness:FLOOR"):
            read_floor("likeness", text)


def test_meaning_is_that_of_the_nearest_reference_and_nothing_of_an_empty_reply():
    vectors = {"a ripe fig": [1, 0], "the plum tree": [0, 1], "fig": [0.6, 0.8], "against": [-1, 0], "": [1, 0]}
    embed = lambda texts: np.array([vectors[text] for text in texts], dtype=np.float32)
    assert MeaningQuality(embed)(ROW, ["fig", "a ripe fig", "against", ""]) == pytest.approx([2 / 3, 1, 0, 0])
    assert MeaningQuality(embed, 0.0)(ROW, ["fig", "against"]) == pytest.approx([0.8, 0])


TESTS = [{"function": "f", "arguments": [[1, 2]], "expected": 3}, {"function": "f", "arguments": [[]], "expected": 0}]
CHEATS = [
    "import sys\nprint(3)\nsys.exit(0)", "class E:\n    def __eq__(self, o): return True\ndef f(xs): return E()",
    "def f(xs): return 3", "def f(xs): return '3'", "def g(xs): return sum(xs)", "def f(xs):\n    while True: pass", "", "f = 3",
    "def f(xs): return True if xs else 0",
]  # fmt: skip


def test_programs_pass_by_what_they_return_alone():
    right = "Here:\n```python\ndef f(xs):\n    return sum(xs)\n```"
    assert Tests()({"tests": TESTS}, [right, "def f(xs): return sum(xs)", *CHEATS]) == [1, 1] + [0] * len(CHEATS)
    assert Tests()({"tests": json.dumps(TESTS)}, [right]) == [1]  # of a CSV
    for tests in (None, [], [{"f": 1}], [{"function": "f", "arguments": 3, "expected": 3}]):
        with pytest.raises(PolychromicError, match="the row's column `tests` is"):
            Tests()({"tests": tests}, [right])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random classifier with the labels bad and good, that reads 32 tokens."""
    folder = tmp_path_factory.mktemp("classifier")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(make_tiny_model(folder / "words"), model_max_length=32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, max_position_embeddings=64)
        model = BertForSequenceClassification(
            BertConfig(vocab_size=len(tokenizer), pad_token_id=0, id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1}, **sizes)
        )
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder / "model"


def test_a_classifier_gives_the_probability_of_its_label_to_what_it_reads_whole(folder):
    good, bad = Classifier(str(folder)), Classifier(str(folder), label="Bad")
    replies = ["a fig", "a plum", "a fig", "", "word " * 60]
    q, other = good(ROW, replies), bad(ROW, replies)
    assert (q[:3] > 0).all() and q[0] == q[2] and q[3:].tolist() == [0, 0]
    assert q[:3] + other[:3] == pytest.approx([1, 1, 1])
    assert good(ROW, ["a fig"])[0] == pytest.approx(q[0], abs=1e-6)  # whatever stands beside it
    assert Classifier(str(folder), reads="pair")(ROW, ["a fig"])[0] != pytest.approx(q[0], abs=1e-6)
    for arguments, message in (((str(folder), "best"), "label 'best'. Allowed: label=NAME, one of bad, good"),
                               ((str(folder), "", "all"), "reads=all"), (("nowhere",), "no config.json there")):  # fmt: skip
        with pytest.raises(UsageError, match=message):
            Classifier(*arguments)


def test_qualities_together_ask_the_dear_ones_only_where_it_matters():
    asked: list[list[str]] = []

    def dear(row, replies):
        asked.append(list(replies))
        return [0.5] * len(replies)

    cheap = lambda row, replies: [float(reply != "x") for reply in replies]
    expected = {"product": [0.5, 0, 0.5], "min": [0.5, 0, 0.5], "mean": [0.75, 0.25, 0.75]}
    for how in COMBINE:
        assert together([cheap, dear], how)({}, ["a", "x", "b"]).tolist() == expected[how]
    assert asked == [["a", "b"], ["a", "b"], ["a", "x", "b"]]
    thirds = together([cheap, dear, lambda row, replies: [0.0] * len(replies)], "mean")({}, ["a"])
    assert thirds == pytest.approx([0.5])


def build_of(*qualities, similarity="words", **more):
    return build(qualities, "product", similarity, encoder=lambda: pytest.fail("an encoder was loaded"), **more)


def test_every_name_of_help_is_built_and_what_stands_behind_it_is_checked(tmp_path, folder):
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    behind = {"regex": ":a+", "length": ":1-3", "json": f":{tmp_path}/schema.json", "classifier": f":{folder},label=good",
              "judge": ":http://localhost:1/v1,model=m,criterion=short, and sweet"}  # fmt: skip
    for name in QUALITIES:
        assert build_of(name + behind.get(name, "")).names["quality"] == [name + behind.get(name, "")]
    for name in SIMILARITIES:
        build_of("likeness", similarity=name)
    for spec, message in (("answers:3", "takes nothing behind its name"), ("length", "needs something behind it"),
                          (f"classifier:{folder},lable=good", "'lable=good'. Allowed: label=..., reads=..."),
                          ("judge:http://h/v1", "no model")):  # fmt: skip
        with pytest.raises(UsageError, match=message):
            build_of(spec)


def test_similarities():
    replies = ["A fig.", "a fig", "a plum", ""]
    assert same_answer({}, replies).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    words = same_words({}, ["a fig", "a plum", "two pears", ""])
    assert words[0].tolist() == [1, 0.5, 0, 0] and (words == words.T).all() and words[3].tolist() == [0, 0, 0, 1]


def test_meaning_calls_two_references_of_one_prompt_different(tmp_path):
    scoring = build(["answers"], "product", "meaning", encoder=lambda: make_tiny_encoder(tmp_path / "encoder"),
                    references=[["a ripe fig", "the plum tree"], ["one alone"]])  # fmt: skip
    assert isinstance(scoring.similarity, Meaning)
    s = scoring.similarity({}, ["a ripe fig", "the plum tree", "a ripe fig"])
    assert s[0, 1] == pytest.approx(0, abs=1e-6) or scoring.similarity.floor == 0.9
    assert s[0, 2] == pytest.approx(1) and np.allclose(s, s.T) and (np.diag(s) == 1).all()
