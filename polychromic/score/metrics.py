"""Every metric, declared once beside the function that computes it: what is known of one prompt's replies goes in, a number comes out.

A metric is one declared function of (p, m), a Prompt and its own Metric; the order of the declarations is the order of tables. A name
with a number is a family's member: "pass@10" is pass@k at k = 10, "cover@0.5" is Cover@tau at tau = .5. Nothing here samples, embeds or
calls a model: vectors, BERTScore and likelihoods come in with the prompt. Replies that lack what a metric reads are an error that names
it, never a 0. Means over prompts are the statistics' business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.method.objective import effective_coverage, evaluate
from polychromic.params import Params
from polychromic.score import diversity, passk, quality
from polychromic.score.text import UNSPACED_SIGNATURE, tokenize, tokenizer_signature


@dataclass(frozen=True)
class Prompt:
    """What metrics may read of one prompt's n replies; None where the caller does not have it."""

    samples: Sequence[str]  # (n,) the replies
    answers: Sequence[Hashable | None] | None = None  # (n,) the valid answer of each in canonical form, None for an invalid reply
    keys: Sequence[Hashable] | None = None  # (n,) the form in which two replies are the same
    references: Sequence[str] | None = None  # human replies
    vectors: np.ndarray | None = None  # (n, d) sentence vectors
    quality: np.ndarray | None = None  # (n,) q in [0, 1], as the set objective sees it
    similarity: np.ndarray | None = None  # (n, n) s in [0, 1], as the set objective sees it
    held_out_quality: np.ndarray | None = None  # (n,) in [0, 1], and (n, n): the same by the domain's judge, which training never sees
    held_out_similarity: np.ndarray | None = None
    tokens: Sequence[int] | None = None  # (n,) generated tokens
    matches: np.ndarray | None = None  # (n, humans) booleans, draft i matches held-out human reply h
    pieces: Sequence[Sequence[int]] | None = None  # (n,) word-piece ids of each reply
    vocabulary: int | None = None  # how many pieces there are
    bertscore: np.ndarray | None = None  # (n,) F1, best over references (polychromic.score.models)
    log_likelihood: np.ndarray | None = None  # (m, 2) of the first m: natural log-probability under the base model, and tokens

    @cached_property
    def kernel(self) -> np.ndarray:
        """(n, n) cosines of `vectors`, 1 on the diagonal; made once for all metrics that read it."""
        x = np.asarray(self.vectors, dtype=np.float64)
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        kernel = x @ x.T
        np.fill_diagonal(kernel, 1.0)
        return kernel

    @property
    def correct(self) -> int:
        """How many replies are valid."""
        return sum(answer is not None for answer in self.answers)


@dataclass(frozen=True)
class Metric:
    """One metric of one prompt's replies. What a declaration leaves out is as in a share of which more is better."""

    name: str  # as params.yaml, scores and command line spell it
    family: str  # the key of FAMILIES: the name, with k, n or tau for the number
    function: Callable[[Prompt, Metric], float] | None  # None where it needs the parameters of training
    label: str  # plain text for figures and tables, {} where the number stands
    source: str  # paper id or definition
    direction: Literal["up", "down", "none"] = "up"  # of what is better; "none": only reported
    low: float | None = 0.0  # None is unbounded
    high: float | Literal["k", "n"] | None = 1.0  # "k" and "n" stand for `at` and for the number of replies
    unit: str = "share"
    percent: bool = False  # printed as value times 100
    decimals: int = 3  # digits after the point, after that
    needs: tuple[str, ...] = ()  # fields of Prompt that it reads beside `samples`
    least: int | Literal["k"] = 1  # replies it needs at least; "k" stands for `at`
    body: bool = False  # stands in the paper's main tables, among them three of diversity; the others stand in its appendix
    of_number: bool = False  # its expected value changes with the number of replies: systems are compared on equally many
    recipe: Callable[[], str] | None = None  # what another needs to repeat it, where that is more than `source`
    tokenizer: Callable[[], str] | None = None  # what it counts as a token
    at: float | None = None  # k, n or tau of the family's member
    symbol: str = ""  # which of these; "" where the family has no number

    def better(self, delta: float) -> bool:
        """Whether a difference a - b of `delta` favours a."""
        return (self.direction == "up" and delta > 0) or (self.direction == "down" and delta < 0)


FAMILIES: dict[str, Metric] = {}


def declare(name: str, label: str, source: str, **about) -> Callable:
    """Declare the decorated function of a Prompt and a Metric as the metric `name`; `about`: the other fields of Metric.

    A name that ends in @k, ^k, @tau or _n is a family's, whose members have a number there.
    """

    def add(function: Callable[[Prompt, Metric], float] | None) -> Callable[[Prompt, Metric], float] | None:
        numbered = re.fullmatch(r".+[@^_](k|tau|n)", name)
        decimals = {"decimals": 1} if about.get("percent") else {}
        FAMILIES[name] = Metric(name, name, function, label, source, symbol=numbered[1] if numbered else "", **decimals | about)
        return function

    return add


