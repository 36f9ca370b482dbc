"""listqa: short questions with many right answers, each with the full set of answers its source knows.

WordNet gives "Name one kind of fruit." (any hyponym is right), countryinfo gives questions about countries. What makes a reply valid
(normalisation, plurals) belongs to polychromic/data/domains/listqa. All choices are rules, countries.toml, and the word lists beside it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata, resources
from pathlib import Path
from string import ascii_uppercase

from polychromic.base.errors import PolychromicError
from polychromic.data.records import Record
from polychromic.data.text import joined, suitable, unaccented, word_list
from polychromic.data.wordnet import LICENCE, SOURCE, Synset, WordNet

COUNTRYINFO_VERSION = "1.0.1"
COUNTRYINFO = f"countryinfo {COUNTRYINFO_VERSION}"

N_REFERENCES = 4
# A question about neighbours needs three answers, any other five: below that there is little to be diverse about.
MIN_NEIGHBOURS, MIN_VALID = 3, 5
# Categories: size of the hyponym closure in synsets, and hyponyms seen in the tagged corpus (a proxy for "known to people").
MIN_SYNSETS, MAX_SYNSETS, MIN_COUNTED = 10, 500, 5
# Lexicographer files (lexnames(5)) whose senses name things one can ask a kind of; abstract ones (acts, states,
# relations, cognition …) only when the word itself was tagged in the corpus.
CONCRETE = {5, 6, 8, 13, 17, 18, 20, 21, 27}
ABSTRACT = {4, 10, 11, 12}
JACCARD, CONTAINMENT, RATIO = 0.5, 0.8, 2.0  # see merge_groups

TABLES = tomllib.loads(resources.files("polychromic.data").joinpath("countries.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Question:
    """A record in the making: `valid` in a stable order, references first; `family` is wordnet or country."""

    key: str
    prompt: str
    references: tuple[str, ...]
    valid: tuple[str, ...]
    group: str
    family: str


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def category_of(wordnet: WordNet, synset: Synset, seen: frozenset[str]) -> str | None:
    """The word to ask with: the synset's most frequent lemma, if this is that word's first sense; None when unfit.

    A synset that holds a seen word is asked with that word, so that it can be kept out of test.
    """
    word, count = min(zip(synset.lemmas, synset.counts, strict=True), key=lambda one: (one[0] not in seen, -one[1]))
    if not re.fullmatch(r"[a-z]+([ '-][a-z]+)*", word) or word in word_list("excluded_categories.txt") or not suitable(word):
        return None
    if synset.lexfile not in CONCRETE and not (synset.lexfile in ABSTRACT and count > 0) and word not in seen:
        return None
    return word if wordnet.senses(word)[0].offset == synset.offset else None


def wordnet_questions(wordnet: WordNet, seen: frozenset[str]) -> list[Question]:
    """One question per category: a first noun sense with 10 to 500 hyponym synsets, at least 5 of their lemmas tagged in the corpus.

    Valid: every hyponym (or instance) lemma below the first sense and below further senses of the same lexicographer
    file that were tagged at least once (the senses a reader of the question may have in mind). References: the most
    tagged single-word hyponyms.
    """
    found: dict[str, Question] = {}
    for offset in sorted(wordnet.synsets):
        synset = wordnet.synsets[offset]
        if synset.lexfile not in CONCRETE | ABSTRACT or not synset.hyponyms:
            continue
        word = category_of(wordnet, synset, seen)
        if word is None:
            continue
        below = wordnet.below(synset)
        if not MIN_SYNSETS <= len(below) <= MAX_SYNSETS:
            continue
        for other in wordnet.senses(word)[1:]:
            tagged = other.counts[[lemma.lower() for lemma in other.lemmas].index(word)]
            more = wordnet.below(other)
            if tagged and other.lexfile == synset.lexfile and len(below) + len(more) <= MAX_SYNSETS:
                below = below + more
        below = below + [wordnet.synsets[i] for s in [synset, *below] for i in s.instances]
        counts: dict[str, int] = defaultdict(int)
        for hyponym in {s.offset: s for s in below}.values():
            for lemma, count in zip(hyponym.lemmas, hyponym.counts, strict=True):
                if lemma.lower() != word and suitable(lemma):
                    counts[lemma] += count
        known = sorted((lemma for lemma in counts if counts[lemma] and lemma.isalpha() and lemma.islower()), key=lambda x: (-counts[x], x))
        if len(known) < MIN_COUNTED:
            continue
        references = tuple(known[:N_REFERENCES])
        valid = _unique([*references, *sorted(counts, key=lambda x: (x.lower(), x))])
        prompt = f"Name one kind of {word}."
        found[word] = Question(f"kind-{word.replace(' ', '-')}", prompt, references, valid, f"kind-{word}", "wordnet")
    return [found[word] for word in sorted(found)]


def load_countries() -> dict[str, dict]:
    """Sovereign countries of countryinfo by English name.

    Raises:
        PolychromicError: countryinfo is missing or another version than the pinned one.
    """
    version = next((found.version for found in metadata.distributions(name="countryinfo")), "missing")
    if version != COUNTRYINFO_VERSION:
        remedy = f"Run `pip install countryinfo=={COUNTRYINFO_VERSION}`."
        raise PolychromicError(f"countryinfo is {version}; curation of listqa needs {COUNTRYINFO_VERSION}. {remedy}")
    folder = Path(str(metadata.distribution("countryinfo").locate_file("countryinfo/data")))
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return {TABLES["renamed"].get(row["name"], row["name"]): row for row in rows if row["name"] not in word_list("territories.txt")}


def slug(text: str) -> str:
    return re.sub(r"[^\w]+", "-", text.lower()).strip("-")


def the(name: str) -> str:
    return f"the {name}" if name in TABLES["article"]["names"] else name


def capitals_of(row: dict) -> list[str]:
    """A country's capital or capitals (South Africa has three); empty when it has none."""
    capital = row.get("capital") or []
    return [TABLES["renamed"].get(name, name) for name in ([capital] if isinstance(capital, str) else capital)]


