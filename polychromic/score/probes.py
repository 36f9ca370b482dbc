"""What scoring asks of models: sentence vectors, word pieces, BERTScore, log-likelihoods. Each is cached by content.

A model is loaded only for texts that the cache does not hold, so that scoring again calls none. Vectors are kept by the set of
texts that were asked at once (they share batches). BERTScores and likelihoods are kept reply by reply, in one small file per
prompt: each is a function of its own prompt and reply alone, so that a new cell, or a run after a kill, asks for new replies
only and gets the same bytes as a run that asks for all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from polychromic.base import paths
from polychromic.base.io import atomic_open, dumps, read_json, sha256_json, write_text
from polychromic.base.progress import progress
from polychromic.models import prompts, weights
from polychromic.params import Params
from polychromic.score import neural
from polychromic.score.quality import bertscore_signature


def _cached(kind: str, key: object, make: Callable[[], np.ndarray]) -> np.ndarray:
    path = paths.cache_dir() / kind / f"{sha256_json(key)}.npy"
    if not path.exists():
        array = make()
        with atomic_open(path) as file:
            np.save(file, array)
        return array
    return np.load(path)


class Embedder:
    """Sentence vectors of texts."""

    def __init__(self, params: Params):
        self.params = params
        self._encoder = None

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """n texts -> (n, d) float32, unit length."""
        unique = sorted(set(texts))
        vectors = _cached("vectors", [*_identity(self.params, self.params.encoder), unique], lambda: self._encode(unique))
        place = {text: i for i, text in enumerate(unique)}
        return vectors[[place[text] for text in texts]]

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        from polychromic.base.hardware import best_device
        from polychromic.models.load import compute_reproducibly, embed, load_encoder

        if self._encoder is None:
            compute_reproducibly(self.params.threads)
            self._encoder = load_encoder(weights.obtain(self.params.encoder), best_device())
        return embed(self._encoder, texts)


class Pieces:
    """Word pieces of the encoder's tokenizer, for expectation-adjusted distinct."""

    def __init__(self, params: Params):
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(weights.obtain(params.encoder) / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.vocabulary = self._tokenizer.get_vocab_size()

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def bertscores(params: Params, pairs: Mapping[str, tuple[Iterable[str], Sequence[str]]]) -> dict[tuple[str, str], float]:
    """(prompt id, reply) -> BERTScore F1. pairs: prompt id -> (replies, references)."""
    from polychromic.models.load import compute_reproducibly

    identity = _identity(params, params.encoder)
    found: dict[tuple[str, str], float] = {}
    with progress("BERTScore", len(pairs)) as tick:
        for done, (name, (replies, references)) in enumerate(sorted(pairs.items()), start=1):

            def make(new: Sequence[str], references: Sequence[str] = references) -> np.ndarray:
                compute_reproducibly(params.threads)
                return neural.bertscore_f1(new, [references] * len(new), weights.obtain(params.encoder))

            known = _remembered("bertscore", [*identity, bertscore_signature(), list(references)], replies, make)
            found |= {(name, reply): value for reply, value in known.items()}
            tick(done)
    return found


def likelihoods(params: Params, domain: str, asked: Mapping[str, tuple[str, Iterable[str]]]) -> dict[tuple[str, str], tuple[float, float]]:
    """(prompt id, reply) -> (log-probability, tokens) under the base model with the zero-shot prompt, in the precision of sampling.

    Args:
        asked: prompt id -> (prompt, replies).
    """

    from polychromic.base.hardware import best_device
    from polychromic.models.load import compute_reproducibly, load_causal_lm, rows_at_once

    @cache
    def load() -> tuple:
        compute_reproducibly(params.threads)
        return load_causal_lm(weights.obtain(params.model), params.sampling.precision, best_device())

    identity = _identity(params, params.model)
    found: dict[tuple[str, str], tuple[float, float]] = {}
    with progress(f"likelihood {domain}", len(asked)) as tick:
        for done, (name, (prompt, replies)) in enumerate(sorted(asked.items()), start=1):
            chat = prompts.messages("zero_shot", domain, prompt)

            def make(new: Sequence[str], chat: list[dict] = chat) -> np.ndarray:
                model, tokenizer = load()
                return neural.log_likelihoods(model, tokenizer, prompts.encode(tokenizer, chat), new, rows_at_once(neural.ROWS))

            known = _remembered("likelihood", [*identity, params.sampling.precision, chat], replies, make)
            found |= {(name, reply): (total, tokens) for reply, (total, tokens) in known.items()}
            tick(done)
    return found


def _identity(params: Params, source: weights.Source) -> list:
    """What the last bits of a model's answer depend on, beside what it is asked."""
    from polychromic.base.cache import environment

    return [weights.fingerprint(source), params.threads, environment()]


def _remembered(kind: str, key: object, texts: Iterable[str], make: Callable[[Sequence[str]], np.ndarray]) -> dict[str, Any]:
    """text -> what `make` says of it, for distinct texts in sorted order; only texts that the file of this key lacks are asked.

    The file is replaced as a whole once the new ones are known, so a kill loses one prompt at most.

    Args:
        make: n texts -> n values, each a function of its own text.
    """
    path = paths.cache_dir() / kind / f"{sha256_json(key)}.json"
    texts = sorted(set(texts))
    known = read_json(path) if path.exists() else {}
    if new := [text for text in texts if text not in known]:
        known |= dict(zip(new, make(new).tolist(), strict=True))
        write_text(path, dumps(known))
    return {text: known[text] for text in texts}
