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
from importlib import metadata
from pathlib import Path
from string import ascii_uppercase

from polychromic.base.errors import PolychromicError
from polychromic.data.records import Record
from polychromic.data.text import joined, shipped, suitable, unaccented, word_list
from polychromic.data.wordnet import LICENCE, SOURCE, Synset, WordNet

COUNTRYINFO_VERSION = "1.0.1"
# Where a question comes from: source, licence, and up to how many right answers are few, which make it hard to give ten different ones.
FAMILIES = {"wordnet": (SOURCE, LICENCE, 40), "country": (f"countryinfo {COUNTRYINFO_VERSION}", "MIT", 8)}

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

TABLES = tomllib.loads(shipped("countries.toml"))


def question(family: str, key: str, prompt: str, answers: Sequence[str], more: Iterable[str], group: str) -> Record:
    """A record. answers: the best known first, of which some are references; more: what is valid, too, in a stable order."""
    source, licence, few = FAMILIES[family]
    references = list(answers[:N_REFERENCES])
    valid = list(dict.fromkeys([*references, *more]))
    return Record(
        id=f"listqa-{key}", domain="listqa", prompt=prompt, references=references, group=group, checker="set", valid=valid,
        stratum=f"{family}_{'few' if len(valid) <= few else 'many'}", source=source, licence=licence,
    )  # fmt: skip


def category_of(wordnet: WordNet, synset: Synset, seen: frozenset[str]) -> str | None:
    """The word to ask with: the synset's most frequent lemma, if this is that word's first sense; None when unfit.

    A synset that holds a seen word is asked with that word, so that it can be kept out of test.
    """
    word, count = min(zip(synset.lemmas, synset.counts, strict=True), key=lambda one: (one[0] not in seen, -one[1]))
    if not re.fullmatch(r"[a-z]+([ '-][a-z]+)*", word) or word in word_list("excluded_categories.txt") or not suitable(word):
        return None
    fit = synset.lexfile in CONCRETE or synset.lexfile in ABSTRACT and (count > 0 or word in seen)
    return word if fit and wordnet.senses(word)[0].offset == synset.offset else None


def wordnet_questions(wordnet: WordNet, seen: frozenset[str]) -> list[Record]:
    """One question per category: a first noun sense with 10 to 500 hyponym synsets, at least 5 of their lemmas tagged in the corpus.

    Valid: every hyponym (or instance) lemma below the first sense and below further senses of its lexicographer file that were tagged at
    least once, as a reader may have them in mind. References: the most tagged single-word hyponyms.
    """
    found: dict[str, Record] = {}
    for _, synset in sorted(wordnet.synsets.items()):
        below = wordnet.below(synset) if synset.hyponyms and (word := category_of(wordnet, synset, seen)) else []
        if not MIN_SYNSETS <= len(below) <= MAX_SYNSETS:
            continue
        for other in wordnet.senses(word)[1:]:
            tagged, more = other.counts[[lemma.lower() for lemma in other.lemmas].index(word)], wordnet.below(other)
            if tagged and other.lexfile == synset.lexfile and len(below) + len(more) <= MAX_SYNSETS:
                below = below + more
        below = below + [wordnet.synsets[i] for s in [synset, *below] for i in s.instances]
        counts: Counter[str] = Counter()
        for hyponym in {s.offset: s for s in below}.values():
            for lemma, count in zip(hyponym.lemmas, hyponym.counts, strict=True):
                if lemma.lower() != word and suitable(lemma):
                    counts[lemma] += count
        known = sorted((lemma for lemma in counts if counts[lemma] and lemma.isalpha() and lemma.islower()), key=lambda x: (-counts[x], x))
        if len(known) >= MIN_COUNTED:
            more = sorted(counts, key=lambda x: (x.lower(), x))
            found[word] = question("wordnet", f"kind-{word.replace(' ', '-')}", f"Name one kind of {word}.", known, more, f"kind-{word}")
    return [found[word] for word in sorted(found)]


def load_countries() -> dict[str, dict]:
    """Sovereign countries of countryinfo by English name. PolychromicError: it is missing or another version than the pinned one."""
    found = next(iter(metadata.distributions(name="countryinfo")), None)
    if (version := found.version if found else "missing") != COUNTRYINFO_VERSION:
        remedy = f"Run `pip install countryinfo=={COUNTRYINFO_VERSION}`."
        raise PolychromicError(f"countryinfo is {version}; curation of listqa needs {COUNTRYINFO_VERSION}. {remedy}")
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(found.locate_file("countryinfo/data")).glob("*.json"))]
    return {TABLES["renamed"].get(row["name"], row["name"]): row for row in rows if row["name"] not in word_list("territories.txt")}


