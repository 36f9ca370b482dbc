"""A rules file as frozen typed objects: each filter of one pair is a section that says why it drops the pair, or None. No text is edited.

All work on whole words: "service" is not spam because it holds "ser", and "class" is no slur.
"""

from __future__ import annotations

import os
import re
import unicodedata
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from polychromic.base.errors import PolychromicError, UsageError, problems
from polychromic.base.io import read_text
from polychromic.base.parse import parse_yaml
from polychromic.data.text import word_list, words
from polychromic.yours.curate.language import LANGUAGES, UNSPACED, languages

DEFAULT = Path(__file__).with_name("rules.yaml")
LETTERS = re.compile(r"[^\W\d_]+")
WORD = re.compile(r"\w+(?:'\w+)*")
REPETITION_WORDS = 8  # shorter texts repeat words by chance

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Missing = Literal["keep", "drop"]
Phrase = Annotated[str, StringConstraints(pattern=r"[^\W_]")]  # a letter or a digit somewhere
Word = Annotated[str, StringConstraints(pattern=r"^[^\W\d_]+$")]


class Text(str):
    """A text with what several filters read of it, computed once."""

    @cached_property
    def words(self) -> list[str]:
        """Lower-case words and numbers, without accents and punctuation; of ASCII, which has no accents, in a fifth of the time."""
        return WORD.findall(self.lower()) if self.isascii() else words(self)

    @cached_property
    def folded(self) -> str:
        """Lower case, with straight apostrophes: what phrases and word lists are compared with."""
        return self.casefold().replace("\u2019", "'")


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True, allow_inf_nan=False)


class Limits(Section):
    """Both inclusive; None: no limit."""

    least: float | None = None
    most: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Limits:
        if None not in (self.least, self.most) and self.least > self.most:
            raise ValueError("least is above most")
        return self

    def hold(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


class Filter(Section):
    """A filter of the post and of the reply, each by itself: `judge` says why a text is dropped, None where it is kept. Those that look
    at both have their own __call__."""

    def __call__(self, post: Text, reply: Text, engagement: float | None) -> str | None:
        return next((f"{name}: {why}" for name, text in (("post", post), ("reply", reply)) if (why := self.judge(text))), None)


class Unreadable(Filter):
    """Blank, or with a character that no keyboard types and no terminal should get."""

    def judge(self, text: Text) -> str | None:
        bad = None if text.isprintable() else next((c for c in text if unicodedata.category(c) in ("Cc", "Cs")), None)
        return f"character U+{ord(bad):04X}" if bad else None if text else "blank"


class Words(Limits):
    least: Count | None = None
    most: Positive | None = None


class Length(Filter):
    post: Words = Words()
    reply: Words = Words()

    def __call__(self, post: Text, reply: Text, engagement: float | None) -> str | None:
        for name, text, limits in (("post", post, self.post), ("reply", reply, self.reply)):
            if not limits.hold(n := count_words(text)):
                return f"{name}: {n} word{'s' * (n != 1)}"
        return None


class Language(Filter):
    """A text that nothing tells about takes the other one's language."""

    allowed: Annotated[list[Literal[LANGUAGES]], Field(min_length=1)]
    undecided: Missing

    def judge(self, text: Text) -> str | None:
        names = languages(text)
        return " or ".join(sorted(names)) if names and names.isdisjoint(self.allowed) else None

    def __call__(self, post: Text, reply: Text, engagement: float | None) -> str | None:
        tells = self.undecided == "keep" or languages(post) or languages(reply)
        return super().__call__(post, reply, engagement) if tells else "undecided"


class Matches(Filter):
    """At most so many matches of a pattern."""

    most: Count
    pattern: ClassVar[re.Pattern[str]]

    def judge(self, text: Text) -> str | None:
        matches = [match.group() for match in self.pattern.finditer(text)]
        return matches[self.most] if len(matches) > self.most else None


class Media(Matches):
    pattern = re.compile(
        r"pic\.twitter\.com|\b(?:youtu\.be|youtube\.com|vimeo\.com|imgur\.com|giphy\.com|tenor\.com|tiktok\.com|instagram\.com/(?:p|reel))/"
        r"|\w\.(?:jpe?g|png|gif|webp|mp4|mov|webm|mp3)\b"
        r"|[\[<](?:image|photo|picture|pic|video|gif|sticker|media|audio)(?: (?:omitted|removed|attached|message))?[\]>]"
        r"|\b(?:image|video|gif|sticker|audio|document) omitted\b"
        r"|!\[[^\]]*\]\(|<(?:img|video)\b",
        re.IGNORECASE,
    )


class Links(Matches):
    pattern = re.compile(
        r"https?://\S*|\bwww\.\w\S*|\w@[\w-]{1,63}\.\w\S*"
        # Without a scheme only where the ending says so: "e.g.", "1.5" and "end.Then" are no addresses.
        r"|\b[\w-]{1,63}\.(?:com|org|net|edu|gov|info|biz|io|app|dev|xyz|shop|co\.uk)\b(?!\.\w)\S*"
        r"|\b(?:t\.co|bit\.ly|goo\.gl|t\.me|wa\.me)/\w\S*",
        re.IGNORECASE,
    )


class Mentions(Matches):
    pattern = re.compile(r"(?<![\w@./])@\w")


class Spam(Filter):
    phrases: list[Phrase]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # Longest first, so that the reason names "follow back" rather than "follow"; without phrases a pattern that matches nothing.
        ordered = sorted({" ".join(Text(phrase).folded.split()) for phrase in self.phrases}, key=lambda phrase: (-len(phrase), phrase))
        return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, ordered)) or '(?!)'})(?!\w)")

    def judge(self, text: Text) -> str | None:
        return (match := self._pattern.search(text.folded)) and match.group()


