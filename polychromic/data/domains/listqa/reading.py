"""What a reply to a list question says: one answer, its first item; and the forms in which two answers are one thing.

The rules are fixed before any reply is seen. Nothing here knows which answers are right.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from polychromic.data.domains import normalise

MAX_WORDS = 6  # of an answer; the longest right ones ("Saint Vincent and the Grenadines") have five
CODE = re.compile(r"[{}<>=;|\\$@]|\w\(")  # no answer holds these
_MARKER = re.compile(r"^\s*(?:[-*•–·#>]+\s+|\(?\d{1,2}[.):]\)?\s+|\(?[a-z][.)]\s+(?=\w))", re.IGNORECASE)  # of a list: "1. ", "- ", "a) "
_COURTESY = re.compile(r"^(?:sure|certainly|of course|ok(?:ay)?|yes|absolutely|great question)\s*[!.:]+\s*(?=\S)", re.IGNORECASE)
_LABEL = re.compile(r"^(?:the\s+)?(?:answers?|name|word|a)\s*:\s*(?=\S)", re.IGNORECASE)
_POINTING = re.compile(r"^(?:it|that|this|here|there)(?:\s+(?:is|are|could be|would be)|['’]s)\s+", re.IGNORECASE)
_IS = re.compile(r"\s+(?:is|are|would be|could be|includes?)\s*:?\s+", re.IGNORECASE)
_END = re.compile(r"\s*[,:\n\t]\s*|\s+[-–—/]+\s+|\s*\(|[.!?。]+(?:\s+|$)")
_ALTERNATIVE = re.compile(r"\s+(?:and|or)\s+|\s*[/&]\s*", re.IGNORECASE)
_FILLERS = frozenset("a an the one another some of kind type example name word in is are that for with and to it which most common".split())

# Spellings of one word, British and American among them: (pattern, what stands in its place).
_SPELLINGS = [(re.compile(pattern), instead) for pattern, instead in (
    (r"(?<=..)our(?=$|s$|ed$|ing$|ful$|less$|able$)", "or"),
    (r"(?<=..)is(?=e$|es$|ed$|er$|ers$|ing$|ation$)", "iz"), (r"yse(?=d?$)", "yze"),
    (r"(?<=[bdgt])re$", "er"), (r"(?<=[bcdfghjklmnpqrstvwxyz])ae(?=[a-z])", "e"), (r"ogue$", "og"), (r"ll(?=ed$|ing$|er$|ery$)", "l"),
    ("grey", "gray"), ("whiskey", "whisky"), ("doughnut", "donut"), ("yoghurt", "yogurt"), ("tyre", "tire"), ("moustache", "mustache"),
    ("pyjama", "pajama"), ("aluminium", "aluminum"), ("sulph", "sulf"), ("plough", "plow"), ("mould", "mold"), ("kerb", "curb"),
    ("licence", "license"), ("defence", "defense"), ("offence", "offense"), ("programme", "program"), ("ketchup", "catsup"),
)]  # fmt: skip
_IRREGULAR = [(re.compile(pattern), instead) for pattern, instead in (
    (r"men$", "man"), (r"(?<=[ml])ice$", "ouse"), ("children$", "child"), ("teeth$", "tooth"), ("feet$", "foot"), ("geese$", "goose"),
    (r"(?<=l)ves$", "f"), (r"(?<=i)ves$", "fe"), (r"(?<=[^aeiou])ies$", "y"), (r"(?<=x|z|h)es$", ""), ("(?<=ss)es$", ""),
    ("(?<=[lnrt]us)es$", ""), (r"(?<=...o)es$", ""),
    (r"(?<=[^us'i])s$", ""),
)]  # fmt: skip


def together(text: str) -> str:
    """The normalised form without blanks: "ice cream", "ice-cream" and "icecream" are one."""
    return normalise(text).replace(" ", "")


def singular(word: str) -> str:
    """Of a word in lower case, by rule: the first that applies. Only equality counts, so it need not be a word."""
    for pattern, instead in _IRREGULAR:
        if (found := pattern.sub(instead, word)) != word and len(found) > 1:
            return found
    return word


@lru_cache(maxsize=1 << 16)
def folded(text: str) -> str:
    """The form in which singular and plural, British and American, joined and open spellings are one."""
    word = singular(together(text))
    for pattern, instead in _SPELLINGS:
        word = pattern.sub(instead, word)
    return word


@lru_cache(maxsize=1 << 16)
def plausible(text: str) -> frozenset[str]:
    """Folded forms of the words that may be meant: the plural of a word in -e and of one without ("caches", "crashes")."""
    word = together(text)
    return frozenset(map(folded, {word} | ({word[:-1], word[:-2]} if word.endswith("es") and len(word) > 4 else set())))


def _known(text: str, prompt: frozenset[str]) -> bool:
    """Whether it is a lead-in: half of its words or more repeat the prompt's, and what else it holds says nothing."""
    said = normalise(text).split()
    telling = [word for word in said if word not in _FILLERS]
    return bool(said) and sum(singular(word) in prompt for word in telling) * 2 >= len(telling)


def line_of(reply: str, prompt: str) -> str:
    """The line that holds the answer, without marks of a list, courtesy and lead-ins; "" when there is none.

    It is the first line that shows anything; where that is a lead-in which ends in a colon ("Here are some fruits:"), the next one.
    "One kind of fruit is an apple." gives what comes after "is" where what comes before repeats the prompt, and "An apple is a kind
    of fruit." what comes before where what comes after does.
    """
    visible = "".join(char for char in unicodedata.normalize("NFC", reply) if unicodedata.category(char) != "Cf")
    lines = [line.strip() for line in visible.splitlines() if normalise(line)]
    if len(lines) > 1 and lines[0].rstrip("* ").endswith(":"):
        lines = lines[1:]
    if not lines:
        return ""
    asked = frozenset(singular(word) for word in normalise(prompt).split())
    line = re.sub(r"\*\*|__|`", "", lines[0])
    for rule in (_MARKER, _COURTESY, _MARKER, _LABEL, _POINTING):
        line = rule.sub("", line, count=1)
    before, *after = _IS.split(line, maxsplit=1)
    if after:
        line = after[0] if _known(before, asked) else before if _known(after[0], asked) else line
    elif ":" in line and _known(line.partition(":")[0], asked):
        line = line.partition(":")[2]
    return line.strip().strip("\"'“”‘’«»*_ ")


def readings(reply: str, prompt: str) -> list[str]:
    """What may be the one answer, the longest first: the line, its first item, and that without what "and" or "or" adds.

    All begin where the line begins, so that a list counts as its first item alone. Empty for code and for what is too long.
    """
    line = line_of(reply, prompt)
    item = _END.split(line, maxsplit=1)[0].strip().strip("\"'“”‘’«»*_ ")
    found = dict.fromkeys([line, item, _ALTERNATIVE.split(item, maxsplit=1)[0].strip()])
    short = [text for text in found if normalise(text) and len(normalise(text).split()) <= MAX_WORDS]
    return [] if CODE.search(line) else short
