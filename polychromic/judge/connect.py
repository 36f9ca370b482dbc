"""The client of a service by its name; a package is imported where its service is asked for."""

from __future__ import annotations

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.judge.providers import KEYS, OPENAI, Provider, check_url, read_key


def connect(provider: str, model: str, base_url: str | None) -> Provider:
    """The client of a service. Raises UsageError: no key, a wrong URL, an unknown service, or a package that is missing."""
    if provider not in KEYS:
        raise UsageError(f"--provider {provider!r} does not exist. Allowed: {', '.join(KEYS)}.")
    key = read_key(provider, base_url)
    check_url(base_url, key)
    if provider == OPENAI:
        if base_url is None:
            raise UsageError("--provider openai needs --base-url, the root of the API, such as http://localhost:8000/v1. Add it.")
        from polychromic.judge.compatible import Compatible

        return Compatible(model, key, base_url)
    try:
        from polychromic.judge.claude import Claude
    except ImportError:
        raise PolychromicError("the package anthropic is not installed. Run `pip install 'polychromic[judge]'`.") from None
    return Claude(model, key, base_url)
