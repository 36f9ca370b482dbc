"""What a good reply is in each domain but code, and when two replies are the same answer."""

from __future__ import annotations

import numpy as np
import pytest

from polychromic.base.errors import UsageError
from polychromic.data.domains import Domain, domain_names, get_domain, normalise
from polychromic.data.domains.creative import MAX_WORDS as LONGEST_SENTENCE
from polychromic.data.domains.creative import is_list, is_one_sentence, words
from polychromic.data.records import Record, read_records
from polychromic.models import prompts
from polychromic.params import load_params
from tests.run_tools import Readers
from tests.workspace import REPOSITORY

CREATIVE, REPLIES = map(get_domain, ("creative", "replies"))


def record(domain: str, *valid: str, prompt: str = "Name one.", references: tuple[str, ...] = ("x",)) -> Record:
    common = {"group": "g", "stratum": "s", "checker": "set" if valid else "person", "source": "made", "licence": "MIT"}
    return Record(id="r", domain=domain, prompt=prompt, references=list(references), valid=list(valid), **common)


@pytest.mark.parametrize(("reply", "form"), [
    ("Apple", "apple"), ("  An APPLE. ", "apple"), ("a pear!", "pear"), ("The Netherlands", "netherlands"), ("one cherry\n", "cherry"),
    ("some  red   wine", "red wine"), ("Côte d’Ivoire", "cote d ivoire"), ("São Tomé and Príncipe", "sao tome and principe"),
    ("jack-in-the-box", "jack in the box"), ("theatre", "theatre"), ("another", "another"), ("onerous", "onerous"), ("A", "a"),
    ("ﬁg", "fig"), ("...", ""), ("", ""), ("🍎 apple", "apple"), ("Россия", "россия"), ("\u200b", ""),
    ("ap\u200bple", "apple"), ("C++", "c++"), ("C#!", "c#"), ("+", ""), ("が", "が"), ("й", "й"),
])  # fmt: skip
def test_normalise(reply, form):
    assert normalise(reply) == form == normalise(form)


def test_the_table_of_domains():
    """Each module of the folder is a domain under its own name, with a section of params.yaml and prompts of its own."""
    params = load_params(REPOSITORY / "params.yaml")
    assert domain_names() == ["code", "creative", "listqa", "replies"]
    for name in domain_names():
        domain = get_domain(name)
        assert domain.name == name
        assert domain.checker in ("set", "person") and domain.similarity in ("exact", "semantic")
        metrics = set(params.domain(name).metrics)
        assert "semantic_diversity" in metrics
        if name in params.domains:
            assert {params.endpoint(name).primary, params.endpoint(name).quality} <= metrics, "the metrics that contrasts are about"
        assert all(prompts.variant(name, params.methods[m].prompt) for m in params.methods if params.runs(m, name))
    for name in ("poems", "__init__", "../listqa"):
        with pytest.raises(UsageError, match=f"domain '{name}' does not exist. Allowed: code, creative, listqa, replies."):
            get_domain(name)


RUN, CHILD, HAPPY, TREE = "run ran running runs", "child children", "happy happier happiest", "tree trees"
HAPPIEST = "The happiest child ran to the sea."
DATA = REPOSITORY / "data" / "creative.jsonl"
PROMPT = "Write one sentence that uses these words: run, child."
TWO = record("creative", RUN, CHILD, prompt=PROMPT)
VALID = [
    *("The children ran to the sea.", "A CHILD RUNS TO THE SEA!", "Why is the child running to the sea?"),
    *("  The child's dog ran to the sea.\n", "The child\u2019s dog ran to the sea.", "\u201cThe children ran to the sea.\u201d"),
    *("Running is what a well-fed child loves.", "The ch\u00efld r\u00e1n to the c\u00f4te d'Azur \U0001f3d6."),
]
INVALID = [
    *("The grandchildren ran to the sea.", "The child runner went to the sea."),  # another word
    *("The children went to the sea.", "They ran to the blue sea."),  # a keyword is missing
    *("The children ran to the sea", "The children ran to the sea,"),  # no end
    *("1. The children ran to the sea.", "- The children ran to the sea.", "**The children ran to the sea.**"),
    *("The children ran. They fell into the sea.", "The children ran to the sea.They fell.", "The children ran to the sea.\nThe end."),
    *("The children\nran to the sea.", "Children ran here.", "Child, run."),  # two lines, too short
    *("Run, child, run, child, run.", "Run, child, sea, tree and sky.", "The child ran and ran and ran and ran and ran."),  # list, loop
    *(PROMPT, "These words, run and child, go well together.", "Here is a sentence about a child on the run."),  # talk about the task
    *("", " \n", ".", "\U0001f600\U0001f600\U0001f600", "\u5b50\u4f9b\u304c\u8d70\u308b\u3002"),
]


FILLER = " ".join(f"w{chr(97 + i)}" for i in range(LONGEST_SENTENCE - 2))


