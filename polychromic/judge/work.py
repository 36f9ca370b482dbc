"""A judgement from questions to results: what it would cost, the calls, the document. `polychromic judge` is made of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polychromic.base.errors import PolychromicError
from polychromic.base.io import sha256_json, write_json
from polychromic.base.locks import single_writer
from polychromic.judge import cost, results
from polychromic.judge.ask import Run
from polychromic.judge.models import Price, parse_price, price_of, table
from polychromic.judge.providers import ANTHROPIC, Batching, Provider
from polychromic.judge.results import Judge, Plan
from polychromic.judge.store import Store

CALLS, DOCUMENT = "calls.jsonl", "judge.json"  # of --out


@dataclass(frozen=True)
class Settings:
    """How calls are made. budget: dollars of all calls of a judge in the store. price: IN,OUT; None: the model's of models.yaml.
    jobs: direct calls at once. again: whether what failed is asked anew."""

    budget: float = 5.0
    price: str | None = None
    direct: bool = False
    jobs: int = 4
    again: bool = False


def price(judge: Judge, given: str | None) -> Price:
    """Raises UsageError: a model of Anthropic whose price is not known. Another service's is 0 where none is given."""
    if given is not None:
        return parse_price(given)
    return price_of(judge.model) if judge.provider == ANTHROPIC else Price(0.0, 0.0)


def estimates(plan: Plan, judge: Judge, store: Store, settings: Settings) -> dict[str, Any]:
    """What the calls that the store does not hold would take.

    Returns: {"model", "prices", "batch", "spent": dollars, "measured": what the expected one rests on or None, "too_long": calls that the
    prices may not hold for, "contrasts": [{"contrast", "calls", "held", "input", "output", "dollars"}], "total": the same}; tokens and
    dollars are (low, expected, high). Raises UsageError: no price.
    """
    costs, batch = price(judge, settings.price), judge.provider == ANTHROPIC and not settings.direct
    known = cost.measured(store, judge.provider, judge.model)
    groups: dict[str, list] = {}
    for asked in plan.asks(judge):
        one = asked.question
        groups.setdefault(f"{one.domain}: {one.a} - {one.b}, {one.kind}", []).append(plan.request(judge, asked))
    todo = {name: [one for one in requests if sha256_json(one) not in store] for name, requests in groups.items()}
    whole = [one for requests in todo.values() for one in requests]
    row = lambda name, requests, held: {"contrast": name, "held": held} | asdict(cost.estimate(requests, costs, batch, known))
    return {
        "model": judge.model,
        "prices": {"input": costs.input, "output": costs.output, "batch": costs.batch, "checked": costs.checked},
        "batch": batch,
        "spent": cost.spent(store, judge.provider, judge.model),
        "measured": None if known is None else {"bytes_per_token": known.bytes, "tokens_per_answer": known.answer},
        "too_long": sum(cost.longest(one) for one in whole),
        "contrasts": [row(name, requests, len(groups[name]) - len(requests)) for name, requests in todo.items()],
        "total": row("all", whole, sum(map(len, groups.values())) - len(whole)),
    }


def ask(plan: Plan, provider: Provider, store: Store, settings: Settings, say: Callable[[str], None]) -> str:
    """Make the calls that the store lacks, with what they are expected to cost said before; why some were not made, "" where none is left.

    Raises PolychromicError: another process writes the store, or the service cannot be used (what came back until then is kept).
    """
    judge = Judge(provider.name, provider.model)
    costs = price(judge, settings.price)
    with nullcontext() if store.path is None else single_writer(store.path, wait_seconds=1.0):
        store.reread()  # first: what another process appended since must not be cut off
        store.check_place()
        foreseen = estimates(plan, judge, store, settings)
        low, expected, high = (total := foreseen["total"])["dollars"]
        if foreseen["too_long"] and settings.price is None and judge.provider == ANTHROPIC:
            most = f"{table()['longest_prompt']:,} tokens that the price of {judge.model} holds for"
            what = f"{foreseen['too_long']} calls may be longer than the {most}"
            raise PolychromicError(f"{what}. Allowed: shorter replies, or --price IN,OUT with what such calls cost. Give one of them.")
        if total["calls"]:
            about = f"{total['calls']:,} calls, expected ${expected:.2f} (${low:.2f} to ${high:.2f})"
            say(f"{judge.model}: {about}, {total['held']:,} are in the store; the budget is ${settings.budget:.2f}")
        run = Run(provider, store, costs, settings.budget, settings.jobs, settings.again, say)
        make = run.direct if settings.direct or not isinstance(provider, Batching) else run.batches
        done = make(plan.requests(judge), f"judge {judge.model}")
    return f"{judge.model}: {done.stopped}" if done.stopped else ""


def models_of(plan: Plan, store: Store) -> list[Judge]:
    """The models of whom the store holds a call of the plan. Raises PolychromicError: there is none, so nothing can be replayed."""
    found = [one for one in results.judges(plan, store) if not one.person]
    if not found:
        what = f"{store.path}: holds no call of any model about these questions"
        raise PolychromicError(f"{what}. Allowed in replay: a store with all. Run without --mode replay first, or restore it.")
    return found


def silent(document: Mapping[str, Any]) -> list[str]:
    """The judges of whom there are calls, and not one verdict."""
    return [one["judge"] for one in document["judges"] if one["calls"] and not any(row["scored"] for row in one["contrasts"])]


def score(plan: Plan, store: Store, wanted: Sequence[Judge], seed: int, n_boot: int, out: Path | None = None) -> dict[str, Any]:
    """The document of these judges and of all others of whom the store holds answers, written to `out`/judge.json where that is given."""
    ordered = [*wanted, *(one for one in results.judges(plan, store) if one not in wanted)]
    document = results.document(plan, [results.answers(plan, one, store) for one in ordered], seed, n_boot)
    if out is not None:
        write_json(out / DOCUMENT, document)
    return document
