"""A service on this machine that answers as Anthropic's does, so that the real SDK is what is tested; and replies to ask it about."""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from polychromic.base.io import write_jsonl

KEY = "sk-ant-loopback-0123456789"
Mind = Callable[[list[str], list[str]], str]  # the first side's replies and the second's -> verdict


def sides(user: str) -> tuple[list[str], list[str]]:
    """The replies of both sides as a judge reads them."""
    parts = [re.search(rf"<{name}>\n(.*?)</{name}>", user, re.DOTALL)[1] for name in ("first", "second")]
    first, second = (re.findall(r"<reply>\n(.*?)\n</reply>", part, re.DOTALL) for part in parts)
    return first, second


def oracle(first: list[str], second: list[str]) -> str:
    """Prefers what holds more "good", wherever it stands."""
    x, y = (" ".join(texts).count("good") for texts in (first, second))
    return "tie" if x == y else "first" if x > y else "second"


def always_first(first: list[str], second: list[str]) -> str:
    return "first"


def longer(first: list[str], second: list[str]) -> str:
    x, y = (sum(map(len, texts)) for texts in (first, second))
    return "tie" if x == y else "first" if x > y else "second"


def message(body: dict, verdict: str | None = None, text: str | None = None, stop: str = "end_turn") -> dict[str, Any]:
    text = json.dumps({"rationale": "Because.", "verdict": verdict}) if text is None else text
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "stop_reason": stop, "stop_sequence": None,
        "content": [{"type": "text", "text": text}], "usage": {"input_tokens": 1000, "output_tokens": 100},
    }  # fmt: skip


class Service:
    """What the server knows and was asked.

    Attributes:
        mind: who judges. statuses: codes with which the next direct calls are refused, in order. odd: replies of the next calls, in order,
        as `message` gives them; of a batch also "expired", "canceled" and "errored". asked: bodies of all answered calls. slow: looks at a
        batch before it has ended.
    """

    def __init__(self, mind: Mind = oracle):
        self.mind, self.statuses, self.odd, self.slow = mind, [], [], 0
        self.asked: list[dict] = []
        self.batches: dict[str, dict] = {}
        self.headers: list[dict] = []
        self.paths: list[str] = []
        self.refused = 0
        self.hold = threading.Event()
        self.hold.set()

    def answer(self, body: dict) -> Any:
        self.asked.append(body)
        if self.odd:
            return self.odd.pop(0)(body)
        return message(body, self.mind(*sides(body["messages"][0]["content"])))

    def post(self, path: str, body: dict) -> tuple[int, Any]:
        if self.statuses:
            self.refused += 1
            return self.statuses.pop(0), {"type": "error", "error": {"type": "overloaded_error", "message": f"busy, {KEY}"}}
        if path.endswith("/batches"):
            name = f"msgbatch_{len(self.batches) + 1}"
            results = []
            for one in body["requests"]:
                found = self.answer(one["params"])
                error = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}, "request_id": None}
                result = {"type": "succeeded", "message": found} if isinstance(found, dict) else {"type": found}
                results.append({"custom_id": one["custom_id"], "result": result | ({"error": error} if found == "errored" else {})})
            random.Random(0).shuffle(results)
            self.batches[name] = {"results": results, "looks": self.slow, "created": datetime.now(UTC)}
            return 200, self.state(name)
        if path.endswith("/chat/completions"):
            self.asked.append(body)
            if self.odd:
                return 200, self.odd.pop(0)(body)
            text = json.dumps({"rationale": "Because.", "verdict": self.mind(*sides(body["messages"][1]["content"]))})
            choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            return 200, {"model": "local", "choices": [choice], "usage": {"prompt_tokens": 900, "completion_tokens": 90}}
        return 200, self.answer(body)

    def state(self, name: str) -> dict[str, Any]:
        batch = self.batches[name]
        batch["looks"], ended = batch["looks"] - 1, batch["looks"] <= 0
        n = len(batch["results"])
        counts = {"processing": 0 if ended else n, "succeeded": n if ended else 0, "errored": 0, "canceled": 0, "expired": 0}
        created = batch["created"]
        return {
            "id": name, "type": "message_batch", "processing_status": "ended" if ended else "in_progress", "request_counts": counts,
            "created_at": created.isoformat(), "expires_at": (created + timedelta(days=1)).isoformat(), "ended_at": None,
            "results_url": f"{self.url}/v1/messages/batches/{name}/results" if ended else None,
        }  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(content)

    @property
    def service(self) -> Service:
        return self.server.service

    def _allowed(self) -> bool:
        self.service.headers.append(dict(self.headers))
        self.service.paths.append(self.path)
        return self.headers.get("Authorization") == f"Bearer {KEY}" or "chat" in self.path

    def do_POST(self) -> None:  # noqa: N802
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._allowed():
            error = {"type": "authentication_error", "message": f"no such key: {self.headers.get('Authorization')}"}
            return self._send(401, json.dumps({"type": "error", "error": error}).encode())
        self.service.hold.wait(30)
        status, found = self.service.post(self.path.partition("?")[0], body)
        self._send(status, found if isinstance(found, bytes) else json.dumps(found).encode())

    def do_GET(self) -> None:  # noqa: N802
        if not self._allowed():
            return self._send(401, b"{}")
        path = self.path.partition("?")[0]
        if path.endswith("/results"):
            rows = self.service.batches[path.split("/")[-2]]["results"]
            return self._send(200, b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        if path.endswith("/batches"):
            data = [self.service.state(name) for name in reversed(self.service.batches)]
            return self._send(200, json.dumps({"data": data, "has_more": False, "first_id": None, "last_id": None}).encode())
        self._send(200, json.dumps(self.service.state(path.rpartition("/")[2])).encode())


@contextmanager
def serving(mind: Mind = oracle) -> Iterator[Service]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.service = service = Service(mind)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()


def write_replies(path: Path, texts: Callable[[int, int], str], prompts: int = 10, samples: int = 6, seeds: int = 1) -> Path:
    """texts: (prompt, sample) -> reply."""
    write_jsonl(path, (
        {"id": f"p{i:03}", "prompt": f"Question {i}?", "samples": [texts(i, j) for j in range(samples)], "seed": seed}
        for seed in range(seeds) for i in range(prompts)
    ))  # fmt: skip
    return path
