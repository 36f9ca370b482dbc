"""The values that the paper may print, as records, by group: the first part of a key (and "<domain>.test") says which file it is from.

Pull, not push: only the groups that main.tex asks for are made, and of these only the records that it asks for are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any

from polychromic.base.errors import PolychromicError
from polychromic.report import audit, judged, labels, results, sentences
from polychromic.report.domain_numbers import Numbers, cost_numbers, dev_numbers, people_numbers, test_numbers
from polychromic.report.records import Number, Use, unique
from polychromic.report.results import Compare, Fields, measured

NEAREST = 3  # keys that an error names
GRADIENT = ("prompts", "draws", "objective")  # fields that the text prints


def groups(params: Mapping[str, Any]) -> dict[str, Callable[[], Iterable[Number]]]:
    """Name of a group -> what makes its records; a file is read when the first of them is made. params: as params.yaml spells it."""
    domains, load = params["domains"], cache(results.load)
    every = lambda split: [load(domain, split) for domain in domains]
    found = {
        "setup": lambda: _setup(params),
        "summary": lambda: _summary(every("test")),
        "cost": lambda: _cost(load(domains[0], "dev")),
        "sampler": lambda: _measured("sampler", measured("sampler"), ["device"], sentences.sampler_speed),
        "gradient": lambda: _measured("gradient", measured("gradient_variance"), GRADIENT, sentences.gradient_variance),
        "compute": lambda: _compute(every("dev")),
        "people": lambda: _people(every("dev")),
        "designs": _designs,
        "judge": _judge,
        "audit": lambda: [Number("audit.sentence", None, audit.sentence(audit.load()), source=audit.SOURCE)],
    }
    for domain in domains:
        found[domain] = lambda domain=domain: dev_numbers(load(domain, "dev"), results.step_cost(domain, needed=False))
        found[f"{domain}.test"] = lambda domain=domain: test_numbers(load(domain, "test"))
    return found


def asked(wanted: Sequence[Use], params: Mapping[str, Any]) -> tuple[list[Number], list[Number]]:
    """The records of the keys that the manuscript uses, sorted; and with them the records of the intervals of these values.

    Raises:
        PolychromicError: a key that no group makes (file:line, key, the nearest keys), a file that is missing, or a key made twice.
        DataError: a field of a file is missing.
    """
    makers, wrong = groups(params), []
    made = cache(lambda name: unique(makers[name]()) if name in makers else {})
    printed: dict[str, Number] = {}
    kept: dict[str, Number] = {}
    for use in wanted:
        first, second = (use.key.split(".") + [""])[:2]
        group = made(f"{first}.{second}" if f"{first}.{second}" in makers else first)
        if (record := group.get(use.key)) is None:
            near = get_close_matches(use.key, group, NEAREST, cutoff=0) or [f"{name}.…" for name in makers if "." not in name]
            wrong.append(f"{use.file}:{use.line}: \\num{{{use.key}}} is no record. Nearest: {', '.join(near)}.")
            continue
        printed[use.key] = kept[use.key] = record
        beside = (f"{use.key}.ci", f"{use.key.rpartition('.')[0]}.ci") if record.low is not None else ()
        kept |= {key: group[key] for key in beside if key in group}
    if wrong:
        remedy = "Correct the key in the text; polychromic/report/numbers.py makes the records."
        raise PolychromicError("\n".join([*dict.fromkeys(wrong), remedy]))
    return [printed[key] for key in sorted(printed)], [kept[key] for key in sorted(kept)]


def _summary(compares: Sequence[Compare]) -> Numbers:
    """ "summary.domains.count", ".sentence" (where the headline gains over LoRA), ".range.sentence" (floor and ceiling of LoRA)."""
    source = "; ".join(compare.place for compare in compares)
    yield Number("summary.domains.count", len(compares), str(len(compares)), source="params.yaml#domains")
    yield Number("summary.sentence", None, sentences.summary(compares), source=source)
    yield Number("summary.range.sentence", None, sentences.task_range(compares), source=source)


def _measured(prefix: str, found: Fields, names: Iterable[str], sentence: Callable[[Fields], str] | None = None) -> Numbers:
    """Fields of a benchmark's document, which are counts or words, as they are; and what is said of it."""
    for name in names:
        text = str(found[name]).replace("_", " ") if name == "objective" else str(found[name])
        yield Number(f"{prefix}.{name}", found[name] if isinstance(found[name], int) else None, labels.escape(text), source=found.place)
    if sentence:
        yield Number(f"{prefix}.sentence", None, sentence(found), source=found.place)


