"""A server on 127.0.0.1 that repeats the token, its pages or itself without end: one message, nothing of the token, nothing left behind."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from polychromic.base.errors import UsageError
from polychromic.yours.collect import apify
from polychromic.yours.collect.apify import Apify
from tests.yours.collect.conftest import log, pairs

TOKEN = 'apify_api_s3cret%/"x&y<z'  # spelled otherwise in an address and in JSON


class Hostile(BaseHTTPRequestHandler):
    """Answers as `server.answer` says: (itself, offset, limit) -> None, which writes with `send` or raw bytes to `wfile`."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        query = {key: int(values[0]) for key, values in parse_qs(urlsplit(self.path).query).items() if key != "format"}
        self.server.asked.append((self.command, query.get("offset")))
        self.close_connection = len(self.server.asked) > 2000  # of a client that runs wild
        self.server.answer(self, query.get("offset", 0), query.get("limit", 0))

    def do_HEAD(self) -> None:
        self.do_GET()

    def send(self, body: object = (), status: int = 200, reason: str = "OK", **headers: object) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = {"Content-Length": len(data)} | {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        self.wfile.write("\r\n".join(lines).encode("latin-1") + (b"" if self.command == "HEAD" else data))


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address) -> None:  # noqa: ANN001
        """The client may hang up on us."""


Answer = Callable[[Hostile, int, int], None]


@pytest.fixture
def hostile(folder, monkeypatch) -> Iterator[Callable[[Answer], Server]]:
    """Start a server that answers so; its `arguments` are those of `collect`. The token is set."""
    monkeypatch.setenv("APIFY_TOKEN", TOKEN)
    servers = []

    def start(answer: Answer) -> Server:
        server = Server(("127.0.0.1", 0), Hostile)
        server.answer, server.asked = answer, []
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        server.arguments = ["apify", "DATA", "--out", "out", "--base-url", server.url, "--page-size", 5, "--retries", 2]
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


PADDING = "x" * (200 - len("418 OK ") - 10)  # the token stands across the place where a message is cut
ECHOES: dict[str, Answer] = {
    "in the reason phrase": lambda to, *_: to.send(status=418, reason=f"no, {TOKEN}!"),
    "in the body": lambda to, *_: to.send(TOKEN.encode(), status=418),
    "in JSON": lambda to, *_: to.send({"error": TOKEN}, status=418),
    "in an address": lambda to, *_: to.send(f"https://host?token={quote(TOKEN, safe='')}".encode(), status=418),
    "in capitals": lambda to, *_: to.send(TOKEN.upper().encode(), status=418),
    "with a byte that no terminal shows": lambda to, *_: to.send(TOKEN.replace("_", "_\x00\x1b\u200b").encode(), status=418),
    "where the message is cut": lambda to, *_: to.send((PADDING + TOKEN).encode(), status=418),
    "in the reason of what is tried again": lambda to, *_: to.send(status=503, reason=f"Busy {TOKEN}"),
    "in a line that is no status": lambda to, *_: to.wfile.write(f"{TOKEN}\r\n\r\n".encode()),
    "in a header that cannot be read": lambda to, *_: to.send(status=503, Retry_After=TOKEN),
    "in what the answer is packed by": lambda to, *_: to.send(Content_Encoding=TOKEN),
    "in what is no JSON": lambda to, *_: to.send(f"[{TOKEN}".encode()),
}


@pytest.mark.parametrize("how", ECHOES)
def test_a_server_that_repeats_the_token_in_an_answer_gets_it_into_no_message(how, hostile, collect):
    code, out, err = collect(*hostile(ECHOES[how]).arguments)
    assert (code, out) == (1, "") and "/v2/datasets/DATA/items" in err and err.count("What is stored is safe") == 1
    assert not any(part in err.lower() for part in ("s3cret", "apify_ap", "\x1b", "\u200b")) and not Path("out").exists()


def test_an_item_that_repeats_the_token_is_withheld_and_counted(hostile, collect, folder):
    """In a value, in a name, in depth, in another spelling; the others are stored."""
    items: list[object] = pairs(20)
    items[2] |= {"reply": f"your token is {TOKEN}."}
    items[7] |= {"deep": [{"er": {TOKEN: 1}}]}
    items[12] |= {"url": f"https://host?token={quote(TOKEN, safe='')}"}
    items[17] |= {"author": TOKEN.upper()}
    server = hostile(lambda to, offset, limit: to.send(items[offset : offset + limit]))
    code, out, err = collect(*server.arguments, "--keep-authors")
    assert code == 0, err
    assert [row["engagement"] for row in log("out")] == [i for i in range(20) if i % 5 != 2]
    rejected = json.loads(Path("out/summary.json").read_text())["rejected"]
    assert rejected == {"the API token stands in it": {"count": 4, "first": ["item 2", "item 7", "item 12"]}}
    written = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
    assert "s3cret" not in (written + out + err).lower()


