"""One small interface to whoever answers, and what both services behind it need: requests, keys, URLs.

A key is read from the environment, handed to the client, and kept nowhere else: it is no option, in no message and in no record.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

from polychromic.base.errors import UsageError
from polychromic.base.io import sha256_json
from polychromic.judge.models import effort_of
from polychromic.judge.prompt import SCHEMA
from polychromic.judge.store import Reply

ANTHROPIC, OPENAI, PERSON = "anthropic", "openai", "person"
KEYS = {ANTHROPIC: "ANTHROPIC_API_KEY", OPENAI: "OPENAI_API_KEY"}
MAX_TOKENS = 2000  # of an answer with its hidden reasoning: some ten times what three sentences need
LOCAL = ("localhost", "127.0.0.1", "::1")


class Provider(Protocol):
    """Answers requests (`request`) of one model. secret: the key, to be struck out of what comes back; None: none was needed."""

    name: str
    model: str
    secret: str | None

    def ask(self, request: Mapping[str, Any]) -> Reply:
        """One call, retried by the client. Raises PolychromicError where no later call can fare better (key refused, no connection)."""


@runtime_checkable
class Batching(Provider, Protocol):
    """A provider that takes many requests at once. Each of these raises PolychromicError where the service does not do it."""

    def submit(self, requests: Mapping[str, Mapping[str, Any]]) -> str:
        """Send a batch (key -> request); its id."""

    def state(self, batch: str) -> tuple[bool, int]:
        """(whether it has ended, requests done)."""

    def results(self, batch: str) -> Iterator[tuple[str, Reply]]:
        """(key, reply) of an ended batch, in any order."""

    def since(self, moment: datetime) -> list[tuple[str, int]]:
        """(id, requests) of the batches that were created at `moment` or later."""


def request(provider: str, model: str, system: str, user: str, repeat: int = 0) -> dict[str, Any]:
    """All that a call depends on; its hash is the call's key."""
    about = {"provider": provider, "model": model, "system": system, "user": user, "repeat": repeat}
    if provider == PERSON:
        return about
    return about | {"schema": sha256_json(SCHEMA)[:12], "max_tokens": MAX_TOKENS, "effort": effort_of(model)}


def read_key(provider: str, base_url: str | None) -> str | None:
    """From the environment. Raises UsageError: it is missing, or no key; the message never holds it."""
    name = KEYS[provider]
    key = os.environ.get(name, "").strip()
    if not key and not (provider == OPENAI and base_url and _host(base_url) in LOCAL):
        instead = "or add --dry-run (the cost), --mode replay (what the store holds) or --people (which need none)"
        raise UsageError(f"{name} is not set, and calls of {provider} need it. Allowed: a key in the environment. Set it, {instead}.")
    if not re.fullmatch("[!-~]*", key):
        raise UsageError(f"{name} holds blanks or letters that no key has. Allowed: the key alone. Set it again, without quotes in it.")
    return key or None


def _host(base_url: str) -> str | None:
    """Of a root without password and query; None for anything else."""
    try:
        parts = urlsplit(base_url)
        parts.port  # noqa: B018 - raises ValueError where it is none
    except ValueError:
        return None
    return None if parts.scheme not in ("http", "https") or parts.username or parts.query or parts.fragment else parts.hostname or None


def check_url(base_url: str | None, key: str | None) -> None:
    """Raises UsageError for what is no root of an API, holds a password, or would be sent the key unencrypted."""
    if base_url is None:
        return
    host, plain = _host(base_url), base_url.lower().startswith("http:")
    if host is None or plain and key and host not in LOCAL:
        shown = f"http://{host}" if host else "what was given"
        allowed = "https://HOST[:PORT][/PATH], or http on this machine or without a key; no password, no query"
        raise UsageError(f"--base-url: {shown} is no safe root of an API. Allowed: {allowed}. Correct it.")
