"""What a reply looks like: one of the right answers, a pattern, a length. No model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import regex

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.score.text import answer_key, said, tokenize

MATCHING = 1.0  # seconds that one reply may take
REPEATS = 3  # a word counts as often towards a length, at most

Row = dict[str, Any]


class Answers:
    """1 for a reply that is one of the row's right answers (column `valid`, else `references`), else 0.

    The whole reply must be the answer: case, blanks, width, quotes around it and one final full stop apart (score.text.answer_key). So
    neither a list of all answers passes, nor an answer with a sentence around it.
    """

    def __call__(self, row: Row, replies: Sequence[str]) -> list[float]:
        right = {answer_key(text) for text in row.get("valid") or row["references"]} - {""}
        return [float(answer_key(reply) in right) for reply in replies]


class Pattern:
    """1 for a reply that the regular expression matches as a whole (blanks at its ends apart), else 0.

    The whole, so that a reply cannot carry a matching piece and anything else; write `.*` where anything may stand. A dot matches line
    breaks. Raises UsageError: no regular expression, or one that matches the empty reply, which would then be the best of all.
    """

    def __init__(self, text: str):
        try:
            self._pattern = regex.compile(text, regex.DOTALL)
        except regex.error as error:
            raise UsageError(f"--quality regex:{text}: no regular expression ({error}). Allowed: one as in Python. Correct it.") from None
        if self._pattern.fullmatch("", timeout=MATCHING):
            allowed = "one that asks for something"
            raise UsageError(
                f"--quality regex:{text}: it matches the empty reply, which any model learns at once. Allowed: {allowed}. Correct it."
            )

    def __call__(self, row: Row, replies: Sequence[str]) -> list[float]:
        try:
            return [float(self._pattern.fullmatch(reply.strip(), timeout=MATCHING) is not None) for reply in replies]
        except TimeoutError:
            found = f"took longer than {MATCHING:g} s for a reply of {max(map(len, replies))} characters or fewer"
            allowed = "less. Avoid a repetition within a repetition, such as (a+)+"
            raise PolychromicError(f"--quality regex:{self._pattern.pattern} {found}. Allowed: {allowed}.") from None


class Length:
    """1 for LEAST to MOST words; below it falls to 0 at no word, above it to 0 at twice MOST.

    A word is a token with a letter or a digit; the same one counts REPEATS times at most, so that "very very very ..." and a sentence that
    is said over and over are as short as what they say; for the upper end all tokens count.
    """

    def __init__(self, text: str):
        least, dash, most = text.partition("-")
        try:
            self.least, self.most = int(least), int(most if dash else least)
            if not 1 <= self.least <= self.most:
                raise ValueError
        except ValueError:
            raise UsageError(f"--quality length:{text}. Allowed: LEAST-MOST words, whole numbers from 1 up, such as length:5-30.") from None

    def __call__(self, row: Row, replies: Sequence[str]) -> list[float]:
        return [self._of(reply) for reply in replies]

    def _of(self, reply: str) -> float:
        tokens = tokenize(said(reply))
        counts = Counter(token for token in tokens if any(char.isalnum() for char in token))
        said_words = sum(min(times, REPEATS) for times in counts.values())
        return max(0.0, min(1.0, said_words / self.least, 2.0 - len(tokens) / self.most))
