"""listqa on a WordNet, a dictionary and a world small enough to check by hand."""

import json
from types import SimpleNamespace

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.data import listqa
from polychromic.data import wordnet as files
from polychromic.data.listqa import classes, places, spelled
from polychromic.data.listqa.ask import question, things
from polychromic.data.wordnet import Lexicon, WordNet

FRUITS = ["apple", "pear", "plum", "fig", "kiwi", "lime", "date", "quince", "medlar", "papaya", "sloe", "peach", "pomelo"]
LETTERS = {"noun": "n", "verb": "v", "adj": "a"}


def write_wordnet(folder, part, synsets):
    """synsets: {offset: (lexfile, lemmas, pointers)}, as data.PART and index.PART."""
    lines, senses, letter = [], {}, LETTERS[part]
    for offset, (lexfile, lemmas, pointers) in synsets.items():
        links = "".join(f"{symbol} {target:08d} {letter} 0000 " for symbol, target in pointers)
        words = " ".join(f"{lemma} 0" for lemma in lemmas)
        lines.append(f"{offset:08d} {lexfile:02d} {letter} {len(lemmas):02x} {words} {len(pointers):03d} {links}| gloss  \n")
        for lemma in lemmas:
            senses.setdefault(lemma.lower().split("(")[0], []).append(offset)
    found = [f"{lemma} {letter} {len(of)} 1 ~ {len(of)} 1 {' '.join(f'{o:08d}' for o in of)}  \n" for lemma, of in senses.items()]
    licence = "  1 This software and database is being provided to you, the LICENSEE\n"
    for name, text in ((f"data.{part}", lines), (f"index.{part}", found)):
        (folder / name).write_text("".join([licence, *text]))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three parts of speech; counts: {(lemma, digit of the part, lexfile): tag count}."""
    below = {200 + i: (13, [name], [("@", 100)]) for i, name in enumerate(FRUITS)}
    below[200] = (13, ["apple", "Malus_pumila"], [("@", 100), ("~", 300)])
    below[213] = (13, ["fruits", "windfall"], [("@", 100)])  # the question's own word in the plural is no answer
    nouns = {
        100: (13, ["fruit"], [("~", offset) for offset in below]),
        **below,
        300: (13, ["russet", "shit"], [("@", 200)]),
        400: (13, ["nut"], [("~", 401)]),  # one hyponym: too small a category
        401: (13, ["almond"], [("@", 400)]),
        500: (17, ["river"], [("~i", 501 + i) for i in range(6)]),
        **{501 + i: (17, [name], [("@i", 500)]) for i, name in enumerate(["Nile", "Rhine", "Elbe", "Oder", "Main", "Po"])},
        600: (6, ["car"], [("%p", 601), ("%p", 602), ("%p", 603), ("%p", 604), ("%p", 605)]),
        **{601 + i: (6, [name], []) for i, name in enumerate(["wheel", "door", "seat", "engine", "bonnet"])},
        700: (6, ["main"], []),  # a word that is a name, too
    }
    verbs = {
        100: (38, ["walk"], [("~", 101 + i) for i in range(6)]),
        **{101 + i: (38, [name], [("@", 100)]) for i, name in enumerate(["march", "stroll", "hike", "wade", "limp", "pace"])},
    }
    adjectives = {
        100: (0, ["big", "large"], [("&", 101 + i) for i in range(5)]),
        **{101 + i: (0, [name], [("&", 100)]) for i, name in enumerate(["huge", "great", "vast", "giant(p)", "bigs"])},
    }
    for part, synsets in (("noun", nouns), ("verb", verbs), ("adj", adjectives)):
        write_wordnet(tmp_path, part, synsets)
        (tmp_path / f"{part}.exc").write_text("")
    counts = {("apple", 1, 13): 9, ("pear", 1, 13): 5, ("plum", 1, 13): 5, ("fig", 1, 13): 3, ("kiwi", 1, 13): 1, ("russet", 1, 13): 2}
    counts |= {("shit", 1, 13): 50, ("car", 1, 6): 9, ("river", 1, 17): 9, ("fruit", 1, 13): 9}
    counts |= {(verb, 2, 38): 3 for verb in ("walk", "march", "stroll", "hike", "wade")}
    counts |= {(adjective, 3, 0): 3 for adjective in ("big", "large", "huge", "great", "vast", "giant")}
    (tmp_path / "cntlist.rev").write_text("".join(f"{w}%{d}:{lex:02d}:00:: 1 {n}\n" for (w, d, lex), n in counts.items()))
    words = [*FRUITS, "fruit", "river", "nile", "rhine", "elbe", "oder", "main", "po", "car", "wheel", "door", "seat", "engine", "walk"]
    words += ["march", "stroll", "hike", "wade", "limp", "pace", "big", "large", "huge", "great", "vast", "giant", "nut", "almond"]
    frequencies = {word: 10**8 - number for number, word in enumerate(words)}
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    monkeypatch.setattr(files, "SHA256", {})
    for module in (classes, spelled):
        monkeypatch.setattr(module, "frequencies", lambda: frequencies)
    return tmp_path


def by_prompt(records):
    return {record.prompt: record for record in records}


def test_words_counts_and_pointers(folder):
    wordnet = WordNet()
    apple = wordnet.senses("malus pumila")[0]
    assert (apple.lemmas, apple.counts, apple.hyponyms) == (("apple", "Malus pumila"), (9, 0), (300,))
    assert [s.offset for s in wordnet.below(wordnet.senses("fruit")[0])] == [*range(200, 214), 300]
    assert wordnet.senses("car")[0].parts == (601, 602, 603, 604, 605)
    assert WordNet("verb").senses("walk")[0].counts == (3,)
    assert WordNet("adj").senses("giant")[0].lemmas == ("giant",) and len(WordNet("adj").senses("big")[0].similar) == 5


def test_kinds_letters_and_names(folder):
    found = by_prompt(classes.kinds(WordNet(), Lexicon(), frozenset()))
    fruit = found["Name one kind of fruit."]
    assert fruit.references == ["apple", "pear", "plum", "fig"] == fruit.right[:4]  # by frequency and share of the sense
    assert {"apple | Malus pumila", "russet", "windfall"} <= set(fruit.valid) and len(fruit.valid) == len(FRUITS) + 2  # a line per thing
    assert not {"fruits", "shit"} & {form for line in fruit.valid for form in line.split(" | ")}
    letter = found["Name one kind of fruit that starts with the letter P."]
    assert set(letter.valid) == {"pear", "plum", "papaya", "peach", "pomelo"} and letter.group == fruit.group
    assert (fruit.stratum, letter.stratum) == ("kind", "letter")
    assert found["Name a river."].references == ["Nile", "Rhine", "Elbe", "Oder"], "the best known names; Main is a word, too"
    assert set(found) == {fruit.prompt, letter.prompt, "Name a river."}


def test_ways_similar_words_and_parts(folder):
    (walk,) = classes.ways(WordNet("verb"), Lexicon())
    assert walk.prompt == "Name one way to walk." and walk.references == ["march", "stroll", "hike", "wade"]  # tagged ones
    assert "hike | hiked | hikes | hiking" in walk.valid and len(walk.valid) == 6
    found = by_prompt(classes.similar(WordNet("adj"), Lexicon()))
    big = found["Name a word that means nearly the same as big."]
    assert big.references == ["large", "huge", "great", "vast"] and set(big.valid) == {"large", "huge", "great", "vast", "giant"}
    (car,) = classes.parts(WordNet(), Lexicon(), frozenset())
    assert (car.prompt, car.stratum) == ("Name one part of a car.", "unseen:part") and car.references == ["wheel", "door", "seat", "engine"]
    assert classes.parts(WordNet(), Lexicon(), frozenset({"car"})) == []


SOUNDS = {"cat": "K AE1 T", "hat": "HH AE1 T", "flat": "F L AE1 T", "bat": "B AE1 T", "rat": "R AE1 T", "mat": "M AE1 T",
          "chat": "CH AE1 T", "combat": "K AH0 M B AE1 T", "kat": "K AE1 T", "water": "W AO1 T ER0", "a": "AH0"}  # fmt: skip


def test_words_as_they_are_spelled_and_sound(folder, monkeypatch):
    words = spelled.Words({word: 10**8 - number for number, word in enumerate([*SOUNDS, "hats", "batter"])})
    words.known = frozenset(SOUNDS) - {"combat", "kat", "a"}
    monkeypatch.setattr(spelled, "pronunciations", lambda: {word: [tuple(phones.split())] for word, phones in SOUNDS.items()})
    (rhyme,) = spelled.rhymes(words)
    assert rhyme.prompt == "Name a word that rhymes with cat." and rhyme.stratum == "unseen:rhyme"
    assert rhyme.valid == ["hat", "flat", "bat", "rat", "mat", "chat", "combat"], "neither the word nor what sounds the same"
    assert rhyme.references == ["hat", "flat", "bat", "rat"]
    assert spelled.rhyme(("K", "AH0", "M", "B", "AE1", "T")) == "AE T" and spelled.rhyme(("AH0",)) == ""
    assert spelled.endings(words) == spelled.syllables(words) == []  # of two letters, and too few
    oats = ["boat", "coat", "goat", "float", "throat", "moat"]
    words = spelled.Words(dict.fromkeys([*oats, "oat", "dugout"], 10**8))
    words.known = frozenset(oats)
    (ending,) = spelled.endings(words)
    assert (ending.prompt, ending.valid) == ('Name a word that ends with "oat".', sorted(oats)) and ending.references == sorted(oats)[:4]


def test_beginnings_join_the_forms_of_a_lemma(folder):
    words = spelled.Words(dict.fromkeys("march marched mark mars marble margin market marry maroon limp".split(), 10**8))
    words.known = frozenset(words) - {"marched", "mars"}
    (start,) = spelled.starts(words, Lexicon())
    assert start.prompt == 'Name a word that starts with "mar".' and "march | marched" in start.valid
    assert all(form.startswith("mar") for line in start.valid for form in line.split(" | "))


@pytest.fixture
def world(tmp_path, monkeypatch):
    rows = [
        {"name": "Netherlands", "population": 17, "borders": ["BEL", "GER", "FRA", "SWA", "POL"]},
        {"name": "Belgium", "population": 11, "borders": ["NET", "GER"]},
        {"name": "Germany", "population": 80, "borders": ["NET", "BEL", "FRA", "GUA", "POL", "SWA"]},
        {"name": "France", "population": 60, "borders": ["NET", "GER", "XXX"], "provinces": ["Brittany", "X (Y)"]},
        {"name": "Poland", "population": 38},
        {"name": "Swaziland", "population": 1, "capital": ["Mbabané", "Lobamba"]},
        {"name": "Guam", "population": 99},  # a territory
    ]
    (tmp_path / "countries").mkdir()
    for row in rows:
        codes = {"alpha3": row["name"][:3].upper(), "alpha2": row["name"][:2].upper()}
        full = {"ISO": codes, "capital": f"{row['name']} City", "region": "Europe", **row}
        (tmp_path / "countries" / f"{row['name']}.json").write_text(json.dumps(full))
    found = SimpleNamespace(version=places.COUNTRYINFO_VERSION, locate_file=lambda name: tmp_path / "countries")
    monkeypatch.setattr(places.metadata, "distributions", lambda name: [found])
    return places.load_countries()


def test_country_questions(world):
    found = {q.id.removeprefix("listqa-"): q for q in places.country_questions(world)}
    borders, capitals, europe = (found[key] for key in ("borders-netherlands", "capital-next-netherlands", "region-europe"))
    assert borders.prompt == "Name a country that borders the Netherlands."
    assert borders.references == ["Germany", "France", "Poland", "Belgium"]  # by population
    assert found["borders-germany"].right == ["France", "Poland", "Netherlands", "Belgium", "Eswatini"]  # the territory is no answer
    assert "borders-belgium" not in found  # two neighbours are too few
    assert "Mbabané" in capitals.valid and "Lobamba" in capitals.valid and capitals.group == borders.group
    assert "Eswatini | Swaziland" in europe.valid and len(europe.valid) == 6  # new and old name are one country
    assert {q.stratum for q in found.values()} == {"place"}
    assert not any(key.startswith("province") for key in found)  # nothing confirms them


def test_city_questions(world):
    row = lambda name, country, people, state="", others=(): {
        "name": name, "countrycode": country, "population": people, "admin1code": state, "geonameid": people,
        "alternatenames": list(others),
    }  # fmt: skip
    cities = [row("München", "GE", 999_999, others=["Munich", "Monaco di Baviera"]), row("Zone 5", "GE", 10)]
    cities += [row("Big City", "GE", 2_000_000, others=["Gross"]), *(row(f"Town {letter}", "GE", 100) for letter in "abcdefghijkl")]
    cities += [row(f"Place {letter}", "US", 100, "TX") for letter in "abcdefghijkl"]
    found = by_prompt(places.city_questions(world, cities, frozenset({"munich", "big city", "town a", "town b"})))
    assert set(found) == {"Name a city in Germany.", "Name a city in Texas."}
    germany = found["Name a city in Germany."]
    assert germany.references == ["Munich", "Big City", "Town a", "Town b"] and "Munich | München" in germany.valid
    assert "Big City | Big | Gross" in germany.valid and len(germany.valid) == 14 and germany.group == "country-germany"


def test_one_thing_once():
    found = [("whisky", "whiskey"), ("cat",), ("ice cream",), ("cats", "mouser"), ("ice-cream", "icecream"), ("grey",), ("gray",)]
    found += [("cap",), ("cape",)]
    assert things(found, "kind") == [("whisky", "whiskey"), ("cat",), ("ice cream",), ("mouser",), ("grey",), ("cap",), ("cape",)]
    assert things([("hat",), ("hats",)], "unseen:rhyme") == [("hat",), ("hats",)]


def test_questions_with_the_same_answers_share_a_group():
    fruit = [f"f{i}x" for i in range(10)]
    answers = {
        "fruit": fruit,
        "edible": [*fruit[:7], "a", "b"],  # Jaccard 7/12
        "produce": [*fruit, *(f"v{i}x" for i in range(9))],  # holds all fruit, less than twice as many
        "food": [*fruit, *(f"w{i}x" for i in range(40))],  # holds all fruit, five times as many
        "tool": ["saw", "axe"],
    }
    questions = [question("kind", key, f"Name one kind of {key}.", [(one,) for one in found], key) for key, found in answers.items()]
    questions.append(question("country", "other", "Name a country.", [(one,) for one in fruit], "other"))
    groups = dict(zip([*answers, "other"], (q.group for q in listqa.merge_groups(questions)), strict=True))
    assert groups["fruit"] == groups["edible"] == groups["produce"]
    assert len({groups[key] for key in ("fruit", "food", "tool", "other")}) == 4


def test_build_makes_complete_records_and_refuses_another_version_of_countryinfo(folder, world, monkeypatch):
    monkeypatch.setattr(spelled, "pronunciations", dict)
    monkeypatch.setattr(places, "load_cities", list)
    records = listqa.build()
    assert [r.id for r in records] == sorted(r.id for r in records) and all(set(r.references) <= set(r.right) for r in records)
    assert {(r.source.split()[0], r.licence) for r in records} == {("WordNet", "WordNet-3.0 AND MIT"), ("countryinfo", "MIT")}
    assert {r.stratum for r in records} == {"kind", "letter", "way", "similar", "unseen:part", "place"}
    monkeypatch.setattr(places.metadata, "distributions", lambda name: [SimpleNamespace(version="0.1.2")])
    with pytest.raises(PolychromicError, match=r"countryinfo is 0\.1\.2; .* needs 1\.0\.1"):
        places.load_countries()
