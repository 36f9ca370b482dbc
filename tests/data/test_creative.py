"""creative from a WordNet that is small enough to check by hand."""

from itertools import combinations, product

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.data import creative, wordnet
from polychromic.data.creative import Example, build, content_lemmas, examples, group_of, is_finite, keyword_sets, sentences
from polychromic.data.domains.creative import DOMAIN
from polychromic.data.records import read_records
from polychromic.data.text import normalised, words
from polychromic.data.wordnet import Lexicon, WordNet
from tests.workspace import REPOSITORY

DATA = REPOSITORY / "data" / "creative.jsonl"
NOUNS = "dog cat horse farmer teacher river garden bridge child leaf apple window kitchen bottle hill boat".split()
COUNTS = {
    **{f"{noun}%1:00:00::": 30 for noun in NOUNS},
    **{"see%2:00:00::": 90, "saw%1:00:00::": 2, "leave%2:00:00::": 60, "leave%1:00:00::": 20, "hop%2:00:00::": 30, "hope%2:00:00::": 40},
    **{"seed%1:00:00::": 9, "happy%3:00:00::": 30, "big%5:00:00:large:00": 30, "numb%3:00:00::": 5, "number%1:00:00::": 50},
    **{"find%2:00:00::": 80, "travel%2:00:00::": 30, "sing%2:00:00::": 30, "singe%2:00:00::": 1, "quince%1:00:00::": 3},
    **{"word%1:00:00::": 90, "kill%2:00:00::": 30, "run_into%2:00:00::": 99, "dream%2:00:00::": 30},
    **{f"{noun}%1:00:00::": 1 for noun in ("box", "city", "day", "hero")},
    **{f"{verb}%2:00:00::": 1 for verb in ("bake", "try", "lie", "go", "dye")},
}  # fmt: skip
IRREGULAR = {
    "noun": "children child\nleaves leaf\n",
    "verb": "saw see\nseen see\nleft leave\nhopped hop\nhopping hop\nfound find\ntravelled travel\ntravelling travel\n"
    "sang sing\nsung sing\ndreamt dream\n",
    "adj": "bigger big\nbiggest big\nafter after\n",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "cntlist.rev").write_text("".join(f"{key} 1 {count}\n" for key, count in COUNTS.items()))
    for part, text in IRREGULAR.items():
        (tmp_path / f"{part}.exc").write_text(text)
    monkeypatch.setattr(wordnet, "FOLDER", tmp_path)
    monkeypatch.setattr(wordnet, "SHA256", {})
    return tmp_path


@pytest.fixture
def lexicon(folder):
    return Lexicon()


def noun(text: str) -> Example:
    return Example(text, "noun", ("thing",))


@pytest.mark.parametrize(("lemma", "has", "lacks"), [
    ("box", "boxes", "boxs"), ("city", "cities", "citys"), ("day", "days", "daies"), ("hero", "heroes heros", ""),
    ("bake", "bakes baked baking", "bakeing"), ("try", "tries tried trying", "tryed"), ("lie", "lying lied", "lieing"),
    ("go", "goes gos going", ""), ("dye", "dyeing dyed", "dying"),
    ("child", "child children", "childs"), ("leaf", "leaf leaves", "leave"), ("hop", "hop hops hopped hopping", "hoped hoping"),
    ("see", "see sees saw seen seeing", "seed"),  # "seed" is another word
    ("sing", "sang sung singing", "singed"), ("travel", "travelled traveled travelling traveling", ""), ("dream", "dreamt dreamed", ""),
    ("leave", "leaves leaving left", ""), ("happy", "happier happiest", "happys"), ("big", "bigger biggest", ""),
    ("numb", "numb", "number"),
])  # fmt: skip
def test_forms(lexicon, lemma, has, lacks):
    assert set(has.split()) <= lexicon.forms(lemma) and not set(lacks.split()) & lexicon.forms(lemma)
    assert lexicon.lemmas("saw") == ["see", "saw"] and lexicon.lemmas("leaves") == ["leave", "leaf"] and lexicon.lemmas("xyz") == []
    assert lexicon.part("leave") == "verb" and lexicon.part("big") == "adj" and lexicon.part("xyz") == ""
    assert lexicon.count("leave") == 80 and lexicon.count("leave", "noun") == 20 and lexicon.count("run") == 0


def test_missing_and_other_files_are_refused(folder, monkeypatch):
    for name, act in (("verb.exc", Lexicon), ("data.noun", WordNet), ("data.noun", lambda: list(examples()))):
        (folder / name).unlink(missing_ok=True)
        with pytest.raises(PolychromicError, match=rf"{name}: file not found.*apt-get install wordnet-base"):
            act()
    monkeypatch.undo()
    monkeypatch.setattr(wordnet, "FOLDER", folder)
    for act in (Lexicon, WordNet):
        with pytest.raises(PolychromicError, match=r"cntlist\.rev: sha256 is .*allowed is a198580b"):
            act()


def test_examples_are_read_without_quotations_of_authors(folder):
    go = '30 v 02 leave 0 go_away 0 000 | go; "He left the house"; "To be or not"- Shakespeare  '
    dog, big = '13 n 01 dog 0 000 | an animal; "the dog ran"; "a big  dog"  ', "00 a 01 big 0 000 | large"
    for part, line in {"noun": dog, "verb": go, "adj": big, "adv": big}.items():
        (folder / f"data.{part}").write_text(f"  1 This software\n00000001 {line}\n")
    dog, other, left = examples()
    assert (dog, other[:2]) == (("the dog ran", "noun", ("dog",)), ("a big dog", "noun"))
    assert left == ("He left the house", "verb", ("leave", "go away"))


