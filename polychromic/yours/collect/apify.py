"""Datasets of Apify as a source: GET /v2/datasets/{id}/items of a server that may be slow, broken or hostile.

urllib3's Retry says what is tried again and when: it obeys Retry-After and asks again for what did not come, or not whole. The token
travels in a header, never in an address; it is taken out of every message, and an item that repeats it is withheld. What a server says is
bounded: the bytes and seconds of an answer, the length of a wait, and the number of items.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from urllib.parse import quote

import urllib3
from requests.utils import get_environ_proxies, select_proxy

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.parse import split_url
from polychromic.yours.collect.sources import Page, Source, Withheld

TOKEN = "APIFY_TOKEN"
SHORTEST = 8  # characters of a token: a shorter one stands in texts by chance, and could not be taken out of them
BACKOFF, LONGEST_BACKOFF, LONGEST_WAIT = 0.5, 60.0, 900.0  # seconds; the last is for a server that asks to wait
SILENCE = 60.0  # seconds that connecting, or a silence, may take
LONGEST_ANSWER, LARGEST_ANSWER = 600.0, 1 << 28  # seconds and bytes
MOST_ITEMS = 10_000_000  # of a dataset, where the user sets no limit: ids and digests are kept in memory
RELIEF = "What is stored is safe; run the same command again to go on."
# What a status means that no retry changes.
REFUSED = {
    401: f"Allowed: a token of the account that owns the dataset, which {TOKEN} holds. Set it",
    403: f"Allowed: a token that may read this dataset. Set {TOKEN} to one",
    404: "Allowed: the id of a dataset that the token may see, or USER~NAME. Check it, and --base-url",
}
OTHERWISE = "Allowed: a whole page of the dataset. Check its id, --base-url, the network and the service's status"


class Tries(urllib3.Retry):
    """urllib3's, for which a Retry-After that nobody can read is none."""

    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        try:
            return super().get_retry_after(response)
        except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
            return None


def read_token() -> str | None:
    """$APIFY_TOKEN; None when it is not set. Raises UsageError, without the value, if it cannot be a token."""
    token = os.environ.get(TOKEN, "").strip()
    if not re.fullmatch("[!-~]*", token):
        raise UsageError(f"{TOKEN} holds blanks or letters no token has. Allowed: the token alone. Set it again, without quotes in it.")
    if 0 < len(token) < SHORTEST:
        raise UsageError(f"{TOKEN} has {len(token)} characters. Allowed: a whole token, {SHORTEST} or more. Set it again.")
    return token or None


