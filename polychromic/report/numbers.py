"""The values that the paper may print, as records, by group: the first part of a key (and "<domain>.test") says which file it is from.

Pull, not push: only the groups that main.tex asks for are made, and of these only the records that it asks for are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from polychromic.base.errors import PolychromicError
from polychromic.report import audit, labels, results, sentences
from polychromic.report.domain_numbers import Numbers, cost_numbers, dev_numbers, people_numbers, test_numbers
from polychromic.report.records import Number, Use, unique
from polychromic.report.results import Compare, Fields, measured

NEAREST = 3  # keys that an error names


@dataclass(frozen=True)
class Inputs:
    """What numbers are read from, when it is first asked for. params: params.yaml as a mapping, keys as it spells them."""

    params: Mapping[str, Any]

    @property
    def domains(self) -> list[str]:
        return self.params["domains"]

    @cached_property
    def dev(self) -> dict[str, Compare]:
        return {domain: results.load(domain, "dev") for domain in self.domains}

    @cached_property
    def test(self) -> dict[str, Compare]:
        return {domain: results.load(domain, "test") for domain in self.domains}


def asked(wanted: Sequence[Use], inputs: Inputs) -> tuple[list[Number], list[Number]]:
    """The records of the keys that the manuscript uses, sorted; and with them the records of the intervals of these values.

    Raises:
        PolychromicError: a key that no group makes (file:line, key, the nearest keys), a file that is missing, or a key made twice.
        DataError: a field of a file is missing.
    """
    made: dict[str, dict[str, Number]] = {}
    found: dict[str, Number] = {}
    wrong = []
    for use in wanted:
        name = group_of(use.key, inputs.domains)
        if name is not None and name not in made:
            made[name] = unique(_make(name, inputs))
        group = made.get(name, {})
        if use.key in group:
            found[use.key] = group[use.key]
        else:
            near = get_close_matches(use.key, group, NEAREST, cutoff=0) or [f"{name}.…" for name in (*GROUPS, *inputs.domains)]
            wrong.append(f"{use.file}:{use.line}: \\num{{{use.key}}} is no record. Nearest: {', '.join(near)}.")
    if wrong:
        remedy = "Correct the key in the text; polychromic/report/numbers.py makes the records."
        raise PolychromicError("\n".join([*dict.fromkeys(wrong), remedy]))
    kept = dict(found)
    for record in found.values():
        group = made[group_of(record.key, inputs.domains)]
        names = (f"{record.key}.ci", f"{record.key.rpartition('.')[0]}.ci") if record.low is not None else ()
        kept |= {name: group[name] for name in names if name in group}
    printed, beside = ([by_key[key] for key in sorted(by_key)] for by_key in (found, kept))
    return printed, beside


def group_of(key: str, domains: Sequence[str]) -> str | None:
    first, second = (key.split(".") + [""])[:2]
    if first in domains:
        return f"{first}.test" if second == "test" else first
    return first if first in GROUPS else None


def _make(name: str, inputs: Inputs) -> Numbers:
    domain, _, on_test = name.partition(".")
    if name in GROUPS:
        return GROUPS[name](inputs)
    if on_test:
        return test_numbers(inputs.test[domain])
    return dev_numbers(inputs.dev[domain], results.step_cost(domain) if results.was_timed(domain) else None)


def _summary(inputs: Inputs) -> Numbers:
    """ "summary.domains.count", ".sentence" (where the headline gains over LoRA), ".range.sentence" (floor and ceiling of LoRA)."""
    compares = [*inputs.test.values()]
    source = "; ".join(compare.place for compare in compares)
    yield Number("summary.domains.count", len(compares), str(len(compares)), source="params.yaml#domains")
    yield Number("summary.sentence", None, sentences.summary(compares), source=source)
    yield Number("summary.range.sentence", None, sentences.task_range(compares), source=source)


def _as_they_are(prefix: str, found: Fields, *names: str) -> Numbers:
    """Fields of a benchmark's document: counts, or words."""
    for name in names:
        text = str(found[name]).replace("_", " ") if name == "objective" else str(found[name])
        yield Number(f"{prefix}.{name}", found[name] if isinstance(found[name], int) else None, labels.escape(text), source=found.place)


def _cost(inputs: Inputs) -> Numbers:
    """ "cost.*": the step of the first domain."""
    cost = results.step_cost(inputs.domains[0])
    yield from _as_they_are("cost", cost, "device", "precision", "threads", "steps", "batch_size")
    yield from cost_numbers(cost, inputs.dev[cost.domain].headline, "cost")


def _sampler(inputs: Inputs) -> Numbers:
    sampler = measured("sampler")
    yield from _as_they_are("sampler", sampler, "device")
    yield Number("sampler.sentence", None, sentences.sampler_speed(sampler), source=sampler.place)


def _gradient(inputs: Inputs) -> Numbers:
    variance = measured("gradient_variance")
    yield from _as_they_are("gradient", variance, "prompts", "draws", "objective")
    yield Number("gradient.sentence", None, sentences.gradient_variance(variance), source=variance.place)


