"""listqa: short questions with many right answers, each with the full set of answers its source knows.

WordNet gives "Name one kind of fruit." (any hyponym is right), countryinfo gives questions about countries (borders,
regions, languages, currencies, capitals, provinces). This module builds records; what makes a reply valid
(normalisation, plurals) belongs to polychromic/data/domains/listqa.py. All choices are rules, the short tables
below, and the word lists beside this module.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from polychromic.base.errors import PolychromicError
from polychromic.data.records import Record
from polychromic.data.text import suitable, word_list
from polychromic.data.wordnet import Synset, WordNet

WORDNET = ("WordNet 3.0 (wordnet-base 1:3.0-37)", "WordNet-3.0")
COUNTRYINFO_VERSION = "1.0.1"
COUNTRYINFO = (f"countryinfo {COUNTRYINFO_VERSION}", "MIT")

N_REFERENCES = 4
# A question about neighbours needs three answers, any other five: below that there is little to be diverse about.
MIN_NEIGHBOURS, MIN_VALID = 3, 5
# Categories: size of the hyponym closure in synsets, and hyponyms seen in the tagged corpus (a proxy for "known to people").
MIN_SYNSETS, MAX_SYNSETS, MIN_COUNTED = 10, 500, 5
# Lexicographer files (lexnames(5)) whose senses name things one can ask a kind of; abstract ones (acts, states,
# relations, cognition …) only when the word itself was tagged in the corpus.
CONCRETE = {5, 6, 8, 13, 17, 18, 20, 21, 27}
ABSTRACT = {4, 10, 11, 12}

# Names in use beside (or since) the one in countryinfo; all are accepted as answers.
RENAMED = {
    "Republic of Macedonia": "North Macedonia", "Swaziland": "Eswatini", "Vatican City State": "Vatican City",
    "Nur-Sultan": "Astana", "Washington D.C.": "Washington",
}  # fmt: skip
ALIASES = {
    "Astana": ["Nur-Sultan"],
    "Cape Verde": ["Cabo Verde"],
    "Czech Republic": ["Czechia"],
    "Democratic Republic of the Congo": ["DR Congo", "DRC", "Congo"],
    "East Timor": ["Timor-Leste"],
    "Eswatini": ["Swaziland"],
    "Federated States of Micronesia": ["Micronesia"],
    "Kyiv": ["Kiev"],
    "Ivory Coast": ["Cote d'Ivoire", "Côte d'Ivoire"],
    "Myanmar": ["Burma"],
    "North Macedonia": ["Macedonia", "Republic of Macedonia"],
    "Republic of the Congo": ["Congo"],
    "São Tomé and Príncipe": ["Sao Tome and Principe"],
    "Sucre": ["La Paz"],
    "The Bahamas": ["Bahamas"],
    "The Gambia": ["Gambia"],
    "Turkey": ["Türkiye"],
    "United Arab Emirates": ["UAE"],
    "United Kingdom": ["UK", "Great Britain", "Britain"],
    "United States": ["USA", "US", "United States of America", "America"],
    "Washington": ["Washington D.C.", "Washington, D.C."],
}
WITH_ARTICLE = frozenset(
    {
        "Central African Republic", "Comoros", "Czech Republic", "Democratic Republic of the Congo", "Dominican Republic", "Maldives",
        "Marshall Islands", "Netherlands", "Philippines", "Republic of the Congo", "Seychelles", "Solomon Islands", "United Arab Emirates",
        "United Kingdom", "United States",
    }
)
LANGUAGES = {
    "en": "English", "fr": "French", "ar": "Arabic", "es": "Spanish", "pt": "Portuguese", "ru": "Russian", "de": "German", "zh": "Chinese",
    "it": "Italian", "nl": "Dutch", "sw": "Swahili",
}  # fmt: skip
CURRENCIES = {
    "EUR": "the euro", "USD": "the United States dollar", "XCD": "the East Caribbean dollar", "AUD": "the Australian dollar",
    "XOF": "the West African CFA franc", "XAF": "the Central African CFA franc",
}  # fmt: skip


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


# ---------------------------------------------------------------- WordNet


def category_of(wordnet: WordNet, synset: Synset, seen: frozenset[str]) -> str | None:
    """The word to ask with: the synset's most frequent lemma, if this is that word's first sense; None when unfit.

    A synset that holds a seen word is asked with that word, so that it can be kept out of test.
    """
    order = sorted(range(len(synset.lemmas)), key=lambda i: (synset.lemmas[i] not in seen, -synset.counts[i], i))
    word, count = synset.lemmas[order[0]], synset.counts[order[0]]
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
        below = wordnet.closure(synset, "hyponyms")
        if not MIN_SYNSETS <= len(below) <= MAX_SYNSETS:
            continue
        for other in wordnet.senses(word)[1:]:
            tagged = other.counts[[lemma.lower() for lemma in other.lemmas].index(word)]
            more = wordnet.closure(other, "hyponyms")
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


# ---------------------------------------------------------------- countries


def load_countries(folder: Path | None = None) -> dict[str, dict]:
    """Sovereign countries of countryinfo by English name.

    Raises:
        PolychromicError: countryinfo is missing or another version than the pinned one.
    """
    if folder is None:
        try:
            version = metadata.version("countryinfo")
        except metadata.PackageNotFoundError:
            version = "missing"
        if version != COUNTRYINFO_VERSION:
            raise PolychromicError(
                f"countryinfo is {version}; curation of listqa needs {COUNTRYINFO_VERSION}. "
                f"Run `pip install countryinfo=={COUNTRYINFO_VERSION}`."
            )
        folder = Path(str(metadata.distribution("countryinfo").locate_file("countryinfo/data")))
    countries = {}
    for path in sorted(folder.glob("*.json")):
        row = json.loads(path.read_text(encoding="utf-8"))
        if row["name"] not in word_list("territories.txt"):
            countries[RENAMED.get(row["name"], row["name"])] = row
    return countries


def the(name: str) -> str:
    return f"the {name}" if name in WITH_ARTICLE else name


def plain(text: str) -> str:
    """Without accents: "Brasília" is also right as "Brasilia"."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def capitals_of(row: dict) -> list[str]:
    """A country's capital or capitals (South Africa has three); empty when it has none."""
    capital = row.get("capital") or []
    return [RENAMED.get(name, name) for name in ([capital] if isinstance(capital, str) else capital)]


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

    def ask(key: str, prompt: str, answers: Sequence[str], group: str, minimum: int = MIN_VALID, initial: str = "") -> None:
        answers = _unique(filter(None, answers))
        if len(answers) >= minimum:
            aliases = [alias for answer in answers for alias in [plain(answer), *ALIASES.get(answer, [])] if alias.startswith(initial)]
            valid = _unique([*answers[:N_REFERENCES], *sorted([*answers[N_REFERENCES:], *aliases])])
            questions.append(Question(slug(key), prompt, answers[:N_REFERENCES], valid, slug(group), "country"))

    for name in sorted(countries):
        row, group = countries[name], f"country-{name}"
        neighbours = [code[c] for c in row.get("borders", []) if c in code]
        neighbours.sort(key=by_size.index)
        ask(f"borders-{name}", f"Name a country that borders {the(name)}.", neighbours, group, MIN_NEIGHBOURS)
        ask(f"capital-next-{name}", f"Name the capital of a country that borders {the(name)}.",
            [c for n in neighbours for c in capitals[n]], group, MIN_NEIGHBOURS)  # fmt: skip
        provinces = [p for p in row.get("provinces", []) if re.fullmatch(r"[A-Za-z][A-Za-z .'-]+", p)]
        confirmed = [p for p in provinces if p.lower() in places]
        if len(confirmed) * 2 >= len(row.get("provinces", [])) and len(confirmed) >= MIN_VALID:
            ask(f"province-{name}", f"Name a state, province or region of {the(name)}.",
                [*confirmed, *(p for p in provinces if p not in confirmed)], group)  # fmt: skip
    regions: dict[str, list[str]] = defaultdict(list)
    for name in by_size:
        for region in {countries[name].get(field) for field in ("region", "subregion", "intermediateregion")} - {None, "", "Americas"}:
            regions[region].append(name)
    for region in sorted(regions):
        place = f"the {region}" if region == "Caribbean" else region
        ask(f"region-{region}", f"Name a country in {place}.", regions[region], f"region-{region}")
        ask(f"capital-in-{region}", f"Name the capital of a country in {place}.",
            [c for n in regions[region] for c in capitals[n]], f"region-{region}")  # fmt: skip
    for tag, language in LANGUAGES.items():
        speakers = [n for n in by_size if tag in countries[n].get("languages", [])]
        ask(f"language-{language}", f"Name a country where {language} is an official language.", speakers, f"language-{language}", 3)
    for tag, currency in CURRENCIES.items():
        users = [n for n in by_size if tag in countries[n].get("currencies", [])]
        ask(f"currency-{tag}", f"Name a country that uses {currency}.", users, f"currency-{tag}")
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        named = [n for n in by_size if n.removeprefix("The ").startswith(letter)]
        ask(f"country-letter-{letter}", f"Name a country whose name starts with the letter {letter}.", named,
            f"letter-{letter}", initial=letter)  # fmt: skip
        cities = [city for n in by_size for city in capitals[n] if city.startswith(letter)]
        ask(f"capital-letter-{letter}", f"Name a capital city that starts with the letter {letter}.", cities,
            f"letter-{letter}", initial=letter)  # fmt: skip
    return questions


