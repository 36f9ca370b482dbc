"""A dataset of Apify, through GET /v2/datasets/{id}/items, whatever the network does: throttling is obeyed, failures are retried.

The token travels in a header, never in an address, and is taken out of every message. urllib3's Retry reads Retry-After, but does not make
the tries: an answer of status 200 may be torn, or shorter than it says, and has to be asked for again within the same number of tries.
"""

from __future__ import annotations

import math
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote, urlencode, urlsplit

import requests
import urllib3

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.yours.collect.sources import Page, Source

TOKEN = "APIFY_TOKEN"
FIRST_WAIT, LONGEST_BACKOFF = 0.5, 60.0  # seconds; a wait doubles from the first to the longest
LONGEST_WAIT = 900.0  # seconds; a server that asks for more is left alone
RELIEF = "What is stored is safe; run the same command again to go on."
# What a status means that no retry changes.
REFUSED = {
    401: f"{{state}}. Allowed: a token of the account that owns the dataset. Set {TOKEN}. {RELIEF}",
    403: f"Allowed: a token that may read this dataset. Set {TOKEN} to one. {RELIEF}",
    404: "The dataset does not exist, or not for this token. Allowed: its id, or USER~NAME. Check it, and --base-url.",
}
OTHERWISE = f"Allowed: 200, or 429 and 5xx, which are retried. Check the dataset's id, and --base-url. {RELIEF}"


class _TransientError(Exception):
    """Worth another try. wait: seconds that the server asks for, None when it asks for none."""

    def __init__(self, what: str, wait: float | None = None):
        super().__init__(what)
        self.wait = wait


def read_token() -> str | None:
    """$APIFY_TOKEN; None when it is not set. Raises UsageError, without the value, if it cannot be a token."""
    token = os.environ.get(TOKEN, "").strip()
    if not all(33 <= ord(letter) < 127 for letter in token):
        raise UsageError(f"{TOKEN} holds blanks or letters no token has. Allowed: the token alone. Set it again, without quotes in it.")
    return token or None


