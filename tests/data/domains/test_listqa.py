"""What a reply to a list question names, when two name one thing, and that the known tricks do not pay."""

from __future__ import annotations

import numpy as np
import pytest

from polychromic.data.domains import get_domain, normalise
from polychromic.data.domains.listqa import neighbours
from polychromic.data.domains.listqa.reading import MAX_WORDS, folded, line_of, readings, singular
from polychromic.data.records import Record, read_records
from tests.workspace import REPOSITORY

LISTQA = get_domain("listqa")
DATA = REPOSITORY / "data" / "listqa.jsonl"


def record(prompt: str, *valid: str, stratum: str = "kind") -> Record:
    common = {"id": "r", "domain": "listqa", "group": "g", "checker": "set", "source": "made", "licence": "MIT"}
    return Record(prompt=prompt, references=[valid[0].split(" | ")[0]], valid=list(valid), stratum=stratum, **common)


FRUIT = record(
    "Name one kind of fruit.", "apple", "pear", "cherry", "blackberry", "fig tree | fig", "prickly pear | nopal", "lime", "grape"
)
DRINK = record(
    "Name one kind of drink.", "whisky | whiskey | usquebaugh", "ice cream soda", "Earl Grey | gray tea", "cola | colas", "doughnut tea"
)
COUNTRY = record(
    "Name a country that borders it.", "United States | USA | US", "Trinidad and Tobago", "Côte d'Ivoire | Ivory Coast", "Mali"
)
RHYME = record("Name a word that rhymes with cat.", "hat", "flat", "that", "mat", "matte", stratum="unseen:rhyme")
LANGUAGE = record("Name a programming language.", "C", "C++", "C#", "Objective-C")


@pytest.mark.parametrize(("of", "reply", "answer"), [
    (FRUIT, "apple", "apple"), (FRUIT, " An APPLE. ", "apple"), (FRUIT, "Apples!", "apple"), (FRUIT, "the cherries", "cherry"),
    (FRUIT, "**Apple** - a fruit", "apple"), (FRUIT, "1. Apple\n2. Pear", "apple"), (FRUIT, "- apple", "apple"),
    (FRUIT, '"Apple"', "apple"),
    (FRUIT, "Apple, pear, plum", "apple"), (FRUIT, "apple and pear", "apple"), (FRUIT, "apple or stone", "apple"),
    (FRUIT, "apple/pear", "apple"),
    (FRUIT, "One kind of fruit is an apple.", "apple"), (FRUIT, "An apple is a kind of fruit.", "apple"),
    (FRUIT, "A fruit is the pear", "pear"),
    (FRUIT, "Sure! Apple", "apple"), (FRUIT, "Sure! Here are some fruits:\n\n1. **Apple**: red\n2. Pear", "apple"),
    (FRUIT, "It's an apple.", "apple"),
    (FRUIT, "Answer: apple", "apple"), (FRUIT, "Fruit: apple", "apple"), (FRUIT, "apple (red)", "apple"), (FRUIT, "\n\napple\n", "apple"),
    (FRUIT, "fig", "fig tree"), (FRUIT, "figs", "fig tree"), (FRUIT, "black berry", "blackberry"), (FRUIT, "Nopal", "prickly pear"),
    (DRINK, "Whiskey", "whisky"), (DRINK, "whiskeys", "whisky"), (DRINK, "usquebaugh", "whisky"),
    (DRINK, "ice-cream soda", "ice cream soda"),
    (DRINK, "icecream sodas", "ice cream soda"), (DRINK, "Grey tea", "Earl Grey"), (DRINK, "donut tea", "doughnut tea"),
    (DRINK, "cola", "cola"),
    (COUNTRY, "the U.S.", "United States"), (COUNTRY, "USA", "United States"), (COUNTRY, "Trinidad and Tobago", "Trinidad and Tobago"),
    (COUNTRY, "Trinidad and Tobago, Mali", "Trinidad and Tobago"), (COUNTRY, "Cote d’Ivoire", "Côte d'Ivoire"),
    (RHYME, "hat", "hat"), (RHYME, "hats", None), (RHYME, "matt", None), (RHYME, "matte", "matte"), (RHYME, "cat", None),
    (LANGUAGE, "C", "C"), (LANGUAGE, "c++", "C++"), (LANGUAGE, "C#.", "C#"), (LANGUAGE, "Objective C", "Objective-C"),
    (LANGUAGE, "C+", None),
])  # fmt: skip
def test_the_answer_is_the_thing_that_the_reply_names_first(of, reply, answer):
    assert LISTQA.answer(of, reply) == answer
    if answer is not None:
        assert LISTQA.key(of, reply) == answer and answer in of.right