def _compute(inputs: Inputs) -> Numbers:
    """What the results of dev took: "compute.<domain>.*" and, over all domains, "compute.*".

    A run is one training with one seed; methods that differ in decoding alone share theirs, which is not deducted. A step of a method
    that was not timed counts as one of LoRA's.
    """
    total: Counter[str] = Counter()
    for domain, compare in inputs.dev.items():
        cost = results.step_cost(domain)
        spent = _spent(compare, cost)
        total.update(spent)
        yield from _amounts(f"compute.{domain}", spent, f"{compare.place}; {cost.place}")
    yield from _amounts("compute", total, "; ".join(compare.place for compare in inputs.dev.values()))


def _spent(compare: Compare, cost: Fields) -> dict[str, float]:
    found = {"systems": len(compare.systems), "runs": 0, "steps": 0, "drafts": 0, "tokens": 0.0, "hours": 0.0}
    for label in compare.all_labels():
        method = labels.method_of(label)
        if (about := compare.methods[method]).trained:
            runs, steps = len(compare.chosen(label).seeds), compare.histories[method][-1].step
            timed = cost.variants.get(about.trains_like, cost.variants["lora"])
            found["runs"] += runs
            found["steps"] += runs * steps
            found["hours"] += runs * steps * timed.mean_seconds / 3600
    for system in compare.systems:
        drafts = len(system.seeds) * system.n_prompts * system.n_samples
        found["drafts"] += drafts
        found["tokens"] += drafts * system.metrics.tokens.mean
    return found


def _amounts(prefix: str, spent: Mapping[str, float], source: str) -> Numbers:
    for field, value in spent.items():
        large = f"{value / 1e6:.1f} million" if value >= 1e6 else labels.thousands(value)
        yield Number(f"{prefix}.{field}", value, f"{value:.1f}" if field == "hours" else large, source=source)


def _people(inputs: Inputs) -> Numbers:
    """ "people.*", of the first domain that is judged by people."""
    for domain in [domain for domain, compare in inputs.dev.items() if compare.calibration is not None][:1]:
        yield from people_numbers(results.people(domain), inputs.dev[domain].headline)


def _designs(inputs: Inputs) -> Numbers:
    """False positives are the test's, which the paper's verdicts need beside the interval.

    Keys designs.{runs,seeds,samples,effect,coverage.low,coverage.high,false_positives,pooled.false_positives,sentence}."""
    found = measured("calibration")
    yield from _as_they_are("designs", found, "runs", "seeds", "samples")
    ours = [r for r in found.rows if r.ours]
    covered = [r.coverage for r in [*ours, *found.observed] if r.coverage is not None]
    shares = {
        "effect": found.effect,
        "coverage.low": min(covered),
        "coverage.high": max(covered),
        "false_positives": max(r.false_positives for r in ours if r.coverage is None),
        "pooled.false_positives": max(r.false_positives for r in found.rows if r.design == "pooled"),
    }
    for key, value in shares.items():
        yield Number(f"designs.{key}", value, rf"{100 * value:.1f}\,\%", unit="%", source=found.place)
    largest, smallest_effect = max((r.prompts, r.minimum_detectable_effect) for r in found.rows)
    text = f"With {largest} prompts, a difference of {100 * smallest_effect:.1f} points is found with a probability of four in five."
    yield Number("designs.sentence", None, text, source=found.place)


def _audit(inputs: Inputs) -> Numbers:
    yield Number("audit.sentence", None, audit.sentence(audit.load()), source=audit.SOURCE)


def _setup(inputs: Inputs) -> Numbers:
    """Each leaf of params.yaml as "setup.<dotted key>"; a share in per cent is "<key>.percent".

    "setup.model.name" names the weights whatever their source: package and version, repository and revision, or folder.
    """
    yield Number("setup.alpha", labels.ALPHA, labels.plain(labels.ALPHA), source="polychromic/report/labels.py")
    model = inputs.params["model"]
    parts = [model[key] for key in ("package", "version", "repository", "revision", "path") if model.get(key)]
    yield Number("setup.model.name", None, labels.param_text(" ".join(parts)), source="params.yaml#model")
    for key, value in labels.flatten(inputs.params):
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
        yield Number(f"setup.{key}", number, labels.param_text(value), source=f"params.yaml#{key}")
        if isinstance(number, float) and 0 < number < 1:
            text = rf"{labels.plain(100 * number)}\,\%"
            yield Number(f"setup.{key}.percent", 100 * number, text, unit="%", source=f"params.yaml#{key}")


GROUPS: dict[str, Callable[[Inputs], Iterator[Number]]] = {
    "setup": _setup, "summary": _summary, "cost": _cost, "sampler": _sampler, "gradient": _gradient, "compute": _compute,
    "people": _people, "designs": _designs, "audit": _audit,
}  # fmt: skip
