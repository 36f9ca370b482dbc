"""What a source of items is, and the one that the repository ships: the chat corpus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, Protocol


@dataclass(frozen=True)
class Page:
    """Neighbouring items of a source, each with where it stands: "posts.csv:17", "item 3"."""

    items: list[tuple[str, object]]


class Source(Protocol):
    name: str  # goes into each record
    identity: dict[str, Any]  # what must be the same for a collection to be continued

    def size(self) -> int | None:
        """Number of items, asked before the first page; None when the source does not say."""

    def pages(self, position: int, stop: int | None, size: int) -> Iterator[Page]:
        """The items from `position` to before `stop`, at most `size` at a time. No page is empty."""


def cut(rows: Iterable[tuple[str, object]], position: int, stop: int | None, size: int) -> Iterator[Page]:
    """Pages of a sequence that is read from its beginning."""
    wanted = islice(rows, position, stop)
    while items := list(islice(wanted, size)):
        yield Page(items)


class CorpusSource:
    """Neighbouring turns of the chat corpus: what one person wrote and what the other answered, unfiltered.

    The author is who replied; engagement is the conversation's mean rating (1-10).
    """

    def __init__(self):
        from polychromic.data import replies

        self.name = replies.SOURCE
        self.identity = {"source": replies.SOURCE}
        self._items: list[tuple[str, object]] | None = None

    def _load(self) -> list[tuple[str, object]]:
        if self._items is None:
            from polychromic.data import replies
            from polychromic.data.packages import chitchat_json

            corpus, items = replies.load_conversations(chitchat_json()), []
            for key in sorted(corpus):
                rating = replies.mean_rating(corpus[key])
                for turn, (post, reply) in enumerate(pairwise(replies.turns(corpus[key]))):
                    item = {"id": f"{key}:{turn + 1}", "post_id": f"{key}:{turn}", "post": post.text, "reply": reply.text}
                    items.append((f"conversation {key}, turn {turn + 1}", item | {"author": reply.person, "engagement": rating}))
            self._items = items
        return self._items

    def size(self) -> int:
        return len(self._load())

    def pages(self, position: int, stop: int | None, size: int) -> Iterator[Page]:
        return cut(self._load(), position, stop, size)
