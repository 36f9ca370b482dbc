"""Questions about countries, their capitals and cities."""

from __future__ import annotations

import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from string import ascii_uppercase

from polychromic.base.errors import PolychromicError
from polychromic.data import packages
from polychromic.data.listqa.ask import COUNTRYINFO_VERSION, MIN_VALID, N_REFERENCES, question
from polychromic.data.records import Record
from polychromic.data.text import shipped, word_list

MIN_CITIES = 12  # of a country or state that is asked for them
LARGE = 1_000_000  # people of a city all of whose names count, in any language that is written in Latin letters

TABLES = tomllib.loads(shipped("countries.toml"))


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

    def ask(key: str, prompt: str, answers: Iterable[str], group: str, initial: str = "") -> None:
        answers = list(dict.fromkeys(filter(None, answers)))
        if len(answers) >= MIN_VALID:
            lines = [(name, *(a for a in TABLES["aliases"].get(name, []) if a.startswith(initial))) for name in answers]
            questions.append(question("country", key, prompt, lines, group))

    for name in sorted(countries):
        row, group = countries[name], f"country-{name}"
        it = f"the {name}" if name in TABLES["article"]["names"] else name
        neighbours = sorted((code[c] for c in row.get("borders", []) if c in code), key=by_size.index)
        ask(f"borders-{name}", f"Name a country that borders {it}.", neighbours, group)
        next_to = f"Name the capital of a country that borders {it}."
        ask(f"capital-next-{name}", next_to, [c for n in neighbours for c in capitals[n]], group)
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
        ask(f"language-{language}", prompt, having("languages", tag), f"language-{language}")
    for tag, currency in TABLES["currencies"].items():
        ask(f"currency-{tag}", f"Name a country that uses {currency}.", having("currencies", tag), f"currency-{tag}")
    cities = [city for name in by_size for city in capitals[name]]
    for letter in ascii_uppercase:
        for what, names in (("country whose name", by_size), ("capital city that", cities)):
            answers = [n for n in names if n.removeprefix("The ").startswith(letter)]
            prompt = f"Name a {what} starts with the letter {letter}."
            ask(f"{what.split()[0]}-letter-{letter}", prompt, answers, f"letter-{letter}", initial=letter)
    return questions


def load_cities() -> list[dict]:
    """Places of 5,000 people or more, the largest first; raises as `obtain` does."""
    rows = json.loads(packages.obtain(packages.GEONAMES).read_text(encoding="utf-8")).values()
    return sorted(rows, key=lambda row: (-row["population"], row["geonameid"]))


def names_of(city: dict, places: frozenset[str]) -> list[str]:
    """Names of a city, the usual English one first: Munich, München. Further names are those that WordNet knows; of large cities, all."""
    name, large = city["name"], city["population"] >= LARGE
    latin = [other for other in city["alternatenames"] if re.fullmatch(r"[A-Z][A-Za-z' -]{3,24}", other)]
    more = [other for other in latin if large or other.lower() in places]
    return sorted(dict.fromkeys([name, name.removesuffix(" City"), *more]), key=lambda one: (one.lower() not in places, one != name))


def city_questions(countries: dict[str, dict], cities: list[dict], places: frozenset[str]) -> list[Record]:
    """Cities of the countries and of the states of the USA; the popular ones are the largest that WordNet knows, then the others.

    places: names of places in WordNet, lower case.
    """
    code = {row["ISO"].get("alpha2"): name for name, row in countries.items()}
    found: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(dict)
    for row in cities:
        if re.search(r"\d|^(?:Sector|Zone)\b", row["name"]):  # of a city
            continue
        names = names_of(row, places)
        if row["countrycode"] in code:
            found["country", code[row["countrycode"]]].setdefault(names[0], names)
        if row["countrycode"] == "US" and row["admin1code"] in TABLES["states"]:
            found["state", TABLES["states"][row["admin1code"]]].setdefault(names[0], names)
    questions = []
    for (what, name), names in sorted(found.items()):
        if len(names) >= MIN_CITIES:
            the = "the " if name in TABLES["article"]["names"] else "the state of " if what == "state" and name in countries else ""
            known = frozenset(one for one in names if one.lower() in places)
            usual = lambda one, known=known: one in known if len(known) >= N_REFERENCES else bool(re.fullmatch(r"[A-Za-z' .-]+", one))
            group = f"{what}-{name}"
            questions.append(question("city", f"city-{group}", f"Name a city in {the}{name}.", names.values(), group, usual))
    return questions
