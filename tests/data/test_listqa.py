"""listqa on a WordNet and a world small enough to check by hand."""

import json
from types import SimpleNamespace

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.data import listqa
from polychromic.data import wordnet as files
from polychromic.data.wordnet import WordNet

FRUITS = ["apple", "pear", "plum", "fig", "kiwi", "lime", "date", "quince", "medlar", "papaya", "sloe"]


def write_wordnet(folder, synsets, counts):
    """synsets: {offset: (lexfile, lemmas, pointers)}; counts: {(lemma, lexfile): tag count}."""
    lines, senses = [], {}
    for offset, (lexfile, lemmas, pointers) in synsets.items():
        links = "".join(f"{symbol} {target:08d} n 0000 " for symbol, target in pointers)
        words = " ".join(f"{lemma} 0" for lemma in lemmas)
        lines.append(f"{offset:08d} {lexfile:02d} n {len(lemmas):02x} {words} {len(pointers):03d} {links}| gloss  \n")
        for lemma in lemmas:
            senses.setdefault(lemma.lower(), []).append(offset)
    index = [f"{lemma} n {len(found)} 1 ~ {len(found)} 1 {' '.join(f'{o:08d}' for o in found)}  \n" for lemma, found in senses.items()]
    keys = [f"{lemma.lower()}%1:{lexfile:02d}:00:: 1 {count}\n" for (lemma, lexfile), count in counts.items()]
    licence = "  1 This software and database is being provided to you, the LICENSEE\n"
    for name, text in (("data.noun", [licence, *lines]), ("index.noun", [licence, *index]), ("cntlist.rev", keys)):
        (folder / name).write_text("".join(text))


@pytest.fixture
def wordnet(tmp_path, monkeypatch):
    below = {200 + i: (13, [name], [("@", 100)]) for i, name in enumerate(FRUITS)}
    below[200] = (13, ["apple", "Malus_pumila"], [("@", 100), ("~", 300)])
    synsets = {
        100: (13, ["fruit"], [("~", offset) for offset in below]),
        **below,
        300: (13, ["russet", "shit"], [("@", 200)]),
        400: (13, ["nut"], [("~", 401)]),  # one hyponym: too small a category
        401: (13, ["almond"], [("@", 400)]),
    }
    counts = {("apple", 13): 9, ("pear", 13): 5, ("plum", 13): 5, ("fig", 13): 3, ("kiwi", 13): 1, ("russet", 13): 2, ("shit", 13): 50}
    write_wordnet(tmp_path, synsets, counts)
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    monkeypatch.setattr(files, "SHA256", {})
    return WordNet()


def test_words_counts_pointers_and_the_question_of_a_category(wordnet):
    apple = wordnet.senses("malus pumila")[0]
    assert (apple.lemmas, apple.counts, apple.hyponyms) == (("apple", "Malus pumila"), (9, 0), (300,))
    assert [s.offset for s in wordnet.below(wordnet.senses("fruit")[0])] == [*range(200, 211), 300]
    (question,) = listqa.wordnet_questions(wordnet, frozenset())
    assert question.prompt == "Name one kind of fruit."
    assert question.references == ["apple", "pear", "plum", "fig"] == question.valid[:4]  # by count, then alphabet
    assert set(question.valid) == {*FRUITS, "Malus pumila", "russet"}  # deep hyponyms and synonyms, nothing unsuitable


@pytest.fixture
def world(tmp_path, monkeypatch):
    rows = [
        {"name": "Netherlands", "population": 17, "borders": ["BEL", "GER", "FRA"]},
        {"name": "Belgium", "population": 11, "borders": ["NET", "GER"]},
        {"name": "Germany", "population": 80, "borders": ["NET", "BEL", "FRA", "GUA"]},
        {"name": "France", "population": 60, "borders": ["NET", "GER", "XXX"], "provinces": ["Brittany", "X (Y)"]},
        {"name": "Swaziland", "population": 1, "capital": ["Mbabané", "Lobamba"]},
        {"name": "Guam", "population": 99},  # a territory
    ]
    (tmp_path / "countries").mkdir()
    for row in rows:
        full = {"ISO": {"alpha3": row["name"][:3].upper()}, "capital": f"{row['name']} City", "region": "Europe", **row}
        (tmp_path / "countries" / f"{row['name']}.json").write_text(json.dumps(full))
    found = SimpleNamespace(version=listqa.COUNTRYINFO_VERSION, locate_file=lambda name: tmp_path / "countries")
    monkeypatch.setattr(listqa.metadata, "distributions", lambda name: [found])
    return listqa.load_countries()


def test_country_questions(world):
    found = {q.id.removeprefix("listqa-"): q for q in listqa.country_questions(world)}
    borders, capitals, europe = (found[key] for key in ("borders-netherlands", "capital-next-netherlands", "region-europe"))
    assert borders.prompt == "Name a country that borders the Netherlands."
    assert borders.references == ["Germany", "France", "Belgium"]  # by population
    assert found["borders-germany"].valid == ["France", "Netherlands", "Belgium"]  # the territory is no answer
    assert "borders-belgium" not in found  # two neighbours are too few
    assert capitals.valid == ["Germany City", "France City", "Belgium City"] and capitals.group == borders.group
    assert europe.references == ["Germany", "France", "Netherlands", "Belgium"]
    assert set(europe.valid) == {"Germany", "France", "Netherlands", "Belgium", "Eswatini", "Swaziland"}  # new and old name
    assert {"Mbabané", "Mbabane", "Lobamba"} <= set(found["capital-in-europe"].valid)
    assert not any(key.startswith("province") for key in found)  # nothing confirms them


def test_questions_with_the_same_answers_share_a_group():
    fruit = [f"f{i}" for i in range(10)]
    answers = {
        "fruit": fruit,
        "edible": [*fruit[:7], "a", "b"],  # Jaccard 7/12
        "produce": [*fruit, *(f"v{i}" for i in range(9))],  # holds all fruit, less than twice as many
        "food": [*fruit, *(f"w{i}" for i in range(40))],  # holds all fruit, five times as many
        "tool": ["saw", "axe"],
    }
    questions = [listqa.question("wordnet", key, f"Name one kind of {key}.", found, found, key) for key, found in answers.items()]
    questions.append(listqa.question("country", "other", "Name a country.", fruit, fruit, "other"))
    groups = dict(zip([*answers, "other"], (q.group for q in listqa.merge_groups(questions)), strict=True))
    assert groups["fruit"] == groups["edible"] == groups["produce"]
    assert len({groups[key] for key in ("fruit", "food", "tool", "other")}) == 4


def test_build_makes_complete_records_and_refuses_another_version_of_countryinfo(wordnet, world, monkeypatch):
    records = listqa.build(wordnet, world)
    assert [r.id for r in records] == sorted(r.id for r in records) and all(set(r.references) <= set(r.valid) for r in records)
    assert {(r.source.split()[0], r.licence) for r in records} == {("WordNet", "WordNet-3.0"), ("countryinfo", "MIT")}
    assert {r.stratum for r in records} == {"wordnet_few", "country_few"}
    monkeypatch.setattr(listqa.metadata, "distributions", lambda name: [SimpleNamespace(version="0.1.2")])
    with pytest.raises(PolychromicError, match=r"countryinfo is 0\.1\.2; .* needs 1\.0\.1"):
        listqa.load_countries()
