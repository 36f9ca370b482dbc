"""Anthropic's service, through its SDK: direct calls and Message Batches, answers by JSON schema. Retries are the SDK's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import takewhile
from typing import Any

import anthropic

from polychromic.base.errors import PolychromicError
from polychromic.base.visible import visible
from polychromic.judge.models import Usage
from polychromic.judge.prompt import SCHEMA
from polychromic.judge.providers import ANTHROPIC, KEYS
from polychromic.judge.store import Reply

RETRIES = 4  # of the SDK, which waits longer each time, or as long as the service says
STRANGE = (anthropic.AnthropicError, AttributeError, TypeError, ValueError)  # the last three: an answer that is not as agreed
RESUME = "Nothing that was recorded is lost: the same command goes on"
# No later call fares better: status -> what to do.
HOPELESS = {
    401: f"The key is refused. Set {KEYS[ANTHROPIC]} to one that holds",
    403: "The key may not do this. Use another one, or another model",
    404: "There is no such model or batch for this key. Correct --model or --base-url",
}


class Claude:
    """A polychromic.judge.providers.Batching provider."""

    name = ANTHROPIC

    def __init__(self, model: str, key: str, base_url: str | None):
        self.model, self.secret = model, key
        self._client = anthropic.Anthropic(api_key=key, base_url=base_url, max_retries=RETRIES)

    def ask(self, request: Mapping[str, Any]) -> Reply:
        try:
            return _reply(self._client.messages.create(**_body(request)))
        except anthropic.APIStatusError as error:
            if error.status_code in HOPELESS:
                raise self._failed(error) from None
            return Reply(error=f"{_kind(error.body) or 'error'} ({error.status_code})")
        except anthropic.AnthropicError as error:
            raise self._failed(error) from None

    def submit(self, requests: Mapping[str, Mapping[str, Any]]) -> str:
        sent = [{"custom_id": key, "params": _body(one)} for key, one in requests.items()]
        return self._try(lambda: str(self._client.messages.batches.create(requests=sent).id))

    def state(self, batch: str) -> tuple[bool, int]:
        def state() -> tuple[bool, int]:
            found = self._client.messages.batches.retrieve(batch)
            return found.processing_status == "ended", _size(found) - found.request_counts.processing

        return self._try(state)

    def results(self, batch: str) -> Iterator[tuple[str, Reply]]:
        try:
            for one in self._client.messages.batches.results(batch):
                kind = one.result.type
                if kind == "succeeded":
                    yield one.custom_id, _reply(one.result.message)
                else:  # errored, canceled, expired: nothing was generated, nothing is charged
                    about = _kind(one.result.error.model_dump()) if kind == "errored" else ""
                    yield one.custom_id, Reply(error=f"{kind}: {about}" if about else kind)
        except STRANGE as error:
            raise self._failed(error) from None

    def since(self, moment: datetime) -> list[tuple[str, int]]:
        newest = lambda: takewhile(lambda one: one.created_at >= moment, self._client.messages.batches.list(limit=100))
        return self._try(lambda: [(one.id, _size(one)) for one in newest()])

    def _try(self, call):  # noqa: ANN001, ANN202
        try:
            return call()
        except STRANGE as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> PolychromicError:
        status = getattr(error, "status_code", None)
        advice = HOPELESS.get(status, "Wait, or look at the connection and --base-url")
        ours = isinstance(error, anthropic.AnthropicError)
        said = visible(" ".join(str(error).split()))[:200].replace(self.secret, "[key]") if ours else "an answer that is not this service's"
        return PolychromicError(f"{self._client.base_url.host}: {f'status {status}: ' if status else ''}{said}. {advice}. {RESUME}.")


def _body(request: Mapping[str, Any]) -> dict[str, Any]:
    """The service's request. Sampling has no parameters any more: what repeats would give is measured, not set."""
    config: dict[str, Any] = {"format": {"type": "json_schema", "schema": SCHEMA}}
    if request["effort"]:
        config["effort"] = request["effort"]
    return {
        "model": request["model"], "max_tokens": request["max_tokens"], "system": request["system"],
        "messages": [{"role": "user", "content": request["user"]}], "output_config": config,
    }  # fmt: skip


def _reply(message: Any) -> Reply:
    """Of a message; an answer that is none (a proxy's page, say) is an error, not an exception: the next one may be fine."""
    try:
        usage = message.usage
        cached = (usage.cache_creation_input_tokens or 0, usage.cache_read_input_tokens or 0)
        spent = Usage(*map(int, (usage.input_tokens, usage.output_tokens, *cached)))
        text = "".join(block.text for block in message.content if block.type == "text")
        return Reply(text, str(message.stop_reason or ""), "", str(message.model or ""), spent)
    except (AttributeError, TypeError, ValueError):
        return Reply(error="no message came back")


def _size(batch: Any) -> int:
    counts = batch.request_counts
    return counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired


def _kind(body: Any) -> str:
    """ "overloaded_error" of {"error": {"type": "overloaded_error", ...}, ...}, which batches have one level deeper."""
    while isinstance(body, Mapping) and isinstance(body.get("error"), Mapping):
        body = body["error"]
    return visible(str(body["type"]))[:60] if isinstance(body, Mapping) and body.get("type") not in (None, "error") else ""
