"""The values that the paper may print, as records, by group: the first part of a key (and "<domain>.test") says which file it is from.

Pull, not push: only the groups that main.tex asks for are made, and of these only the records that it asks for are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from polychromic.base.errors import PolychromicError
from polychromic.report import audit, labels, people, results, sentences
from polychromic.report.choices import Frozen
from polychromic.report.domain_numbers import cost_sentences, dev_numbers, test_numbers
from polychromic.report.records import Number, Use, unique
from polychromic.report.results import Compare
from polychromic.report.timings import FOLDER, Designs, GradientVariance, Sampler, StepCost, load

NEAREST = 3  # keys that an error names


@dataclass(frozen=True)
class Inputs:
    """Where numbers are read from. params: params.yaml as a mapping, keys as it spells them."""

    params: Mapping[str, Any]
    results: Path
    benchmarks: Path

    @property
    def domains(self) -> list[str]:
        return self.params["domains"]

    @cached_property
    def dev(self) -> dict[str, Compare]:
        return {domain: results.load(domain, "dev", self.results) for domain in self.domains}

    @cached_property
    def test(self) -> dict[str, Compare]:
        return {domain: results.load(domain, "test", self.results) for domain in self.domains}

    @cached_property
    def costs(self) -> dict[str, StepCost]:
        return {domain: load(StepCost, self.benchmarks / f"step_cost-{domain}.json") for domain in self.domains}


def asked(wanted: Sequence[Use], inputs: Inputs) -> tuple[list[Number], list[Number]]:
    """The records of the keys that the manuscript uses, sorted; and with them the records of the intervals of these values.

    Raises:
        PolychromicError: a key that no group makes (file:line, key, the nearest keys), a file that is missing, or a key made twice.
        DataError: a field of a file is missing or malformed.
    """
    made: dict[str, dict[str, Number]] = {}
    found: dict[str, Number] = {}
    wrong = []
    for use in wanted:
        name = _group(use.key, inputs.domains)
        if name is not None and name not in made:
            made[name] = unique(_make(name, inputs))
        group = made.get(name, {})
        if use.key in group:
            found[use.key] = group[use.key]
        else:
            near = get_close_matches(use.key, group, NEAREST, cutoff=0) or [f"{name}.…" for name in (*GROUPS, *inputs.domains)]
            wrong.append(f"{use.file}:{use.line}: \\num{{{use.key}}} is no record. Nearest: {', '.join(near)}.")
    if wrong:
        raise PolychromicError(
            "\n".join([*dict.fromkeys(wrong), "Correct the key in the text; polychromic/report/numbers.py makes the records."])
        )
    beside = {}
    for record in found.values():
        if record.low is not None:
            group = made[_group(record.key, inputs.domains)]
            names = (f"{record.key}.ci", f"{record.key.rpartition('.')[0]}.ci")
            beside |= {name: group[name] for name in names if name in group}
    order = lambda by_key: [by_key[key] for key in sorted(by_key)]
    return order(found), order(found | beside)


def _group(key: str, domains: Sequence[str]) -> str | None:
    first, second = (key.split(".") + [""])[:2]
    if first in domains:
        return f"{first}.test" if second == "test" else first
    return first if first in GROUPS else None


def _make(name: str, inputs: Inputs) -> Iterator[Number]:
    if name in GROUPS:
        return GROUPS[name](inputs)
    domain, _, on_test = name.partition(".")
    if on_test:
        return test_numbers(inputs.test[domain])
    timed = (inputs.benchmarks / f"step_cost-{domain}.json").exists()
    return dev_numbers(inputs.dev[domain], inputs.costs[domain] if timed else None)


def summary_numbers(inputs: Inputs) -> Iterator[Number]:
    """ "summary.domains.count", ".sentence" (where the headline gains over LoRA), ".range.sentence" (floor and ceiling of LoRA)."""
    compares = [*inputs.test.values()]
    source = "; ".join(compare.path for compare in compares)
    yield Number("summary.domains.count", len(compares), str(len(compares)), source="params.yaml#domains")
    yield Number("summary.sentence", None, sentences.summary(compares), source=source)
    yield Number("summary.range.sentence", None, sentences.task_range(compares), source=source)


def cost_numbers(inputs: Inputs) -> Iterator[Number]:
    """ "cost.*": the step of the first domain."""
    cost = inputs.costs[inputs.domains[0]]
    yield from _fields("cost", cost, f"step_cost-{cost.domain}.json", "device", "precision", "threads", "steps", "batch_size")
    yield from cost_sentences(cost, inputs.dev[cost.domain].headline, "cost")


def sampler_numbers(inputs: Inputs) -> Iterator[Number]:
    sampler = load(Sampler, inputs.benchmarks / "sampler.json")
    yield from _fields("sampler", sampler, "sampler.json", "device")
    yield Number("sampler.sentence", None, sentences.sampler_speed(sampler), source=f"{FOLDER}/sampler.json")


def gradient_numbers(inputs: Inputs) -> Iterator[Number]:
    variance = load(GradientVariance, inputs.benchmarks / "gradient_variance.json")
    yield from _fields("gradient", variance, "gradient_variance.json", "prompts", "draws", "objective")
    text = sentences.gradient_variance(variance)
    yield Number("gradient.sentence", None, text, source=f"{FOLDER}/gradient_variance.json")


def _fields(prefix: str, document: Frozen, file: str, *names: str) -> Iterator[Number]:
    """Fields of a benchmark's document as they are: counts, or words."""
    for name in names:
        value = getattr(document, name)
        text = str(value).replace("_", " ") if name == "objective" else str(value)
        yield Number(f"{prefix}.{name}", value if isinstance(value, int) else None, labels.escape(text), source=f"{FOLDER}/{file}")


