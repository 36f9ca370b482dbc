"""What a recorded reply says: a verdict, or the reason why there is none. A reply without a verdict is never a tie."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from polychromic.judge.prompt import VERDICTS

REFUSED = ("refusal", "content_filter")
CUT = ("max_tokens", "length", "model_context_window_exceeded")
NOT_ASKED = "not asked"


class Verdict(NamedTuple):
    """value: one of VERDICTS; None: there is none, and `reason` says why. rationale: what the judge wrote before."""

    value: str | None
    reason: str = ""
    rationale: str = ""


def read(record: Mapping[str, Any] | None) -> Verdict:
    """Of a record of the store; None: the call was not made. The reason of a stop comes before what the text may look like."""
    if record is None:
        return Verdict(None, NOT_ASKED)
    reply = record["reply"]
    if error := reply.get("error"):
        return Verdict(None, error)
    if (stop := reply.get("stop", "")) in REFUSED:
        return Verdict(None, "refusal")
    if stop in CUT:
        return Verdict(None, "truncated")
    try:
        found = json.loads(reply.get("text", ""))
        value, rationale = found["verdict"], found["rationale"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Verdict(None, "malformed")
    if value not in VERDICTS or not isinstance(rationale, str):
        return Verdict(None, "malformed")
    return Verdict(value, "", rationale)
