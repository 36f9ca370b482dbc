"""replies: post → reply pairs between two people, and opening prompts with many human replies, from chitchat-dataset.

Every filter is a rule that looks at one text, or at a post and its reply; a text is kept as typed, but for blanks, or dropped. Sender ids
tell the two people apart and cap what one person contributes; they never reach a record. Quality is not judged here.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import groupby, pairwise
from operator import itemgetter
from typing import NamedTuple

from polychromic.base.errors import PolychromicError
from polychromic.data.packages import CHITCHAT, obtain
from polychromic.data.records import Record
from polychromic.data.text import hashed, near_duplicates, normalised, shipped, suitable, tercile, words

SOURCE, LICENCE = "chitchat-dataset 0.9.0", "MIT"
POST_WORDS, REPLY_WORDS, OPENER_WORDS = (6, 40), (4, 30), (4, 40)
# What one conversation and one person may contribute, so that no voice dominates.
MAX_PER_CONVERSATION, MAX_PER_PERSON = 3, 60
MIN_OPENER_REPLIES, MAX_OPENER_REPLIES = 8, 40
OPENER_TURNS = 4  # a reply to the opening prompt that comes later than this is about something else
N_PAIRS = 2140
QUOTES = "\u2018\u2019\u201c\u201d\u2026\u2013"  # curly quotation marks, ellipsis, dash: all else must be ASCII
WORD_LISTS = ("unsuitable_words.txt", "profane_words.txt", "first_names.txt")

OPENS = ("greeting", "points_back")  # phrases that matter at the start alone
PHRASES = {
    name: re.compile((r"^\W*" if name in OPENS else r"\b") + rf"(?:{'|'.join(found)})\b", re.IGNORECASE)
    for name, found in tomllib.loads(shipped("phrases.toml")).items()
}
FORBIDDEN = (
    re.compile(r"https?:|www\.|\w@\w|\.(?:com|org|net|edu|io|gov)\b|(?:^|\s)@\w", re.IGNORECASE),  # links
    re.compile(r"\d(?:[\s().-]*\d){6,}"),  # phone numbers, card numbers
    re.compile(r"hello\?", re.IGNORECASE),  # nobody answered
    re.compile(r"\*"),  # corrections of the message before
    re.compile(r"(.)\1{3,}"),
    *(PHRASES[name] for name in ("personal", "task", "small_talk", "greeting")),
)


class Turn(NamedTuple):
    person: str
    text: str  # what the person wrote before the other answered; messages joined by a blank


class Pair(NamedTuple):
    """A post, its reply and where they come from; `rating` is the conversation's mean rating (1-10) or None."""

    post: str
    reply: str
    conversation: str
    authors: tuple[str, str]
    rating: float | None


def load_conversations() -> dict[str, dict]:
    """The corpus: id → {"prompt"?, "ratings"?, "messages": [[{"sender", "text"}]]}; fetched and raises as packages.obtain does."""
    return json.loads(obtain(CHITCHAT).read_text(encoding="utf-8"))


def turns(conversation: Mapping) -> list[Turn]:
    """Turns in order; neighbouring messages of one person are one turn."""
    said = [(message["sender"], " ".join(message["text"].split())) for block in conversation["messages"] for message in block]
    by_person = groupby((one for one in said if one[1]), key=itemgetter(0))
    return [Turn(person, " ".join(text for _, text in texts)) for person, texts in by_person]


@cache
def acceptable(text: str, band: tuple[int, int]) -> bool:
    """English written text of a length in `band` (words, inclusive) without FORBIDDEN phrases and words on the lists."""
    n = len(words(text))
    return (
        band[0] <= n <= band[1]
        and len(text) <= 8 * n + 20  # no walls of punctuation or pasted strings
        and all(32 <= ord(c) < 127 or c in QUOTES for c in text)
        and sum(c.isalpha() or c.isspace() for c in text) >= 0.85 * len(text)
        and not any(pattern.search(text) for pattern in FORBIDDEN)
        and suitable(text, WORD_LISTS)
    )


def is_pair(post: str, reply: str) -> bool:
    """A post that can be answered on its own, as it does not open by pointing back, and a reply that is no copy of it."""
    if not acceptable(post, POST_WORDS) or PHRASES["points_back"].search(post):
        return False
    return acceptable(reply, REPLY_WORDS) and normalised(post) != normalised(reply)


def mean_rating(conversation: Mapping) -> float | None:
    """Mean of the three ratings (witty, interesting, upbeat; 1-10), some of which are typed as strings; None without ratings."""
    ratings = [float(value) for value in (conversation.get("ratings") or {}).values()]
    return sum(ratings) / len(ratings) if ratings else None


