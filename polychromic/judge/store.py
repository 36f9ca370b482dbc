"""The calls that were made: one JSON record a line, known by the hash of what was asked, appended and synced before it counts.

A record: "key" (sha256 of "request"), "request" (judge and texts), "reply" (what came back, or why nothing did), "usage" (tokens),
"dollars", "batch" (whether it came in one), "day". Verdicts are read from it anew each time (polychromic.judge.verdicts). No key of a
service is ever in it. A last line that a crash cut does not count, and is cut off before the next is
appended. Of two records of one key the later holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import GZIP, append, dumps, read_jsonl, sha256_json
from polychromic.judge.models import Usage

FIELDS = {"key", "request", "reply", "usage", "dollars", "batch", "day"}


@dataclass(frozen=True)
class Reply:
    """What came back of a call. text: the model's; stop: why it ended, in the service's words. error: why there is no text, else ""."""

    text: str = ""
    stop: str = ""
    error: str = ""
    model: str = ""
    usage: Usage = Usage()


class Store:
    """The records of a file by key; of no file where `path` is None (mode live), and then they are gone with the process. A packed file
    (gzip) is only read."""

    def __init__(self, path: Path | None):
        self.path, self.records, self._size = path, {}, 0
        self.reread()

    def _read(self, path: Path) -> None:
        content = path.read_bytes()
        if content.startswith(GZIP):
            content = b"".join(dumps(row).encode() + b"\n" for _, row in read_jsonl(path))
        *lines, rest = content.split(b"\n")
        self._size = len(content) - len(rest)
        for number, line in enumerate(lines, start=1):
            record = _checked(line, f"{path}:{number}")
            self.records[record["key"]] = record

    def reread(self) -> None:
        """Take in what another process may have appended meanwhile."""
        if self.path is not None:
            self.records, self._size = {}, 0
            if self.path.is_file():
                self._read(self.path)

    def __contains__(self, key: str) -> bool:
        return key in self.records

    def __getitem__(self, key: str) -> dict[str, Any]:
        return self.records[key]

    def extend(self, records: Iterable[dict[str, Any]], secret: str | None = None) -> None:
        """Append for good. secret: the key of the service, which is struck out should a service repeat it.

        Raises PolychromicError: it cannot be written; the file is then as it was.
        """
        lines = []
        for one in records:
            line = dumps(one)
            if secret and secret in line:
                one = one | {"reply": {name: value.replace(secret, "[key]") for name, value in one["reply"].items()}}
                line = dumps(one)
            lines.append((one, line.encode() + b"\n"))
        if self.path is not None and lines:
            self._write(b"".join(line for _, line in lines))
        self.records |= {one["key"]: one for one, _ in lines}

    def check_place(self) -> None:
        """After `reread`, before a call is paid for. Raises PolychromicError: its answer could not be kept: no file, or none to write."""
        if self.path is not None:
            new = not self.path.exists()
            if not new and not self.path.is_file():
                allowed = "a regular file, or none yet. Name another folder with --out"
                raise PolychromicError(f"{self.path}: not a regular file, so no answer could be kept. Allowed: {allowed}.")
            self._write(b"")
            if new:
                self.path.unlink()

    def _write(self, content: bytes) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            append(self.path, self._size, content)
        except OSError as error:
            allowed = "a folder that you may write, on a disk with room. Make room or name another, and run the command again"
            raise PolychromicError(f"{self.path}: calls were not written ({error}). Allowed: {allowed}.") from None
        self._size += len(content)

    def of(self, provider: str, model: str) -> Iterator[dict[str, Any]]:
        """All records of a judge."""
        for one in self.records.values():
            if (one["request"]["provider"], one["request"]["model"]) == (provider, model):
                yield one

    def judges(self) -> list[tuple[str, str]]:
        """(provider, model) of all judges that the file holds, in the order in which they first come."""
        return list(dict.fromkeys((one["request"]["provider"], one["request"]["model"]) for one in self.records.values()))


def record(request: Mapping[str, Any], reply: Reply, dollars: float, batch: bool) -> dict[str, Any]:
    """The record of a call, as of today (UTC)."""
    whole = lambda text: text.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be written
    told = {name: whole(value) for name, value in asdict(reply).items() if value and name != "usage"}
    return {
        "key": sha256_json(request), "request": dict(request), "reply": told, "usage": asdict(reply.usage), "dollars": dollars,
        "batch": batch, "day": datetime.now(UTC).date().isoformat(),
    }  # fmt: skip


def _checked(line: bytes, where: str) -> dict[str, Any]:
    """Raises DataError: no record, or one whose request is not what its key says."""
    allowed = "records as `polychromic judge` writes them, each with the hash of its request as key"
    remedy = "Restore the file from a copy or from Git; do not edit it."
    try:
        found = json.loads(line)
    except ValueError as error:
        raise DataError(where, f"not JSON ({error})", allowed, remedy) from None
    if not isinstance(found, dict) or set(found) != FIELDS:
        raise DataError(where, "not a record of a call", allowed, remedy)
    request, reply = found["request"], found["reply"]
    texts = isinstance(request, dict) and {"provider", "model"} <= request.keys() and isinstance(reply, dict)
    if not texts or not all(isinstance(value, str) for value in reply.values()):
        raise DataError(where, "a request or reply that is none", allowed, remedy)
    if sha256_json(request) != found["key"]:
        raise DataError(where, f"the request does not have the key {str(found['key'])[:12]}", allowed, remedy)
    return found
