"""One door to every metric of the catalogue: what is known of one prompt's replies goes in, a number comes out.

Nothing here samples, embeds or calls a model: vectors, BERTScore and likelihoods come in with the prompt. Replies that lack
what a metric reads are an error that names it, never a 0.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from polychromic.base.errors import PolychromicError
from polychromic.score import diversity, passk, quality
from polychromic.score.catalogue import Metric, metric
from polychromic.score.text import tokenize, tokenizer_signature


@dataclass(frozen=True)
class Prompt:
    """What metrics may read of one prompt's n replies; None where the caller does not have it.

    Attributes:
        samples: (n,) the replies.
        answers: (n,) the valid answer of each reply in canonical form, None for an invalid reply.
        keys: (n,) the form in which two replies are the same.
        references: human replies.
        vectors: (n, d) sentence vectors.
        quality: (n,) q in [0, 1], as the set objective sees it.
        tokens: (n,) generated tokens.
        matches: (n, humans) booleans, draft i matches held-out human reply h.
        pieces: (n,) word-piece ids of each reply. vocabulary: how many pieces there are.
        bertscore: (n,) F1, best over references (polychromic.score.neural).
        log_likelihood: (m, 2) of the first m replies: natural log-probability under the base model and tokens (ditto).
    """

    samples: Sequence[str]
    answers: Sequence[Hashable | None] | None = None
    keys: Sequence[Hashable] | None = None
    references: Sequence[str] | None = None
    vectors: np.ndarray | None = None
    quality: np.ndarray | None = None
    tokens: Sequence[int] | None = None
    matches: np.ndarray | None = None
    pieces: Sequence[Sequence[int]] | None = None
    vocabulary: int | None = None
    bertscore: np.ndarray | None = None
    log_likelihood: np.ndarray | None = None

    @cached_property
    def kernel(self) -> np.ndarray:
        """(n, n) cosines of `vectors`, 1 on the diagonal; made once for all metrics that read it."""
        x = np.asarray(self.vectors, dtype=np.float64)
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        kernel = x @ x.T
        np.fill_diagonal(kernel, 1.0)
        return kernel


def compute(name: str, prompt: Prompt) -> float:
    """The metric of one prompt's replies, in the range that the catalogue declares.

    Raises:
        UsageError: no metric has this name.
        PolychromicError: the prompt lacks what the metric reads, has too few replies, or the metric does not exist for them
            (one-word replies have no bigram).
    """
    declared = metric(name)
    if missing := lacking(name, prompt):
        raise PolychromicError(f"{name}: reads {' and '.join(missing)}, which this input does not have. Add it, or leave {name} out.")
    if declared.family not in FUNCTIONS:
        raise PolychromicError(f"{name}: needs the parameters of training. Allowed here: {', '.join(FUNCTIONS)}.")
    return float(FUNCTIONS[declared.family](prompt, declared))


def lacking(name: str, prompt: Prompt) -> tuple[str, ...]:
    """The fields of `prompt` that the metric reads and that are None."""
    return tuple(field for field in metric(name).needs if getattr(prompt, field) is None)


def _selected(prompt: Prompt, declared: Metric) -> float:
    """Expected validity of the reply that a reader of likelihoods alone picks from k: ties share the pick."""
    k, scored = int(declared.at), len(prompt.log_likelihood)
    if k > scored:
        raise PolychromicError(
            f"{declared.name}: {scored} replies have a likelihood. Allowed: k up to that. Score more of them, or lower k."
        )
    sums, tokens = prompt.log_likelihood[:k].T
    mean = sums / np.maximum(tokens, 1)
    best = np.flatnonzero(mean == mean.max())
    return float(np.mean([prompt.answers[i] is not None for i in best]))


def _perplexity(prompt: Prompt, declared: Metric) -> float:
    total, tokens = prompt.log_likelihood.sum(axis=0)
    if tokens == 0:
        raise PolychromicError("perplexity: none of the replies has a token. Allowed: some text. Check the sampler's output.")
    return float(np.exp(-total / tokens))


def _words(prompt: Prompt, declared: Metric) -> float:
    return float(np.mean([len(tokenize(reply)) for reply in prompt.samples]))


def _ead(prompt: Prompt, declared: Metric) -> float:
    pieces = [piece for reply in prompt.pieces for piece in reply]
    return diversity.ead(len(set(pieces)), len(pieces), prompt.vocabulary)


def _over_replies(score: Callable[[str, tuple[str, ...]], float]) -> Callable[[Prompt, Metric], float]:
    cached = lru_cache(maxsize=200_000)(score)
    return lambda p, m: float(np.mean([cached(reply, tuple(p.references)) for reply in p.samples]))


_rouge_l = lru_cache(maxsize=200_000)(quality.rouge_l)
FUNCTIONS: dict[str, Callable[[Prompt, Metric], float]] = {
    "pass@k": lambda p, m: passk.pass_at_k(len(p.answers), _correct(p), m.at),
    "pass^k": lambda p, m: passk.pass_hat_k(len(p.answers), _correct(p), m.at),
    "cover@tau": lambda p, m: passk.cover_at_tau([_correct(p) / len(p.answers)], m.at),
    "selected@k": _selected,
    "valid_distinct@k": lambda p, m: passk.valid_distinct_at_k(p.answers, m.at),
    "distinct@k": lambda p, m: passk.distinct_at_k(p.keys, m.at),
    "human_recall@k": lambda p, m: passk.human_recall_at_k(p.matches, m.at),
    "best_rouge_l@k": lambda p, m: passk.best_at_k([_rouge_l(reply, tuple(p.references)) for reply in p.samples], m.at),
    "semantic_diversity": lambda p, m: diversity.semantic_diversity(p.vectors),
    "self_bleu": lambda p, m: diversity.self_bleu(p.samples),
    "distinct_n": lambda p, m: diversity.distinct_n(p.samples, m.at),
    "ead": _ead,
    "vendi": lambda p, m: diversity.vendi(p.kernel),
    "vendi_2": lambda p, m: diversity.vendi(p.kernel, q=2.0),
    "effective_diversity": lambda p, m: diversity.effective_diversity(p.quality, 1 - np.minimum(p.kernel, 1)),
    "compression_ratio": lambda p, m: diversity.compression_ratio(p.samples),
    "vocabulary": lambda p, m: diversity.vocabulary_richness(p.samples),
    "rouge_1": _over_replies(quality.rouge_1),
    "rouge_2": _over_replies(quality.rouge_2),
    "rouge_l": lambda p, m: float(np.mean([_rouge_l(reply, tuple(p.references)) for reply in p.samples])),
    "chrf": _over_replies(quality.chrf),
    "bertscore": lambda p, m: float(np.mean(p.bertscore)),
    "perplexity": _perplexity,
    "quality": lambda p, m: float(p.quality.mean()),
    "tokens": lambda p, m: float(np.mean(p.tokens)),
    "words": _words,
}


def _correct(prompt: Prompt) -> int:
    return sum(answer is not None for answer in prompt.answers)


def signature(name: str, encoder: str = "", *, checker: str = "", model: str = "", samples: int | None = None) -> str:
    """What a result must name so that another can repeat it: definition, n or k, tokenizer, smoothing, encoder and layer, versions.

    A function of its arguments and of the packages installed; what only the run knows is passed in, and left out where it is not.

    Args:
        encoder: name of the sentence encoder, for metrics that read its vectors or pieces.
        checker: what decides which replies are valid, for metrics of valid replies: a domain's checker, or
            polychromic.score.people.checker_signature.
        model: name of the base model and its precision, for metrics that read its likelihoods.
        samples: replies per prompt.
    """
    declared = metric(name)
    needs = set(declared.needs)
    parts = [name, _RECIPES[declared.family]() if declared.family in _RECIPES else declared.source]
    if declared.at is not None:
        symbol = {"distinct_n": "n", "cover@tau": "tau"}.get(declared.family, "k")
        parts.append(f"{symbol}:{declared.at:g}")
    if declared.family in ("distinct_n", "vocabulary", "words"):
        parts.append(tokenizer_signature())
    if declared.family == "ead":
        parts.append("tok:word pieces of the encoder")
    known = {
        "encoder": encoder if needs & {"vectors", "pieces", "bertscore"} else "",
        "checker": checker if needs & {"answers", "matches"} else "",
        "model": f"{model}|prompt:zero_shot|end token:counted" if model and "log_likelihood" in needs else "",
        "samples": samples or "",
    }
    return "|".join([*parts, *(f"{field}:{value}" for field, value in known.items() if value)])


_RECIPES: dict[str, Callable[[], str]] = {
    "self_bleu": diversity.self_bleu_signature,
    "compression_ratio": diversity.compression_signature,
    "rouge_1": lambda: quality.rouge_signature("rouge1"),
    "rouge_2": lambda: quality.rouge_signature("rouge2"),
    "rouge_l": quality.rouge_signature,
    "best_rouge_l@k": quality.rouge_signature,
    "chrf": quality.chrf_signature,
    "bertscore": quality.bertscore_signature,
}
