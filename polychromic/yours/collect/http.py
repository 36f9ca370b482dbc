"""One answer of a JSON API, whatever the network does: throttling is obeyed, failures are retried, all else is one clear error.

The token travels in a header, never in an address, and is taken out of every message.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from polychromic.base.errors import PolychromicError, UsageError

TOKEN = "APIFY_TOKEN"
FIRST_WAIT, LONGEST_BACKOFF = 0.5, 60.0  # seconds; a wait doubles from the first to the longest
LONGEST_WAIT = 900.0  # seconds; a server that asks for more is left alone
LARGEST_BODY = 1 << 29  # bytes of one answer, unpacked
RELIEF = "What is stored is safe; run the same command again to go on."


@dataclass(frozen=True)
class Answer:
    """Headers and parsed body; `value` is None for HEAD."""

    headers: Mapping[str, str]
    value: Any

    def number(self, header: str) -> int | None:
        text = self.headers.get(header, "").strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


class _TransientError(Exception):
    """Worth another try. wait: seconds that the server asks for, None when it asks for none."""

    def __init__(self, what: str, wait: float | None = None):
        super().__init__(what)
        self.wait = wait


class _Bearer(requests.auth.AuthBase):
    """Without an auth object requests would put a password of ~/.netrc in the token's place."""

    def __init__(self, token: str | None):
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def read_token() -> str | None:
    """$APIFY_TOKEN; None when it is not set. Raises UsageError, without the value, if it cannot be a token."""
    token = os.environ.get(TOKEN, "").strip()
    if not all(33 <= ord(letter) < 127 for letter in token):
        raise UsageError(
            f"{TOKEN} holds blanks or letters that no token has. Allowed: the token alone. Set it again, without quotes in it."
        )
    return token or None


