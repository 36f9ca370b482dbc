"""The table of domains: each module of this folder that defines DOMAIN is one, under its own name."""

from __future__ import annotations

from importlib import import_module, resources

from polychromic.base.errors import UsageError
from polychromic.data.domains.base import Domain

NOT_DOMAINS = ("__init__", "base", "text")


def domain_names() -> list[str]:
    return sorted(
        path.name[:-3] for path in resources.files(__package__).iterdir() if path.name.endswith(".py") and path.name[:-3] not in NOT_DOMAINS
    )


def get_domain(name: str) -> Domain:
    """Raises UsageError for a name that is not in the folder."""
    if name not in domain_names():
        raise UsageError(f"domain {name!r} does not exist. Allowed: {', '.join(domain_names())}.")
    return import_module(f"{__package__}.{name}").DOMAIN