def country_questions(countries: dict[str, dict], places: frozenset[str] = frozenset()) -> list[Record]:
    """Questions about the countries of load_countries; the popular answers are the most populous ones (or their capitals).

    places: province names of a second source, which must confirm half of a country's: countryinfo's lists are mixed up for some.
    """
    by_size = sorted(countries, key=lambda name: (-(countries[name].get("population") or 0), name))
    code = {countries[name]["ISO"]["alpha3"]: name for name in by_size}
    listed = lambda found: [found] if isinstance(found, str) else found or []  # of capitals, South Africa has three
    capitals = {name: [TABLES["renamed"].get(city, city) for city in listed(countries[name].get("capital"))] for name in by_size}
    questions: list[Record] = []

    def ask(key: str, prompt: str, answers: Iterable[str], group: str, minimum: int = MIN_VALID, initial: str = "") -> None:
        answers = list(dict.fromkeys(filter(None, answers)))
        if len(answers) >= minimum:
            same = [alias for answer in answers for alias in [unaccented(answer), *TABLES["aliases"].get(answer, [])]]
            more = sorted([*answers[N_REFERENCES:], *(alias for alias in same if alias.startswith(initial))])
            key, group = (re.sub(r"[^\w]+", "-", text.lower()).strip("-") for text in (key, group))
            questions.append(question("country", key, prompt, answers, more, group))

    for name in sorted(countries):
        row, group = countries[name], f"country-{name}"
        it = f"the {name}" if name in TABLES["article"]["names"] else name
        neighbours = sorted((code[c] for c in row.get("borders", []) if c in code), key=by_size.index)
        ask(f"borders-{name}", f"Name a country that borders {it}.", neighbours, group, MIN_NEIGHBOURS)
        next_to = f"Name the capital of a country that borders {it}."
        ask(f"capital-next-{name}", next_to, [c for n in neighbours for c in capitals[n]], group, MIN_NEIGHBOURS)
        provinces = [p for p in row.get("provinces", []) if re.fullmatch(r"[A-Za-z][A-Za-z .'-]+", p)]
        confirmed = [p for p in provinces if p.lower() in places]
        if len(confirmed) * 2 >= len(row.get("provinces", [])) and len(confirmed) >= MIN_VALID:
            ask(f"province-{name}", f"Name a state, province or region of {it}.", [*confirmed, *provinces], group)
    regions: dict[str, list[str]] = defaultdict(list)
    for name in by_size:
        for region in {countries[name].get(field) for field in ("region", "subregion", "intermediateregion")} - {None, "", "Americas"}:
            regions[region].append(name)
    for region, names in sorted(regions.items()):
        place, group = f"the {region}" if region == "Caribbean" else region, f"region-{region}"
        ask(f"region-{region}", f"Name a country in {place}.", names, group)
        ask(f"capital-in-{region}", f"Name the capital of a country in {place}.", [c for n in names for c in capitals[n]], group)
    having = lambda field, tag: [n for n in by_size if tag in countries[n].get(field, [])]
    for tag, language in TABLES["languages"].items():
        prompt = f"Name a country where {language} is an official language."
        ask(f"language-{language}", prompt, having("languages", tag), f"language-{language}", 3)
    for tag, currency in TABLES["currencies"].items():
        ask(f"currency-{tag}", f"Name a country that uses {currency}.", having("currencies", tag), f"currency-{tag}")
    cities = [city for name in by_size for city in capitals[name]]
    for letter in ascii_uppercase:
        for what, names in (("country whose name", by_size), ("capital city that", cities)):
            answers = [n for n in names if n.removeprefix("The ").startswith(letter)]
            prompt = f"Name a {what} starts with the letter {letter}."
            ask(f"{what.split()[0]}-letter-{letter}", prompt, answers, f"letter-{letter}", initial=letter)
    return questions


def merge_groups(questions: Sequence[Record]) -> list[Record]:
    """Put questions with nearly the same answers into one group (transitively).

    Two questions of one source are joined when the Jaccard index of their valid sets exceeds JACCARD, or, for WordNet, when at least
    CONTAINMENT of the smaller set lies in the larger one, at most RATIO times as big: the widest categories would chain all into one.
    """
    sets = [frozenset(map(str.lower, q.valid)) for q in questions]
    holders: dict[tuple[str, str], list[int]] = defaultdict(list)  # by source and answer
    alike = []
    for i, one in enumerate(questions):
        for j, count in Counter(j for answer in sets[i] for j in holders[one.source, answer]).items():
            small, large = sorted((len(sets[i]), len(sets[j])))
            nested = one.source == SOURCE and count >= CONTAINMENT * small and large <= RATIO * small
            if nested or count > JACCARD * (small + large - count):
                alike.append((one.group, questions[j].group))
        for answer in sets[i]:
            holders[one.source, answer].append(i)
    group = joined((q.group for q in questions), alike)
    return [q.model_copy(update={"group": group[q.group]}) for q in questions]


def build(wordnet: WordNet, countries: dict[str, dict]) -> list[Record]:
    """All listqa records, sorted by id."""
    places = frozenset(lemma.lower() for s in wordnet.synsets.values() if s.classes and s.lexfile in (14, 15) for lemma in s.lemmas)
    questions = [*wordnet_questions(wordnet, word_list("seen_words.txt")), *country_questions(countries, places)]
    return sorted(merge_groups(questions), key=lambda record: record.id)
