"""Creative: each constraint holds or fails by itself, whatever the references say."""

from __future__ import annotations

import numpy as np
import pytest

from polychromic.data import creative as builder
from polychromic.data.domains import creative
from polychromic.data.domains.creative import MAX_WORDS, Creative, is_list, is_one_sentence, words
from polychromic.data.records import Record, read_records
from tests.workspace import REPOSITORY

DOMAIN = Creative()
RUN, CHILD, HAPPY = "run ran running runs", "child children", "happy happier happiest"
DATA = REPOSITORY / "data" / "creative.jsonl"


def record(*valid: str, references: tuple[str, ...] = ("x",)) -> Record:
    return Record(
        id="c", domain="creative", prompt="Write one sentence that uses these words: run, child.", references=list(references), group="g",
        stratum="s", checker="set", valid=list(valid), source="made", licence="MIT",
    )  # fmt: skip


TWO = record(RUN, CHILD)


@pytest.mark.parametrize(
    ("reply", "good"),
    [
        ("The children ran to the sea.", True),
        ("A CHILD RUNS TO THE SEA!", True),
        ("Why is the child running to the sea?", True),
        ("  The child's dog ran to the sea.\n", True),
        ("The child\u2019s dog ran to the sea.", True),
        ("\u201cThe children ran to the sea.\u201d", True),
        ("Running is what a well-fed child loves.", True),
        ("The ch\u00efld r\u00e1n to the c\u00f4te d'Azur \U0001f3d6.", True),
        ("The grandchildren ran to the sea.", False),  # another word
        ("The child runner went to the sea.", False),
        ("The children went to the sea.", False),  # no keyword "run"
        ("They ran to the blue sea.", False),
        ("The children ran to the sea", False),  # no end
        ("The children ran to the sea,", False),
        ("1. The children ran to the sea.", False),
        ("- The children ran to the sea.", False),
        ("**The children ran to the sea.**", False),
        ("The children ran. They fell into the sea.", False),
        ("The children ran to the sea.They fell.", False),
        ("The children ran to the sea.\nThe end.", False),
        ("The children\nran to the sea.", False),
        ("Children ran here.", False),  # too short
        ("Child, run.", False),
        ("Run, child, run, child, run.", False),
        ("Run, child, sea, tree and sky.", False),  # a list
        ("The child ran and ran and ran and ran and ran and ran.", False),  # a loop
        ("These words, run and child, go well together.", False),  # talk about the task
        ("Write one sentence that uses these words: run, child.", False),  # the prompt
        ("Here is a sentence about a child on the run.", False),
        ("", False),
        (" \n", False),
        (".", False),
        ("\U0001f600\U0001f600\U0001f600", False),
        ("\u5b50\u4f9b\u304c\u8d70\u308b\u3002", False),
    ],
)
def test_a_reply_is_valid_when_all_constraints_hold(reply, good):
    assert (DOMAIN.answer(TWO, reply) is not None) == good
    assert DOMAIN.training_quality(TWO, [reply], None).tolist() == [float(good)]


def test_length_is_bounded_on_both_sides():
    filler = " ".join(f"w{chr(97 + i)}" for i in range(MAX_WORDS - 2))
    assert DOMAIN.holds(TWO, f"Children ran {filler}.") and not DOMAIN.holds(TWO, f"Children ran {filler} more.")
    assert DOMAIN.holds(TWO, "Children ran to the sea.") and not DOMAIN.holds(TWO, "Children ran there today.")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_keyword_is_needed(number):
    said = "The happiest child ran to the sea."
    keywords = [RUN, CHILD, HAPPY, "sea seas"]
    assert DOMAIN.holds(record(*keywords[:number]), said) and not DOMAIN.holds(record(*keywords[:number], "tree trees"), said)


def test_a_sentence_of_keywords_and_fillers_needs_three_other_words():
    assert not DOMAIN.holds(record(RUN, CHILD, HAPPY), "The happy child will run.")
    assert DOMAIN.holds(record(RUN, CHILD, HAPPY), "The happy child will run home.")


@pytest.mark.parametrize(
    ("text", "one"),
    [
        ("Mr. Smith ran home.", True),
        ("He met J. R. Smith.", True),
        ("The U.S. Army ran.", True),
        ("He paid 3.5 dollars.", True),
        ("He came at 5 p.m. and left.", True),
        ('"Stop!" he said.', True),
        ("I ran... and fell.", True),
        ("The dog ran!!!", True),
        ("It rained; we ran (and fell).", True),
        ("I ran... Then I fell.", False),
        ('"Stop!" He ran.', False),
        ("What?! No.", False),
        ("So do I. He left.", False),
        ("i went home. he stayed.", False),
        ("He ran\uff01 She ran.", False),
        ("He ran\u3002She ran.", False),
    ],
)
def test_one_sentence(text, one):
    assert is_one_sentence(text) == one


def test_lists_and_sentences_with_commas():
    assert is_list("Dog, run, fence, tree and sky.") and is_list("Dog: run; fence.")
    assert not is_list("He believed her story hook, line, and sinker.") and not is_list("If it rains, we stay, and read.")


def test_words_are_folded():
    assert words("The dog\u2019s well-known \ufb01g, don't!") == ["the", "dog", "well", "known", "fig", "don't"]


def test_the_key_joins_spellings_and_is_what_the_answer_gives():
    a, b = "The children ran to the sea.", "the children RAN, to the sea!"
    assert DOMAIN.key(TWO, a) == DOMAIN.key(TWO, b) == DOMAIN.answer(TWO, a) == "the children ran to the sea"
    assert DOMAIN.key(TWO, a) != DOMAIN.key(TWO, "The child ran to the sea.")


def test_references_and_vectors_are_never_asked_for():
    def embed(texts):
        pytest.fail("asked for vectors")

    reply = "The children ran to the sea."
    quality = DOMAIN.training_quality(TWO, [reply, "No."], embed)
    assert quality.dtype == np.float64 and quality.tolist() == [1.0, 0.0]
    others = record(RUN, CHILD, references=("something else", reply))
    assert DOMAIN.training_quality(others, [reply, "No."], embed).tolist() == quality.tolist()


def test_builder_and_checker_agree_on_what_is_talk_about_the_task():
    assert builder.TASK == creative.TASK


@pytest.mark.skipif(not DATA.is_file(), reason="data/creative.jsonl is not here: dvc pull data.dvc")
def test_what_people_wrote_passes():
    records = read_records(DATA)
    held = [DOMAIN.holds(found, text) for found in records for text in found.references]
    assert np.mean(held) >= 0.99
    assert not any(DOMAIN.holds(found, found.prompt) for found in records), "the prompt is no reply to itself"
    swapped = [DOMAIN.holds(a, b.references[0]) for a, b in zip(records, records[1:] + records[:1], strict=True)]
    assert np.mean(swapped) < 0.01, "a sentence for other words is no reply"
