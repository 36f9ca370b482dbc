"""A dataset on 127.0.0.1 that paginates as Apify's API does and misbehaves when told to. Not one byte leaves this machine."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

MOST_REQUESTS = 3000  # a client that runs wild ends with 410


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    offset: int
    limit: int
    token: str | None
    whole: bool  # answered with the whole page


class DatasetServer(ThreadingHTTPServer):
    """Serves `items` under any id but "absent".

    Attributes:
        faults: offset -> what to do with the next requests for it, one after the other, instead of answering. A number is a status,
            "429 7" a status with Retry-After, else see Handler.fault. "HEAD" in place of an offset is for that question.
        token: what the client must send, None for anything.
        headers: names of pagination headers that are sent.
        head: whether HEAD is answered.
        seen: all requests.
    """

    daemon_threads = True

    def __init__(self, items: list):
        super().__init__(("127.0.0.1", 0), Handler)
        self.items, self.token, self.head = items, None, True
        self.headers = {"Total", "Count", "Offset", "Limit"}
        self.faults: dict[object, list[object]] = defaultdict(list)
        self.seen: list[Seen] = []
        self.pause = 0.0
        self.lock = threading.Lock()
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

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
        if not self.server.head:
            self.send_error(501)
            return
        self.answer("HEAD")

    def do_GET(self):
        self.answer("GET")

    def answer(self, method: str) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", len(self.server.items) or 1))
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ") or None
        with self.server.lock:
            faults = self.server.faults["HEAD" if method == "HEAD" else offset]
            fault = faults.pop(0) if faults else None
            self.server.seen.append(Seen(method, parts.path, offset, limit, token, fault is None))
            if len(self.server.seen) > MOST_REQUESTS:
                fault = 410
        time.sleep(self.server.pause)
        page = self.server.items[offset : offset + limit]
        if self.server.token is not None and token != self.server.token:
            self.error(401, "Authentication token is not valid" + (f": {token}" if token else ""))
        elif parts.path.split("/")[-2] == "absent":
            self.error(404, "Dataset was not found")
        elif fault is None:
            self.send(200, page, offset, limit)
        else:
            self.fault(fault, page, offset, limit)

    def error(self, status: int, message: str, **headers: str) -> None:
        body = json.dumps({"error": {"type": "x", "message": message}}).encode()
        self.raw(status, body, {"Content-Length": str(len(body))} | {name.replace("_", "-"): value for name, value in headers.items()})

    def send(self, status: int, page: list, offset: int, limit: int, count: int | None = None) -> None:
        known = {"Total": len(self.server.items), "Count": len(page) if count is None else count, "Offset": offset, "Limit": limit}
        body = json.dumps(page).encode()
        headers = {f"X-Apify-Pagination-{name}": str(value) for name, value in known.items() if name in self.server.headers}
        self.raw(status, body, {"Content-Length": str(len(body))} | headers)

    def raw(self, status: int, body: bytes, headers: dict[str, str], close: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if close:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = self.close_connection or close

    def fault(self, fault: object, page: list, offset: int, limit: int) -> None:
        body = json.dumps(page).encode()
        if isinstance(fault, int):
            self.error(fault, "told to fail")
        elif isinstance(fault, str) and fault[:3].isdigit():
            self.error(int(fault[:3]), "told to wait", Retry_After=fault[4:])
        elif fault == "cut":  # fewer bytes than announced
            self.raw(200, body[: len(body) // 2], {"Content-Length": str(len(body))}, close=True)
        elif fault == "cut quietly":  # nothing announced, half of the JSON
            self.raw(200, body[: len(body) // 2], {}, close=True)
        elif fault == "cut in a chunk":
            self.raw(200, b"1000\r\n" + body[:10], {"Transfer-Encoding": "chunked"}, close=True)
        elif fault == "fewer":  # good JSON, but not all of the page
            self.send(200, page[:-1], offset, limit, count=len(page))
        elif fault == "empty":
            self.send(200, [], offset, limit)
        elif fault == "drop":
            self.close_connection = True
        elif fault == "hang":
            self.server.closing.wait(60)
            self.close_connection = True
        elif fault == "trickle":
            self.raw(200, b"", {"Content-Length": str(len(body))}, close=True)
            for place in range(len(body)):
                if self.server.closing.wait(0.05):
                    return
                self.wfile.write(body[place : place + 1])
                self.wfile.flush()
        elif fault == "html":
            self.raw(200, b"<html>Please log in</html>", {"Content-Length": "26"})
        elif fault == "object":
            self.raw(200, b'{"items": []}', {"Content-Length": "13"})
        elif fault == "moved":
            self.raw(302, b"", {"Location": "http://127.0.0.1:9/", "Content-Length": "0"})
        elif fault == "all":  # a server that does not know limit
            self.server.headers = set()
            self.send(200, self.server.items, 0, limit)
        elif fault == "elsewhere":  # a server that does not know offset
            self.send(200, self.server.items[:limit], 0, limit)
        else:
            raise AssertionError(f"unknown fault {fault!r}")