def check_base(url: str, token: str | None) -> str:
    """The API's root without a slash or /v2 at its end. Raises UsageError: no address of one, or it would send the token unencrypted."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password or parts.query or parts.fragment:
        bare = f"{parts.scheme}://{parts.hostname}" if parts.hostname else repr(url)
        allowed = f"https://HOST[:PORT][/PATH] without password, query or fragment; the token stands in {TOKEN}"
        raise UsageError(f"--base-url {bare} is no root of an API. Allowed: {allowed}.")
    if token and parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        allowed = "https, or http on this machine. Use https, or a tunnel"
        raise UsageError(f"--base-url {url} would send {TOKEN} unencrypted. Allowed: {allowed}.")
    return url.rstrip("/").removesuffix("/v2")


class ApifySource(Source):
    """One dataset.

    It is read without `clean`: skipped items would make offsets mean something else on the next page. The total that the API gives lags
    behind a run that just ended, so it is news and not the end: the end is where a page is empty or the total is met.

    Args: base as check_base gives it; dataset: its id, or USER~NAME; timeout: seconds that connecting, and any silence, may take;
        retries: tries after the first, per request; say is told why it waits, and sleep waits (tests give another).

    Raises UsageError for what cannot be the id of a dataset.
    """

    def __init__(
        self, base: str, dataset: str, token: str | None, timeout: float, retries: int,
        say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep,
    ):  # fmt: skip
        if not re.fullmatch(r"[\w.~-]{1,200}", dataset, re.ASCII) or not dataset.strip("."):
            raise UsageError(f"dataset {dataset!r}. Allowed: an id such as WkzbQMuFYuamGv3YF, or USER~NAME. Copy it from Apify's console.")
        self.name, self.total = f"apify:{dataset}", None
        self.identity = {"source": self.name, "base_url": base}
        self._url = f"{base}/v2/datasets/{quote(dataset)}/items"
        self._token, self._timeout, self._retries, self._say, self._sleep = token, timeout, retries, say, sleep
        self._session = requests.Session()
        self._session.auth = self._sign

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Without an auth of its own requests would put a password of ~/.netrc in the token's place."""
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def size(self) -> int | None:
        """Asks for the headers alone. Not all deployments answer HEAD; then the first page tells."""
        self._ask("HEAD", {"format": "json"})
        return self.total

    def pages(self, position: int, stop: int | None, size: int) -> Iterator[Page]:
        """Raises PolychromicError: a 4xx other than 429 or a redirect (at once), the last retry failed, or it is no page of the dataset."""
        while (stop is None or position < stop) and not (position and position == self.total):
            limit = size if stop is None else min(size, stop - position)
            items = self._ask("GET", {"offset": position, "limit": limit, "format": "json"})
            if not items:
                return
            yield [(f"item {number}", item) for number, item in enumerate(items, start=position)]
            position += len(items)

    def _ask(self, method: str, params: Mapping[str, int | str]) -> list[object]:
        """The items of a page; none for HEAD. Sets `total` where the answer tells it."""
        for attempt in range(1, self._retries + 2):
            try:
                return self._once(method, params)
            except _TransientError as failure:
                said, wait = self._clean(str(failure)), failure.wait
            if attempt > self._retries:
                break
            if wait is None:
                # spread, so that many clients of one service that failed do not come back at one moment
                wait = min(LONGEST_BACKOFF, FIRST_WAIT * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
            if wait > LONGEST_WAIT:
                allowed = f"waits of up to {LONGEST_WAIT / 60:.0f} minutes. Wait that long. {RELIEF}"
                raise PolychromicError(f"{self._url}: the API asks to wait {wait / 60:.0f} minutes ({said}). Allowed: {allowed}")
            self._say(f"{said}; try {attempt + 1} of {self._retries + 1} in {wait:.1f} s")
            self._sleep(wait)
        allowed = f"a whole answer. Check the network and the service's status. {RELIEF}"
        raise PolychromicError(f"{self._url}?{urlencode(params)}: {said}, {attempt} times in a row. Allowed: {allowed}")

    def _once(self, method: str, params: Mapping[str, int | str]) -> list[object]:
        try:
            response = self._session.request(method, self._url, params=params, timeout=self._timeout, allow_redirects=False)
        except requests.Timeout:
            raise _TransientError(f"no answer within {self._timeout:g} s") from None
        except requests.exceptions.InvalidURL as error:
            raise UsageError(f"{self._url}: {error}. Allowed: a valid address. Check --base-url.") from None
        except (requests.RequestException, OSError) as error:
            raise _TransientError(_reason(error)) from None
        code = response.status_code
        status = f"{code} {response.reason or ''}".strip()
        if method == "HEAD" and code in (405, 501):
            return []
        if code == 429 or code >= 500:
            raise _TransientError(status, _retry_after(response))
        if code != 200:
            said = self._clean(_said(response))
            state = f"{TOKEN} is set, but the API does not accept it" if self._token else f"{TOKEN} is not set"
            advice = REFUSED.get(code, OTHERWISE).format(state=state)
            raise PolychromicError(f"{self._url}: {status}{f' ({said})' if said else ''}. {advice}")
        items = self._page(response, params["offset"], params["limit"]) if method == "GET" else []
        if (total := _number(response, "Total")) is not None:
            self.total = total
        return items

    def _page(self, response: requests.Response, position: int, limit: int) -> list[object]:
        """A list that is shorter than it says, or empty before the end, is asked for again; what is no page of a dataset is an error."""
        try:
            items = response.json()
        except (ValueError, RecursionError):
            raise _TransientError(f"the answer is not whole JSON ({len(response.content)} bytes)") from None
        where = f"{self._url}?offset={position}&limit={limit}"
        if not isinstance(items, list):
            allowed = "a list of items. Check --base-url and the dataset's id"
            raise PolychromicError(f"{where}: the answer is a JSON {type(items).__name__}. Allowed: {allowed}.")
        came, announced, total, offset = len(items), *(_number(response, name) for name in ("Count", "Total", "Offset"))
        if came < (announced or 0):
            raise _TransientError(f"{came} items of {announced} came")
        if not came and position < (total or 0):
            raise _TransientError(f"no items came from offset {position}, of {total}")
        if came > limit or offset not in (None, position):
            raise PolychromicError(
                f"{where}: {came} items came, from offset {position if offset is None else offset}. Allowed: at most {limit}, "
                f"from offset {position}: else pages overlap. This is not Apify's API, or a cache answers for it. Check --base-url."
            )
        return items

    def _clean(self, text: str) -> str:
        """Without the token, if a server or a library repeats it."""
        return text.replace(self._token, "***") if self._token else text


def _number(response: requests.Response, name: str) -> int | None:
    text = response.headers.get(f"X-Apify-Pagination-{name}", "").strip()
    return int(text) if re.fullmatch("[0-9]{1,15}", text) else None


def _retry_after(response: requests.Response) -> float | None:
    """Seconds that Retry-After asks for, as a number or as a date; None without it or when it is neither."""
    try:
        return urllib3.Retry(retry_after_max=math.inf).parse_retry_after(response.headers.get("Retry-After", ""))
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        return None


def _said(response: requests.Response) -> str:
    """The API's own words: {"error": {"message": ...}}, else the beginning of the body."""
    try:
        text = str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        text = response.content.decode("utf-8", "replace")
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())[:200]


def _reason(error: BaseException) -> str:
    """The innermost cause: libraries wrap "Connection refused" four times, with addresses of objects."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]
