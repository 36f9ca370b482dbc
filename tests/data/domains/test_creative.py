"""Creative: each constraint holds or fails by itself, whatever the references say."""

from __future__ import annotations

import numpy as np
import pytest

from polychromic.data.domains.creative import MAX_WORDS, Creative, is_list, is_one_sentence, words
from polychromic.data.records import Record, read_records
from tests.workspace import REPOSITORY

DOMAIN = Creative()
RUN, CHILD, HAPPY, TREE = "run ran running runs", "child children", "happy happier happiest", "tree trees"
HAPPIEST = "The happiest child ran to the sea."
DATA = REPOSITORY / "data" / "creative.jsonl"
PROMPT = "Write one sentence that uses these words: run, child."


def record(*valid: str) -> Record:
    common = {"group": "g", "stratum": "s", "checker": "set", "source": "made", "licence": "MIT"}
    return Record(id="c", domain="creative", prompt=PROMPT, references=["x"], valid=list(valid), **common)


TWO = record(RUN, CHILD)
VALID = [
    "The children ran to the sea.",
    "A CHILD RUNS TO THE SEA!",
    "Why is the child running to the sea?",
    "  The child's dog ran to the sea.\n",
    "The child\u2019s dog ran to the sea.",
    "\u201cThe children ran to the sea.\u201d",
    "Running is what a well-fed child loves.",
    "The ch\u00efld r\u00e1n to the c\u00f4te d'Azur \U0001f3d6.",
]
INVALID = [
    *("The grandchildren ran to the sea.", "The child runner went to the sea."),  # another word
    *("The children went to the sea.", "They ran to the blue sea."),  # a keyword is missing
    *("The children ran to the sea", "The children ran to the sea,"),  # no end
    *("1. The children ran to the sea.", "- The children ran to the sea.", "**The children ran to the sea.**"),
    *("The children ran. They fell into the sea.", "The children ran to the sea.They fell.", "The children ran to the sea.\nThe end."),
    "The children\nran to the sea.",
    *("Children ran here.", "Child, run."),  # too short
    *("Run, child, run, child, run.", "Run, child, sea, tree and sky."),  # a list
    "The child ran and ran and ran and ran and ran and ran.",  # a loop
    *("These words, run and child, go well together.", "Here is a sentence about a child on the run."),  # talk about the task
    PROMPT,
    *("", " \n", ".", "\U0001f600\U0001f600\U0001f600", "\u5b50\u4f9b\u304c\u8d70\u308b\u3002"),
]


@pytest.mark.parametrize(("reply", "good"), [*((reply, True) for reply in VALID), *((reply, False) for reply in INVALID)])
def test_a_reply_is_valid_when_all_constraints_hold(reply, good):
    """Neither vectors nor references are asked for."""
    assert (DOMAIN.answer(TWO, reply) is not None) == good
    quality = DOMAIN.training_quality(TWO, [reply], lambda texts: pytest.fail("asked for vectors"))
    assert quality.dtype == np.float64 and quality.tolist() == [float(good)]
    assert DOMAIN.training_quality(TWO.model_copy(update={"references": [reply]}), [reply], None).tolist() == quality.tolist()


FILLER = " ".join(f"w{chr(97 + i)}" for i in range(MAX_WORDS - 2))


@pytest.mark.parametrize(("keywords", "reply", "good"), [
    ([RUN, CHILD], f"Children ran {FILLER}.", True), ([RUN, CHILD], f"Children ran {FILLER} more.", False),
    ([RUN, CHILD], "Children ran to the sea.", True), ([RUN, CHILD], "Children ran there today.", False),  # length
    ([RUN], HAPPIEST, True), ([RUN, CHILD], HAPPIEST, True), ([RUN, CHILD, HAPPY], HAPPIEST, True),  # every keyword is needed
    ([RUN, TREE], HAPPIEST, False), ([RUN, CHILD, TREE], HAPPIEST, False), ([RUN, CHILD, HAPPY, TREE], HAPPIEST, False),
    ([RUN, CHILD, HAPPY], "The happy child will run.", False), ([RUN, CHILD, HAPPY], "The happy child will run home.", True),
])  # fmt: skip
def test_length_keywords_and_other_words(keywords, reply, good):
    assert DOMAIN.holds(record(*keywords), reply) == good


ONE = """
Mr. Smith ran home.
He met J. R. Smith.
The U.S. Army ran.
He paid 3.5 dollars.
He came at 5 p.m. and left.
"Stop!" he said.
I ran... and fell.
The dog ran!!!
It rained; we ran (and fell).
"""
MORE = """
I ran... Then I fell.
"Stop!" He ran.
What?! No.
So do I. He left.
i went home. he stayed.
He ran\uff01 She ran.
He ran\u3002She ran.
"""


@pytest.mark.parametrize(("texts", "one"), [(ONE, True), (MORE, False)])
def test_one_sentence(texts, one):
    for text in texts.strip().splitlines():
        assert is_one_sentence(text) == one, text


def test_words_are_folded_and_lists_are_told_from_sentences_with_commas():
    assert words("The dog\u2019s well-known \ufb01g, don't!") == ["the", "dog", "well", "known", "fig", "don't"]
    assert is_list("Dog, run, fence, tree and sky.") and is_list("Dog: run; fence.")
    assert not is_list("He believed her story hook, line, and sinker.") and not is_list("If it rains, we stay, and read.")


def test_the_key_joins_spellings_and_is_what_the_answer_gives():
    a, b = "The children ran to the sea.", "the children RAN, to the sea!"
    assert DOMAIN.key(TWO, a) == DOMAIN.key(TWO, b) == DOMAIN.answer(TWO, a) == "the children ran to the sea"
    assert DOMAIN.key(TWO, a) != DOMAIN.key(TWO, "The child ran to the sea.")


@pytest.mark.skipif(not DATA.is_file(), reason="data/creative.jsonl is not here: dvc pull data.dvc")
def test_what_people_wrote_passes():
    records = read_records(DATA)
    held = [DOMAIN.holds(found, text) for found in records for text in found.references]
    assert np.mean(held) >= 0.99
    assert not any(DOMAIN.holds(found, found.prompt) for found in records), "the prompt is no reply to itself"
    swapped = [DOMAIN.holds(a, b.references[0]) for a, b in zip(records, records[1:] + records[:1], strict=True)]
    assert np.mean(swapped) < 0.01, "a sentence for other words is no reply"