def country_questions(countries: dict[str, dict], places: frozenset[str] = frozenset()) -> list[Question]:
    """Questions about countries; the popular answers are the most populous countries (or their capitals).

    Args:
        countries: as load_countries gives them.
        places: province names confirmed by a second source; a country's provinces are asked for only when at least
            half of them are confirmed (countryinfo's lists are mixed up for some countries).
    """
    by_size = sorted(countries, key=lambda name: (-(countries[name].get("population") or 0), name))
    code = {countries[name]["ISO"]["alpha3"]: name for name in by_size}
    capitals = {name: capitals_of(countries[name]) for name in by_size}
    questions: list[Question] = []

    def ask(key: str, prompt: str, answers: Iterable[str], group: str, minimum: int = MIN_VALID, initial: str = "") -> None:
        answers = _unique(filter(None, answers))
        if len(answers) >= minimum:
            same = [alias for answer in answers for alias in [unaccented(answer), *TABLES["aliases"].get(answer, [])]]
            more = sorted([*answers[N_REFERENCES:], *(alias for alias in same if alias.startswith(initial))])
            valid = _unique([*answers[:N_REFERENCES], *more])
            questions.append(Question(slug(key), prompt, answers[:N_REFERENCES], valid, slug(group), "country"))

    for name in sorted(countries):
        row, group = countries[name], f"country-{name}"
        neighbours = sorted((code[c] for c in row.get("borders", []) if c in code), key=by_size.index)
        ask(f"borders-{name}", f"Name a country that borders {the(name)}.", neighbours, group, MIN_NEIGHBOURS)
        next_to = f"Name the capital of a country that borders {the(name)}."
        ask(f"capital-next-{name}", next_to, [c for n in neighbours for c in capitals[n]], group, MIN_NEIGHBOURS)
        provinces = [p for p in row.get("provinces", []) if re.fullmatch(r"[A-Za-z][A-Za-z .'-]+", p)]
        confirmed = [p for p in provinces if p.lower() in places]
        if len(confirmed) * 2 >= len(row.get("provinces", [])) and len(confirmed) >= MIN_VALID:
            answers = [*confirmed, *(p for p in provinces if p not in confirmed)]
            ask(f"province-{name}", f"Name a state, province or region of {the(name)}.", answers, group)
    regions: dict[str, list[str]] = defaultdict(list)
    for name in by_size:
        for region in {countries[name].get(field) for field in ("region", "subregion", "intermediateregion")} - {None, "", "Americas"}:
            regions[region].append(name)
    for region in sorted(regions):
        place, group = f"the {region}" if region == "Caribbean" else region, f"region-{region}"
        ask(f"region-{region}", f"Name a country in {place}.", regions[region], group)
        inside = [c for n in regions[region] for c in capitals[n]]
        ask(f"capital-in-{region}", f"Name the capital of a country in {place}.", inside, group)
    having = lambda field, tag: [n for n in by_size if tag in countries[n].get(field, [])]
    for tag, language in TABLES["languages"].items():
        prompt = f"Name a country where {language} is an official language."
        ask(f"language-{language}", prompt, having("languages", tag), f"language-{language}", 3)
    for tag, currency in TABLES["currencies"].items():
        ask(f"currency-{tag}", f"Name a country that uses {currency}.", having("currencies", tag), f"currency-{tag}")
    for letter in ascii_uppercase:
        for what, answers in (
            ("country whose name", [n for n in by_size if n.removeprefix("The ").startswith(letter)]),
            ("capital city that", [city for n in by_size for city in capitals[n] if city.startswith(letter)]),
        ):
            prompt = f"Name a {what} starts with the letter {letter}."
            ask(f"{what.split()[0]}-letter-{letter}", prompt, answers, f"letter-{letter}", initial=letter)
    return questions


