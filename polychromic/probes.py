"""What scoring asks of models: sentence vectors, word pieces, BERTScore, log-likelihoods. Each is cached by content.

A model is loaded only for texts that the cache does not hold, so that scoring again calls none. A cached value is a function
of everything that was asked at once (texts share batches), never of the order or history of calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from polychromic import paths, prompts
from polychromic.io import atomic_open, sha256_json
from polychromic.metrics import neural
from polychromic.models import weights
from polychromic.params import Params
from polychromic.progress import progress


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
        self.source, self.threads = params.encoder, params.threads
        self.identity = weights.fingerprint(params.encoder)
        self._encoder = None

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """n texts -> (n, d) float32, unit length."""
        unique = sorted(set(texts))
        vectors = _cached("vectors", [self.identity, unique], lambda: self._encode(unique))
        place = {text: i for i, text in enumerate(unique)}
        return vectors[[place[text] for text in texts]]

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        from polychromic.models.load import embed, load_encoder

        if self._encoder is None:
            import torch

            torch.set_num_threads(self.threads)
            self._encoder = load_encoder(weights.obtain(self.source))
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


def bertscores(params: Params, pairs: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> dict[tuple[str, str], float]:
    """(prompt id, reply) -> BERTScore F1. pairs: prompt id -> (distinct replies, references)."""
    asked = {name: [sorted(set(replies)), list(references)] for name, (replies, references) in sorted(pairs.items())}
    flat = [(name, reply) for name, (replies, _) in asked.items() for reply in replies]

    def make() -> np.ndarray:
        import torch

        torch.set_num_threads(params.threads)
        found, step = [], 2048
        folder = weights.obtain(params.encoder)
        with progress("BERTScore", len(flat)) as tick:
            for first in range(0, len(flat), step):
                part = flat[first : first + step]
                found.append(neural.bertscore_f1([reply for _, reply in part], [asked[name][1] for name, _ in part], folder))
                tick(first + len(part))
        return np.concatenate(found)

    values = _cached("bertscore", [weights.fingerprint(params.encoder), neural.LAYERS, asked], make)
    return {pair: float(value) for pair, value in zip(flat, values, strict=True)}


def likelihoods(params: Params, domain: str, asked: Mapping[str, tuple[str, Sequence[str]]]) -> dict[tuple[str, str], tuple[float, float]]:
    """(prompt id, reply) -> (log-probability, tokens) under the base model with the zero-shot prompt, in float32.

    Args:
        asked: prompt id -> (prompt, distinct replies).
    """
    asked = {name: [prompt, sorted(set(replies))] for name, (prompt, replies) in sorted(asked.items())}
    chats = {name: prompts.messages("zero_shot", domain, prompt) for name, (prompt, _) in asked.items()}

    def make() -> np.ndarray:
        import torch

        from polychromic.models.load import load_causal_lm

        torch.set_num_threads(params.threads)
        model, tokenizer = load_causal_lm(weights.obtain(params.model), "float32", "cpu")
        found = []
        with progress(f"likelihood {domain}", len(asked)) as tick:
            for done, (name, (_, replies)) in enumerate(asked.items(), start=1):
                found.append(neural.log_likelihoods(model, tokenizer, prompts.encode(tokenizer, chats[name]), replies))
                tick(done)
        return np.concatenate(found)

    key = [weights.fingerprint(params.model), params.threads, [[chats[name], replies] for name, (_, replies) in asked.items()]]
    values = _cached("likelihood", key, make)
    flat = [(name, reply) for name, (_, replies) in asked.items() for reply in replies]
    return {pair: (float(total), float(tokens)) for pair, (total, tokens) in zip(flat, values, strict=True)}
