"""The table of domains: each module of this folder but `base` is one, under its own name."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from polychromic.base.errors import UsageError
from polychromic.data.domains.base import Domain


def domain_names() -> list[str]:
    return sorted(module.name for module in iter_modules(__path__) if module.name != "base")


def get_domain(name: str) -> Domain:
    """Raises UsageError for a name that is not in the folder."""
    if name not in domain_names():
        raise UsageError(f"domain {name!r} does not exist. Allowed: {', '.join(domain_names())}.")
    return import_module(f"{__package__}.{name}").DOMAIN