def check_base(url: str, token: str | None) -> str:
    """The API's root without a slash or /v2 at its end.

    Raises:
        UsageError: no http(s) address, one that carries a password or a query, or one that would send the token unencrypted.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password or parts.query or parts.fragment:
        shown = f"{parts.scheme}://{parts.hostname}" if parts.hostname else repr(url)
        raise UsageError(
            f"--base-url {shown} is no root of an API. Allowed: https://HOST[:PORT][/PATH] without password, query or fragment; "
            f"the token stands in {TOKEN}."
        )
    if token and parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise UsageError(
            f"--base-url {url} would send {TOKEN} unencrypted. Allowed: https, or http on this machine. Use https, or a tunnel."
        )
    return url.rstrip("/").removesuffix("/v2")


class Client:
    """Asks one question at a time.

    Args:
        token: sent as a bearer token when it is not None.
        timeout: seconds that connecting, any silence, and the whole answer may each take.
        retries: tries after the first, per question.
        say: is told why it waits.
        sleep: waits that many seconds; tests give another.
    """

    def __init__(
        self, token: str | None, timeout: float, retries: int, say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
    ):
        self._token, self._timeout, self._retries, self._say, self._sleep = token, timeout, retries, say, sleep
        self._session = requests.Session()
        self._session.auth = _Bearer(token)
        self._session.headers.update({"Accept": "application/json", "User-Agent": "polychromic-collect"})

    def ask(
        self, method: str, url: str, params: Mapping[str, int | str], check: Callable[[Answer], str | None] = lambda answer: None
    ) -> Answer:
        """The answer to GET or HEAD.

        Args:
            check: what is wrong with an answer, None if nothing; a wrong one counts as a failure and is asked for again.

        Raises:
            PolychromicError: a 4xx other than 429 or a redirect (at once), or the last retry failed.
        """
        for attempt in range(self._retries + 1):
            try:
                answer = self._once(method, url, params)
                if problem := check(answer):
                    raise _TransientError(problem)
                return answer
            except _TransientError as failure:
                if attempt == self._retries:
                    raise PolychromicError(
                        f"{url}{_shown(params)}: {self._clean(str(failure))}, {attempt + 1} times in a row. Allowed: a whole answer. "
                        f"Check the network and the service's status. {RELIEF}"
                    ) from None
                wait = self._wait(url, attempt, failure)
                self._say(f"{self._clean(str(failure))}; try {attempt + 2} of {self._retries + 1} in {wait:.1f} s")
                self._sleep(wait)
        raise AssertionError("unreachable")

    def _wait(self, url: str, attempt: int, failure: _TransientError) -> float:
        if failure.wait is None:
            # spread, so that many clients of one service that failed do not come back at one moment
            return min(LONGEST_BACKOFF, FIRST_WAIT * 2 ** min(attempt, 20)) * random.uniform(0.5, 1.0)
        if failure.wait > LONGEST_WAIT:
            raise PolychromicError(
                f"{url}: the API asks to wait {failure.wait / 60:.0f} minutes ({self._clean(str(failure))}). Allowed: waits of up to "
                f"{LONGEST_WAIT / 60:.0f} minutes. Wait that long. {RELIEF}"
            )
        return failure.wait

    def _once(self, method: str, url: str, params: Mapping[str, int | str]) -> Answer:
        deadline = time.monotonic() + self._timeout
        try:
            with self._session.request(
                method, url, params=params, timeout=(self._timeout, self._timeout), stream=True, allow_redirects=False
            ) as response:
                body = self._body(response, deadline)
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            raise _TransientError(f"no answer within {self._timeout:g} s") from None
        except requests.exceptions.InvalidURL as error:
            raise UsageError(f"{url}: {error}. Allowed: a valid address. Check --base-url.") from None
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError, urllib3.exceptions.HTTPError, OSError) as error:
            raise _TransientError(_reason(error)) from None
        status = f"{response.status_code} {response.reason or ''}".strip()
        if response.status_code == 429:
            raise _TransientError(status, _retry_after(response.headers))
        if response.status_code >= 500 and not (method == "HEAD" and response.status_code == 501):
            raise _TransientError(status, _retry_after(response.headers))
        if response.status_code != 200 and not (method == "HEAD" and response.status_code in (405, 501)):
            self._refuse(url, response.status_code, status, body)
        if method == "HEAD":
            return Answer(response.headers if response.status_code == 200 else {}, None)
        try:
            return Answer(response.headers, json.loads(body.decode("utf-8")))
        except (ValueError, RecursionError):
            raise _TransientError(f"the answer is not whole JSON ({len(body)} bytes)") from None

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        """The whole body; read1 gives what has arrived, so that a server that trickles is noticed."""
        parts, size = [], 0
        while part := response.raw.read1(1 << 16, decode_content=True):
            parts.append(part)
            size += len(part)
            if time.monotonic() > deadline:
                raise _TransientError(f"no whole answer within {self._timeout:g} s ({size} bytes came)")
            if size > LARGEST_BODY:
                raise PolychromicError(
                    f"an answer of more than {LARGEST_BODY >> 20} MB. Allowed: less. Choose a smaller --page-size. {RELIEF}"
                )
        return b"".join(parts)

    def _refuse(self, url: str, code: int, status: str, body: bytes) -> None:
        """Raises what a status means that no retry changes."""
        said = self._clean(_said(body))
        got = f"{url}: {status}{f' ({said})' if said else ''}"
        if code == 401:
            state = f"{TOKEN} is set, but the API does not accept it" if self._token else f"{TOKEN} is not set"
            raise PolychromicError(f"{got}. {state}. Allowed: a token of the account that owns the dataset. Set {TOKEN}. {RELIEF}")
        if code == 403:
            raise PolychromicError(f"{got}. Allowed: a token that may read this dataset. Set {TOKEN} to one. {RELIEF}")
        if code == 404:
            raise PolychromicError(
                f"{got}. The dataset does not exist, or not for this token. Allowed: its id, or USER~NAME. Check it, and --base-url."
            )
        raise PolychromicError(f"{got}. Allowed: 200, or 429 and 5xx, which are retried. Check the dataset's id, and --base-url. {RELIEF}")

    def _clean(self, text: str) -> str:
        """Without the token, if a server or a library repeats it."""
        return text.replace(self._token, "***") if self._token else text


def _shown(params: Mapping[str, int | str]) -> str:
    return "?" + "&".join(f"{key}={value}" for key, value in params.items()) if params else ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that Retry-After asks for, as a number or as a date; None without it or when it is neither."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp())


def _said(body: bytes) -> str:
    """The API's own words: {"error": {"message": ...}}, else the beginning of the body."""
    text = body.decode("utf-8", "replace")
    try:
        text = str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())[:200]


def _reason(error: BaseException) -> str:
    """The innermost cause in a few words: libraries wrap "Connection refused" four times, with addresses of objects."""
    words = " ".join(str(error).split())
    for known in ("Connection refused", "Name or service not known", "Temporary failure in name resolution", "certificate verify failed",
                  "IncompleteRead", "Connection reset", "Remote end closed connection"):  # fmt: skip
        if known.lower() in words.lower():
            return {"IncompleteRead": "the answer was cut off"}.get(known, known.lower())
    return f"connection failed ({type(error).__name__})"
