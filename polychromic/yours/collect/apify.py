"""A dataset of Apify, through GET /v2/datasets/{id}/items. urllib3 makes the tries: it obeys Retry-After and asks again for what did not
come, or not whole. The token travels in a header, never in an address, and is taken out of every message.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import urllib3
from requests.utils import get_environ_proxies, select_proxy

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.yours.collect.sources import Page, Source

TOKEN = "APIFY_TOKEN"
BACKOFF, LONGEST_BACKOFF, LONGEST_WAIT = 0.5, 60.0, 900.0  # seconds; the last is for a server that asks to wait
SILENCE = 60.0  # seconds that connecting, or a silence, may take
RELIEF = "What is stored is safe; run the same command again to go on."
# What a status means that no retry changes.
REFUSED = {
    401: f"Allowed: a token of the account that owns the dataset, which {TOKEN} holds. Set it",
    403: f"Allowed: a token that may read this dataset. Set {TOKEN} to one",
    404: "Allowed: the id of a dataset that the token may see, or USER~NAME. Check it, and --base-url",
}
OTHERWISE = "Allowed: a whole page of the dataset. Check its id, --base-url, the network and the service's status"


class Tries(urllib3.Retry):
    """What urllib3 does when a request fails, said on stderr before it waits."""

    def sleep(self, response: urllib3.BaseHTTPResponse | None = None) -> None:
        failed, asked = self.history[-1], self.get_retry_after(response) if response else None
        wait = self.get_backoff_time() if asked is None else asked
        print(f"{failed.error or failed.status}; {self.total + 1} more tries, the next in {wait:.1f} s", file=sys.stderr, flush=True)
        super().sleep(response)


def read_token() -> str | None:
    """$APIFY_TOKEN; None when it is not set. Raises UsageError, without the value, if it cannot be a token."""
    token = os.environ.get(TOKEN, "").strip()
    if not re.fullmatch("[!-~]*", token):
        raise UsageError(f"{TOKEN} holds blanks or letters no token has. Allowed: the token alone. Set it again, without quotes in it.")
    return token or None


class Apify(Source):
    """One dataset.

    It is read without `clean`: skipped items would make offsets mean something else on the next page. The total that the API gives lags
    behind a run that just ended, so it is news and not the end: the end is where a page is empty.

    Args: base: the API's root; dataset: its id, or USER~NAME; retries: tries after the first, per request.

    Raises UsageError for what cannot be the id of a dataset, or a root, or one that would be sent the token unencrypted.
    """

    def __init__(self, base: str, dataset: str, token: str | None, retries: int):
        if not re.fullmatch(r"[\w.~-]{1,200}", dataset, re.ASCII) or not dataset.strip("."):
            raise UsageError(f"dataset {dataset!r}. Allowed: an id such as WkzbQMuFYuamGv3YF, or USER~NAME. Copy it from Apify's console.")
        parts = urlsplit(base)
        safe = parts.scheme == "https" or parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
        if not safe or not parts.hostname or parts.username or parts.query or parts.fragment:
            allowed = f"https://HOST[:PORT][/PATH], or http on this machine, without password and query; the token stands in {TOKEN}"
            raise UsageError(f"--base-url {parts.scheme}://{parts.hostname} is no root of an API. Allowed: {allowed}.")
        base = base.rstrip("/").removesuffix("/v2")
        super().__init__(f"apify:{dataset}", {"source": f"apify:{dataset}", "base_url": base}, iter)
        self._url = f"{base}/v2/datasets/{quote(dataset)}/items"
        self._token, self._headers = token, {"Authorization": f"Bearer {token}"} if token else {}
        self._tries = Tries(
            retries, redirect=False, raise_on_status=False, status_forcelist=[429, *range(500, 600)],
            backoff_factor=BACKOFF, backoff_max=LONGEST_BACKOFF, backoff_jitter=BACKOFF, retry_after_max=LONGEST_WAIT,
        )  # fmt: skip
        proxy = select_proxy(base, get_environ_proxies(base))
        self._pool = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()

    def size(self) -> int | None:
        """Asks for the headers alone; None where the API does not answer that, or not with a total."""
        return _number(self._ask("HEAD", {}), "Total")

    def pages(self, position: int, stop: int | None, size: int) -> Iterator[Page]:
        """Raises PolychromicError: the last retry failed, a status that no retry changes, or an answer that is no page of the dataset."""
        while stop is None or position < stop:
            limit = size if stop is None else min(size, stop - position)
            response = self._ask("GET", {"offset": str(position), "limit": str(limit)})
            items = self._items(response, position, limit)
            if not items:
                return
            yield [(f"item {number}", item) for number, item in enumerate(items, start=position)]
            position += len(items)

    def _ask(self, method: str, params: dict[str, str]) -> urllib3.BaseHTTPResponse:
        how = {"headers": self._headers, "retries": self._tries, "redirect": False, "timeout": SILENCE}
        try:
            return self._pool.request(method, self._url, fields=params | {"format": "json"}, **how)
        except urllib3.exceptions.HTTPError as error:
            raise self._error("", str(getattr(error, "reason", error)), OTHERWISE) from None

    def _items(self, response: urllib3.BaseHTTPResponse, position: int, limit: int) -> list[object]:
        """What a page holds; it may be fewer than the limit, but none before the end."""
        where, total = f"?offset={position}&limit={limit}", _number(response, "Total")
        if response.status != 200:
            said = response.data.decode("utf-8", "replace").split()
            raise self._error(where, f"{response.status} {response.reason} {' '.join(said)[:200]}", REFUSED.get(response.status, OTHERWISE))
        try:
            items = response.json()
        except (ValueError, RecursionError):
            raise self._error(where, f"not whole JSON ({len(response.data)} bytes)", OTHERWISE) from None
        if not isinstance(items, list):
            raise self._error(where, f"a JSON {type(items).__name__}", OTHERWISE)
        if len(items) > limit or _number(response, "Offset") not in (None, position) or not items and position < (total or 0):
            raise self._error(where, f"{len(items)} items of {total}, from offset {_number(response, 'Offset')}", OTHERWISE)
        return items

    def _error(self, where: str, found: str, advice: str) -> PolychromicError:
        """Without the token, if a server or a library repeats it, and what a terminal would obey."""
        found = "".join(letter for letter in found if letter.isprintable())
        said = found.replace(self._token, "***") if self._token else f"{found} ({TOKEN} is not set)"
        return PolychromicError(f"{self._url}{where}: {said.strip()}. {advice}. {RELIEF}")


def _number(response: urllib3.BaseHTTPResponse, name: str) -> int | None:
    text = response.headers.get(f"X-Apify-Pagination-{name}", "").strip()
    return int(text) if re.fullmatch("[0-9]{1,15}", text) else None
