"""Filters that look at one pair: each says why it drops the pair, or None. No text is edited.

All work on whole words: "service" is not spam because it holds "ser", and "class" is no slur.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

from polychromic.data.text import word_list
from polychromic.yours.curate.language import UNSPACED, wrong_language
from polychromic.yours.curate.raw import Pair, Text
from polychromic.yours.curate.rules import Engagement, Length, Repetition, Rules, Spam, Toxicity

# post, reply, engagement -> reason, or None
Filter = Callable[[Text, Text, float | None], str | None]

LINK = re.compile(
    r"https?://\S*|\bwww\.\w\S*|\w@[\w-]{1,63}\.\w\S*"
    # Without a scheme only where the ending says so: "e.g.", "1.5" and "end.Then" are no addresses.
    r"|\b[\w-]{1,63}\.(?:com|org|net|edu|gov|info|biz|io|app|dev|xyz|shop|co\.uk)\b(?!\.\w)\S*"
    r"|\b(?:t\.co|bit\.ly|goo\.gl|t\.me|wa\.me)/\w\S*",
    re.IGNORECASE,
)
MEDIA = re.compile(
    r"pic\.twitter\.com|\b(?:youtu\.be|youtube\.com|vimeo\.com|imgur\.com|giphy\.com|tenor\.com|tiktok\.com|instagram\.com/(?:p|reel))/"
    r"|\w\.(?:jpe?g|png|gif|webp|mp4|mov|webm|mp3)\b"
    r"|[\[<](?:image|photo|picture|pic|video|gif|sticker|media|audio)(?: (?:omitted|removed|attached|message))?[\]>]"
    r"|\b(?:image|video|gif|sticker|audio|document) omitted\b"
    r"|!\[[^\]]*\]\(|<(?:img|video)\b",
    re.IGNORECASE,
)
MENTION = re.compile(r"(?<![\w@./])@\w")
REPETITION_WORDS = 8  # shorter texts repeat words by chance


def filters(rules: Rules) -> dict[str, Filter]:
    """Name -> filter, in the order in which they are applied; those that are on."""
    found: dict[str, Filter] = {"unreadable": each(unreadable)}
    if rules.length:
        found["length"] = length(rules.length)
    if rules.language:
        allowed, drop = frozenset(rules.language.allowed), rules.language.undecided == "drop"
        found["language"] = lambda post, reply, _: wrong_language(post, reply, allowed, drop)
    for name, pattern in (("media", MEDIA), ("links", LINK), ("mentions", MENTION)):
        if section := getattr(rules, name):
            found[name] = each(at_most(pattern, section.most))
    if rules.spam:
        found["spam"] = each(spam(rules.spam))
    if rules.repetition:
        found["repetition"] = each(repetition(rules.repetition))
    if rules.toxicity:
        found["toxicity"] = each(toxicity(rules.toxicity))
    if rules.engagement:
        found["engagement"] = engagement(rules.engagement)
    return found


def each(judge: Callable[[Text], str | None]) -> Filter:
    """A filter of one text, on the post and on the reply."""

    def run(post: Text, reply: Text, _: float | None) -> str | None:
        for name, text in (("post", post), ("reply", reply)):
            if reason := judge(text):
                return f"{name}: {reason}"
        return None

    return run


def texts(pair: Pair) -> tuple[Text, Text]:
    return Text(pair.post), Text(pair.reply)


def unreadable(text: Text) -> str | None:
    """Blank, or with a character that no keyboard types and no terminal should get."""
    if not text:
        return "blank"
    if text.isprintable():
        return None
    bad = next((c for c in text if unicodedata.category(c) in ("Cc", "Cs")), None)
    return None if bad is None else f"character U+{ord(bad):04X}"


def count_words(text: str) -> int:
    """Pieces between blanks that hold a letter or a digit; each Han or Kana character is one."""
    if not text.isascii():
        text = UNSPACED.sub(r" \g<0> ", text)
    return sum(piece.isalnum() or any(c.isalnum() for c in piece) for piece in text.split())


def length(section: Length) -> Filter:
    def run(post: Text, reply: Text, _: float | None) -> str | None:
        for name, text, limits in (("post", post, section.post), ("reply", reply, section.reply)):
            n = count_words(text)
            if limits.least is not None and n < limits.least or limits.most is not None and n > limits.most:
                return f"{name}: {n} word{'s' * (n != 1)}"
        return None

    return run


def at_most(pattern: re.Pattern[str], most: int) -> Callable[[Text], str | None]:
    def run(text: Text) -> str | None:
        matches = [match.group() for match in pattern.finditer(text)]
        return f"{matches[most]}" if len(matches) > most else None

    return run


def spam(section: Spam) -> Callable[[Text], str | None]:
    if not section.phrases:
        return lambda text: None
    # Longest first, so that the reason names "follow back" rather than "follow".
    ordered = sorted({" ".join(Text(phrase).folded.split()) for phrase in section.phrases}, key=lambda phrase: (-len(phrase), phrase))
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, ordered))})(?!\w)")

    def run(text: Text) -> str | None:
        match = pattern.search(text.folded)
        return match.group() if match else None

    return run


def repetition(section: Repetition) -> Callable[[Text], str | None]:
    run_of = re.compile(rf"([^\d\s])\1{{{section.characters}}}") if section.characters is not None else None

    def run(text: Text) -> str | None:
        if run_of and (match := run_of.search(text.folded)):
            return f"{match.group(1)!r} more than {section.characters} times in a row"
        if section.words is not None and (word := _run_of_words(text.words, section.words)):
            return f"{word!r} more than {section.words} times in a row"
        n = len(text.words)
        if section.distinct is not None and n >= REPETITION_WORDS and len(set(text.words)) < section.distinct * n:
            return f"{len(set(text.words))} different words of {n}"
        return None

    return run


def _run_of_words(found: Sequence[str], most: int) -> str | None:
    """The first word that stands more than `most` times in a row."""
    run = 0
    for place, word in enumerate(found):
        run = run + 1 if place and word == found[place - 1] else 1
        if run > most:
            return word
    return None


def toxicity(section: Toxicity) -> Callable[[Text], str | None]:
    listed = frozenset().union(*(word_list(name) for name in section.lists), (Text(word).folded for word in section.also))
    bad = listed - {Text(word).folded for word in section.fine}
    letters = re.compile(r"[^\W\d_]+")

    def run(text: Text) -> str | None:
        # The lists hold words without accents; words of one's own may have them.
        found = {*letters.findall(text.folded), *text.words} & bad
        return min(found) if found else None

    return run


def engagement(section: Engagement) -> Filter:
    def run(post: Text, reply: Text, value: float | None) -> str | None:
        if value is None:
            return "not known" if section.missing == "drop" else None
        outside = section.least is not None and value < section.least or section.most is not None and value > section.most
        return f"{value}" if outside else None

    return run