def compute_numbers(inputs: Inputs) -> Iterator[Number]:
    """What the results of dev took: "compute.<domain>.*" and, over all domains, "compute.*".

    A run is one training with one seed; methods that differ in decoding alone share theirs, which is not deducted. A step of a method
    that was not timed counts as one of LoRA's.
    """
    total: dict[str, float] = {}
    for domain, compare in inputs.dev.items():
        source = f"{compare.path}; {FOLDER}/step_cost-{domain}.json"
        for field, value in _spent(compare, inputs.costs[domain]).items():
            total[field] = total.get(field, 0) + value
            yield Number(f"compute.{domain}.{field}", value, _amount(field, value), source=source)
    where = "; ".join(compare.path for compare in inputs.dev.values())
    for field, value in total.items():
        yield Number(f"compute.{field}", value, _amount(field, value), source=where)


def _spent(compare: Compare, cost: StepCost) -> dict[str, float]:
    found = {"systems": len(compare.systems), "runs": 0, "steps": 0, "drafts": 0, "tokens": 0.0, "hours": 0.0}
    for label in compare.all_labels():
        method = labels.method_of(label)
        about = compare.methods[method]
        if about.trained:
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


def _amount(field: str, value: float) -> str:
    if field == "hours":
        return f"{value:.1f}"
    return f"{value / 1e6:.1f} million" if value >= 1e6 else labels.thousands(value)


def people_numbers(inputs: Inputs) -> Iterator[Number]:
    """ "people.*", of the first domain that is judged by people."""
    judged = [domain for domain, compare in inputs.dev.items() if compare.calibration is not None]
    if not judged:
        return iter(())
    return people.people_numbers(people.load(judged[0], inputs.results), judged[0], inputs.dev[judged[0]].headline)


def designs_numbers(inputs: Inputs) -> Iterator[Number]:
    """False positives are the test's, which the paper's verdicts need beside the interval.

    Keys designs.{runs,seeds,samples,effect,coverage.low,coverage.high,false_positives,pooled.false_positives,sentence}."""
    found, source = load(Designs, inputs.benchmarks / "calibration.json"), f"{FOLDER}/calibration.json"
    yield from _fields("designs", found, "calibration.json", "runs", "seeds", "samples")
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
        yield Number(f"designs.{key}", value, rf"{100 * value:.1f}\,\%", unit="%", source=source)
    largest, smallest_effect = max((r.prompts, r.minimum_detectable_effect) for r in found.rows)
    text = f"With {largest} prompts, a difference of {100 * smallest_effect:.1f} points is found with a probability of four in five."
    yield Number("designs.sentence", None, text, source=source)


def audit_numbers(inputs: Inputs) -> Iterator[Number]:
    found = audit.load(inputs.benchmarks / "audit.json")
    yield Number("audit.sentence", None, audit.sentence(found), source=audit.SOURCE)


def setup_numbers(inputs: Inputs) -> Iterator[Number]:
    """Each leaf of params.yaml as "setup.<dotted key>"; a share in per cent is "<key>.percent".

    "setup.model.name" names the weights whatever their source: package and version, repository and revision, or folder.
    """
    yield Number("setup.alpha", labels.ALPHA, labels.plain(labels.ALPHA), source="polychromic/report/labels.py")
    if model := inputs.params.get("model"):
        parts = [model[key] for key in ("package", "version", "repository", "revision", "path") if model.get(key)]
        yield Number("setup.model.name", None, labels.param_text(" ".join(parts)), source="params.yaml#model")
    for key, value in labels.flatten(inputs.params):
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
        yield Number(f"setup.{key}", number, labels.param_text(value), source=f"params.yaml#{key}")
        if isinstance(number, float) and 0 < number < 1:
            percent = 100 * number
            yield Number(f"setup.{key}.percent", percent, rf"{labels.plain(percent)}\,\%", unit="%", source=f"params.yaml#{key}")


GROUPS: dict[str, Callable[[Inputs], Iterator[Number]]] = {
    "setup": setup_numbers, "summary": summary_numbers, "cost": cost_numbers, "sampler": sampler_numbers, "gradient": gradient_numbers,
    "compute": compute_numbers, "people": people_numbers, "designs": designs_numbers, "audit": audit_numbers,
}  # fmt: skip