def on_topic(candidates: list[Pair]) -> list[Pair]:
    """Pairs whose reply takes up a content word of the post: one of four letters or more that at most 1 % of the posts hold.

    "computers" and "computer" count as one word.
    """
    stem = lambda word: word[:-1] if len(word) > 4 and word.endswith("s") else word
    posts = [{stem(w) for w in words(pair.post) if len(w) >= 4 and w.isalpha()} for pair in candidates]
    frequency = Counter(word for post in posts for word in post)
    rare = {word for word, count in frequency.items() if count <= max(1, 0.01 * len(candidates))}
    return [pair for pair, post in zip(candidates, posts, strict=True) if post & rare & {stem(w) for w in words(pair.reply)}]


def pairs(corpus: Mapping[str, Mapping]) -> Iterator[Pair]:
    """All acceptable neighbouring turns, in the order of the conversation ids."""
    for key in sorted(corpus):
        for post, reply in pairwise(turns(corpus[key])):
            if is_pair(post.text, reply.text):
                yield Pair(post.text, reply.text, key, (post.person, reply.person), mean_rating(corpus[key]))


def select(candidates: list[Pair], n: int = N_PAIRS, openers: Sequence[str] = ()) -> list[Pair]:
    """`n` pairs in hash order, under the caps, without near-duplicates of a post or an opening prompt and without copies of a reply.

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
        raise PolychromicError(
            f"chitchat-dataset: {len(found)} pairs pass the filters, {n} are needed. Relax a filter in polychromic/data/replies.py."
        )
    return found


def asks_opener(prompt: str, text: str) -> bool:
    """The turn puts the opening prompt to the other person: a question with at least half of the prompt's words."""
    asked = set(words(prompt))
    return "?" in text and 2 * len(asked.intersection(words(text))) >= len(asked)


def opener_replies(corpus: Mapping[str, Mapping]) -> dict[str, list[str]]:
    """Opening prompt → human replies: the first acceptable turn of a conversation, one per person.

    It stands among the first OPENER_TURNS and is no question, which would be put to the partner. The turn before it must be absent, a
    short greeting, or the opening prompt put as a question: otherwise it answers something else.
    """
    found: dict[str, dict[str, str]] = defaultdict(dict)  # prompt → person → reply
    for key in sorted((key for key, chat in corpus.items() if chat.get("prompt")), key=hashed):
        prompt, before = " ".join(corpus[key]["prompt"].split()), ""
        mine = found[prompt]
        for turn in turns(corpus[key])[:OPENER_TURNS]:
            leads = not before or asks_opener(prompt, before) or ("?" not in before and len(words(before)) <= 3)
            if leads and "?" not in turn.text and acceptable(turn.text, OPENER_WORDS):
                new = turn.person not in mine and normalised(turn.text) not in map(normalised, mine.values())
                if new and len(mine) < MAX_OPENER_REPLIES:
                    mine[turn.person] = turn.text
                break
            before = turn.text
    return {prompt: sorted(mine.values()) for prompt, mine in sorted(found.items()) if prompt and len(mine) >= MIN_OPENER_REPLIES}


def build(corpus: Mapping[str, Mapping], n: int = N_PAIRS) -> list[Record]:
    """All replies records: pairs in order of their ids, then the openers. Ids and groups are hashes of content, never ids of the corpus.

    Stratum, for engagement: the tercile of the reply's length in words by the conversation's mean rating (high: 7 or more).
    """
    make = partial(Record, domain="replies", checker="person", source=SOURCE, licence=LICENCE)
    openers = opener_replies(corpus)
    selected = select(on_topic([pair for pair in pairs(corpus) if not any(asks_opener(p, pair.post) for p in openers)]), n, list(openers))
    group = {pair.conversation: f"chat-{hashed('group', pair.post, pair.reply)[:12]}" for pair in reversed(selected)}  # of the first one
    records = []
    for pair, length in zip(selected, tercile([len(words(pair.reply)) for pair in selected]), strict=True):
        place = {"group": group[pair.conversation], "stratum": f"{length}_{'high' if (pair.rating or 0) >= 7 else 'other'}"}
        records.append(make(id=f"replies-{hashed(pair.post)[:12]}", prompt=pair.post, references=[pair.reply], **place))
    return sorted(records, key=lambda record: record.id) + [
        make(id=f"replies-opener-{hashed(prompt)[:12]}", prompt=prompt, references=said, group="opener", stratum="opener")
        for prompt, said in openers.items()
    ]
