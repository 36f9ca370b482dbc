"""Drafts to the prompts of dev and what they are worth: D over disjoint sets, quality, pass@k. The same for the base and the adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from polychromic.base.seeds import derive_seed
from polychromic.compare import stats
from polychromic.method.objective import evaluate, make_objective
from polychromic.method.sets import checked
from polychromic.score.passk import distinct_at_k, pass_at_k
from polychromic.yours.train.functions import Scoring
from polychromic.yours.train.rows import text_of

DRAFTS = 12  # to each prompt: three sets of four
ROWS = 64  # decoded at once
RESAMPLES = 2_000
OBJECTIVE = "coverage"


@dataclass(frozen=True)
class Measured:
    """Drafts and their worth.

    Attributes:
        rows: {"id", "prompt", "samples", "tokens", "quality", "valid", "references"} of each prompt, as `compare-files` reads them.
        values: name -> (prompts,) "objective" (D, in [0, 1]), "quality" (mean q), "pass@1", "pass@k" and "distinct_good@k" for k = n.
    """

    rows: list[dict[str, Any]]
    values: dict[str, np.ndarray]

    def means(self) -> dict[str, dict[str, float | None]]:
        """name -> {"mean", "low", "high"}: 95 % intervals over prompts, None of a single one."""
        arrays = {name: values[None] for name, values in self.values.items()}
        found = stats.mean_cis(arrays, np.random.default_rng(0), RESAMPLES) if len(self.rows) > 1 else {}
        ends = lambda name: (float(found[name].low), float(found[name].high)) if found else (None, None)
        return {name: dict(zip(("mean", "low", "high"), (float(values.mean()), *ends(name)))) for name, values in self.values.items()}


def dev_prompts(dev: Sequence[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """The distinct prompts of dev, as examples, the first `most`; each with an "id" of its own."""
    first: dict[str, dict[str, Any]] = {}
    for example in dev:
        first.setdefault(text_of(example["prompt"]), example)
    chosen = list(first.values())[:most]
    given = [str(example["row"].get("id", "")).strip() for example in chosen]
    unique = all(given) and len(set(given)) == len(given)
    return [example | {"id": name if unique else f"dev-{number}"} for number, (name, example) in enumerate(zip(given, chosen), start=1)]


def measure(
    model: Any, tokenizer: Any, asked: Sequence[dict[str, Any]], encoded: Sequence[list[int]], scoring: Scoring, *,
    n: int, good: float, max_new_tokens: int, seed: int, what: str, temperature: float = 1.0, min_p: float = 0.0, drafts: int = DRAFTS,
) -> Measured:  # fmt: skip
    """Draw and judge.

    Args: asked, of `dev_prompts`; n, drafts of a set; good, q from which a draft passes; drafts, rounded up to whole sets.

    Raises PolychromicError: a quality or similarity function of the user's fails.
    """
    from polychromic.models.decode import evaluating
    from polychromic.sample.draw import sample_prompts

    drafts = -(-drafts // n) * n
    with evaluating(model):
        drawn = sample_prompts(
            model, tokenizer, encoded, n=drafts, temperature=temperature, min_p=min_p, max_new_tokens=max_new_tokens, rows=ROWS,
            seed=derive_seed(seed, "dev drafts"), what=what,
        )  # fmt: skip
    return judged(asked, [row["samples"] for row in drawn], [row["tokens"] for row in drawn], scoring, n, good)


def judged(
    asked: Sequence[dict[str, Any]], samples: Sequence[list[str]], tokens: Sequence[list[int]], scoring: Scoring, n: int, good: float
) -> Measured:
    """What drafts that exist are worth. Args: samples, tokens: of each prompt, a multiple of n of them."""
    objective = make_objective(OBJECTIVE, n, None)
    rows: list[dict[str, Any]] = []
    values: dict[str, list[float]] = {}
    for example, texts, lengths in zip(asked, samples, tokens, strict=True):
        q, s = checked(scoring.quality, example["row"], texts, 1), checked(scoring.similarity, example["row"], texts, 2)
        sets = len(texts) // n
        blocks = np.stack([s[i * n : (i + 1) * n, i * n : (i + 1) * n] for i in range(sets)])
        valid = [bool(value >= good) for value in q]
        keys = [str(np.flatnonzero(s[i, :] >= 1 - 1e-6)[0]) if valid[i] else None for i in range(len(texts))]
        found = {
            "objective": float(evaluate(objective, q.reshape(sets, n), blocks).mean()), "quality": float(q.mean()),
            "pass@1": pass_at_k(len(texts), sum(valid), 1), f"pass@{n}": pass_at_k(len(texts), sum(valid), n),
            f"distinct_good@{n}": distinct_at_k(keys, n),
        }  # fmt: skip
        for name, value in found.items():
            values.setdefault(name, []).append(float(value))
        rows.append({
            "id": example["id"], "prompt": text_of(example["prompt"]), "samples": texts, "tokens": lengths, "valid": valid,
            "quality": [round(float(value), 6) for value in q], "references": example["row"]["references"],
        })  # fmt: skip
    return Measured(rows, {name: np.array(each) for name, each in values.items()})


def difference(after: Measured, before: Measured, name: str) -> dict[str, float | None]:
    """after - before, paired by prompt: {"mean", "low", "high"}."""
    values = after.values[name] - before.values[name]
    if len(values) < 2:
        return {"mean": float(values.mean()), "low": None, "high": None}
    found = stats.mean_cis({name: values[None]}, np.random.default_rng(0), RESAMPLES)[name]
    return {"mean": float(values.mean()), "low": float(found.low), "high": float(found.high)}