FIND = ("verb", ("find",))
THING = ("noun", ("thing",))
WHOLE = [
    *(("the dog was in the garden", THING), ("the dog took the bottle to the river", THING), ("he found the bottle in the garden", THING)),
    *(("a dog that was in the garden is here", THING), ("The farmer found the bottle", FIND), ("Dogs find the bottle", FIND)),
]
PHRASES = [
    *(("the dog of the old farmer", THING), ("he and the dog in the garden", THING), ("the terms of the will of a farmer", THING)),
    *(("dogs were in the garden", THING), ("a dog that was in the garden", THING)),  # no pronoun or determiner; a relative clause alone
    *(("the farmer found the bottle", FIND), ("Find the bottle in the garden", FIND)),
]


@pytest.mark.parametrize(("text", "entry", "whole"), [*((*row, True) for row in WHOLE), *((*row, False) for row in PHRASES)])
def test_whole_sentences_are_told_from_phrases(lexicon, text, entry, whole):
    assert is_finite(Example(text, *entry), words(text), lexicon) == whole


DROPPED = """
he was here
he was in Paris with the dog
he was in the garden; the dog left
he was in the garden (with the dog)
he was 7 years old by then
he was told to kill the dog
he was killed by the big dog
he was a bastard to the dog
he was a man of few words
he was old, old, old, old, old
he was a caf\u00e9 owner in the hills
Anna was in the garden with the dog
"""


def test_sentences_are_chosen_and_get_a_capital_and_a_full_stop_once_and_keywords_are_common_and_clear(lexicon):
    for text in [*DROPPED.strip().splitlines(), "he was " + "very " * 20 + "old"]:
        assert sentences([noun(text)], lexicon) == [], text
    again = Example("He was in the big garden!", "verb", ("be",))
    found = sentences([noun("he was in the big garden"), again, noun("is it there, or was I wrong?")], lexicon)
    assert found == ["He was in the big garden."]
    assert content_lemmas("The children left a quince and the biggest words in the garden.", lexicon) == ["big", "child", "garden", "leave"]
    assert content_lemmas("The leaves of it.", lexicon) == [], "leave or leaf"


def corpus() -> list[Example]:
    made = [f"The {a} was very near the {b} of the big {c}" for a, b, c in product(NOUNS[:8], NOUNS[8:12], NOUNS[12:])]
    return [noun(text) for text in made] + [noun(f"He was happy with the {a} and some {b}") for a, b in product(NOUNS[:4], NOUNS[4:])]


WANTED = {2: 14, 3: 12, 4: 4}


@pytest.fixture
def records(lexicon, monkeypatch):
    monkeypatch.setattr(creative, "near_duplicates", lambda texts: [])  # these sentences are alike by design
    return build(corpus(), lexicon, WANTED)


def test_records_are_complete_sorted_and_valid_whatever_the_order_of_the_examples(records, lexicon):
    assert [r.id for r in records] == sorted(r.id for r in records) and len({r.id for r in records}) == 30
    assert sorted(len(r.valid) for r in records) == [2] * 14 + [3] * 12 + [4] * 4
    for r in records:
        keywords = [line.split()[0] for line in r.valid]
        assert r.prompt == f"Write one sentence that uses these words: {', '.join(keywords)}."
        assert r.stratum.startswith(f"{len(keywords)}_") and (r.domain, r.checker, r.licence) == ("creative", "set", "WordNet-3.0")
        assert [set(line.split()) for line in r.valid] == [lexicon.forms(keyword) for keyword in keywords]
        assert all(DOMAIN.answer(r, text) for text in r.references) and not DOMAIN.answer(r, r.prompt)
    assert build(corpus()[::-1], lexicon, WANTED) == records
    with pytest.raises(PolychromicError, match=r"too few sentences pass the filters \(\d+ of 900 with 2 keywords\)"):
        build(corpus(), lexicon, {2: 900})


def test_every_sentence_that_holds_the_keywords_is_a_reference(lexicon):
    texts = ["The dog was near the old bridge.", "A dog is under both of the bridges.", "The cat was near the old river."]
    found = {frozenset(keywords): references for keywords, references in keyword_sets(texts, lexicon, {2: 2}).items()}
    assert found == {frozenset({"dog", "bridge"}): texts[:2], frozenset({"cat", "river"}): texts[2:]}
    # One group: a pair of the first is in the second, whose reference is in the third; a word alone joins nothing.
    alike = {("dog", "cat"): ["a"], ("cat", "horse", "dog"): ["b"], ("river", "hill"): ["b", "c"]}
    groups = group_of(alike | {("boat", "dog"): ["d"]})
    assert len({groups[keywords] for keywords in alike}) == 1 and groups["boat", "dog"] == "words-boat-dog"


@pytest.mark.skipif(not DATA.is_file(), reason="data/creative.jsonl is not here: dvc pull data.dvc")
def test_the_shipped_file():
    """No sentence and no pair of keywords stands in two groups, so none in two parts of a split."""
    records, first = read_records(DATA), {}
    assert len(records) >= 1500 and {r.source for r in records} == {wordnet.SOURCE}
    for r in records:
        assert all(text.isascii() and 5 <= len(words(text)) <= 20 for text in r.references)
        for thing in [*map(frozenset, combinations([line.split()[0] for line in r.valid], 2)), *map(normalised, r.references)]:
            assert first.setdefault(thing, r.group) == r.group
