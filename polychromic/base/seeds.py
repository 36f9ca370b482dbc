"""One way to turn a seed from params.yaml into the seed of one named random stream."""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, *names: str | int | float) -> int:
    """A 63-bit seed for the stream called `names`; independent streams for different names.

    Being a function of (seed, names) alone, a stream can be opened at any step without having run the
    steps before it: that is what makes a killed run resume to the same result.
    """
    digest = hashlib.sha256(repr((seed, *names)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
