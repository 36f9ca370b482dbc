"""creative: "Write one sentence that uses these words: dog, run." from the examples, sentences and phrases, of WordNet.

Whole sentences are taken by rule, get a capital and a full stop where they lack one, and are changed in nothing else. Two to four common
words of a sentence, as lemmas, are its keywords; every sentence that holds all of them is a reference. Which forms count as uses of a
keyword is decided here and stands in the record; what else makes a reply valid belongs to polychromic/data/domains/creative.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations, pairwise
from typing import NamedTuple

from polychromic.base.errors import PolychromicError
from polychromic.data import wordnet
from polychromic.data.domains.creative import TASK
from polychromic.data.records import Record
from polychromic.data.text import hashed, joined, near_duplicates, normalised, suitable, tercile, word_list, words
from polychromic.data.wordnet import INFLECTED, Lexicon

PARTS = ("noun", "verb", "adj", "adv")
WORD_LISTS = ("unsuitable_words.txt", "profane_words.txt", "grim_words.txt")
ASK = "Write one sentence that uses these words: {}."

SENTENCE_WORDS = (5, 20)
# Keywords of a record: how many records have so many, and how many different words a sentence must have for them. Each lemma was
# tagged at least so often in WordNet's corpus, and is a keyword of at most so many records, so that none dominates.
RECORDS = {2: 900, 3: 800, 4: 300}
LEAST_WORDS = {2: 6, 3: 7, 4: 9}
MIN_COUNT, MAX_RECORDS = 20, 10
CLEAR = 4  # a word is taken for a form of a lemma that was tagged so many times as often as any other it may belong to

EXAMPLE = re.compile(r'"([^"]+)"(\s*-+\s*[A-Z])?')  # the second group: a quotation, with its author
PLAIN = re.compile(r"[A-Za-z][a-z]*(?:,? (?:I|[a-z]+(?:'[a-z]+)*|I'[a-z]+))+[.!?]?")
NOUNS = frozenset({"will", "can", "might", "must"})  # auxiliaries that are nouns after a determiner
RELATIVES = frozenset("that who whom whose which where when what".split())
PRONOUNS = frozenset("i you he she it we they nobody everybody everyone somebody someone there".split())
DETERMINERS = frozenset("the a an his her my our your their its this that these those no every some many most all both".split())
FINITE = frozenset(  # auxiliaries, and past forms that are no participle
    "is are was were am has had have do does did will would can could may might must shall should cannot "
    "isn't aren't wasn't weren't hasn't hadn't haven't don't doesn't didn't won't wouldn't can't couldn't mustn't shouldn't "
    "ate became began bit blew broke came chose drank drew drove fell flew forgot froze gave grew hid knew ran rang rode rose sang saw "
    "shook sank spoke sprang stole swam swore threw took tore went woke wore wrote".split()
)


class Example(NamedTuple):
    """An example sentence: as written, the part of speech of its entry, and that entry's lemmas."""

    text: str
    part: str
    lemmas: tuple[str, ...]


def examples() -> Iterator[Example]:
    """All examples of WordNet, in the order of the database, without quotations from named authors; raises as wordnet.read does."""
    for part in PARTS:
        for synset in wordnet.synsets(part):
            found = [" ".join(text.split()) for text, author in EXAMPLE.findall(synset.gloss) if not author]
            yield from (Example(text, part, tuple(map(str.lower, synset.lemmas))) for text in found)


def is_finite(example: Example, said: Sequence[str], lexicon: Lexicon) -> bool:
    """Whether the example is a sentence and no phrase; a guess from its words that rather drops a sentence than keeps a phrase.

    It opens with a pronoun or a determiner, or stands in an entry of verbs and opens with a capital and a noun. It holds more finite
    verbs (words of FINITE, forms of the verb whose entry it is in) than openings of relative clauses; or, right after a pronoun, a form
    in -s or a past form of a verb, by the best known lemma.
    """
    first, rest = said[0], said[1:]
    illustrated = example.part == "verb" and example.text[0].isupper()
    best = lambda word: next(iter(lexicon.lemmas(word)), word)
    inflected = lambda word: word != best(word) and not word.endswith("ing") and word in lexicon.forms_as(best(word), "verb")
    if first not in PRONOUNS | DETERMINERS and not (illustrated and lexicon.part(best(first)) == "noun"):
        return False
    if first in PRONOUNS and any(map(inflected, rest[:2])):
        return True
    finite = {word for before, word in pairwise(said) if word in FINITE and not (word in NOUNS and before in DETERMINERS)}
    if illustrated:
        finite |= {form for lemma in example.lemmas for form in lexicon.forms_as(lemma, "verb") if not form.endswith("ing")} & set(rest)
    return len(finite) > (0 if first in PRONOUNS else sum(word in RELATIVES for word in rest))


def sentences(found: Sequence[Example], lexicon: Lexicon) -> list[str]:
    """Whole sentences among the examples with a capital and a full stop, each once, in the order of a hash.

    Letters, commas and apostrophes alone; names, and so every capital but the first and "I", are left out, and a given name at the start.
    No word of the lists, in any form.
    """
    kept: dict[str, str] = {}
    for example in found:
        said = words(example.text)
        plain = SENTENCE_WORDS[0] <= len(said) <= SENTENCE_WORDS[1] and PLAIN.fullmatch(example.text)
        if not plain or TASK & set(said) or len(set(said)) < 0.7 * len(said):
            continue
        known = " ".join({form for word in said for form in (word, *lexicon.lemmas(word))})
        pleasant = suitable(known, WORD_LISTS) and suitable(said[0], ["first_names.txt"])
        if pleasant and is_finite(example, said, lexicon):
            text = example.text[0].upper() + example.text[1:]
            kept.setdefault(normalised(text), text if text[-1] in ".!?" else f"{text}.")
    ordered = sorted(kept.values(), key=hashed)
    doubles = {j for _, j in near_duplicates(ordered)}
    return [text for i, text in enumerate(ordered) if i not in doubles]


