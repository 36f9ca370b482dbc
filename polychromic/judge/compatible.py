"""Any service that speaks OpenAI's chat format (vLLM, llama.cpp and others), so that a local model can judge. Direct calls alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import urllib3

from polychromic.base.errors import PolychromicError
from polychromic.base.visible import visible
from polychromic.judge.models import Usage
from polychromic.judge.prompt import SCHEMA
from polychromic.judge.providers import OPENAI
from polychromic.judge.store import Reply

RETRIES = urllib3.Retry(
    4, redirect=False, status_forcelist=[408, 409, 429, *range(500, 600)], backoff_factor=0.5, backoff_jitter=0.5, backoff_max=30,
    allowed_methods=None, raise_on_status=False,
)  # fmt: skip
SILENCE = urllib3.Timeout(connect=5, read=600)
HOPELESS = (401, 403, 404, 405)


class Compatible:
    """A polychromic.judge.providers.Provider."""

    name = OPENAI

    def __init__(self, model: str, key: str | None, base_url: str):
        self.model, self.secret = model, key
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._pool = urllib3.PoolManager(maxsize=32)

    def ask(self, request: Mapping[str, Any]) -> Reply:
        format_ = {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": SCHEMA}}
        messages = [{"role": "system", "content": request["system"]}, {"role": "user", "content": request["user"]}]
        body = {"model": request["model"], "messages": messages, "max_tokens": request["max_tokens"], "response_format": format_}
        try:
            response = self._pool.request("POST", self._url, json=body, headers=self._headers, retries=RETRIES, timeout=SILENCE)
        except urllib3.exceptions.HTTPError as error:
            raise self._failed(str(getattr(error, "reason", None) or error)) from None
        if response.status in HOPELESS:
            raise self._failed(f"status {response.status} {response.data[:200].decode('utf-8', 'replace')}")
        if response.status != 200:
            return Reply(error=f"error ({response.status})")
        try:
            found = response.json()
            choice, usage = found["choices"][0], found.get("usage") or {}
            spent = Usage(max(int(usage.get("prompt_tokens") or 0), 0), max(int(usage.get("completion_tokens") or 0), 0))
            refused, text = choice["message"].get("refusal"), choice["message"].get("content") or ""
            stop = "refusal" if refused else str(choice.get("finish_reason") or "")
            return Reply(str(text), stop, "", str(found.get("model") or ""), spent)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return Reply(error="no message came back")

    def _failed(self, said: str) -> PolychromicError:
        said = visible(" ".join(said.split()))[:200]
        said = said.replace(self.secret, "[key]") if self.secret else said
        advice = "Start the server, or correct --base-url, --model or the key"
        return PolychromicError(f"{self._url}: {said}. {advice}. Nothing that was recorded is lost: the same command goes on.")
