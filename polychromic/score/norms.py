"""Stage `norms`: what people's replies to training prompts say, before any training, and what the held-out judge learns of them."""

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

    def __init__(self, params: Params, domain: Domain):
        self.norms: dict = {}
        self._seed = params.split.seed
        self.embed = Embedder(params)
        self._base, self._domain = Likelihoods(params, domain.name), domain.name

    def fluency(self, replies: Sequence[str]) -> np.ndarray:
        return self._base.fluency(replies, f"fluency {self._domain}")

    def draft(self, records: Sequence[Record], n: int) -> list[list[str]]:
        return self._base.draw([record.prompt for record in records], n, TEMPERATURE, self._seed)


def write_norms(params: Params, domain_name: str) -> dict:
    """Writes results/{domain}/norms.json: "training", what methods are trained with, and "held_out", what only evaluation reads."""
    domain, splits = get_domain(domain_name), load_split(domain_name)
    records = splits["train"] + splits["calibration"]
    readers = _References(params, domain)
    found = {"training": domain.norms(records, readers), "held_out": domain.held_out_norms(records, readers)}
    write_json(paths.norms_file(domain_name), found)
    return found
