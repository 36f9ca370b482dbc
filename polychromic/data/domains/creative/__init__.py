"""Creative writing under constraints: "Write one sentence that uses these words: dog, run." A reply is good when all constraints hold.

The constraints below are all that is checked: whether the sentence is any good is not. `valid` of a record has a line for each keyword,
its forms with the keyword first ("run ran running runs"); references are never read. A method with a set objective or self-training
sees the checker of pass@k: what is reported beside it and never trained on (likeness to the references, perplexity under the base model,
diversity in words) says whether validity was bought with something else.
"""

from __future__ import annotations

import re
import unicodedata

from polychromic.data.domains import Domain
from polychromic.data.records import Record
from polychromic.data.text import unaccented

MIN_WORDS, MAX_WORDS = 5, 25
MIN_OTHERS = 3  # different words that are no keyword: a list of the keywords is no sentence
LOOP = 0.5  # a sentence in which fewer of the words than this are different goes round in circles
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


class Creative(Domain):
    name, checker, similarity = "creative", "set", "semantic"

    def key(self, record: Record, reply: str) -> str:
        return " ".join(words(reply))

    def answer(self, record: Record, reply: str) -> str | None:
        """The sentence in its normalised form, or None unless it holds every keyword in some form, is one sentence of 5 to 25 words with
        at least 3 different others among them, and no list, loop or echo."""
        said = words(reply)
        if not MIN_WORDS <= len(said) <= MAX_WORDS or not is_one_sentence(reply) or is_list(reply):
            return None
        different, keywords = set(said), [frozenset(line.split()) for line in record.valid]
        others = different.difference(*keywords)
        holds = all(forms & different for forms in keywords) and len(others) >= MIN_OTHERS and not others & TASK
        return " ".join(said) if holds and len(different) >= LOOP * len(said) else None


DOMAIN = Creative()