@lru_cache(maxsize=1_000_000)  # a system repeats itself, within a prompt and over seeds and temperatures
def _scored(score: Callable[[str, Sequence[str]], float], reply: str, references: tuple[str, ...]) -> float:
    return score(reply, references)


def _likeness(score: Callable[[str, Sequence[str]], float], p: Prompt) -> list[float]:
    """(n,) scores of the replies against the references."""
    return [_scored(score, reply, tuple(p.references)) for reply in p.samples]


def _coverage(q: np.ndarray, s: np.ndarray, k: int) -> float:
    """k times effective coverage (polychromic.method.objective), mean over the disjoint sets of k replies in their order."""
    starts = range(0, len(q) - k + 1, k)
    sets = np.stack([q[i : i + k] for i in starts]), np.stack([s[i : i + k, i : i + k] for i in starts])
    return k * float(evaluate(effective_coverage, *sets).mean())


@declare("pass@k", "pass@{}", "1 - C(n-c,k)/C(n,k); 2107.03374", percent=True, needs=("answers",), least="k", body=True)
def _(p: Prompt, m: Metric) -> float:
    return passk.pass_at_k(len(p.answers), p.correct, m.at)


declare("pass^k", "pass^{}", "C(c,k)/C(n,k); 2406.12045", percent=True, needs=("answers",), least="k")(
    lambda p, m: passk.pass_hat_k(len(p.answers), p.correct, m.at)
)
declare("cover@tau", "Cover@{}", "1 where the share of valid replies is at least tau", percent=True, needs=("answers",), of_number=True)(
    lambda p, m: passk.cover_at_tau([p.correct / len(p.answers)], m.at)
)


@declare("selected@k", "selected of {}", "validity of the reply of highest mean log-likelihood under the base model among the first k",
         percent=True, needs=("answers", "log_likelihood"), least="k")  # fmt: skip
def _(p: Prompt, m: Metric) -> float:
    """Expected validity of the reply that a reader of likelihoods alone picks from k: ties share the pick."""
    if m.at > (scored := len(p.log_likelihood)):
        raise PolychromicError(f"{m.name}: {scored} replies have a likelihood. Allowed: k up to that. Score more of them, or lower k.")
    sums, tokens = p.log_likelihood[: m.at].T
    mean = sums / np.maximum(tokens, 1)
    return np.mean([p.answers[i] is not None for i in np.flatnonzero(mean == mean.max())])


declare("valid_distinct@k", "valid distinct@{}", "expected distinct valid answers among k of n", high="k", unit="answers", decimals=2,
        needs=("answers",), least="k", body=True)(lambda p, m: passk.distinct_at_k(p.answers, m.at))  # fmt: skip
declare("coverage@k", "coverage@{}", "effective coverage of good replies, times k; mean over disjoint sets of k", high="k",
        unit="people's worth of drafts", decimals=2, needs=("quality", "similarity"), least="k", body=True)(
    lambda p, m: _coverage(p.quality, p.similarity, m.at))  # fmt: skip
declare("held_out_coverage@k", "held-out coverage@{}", "the same by the judge that training never sees", high="k",
        unit="people's worth of drafts", decimals=2, needs=("held_out_quality", "held_out_similarity"), least="k")(
    lambda p, m: _coverage(p.held_out_quality, p.held_out_similarity, m.at))  # fmt: skip
declare("held_out_quality", "held-out quality", "mean quality by the judge that training never sees", percent=True,
        needs=("held_out_quality",))(lambda p, m: np.mean(p.held_out_quality))  # fmt: skip
declare("distinct@k", "distinct@{}", "expected distinct replies among k of n", low=1.0, high="k", unit="answers", decimals=2,
        needs=("keys",), least="k", body=True)(lambda p, m: passk.distinct_at_k(p.keys, m.at))  # fmt: skip
declare("human_recall@k", "human recall@{}", "expected share of the held-out human replies that some of k drafts match",
        percent=True, needs=("matches",), least="k", body=True)(lambda p, m: passk.human_recall_at_k(p.matches, m.at))  # fmt: skip
declare("best_rouge_l@k", "best ROUGE-L of {}", "sum_j x_(j) C(j-1,k-1)/C(n,k) of ROUGE-L", unit="F-measure", needs=("references",),
        least="k", recipe=quality.rouge_signature)(lambda p, m: passk.best_at_k(_likeness(quality.rouge_l, p), m.at))  # fmt: skip
