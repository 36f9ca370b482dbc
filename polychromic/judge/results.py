"""What the store says of the questions: per judge and contrast, and how far judges agree. From records alone: no service, no key.

A question that was asked in both orders is a win of a system where both orders prefer it, and else a tie (the conservative rule); its score
is the mean over the orders of 1 (a is preferred), .5 (tie) and 0. A question of which an order has no verdict is missing: it is in no rate,
and the bounds say what it could change. A person is asked in one order alone, whose verdict then is the question's; what a person was not
asked, or has not answered, is no part of that person's results.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from polychromic.base.errors import PolychromicError
from polychromic.base.io import sha256_json
from polychromic.base.seeds import derive_seed
from polychromic.judge import stats
from polychromic.judge.prompt import system_text, user_text
from polychromic.judge.providers import PERSON, request
from polychromic.judge.questions import Asked, Question, in_order, once
from polychromic.judge.rubric import Rubric
from polychromic.judge.store import Store
from polychromic.judge.verdicts import Verdict, read
from polychromic.yours.review.results import kappa

OUTCOMES = ("win", "tie", "loss")  # of a
ESTIMATES = (*OUTCOMES, "score", "length_controlled", "length_slope")
Key = tuple[str, str, str, str]  # domain, a, b, kind
WORTH = {"win": 1.0, "tie": 0.5, "loss": 0.0}


class Judge(NamedTuple):
    """Who answers: a model of a service, or a person under a name."""

    provider: str
    model: str

    @property
    def person(self) -> bool:
        return self.provider == PERSON


@dataclass(frozen=True)
class Plan:
    """What is to be asked. rubrics: domain -> its rubric. repeats: questions that a model is asked once more, for its stability."""

    questions: Sequence[Question]
    rubrics: Mapping[str, Rubric]
    seed: int
    repeats: int = 0
    _keyed: dict[Judge, list[tuple[Asked, str]]] = field(default_factory=dict, repr=False)

    def keyed(self, judge: Judge) -> list[tuple[Asked, str]]:
        """What is asked, with the keys of the calls; reckoned once."""
        if judge not in self._keyed:
            self._keyed[judge] = [(one, sha256_json(self.request(judge, one))) for one in self.asks(judge)]
        return self._keyed[judge]

    def asks(self, judge: Judge) -> list[Asked]:
        """In the order in which they are asked."""
        return once(self.questions, self.seed, judge.model) if judge.person else in_order(self.questions, self.seed, self.repeats)

    def request(self, judge: Judge, asked: Asked) -> dict[str, Any]:
        system = system_text(self.rubrics[asked.question.domain], asked.question.kind)
        return request(judge.provider, judge.model, system, user_text(asked), asked.repeat)

    def requests(self, judge: Judge) -> list[dict[str, Any]]:
        return [self.request(judge, one) for one in self.asks(judge)]


@dataclass(frozen=True)
class Answers:
    """A judge's verdicts: by question and side shown first, per repeat; and the records behind them."""

    judge: Judge
    verdicts: Mapping[Asked, Verdict]
    records: Sequence[Mapping[str, Any]]

    def outcome(self, one: Question, repeat: int = 0) -> str | None:
        """ "win", "tie" or "loss" of a; None where a verdict is missing."""
        if one.identical:
            return "tie"
        sides = ("a",) if Asked(one, "a", repeat) in self.verdicts else ()
        sides += ("b",) if Asked(one, "b", repeat) in self.verdicts else ()
        found = [preferred(self.verdicts[Asked(one, side, repeat)], side) for side in sides]
        if not found or None in found:
            return None
        return found[0] if len(set(found)) == 1 else "tie"

    def score(self, one: Question) -> float:
        """Mean over the orders, NaN where a verdict is missing."""
        if one.identical:
            return 0.5
        found = [preferred(self.verdicts[key], side) for side in ("a", "b") if (key := Asked(one, side)) in self.verdicts]
        return float(np.mean([WORTH[each] for each in found])) if found and None not in found else float("nan")


def preferred(verdict: Verdict, first: str) -> str | None:
    """An order's verdict about a: "win", "tie", "loss"; None where there is none."""
    if verdict.value in (None, "tie"):
        return verdict.value
    return "win" if (verdict.value == "first") == (first == "a") else "loss"