@pytest.mark.parametrize(("of", "reply"), [
    (FRUIT, "stone, apple"), (FRUIT, "stone and apple"), (FRUIT, "1. Stone\n2. Apple"), (FRUIT, "stone\napple"),  # never any of several
    (FRUIT, "fruit"), (FRUIT, "a fruit"), (FRUIT, "kind"), (FRUIT, "Name one kind of fruit."), (FRUIT, "One kind of fruit"),  # an echo
    (FRUIT, "One kind of fruit is"), (FRUIT, "apple pear cherry lime"), (FRUIT, "apple apple"), (FRUIT, "I like the apple"),
    (FRUIT, "apple " * 9), (FRUIT, "appl"), (FRUIT, "apple3"), (FRUIT, "apple+"),
    (FRUIT, 'print("apple")'), (FRUIT, "return apple;"), (FRUIT, "<b>apple</b>"), (FRUIT, "x = apple"), (FRUIT, "apple()"),
    (FRUIT, "{apple}"),
    (FRUIT, "apple | pear"), (FRUIT, "prickly pear | nopal"), (FRUIT, "$apple"), (FRUIT, "a\\pple"),
    *((FRUIT, empty) for empty in ("", " \n", ".", "\u200b", "\u200b\u2060\ufeff", "\u0301", "\U0001f34e", "+", "- ", "1.", "**", "##")),
])  # fmt: skip
def test_tricks_are_no_answers(of, reply):
    assert LISTQA.answer(of, reply) is None
    assert LISTQA.key(of, reply) not in of.right


@pytest.mark.parametrize(("one", "other"), [
    ("stones", "Stone"), ("a stone, a tree", "stone"), ("colour", "color"), ("grey stone", "gray stones"), ("viruses", "virus"),
    ("boxes", "box"),
    ("knives", "knife"), ("wolves", "wolf"), ("women", "woman"), ("mice", "mouse"), ("potatoes", "potato"), ("dresses", "dress"),
    ("stone\u200b", "stone"), ("st\u00f6ne", "stone"), ("black-bird", "black bird"), ("blackbird", "black birds"), ("1. stone", "stone"),
    ("theatre", "theater"), ("organise", "organize"), ("travelling", "traveling"), ("encyclopaedia", "encyclopedia"),
    ("\uff53tone", "stone"),
])  # fmt: skip
def test_forms_of_one_invalid_answer_are_the_same(one, other):
    assert LISTQA.key(FRUIT, one) == LISTQA.key(FRUIT, other) != ""


@pytest.mark.parametrize(("one", "other"), [
    ("C", "C++"), ("C", "C#"), ("C++", "C#"), ("\u304c", "\u304b"), ("\u0439", "\u0438"), ("\u0e01\u0e34", "\u0e01\u0e35"),
    ("\u0915\u093f", "\u0915"),
    ("\u05e9\u05c1", "\u05e9\u05c2"), ("\uac00", "\uac01"), ("cap", "cape"), ("robe", "rob"), ("glass", "glas"), ("flour", "floor"),
    ("poet", "pet"),
    ("hours", "hors"), ("rise", "rice"),
])  # fmt: skip
def test_different_words_of_any_script_stay_apart(one, other):
    assert LISTQA.key(FRUIT, one) != LISTQA.key(FRUIT, other) and normalise(one) and normalise(other)
    spelled = record("Name one.", one, other, "x")
    assert [LISTQA.answer(spelled, reply) for reply in (one, other)] == [one, other]


def test_a_script_without_blanks_is_one_word():
    thai = "\u0e01\u0e25\u0e49\u0e27\u0e22\u0e2b\u0e2d\u0e21"
    assert normalise(thai) == thai == normalise(f" {thai}. ")
    assert LISTQA.answer(record("\u0e1c\u0e25\u0e44\u0e21\u0e49", thai), thai) == thai


