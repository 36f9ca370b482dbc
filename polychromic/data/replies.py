"""replies: post → reply pairs between two people, and opening prompts with many human replies, from chitchat-dataset.

Every filter is a rule that looks at one text, or at one post and its reply. No text is edited except for blanks: it is kept as typed or
dropped. Sender ids tell the two people apart and cap what one person contributes; they never reach a record. Quality is not judged here.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path

import numpy as np

from polychromic.base.errors import PolychromicError
from polychromic.data.records import Record
from polychromic.data.text import hashed, near_duplicates, normalised, suitable, words

SOURCE, LICENCE = "chitchat-dataset 0.9.0", "MIT"
POST_WORDS, REPLY_WORDS, OPENER_WORDS = (6, 40), (4, 30), (4, 40)
# What one conversation and one person may contribute, so that no voice dominates.
MAX_PER_CONVERSATION, MAX_PER_PERSON, MAX_OPENER_REPLIES = 3, 20, 40
MIN_OPENER_REPLIES = 8
OPENER_TURNS = 4  # a reply to the opening prompt that comes later than this is about something else
N_PAIRS = 1400
QUOTES = "\u2018\u2019\u201c\u201d\u2026\u2013"  # curly quotation marks, ellipsis, dash: all else must be ASCII
WORD_LISTS = ("unsuitable_words.txt", "profane_words.txt", "first_names.txt")

LINK = re.compile(r"https?:|www\.|\w@\w|\.(?:com|org|net|edu|io|gov)\b|(?:^|\s)@\w", re.IGNORECASE)
LONG_NUMBER = re.compile(r"\d(?:[\s().-]*\d){6,}")  # phone numbers, card numbers
UNANSWERED = re.compile(r"hello\?", re.IGNORECASE)
PHRASES = tomllib.loads(resources.files("polychromic.data").joinpath("phrases.toml").read_text(encoding="utf-8"))


def phrases(name: str, start: str = r"\b") -> re.Pattern[str]:
    return re.compile(rf"{start}(?:{'|'.join(PHRASES[name])})\b", re.IGNORECASE)


PERSONAL, TASK, SMALL_TALK = phrases("personal"), phrases("task"), phrases("small_talk")
GREETING, POINTS_BACK = phrases("greeting", r"^\W*"), phrases("points_back", r"^\W*")


@dataclass(frozen=True)
class Turn:
    """What one person wrote before the other answered; messages joined by a blank."""

    person: str
    text: str


@dataclass(frozen=True)
class Pair:
    """A post, its reply and where they come from; `rating` is the conversation's mean rating (1-10) or None."""

    post: str
    reply: str
    conversation: str
    authors: tuple[str, str]
    rating: float | None


def load_conversations(path: Path) -> dict[str, dict]:
    """The corpus: id → {"prompt"?, "ratings"?, "messages": [[{"sender", "text"}]]}."""
    return json.loads(path.read_text(encoding="utf-8"))


def turns(conversation: Mapping) -> list[Turn]:
    """Turns in order; neighbouring messages of one person are one turn."""
    said = [(message["sender"], " ".join(message["text"].split())) for block in conversation["messages"] for message in block]
    by_person = groupby((one for one in said if one[1]), key=itemgetter(0))
    return [Turn(person, " ".join(text for _, text in texts)) for person, texts in by_person]


@cache
def acceptable(text: str, band: tuple[int, int]) -> bool:
    """English written text of a length in `band` (words, inclusive) without links, numbers to reach a person, or words on the lists."""
    n = len(words(text))
    return (
        band[0] <= n <= band[1]
        and len(text) <= 8 * n + 20  # no walls of punctuation or pasted strings
        and all(32 <= ord(c) < 127 or c in QUOTES for c in text)
        and sum(c.isalpha() or c.isspace() for c in text) >= 0.85 * len(text)
        and "*" not in text  # corrections of the message before
        and not re.search(r"(.)\1{3,}", text)
        and not any(pattern.search(text) for pattern in (LINK, LONG_NUMBER, UNANSWERED, PERSONAL, TASK))
        and suitable(text, WORD_LISTS)
    )


def substantive(text: str, band: tuple[int, int]) -> bool:
    """Acceptable, no greeting and no small talk."""
    return acceptable(text, band) and not (GREETING.search(text) or SMALL_TALK.search(text))


def acceptable_post(text: str) -> bool:
    """Can be understood and answered on its own: does not open by pointing back."""
    return substantive(text, POST_WORDS) and not POINTS_BACK.search(text)


def acceptable_reply(post: str, reply: str) -> bool:
    """A reply to what was said, and no copy of it."""
    return substantive(reply, REPLY_WORDS) and normalised(post) != normalised(reply)


def mean_rating(conversation: Mapping) -> float | None:
    """Mean of the three ratings (witty, interesting, upbeat; 1-10), some of which are typed as strings; None without ratings."""
    ratings = [float(value) for value in (conversation.get("ratings") or {}).values()]
    return sum(ratings) / len(ratings) if ratings else None


def stem(word: str) -> str:
    """Enough for "computers" and "computer" to count as one word."""
    return word[:-1] if len(word) > 4 and word.endswith("s") else word


def on_topic(candidates: list[Pair]) -> list[Pair]:
    """Pairs whose reply takes up a content word of the post: one of four letters or more that at most 1 % of the posts hold."""
    posts = [{stem(w) for w in words(pair.post) if len(w) >= 4 and w.isalpha()} for pair in candidates]
    frequency = Counter(word for post in posts for word in post)
    rare = {word for word, count in frequency.items() if count <= max(1, 0.01 * len(candidates))}
    return [pair for pair, post in zip(candidates, posts, strict=True) if post & rare & {stem(w) for w in words(pair.reply)}]