def answers(plan: Plan, judge: Judge, store: Store) -> Answers:
    """What the store holds of a judge's calls; those that it does not hold are missing as "not asked". A person's questions that were not
    answered are no part of it."""
    found, records = {}, []
    for asked, key in plan.keyed(judge):
        held = store[key] if key in store else None
        if held is None and judge.person:
            continue
        found[asked] = read(held)
        records += [held] if held else []
    return Answers(judge, found, records)


def check_complete(plan: Plan, judge: Judge, store: Store) -> None:
    """Raises PolychromicError: the store lacks a call of the plan (mode replay)."""
    keys = [key for _, key in plan.keyed(judge)]
    if missing := [key for key in keys if key not in store]:
        raise PolychromicError(
            f"{store.path}: holds {len(keys) - len(missing):,} of {len(keys):,} calls of {judge.model}; the first that it lacks is "
            f"{missing[0][:12]}. Allowed in replay: all. Run without --mode replay to make them, or restore file, replies and rubric."
        )


def document(plan: Plan, found: Sequence[Answers], seed: int, n_boot: int = 10_000, confidence: float = 0.95) -> dict[str, Any]:
    """All results: {"judges": [see `_judge`], "agreement": [see `_agreement`], "addressed": questions with a reply that speaks to the
    judge, "questions": how many}."""
    groups: dict[Key, list[Question]] = {}
    for one in plan.questions:
        groups.setdefault(_key(one), []).append(one)
    return {
        "questions": len(plan.questions),
        "addressed": sorted(one.name for one in plan.questions if one.addresses),
        "judges": [_judge(each, groups, seed, n_boot, confidence) for each in found],
        "agreement": [row for x, y in combinations(found, 2) for row in _agreement(x, y, groups)],
    }


def _judge(of: Answers, groups: Mapping, seed: int, n_boot: int, confidence: float) -> dict[str, Any]:
    days = sorted({one["day"] for one in of.records})
    usage = {name: sum(one["usage"][name] for one in of.records) for name in ("input", "output")}
    return {
        "judge": of.judge.model,
        "provider": of.judge.provider,
        "calls": len(of.records),
        "dollars": sum(one["dollars"] for one in of.records),
        "tokens": usage,
        "days": days[:1] + days[1:][-1:],
        "answered_by": sorted({one["reply"]["model"] for one in of.records if one["reply"].get("model")}),
        "stability": _stability(of),
        "contrasts": [_contrast(of, key, questions, seed, n_boot, confidence) for key, questions in groups.items()],
    }


def _contrast(of: Answers, key: Key, questions: Sequence[Question], seed: int, n_boot: int, confidence: float) -> dict[str, Any]:
    """One contrast and kind.

    Returns: {"domain", "a", "b", "kind", "questions", "prompts", "seeds", "identical": questions with the same texts on both sides,
    "scored": questions with all verdicts, "missing": {reason: calls}, "win", "tie", "loss", "score": of a, "length_controlled": of a
    at equal length, "length_slope", each {"value", "low", "high"} or None where nothing is scored, "bounds": [worst, best] score if all
    that is missing goes against a, or to a; "consistency": {"agree", "both", "share"} of questions asked in both orders, "first": {"n",
    "share"}, how often the one that is shown first is preferred among verdicts that prefer one}.
    """
    domain, a, b, kind = key
    if of.judge.person:
        questions = [one for one in questions if any(Asked(one, side) in of.verdicts for side in ("a", "b"))]
    verdicts = {one: verdict for one, verdict in of.verdicts.items() if one.repeat == 0 and _key(one.question) == key}
    seeds, ids = sorted({one.seed for one in questions}), sorted({one.id for one in questions})
    place = {(one.seed, one.id): one for one in questions}
    cells = [place.get((s, name)) for s in seeds for name in ids]
    outcomes = [None if one is None else of.outcome(one) for one in cells]
    scores = np.array([np.nan if one is None else of.score(one) for one in cells])
    scored = int(np.sum(~np.isnan(scores)))
    missing = Counter(verdict.reason for verdict in verdicts.values() if verdict.value is None)
    about = {
        "domain": domain, "a": a, "b": b, "kind": kind, "questions": len(questions), "prompts": len(ids), "seeds": len(seeds),
        "identical": sum(one.identical for one in questions), "scored": scored, "missing": dict(sorted(missing.items())),
        **_order(verdicts),
    }  # fmt: skip
    if not scored:
        return about | dict.fromkeys(ESTIMATES) | {"bounds": [0.0, 1.0] if questions else None}
    lacks = len(questions) - scored
    rates = [[np.nan if outcome is None else float(outcome == what) for outcome in outcomes] for what in OUTCOMES]
    values = np.array([*rates, scores])
    lengths = np.array([0 if one is None else one.length["a"] - one.length["b"] for one in cells], dtype=float)
    feature, there = np.zeros(len(cells)), ~np.isnan(scores)
    feature[there] = stats.length_feature(lengths[there])
    means = stats.weighted_means(values)
    both = lambda w: np.concatenate([means(w), stats.length_controlled(scores, feature, w)], axis=1)
    point = both(np.ones((1, len(cells))))[0]
    rng = np.random.default_rng(derive_seed(seed, "judge-bootstrap", *key))
    low, high = stats.bootstrap(both, (len(seeds), len(ids)), rng, n_boot, confidence)
    ends = zip(ESTIMATES, point, low, high, strict=True)
    estimates = {name: {"value": float(v), "low": float(lo), "high": float(hi)} for name, v, lo, hi in ends}
    total = float(np.nansum(scores))
    return about | estimates | {"bounds": [total / len(questions), (total + lacks) / len(questions)]}


