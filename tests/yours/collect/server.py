"""A dataset on 127.0.0.1 that paginates as Apify's API does and misbehaves when told to. Not one byte leaves this machine."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

MOST_REQUESTS = 3000  # a client that runs wild ends with 410


class Seen(NamedTuple):
    method: str
    path: str
    offset: int
    limit: int
    token: str | None
    whole: bool  # answered with the whole page


class DatasetServer(ThreadingHTTPServer):
    """Serves `items`, from its making on.

    Attributes:
        faults: offset -> what to do with the next requests for it, one after the other, instead of answering. A number is a status,
            "429 7" a status with Retry-After, else see Handler.do_GET. "HEAD" in place of an offset is for that question.
        token: what the client must send, None for anything.
        headers: names of pagination headers that are sent.
        seen: all requests.
    """

    daemon_threads = True

    def __init__(self, items: list):
        super().__init__(("127.0.0.1", 0), Handler)
        self.items, self.token, self.headers = items, None, {"Total", "Offset"}
        self.faults: dict[object, list[object]] = defaultdict(list)
        self.seen: list[Seen] = []
        self.lock, self.closing = threading.Lock(), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()

    def offsets(self) -> list[int]:
        return [seen.offset for seen in self.seen if seen.method == "GET"]

    def handle_error(self, request, client_address):
        """A client that is killed breaks its connection; that is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: DatasetServer
    timeout = 60

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", len(self.server.items) or 1))
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ") or None
        with self.server.lock:
            faults = self.server.faults["HEAD" if self.command == "HEAD" else offset]
            fault = faults.pop(0) if faults else None
            self.server.seen.append(Seen(self.command, parts.path, offset, limit, token, fault is None))
            if len(self.server.seen) > MOST_REQUESTS:
                fault = 410
        page = self.server.items[offset : offset + limit]
        body, quiet = json.dumps(page).encode(), {"Connection": "close"}
        if self.server.token is not None and token != self.server.token:
            fault, said = 401, "Authentication token is not valid" + (f": {token}" if token else "")
        else:
            said = "told to fail"
        match fault:
            case None:
                self.page(page, offset)
            case "cut":  # fewer bytes than announced
                self.answer(200, body[: len(body) // 2], {"Content-Length": str(len(body))} | quiet)
            case "cut quietly":  # nothing announced, half of the JSON
                self.answer(200, body[: len(body) // 2], quiet)
            case "cut in a chunk":
                self.answer(200, b"1000\r\n" + body[:10], {"Transfer-Encoding": "chunked"} | quiet)
            case "fewer":  # good JSON, but not all of the page
                self.page(page[:-1], offset)
            case "empty":
                self.page([], offset)
            case "all":  # a server that does not know limit
                self.page(self.server.items, 0)
            case "elsewhere":  # a server that does not know offset
                self.page(self.server.items[:limit], 0)
            case "drop" | "hang":
                self.server.closing.wait(60 if fault == "hang" else 0)
                self.close_connection = True
            case "object":
                self.answer(200, b'{"items": []}', quiet)
            case "moved":
                self.answer(302, b"", {"Location": "http://127.0.0.1:9/"} | quiet)
            case _:  # a status, and what to wait
                status, _, wait = str(fault).partition(" ")
                answer = json.dumps({"error": {"type": "x", "message": said}}).encode()
                self.answer(int(status), answer, {"Content-Length": str(len(answer))} | ({"Retry-After": wait} if wait else {}))

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def page(self, page: list, offset: int) -> None:
        body, known = json.dumps(page).encode(), {"Total": len(self.server.items), "Offset": offset}
        headers = {f"X-Apify-Pagination-{name}": str(value) for name, value in known.items() if name in self.server.headers}
        self.answer(200, body, {"Content-Length": str(len(body))} | headers)