def pairs(corpus: Mapping[str, Mapping]) -> Iterator[Pair]:
    """All acceptable neighbouring turns, in the order of the conversation ids."""
    for key in sorted(corpus):
        said = turns(corpus[key])
        for post, reply in pairwise(said):
            if acceptable_post(post.text) and acceptable_reply(post.text, reply.text):
                yield Pair(post.text, reply.text, key, (post.person, reply.person), mean_rating(corpus[key]))


def select(candidates: list[Pair], n: int = N_PAIRS, openers: Sequence[str] = ()) -> list[Pair]:
    """`n` pairs in hash order, under the caps, without near-duplicates of a post or an opening prompt and without copies of a reply.

    Raises:
        PolychromicError: fewer than `n` remain.
    """
    kept: dict[str, Pair] = {}  # by reply
    given: Counter[str] = Counter()  # by conversation and by person
    for pair in sorted(candidates, key=lambda pair: hashed(pair.post, pair.reply)):
        caps = {pair.conversation: MAX_PER_CONVERSATION} | dict.fromkeys(pair.authors, MAX_PER_PERSON)
        if normalised(pair.reply) in kept or any(given[key] >= most for key, most in caps.items()):
            continue
        kept[normalised(pair.reply)] = pair
        given.update([pair.conversation, *pair.authors])
        if len(kept) == 3 * n // 2:  # enough even if a third were doubles
            break
    doubles = {j - len(openers) for _, j in near_duplicates([*openers, *(pair.post for pair in kept.values())])}
    found = [pair for i, pair in enumerate(kept.values()) if i not in doubles][:n]
    if len(found) < n:
        remedy = "Relax a filter in polychromic/data/replies.py."
        raise PolychromicError(f"chitchat-dataset: {len(found)} pairs pass the filters, {n} are needed. {remedy}")
    return found


def asks_opener(prompt: str, text: str) -> bool:
    """The turn puts the opening prompt to the other person: a question with at least half of the prompt's words."""
    asked = set(words(prompt))
    return "?" in text and len(asked & set(words(text))) >= 0.5 * len(asked)


def opener_replies(corpus: Mapping[str, Mapping]) -> dict[str, list[str]]:
    """Opening prompt → human replies: the first substantive turn of a conversation, one per person.

    Substantive: among the first four turns, 4 to 40 words, no greeting or small talk, no question (a question is put to the
    partner, it does not answer the prompt), and no filter of `acceptable` hits. The turn before it must be absent, a
    short greeting, or the opening prompt put as a question: otherwise it answers something else.
    """
    found: dict[str, dict[str, str]] = defaultdict(dict)  # prompt → person → reply
    for key in sorted((key for key, chat in corpus.items() if chat.get("prompt")), key=hashed):
        prompt, before = " ".join(corpus[key]["prompt"].split()), ""
        mine = found[prompt]
        for turn in turns(corpus[key])[:OPENER_TURNS]:
            leads = not before or asks_opener(prompt, before) or ("?" not in before and len(words(before)) <= 3)
            if leads and "?" not in turn.text and substantive(turn.text, OPENER_WORDS):
                new = turn.person not in mine and normalised(turn.text) not in map(normalised, mine.values())
                if new and len(mine) < MAX_OPENER_REPLIES:
                    mine[turn.person] = turn.text
                break
            before = turn.text
    return {prompt: sorted(mine.values()) for prompt, mine in sorted(found.items()) if prompt and len(mine) >= MIN_OPENER_REPLIES}


def strata(selected: list[Pair]) -> list[str]:
    """Engagement: tercile of the reply's length in words (short, medium, long) by mean rating of the conversation (high: 7 or more)."""
    lengths = np.array([len(words(pair.reply)) for pair in selected])
    size = np.searchsorted(np.quantile(lengths, [1 / 3, 2 / 3]), lengths)
    high = ["high" if pair.rating is not None and pair.rating >= 7 else "other" for pair in selected]
    return [f"{('short', 'medium', 'long')[s]}_{rated}" for s, rated in zip(size, high, strict=True)]


def build(corpus: Mapping[str, Mapping], n: int = N_PAIRS) -> list[Record]:
    """All replies records: pairs in order of their ids, then the openers. Ids and groups are hashes of content, never ids of the corpus."""
    openers = opener_replies(corpus)
    selected = select(on_topic([pair for pair in pairs(corpus) if not any(asks_opener(p, pair.post) for p in openers)]), n, list(openers))
    first = {pair.conversation: hashed("group", pair.post, pair.reply)[:12] for pair in reversed(selected)}
    make = partial(Record, domain="replies", checker="person", source=SOURCE, licence=LICENCE)
    records = []
    for pair, stratum in zip(selected, strata(selected), strict=True):
        place = {"group": f"chat-{first[pair.conversation]}", "stratum": stratum}
        records.append(make(id=f"replies-{hashed(pair.post)[:12]}", prompt=pair.post, references=[pair.reply], **place))
    opening = [
        make(id=f"replies-opener-{hashed(prompt)[:12]}", prompt=prompt, references=said, group="opener", stratum="opener")
        for prompt, said in openers.items()
    ]
    return sorted(records, key=lambda record: record.id) + opening