def _key(one: Question) -> Key:
    return one.domain, one.a, one.b, one.kind


def _order(verdicts: Mapping[Asked, Verdict]) -> dict[str, Any]:
    """Position consistency and first-position preference."""
    pairs = [
        (preferred(verdict, "a"), preferred(other, "b"))
        for one, verdict in verdicts.items()
        if one.first == "a" and (other := verdicts.get(one._replace(first="b"))) and None not in (verdict.value, other.value)
    ]
    agree, decided = sum(x == y for x, y in pairs), [v.value for v in verdicts.values() if v.value in ("first", "second")]
    share = lambda part, whole: part / whole if whole else None
    return {
        "consistency": {"agree": agree, "both": len(pairs), "share": share(agree, len(pairs))},
        "first": {"n": len(decided), "share": share(decided.count("first"), len(decided))},
    }


def _stability(of: Answers) -> dict[str, Any]:
    """Of questions asked again in the same order: how many verdicts are the same. Calls without a verdict are left out."""
    pairs = [(of.verdicts[one._replace(repeat=0)].value, again.value) for one, again in of.verdicts.items() if one.repeat]
    pairs = [pair for pair in pairs if None not in pair]
    same = sum(x == y for x, y in pairs)
    return {"n": len(pairs), "same": same, "share": same / len(pairs) if pairs else None}


def _agreement(x: Answers, y: Answers, groups: Mapping) -> list[dict[str, Any]]:
    """Cohen's kappa of two judges over the questions that both answered (win, tie, loss of a), per contrast and kind and, where there are
    several, over all; questions with identical sides, which nobody was asked, are left out."""
    rows, total = [], np.zeros((3, 3))
    for (domain, a, b, kind), questions in groups.items():
        table = np.zeros((3, 3))
        for one in questions:
            pair = (x.outcome(one), y.outcome(one))
            if not one.identical and None not in pair:
                table[OUTCOMES.index(pair[0]), OUTCOMES.index(pair[1])] += 1
        total += table
        rows.append({"domain": domain, "a": a, "b": b, "kind": kind} | _compared(table))
    if len(rows) > 1:
        rows.append({"domain": "all", "a": "", "b": "", "kind": "all"} | _compared(total))
    names = {"judges": [x.judge.model, y.judge.model]}
    return [names | row for row in rows if row["n"]]


def _compared(table: np.ndarray) -> dict[str, Any]:
    n = int(table.sum())
    return {"n": n, "table": table.astype(int).tolist()} | ({"same": float(np.trace(table) / n), "kappa": kappa(table)} if n else {})


def judges(plan: Plan, store: Store) -> list[Judge]:
    """Everybody of whom the store holds an answer to a question of the plan; models first."""
    there = [Judge(*one) for one in store.judges()]
    answering = [one for one in there if any(key in store for _, key in plan.keyed(one))]
    return sorted(answering, key=lambda one: one.person)
