"""Stage `norms`: what people's replies to training prompts say, before any method is trained, and what the held-out judge learns of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polychromic.base import paths
from polychromic.base.io import write_json
from polychromic.data.domains import Domain, get_domain
from polychromic.data.records import Record, load_split
from polychromic.params import Params
from polychromic.score.models import Embedder, Likelihoods

TEMPERATURE = 0.8  # of the base model's drafts: among those that replies are sampled at


class _References:
    """Readers (polychromic.data.domains) of people's replies; nothing is known of them yet."""

    def __init__(self, params: Params, domain: Domain, records: Sequence[Record]):
        self.norms: dict = {}
        self._seed = params.split.seed
        self.embed = Embedder(params)
        said = [(record, [text for text in dict.fromkeys(record.references) if domain.asks_likelihood(record, text)]) for record in records]
        asked = [(record.prompt, texts) for record, texts in said if texts]
        self._base = Likelihoods(params, domain.name)
        found = self._base(asked, f"likelihood {domain.name}") if asked else []
        self._likely = {(prompt, text): row for (prompt, texts), rows in zip(asked, found, strict=True) for text, row in zip(texts, rows, strict=True)}

    def log_likelihood(self, record: Record, replies: Sequence[str]) -> np.ndarray:
        sums, tokens = np.array([self._likely[record.prompt, reply] for reply in replies]).T
        return sums / tokens

    def draft(self, records: Sequence[Record], n: int) -> list[list[str]]:
        return self._base.draw([record.prompt for record in records], n, TEMPERATURE, self._seed)


def write_norms(params: Params, domain_name: str) -> dict:
    """Writes results/{domain}/norms.json: "training", what methods are trained with, and "held_out", what only evaluation reads."""
    domain, splits = get_domain(domain_name), load_split(domain_name)
    records = splits["train"] + splits["calibration"]
    readers = _References(params, domain, records)
    found = {"training": domain.norms(records, readers), "held_out": domain.held_out_norms(records, readers)}
    write_json(paths.norms_file(domain_name), found)
    return found
