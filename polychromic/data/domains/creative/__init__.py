"""Creative writing under constraints: "Write one sentence that uses these words: dog, run." A reply is good when all constraints hold.

Beside the constraints, whose holes a method finds at full dose ("She admired her coat fit in her coat coat.", "The stick and accuse the
person at the bottom of the plate at the back of the house."), a valid sentence repeats no content word, is no longer than people's, and is
as likely under the frozen base model as nine in ten of theirs: as a whole, and at its worst place; not knowing the keywords, which are
likely anywhere for who knows them. `valid` of a record has a line for each keyword,
its forms with the keyword first ("run ran running runs"). The judge that training never sees knows word order by parts of speech
(judge.py) in place of the likelihood, and shared content words in place of sentence vectors; the constraints are common to both.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from polychromic.data.domains import Domain, Readers
from polychromic.data.domains.creative.judge import classes, floors, usualness
from polychromic.data.records import Record
from polychromic.data.text import FUNCTION_WORDS, unaccented

MIN_WORDS, MAX_WORDS = 5, 25
MIN_OTHERS = 3  # different words that are no keyword: a list of the keywords is no sentence
STEM = 5  # letters in which two forms of a word agree: "person", "persons", "personal"
PERCENTILE = 10  # of people's sentences: what is less fluent than that is not fluent
# A reply that speaks of its task ("These words make a sentence: dog, run.") repeats the prompt; no keyword is among these.
TASK = frozenset({"sentence", "sentences", "word", "words", "keyword", "keywords"})

QUOTES = "\"'\u2018\u2019\u201c\u201d\u00ab\u00bb"
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_END = re.compile(r"[.!?\u3002][" + QUOTES + r")\]]*$")
# A mark within the text after which something follows, with the word before it and the quotes after it.
_MARK = re.compile(r"([^\s" + QUOTES + r"(\[]*?)([.!?\u3002]+)([" + QUOTES + r")\]]*)(\s*)(?=([^\s.!?\u3002" + QUOTES + r")\]]))")
_TITLES = frozenset("mr mrs ms dr prof st jr sr gen col capt lt sgt rev hon".split())
_SHORT = frozenset("vs etc inc ltd co dept approx e.g i.e a.m p.m u.s u.k".split())  # may close a sentence, unless a small letter follows


def words(text: str) -> list[str]:
    """Lower-case words without accents; "don't" is one, "well-known" are two, and "dog's" is "dog"."""
    return [word.removesuffix("'s") for word in _WORD.findall(unaccented(text).lower().replace("\u2019", "'"))]


def is_boundary(before: str, marks: str, quotes: str, blank: str, after: str) -> bool:
    """Whether a new sentence starts after this mark.

    It does not after a title or an initial, within a number, after speech that the sentence goes on after ("Stop!" he said), nor
    after another abbreviation or an ellipsis that a small letter follows.
    """
    small, folded = after.islower(), unaccented(before).lower()
    initial = re.fullmatch(r"(?:[^\W\d_]\.)*[^\W\d_]", before) and before not in ("I", "i")
    within = folded in _TITLES or (initial and not quotes) or (folded in _SHORT and small) or (not blank and after.isdigit())
    if marks == "." and within or set(marks) == {"."} and len(marks) > 1 and small:
        return False
    return not (quotes and small)


def is_one_sentence(text: str) -> bool:
    """One line that starts with a letter, ends in . ! or ?, and holds no other sentence; quotes around it or in it are allowed."""
    text = unicodedata.normalize("NFKC", text).strip()
    if not text.lstrip(QUOTES)[:1].isalpha() or not _END.search(text) or len(text.splitlines()) != 1:
        return False
    return not any(is_boundary(*found.groups()) for found in _MARK.finditer(text))


def is_list(text: str) -> bool:
    """Half of the words or more, at least three, stand alone between commas, "and" and "or": "Dog, run, fence, tree and sky."."""
    parts = [words(part) for part in re.split(r"[,;:]|\b(?:and|or)\b", text)]
    alone = sum(len(part) == 1 for part in parts)
    return alone >= 3 and 2 * alone >= sum(map(len, parts))


def content(said: Sequence[str]) -> list[str]:
    """Beginnings of the words that carry meaning, in their order."""
    return [word[:STEM] for word in said if word not in FUNCTION_WORDS]


class Creative(Domain):
    name, checker, similarity = "creative", "set", "semantic"

    def key(self, record: Record, reply: str) -> str:
        return " ".join(words(reply))

    def answer(self, record: Record, reply: str) -> str | None:
        """The sentence in its normalised form, or None unless it holds every keyword in some form, is one sentence of 5 to 25 words with
        at least 3 different others among them, says no content word twice, and is no list or echo."""
        said = words(reply)
        if not MIN_WORDS <= len(said) <= MAX_WORDS or not is_one_sentence(reply) or is_list(reply):
            return None
        different, keywords = set(said), [frozenset(line.split()) for line in record.valid]
        others = different.difference(*keywords)
        holds = all(forms & different for forms in keywords) and len(others) >= MIN_OTHERS and not others & TASK
        return " ".join(said) if holds and len(set(content(said))) == len(content(said)) else None

    def asks_fluency(self, record: Record, reply: str) -> bool:
        return self.answer(record, reply) is not None

    def answers(self, record: Record, replies: Sequence[str], readers: Readers) -> list[str | None]:
        """Those that keep the rules, are no longer than people's and as fluent: neither the sentence nor its worst place is less likely
        under the base model, which does not know the keywords here, than `norms` found of people's."""
        found = [self.answer(record, reply) for reply in replies]
        found = [answer if answer and len(answer.split()) <= readers.norms["words"] else None for answer in found]
        if kept := [i for i, answer in enumerate(found) if answer is not None]:
            fluent = readers.fluency([replies[i] for i in kept]) >= np.array(readers.norms["fluency"])
            for i in np.array(kept)[~fluent.all(axis=1)]:
                found[i] = None
        return found

    def norms(self, records: Sequence[Record], readers: Readers) -> dict[str, Any]:
        """cosine; of people's sentences that keep the rules: words, the number that PERCENTILE / 2 in a hundred exceed; fluency, the
        PERCENTILE of both its values."""
        kept = [text for record in records for text in record.references if self.answer(record, text) is not None]
        return super().norms(records, readers) | {
            "words": float(np.percentile([len(words(text)) for text in kept], 100 - PERCENTILE / 2)),
            "fluency": np.percentile(readers.fluency(kept), PERCENTILE, axis=0).round(6).tolist(),
        }

    def held_out_norms(self, records: Sequence[Record], readers: Readers) -> dict[str, Any]:
        """sentences in classes of words; unusual, the PERCENTILE of people's by a model of other people's; long, as norms' words."""
        texts = [text for record in records for text in record.references]
        said = [classes(text) for text in texts]
        return {
            "sentences": list(map(" ".join, said)),
            "unusual": floors(said, PERCENTILE),
            "long": float(np.percentile([len(words(text)) for text in texts], 100 - PERCENTILE / 2)),
        }

    def held_out_quality(self, record: Record, replies: Sequence[str], readers: Readers) -> np.ndarray:
        """1 for a sentence that keeps the rules, is no longer than people's, and whose order of words is as usual as nine in ten of theirs,
        as a whole and at its worst place; else 0."""
        sentences, least = tuple(readers.norms["sentences"]), readers.norms["unusual"]
        usual = lambda reply: bool(np.all(np.array(usualness(classes(reply), sentences)) >= least))
        kept = [self.answer(record, reply) is not None and len(words(reply)) <= readers.norms["long"] for reply in replies]
        return np.array([good and usual(reply) for good, reply in zip(kept, replies, strict=True)], dtype=float)

    def held_out_similarity(self, record: Record, replies: Sequence[str], readers: Readers) -> np.ndarray:
        """Shared share (Jaccard) of the content words that are no keywords; 1 for two sentences without any."""
        keywords = {form[:STEM] for line in record.valid for form in line.split()}
        said = [frozenset(content(words(reply))) - keywords for reply in replies]
        return np.array([[len(a & b) / len(a | b) if a | b else 1.0 for b in said] for a in said])


DOMAIN = Creative()