@pytest.mark.parametrize(("keywords", "reply", "good"), [
    *(([RUN, CHILD], reply, True) for reply in VALID), *(([RUN, CHILD], reply, False) for reply in INVALID),
    ([RUN, CHILD], f"Children ran {FILLER}.", True), ([RUN, CHILD], f"Children ran {FILLER} more.", False),
    ([RUN, CHILD], "Children ran to the sea.", True), ([RUN, CHILD], "Children ran there today.", False),  # length
    ([RUN], "He ran here today.", False), ([RUN, CHILD], "The very old child ran ran ran ran ran ran ran.", False),  # too short, a loop
    ([RUN], HAPPIEST, True), ([RUN, CHILD], HAPPIEST, True), ([RUN, CHILD, HAPPY], HAPPIEST, True),  # every keyword is needed
    ([RUN, TREE], HAPPIEST, False), ([RUN, CHILD, TREE], HAPPIEST, False), ([RUN, CHILD, HAPPY, TREE], HAPPIEST, False),
    ([RUN, CHILD, HAPPY], "The happy child will run.", False), ([RUN, CHILD, HAPPY], "The happy child will run home.", True),
])  # fmt: skip
def test_a_reply_is_valid_when_all_constraints_hold(keywords, reply, good):
    """Neither vectors nor references are asked for."""
    asked = record("creative", *keywords, prompt=PROMPT).model_copy(update={"references": [reply]})
    assert (CREATIVE.answer(asked, reply) is not None) == good
    found = lambda *fluency, words=25: CREATIVE.training_quality(
        asked, [reply], Readers(fluent={reply: fluency}, words=words, fluency=[-4, -8])
    )
    assert found(-1, -8).tolist() == [float(good)]
    assert found(-4.5, -5).tolist() == found(-1, -8.5).tolist() == found(-1, -2, words=4).tolist() == [0.0], "not fluent, or too long"


TRICKS = [  # what training found at full dose, and other ways to keep the rules without a sentence
    "The person allowed the person's person to run to a child.",
    "The child ran a child to children.",
    "She ran her coat fit in her coat, child.",
    "The running runner's child ran.",
    "The child run run run through it all.",
]


@pytest.mark.parametrize("reply", TRICKS)
def test_a_content_word_twice_is_no_good_sentence(reply):
    assert CREATIVE.answer(TWO, reply) is None


def test_the_judge_of_sentences_knows_the_order_of_words_and_which_others_they_share():
    people = [
        f"The {noun} {verb} to the {place}."
        for noun in ("child", "dog", "man")
        for verb in ("went", "came", "ran")
        for place in ("sea", "hill")
    ]
    fitted = CREATIVE.held_out_norms([TWO.model_copy(update={"references": people})], Readers())
    judge = Readers(lambda texts: pytest.fail("asked for vectors"), **fitted)
    good, salad, rule = "The child ran to the hill.", "Ran the to hill child the.", "The child went to the hill."
    assert CREATIVE.held_out_quality(TWO, [good, salad, rule], judge).tolist() == [1.0, 0.0, 0.0]
    same = CREATIVE.held_out_similarity(
        TWO, [good, "A child runs round the hill!", "The child ran up a sea.", "Children run to be there."], judge
    )
    assert np.diag(same).tolist() == [1.0] * 4
    assert same[0, 1] == 0.5, "hill, of hill and round"
    assert same[0, 2] == 0 == same[0, 3], "keywords do not count"


def test_how_alike_two_people_s_replies_are_is_alike_no_more():
    angles = {"x": 0.0, "y": 1.0, "z": 0.5}
    lookup = lambda texts: np.array([[np.cos(angles[text]), np.sin(angles[text])] for text in texts], dtype=np.float32)
    pair = record("replies", references=("x", "y"))
    floor = Domain().norms([pair, record("replies", references=("x", "x"))], Readers(lookup))["cosine"]
    assert floor == pytest.approx(np.cos(1.0), abs=1e-6)
    same = REPLIES.alike(pair, ["x", "y", "z"], Readers(lookup, cosine=floor))
    assert same[0].tolist() == pytest.approx([1.0, 0.0, (np.cos(0.5) - floor) / (1 - floor)], abs=1e-6) and (same == same.T).all()
    assert Domain().norms([record("replies")], Readers(lookup)) == {"cosine": 0.0}, "one reply says nothing: cosines stay as they are"


@pytest.mark.parametrize(("texts", "one"), [
    ("Mr. Smith ran home.|He met J. R. Smith.|The U.S. Army ran.|He paid 3.5 dollars.|He came at 5 p.m. and left.", True),
    ('"Stop!" he said.|I ran... and fell.|The dog ran!!!|It rained; we ran (and fell).', True),
    ('I ran... Then I fell.|"Stop!" He ran.|What?! No.|So do I. He left.|i went home. he stayed.', False),
    ("He ran\uff01 She ran.|He ran\u3002She ran.", False),
])  # fmt: skip
def test_one_sentence(texts, one):
    assert [text for text in texts.split("|") if is_one_sentence(text) != one] == []


def test_words_are_folded_and_lists_are_told_from_sentences_with_commas():
    a, b = "The children ran to the sea.", "the children RAN, to the sea!"
    assert CREATIVE.key(TWO, a) == CREATIVE.key(TWO, b) == CREATIVE.answer(TWO, a) == "the children ran to the sea"
    assert CREATIVE.key(TWO, a) != CREATIVE.key(TWO, "The child ran to the sea.")
    assert words("The dog\u2019s well-known \ufb01g, don't!") == ["the", "dog", "well", "known", "fig", "don't"]
    assert is_list("Dog, run, fence, tree and sky.") and is_list("Dog: run; fence.")
    assert not is_list("He believed her story hook, line, and sinker.") and not is_list("If it rains, we stay, and read.")


@pytest.mark.skipif(not DATA.is_file(), reason="data/creative.jsonl is not here: dvc pull data.dvc")
def test_what_people_wrote_passes():
    records = read_records(DATA)
    held = [CREATIVE.answer(found, text) is not None for found in records for text in found.references]
    assert np.mean(held) >= 0.97, "two in a hundred of people's sentences say a content word twice"
    assert not any(CREATIVE.answer(found, found.prompt) for found in records), "the prompt is no reply to itself"
    swapped = [CREATIVE.answer(a, b.references[0]) is not None for a, b in zip(records, records[1:] + records[:1], strict=True)]
    assert np.mean(swapped) < 0.01, "a sentence for other words is no reply"
