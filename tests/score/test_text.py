import html
import sys
import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as hs
from nltk.tokenize import TweetTokenizer

from polychromic.base.errors import PolychromicError
from polychromic.score.diversity import compression_ratio, distinct_counts, self_bleu
from polychromic.score.quality import chrf, chrf_matrix, rouge_1, rouge_l
from polychromic.score.text import UNSPACED, answer_key, ngrams, said, shows, spaced, tokenize
from polychromic.yours.evaluate.inputs import Row


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
        ("สวัสดี 20 ๒๐", ("ส", "วั", "ส", "ดี", "20", "๒๐")),  # Thai: vowel and tone marks stay with their letter, a number is whole
        ("ຂົ້າ", ("ຂົ້", "າ")),
        ("ខ្ញុំ", ("ខ្ញុំ",)),
        ("မြန်မာ", ("မြ", "န်", "မ", "ာ")),
        ("ｶﾀ", ("ｶ", "ﾀ")),
        ("ไม่\u200bใช่", ("ไ", "ม่", "ใ", "ช่")),  # the blank without width that parts words there
        ("a\u200bb", ("a", "\u200b", "b")),  # Latin script: as it always was
        ("", ()),
        ("&#8203;", ()),
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


EVERY = "".join(map(chr, [*range(0xD800), *range(0xE000, sys.maxunicode)]))
LETTERS = {name: "".join(regex.findall(rf"[\p{{{name}}}--\p{{M}}--\p{{Nd}}]", EVERY, flags=regex.V1))[:8] for name in UNSPACED}


@pytest.mark.parametrize("name", UNSPACED)
def test_a_sentence_of_a_script_without_blanks_is_many_tokens_to_every_metric_that_counts_them(name):
    one, other = LETTERS[name][:4] * 3, LETTERS[name][4:8] * 3
    assert len(tokenize(one)) == 12 and spaced(one).split() == list(tokenize(one))
    assert distinct_counts([one], 1) == (4, 12) and 0 < self_bleu([one + other, one]) < 1
    assert rouge_l(one + other, [one]) == rouge_1(one + other, [one]) == pytest.approx(2 / 3)


@given(hs.text(hs.characters(max_codepoint=0x24F), max_size=40))
def test_latin_script_is_tokenised_as_nltk_does(text):
    """The rule for other scripts leaves it alone."""
    plain = unicodedata.normalize("NFC", html.unescape(text))
    assert spaced(text) == text
    if shows(plain):
        reader = TweetTokenizer(preserve_case=False, reduce_len=False, strip_handles=False, match_phone_numbers=False)
        assert tokenize(text) == tuple(reader.tokenize(plain.replace("\u02bc", "'").replace("&", "&amp;")))


INVISIBLE = [
    "", " ", "\u200b", "\u200b \u200c\u200d", "\u2060", "\ufeff", "\u200e\u202e", "\u00ad", "\u034f", "\u3164", "\u115f", "\u2800", "\x00",
    "\x1b\x07", "\x85", "\ufe0f", "\U000e0041", "\u00a0\u2003", "\u2028", "\ufff9",
]  # fmt: skip


@pytest.mark.parametrize("empty", INVISIBLE)
def test_a_reply_that_shows_nothing_is_an_empty_one_everywhere(empty):
    assert not shows(empty) and said(empty) == "" and tokenize(empty) == () and answer_key(empty) == ""
    assert chrf(empty, [f"a{empty}b"]) == rouge_l(empty, ["a"]) == rouge_1(empty, ["a"]) == 0
    assert chrf_matrix([empty], [f"a{empty}b"]).tolist() == [[0]]
    assert self_bleu([empty, "a b"]) == self_bleu(["", "a b"]) and compression_ratio([empty, "a b"]) == compression_ratio(["", "a b"])
    for refuses in (lambda: compression_ratio([empty, empty]), lambda: chrf("a", [empty]), lambda: rouge_l("a", [empty])):
        with pytest.raises(PolychromicError, match="without a token|an empty one"):
            refuses()
    row = Row(id="a", prompt="a", samples=[empty, "", "b"], valid=[True, True, True], where="", raw={})
    assert row.answers == (None, None, "b")


@pytest.mark.parametrize("text", ["a\u200b", "\u0301", "👍", "\ufffd", "\ue000", "\u0600", "。", "'"])
def test_what_shows_something_is_no_empty_reply(text):
    assert shows(text) and said(text) == text and answer_key(text)
    for empty in INVISIBLE[2:6]:
        assert answer_key(f"“{empty}”") == f"“{empty}”" and answer_key(f"{empty}.") == f"{empty}.", "what is left must show"
