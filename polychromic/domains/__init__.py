"""The table of domains."""

from __future__ import annotations

from polychromic.domains.base import Domain
from polychromic.domains.listqa import ListQA
from polychromic.domains.replies import Replies
from polychromic.errors import UsageError

DOMAINS: dict[str, Domain] = {domain.name: domain for domain in (ListQA(), Replies())}


def get_domain(name: str) -> Domain:
    """Raises UsageError for a name that is not in the table."""
    if name not in DOMAINS:
        raise UsageError(f"domain {name!r} does not exist. Allowed: {', '.join(DOMAINS)}.")
    return DOMAINS[name]