def _cost(compare: Compare) -> Numbers:
    """ "cost.*": the step of the first domain."""
    cost = results.step_cost(compare.domain)
    yield from _measured("cost", cost, ("device", "precision", "threads", "steps", "batch_size"))
    yield from cost_numbers(cost, compare.headline, "cost")


def _compute(compares: Sequence[Compare]) -> Numbers:
    """What the results of dev took: "compute.<domain>.*" and, over all domains, "compute.*".

    A run is one training with one seed; methods that differ in decoding alone share theirs, which is not deducted. A step of a method
    that was not timed counts as one of LoRA's.
    """
    total: Counter[str] = Counter()
    for compare in compares:
        cost, spent = results.step_cost(compare.domain), Counter({"systems": len(compare.systems), "runs": 0, "steps": 0, "drafts": 0})
        for label in compare.all_labels():
            method = labels.method_of(label)
            if (about := compare.methods[method]).trained:
                runs, steps = len(compare.chosen(label).seeds), compare.histories[method][-1].step
                seconds = cost.variants.get(about.trains_like, cost.variants["lora"]).mean_seconds
                spent.update({"runs": runs, "steps": runs * steps, "hours": runs * steps * seconds / 3600})
        for system in compare.systems:
            drafts = len(system.seeds) * system.n_prompts * system.n_samples
            spent.update({"drafts": drafts, "tokens": drafts * system.metrics.tokens.mean})
        total.update(spent)
        yield from _amounts(f"compute.{compare.domain}", spent, f"{compare.place}; {cost.place}")
    yield from _amounts("compute", total, "; ".join(compare.place for compare in compares))


def _amounts(prefix: str, spent: Mapping[str, float], source: str) -> Numbers:
    for field, value in spent.items():
        large = f"{value / 1e6:.1f} million" if value >= 1e6 else labels.thousands(value)
        yield Number(f"{prefix}.{field}", value, f"{value:.1f}" if field == "hours" else large, source=source)


def _people(compares: Sequence[Compare]) -> Numbers:
    """ "people.*", of the first domain that is judged by people."""
    for compare in [compare for compare in compares if compare.calibration is not None][:1]:
        yield from people_numbers(results.load(compare.domain, "calibration"), compare.headline)


def _designs() -> Numbers:
    """False positives are the test's, which the paper's verdicts need beside the interval.

    Keys designs.{runs,seeds,samples,effect,coverage.low,coverage.high,false_positives,pooled.false_positives,sentence}."""
    found = measured("calibration")
    yield from _measured("designs", found, ("runs", "seeds", "samples"), sentences.smallest_effect)
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


def _judge() -> Numbers:
    found = judged.load()
    source = "params.yaml#judge" if found is None else found.place
    for key, text in (("judge.sentence", judged.sentence(found)), ("judge.people.sentence", judged.people(found))):
        yield Number(key, None, text, split=None if found is None else "test", source=source)


def _setup(params: Mapping[str, Any]) -> Numbers:
    """Each leaf of params.yaml as "setup.<dotted key>"; a share in per cent is "<key>.percent".

    "setup.model.name" names the weights whatever their source: package and version, repository and revision, or folder.
    """
    yield Number("setup.alpha", labels.ALPHA, labels.plain(labels.ALPHA), source="polychromic/report/labels.py")
    model = params["model"]
    parts = [model[key] for key in ("package", "version", "repository", "revision", "path") if model.get(key)]
    yield Number("setup.model.name", None, labels.param_text(" ".join(parts)), source="params.yaml#model")
    for key, value in labels.flatten(params):
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
        yield Number(f"setup.{key}", number, labels.param_text(value), source=f"params.yaml#{key}")
        if isinstance(number, float) and 0 < number < 1:
            text = rf"{labels.plain(100 * number)}\,\%"
            yield Number(f"setup.{key}.percent", 100 * number, text, unit="%", source=f"params.yaml#{key}")