class Repetition(Filter):
    characters: Positive | None = None
    words: Positive | None = None
    distinct: Annotated[float, Field(ge=0, le=1)] | None = None

    def judge(self, text: Text) -> str | None:
        if self.characters and (match := re.search(rf"([^\d\s])\1{{{self.characters}}}", text.folded)):
            return f"{match.group(1)!r} more than {self.characters} times in a row"
        row = next((word for word, same in groupby(text.words) if self.words and len(list(same)) > self.words), None)
        if row is not None:
            return f"{row!r} more than {self.words} times in a row"
        n, different = len(text.words), len(set(text.words))
        few = self.distinct is not None and n >= REPETITION_WORDS and different < self.distinct * n
        return f"{different} different words of {n}" if few else None


class Toxicity(Filter):
    lists: list[Literal["unsuitable_words.txt", "profane_words.txt"]] = []
    also: list[Word] = []
    fine: list[Word] = Field(default=[], alias="except")

    @cached_property
    def _bad(self) -> frozenset[str]:
        listed = frozenset().union(*map(word_list, self.lists), (Text(word).folded for word in self.also))
        return listed - {Text(word).folded for word in self.fine}

    def judge(self, text: Text) -> str | None:
        # The lists hold words without accents; words of one's own may have them.
        return min({*LETTERS.findall(text.folded), *text.words} & self._bad, default=None)


class Engagement(Limits, Filter):
    missing: Missing = "keep"

    def __call__(self, post: Text, reply: Text, engagement: float | None) -> str | None:
        if engagement is None:
            return "not known" if self.missing == "drop" else None
        return None if self.hold(engagement) else f"{engagement}"


class Records(Section):
    licence: Phrase
    group: Literal["post", "author"]
    length_classes: Annotated[int, Field(ge=1, le=3)]
    engagement_classes: Annotated[int, Field(ge=1, le=3)]


class Cap(Section):
    most: Positive


class ExactDuplicates(Section):
    of: Literal["pair", "reply"] = "pair"


class NearDuplicates(Section):
    """Above one half, so that texts of two words or more that match share two words: selection.py relies on it."""

    of: Literal["pair", "reply", "post"]
    threshold: Annotated[float, Field(gt=0.5, le=1)]


class Rules(Section):
    """One section per filter, in the order in which they are applied; None: off. See rules.yaml for what each means."""

    records: Records
    length: Length | None = None
    language: Language | None = None
    media: Media | None = None
    links: Links | None = None
    mentions: Mentions | None = None
    spam: Spam | None = None
    repetition: Repetition | None = None
    toxicity: Toxicity | None = None
    engagement: Engagement | None = None
    exact_duplicates: ExactDuplicates = ExactDuplicates()
    near_duplicates: NearDuplicates | None = None
    author_cap: Cap | None = None
    post_cap: Cap | None = None
    selection: Cap | None = None

    @property
    def filters(self) -> dict[str, Filter]:
        """Name -> filter of one pair, in the order in which they are applied; those that are on."""
        return {"unreadable": Unreadable()} | {name: section for name, section in self if isinstance(section, Filter)}


def load_rules(path: str | os.PathLike = DEFAULT) -> Rules:
    """Read and validate a rules file. Raises UsageError: it cannot be read, or a list of all keys that are wrong."""
    try:
        return Rules.model_validate(parse_yaml(read_text(path), str(path), lines=True))
    except ValidationError as error:
        said = f"{path}: {problems(error)}"
    except (ValueError, PolychromicError) as error:
        said = str(error).partition(". ")[0]
    raise UsageError(f"--rules {said.rstrip('.')}. Allowed: the keys and values that {DEFAULT} explains. Copy it and change that.")


def count_words(text: str) -> int:
    """Pieces between blanks that hold a letter or a digit; each Han or Kana character is one."""
    if not text.isascii():
        text = UNSPACED.sub(r" \g<0> ", text)
    return sum(piece.isalnum() or any(c.isalnum() for c in piece) for piece in text.split())
