"""listqa on a WordNet and a world small enough to check by hand."""

import json

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.data import listqa
from polychromic.data.wordnet import SHA256, WordNet

FRUITS = ["apple", "pear", "plum", "fig", "kiwi", "lime", "date", "quince", "medlar", "papaya", "sloe"]


def synset_line(offset, lexfile, lemmas, pointers=()):
    words = " ".join(f"{lemma} 0" for lemma in lemmas)
    links = " ".join(f"{symbol} {target:08d} n 0000" for symbol, target in pointers)
    return f"{offset:08d} {lexfile:02d} n {len(lemmas):02x} {words} {len(pointers):03d} {links + ' ' if links else ''}| gloss  "


def write_wordnet(folder, synsets, counts):
    """synsets: {offset: (lexfile, lemmas, pointers)}; counts: {(lemma, lexfile): tag count}."""
    licence = "  1 This software and database is being provided to you, the LICENSEE\n"
    lines = [synset_line(offset, *rest) for offset, rest in synsets.items()]
    (folder / "data.noun").write_text(licence + "\n".join(lines) + "\n")
    senses = {}
    for offset, (_, lemmas, _) in synsets.items():
        for lemma in lemmas:
            senses.setdefault(lemma.lower(), []).append(offset)
    index = [f"{lemma} n {len(found)} 1 ~ {len(found)} 1 {' '.join(f'{o:08d}' for o in found)}  " for lemma, found in senses.items()]
    (folder / "index.noun").write_text(licence + "\n".join(index) + "\n")
    keys = [f"{lemma.lower()}%1:{lexfile:02d}:00:: 1 {count}" for (lemma, lexfile), count in counts.items()]
    (folder / "cntlist.rev").write_text("\n".join(keys) + "\n")
    return WordNet(folder, sha256={})


@pytest.fixture
def wordnet(tmp_path):
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
    return write_wordnet(tmp_path, synsets, counts)


def test_parser_reads_words_counts_and_pointers(wordnet):
    apple = wordnet.senses("malus pumila")[0]
    assert apple.lemmas == ("apple", "Malus pumila")
    assert apple.counts == (9, 0)
    assert apple.hyponyms == (300,)
    assert apple.hypernyms == (100,)
    assert [s.offset for s in wordnet.closure(wordnet.senses("fruit")[0], "hyponyms")] == [*range(200, 211), 300]


def test_missing_wordnet_names_the_package(tmp_path):
    with pytest.raises(PolychromicError, match=r"data\.noun: file not found.*apt-get install wordnet-base"):
        WordNet(tmp_path)


def test_another_wordnet_is_refused(wordnet, tmp_path):
    with pytest.raises(PolychromicError, match=f"allowed is {SHA256['data.noun']}"):
        WordNet(tmp_path)


def test_question_of_a_category(wordnet):
    (question,) = listqa.wordnet_questions(wordnet, frozenset())
    assert question.prompt == "Name one kind of fruit."
    assert question.references == ("apple", "pear", "plum", "fig")  # by count, then alphabet
    assert question.valid[:4] == question.references
    assert set(question.valid) == {*FRUITS, "Malus pumila", "russet"}  # deep hyponyms and synonyms, nothing unsuitable


def write_countries(folder, rows):
    for i, row in enumerate(rows):
        full = {"ISO": {"alpha3": row["name"][:3].upper()}, "capital": f"{row['name']} City", **row}
        (folder / f"{i}.json").write_text(json.dumps(full))
    return listqa.load_countries(folder)


@pytest.fixture
def world(tmp_path):
    folder = tmp_path / "countries"
    folder.mkdir()
    rows = [
        {"name": "Netherlands", "population": 17, "borders": ["BEL", "GER", "FRA"], "region": "Europe"},
        {"name": "Belgium", "population": 11, "borders": ["NET", "GER"], "region": "Europe"},
        {"name": "Germany", "population": 80, "borders": ["NET", "BEL", "FRA", "GUA"], "region": "Europe"},
        {"name": "France", "population": 60, "borders": ["NET", "GER", "XXX"], "region": "Europe", "provinces": ["Brittany", "X (Y)"]},
        {"name": "Swaziland", "population": 1, "region": "Europe", "capital": ["Mbabané", "Lobamba"]},
        {"name": "Guam", "population": 99, "region": "Europe"},  # a territory
    ]
    return write_countries(folder, rows)


def test_country_questions(world):
    questions = {q.key: q for q in listqa.country_questions(world)}
    borders = questions["borders-netherlands"]
    assert borders.prompt == "Name a country that borders the Netherlands."
    assert borders.references == ("Germany", "France", "Belgium")  # by population
    assert questions["borders-germany"].valid == ("France", "Netherlands", "Belgium")  # the territory is no answer
    assert "borders-belgium" not in questions  # two neighbours are too few
    assert questions["capital-next-netherlands"].valid == ("Germany City", "France City", "Belgium City")
    assert questions["capital-next-netherlands"].group == borders.group
    europe = questions["region-europe"]
    assert europe.references == ("Germany", "France", "Netherlands", "Belgium")
    assert set(europe.valid) == {"Germany", "France", "Netherlands", "Belgium", "Eswatini", "Swaziland"}  # new and old name
    assert {"Mbabané", "Mbabane", "Lobamba"} <= set(questions["capital-in-europe"].valid)
    assert not any(key.startswith("province") for key in questions)  # nothing confirms them


def test_questions_with_the_same_answers_share_a_group():
    def question(key, answers, family="wordnet"):
        return listqa.Question(key, f"Name one kind of {key}.", tuple(answers[:1]), tuple(answers), f"kind-{key}", family)

    fruit = [f"f{i}" for i in range(10)]
    groups = {
        q.key: q.group
        for q in listqa.merge_groups(
            [
                question("fruit", fruit),
                question("edible", [*fruit[:7], "a", "b"]),  # Jaccard 7/12
                question("produce", [*fruit, *(f"v{i}" for i in range(9))]),  # holds all fruit, less than twice as many
                question("food", [*fruit, *(f"w{i}" for i in range(40))]),  # holds all fruit, five times as many
                question("tool", ["saw", "axe"]),
            ]
        )
    }
    assert groups["fruit"] == groups["edible"] == groups["produce"]
    assert len({groups["fruit"], groups["food"], groups["tool"]}) == 3


def test_build_makes_complete_records(wordnet, world):
    records = listqa.build(wordnet, world)
    assert [r.id for r in records] == sorted(r.id for r in records)
    assert {(r.source.split()[0], r.licence) for r in records} == {("WordNet", "WordNet-3.0"), ("countryinfo", "MIT")}
    assert all(set(r.references) <= set(r.valid) for r in records)
    assert {r.stratum for r in records} == {"wordnet_few", "country_few"}


def test_wrong_version_of_countryinfo(monkeypatch):
    monkeypatch.setattr(listqa.metadata, "version", lambda name: "0.1.2")
    with pytest.raises(PolychromicError, match=r"countryinfo is 0\.1\.2; .* needs 1\.0\.1"):
        listqa.load_countries()