declare("semantic_diversity", "semantic diversity", "mean over pairs of 1 - cosine", high=None, unit="1 - cosine", needs=("vectors",),
        least=2, body=True)(lambda p, m: diversity.semantic_diversity(p.vectors))  # fmt: skip
declare("self_bleu", "Self-BLEU", "1802.01886, effective order", direction="down", unit="BLEU", least=2, body=True, of_number=True,
        recipe=lambda: f"self-bleu-4|refs:all others|order:effective|smooth:method1(.1)|{tokenizer_signature()}")(
    lambda p, m: diversity.self_bleu(p.samples))  # fmt: skip
declare("distinct_n", "distinct-{}", "1510.03055, within replies", unit="n-grams/n-grams", of_number=True, tokenizer=tokenizer_signature)(
    lambda p, m: diversity.distinct_n(p.samples, m.at)
)


@declare("ead", "EAD", "2202.13587, word pieces of the encoder", high=None, unit="tokens/expected tokens", needs=("pieces", "vocabulary"),
         of_number=True, tokenizer=lambda: f"tok:word pieces of the encoder|{UNSPACED_SIGNATURE}")  # fmt: skip
def _(p: Prompt, m: Metric) -> float:
    pieces = [piece for reply in p.pieces for piece in reply]
    return diversity.ead(len(set(pieces)), len(pieces), p.vocabulary)


declare("vendi", "Vendi", "2210.02410, cosine kernel, q = 1", low=1.0, high="n", unit="replies", decimals=2, needs=("vectors",),
        of_number=True)(lambda p, m: diversity.vendi(p.kernel))  # fmt: skip
declare("vendi_2", "Vendi (q = 2)", "2310.12952, cosine kernel, q = 2", low=1.0, high="n", unit="replies", decimals=2,
        needs=("vectors",), of_number=True)(lambda p, m: diversity.vendi(p.kernel, q=2.0))  # fmt: skip
declare("effective_diversity", "effective diversity", "mean over pairs of q q' (1 - cosine)", high=2.0, unit="q q' (1 - cosine)",
        needs=("quality", "vectors"), least=2)(
    lambda p, m: diversity.effective_diversity(p.quality, 1 - np.minimum(p.kernel, 1)))  # fmt: skip
declare("compression_ratio", "compression ratio", "2403.00553, gzip of one prompt's replies", direction="down", high=None,
        unit="bytes/bytes", of_number=True, recipe=diversity.compression_signature)(
    lambda p, m: diversity.compression_ratio(p.samples))  # fmt: skip
declare("vocabulary", "vocabulary richness", "Guiraud 1954: distinct tokens / sqrt(tokens)", high=None, unit="distinct/sqrt(tokens)",
        decimals=2, of_number=True, tokenizer=tokenizer_signature)(lambda p, m: diversity.vocabulary_richness(p.samples))  # fmt: skip
declare("rouge_1", "ROUGE-1", "Lin 2004, best over references", unit="F-measure", needs=("references",),
        recipe=lambda: quality.rouge_signature("rouge1"))(lambda p, m: np.mean(_likeness(quality.rouge_1, p)))  # fmt: skip
declare("rouge_2", "ROUGE-2", "Lin 2004, best over references; does not exist where neither side has a bigram", unit="F-measure",
        needs=("references",), recipe=lambda: quality.rouge_signature("rouge2"))(
    lambda p, m: np.mean(_likeness(quality.rouge_2, p)))  # fmt: skip
declare("rouge_l", "ROUGE-L", "Lin 2004, best over references", unit="F-measure", needs=("references",), recipe=quality.rouge_signature)(
    lambda p, m: np.mean(_likeness(quality.rouge_l, p))
)
declare("chrf", "chrF", "Popovic 2015, best over references", unit="F2-measure", needs=("references",), recipe=quality.chrf_signature)(
    lambda p, m: np.mean(_likeness(quality.chrf, p))
)
declare("bertscore", "BERTScore F1", "1904.09675, best over references", low=None, unit="F-measure", needs=("bertscore",),
        recipe=quality.bertscore_signature)(lambda p, m: np.mean(p.bertscore))  # fmt: skip


@declare("perplexity", "perplexity (base)", "exp of minus the mean log-likelihood per token under the base model", direction="down",
         low=1.0, high=None, unit="1/token", decimals=1, needs=("log_likelihood",))  # fmt: skip
def _(p: Prompt, m: Metric) -> float:
    total, tokens = p.log_likelihood.sum(axis=0)
    if tokens == 0:
        raise PolychromicError("perplexity: none of the replies has a token. Allowed: some text. Check the sampler's output.")
    return np.exp(-total / tokens)


declare("quality", "training quality q", "mean q of the replies, as training sees it", needs=("quality",))(lambda p, m: p.quality.mean())
declare("tokens", "tokens", "mean number of generated tokens", direction="none", high=None, unit="tokens", decimals=1,
        needs=("tokens",), body=True)(lambda p, m: np.mean(p.tokens))  # fmt: skip
