"""Where items come from: the shipped chat corpus, files, and datasets of Apify. A source knows nothing about records.

Items are read in pages: neighbours, each with where it stands ("posts.csv:17", "item 3"). Of Apify they come through GET
/v2/datasets/{id}/items. urllib3 makes the tries: it obeys Retry-After and asks again for what did not come, or not whole. The token
travels in a header, never in an address, and is taken out of every message.
"""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import urllib3
from requests.utils import get_environ_proxies, select_proxy

from polychromic.base.errors import DataError, PolychromicError, UsageError
from polychromic.base.io import read_jsonl, sha256_file
from polychromic.base.parse import split_url

Rows = Iterator[tuple[str, object]]  # (where it stands, the item as it was parsed), in the source's order
Page = list[tuple[str, object]]
LONGEST_CELL = 2**31 - 1  # characters; csv's own limit is 131072
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


@dataclass
class Source:
    """A source whose items are read from the beginning.

    Attributes:
        name: goes into each record.
        identity: what must be the same for a collection to be continued.
        rows: begins to read.
    """

    name: str
    identity: dict[str, Any]
    rows: Callable[[], Rows]

    def size(self) -> int | None:
        """Number of items, asked before the first page: what is wrong with a file is found here. None when the source does not say."""
        return sum(1 for _ in self.rows())

    def pages(self, position: int, stop: int | None, size: int) -> Iterator[Page]:
        """The items from `position` to before `stop`, at most `size` at a time. No page is empty."""
        wanted = islice(self.rows(), position, stop)
        while page := list(islice(wanted, size)):
            yield page


def corpus() -> Source:
    """Neighbouring turns of the chat corpus: what one person wrote and what the other answered, unfiltered.

    The author is who replied; engagement is the conversation's mean rating (1-10).
    """
    from polychromic.data import replies

    def rows() -> Rows:
        conversations = replies.load_conversations()
        for key in sorted(conversations):
            rating = replies.mean_rating(conversations[key])
            for turn, (post, reply) in enumerate(pairwise(replies.turns(conversations[key]))):
                item = {"id": f"{key}:{turn + 1}", "post_id": f"{key}:{turn}", "post": post.text, "reply": reply.text}
                yield f"conversation {key}, turn {turn + 1}", item | {"author": reply.person, "engagement": rating}

    return Source(replies.SOURCE, {"source": replies.SOURCE}, rows)


def of_file(path: Path) -> Source:
    """The rows of a JSONL (also .gz), CSV or Parquet file, by the name's ending; blank lines are not rows.

    Raises UsageError for another ending, PolychromicError where there is no such file; DataError, on reading, for one of another format.
    """
    readers = {".jsonl": read_jsonl, ".jsonl.gz": read_jsonl, ".csv": _csv_rows, ".parquet": _parquet_rows}
    ending = next((ending for ending in readers if path.name.lower().endswith(ending)), None)
    if ending is None:
        raise UsageError(f"{path}: the name ends in {path.suffix!r}. Allowed: {', '.join(readers)}. Convert or rename the file.")
    if not path.is_file():
        raise PolychromicError(f"{path}: no such file. Allowed: a file in {', '.join(readers)}. Check the path.")
    name = f"file:{path.name}"
    # The path belongs to this machine; the file's name stands for it.
    return Source(name, {"source": name, "sha256": sha256_file(path)}, lambda: ((Path(at).name, row) for at, row in readers[ending](path)))


def _csv_rows(path: Path) -> Rows:
    csv.field_size_limit(LONGEST_CELL)
    last = 0  # line_num is that of a row's last line
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, [])
            if len(set(header)) < max(len(header), 1):
                raise csv.Error(f"the first line names {header or 'no columns'}, where each column is named once")
            last = reader.line_num
            for row in reader:
                if len(row) > len(header):
                    raise csv.Error(f"{len(row)} cells of {len(header)} columns")
                place, last = last + 1, reader.line_num
                if row:
                    yield f"{path}:{place}", dict(zip(header, row))
        except (csv.Error, UnicodeDecodeError) as error:
            allowed = "comma-separated values in UTF-8 with a header"
            raise DataError(f"{path}:{last + 1}", f"not CSV ({error})", allowed, "Save it again as such, or as JSONL.") from None


def _parquet_rows(path: Path) -> Rows:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            rows = (row for batch in file.iter_batches(batch_size=1024) for row in batch.to_pylist())
            for number, row in enumerate(rows, start=1):
                yield f"{path}: row {number}", row
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        said = str(error).splitlines()[0][:200]
        raise DataError(str(path), f"not a whole Parquet file ({said})", "a Parquet file", "Copy or write it again.") from None


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
        parts = split_url(base, "--base-url")
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
        """Raises PolychromicError: the last retry failed, a status that no retry changes, or an answer that is no page of the dataset.

        A page may hold fewer items than asked for, but none before the end.
        """
        while stop is None or position < stop:
            limit = size if stop is None else min(size, stop - position)
            where, response = f"?offset={position}&limit={limit}", self._ask("GET", {"offset": str(position), "limit": str(limit)})
            offset, total = _number(response, "Offset"), _number(response, "Total")
            if (status := response.status) != 200:
                said = " ".join(response.data.decode("utf-8", "replace").split())[:200]
                raise self._error(where, f"{status} {response.reason} {said}", REFUSED.get(status, OTHERWISE))
            try:
                items = response.json()
            except (ValueError, RecursionError):
                raise self._error(where, f"not whole JSON ({len(response.data)} bytes)", OTHERWISE) from None
            if not isinstance(items, list):
                raise self._error(where, f"a JSON {type(items).__name__}", OTHERWISE)
            if len(items) > limit or offset not in (None, position) or not items and position < (total or 0):
                raise self._error(where, f"{len(items)} items of {total}, from offset {offset}", OTHERWISE)
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

    def _error(self, where: str, found: str, advice: str) -> PolychromicError:
        """Without the token, if a server or a library repeats it, and what a terminal would obey."""
        found = "".join(letter for letter in found if letter.isprintable())
        said = found.replace(self._token, "***") if self._token else f"{found} ({TOKEN} is not set)"
        return PolychromicError(f"{self._url}{where}: {said.strip()}. {advice}. {RELIEF}")


def _number(response: urllib3.BaseHTTPResponse, name: str) -> int | None:
    text = response.headers.get(f"X-Apify-Pagination-{name}", "").strip()
    return int(text) if re.fullmatch("[0-9]{1,15}", text) else None