def test_where_every_item_repeats_the_token_nothing_is_written(hostile, collect):
    items = [{TOKEN: i, "post": "P", "reply": "R"} for i in range(8)]
    server = hostile(lambda to, offset, limit: to.send(items[offset : offset + limit]))
    code, _, err = collect(*server.arguments)
    assert code == 1 and "none of 8 items gives a record: the API token stands in it (8, item 0)" in err
    assert "s3cret" not in err and not Path("out").exists()


def page(offset: int, limit: int, known: bool = True, total: object = 10**15, start: int | None = None) -> dict:
    """Arguments of Hostile.send for a page of pairs, with the headers of pagination where `known`."""
    headers = {"X_Apify_Pagination_Offset": offset, "X_Apify_Pagination_Total": total} if known else {}
    return {"body": pairs(limit, offset if start is None else start), **headers}


SAME, CLAIM = "5 items that all came before. Allowed: other items at each offset", f"claims or holds {10**15} items. Allowed: "
ENDLESS: dict[str, tuple[Answer, str, int]] = {  # what it does, what is said, requests with GET
    "ignores offset": (lambda to, at, limit: to.send(**page(at, limit, known=False, start=0)), SAME, 2),
    "ignores offset and says so": (lambda to, at, limit: to.send(**page(0, limit, total=20)), "from offset 0. Allowed: a whole page", 2),
    "repeats pages in turn": (lambda to, at, limit: to.send(**page(at, limit, known=False, start=at % 15)), SAME, 4),
    "repeats a page beyond its total": (lambda to, at, limit: to.send(**page(at, limit, total=20, start=at % 15)), SAME, 5),
    "gives no record without end": (lambda to, at, limit: to.send([{"post": 1, "reply": None}] * limit), SAME, 2),
    "claims 10^15 items": (lambda to, at, limit: to.send(**page(at, limit)), CLAIM, 0),
    "claims 10^15 items and has three": (lambda to, at, limit: to.send(**page(at, min(limit, max(0, 3 - at)))), CLAIM, 0),
    "claims them with its first page": (lambda to, at, limit: to.send(**page(at, limit, known=to.command == "GET")), CLAIM, 1),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_a_server_without_end_ends_with_a_message(what, hostile, collect):
    answer, said, gets = ENDLESS[what]
    server = hostile(answer)
    code, out, err = collect(*server.arguments)
    assert (code, out) == (1, "") and said in err and len([method for method, _ in server.asked if method == "GET"]) == gets
    assert Path("out").exists() == (gets > 0 and "no record" not in what)  # what came before is stored


def test_unique_items_without_end_are_bounded_and_a_limit_of_the_user_is_obeyed(hostile, collect, monkeypatch):
    monkeypatch.setattr(apify, "MOST_ITEMS", 40)
    server = hostile(lambda to, offset, limit: to.send(**page(offset, limit, known=False)))
    code, _, err = collect(*server.arguments)
    assert code == 1 and "claims or holds 41 items. Allowed: 40 without a limit. Set one that you want: --max-items N" in err
    assert len(log("out")) == 40
    assert collect(*server.arguments, "--max-items", 52)[0] == 0 and len(log("out")) == 52
    server.answer = lambda to, offset, limit: to.send(**page(offset, limit))
    assert collect(*server.arguments, "--max-items", 58)[0] == 0 and len(log("out")) == 58


def test_items_that_the_total_announces_may_be_the_same_ones(hostile, collect):
    """A run that was appended twice: doubles are counted and not stored, and a server that honours offsets is believed up to its total."""
    server = hostile(lambda to, offset, limit: to.send(**page(offset, max(0, min(limit, 20 - offset)), total=20, start=offset % 10)))
    code, _, err = collect(*server.arguments)
    assert code == 0, err
    assert len(log("out")) == 10 and json.loads(Path("out/summary.json").read_text())["rejected"]["duplicate id"]["count"] == 10


def slowly(to: Hostile, *_: int) -> None:
    to.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(200 if to.command == "GET" else 0):
        to.wfile.write(b" ")
        time.sleep(0.05)


def endlessly(to: Hostile, *_: int) -> None:
    to.wfile.write(b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in itertools.repeat(0) if to.command == "GET" else ():
        to.wfile.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


@pytest.mark.parametrize(("answer", "said"), [
    (slowly, "not whole after 0.5 s"), (endlessly, "over 2 MiB"),
    (lambda to, *_: to.send(b" " * (3 << 20)), "over 2 MiB"),
    (lambda to, *_: to.send(Content_Encoding="gzip"), "an answer that is packed (gzip)"),
    (lambda to, *_: to.send(b"[" * 3000 + b"]" * 3000), "not whole JSON"),
    (lambda to, *_: to.send(b"[" + b"9" * 5000 + b"]"), "not whole JSON"),
    (lambda to, *_: to.send(b"\xff\xfe"), "not whole JSON"),
])  # fmt: skip
def test_an_answer_is_bounded_in_bytes_time_and_depth(answer, said, hostile, collect, monkeypatch):
    monkeypatch.setattr(apify, "LONGEST_ANSWER", 0.5)
    monkeypatch.setattr(apify, "LARGEST_ANSWER", 2 << 20)
    started = time.monotonic()
    code, out, err = collect(*hostile(answer).arguments)
    assert (code, out) == (1, "") and said in err and time.monotonic() - started < 5 and not Path("out").exists()


@pytest.mark.parametrize(("asked", "waits"), [
    ("soon", [0.5, 1]), ("9" * 5000, [0.5, 1]), ("-7", [0.5, 1]), ("Thu, 32 Foo 2026 25:61:61 GMT", [0.5, 1]), ("0", [0.5, 1]),
    ("9" * 18, [900, 900]), ("Fri, 31 Dec 9999 23:59:59 GMT", [900, 900]), ("3", [3, 3]),
])  # fmt: skip
def test_retry_after_is_honoured_within_a_bound_and_what_cannot_be_read_is_none(asked, waits, hostile, monkeypatch, capfd):
    monkeypatch.setattr(apify, "BACKOFF", 0.5)
    monkeypatch.setattr("random.random", lambda: 0.0)
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    server = hostile(lambda to, *_: to.send(status=429, Retry_After=asked))
    assert Apify(server.url, "DATA", TOKEN, 3).size() is None
    assert [wait for wait in slept if wait > 0.1] == ([*waits, waits[-1] * 2] if waits == [0.5, 1] else [*waits, waits[-1]])[-len(slept) :]
    assert capfd.readouterr().err.count(" more tries, the next in ") == 3 and len(server.asked) == 4


def test_records_wait_for_the_first_one_and_a_stop_before_it_leaves_no_folder(hostile, collect):
    """Two pages of rubbish, then a fault: nothing is written, and the next call reads them again and goes on."""
    items = [*({"post": "P", "reply": "", "n": i} for i in range(10)), *pairs(5)]
    faults = [503] * 3

    def answer(to: Hostile, offset: int, limit: int) -> None:
        fault = offset == 10 and to.command == "GET" and faults and faults.pop()
        to.send(status=503, reason="Busy") if fault else to.send(items[offset : offset + limit])

    server = hostile(answer)
    code, _, err = collect(*server.arguments)
    assert code == 1 and "?offset=10&limit=5: 503 Busy" in err and not Path("out").exists()
    assert collect(*server.arguments)[0] == 0 and len(log("out")) == 5
    summary = json.loads(Path("out/summary.json").read_text())
    assert (summary["items"], summary["accepted"], summary["rejected"]["empty reply"]["count"]) == (15, 5, 10)


def test_without_a_token_nothing_is_asked_of_another_machine_and_of_this_one_each_wait_says_it(hostile, collect, monkeypatch):
    monkeypatch.delenv("APIFY_TOKEN")
    started = time.monotonic()
    code, out, err = collect("apify", "DATA", "--out", "out")
    assert (code, out) == (2, "") and err.count("APIFY_TOKEN is not set. Allowed: ") == 1 and "nothing was asked" in err
    assert time.monotonic() - started < 5 and not Path("out").exists()
    code, _, err = collect(*hostile(lambda to, *_: to.send(status=503, reason="Busy")).arguments)
    assert code == 1 and "503 Busy [] (APIFY_TOKEN is not set)" in err
    assert err.count("503 Busy (APIFY_TOKEN is not set); ") == 4


@pytest.mark.parametrize(("base", "dataset"), [(f"https://host/{TOKEN}", "DATA"), ("https://host", "a-token-12")])
def test_a_token_in_an_address_or_too_short_to_be_one_is_refused(base, dataset, monkeypatch):
    token = TOKEN if "host/" in base else "a-token-12"
    with pytest.raises(UsageError, match="holds the token. Allowed: the token in APIFY_TOKEN alone") as caught:
        Apify(base, dataset, token, 0)
    assert token not in str(caught.value)
    monkeypatch.setenv("APIFY_TOKEN", "short")
    with pytest.raises(UsageError, match="APIFY_TOKEN has 5 characters. Allowed: a whole token, 8 or more"):
        apify.read_token()
