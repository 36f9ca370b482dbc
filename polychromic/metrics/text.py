"""Words for the metrics: one tokenizer, used by every metric that counts words, and its n-grams.

It is nltk's TweetTokenizer (rules only, no downloaded data) on normalised text. It is not the model's
tokenizer and it does not stem: emoji, accents and scripts other than Latin count as they stand.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import nltk
from nltk.tokenize import TweetTokenizer

from polychromic.errors import PolychromicError

_TOKENIZER = TweetTokenizer(preserve_case=False, reduce_len=False, strip_handles=False, match_phone_numbers=False)

# Kana and Han are written without spaces: one character is one token there, as in BERT's basic tokenizer.
_UNSPACED = re.compile("([\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f])")

# Typographic apostrophes read as ASCII ones; presentation selectors would be tokens of their own after an emoji.
_SAME = str.maketrans({"\u2019": "'", "\u02bc": "'", "\ufe0e": None, "\ufe0f": None})


@lru_cache(maxsize=1 << 15)
def tokenize(text: str) -> tuple[str, ...]:
    """Split a reply into lower-case tokens; () exactly when it shows nothing but white space.

    Words keep inner apostrophes and hyphens; a punctuation mark, an emoji (with its skin tone or joined
    sequence), an ASCII emoticon and a Kana or Han character are a token each. HTML entities are read first. Four
    or more of the same mark in a row count as three (nltk's rule).
    """
    text = unicodedata.normalize("NFC", html.unescape(text)).translate(_SAME)
    if not text.isascii():
        text = _UNSPACED.sub(r" \1 ", text)
    # nltk deletes entities that it does not know ("A&B;"); escaped, each ampersand survives its own unescaping.
    return tuple(_TOKENIZER.tokenize(text.replace("&", "&amp;")))


def ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """The n-grams of one token sequence in order, [] when it has fewer than n tokens.

    Raises:
        PolychromicError: n < 1.
    """
    if n < 1:
        raise PolychromicError(f"n-gram order: got n = {n}. Allowed: 1 or more. Pass a positive order.")
    return list(zip(*(tokens[i:] for i in range(n)), strict=False))


def tokenizer_signature() -> str:
    """What a result must name so that another can repeat it."""
    return f"tok:nltk.TweetTokenizer|case:lower|unicode:NFC|cjk:char|nltk:{nltk.__version__}"