def content_lemmas(text: str, lexicon: Lexicon) -> list[str]:
    """Lemmas of the text that may be keywords, sorted: nouns, verbs and adjectives that are common and clearly meant."""
    found = set()
    for word in words(text):
        best, *others = lexicon.lemmas(word) or [""]
        count, vague = lexicon.count(best), {word, best} & word_list("no_keywords.txt")
        clear = count >= MIN_COUNT and len(best) > 2 and (not others or count >= CLEAR * lexicon.count(others[0]))
        if clear and not vague and lexicon.part(best) in INFLECTED:
            found.add(best)
    return sorted(found)


def choose_keywords(text: str, candidates: Sequence[str], numbers: Sequence[int], lexicon: Lexicon) -> tuple[str, ...] | None:
    """The first fitting candidates in the order of a hash, as many as the largest of `numbers` that the sentence allows.

    A noun is among them, and no two share a form. None where that fails.
    """
    ordered = sorted(candidates, key=lambda lemma: hashed(text, lemma))
    for chosen in chain(*(combinations(ordered, number) for number in sorted(numbers, reverse=True) if is_long(text, number))):
        forms = [lexicon.forms(lemma) for lemma in chosen]
        apart = len(frozenset().union(*forms)) == sum(map(len, forms))
        if apart and any(lexicon.part(lemma) == "noun" for lemma in chosen):
            return chosen
    return None


def is_long(text: str, number: int) -> bool:
    """Whether the sentence has enough different words for so many keywords."""
    return len(set(words(text))) >= LEAST_WORDS[number]


def keyword_sets(texts: Sequence[str], lexicon: Lexicon, wanted: Mapping[int, int]) -> dict[tuple[str, ...], list[str]]:
    """Keyword sets, as shown, with their references: the sentence that the set was made from, then all others that hold it.

    wanted: number of keywords → number of sets. PolychromicError: there are fewer.
    """
    used: Counter[str] = Counter()
    lacking = Counter(wanted)
    chosen: dict[frozenset[str], tuple[tuple[str, ...], str]] = {}
    holders: dict[str, set[str]] = defaultdict(set)
    for text in texts:
        for lemma in (lemmas := content_lemmas(text, lexicon)):
            holders[lemma].add(text)
        keywords = choose_keywords(text, [lemma for lemma in lemmas if used[lemma] < MAX_RECORDS], list(+lacking), lexicon)
        if keywords and frozenset(keywords) not in chosen:
            chosen[frozenset(keywords)] = (keywords, text)
            used.update(keywords)
            lacking[len(keywords)] -= 1
    if lack := +lacking:
        got = ", ".join(f"{wanted[n] - count} of {wanted[n]} with {n} keywords" for n, count in sorted(lack.items()))
        raise PolychromicError(f"WordNet: too few sentences pass the filters ({got}). Relax a filter in polychromic/data/creative.py.")
    others = lambda keywords, text: set.intersection(*map(holders.get, keywords)) - {text}
    return {
        keywords: [text, *sorted((other for other in others(keywords, text) if is_long(other, len(keywords))), key=hashed)]
        for keywords, text in chosen.values()
    }


def group_of(sets: dict[tuple[str, ...], list[str]]) -> dict[tuple[str, ...], str]:
    """Keyword set → group: sets that share two keywords or a reference are in one, transitively."""
    first: dict[object, tuple[str, ...]] = {}
    alike = [
        (first.setdefault(shared, keywords), keywords)
        for keywords, references in sets.items()
        for shared in [*map(frozenset, combinations(keywords, 2)), *references]
    ]
    return {keywords: f"words-{'-'.join(sorted(least))}" for keywords, least in joined(sets, alike).items()}


def build(found: Sequence[Example], lexicon: Lexicon, wanted: Mapping[int, int] = RECORDS) -> list[Record]:
    """All creative records, sorted by id, which is made of the keywords.

    `valid`: a line of forms per keyword, the keyword first. Stratum, for difficulty: the number of keywords, and among those with so many
    the tercile of the first reference's length in words.
    """
    sets = keyword_sets(sentences(found, lexicon), lexicon, wanted)
    groups, records = group_of(sets), []
    for number in wanted:
        rows = [row for row in sets.items() if len(row[0]) == number]
        for (keywords, references), length in zip(rows, tercile([len(words(said[0])) for _, said in rows]), strict=True):
            records.append(Record(
                id=f"creative-{'-'.join(sorted(keywords))}", prompt=ASK.format(", ".join(keywords)), references=references,
                domain="creative", group=groups[keywords], stratum=f"{number}_{length}",
                checker="set", source=wordnet.SOURCE, licence=wordnet.LICENCE,
                valid=[" ".join([lemma, *sorted(lexicon.forms(lemma) - {lemma})]) for lemma in keywords],
            ))  # fmt: skip
    return sorted(records, key=lambda record: record.id)
