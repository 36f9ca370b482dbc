"""Questions from WordNet: kinds of a thing, those of a first letter, ways to do something, words of like meaning, parts."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from string import ascii_lowercase

from polychromic.data.domains.listqa.reading import folded
from polychromic.data.listqa.ask import MIN_VALID, N_REFERENCES, frequencies, question
from polychromic.data.records import Record
from polychromic.data.text import suitable, word_list
from polychromic.data.wordnet import Lexicon, Synset, WordNet

# Categories: size of the hyponym closure in synsets, and hyponyms that people know.
MIN_SYNSETS, MAX_SYNSETS, MIN_KNOWN = 6, 1500, 5
# Lexicographer files (lexnames(5)) whose senses name things one can ask a kind of; abstract ones (acts, states,
# relations, cognition …) only when the word itself was tagged in the corpus.
CONCRETE = {5, 6, 8, 13, 17, 18, 20, 21, 27}
ABSTRACT = {4, 7, 9, 10, 11, 12, 14, 15, 19, 23, 25, 26, 28}
PERSON = 18
ACTIONS = {29, 32, 33, 34, 35, 36, 38, 39}  # body, communication, competition, consumption, contact, creation, motion, perception
LISTS = ("unsuitable_words.txt", "profane_words.txt")
COMMON = 3e5  # of a word in a sense, times that it stands in Google Books: about the 35,000 most frequent words
ASKED = 1e6  # of the word that is asked with
NAME = 0.05  # share of the uses of a word that is a name, too, or a name that is a word, too, which are the other one
OWN = 0.3  # least share of a category's word that its sense has: no "one kind of form"
SENSE = 0.1  # least share of a further sense that counts, too
MIN_PARTS = 3  # well-known parts of a thing that is asked for some
OWN_PART, MOST_SIMILAR = 0.7, 320  # least share of a word's uses as an adjective; questions about words of like meaning
LETTERS, SEEN_LETTERS = 6, 3  # questions of one category that ask for a first letter; of one that was seen


Scored = dict[tuple[str, ...], tuple[float, ...]]  # forms of a thing, the canonical one first: how well each is known


class Usage:
    """How well known words of a part of speech are in a sense."""

    def __init__(self, wordnet: WordNet, lexicon: Lexicon):
        self.wordnet, self.lexicon = wordnet, lexicon

    def of(self, lemma: str, synset: Synset) -> float:
        """Frequency in books times `share`; what the list of frequencies lacks (most names, phrases) is told apart by tags alone."""
        return frequencies().get(lemma.lower(), 0) * self.share(lemma, synset) + synset.counts[synset.lemmas.index(lemma)]

    def share(self, lemma: str, synset: Synset) -> float:
        """Share of the word's uses that are this sense, by the tagged corpus and one pseudo-count per sense; where a word is a name, too
        ("jimmy", "Mobile"), and the corpus does not know this use, it is the other one."""
        word = lemma.lower()
        senses, tagged = self.wordnet.senses(word), synset.counts[synset.lemmas.index(lemma)]
        first = bool(senses) and senses[0].offset == synset.offset
        other = word.capitalize() if lemma == word else word
        rare = lemma == word and word in word_list("first_names.txt") or not tagged and any(other in sense.lemmas for sense in senses)
        return (tagged + first) / (self.lexicon.count(word) + len(senses) or 1) * (NAME if rare else 1)

    def forms(self, synsets: Iterable[Synset], besides: frozenset[str]) -> Scored:
        """Synset by synset the suitable lemmas that are no form of `besides`, best known first, and how well known each is."""
        asked, owned = frozenset(map(folded, besides)), {}
        for synset in {synset.offset: synset for synset in synsets}.values():
            for lemma in dict.fromkeys(synset.lemmas):
                if folded(lemma) not in asked and suitable(lemma, LISTS):
                    owned[lemma] = max(owned.get(lemma, (-1.0, 0)), (self.of(lemma, synset), synset.offset))
        best = {lemma: score for lemma, (score, _) in owned.items()}
        by_synset: dict[int, list[str]] = defaultdict(list)
        for lemma, (_, offset) in owned.items():
            by_synset[offset].append(lemma)
        # The canonical form is the best known, but "January" before "Jan".
        rank = lambda lemma: (-best[lemma], " " in lemma, lemma.lower(), lemma)
        longer = lambda lemma, of: [one for one in of if one != lemma and one.isalpha() and one.lower().startswith(lemma.lower())]
        lines = [tuple(sorted(lemmas, key=lambda one, of=lemmas: (bool(longer(one, of)), rank(one)))) for lemmas in by_synset.values()]
        return {forms: tuple(best[form] for form in forms) for forms in sorted(lines, key=lambda forms: rank(forms[0]))}


def known_in(found: Scored) -> frozenset[str]:
    """Canonical forms that are single words in lower case and well known."""
    return frozenset(forms[0] for forms, scores in found.items() if scores[0] >= COMMON and re.fullmatch(r"[a-z]+", forms[0]))


def initial(found: Scored, letter: str) -> Scored:
    """What starts with a letter, the best known first: things that have such a form, with these forms alone."""
    fit = lambda form: form.lower().startswith(letter) and len(form) > 1
    kept = ([one for one in zip(*thing, strict=True) if fit(one[0])] for thing in found.items())
    lines = [tuple(zip(*pairs, strict=True)) for pairs in kept if pairs]
    return {forms: scores for forms, scores in sorted(lines, key=lambda line: (-line[1][0], line[0]))}


def category_of(usage: Usage, synset: Synset, seen: frozenset[str]) -> str | None:
    """The word to ask with: the synset's most frequent lemma, if this is that word's first sense; None when unfit.

    A synset that holds a seen word is asked with that word, so that it can be kept out of test.
    """
    word, count = min(zip(synset.lemmas, synset.counts, strict=True), key=lambda one: (one[0] not in seen, -one[1]))
    if not re.fullmatch(r"[a-z]+([ '-][a-z]+)*", word) or word in word_list("excluded_categories.txt") or not suitable(word, LISTS):
        return None
    fit = synset.lexfile in CONCRETE or synset.lexfile in ABSTRACT and (count > 0 or word in seen)
    common = min(frequencies().get(part, 0) for part in re.findall("[a-z]+", word)) >= ASKED
    own = " " in word or usage.share(word, synset) >= OWN
    return word if fit and common and own and usage.wordnet.senses(word)[0].offset == synset.offset else None


def below(wordnet: WordNet, synset: Synset, word: str) -> list[Synset]:
    """Hyponyms and instances below the sense, and below further senses of the word in its lexicographer file that were tagged at least
    once, as a reader may have them in mind; empty where they are too few or too many."""
    found = wordnet.below(synset) if synset.hyponyms or synset.instances else []
    instances = [wordnet.synsets[i] for s in [synset, *found] for i in s.instances]
    if not MIN_SYNSETS <= len(found) + len(instances) or len(found) > MAX_SYNSETS:
        return []
    for other in wordnet.senses(word)[1:]:
        tagged, more = other.counts[[lemma.lower() for lemma in other.lemmas].index(word)], wordnet.below(other)
        if tagged and other.lexfile == synset.lexfile and len(found) + len(more) <= MAX_SYNSETS:
            found = found + more
    return found + [wordnet.synsets[i] for s in [synset, *found] for i in s.instances]


def article(word: str) -> str:
    return "an" if word[0] in "aeiou" and not word.startswith(("uni", "eu", "one")) else "a"


def kinds(wordnet: WordNet, lexicon: Lexicon, seen: frozenset[str]) -> list[Record]:
    """A question per category, and one per first letter of which the category has enough."""
    usage, found = Usage(wordnet, lexicon), {}
    for _, synset in sorted(wordnet.synsets.items()):
        if not (word := category_of(usage, synset, seen)) or not (lower := below(wordnet, synset, word)):
            continue
        forms = usage.forms(lower, frozenset({word, word.split()[-1]}))
        names = sum(forms[0][:1].isupper() for forms in forms) * 2 > len(forms)
        known = known_in(forms) if not names else frozenset(forms_[0] for forms_, scores in forms.items() if scores[0] > 0)
        if len(known) < MIN_KNOWN or names and synset.lexfile == PERSON:  # who is known as a composer, and by which name, is not told here
            continue
        group, asked = f"kind-{word}", f"{article(word)} {word}" if names else f"one kind of {word}"
        found[word] = [question("kind", group, f"Name {asked}.", forms, group, known.__contains__)]
        letters = []
        for letter in ascii_lowercase:
            of = initial(forms, letter)
            enough = known & {forms_[0] for forms_ in of} if names else known_in(of)
            if len(of) >= MIN_VALID and len(enough) >= N_REFERENCES:
                prompt = f"Name {asked} that starts with the letter {letter.upper()}."
                weight = sum(scores[0] for scores in of.values())
                letters.append((weight, question("letter", f"{group}-{letter}", prompt, of, group, enough.__contains__)))
        found[word] += [record for _, record in sorted(letters, key=lambda one: -one[0])[: SEEN_LETTERS if word in seen else LETTERS]]
    return [record for word in sorted(found) for record in found[word]]


def inflected(lexicon: Lexicon, verb: str) -> tuple[str, ...]:
    """The verb and its forms; those of the first word where it has several ("warm up")."""
    first, *rest = verb.split()
    forms = lexicon.forms_as(first, "verb") - {first} if first.isalpha() and first.isascii() else ()
    return (verb, *sorted(" ".join([form, *rest]) for form in forms))


def ways(verbs: WordNet, lexicon: Lexicon) -> list[Record]:
    """As "Name one way to walk.": verbs below the first sense of a verb, and below those further ones that are a tenth of its uses.
    References are verbs that the corpus has in such a sense."""
    usage, found = Usage(verbs, lexicon), {}
    for _, synset in sorted(verbs.synsets.items()):
        word = max(zip(synset.counts, synset.lemmas, strict=True), key=lambda one: one[0])[1]
        fit = re.fullmatch("[a-z]+", word) and word not in word_list("excluded_categories.txt") and suitable(word, LISTS)
        own = synset.lexfile in ACTIONS and usage.share(word, synset) >= SENSE and usage.of(word, synset) >= ASKED
        if not fit or not own or verbs.senses(word)[0].offset != synset.offset:
            continue
        senses = [synset, *(sense for sense in verbs.senses(word) if usage.share(word, sense) >= SENSE)]
        lower = [s for sense in senses for s in verbs.below(sense)]
        forms = usage.forms(lower, frozenset({word, *synset.lemmas}))
        tagged = {lemma for s in lower for lemma, count in zip(s.lemmas, s.counts, strict=True) if count and usage.share(lemma, s) >= OWN}
        if len(known := known_in(forms) & tagged) >= N_REFERENCES and MIN_VALID <= len(forms) <= MAX_SYNSETS:
            lines = [tuple(form for verb in one for form in inflected(lexicon, verb)) for one in forms]
            found[word] = question("way", f"way-{word}", f"Name one way to {word}.", lines, f"way-{word}", known.__contains__)
    return [found[word] for word in sorted(found)]


def similar(adjectives: WordNet, lexicon: Lexicon) -> list[Record]:
    """As "Name a word that means nearly the same as big.": lemmas of the adjective's senses and of those that WordNet calls similar, of the
    first sense first. Of the MOST_SIMILAR most frequent adjectives that have enough."""
    questions = []
    for word in frequencies():
        if len(questions) == MOST_SIMILAR:
            break
        if lexicon.count(word, "adj") < OWN_PART * lexicon.count(word) or not (senses := adjectives.senses(word)):
            continue
        if word in word_list("excluded_categories.txt") or not suitable(word, LISTS):
            continue
        place: dict[str, int] = {}
        for number, sense in enumerate(senses):
            for lemma in [lemma for s in [sense, *(adjectives.synsets[i] for i in sense.similar)] for lemma in s.lemmas]:
                if folded(lemma) != folded(word) and suitable(lemma, LISTS):
                    place.setdefault(lemma, number)
        score = {lemma: frequencies().get(lemma, 0) / (len(adjectives.senses(lemma.lower())) or 1) for lemma in place}
        order = sorted(place, key=lambda lemma: (place[lemma] > 0, -score[lemma], lemma))
        known = {lemma for lemma in order if score[lemma] >= COMMON and 2 * lexicon.count(lemma, "adj") >= lexicon.count(lemma)}
        if len(known) >= MIN_KNOWN:
            prompt = f"Name a word that means nearly the same as {word}."
            lines = [(lemma,) for lemma in order]
            questions.append(question("similar", f"similar-{word}", prompt, lines, f"similar-{word}", known.__contains__))
    return questions


def parts(wordnet: WordNet, lexicon: Lexicon, seen: frozenset[str]) -> list[Record]:
    """As "Name one part of a car.": parts of a thing that was not seen, of what it is a kind of, and their parts and kinds."""
    usage, found, above = Usage(wordnet, lexicon), {}, defaultdict(list)
    for synset in wordnet.synsets.values():
        for lower in synset.hyponyms:
            above[lower].append(synset.offset)
    for offset, synset in sorted(wordnet.synsets.items()):
        if not synset.parts or synset.lexfile not in CONCRETE or not (word := category_of(usage, synset, seen)) or word in seen:
            continue
        chain, pending = [], [offset]
        while pending:
            chain += pending
            pending = [higher for one in pending for higher in above[one] if higher not in chain]
        has = [wordnet.synsets[i] for one in chain for i in wordnet.synsets[one].parts]
        has += [wordnet.synsets[i] for part in has for i in part.parts]
        forms = usage.forms([lower for part in has for lower in [part, *wordnet.below(part)]], frozenset({word, word.split()[-1]}))
        direct = {wordnet.synsets[i] for i in synset.parts}
        known = known_in({f: scores for f, scores in forms.items() if any(f[0] in part.lemmas for part in direct)})
        if len(known) >= MIN_PARTS and len(forms) <= MAX_SYNSETS:
            prompt = f"Name one part of {article(word)} {word}."
            found[word] = question("unseen:part", f"part-{word}", prompt, forms, f"part-{word}", known.__contains__)
    return [found[word] for word in sorted(found)]