class Apify(Source):
    """One dataset.

    It is read without `clean`: skipped items would make offsets mean something else on the next page. The total that the API gives lags
    behind a run that just ended, so it is news and not the end: the end is where a page is empty.

    Args: base: the API's root; dataset: its id, or USER~NAME; token: None only for a root on this machine; retries: tries after the first,
        per request.

    Raises UsageError for what cannot be the id of a dataset, or a root, or one that would be sent the token unencrypted; without a token.
    """

    def __init__(self, base: str, dataset: str, token: str | None, retries: int):
        if token and token in f"{base} {dataset}":
            raise UsageError(f"--base-url or the dataset holds the token. Allowed: the token in {TOKEN} alone. Leave it out there.")
        if not re.fullmatch(r"[\w.~-]{1,200}", dataset, re.ASCII) or not dataset.strip("."):
            raise UsageError(f"dataset {dataset!r}. Allowed: an id such as WkzbQMuFYuamGv3YF, or USER~NAME. Copy it from Apify's console.")
        parts = split_url(base, "--base-url")
        safe = parts.scheme == "https" or parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
        if not safe or not parts.hostname or parts.username or parts.query or parts.fragment:
            allowed = f"https://HOST[:PORT][/PATH], or http on this machine, without password and query; the token stands in {TOKEN}"
            raise UsageError(f"--base-url {parts.scheme}://{parts.hostname} is no root of an API. Allowed: {allowed}.")
        if not token and parts.scheme == "https":
            allowed = "a token of an account that may read the dataset; none for http on this machine"
            raise UsageError(f"{TOKEN} is not set. Allowed: {allowed}. Set it: export {TOKEN}=...; nothing was asked.")
        base = base.rstrip("/").removesuffix("/v2")
        super().__init__(f"apify:{dataset}", {"source": f"apify:{dataset}", "base_url": base}, iter)
        self._url = f"{base}/v2/datasets/{quote(dataset)}/items"
        self._token, self._headers = token, {"Authorization": f"Bearer {token}"} if token else {}
        spelled = {token, quote(token, safe=""), json.dumps(token)[1:-1]} if token else {}
        self._secret = re.compile("|".join(map(re.escape, sorted(spelled, key=len, reverse=True))) or r"(?!)", re.IGNORECASE)
        self._total: int | None = None  # as the first answer claims
        self._tries = Tries(
            retries, status_forcelist=[429, *range(500, 600)],
            backoff_factor=BACKOFF, backoff_max=LONGEST_BACKOFF, backoff_jitter=BACKOFF, retry_after_max=LONGEST_WAIT,
        )  # fmt: skip
        proxy = select_proxy(base, get_environ_proxies(base))
        self._pool = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()

    def size(self) -> int | None:
        """Asks for the headers alone; None where the API does not answer that, or not with a total."""
        self._total = _number(self._ask("HEAD", "", {})[0], "Total")
        return self._total

    def pages(self, position: int, stop: int | None, size: int) -> Iterator[Page]:
        """An item that repeats the token is Withheld.

        Raises PolychromicError: the last retry failed, a status that no retry changes, an answer that is no page of the dataset, items that
        all came before although no total announces them, or without `stop` more than MOST_ITEMS. A page may hold fewer items than asked
        for, but none before the end.
        """
        seen: set[bytes] = set()
        while stop is None or position < stop:
            if stop is None and (most := max(position + 1, self._total or 0)) > MOST_ITEMS:
                allowed = f"Allowed: {MOST_ITEMS} without a limit. Set one that you want: --max-items N"
                raise self._error("", f"it claims or holds {most} items", allowed)
            limit = size if stop is None else min(size, stop - position)
            where, asked = f"?offset={position}&limit={limit}", {"offset": str(position), "limit": str(limit)}
            response, body = self._ask("GET", where, asked)
            offset, total = _number(response, "Offset"), _number(response, "Total")
            self._total = total if self._total is None else self._total
            if (status := response.status) != 200:
                raise self._error(where, f"{status} {response.reason} {body.decode('utf-8', 'replace')}", REFUSED.get(status, OTHERWISE))
            try:
                items = json.loads(body)
                texts = [json.dumps(item, sort_keys=True, ensure_ascii=False) for item in items] if isinstance(items, list) else []
            except (ValueError, RecursionError) as error:
                raise self._error(where, f"not whole JSON ({len(body)} bytes: {error})", OTHERWISE) from None
            if not isinstance(items, list):
                raise self._error(where, f"a JSON {type(items).__name__}", OTHERWISE)
            if len(items) > limit or offset not in (None, position) or not items and position < (total or 0):
                raise self._error(where, f"{len(items)} items of {total}, from offset {offset}", OTHERWISE)
            if not items:
                return
            digests = {hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16] for text in texts}
            announced = offset == position and position + len(items) <= (self._total or 0)
            if digests <= seen and not announced:
                allowed = "Allowed: other items at each offset. Does the server know `offset`? Check --base-url, or raise --page-size"
                raise self._error(where, f"{len(items)} items that all came before", allowed)
            seen |= digests
            withheld = Withheld("the API token stands in it")
            kept = (withheld if self._secret.search(text) else item for item, text in zip(items, texts, strict=True))
            yield [(f"item {number}", item) for number, item in enumerate(kept, start=position)]
            position += len(items)

    def _ask(self, method: str, where: str, params: dict[str, str]) -> tuple[urllib3.BaseHTTPResponse, bytes]:
        """An answer and its body, of any status. What may pass is tried again, which is said before each wait."""
        how = {"headers": self._headers, "retries": False, "redirect": False, "timeout": SILENCE, "preload_content": False}
        tries = self._tries
        while True:
            response = failure = None
            try:
                response = self._pool.request(method, self._url, fields=params | {"format": "json"}, **how)
                body = self._whole(response, where)
                if not tries.is_retry(method, response.status, "Retry-After" in response.headers):
                    return response, body
            except urllib3.exceptions.LocationValueError as error:
                raise self._error(where, str(error), OTHERWISE) from None
            except urllib3.exceptions.HTTPError as error:
                failure = error
            said = f"{response.status} {response.reason}" if failure is None else str(failure)
            try:
                tries = tries.increment(method, self._url, response if failure is None else None, failure)
            except urllib3.exceptions.MaxRetryError:
                if failure is None:
                    return response, body
                raise self._error(where, said, OTHERWISE) from None
            wait = (tries.get_retry_after(response) if failure is None else None) or tries.get_backoff_time()
            print(f"{self._clean(said)}; {tries.total + 1} more tries, the next in {wait:.1f} s", file=sys.stderr, flush=True)
            if wait:
                time.sleep(wait)

    def _whole(self, response: urllib3.BaseHTTPResponse, where: str) -> bytes:
        """The body. HTTPError: it is not whole. PolychromicError: it is packed, which nobody asked for, too long, or takes too long."""
        body, until, packed = bytearray(), time.monotonic() + LONGEST_ANSWER, response.headers.get("Content-Encoding", "identity")
        while block := response.read1(1 << 16, decode_content=False):
            body += block
            wrong = {f"packed ({packed})": packed != "identity", f"over {LARGEST_ANSWER >> 20} MiB": len(body) > LARGEST_ANSWER}
            wrong |= {f"not whole after {LONGEST_ANSWER:g} s": time.monotonic() > until}
            if any(wrong.values()):
                response.close()
                which = next(name for name, is_so in wrong.items() if is_so)
                raise self._error(where, f"an answer that is {which}", f"{OTHERWISE}; or take a smaller --page-size")
        response.release_conn()
        return bytes(body)

    def _clean(self, text: str) -> str:
        """At most 200 letters on one line, without the token, if a server or a library repeats it, and what a terminal would obey."""
        text = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
        return self._secret.sub("***", text)[:200] + ("" if self._token else f" ({TOKEN} is not set)")

    def _error(self, where: str, found: str, advice: str) -> PolychromicError:
        return PolychromicError(f"{self._url}{where}: {self._clean(found).strip()}. {advice}. {RELIEF}")


def _number(response: urllib3.BaseHTTPResponse, name: str) -> int | None:
    text = response.headers.get(f"X-Apify-Pagination-{name}", "").strip()
    return int(text) if re.fullmatch("[0-9]{1,100}", text) else None
