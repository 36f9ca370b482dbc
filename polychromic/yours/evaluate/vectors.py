"""Sentence vectors of all replies of a command, made when a metric first reads one: where all scores are known, no encoder is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from polychromic.base.cache import LIBRARIES, code_fingerprint, environment, versions
from polychromic.base.io import sha256_json
from polychromic.models import weights
from polychromic.models.load import cut_note
from polychromic.score.text import said
from polychromic.yours.evaluate.inputs import System
from polychromic.yours.evaluate.kept import Store, key

CODE = ("models", "score/models.py")  # that makes vectors
# Where none of these is, torch finds no GPU, and need not be imported (two seconds) to say so.
GPUS = tuple(map(Path, ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg", "/proc/driver/nvidia")))


class Vectors:
    """Of the replies of these systems, by the pinned encoder; `store` keeps which texts it cut."""

    def __init__(self, systems: Sequence[System], store: Store):
        from polychromic.yours.evaluate.draw import pinned

        self._params, self._store = pinned(), store
        self._cut: dict[str, int] = {}
        self._texts = list(dict.fromkeys(said(text) for system in systems for row in system.rows.values() for text in row.samples))

    @property
    def name(self) -> str:
        """The encoder's, for signatures."""
        return str(self._params.encoder)

    @cached_property
    def identity(self) -> str:
        """Hash of what a vector depends on beside its text: encoder, code, machine, and all texts, for they share batches, which move the
        last bits."""
        machine = environment() if any(path.exists() for path in GPUS) else versions(LIBRARIES)
        about = [weights.fingerprint(self._params.encoder), self._params.threads, code_fingerprint(CODE), machine]
        return sha256_json([about, sorted(self._texts)])

    def of(self, samples: Sequence[str]) -> np.ndarray:
        """(n, d) float32 of unit length."""
        return np.stack([self._made[text] for text in samples])

    @cached_property
    def _made(self) -> dict[str, np.ndarray]:
        from polychromic.score.models import Embedder
        from polychromic.yours.train.base import quiet

        quiet()
        embedder = Embedder(self._params)
        found = dict(zip(self._texts, embedder(self._texts), strict=True))
        self._cut = embedder.cut
        self._store.put({key(self.identity, "cut", text): float(read) for text, read in embedder.cut.items()})
        return found

    def note(self) -> str:
        """What is to be said of texts that the encoder cut, now or when the scores were computed; "" where it cut none."""
        keys = {key(self.identity, "cut", text): text for text in self._texts}
        return cut_note({keys[found]: int(read) for found, read in self._store.get(keys).items()} | self._cut)