declare("words", "words", "mean number of words", direction="none", high=None, unit="words", decimals=1, tokenizer=tokenizer_signature)(
    lambda p, m: np.mean([len(tokenize(reply)) for reply in p.samples])
)
declare("objective", "set objective D", "D of the headline method over disjoint sets of N", unit="share of N", needs=("quality",))(None)


@lru_cache
def metric(name: str) -> Metric:
    """The metric that a name means, its number bound.

    Raises UsageError: no metric has this name, or its number is out of range (k, n: 1 or more, whole; tau: above 0, at most 1).
    """
    if name in FAMILIES and not FAMILIES[name].symbol:
        return FAMILIES[name]
    found = re.fullmatch(r"(.+?[@^_])(\d+(?:\.\d+)?)", name)
    family = next((one for one in FAMILIES.values() if found and one.symbol and one.name == found[1] + one.symbol), None)
    if family is None:
        raise UsageError(f"metric {name!r} does not exist. Allowed: {', '.join(FAMILIES)}, with a number for k, n and tau.")
    at, tau = float(found[2]), family.symbol == "tau"
    if not (0 < at <= 1 if tau else 1 <= at < 1e6 and found[2].isdigit()):
        allowed, such = ("tau above 0 and at most 1", "0.5") if tau else ("a whole number from 1 to 999999", "10")
        raise UsageError(f"metric {name[:80]!r} has {found[2][:80]}. Allowed: {allowed}, such as {found[1]}{such}.")
    at = at if tau else int(at)
    bound = {field: at if getattr(family, field) == "k" else getattr(family, field) for field in ("high", "least")}
    return replace(family, name=name, label=family.label.format(found[2]), at=at, **bound)


def compute(name: str, prompt: Prompt) -> float:
    """The metric of one prompt's replies, in the range that it declares.

    Raises UsageError: no metric has this name. PolychromicError: the prompt lacks what the metric reads or has too few replies, or the
    metric does not exist for them (one-word replies have no bigram).
    """
    declared = metric(name)
    if missing := lacking(name, prompt):
        raise PolychromicError(f"{name}: reads {' and '.join(missing)}, which this input does not have. Add it, or leave {name} out.")
    if len(prompt.samples) < declared.least:
        allowed = f"{declared.least} or more of one prompt. Sample the prompt more often, or lower k."
        raise PolychromicError(f"{name}: got {len(prompt.samples)} replies. Allowed: {allowed}")
    if declared.function is None:
        allowed = ", ".join(family for family, known in FAMILIES.items() if known.function)
        raise PolychromicError(f"{name}: needs the parameters of training. Allowed here: {allowed}.")
    return float(declared.function(prompt, declared))


def lacking(name: str, prompt: Prompt) -> tuple[str, ...]:
    """The fields of `prompt` that the metric reads and that are None."""
    return tuple(field for field in metric(name).needs if getattr(prompt, field) is None)


def check_metrics(params: Params) -> None:
    """Raises UsageError that lists every name under a domain's `metrics` that is none, and `objective`, which is always computed."""
    problems = []
    for domain in params.domains:
        for name in params.domain(domain).metrics:
            try:
                if metric(name).family == "objective":
                    problems.append(f"  {domain}.metrics: objective is always computed; leave it out")
            except UsageError as error:
                problems.append(f"  {domain}.metrics: {error}")
    if problems:
        raise UsageError(f"params.yaml: {len(problems)} error(s):\n" + "\n".join(problems))


def signature(name: str, encoder: str = "", *, checker: str = "", model: str = "", samples: int | None = None) -> str:
    """What a result must name so that another can repeat it: definition, n or k, tokenizer, smoothing, encoder and layer, versions.

    A function of its arguments and of the packages installed; what only the run knows is passed in, and left out where it is not: names of
    the sentence encoder, of what decides which replies are valid (a domain's checker, or polychromic.score.people.checker_signature) and of
    the base model with its precision, for the metrics that read them, and the number of replies per prompt.
    """
    declared, needs = metric(name), set(metric(name).needs)
    parts = [name, declared.recipe() if declared.recipe else declared.source]
    parts += [f"{declared.symbol}:{declared.at:g}"] if declared.symbol else []
    parts += [declared.tokenizer()] if declared.tokenizer else []
    known = {
        "encoder": encoder if needs & {"vectors", "pieces", "bertscore"} else "",
        "checker": checker if needs & {"answers", "matches"} else "",
        "model": f"{model}|prompt:zero_shot|end token:counted" if model and "log_likelihood" in needs else "",
        "samples": samples or "",
    }
    return "|".join([*parts, *(f"{field}:{value}" for field, value in known.items() if value)])
