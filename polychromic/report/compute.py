"""What the results took, as records: training runs, drafts, tokens, and core hours at the measured time of a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from polychromic.report import labels
from polychromic.report.costs import StepCost
from polychromic.report.records import Number, unique
from polychromic.report.results import Compare


def compute_numbers(compares: Sequence[Compare], costs: Mapping[str, StepCost]) -> list[Number]:
    """ "compute.<domain>.*" and, over all domains, "compute.*", sorted by key.

    A run is one training with one seed; methods that differ in decoding alone share theirs, which is not deducted.

    Args:
        costs: of each domain's training steps; a step of a method that was not timed counts as one of LoRA's.
    """
    return unique(list(_numbers(compares, costs)))


def _numbers(compares: Sequence[Compare], costs: Mapping[str, StepCost]) -> Iterator[Number]:
    total: dict[str, float] = {}
    for compare in compares:
        found = _of_domain(compare, costs[compare.domain])
        source = f"results/{compare.domain}/compare.json; benchmarks/results/step_cost-{compare.domain}.json"
        for field, value in found.items():
            total[field] = total.get(field, 0) + value
            yield Number(f"compute.{compare.domain}.{field}", value, _text(field, value), source=source)
    where = "; ".join(f"results/{compare.domain}/compare.json" for compare in compares)
    for field, value in total.items():
        yield Number(f"compute.{field}", value, _text(field, value), source=where)


def _text(field: str, value: float) -> str:
    if field == "hours":
        return f"{value:.1f}"
    return f"{value / 1e6:.1f} million" if value >= 1e6 else f"{value:,.0f}".replace(",", r"\,")


def _of_domain(compare: Compare, cost: StepCost) -> dict[str, float]:
    found = {"systems": len(compare.systems), "runs": 0, "steps": 0, "drafts": 0, "tokens": 0.0, "hours": 0.0}
    for label in compare.all_labels():
        method = labels.method_of(label)
        about = compare.methods[method]
        if not about.trained:
            continue
        runs, steps = len(compare.chosen(label).seeds), compare.histories[method][-1].step
        timed = cost.variants.get(about.trains_like, cost.variants["lora"])
        found["runs"] += runs
        found["steps"] += runs * steps
        found["hours"] += runs * steps * timed.mean_seconds / 3600
    for system in compare.systems:
        drafts = len(system.seeds) * system.n_prompts * system.n_samples
        found["drafts"] += drafts
        found["tokens"] += drafts * system.metrics["tokens"].mean
    return found
