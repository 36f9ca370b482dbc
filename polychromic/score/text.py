"""Words for the metrics: one tokenizer, used by every metric that counts words, and its n-grams.

It is nltk's TweetTokenizer (rules only, no downloaded data) on normalised text. It is not the model's
tokenizer and it does not stem: emoji, accents and scripts other than Latin count as they stand.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING

import regex

from polychromic.base.errors import PolychromicError

if TYPE_CHECKING:  # nltk takes two seconds to import
    from nltk.tokenize import TweetTokenizer

# Written without blanks between words: what a reader takes for one character (UAX 29) is one token there, but for numbers.
UNSPACED = (
    "Han", "Hiragana", "Katakana", "Bopomofo", "Yi", "Thai", "Lao", "Khmer", "Myanmar", "Tai_Le", "New_Tai_Lue", "Tai_Tham", "Tai_Viet",
    "Ahom", "Javanese", "Balinese",
)  # fmt: skip
_UNSPACED = regex.compile(r"(?=[\u3040-\u30ff" + "".join(map(r"\p{{{}}}".format, UNSPACED)) + r"])(?!\p{Nd})\X")
# White space, controls and what has no width (Unicode's Default_Ignorable: zero-width blanks and joiners, direction marks, fillers, ...).
_NOTHING = regex.compile(r"[\s\p{Z}\p{Cc}\p{Default_Ignorable_Code_Point}\u2800\ufff9-\ufffb]*")

UNSPACED_SIGNATURE = f"scripts without blanks:grapheme|regex:{version('regex')}"

# Typographic apostrophes read as ASCII ones; presentation selectors would be tokens of their own after an emoji.
_SAME = str.maketrans({"\u2019": "'", "\u02bc": "'", "\ufe0e": None, "\ufe0f": None})


@cache
def _tokenizer() -> TweetTokenizer:
    from nltk.tokenize import TweetTokenizer

    return TweetTokenizer(preserve_case=False, reduce_len=False, strip_handles=False, match_phone_numbers=False)


def shows(text: str) -> bool:
    """Whether a text shows anything: a reply of white space, controls and characters without width is an empty one."""
    return _NOTHING.fullmatch(text) is None


def said(reply: str) -> str:
    """The reply, "" for one that shows nothing."""
    return reply if shows(reply) else ""


def spaced(text: str) -> str:
    """With a blank on both sides of each character of a script that is written without; a zero-width one becomes wide there."""
    if text.isascii():
        return text
    text, found = _UNSPACED.subn(r" \g<0> ", text)
    return text.replace("\u200b", " ") if found else text


@lru_cache(maxsize=1 << 15)
def tokenize(text: str) -> tuple[str, ...]:
    """Split a reply into lower-case tokens; () exactly when it shows nothing (see `shows`).

    Words keep inner apostrophes and hyphens; a punctuation mark, an emoji (with its skin tone or joined
    sequence), an ASCII emoticon and a character of a script without blanks (UNSPACED) are a token each. HTML entities are
    read first. Four or more of the same mark in a row count as three (nltk's rule).
    """
    text = unicodedata.normalize("NFC", html.unescape(text)).translate(_SAME)
    if not shows(text):
        return ()
    text = spaced(text)
    # nltk deletes entities that it does not know ("A&B;"); escaped, each ampersand survives its own unescaping.
    return tuple(_tokenizer().tokenize(text.replace("&", "&amp;")))


def ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """The n-grams of one token sequence in order, [] when it has fewer than n tokens. Raises PolychromicError: n < 1."""
    if n < 1:
        raise PolychromicError(f"n-gram order: got n = {n}. Allowed: 1 or more. Pass a positive order.")
    return list(zip(*(tokens[i:] for i in range(n)), strict=False))


def tokenizer_signature() -> str:
    """What a result must name so that another can repeat it."""
    return f"tok:nltk.TweetTokenizer|case:lower|unicode:NFC|{UNSPACED_SIGNATURE}|nltk:{version('nltk')}"


# Full-width and half-width forms are ways to write a character, not other characters (Unicode's <wide>, <narrow>).
_WIDTHS = {
    code: unicodedata.normalize("NFKC", chr(code))
    for code in (0x3000, *range(0xFF01, 0xFFEF))
    if unicodedata.decomposition(chr(code)).startswith(("<wide>", "<narrow>"))
}
_HALF_MARKS = {0xFF9E: "\u3099", 0xFF9F: "\u309a"}  # half-width sound marks: they combine with the Kana before them
_QUOTES = frozenset(
    ('""', "''", "``", "\u201c\u201d", "\u201e\u201c", "\u2018'", "\u201a\u2018", "\u00ab\u00bb", "\u300c\u300d", "\u300e\u300f")
)


@lru_cache(maxsize=1 << 15)
def answer_key(text: str) -> str:
    """The form in which two replies are the same answer, in any script; "" exactly when it shows nothing.

    Case, blanks, the width of a character, one final full stop and quotes around the whole are how an answer is written;
    everything else is what it says. Hence C, C++ and C# are three answers, an emoji and a sound mark count, and so does an
    accent: "ano" is no spelling of "año", and who takes "Cafe" for "café" lists both as valid.
    """
    if not shows(text):
        return ""
    text = unicodedata.normalize("NFC", text.translate(_HALF_MARKS).translate(_WIDTHS)).translate(_SAME)
    text = " ".join(unicodedata.normalize("NFC", text.casefold()).split())
    while (bare := _bare(text)) != text:  # a stop before the quotes, within them, or both
        text = bare
    return text


def _bare(text: str) -> str:
    """Without a final full stop or a pair of quotes around all of it, where something stays and the quotes hold no other."""
    if text.endswith((".", "\u3002")) and not text[:-1].endswith((".", "\u3002")) and shows(text[:-1]):
        return text[:-1].rstrip()
    inner = text[1:-1].strip()
    if text[:1] + text[-1:] in _QUOTES and shows(inner) and not set(text[:1] + text[-1:]) & set(inner):
        return inner
    return text


def answer_key_signature() -> str:
    """What a result that tells answers apart must name so that another can repeat it."""
    return "answer:NFC,casefold,blanks,width,quotes,final stop,empty where nothing shows"
