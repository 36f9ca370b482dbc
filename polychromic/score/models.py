"""What scoring asks of models: sentence vectors, word pieces, BERTScore, log-likelihoods. Each is cached by content.

A model is loaded only for texts that the cache lacks. Vectors and likelihoods are kept by all that was asked at once (texts share batches,
which move the last bits), BERTScores reply by reply, in one small file per prompt. So a run after a kill asks for what is missing and gets
the same bytes as one that was not killed. torch is imported inside the functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from polychromic.base import paths
from polychromic.base.io import atomic_open, dumps, read_json, sha256_json, write_text
from polychromic.base.progress import progress
from polychromic.base.seeds import derive_seed
from polychromic.models import prompts, weights
from polychromic.params import Params
from polychromic.score.quality import BERTSCORE_LAYER, bertscore_signature, check_references
from polychromic.score.text import shows, spaced

BATCH = 200  # prompts whose likelihoods are taken between two lines of progress
DRAWN = 80  # prompts whose drafts are one file of the cache


class Embedder:
    """Sentence vectors of texts. `cut` gathers the texts that are longer than the encoder reads: text -> tokens that it reads."""

    def __init__(self, params: Params):
        self.params = params
        self.cut: dict[str, int] = {}
        self._encoder = None

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """n texts -> (n, d) float32, unit length."""
        unique = sorted(set(texts))
        path = _cache_file("vectors", [*_identity(self.params, self.params.encoder), unique], "npy")
        if not path.exists():
            found = self._encode(unique)
            with atomic_open(path) as file:
                for array in found:
                    np.save(file, array)
        with path.open("rb") as file:
            vectors, cut = np.load(file), np.load(file)
        self.cut |= {unique[i]: int(cut[i]) for i in np.flatnonzero(cut)}
        place = {text: i for i, text in enumerate(unique)}
        return vectors[[place[text] for text in texts]]

    def _encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Vectors, and where the texts were cut (polychromic.models.load.cut_at)."""
        from polychromic.base.hardware import best_device
        from polychromic.models.load import compute_reproducibly, cut_at, embed, load_encoder

        if self._encoder is None:
            compute_reproducibly(self.params.threads)
            self._encoder = load_encoder(weights.obtain(self.params.encoder), best_device())
        return embed(self._encoder, texts), cut_at(self._encoder, texts)


class Pieces:
    """Word pieces of the encoder's tokenizer, for expectation-adjusted distinct; what is written without blanks is split first."""

    def __init__(self, params: Params):
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(weights.obtain(params.encoder) / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.vocabulary = self._tokenizer.get_vocab_size()

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch([spaced(text) for text in texts], add_special_tokens=False)]


def bertscores(params: Params, pairs: Mapping[str, tuple[Iterable[str], Sequence[str]]]) -> dict[tuple[str, str], float]:
    """(prompt id, reply) -> BERTScore F1. pairs: prompt id -> (replies, references)."""

    ask = lambda references, new: bertscore_f1(new, references, weights.obtain(params.encoder))
    identity = [*_identity(params, params.encoder), bertscore_signature()]
    asked = {name: (replies, list(references)) for name, (replies, references) in pairs.items()}
    return _by_prompt("BERTScore", "bertscore", params.threads, identity, asked, ask)


class Likelihoods:
    """Log-probabilities of replies under the base model with the zero-shot prompt, in the precision of sampling; and replies of its own."""

    def __init__(self, params: Params, domain: str):
        self.params, self.domain = params, domain

    def __call__(self, asked: Sequence[tuple[str, Sequence[str]]], title: str) -> list[np.ndarray]:
        """(prompt, its distinct replies, one or more) -> per prompt (n, 2): log-probability of each reply and its end; tokens.

        Cached by all that is asked at once, which decides the last bits.
        """
        path = _cache_file(
            "likelihood", [*_identity(self.params, self.params.model), self.params.sampling.precision, self.domain, asked], "json"
        )
        if not path.exists():
            from polychromic.models.load import rows_at_once
            from polychromic.models.readers import ROWS, log_likelihoods

            model, tokenizer = self._model
            chats = [(prompts.encode(tokenizer, prompts.messages("zero_shot", self.domain, prompt)), texts) for prompt, texts in asked]
            found: list[np.ndarray] = []
            with progress(title, len(chats)) as tick:
                for first in range(0, len(chats), BATCH):
                    found += log_likelihoods(model, tokenizer, chats[first : first + BATCH], rows_at_once(ROWS))
                    tick(len(found))
            write_text(path, dumps([part.tolist() for part in found]))
        return [np.array(part) for part in read_json(path)]

    def fluency(self, replies: Sequence[str], title: str) -> np.ndarray:
        """(n, 2) of Readers.fluency (polychromic.data.domains); cached by all distinct replies that are asked at once."""
        distinct = sorted(set(replies))
        path = _cache_file(
            "fluency", [*_identity(self.params, self.params.model), self.params.sampling.precision, self.domain, distinct], "json"
        )
        if not path.exists():
            from polychromic.models.load import rows_at_once
            from polychromic.models.readers import ROWS, fluencies, neutral

            model, tokenizer = self._model
            with progress(title, 1) as tick:
                values, _ = fluencies(model, tokenizer, neutral(tokenizer, self.domain), distinct, rows_at_once(ROWS))
                tick(1)
            write_text(path, dumps(values.tolist()))
        found = dict(zip(distinct, read_json(path), strict=True))
        return np.array([found[reply] for reply in replies])

    def draw(self, asked: Sequence[str], n: int, temperature: float, seed: int) -> list[list[str]]:
        """n replies to each prompt, cached by DRAWN prompts, whose uniforms they share with no other."""
        settings, found = (self.params.domain(self.domain).max_new_tokens, self.params.sampling.model_dump(), temperature), []
        for first in range(0, len(asked), DRAWN):
            some, own = list(asked[first : first + DRAWN]), derive_seed(seed, "drafts", first)
            path = _cache_file("drafts", [*_identity(self.params, self.params.model), self.domain, settings, n, own, some], "json")
            if not path.exists():
                from polychromic.models.load import rows_at_once
                from polychromic.sample.draw import sample_prompts

                model, tokenizer = self._model
                encoded = [prompts.encode(tokenizer, prompts.messages("zero_shot", self.domain, prompt)) for prompt in some]
                drawn = sample_prompts(
                    model, tokenizer, encoded, n=n, temperature=temperature, max_new_tokens=settings[0],
                    rows=rows_at_once(self.params.sampling.rows), seed=own, what=f"drafts {self.domain}, from {first} of {len(asked)}",
                )  # fmt: skip
                write_text(path, dumps([row["samples"] for row in drawn]))
            found += read_json(path)
        return found

    @cached_property
    def _model(self) -> tuple:
        from polychromic.base.hardware import best_device
        from polychromic.models.load import compute_reproducibly, load_causal_lm

        compute_reproducibly(self.params.threads)
        source = self.params.model
        return load_causal_lm(weights.obtain(source), self.params.sampling.precision, best_device(), source)