def merge_groups(questions: Sequence[Question]) -> list[Question]:
    """Put questions with nearly the same answers into one group (transitively).

    Two questions of one family are joined when the Jaccard index of their valid sets exceeds JACCARD, or, for WordNet, when at least
    CONTAINMENT of the smaller set lies in the larger and that is at most RATIO times as big (else the widest categories would chain
    everything into one group).
    """
    sets = [frozenset(map(str.lower, q.valid)) for q in questions]
    holders: dict[str, list[int]] = defaultdict(list)
    for i, answers in enumerate(sets):
        for answer in answers:
            holders[answer].append(i)
    alike = []
    for i, question in enumerate(questions):
        shared = Counter(j for answer in sets[i] for j in holders[answer] if j > i and questions[j].family == question.family)
        for j, count in shared.items():
            small, large = sorted((len(sets[i]), len(sets[j])))
            nested = question.family == "wordnet" and count >= CONTAINMENT * small and large <= RATIO * small
            if nested or count > JACCARD * (small + large - count):
                alike.append((question.group, questions[j].group))
    group = joined((q.group for q in questions), alike)
    return [replace(q, group=group[q.group]) for q in questions]


def build(wordnet: WordNet, countries: dict[str, dict]) -> list[Record]:
    """All listqa records, sorted by id. The stratum is difficulty: few right answers make it hard to give ten different ones."""
    places = frozenset(lemma.lower() for s in wordnet.synsets.values() if s.classes and s.lexfile in (14, 15) for lemma in s.lemmas)
    questions = merge_groups([*wordnet_questions(wordnet, word_list("seen_words.txt")), *country_questions(countries, places)])
    few = {"wordnet": 40, "country": 8}
    from_source = {"wordnet": {"source": SOURCE, "licence": LICENCE}, "country": {"source": COUNTRYINFO, "licence": "MIT"}}
    records = []
    for question in sorted(questions, key=lambda question: question.key):
        stratum = f"{question.family}_{'few' if len(question.valid) <= few[question.family] else 'many'}"
        given = {"prompt": question.prompt, "references": list(question.references), "valid": list(question.valid), "group": question.group}
        origin = {"domain": "listqa", "checker": "set"} | from_source[question.family]
        records.append(Record(id=f"listqa-{question.key}", stratum=stratum, **given, **origin))
    return records
