"""What is asked: pairs of replies, and pairs of sets of replies, of two systems to the same prompts. All draws come from a seed.

A question is asked in both orders, one directly after the other, so that a run that stops in the middle has whole questions; questions
of all contrasts and kinds come mixed, so that it has some of each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from polychromic.base.errors import PolychromicError
from polychromic.base.seeds import derive_seed

Side = Literal["a", "b"]
SINGLE, SET = "single", "set"
# Texts that speak to whoever judges. They are passed on as they are; that they were there is counted.
ADDRESSES = re.compile(
    r"\b(ignore|disregard|forget)\b.{0,40}\b(rubric|instruction|criteria|above|previous)"
    r"|\bprefer (reply|response|answer|set)?\s*(a|b|first|one)\b"
    r"|\b(as|dear) (an? )?(judge|referee|evaluator)\b|\"verdict\"",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Replies:
    """A system's replies. prompts: id -> text. texts: (seed, id) -> its samples, as many for each. domain: whose rubric applies."""

    domain: str
    name: str
    prompts: Mapping[str, str]
    texts: Mapping[tuple[int, str], Sequence[str]]

    @property
    def seeds(self) -> list[int]:
        return sorted({seed for seed, _ in self.texts})


@dataclass(frozen=True, eq=False)
class Question:
    """Which of two, a or b: a reply each (`single`), or a set each. seed: place among the paired seeds of the two systems."""

    domain: str
    a: str
    b: str
    kind: str
    seed: int
    id: str
    prompt: str
    replies: Mapping[Side, tuple[str, ...]]

    @property
    def name(self) -> str:
        return f"{self.domain}/{self.a}/{self.b}/{self.kind}/{self.seed}/{self.id}"

    @property
    def identical(self) -> bool:
        """Whether both sides hold the same texts: a tie that nobody has to be asked about."""
        return sorted(self.replies["a"]) == sorted(self.replies["b"])

    @property
    def length(self) -> dict[Side, int]:
        """Characters of a side."""
        return {side: sum(len(text.strip()) for text in texts) for side, texts in self.replies.items()}

    @property
    def addresses(self) -> bool:
        """Whether a reply seems to speak to the judge."""
        return any(ADDRESSES.search(text) for texts in self.replies.values() for text in texts)


class Asked(NamedTuple):
    """A question in one order: the side that is shown first; and the how many-th time, 0 first, that it is asked in this order."""

    question: Question
    first: Side
    repeat: int = 0


def draw(a: Replies, b: Replies, sizes: Mapping[str, int], prompts: int | None, seed: int) -> list[Question]:
    """The questions of one contrast, ordered by seed and id.

    Args:
        sizes: kind -> replies of a side, drawn without replacement from the system's samples to the prompt.
        prompts: at most so many, drawn with `seed`; None: all that both have.

    Raises PolychromicError: no prompt that both have, or fewer samples than a set has replies.
    """
    shared = sorted(name for name, text in a.prompts.items() if b.prompts.get(name) == text)
    if not shared:
        raise PolychromicError(
            f"{a.name} and {b.name} have no prompt in common (same id, same text): {len(a.prompts)} and {len(b.prompts)} prompts. "
            "Allowed: replies of two systems to the same prompts. Give files whose ids and prompts agree."
        )
    if prompts is not None and prompts < len(shared):
        rng = np.random.default_rng(derive_seed(seed, "judge-prompts", a.domain))
        shared = sorted(rng.permutation(shared)[:prompts].tolist())
    pairs = max(len(a.seeds), len(b.seeds))
    found = []
    for kind, size in sizes.items():
        for place in range(pairs):
            for name in shared:
                sides = {side: _drawn(one, place, name, kind, size, seed) for side, one in (("a", a), ("b", b))}
                found.append(Question(a.domain, a.name, b.name, kind, place, name, a.prompts[name], sides))
    return found


def _drawn(of: Replies, place: int, name: str, kind: str, size: int, seed: int) -> tuple[str, ...]:
    """Replies of one side; a system with fewer seeds than the other goes round. The same ones in every contrast it is part of."""
    own = of.seeds[place % len(of.seeds)]
    texts = of.texts[own, name]
    if len(texts) < size:
        raise PolychromicError(
            f"{of.name} has {len(texts)} replies to {name!r} (seed {own}), a {kind} needs {size}. Allowed: as many or more. "
            "Draw more replies, or compare smaller sets (--sets)."
        )
    rng = np.random.default_rng(derive_seed(seed, "judge-replies", of.domain, of.name, place, name, kind))
    return tuple(texts[i] for i in rng.permutation(len(texts))[:size])


def in_order(questions: Sequence[Question], seed: int, repeats: int = 0) -> list[Asked]:
    """Both orders of each question, mixed by `seed`; the first `repeats` questions once more at the end. Identical sides are not asked."""
    asked = sorted((one for one in questions if not one.identical), key=lambda one: derive_seed(seed, "judge-order", one.name))
    found = [Asked(one, side) for one in asked for side in _sides(one, seed)]
    return found + [Asked(one, side, 1) for one in asked[:repeats] for side in _sides(one, seed)]


def once(questions: Sequence[Question], seed: int, who: str) -> list[Asked]:
    """Each question in one order, which `seed` and the name of who is asked decide: what a person is asked."""
    asked = sorted((one for one in questions if not one.identical), key=lambda one: derive_seed(seed, "judge-order", one.name))
    return [Asked(one, next(_sides(one, derive_seed(seed, who)))) for one in asked]


def _sides(one: Question, seed: int) -> Iterator[Side]:
    yield from ("a", "b") if derive_seed(seed, "judge-side", one.name) % 2 else ("b", "a")