def _by_prompt(
    title: str, kind: str, threads: int, identity: Sequence, asked: Mapping[str, tuple[Iterable[str], Any]],
    make: Callable[[Any, Sequence[str]], np.ndarray],
) -> dict[tuple[str, str], Any]:  # fmt: skip
    """(prompt id, reply) -> what `make` says of it; only replies that the prompt's file lacks are asked, distinct and sorted.

    A file is replaced as a whole once its new ones are known, so a kill loses one prompt at most.

    Args:
        identity: what all values depend on. asked: prompt id -> (replies, what the values of this prompt depend on).
        make: what a prompt's values depend on, n new replies -> n values, each a function of its own reply.
    """
    found: dict[tuple[str, str], Any] = {}
    with progress(title, len(asked)) as tick:
        for done, (name, (replies, about)) in enumerate(sorted(asked.items()), start=1):
            path, texts = _cache_file(kind, [*identity, about], "json"), sorted(set(replies))
            known = read_json(path) if path.exists() else {}
            if new := [text for text in texts if text not in known]:
                from polychromic.models.load import compute_reproducibly

                compute_reproducibly(threads)
                known |= dict(zip(new, make(about, new).tolist(), strict=True))
                write_text(path, dumps(known))
            found |= {(name, text): known[text] for text in texts}
            tick(done)
    return found


def _cache_file(kind: str, key: object, suffix: str) -> Path:
    return paths.cache_dir() / kind / f"{sha256_json(key)}.{suffix}"


def _identity(params: Params, source: weights.Source) -> list:
    """What the last bits of a model's answer depend on, beside what it is asked."""
    from polychromic.base.cache import code_fingerprint, environment

    found = [weights.fingerprint(source), params.threads, code_fingerprint(("models", "sample/draw.py", "score/models.py")), environment()]
    loading = getattr(source, "changed", {})  # an encoder has none
    return [*found, loading] if loading else found


def bertscore_f1(candidates: Sequence[str], references: Sequence[str], encoder: Path) -> np.ndarray:
    """BERTScore F1 (Zhang et al. 2020, 1904.09675) of n replies, best over the prompt's references: (n,) float64, not rescaled.

    The encoder is the one whose vectors give semantic diversity: the two are not independent. A candidate without a token has
    neither precision nor recall; it scores 0, as bert_score declares ("Empty candidate sentence detected; setting raw BERTscores
    to 0"), which fails on it under transformers 5 before it gets there. The marks around a text weigh 0, but a token may match one.

    Args:
        encoder: folder of the model.

    Raises PolychromicError: no reference, or one without text.
    """
    check_references(references, "bertscore")
    found = np.zeros(len(candidates))
    if spoken := [i for i, text in enumerate(candidates) if shows(text)]:
        *_, f1 = _scorer(encoder).score([candidates[i] for i in spoken], [list(references)] * len(spoken), batch_size=1)
        found[spoken] = f1.double().numpy()
    return found


@lru_cache(maxsize=1)
def _scorer(encoder: Path):  # noqa: ANN202 - bert_score is imported inside
    from bert_score import BERTScorer

    from polychromic.models.load import usable_positions

    config = read_json(encoder / "config.json")
    layers = min(BERTSCORE_LAYER, config["num_hidden_layers"])
    scorer = BERTScorer(model_type=str(encoder), num_layers=layers, idf=False, device="cpu", rescale_with_baseline=False)
    # The tokenizer's own limit may be a placeholder that overflows; longer texts are cut.
    scorer._tokenizer.model_max_length = usable_positions(scorer._model) or scorer._tokenizer.model_max_length
    return scorer
