import pytest
from hypothesis import given
from hypothesis import strategies as hs

from polychromic.base.errors import PolychromicError
from polychromic.score.text import ngrams, tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don\u2019t STOP!", ("don't", "stop", "!")),
        ("caf\u00e9", ("caf\u00e9",)),
        ("cafe\u0301", ("caf\u00e9",)),  # combining accent: same word
        ("so 😂😂 👨\u200d👩\u200d👧 👍🏽 🇫🇷", ("so", "😂", "😂", "👨\u200d👩\u200d👧", "👍🏽", "🇫🇷")),
        ("\u2764\ufe0f", ("\u2764",)),  # the presentation selector is no token
        ("你好 world", ("你", "好", "world")),
        ("カメラ", ("カ", "メ", "ラ")),
        ("한국어 문장", ("한국어", "문장")),
        ("A&B; x &amp; y &nope;", ("a", "&", "b", ";", "x", "&", "y", "&", "nope", ";")),
        (":-) 3.5", (":-)", "3.5")),
        ("", ()),
        (" \n\t", ()),
    ],
)
def test_tokenize(text, tokens):
    assert tokenize(text) == tokens


@given(hs.text(hs.characters(min_codepoint=32, max_codepoint=126, exclude_characters="&"), max_size=40))
def test_only_blank_text_has_no_tokens(text):
    assert bool(tokenize(text)) == bool(text.strip())


@given(hs.lists(hs.sampled_from("abc"), max_size=8), hs.integers(1, 5))
def test_ngrams(tokens, n):
    assert ngrams(tokens, n) == [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    with pytest.raises(PolychromicError, match="n = 0"):
        ngrams(tokens, 0)
