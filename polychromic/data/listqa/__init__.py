"""listqa: short questions with many right answers, each with the full set of answers its source knows.

A module per source gives questions: classes (WordNet: "Name one kind of fruit."), places ("Name a city in Japan."), spelled ("Name a word
that ends with "ack"."). What makes a reply valid belongs to polychromic/data/domains/listqa. All choices are rules and word lists.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from polychromic.data.listqa import classes, places, spelled
from polychromic.data.listqa.ask import MIN_VALID
from polychromic.data.records import Record
from polychromic.data.text import joined, word_list
from polychromic.data.wordnet import Lexicon, WordNet

JACCARD, CONTAINMENT, RATIO = 0.5, 0.8, 2.0  # see merge_groups


def merge_groups(questions: Sequence[Record]) -> list[Record]:
    """Put questions with nearly the same answers into one group (transitively).

    Two questions of one stratum are joined when the Jaccard index of their valid sets exceeds JACCARD, or, for kinds, when at least
    CONTAINMENT of the smaller set lies in the larger one, at most RATIO times as big: the widest categories would chain all into one.
    """
    sets = [frozenset(map(str.lower, q.right)) for q in questions]
    holders: dict[tuple[str, str], list[int]] = defaultdict(list)  # by stratum and answer
    alike = []
    for i, one in enumerate(questions):
        for j, count in Counter(j for answer in sets[i] for j in holders[one.stratum, answer]).items():
            small, large = sorted((len(sets[i]), len(sets[j])))
            nested = one.stratum == "kind" and count >= CONTAINMENT * small and large <= RATIO * small
            if nested or count > JACCARD * (small + large - count):
                alike.append((one.group, questions[j].group))
        for answer in sets[i]:
            holders[one.stratum, answer].append(i)
    group = joined((q.group for q in questions), alike)
    return [q.model_copy(update={"group": group[q.group]}) for q in questions]


def build() -> list[Record]:
    """All listqa records, sorted by id; raises as the sources' readers do."""
    lexicon, nouns, verbs, adjectives = Lexicon(), *map(WordNet, ("noun", "verb", "adj"))
    countries = places.load_countries()
    known_places = frozenset(lemma.lower() for s in nouns.synsets.values() if s.classes and s.lexfile in (14, 15) for lemma in s.lemmas)
    words = spelled.vocabulary(lexicon, nouns, verbs, adjectives)
    seen = word_list("seen_words.txt")
    questions = [
        *classes.kinds(nouns, lexicon, seen), *classes.ways(verbs, lexicon), *classes.similar(adjectives, lexicon),
        *classes.parts(nouns, lexicon, seen), *places.country_questions(countries, known_places),
        *places.city_questions(countries, places.load_cities(), known_places),
        *spelled.starts(words, lexicon), *spelled.endings(words), *spelled.syllables(words), *spelled.rhymes(words),
    ]  # fmt: skip
    return sorted(merge_groups([q for q in questions if len(q.valid) >= MIN_VALID]), key=lambda record: record.id)