# ---------------------------------------------------------------- groups and records


def slug(text: str) -> str:
    return re.sub(r"[^\w]+", "-", text.lower()).strip("-")


def merge_groups(questions: Sequence[Question], jaccard: float = 0.5, containment: float = 0.8, ratio: float = 2.0) -> list[Question]:
    """Put questions with nearly the same answers into one group (transitively).

    Two questions of one family are joined when the Jaccard index of their valid sets exceeds `jaccard`, or, for WordNet,
    when at least `containment` of the smaller set lies in the larger and the larger is at most `ratio` times as big.
    (Without that bound the widest categories would chain everything into one group.)
    """
    parent = {q.group: q.group for q in questions}

    def root(group: str) -> str:
        while parent[group] != group:
            group = parent[group]
        return group

    sets = [frozenset(map(str.lower, q.valid)) for q in questions]
    holders: dict[str, list[int]] = defaultdict(list)
    for i, answers in enumerate(sets):
        for answer in answers:
            holders[answer].append(i)
    for i, question in enumerate(questions):
        shared: dict[int, int] = defaultdict(int)
        for answer in sorted(sets[i]):
            for j in holders[answer]:
                if j > i and questions[j].family == question.family:
                    shared[j] += 1
        for j in sorted(shared):
            small, large = sorted((len(sets[i]), len(sets[j])))
            nested = question.family == "wordnet" and shared[j] >= containment * small and large <= ratio * small
            if nested or shared[j] > jaccard * (small + large - shared[j]):
                a, b = sorted((root(question.group), root(questions[j].group)))
                parent[b] = a
    return [replace(q, group=root(q.group)) for q in questions]


def stratum_of(question: Question) -> str:
    """Difficulty: a question with few right answers is harder to answer in ten different ways."""
    limit = 40 if question.family == "wordnet" else 8
    return f"{question.family}_{'few' if len(question.valid) <= limit else 'many'}"


def build(wordnet: WordNet, countries: dict[str, dict]) -> list[Record]:
    """All listqa records, sorted by id."""
    places = frozenset(lemma.lower() for s in wordnet.synsets.values() if s.classes and s.lexfile in (14, 15) for lemma in s.lemmas)
    questions = merge_groups([*wordnet_questions(wordnet, word_list("seen_words.txt")), *country_questions(countries, places)])
    records = []
    for question in sorted(questions, key=lambda q: q.key):
        source, licence = WORDNET if question.family == "wordnet" else COUNTRYINFO
        records.append(
            Record(
                id=f"listqa-{question.key}",
                domain="listqa",
                prompt=question.prompt,
                references=list(question.references),
                group=question.group,
                stratum=stratum_of(question),
                checker="set",
                valid=list(question.valid),
                source=source,
                licence=licence,
            )
        )
    return records
