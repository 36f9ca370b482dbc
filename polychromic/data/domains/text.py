"""The form in which two short texts are the same."""

from __future__ import annotations

import re
import unicodedata

_LEAD = re.compile(r"^(?:an?|the|some|one)\s+")
_PUNCTUATION = re.compile(r"[^\w\s]+")


def normalise(reply: str) -> str:
    """Lower case without accents, punctuation, a leading article and repeated blanks."""
    text = unicodedata.normalize("NFKD", reply).lower()
    text = "".join(c for c in text if not unicodedata.combining(c))
    text = " ".join(_PUNCTUATION.sub(" ", text).split())
    return _LEAD.sub("", text)