def test_every_reading_begins_where_the_line_does_and_is_short():
    for reply in ("apple, pear", "apple and pear or plum", "apple - pear: plum", "Apple. Pear. Plum."):
        line = line_of(reply, FRUIT.prompt)
        assert readings(reply, FRUIT.prompt) and all(line.startswith(text) for text in readings(reply, FRUIT.prompt))
    assert readings(" ".join(["w"] * MAX_WORDS), "") and not readings(" ".join(["w"] * (MAX_WORDS + 1)), "")
    assert line_of("A stone is an apple.", FRUIT.prompt) == "A stone is an apple.", "what comes before repeats no question"
    assert singular("bus") == "bus" and folded("ice cream") == folded("ice-creams") == "icecream"


def test_quality_is_validity():
    assert LISTQA.training_quality(FRUIT, ["pears", "car", "", "pear, car"], None).tolist() == [1, 0, 0, 1]


COSINE = 0.34


class Letters:
    """Vectors by hand: equal texts 1, others COSINE or, where both hold "near", halfway from there to 1."""

    norms = {"cosine": COSINE}

    def embed(self, texts):
        near = (1 + COSINE) / 2
        gram = [[1.0 if a == b else near if "near" in a and "near" in b else COSINE for b in texts] for a in texts]
        values, vectors = np.linalg.eigh(np.array(gram))
        rows = vectors * np.sqrt(np.maximum(values, 0))
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_held_out_judge_reads_the_whole_reply_and_knows_common_words():
    replies = ["apple", "Apple.", "an apple", "apples", "apple, pear", "1. apple", "One kind of fruit is an apple.", "nopal", "stone", ""]
    assert LISTQA.held_out_quality(FRUIT, replies, Letters()).tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert LISTQA.held_out_quality(COUNTRY, ["Mali", "mali", "United States", "USA"], Letters()).tolist() == [1, 0, 1, 1]


def test_the_held_out_similarity_needs_no_valid_set():
    replies = ["blackberry", "Blackberry.", "blackberries", "blackbery", "ice cream", "ice-cream", "near one", "near other", "cat", "hat"]
    same = LISTQA.held_out_similarity(FRUIT, replies, Letters())
    assert same.shape == (10, 10) and np.allclose(same, same.T) and np.allclose(np.diag(same), 1) and same.min() >= 0 and same.max() <= 1
    assert same[0, 1] == same[0, 3] == same[4, 5] == 1
    assert [same[8, 9], same[0, 4], same[6, 7]] == pytest.approx([0, 0, 0.5], abs=1e-6)
    bare = FRUIT.model_copy(update={"valid": ["x"]})
    assert np.array_equal(same, LISTQA.held_out_similarity(bare, replies, Letters()))


@pytest.mark.parametrize(("one", "other", "same"), [
    ("whisky", "whiskey", True), ("colour", "colours", True), ("stone", "stones", False), ("fighting", "lighting", False),
    ("station", "stations", True), ("station", "stating", False), ("kitten", "kittens", True), ("kitten", "kitten", True),
    ("kitten", "sitting", False),
])  # fmt: skip
def test_neighbours(one, other, same):
    assert neighbours(one, other) is neighbours(other, one) is same


@pytest.mark.skipif(not DATA.is_file(), reason="data/listqa.jsonl is not here: dvc pull data.dvc")
def test_in_the_data_every_form_is_its_thing_and_no_trick_of_the_question_is_an_answer():
    for number, found in enumerate(read_records(DATA)):
        assert len(found.valid) == len(set(found.right)) >= 5, found.id
        assert [LISTQA.answer(found, text) for text in found.references] == found.references, found.id
        assert LISTQA.answer(found, found.prompt) is None, found.prompt
        last = found.prompt.rstrip(".").rpartition(" ")[2].strip('"')
        assert LISTQA.answer(found, last) is None or found.stratum in ("place", "start", "ending"), found.prompt  # "art" starts with "art"
        forms = {form: line.split(" | ")[0] for line in found.valid for form in line.split(" | ")} if number % 10 == 0 else {}
        wrong = [form for form, thing in forms.items() if LISTQA.answer(found, form) not in (thing, None)]
        assert len(wrong) <= 0.02 * len(forms), (found.id, wrong[:5])
