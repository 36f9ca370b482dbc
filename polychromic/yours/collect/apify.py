"""Items of an Apify dataset, through GET /v2/datasets/{id}/items with offset and limit. Knows nothing about records.

The dataset is read without `clean`: skipped items would make offsets mean something else on the next page. The total that the
API gives lags behind a run that just ended, so it is news and not the end: the end is where a page is empty or the total is met.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.yours.collect.http import Answer, Client
from polychromic.yours.collect.source import Page

TOTAL, COUNT, OFFSET = (f"X-Apify-Pagination-{name}" for name in ("Total", "Count", "Offset"))


class ApifySource:
    """One dataset.

    Args:
        base: root of the API, see http.check_base.
        dataset: its id, or USER~NAME.

    Raises:
        UsageError: what is given cannot be the id of a dataset.
    """

    def __init__(self, client: Client, base: str, dataset: str):
        if not re.fullmatch(r"[\w.~-]{1,200}", dataset, re.ASCII) or not dataset.strip("."):
            raise UsageError(f"dataset {dataset!r}. Allowed: an id such as WkzbQMuFYuamGv3YF, or USER~NAME. Copy it from Apify's console.")
        self._client, self._url = client, f"{base}/v2/datasets/{quote(dataset)}/items"
        self.name = f"apify:{dataset}"
        self.identity = {"source": self.name, "base_url": base}
        self.total: int | None = None

    def size(self) -> int | None:
        """Asks for the headers alone. Not all deployments answer HEAD; then the first page tells."""
        self.total = self._client.ask("HEAD", self._url, {"format": "json"}).number(TOTAL)
        return self.total

    def pages(self, position: int, stop: int | None, size: int) -> Iterator[Page]:
        """Raises PolychromicError: the answer is no page of the dataset. What the client raises comes through."""
        while (stop is None or position < stop) and not (position and position == self.total):
            limit = size if stop is None else min(size, stop - position)
            items = self._page(position, limit)
            if not items:
                return
            yield Page([(f"item {position + place}", item) for place, item in enumerate(items)])
            position += len(items)

    def _page(self, position: int, limit: int) -> list[object]:
        params = {"offset": position, "limit": limit, "format": "json"}
        answer = self._client.ask("GET", self._url, params, lambda found: _cut(found, position))
        where = f"{self._url}?offset={position}&limit={limit}"
        if not isinstance(answer.value, list):
            raise PolychromicError(
                f"{where}: the answer is a JSON {type(answer.value).__name__}. Allowed: a list of items. "
                "Check --base-url and the dataset's id."
            )
        offset = answer.number(OFFSET)
        if len(answer.value) > limit or offset not in (None, position):
            raise PolychromicError(
                f"{where}: {len(answer.value)} items came, from offset {position if offset is None else offset}. Allowed: at most {limit}, "
                f"from offset {position}: else pages overlap. This is not Apify's API, or a cache answers for it. Check --base-url."
            )
        self.total = self.total if answer.number(TOTAL) is None else answer.number(TOTAL)
        return answer.value


def _cut(answer: Answer, position: int) -> str | None:
    """A list that is shorter than it says, or empty before the end."""
    if not isinstance(answer.value, list):
        return None
    announced, total, came = answer.number(COUNT), answer.number(TOTAL), len(answer.value)
    if announced is not None and came < announced:
        return f"{came} items of {announced} came"
    if not came and total is not None and position < total:
        return f"no items came from offset {position}, of {total}"
    return None
