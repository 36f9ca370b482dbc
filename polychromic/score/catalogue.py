"""What every metric is: direction, range, unit, what it reads, and where it is defined. Declared here once, used everywhere.

Declarations alone; polychromic.score.compute has the functions, and tables and figures ask here for directions and
decimals. A name with a number is a family's member: "pass@10" is pass@k at k = 10, "distinct_2" is distinct-n at n = 2,
"cover@0.5" is Cover@tau at tau = .5. Every value is one prompt's; means over prompts are the statistics' business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from polychromic.base.errors import UsageError

Need = Literal["answers", "keys", "references", "vectors", "quality", "tokens", "matches", "pieces", "bertscore", "log_likelihood"]


@dataclass(frozen=True)
class Metric:
    """One metric of one prompt's replies.

    Attributes:
        name: as params.yaml, scores and command line spell it. family: the key of FAMILIES; equal to the name without number.
        at: k, n or tau of the family's member; None where the family has none.
        label: plain text for figures and tables.
        direction: "up" when more is better, "down" when less is, "none" when it is only reported.
        low, high: the range of its values; None is unbounded. "k" and "n" stand for `at` and for the number of replies.
        unit: of a value; "share" is printed in per cent where `percent`.
        decimals: digits after the point, after scaling by 100 where `percent`.
        needs: fields of polychromic.score.compute.Prompt that it reads beside `samples`.
        least: replies it needs at least; "k" stands for `at`.
        body: stands in the paper's main tables, among them three of diversity; the others stand in its appendix.
        source: paper id or definition.
    """

    name: str
    family: str
    label: str
    direction: Literal["up", "down", "none"]
    low: float | None
    high: float | Literal["k", "n"] | None
    unit: str
    decimals: int
    source: str
    needs: tuple[Need, ...] = ()
    least: int | Literal["k"] = 1
    percent: bool = False
    body: bool = False
    at: float | None = None

    def better(self, delta: float) -> bool:
        """Whether a difference a - b of `delta` favours a."""
        return (self.direction == "up" and delta > 0) or (self.direction == "down" and delta < 0)


def _share(name: str, label: str, source: str, **more) -> Metric:
    return Metric(name, name, label, "up", 0.0, 1.0, "share", 1, source, percent=True, **more)


_DECLARED = (
    _share("pass@k", "pass@{}", "1 - C(n-c,k)/C(n,k); 2107.03374", needs=("answers",), least="k", body=True),
    _share("pass^k", "pass^{}", "C(c,k)/C(n,k); 2406.12045", needs=("answers",), least="k"),
    _share("cover@tau", "Cover@{}", "1 where the share of valid replies is at least tau", needs=("answers",)),
    _share("selected@k", "selected of {}", "validity of the reply of highest mean log-likelihood under the base model among the first k",
           needs=("answers", "log_likelihood"), least="k"),
    Metric("valid_distinct@k", "valid_distinct@k", "valid distinct@{}", "up", 0.0, "k", "answers", 2,
           "expected distinct valid answers among k of n",
           needs=("answers",), least="k", body=True),
    Metric("distinct@k", "distinct@k", "distinct@{}", "up", 1.0, "k", "answers", 2, "expected distinct replies among k of n",
           needs=("keys",),
           least="k", body=True),
    _share("human_recall@k", "human recall@{}", "expected share of the held-out human replies that some of k drafts match",
           needs=("matches",), least="k", body=True),
    Metric("best_rouge_l@k", "best_rouge_l@k", "best ROUGE-L of {}", "up", 0.0, 1.0, "F-measure", 3,
           "sum_j x_(j) C(j-1,k-1)/C(n,k) of ROUGE-L",
           needs=("references",), least="k"),
    Metric("semantic_diversity", "semantic_diversity", "semantic diversity", "up", 0.0, None, "1 - cosine", 3,
           "mean over pairs of 1 - cosine",
           needs=("vectors",), least=2, body=True),
    Metric("self_bleu", "self_bleu", "Self-BLEU", "down", 0.0, 1.0, "BLEU", 3, "1802.01886, effective order", least=2, body=True),
    Metric("distinct_n", "distinct_n", "distinct-{}", "up", 0.0, 1.0, "n-grams/n-grams", 3, "1510.03055, within replies"),
    Metric("ead", "ead", "EAD", "up", 0.0, None, "tokens/expected tokens", 3, "2202.13587, word pieces of the encoder", needs=("pieces",)),
    Metric("vendi", "vendi", "Vendi", "up", 1.0, "n", "replies", 2, "2210.02410, cosine kernel, q = 1", needs=("vectors",)),
    Metric("vendi_2", "vendi_2", "Vendi (q = 2)", "up", 1.0, "n", "replies", 2, "2310.12952, cosine kernel, q = 2", needs=("vectors",)),
    Metric("effective_diversity", "effective_diversity", "effective diversity", "up", 0.0, 2.0, "q q' (1 - cosine)", 3,
           "mean over pairs of q q' (1 - cosine)", needs=("quality", "vectors"), least=2),
    Metric("compression_ratio", "compression_ratio", "compression ratio", "down", 0.0, None, "bytes/bytes", 3,
           "2403.00553, gzip of one prompt's replies"),
    Metric("vocabulary", "vocabulary", "vocabulary richness", "up", 0.0, None, "distinct/sqrt(tokens)", 2,
           "Guiraud 1954: distinct tokens / sqrt(tokens)"),
    Metric("rouge_1", "rouge_1", "ROUGE-1", "up", 0.0, 1.0, "F-measure", 3, "Lin 2004, best over references", needs=("references",)),
    Metric("rouge_2", "rouge_2", "ROUGE-2", "up", 0.0, 1.0, "F-measure", 3,
           "Lin 2004, best over references; does not exist where neither side has a bigram", needs=("references",)),
    Metric("rouge_l", "rouge_l", "ROUGE-L", "up", 0.0, 1.0, "F-measure", 3, "Lin 2004, best over references", needs=("references",)),
    Metric("chrf", "chrf", "chrF", "up", 0.0, 1.0, "F2-measure", 3, "Popovic 2015, best over references", needs=("references",)),
    Metric("bertscore", "bertscore", "BERTScore F1", "up", None, 1.0, "F-measure", 3, "1904.09675, best over references",
           needs=("bertscore",)),
    Metric("perplexity", "perplexity", "perplexity (base)", "down", 1.0, None, "1/token", 1,
           "exp of minus the mean log-likelihood per token under the base model",
           needs=("log_likelihood",)),
    Metric("quality", "quality", "training quality q", "up", 0.0, 1.0, "share", 3, "mean q of the replies, as training sees it",
           needs=("quality",)),
    Metric("tokens", "tokens", "tokens", "none", 0.0, None, "tokens", 1, "mean number of generated tokens", needs=("tokens",), body=True),
    Metric("words", "words", "words", "none", 0.0, None, "words", 1, "mean number of words"),
    Metric("objective", "objective", "set objective D", "up", 0.0, 1.0, "share of N", 3,
           "D of the headline method over disjoint sets of N", needs=("quality",)),
)  # fmt: skip
FAMILIES: dict[str, Metric] = {metric.name: metric for metric in _DECLARED}
_MEMBER = re.compile(r"(?P<stem>.+?)(?P<mark>[@^_])(?P<at>\d+(?:\.\d+)?)")
_NUMBERED = {"pass@": "pass@k", "pass^": "pass^k", "cover@": "cover@tau", "valid_distinct@": "valid_distinct@k", "distinct@": "distinct@k",
             "human_recall@": "human_recall@k", "selected@": "selected@k", "best_rouge_l@": "best_rouge_l@k",
           "distinct_": "distinct_n"}  # fmt: skip


@lru_cache
def metric(name: str) -> Metric:
    """The metric that a name means, its number bound.

    Raises:
        UsageError: no metric has this name, or its number is out of range (k, n: 1 or more, whole; tau: above 0, at most 1).
    """
    if name in FAMILIES and name not in _NUMBERED.values():
        return FAMILIES[name]
    found = _MEMBER.fullmatch(name)
    family = _NUMBERED.get(found["stem"] + found["mark"]) if found else None
    if family is None:
        raise UsageError(f"metric {name!r} does not exist. Allowed: {', '.join(FAMILIES)}, with a number for k, n and tau.")
    at = float(found["at"])
    fits = 0 < at <= 1 if family == "cover@tau" else at >= 1 and at == int(at) and "." not in found["at"]
    if not fits:
        allowed = "tau above 0 and at most 1" if family == "cover@tau" else "a whole number of 1 or more"
        raise UsageError(
            f"metric {name!r} has {found['at']}. Allowed: {allowed}, such as {family.replace('tau', '0.5').replace('k', '10')}."
        )
    declared = FAMILIES[family]
    number = at if family == "cover@tau" else int(at)
    high = number if declared.high == "k" else declared.high
    least = number if declared.least == "k" else declared.least
    return replace(declared, name=name, label=declared.label.format(found["at"]), at=number, high=high, least=least)
