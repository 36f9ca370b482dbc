"""Every number that the paper prints about a domain and about params.yaml, as records (polychromic/report/records.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from polychromic.base.errors import PolychromicError
from polychromic.report import labels
from polychromic.report.choices import choice_numbers
from polychromic.report.records import Number, contrast_numbers, estimate_numbers, rule_text, unique
from polychromic.report.results import Compare, Results


def domain_numbers(compare: Compare) -> list[Number]:
    """All records of a domain, sorted by key, each key once."""
    source = f"results/{compare.domain}/compare.json"
    records = [
        replace(
            number,
            key=f"{compare.domain}.{number.key}",
            split=compare.split,
            source=f"{source}#{number.source}" if number.source else source,
        )
        for group in (
            _about(compare),
            system_numbers(compare),
            _contrasts(compare),
            _lambda(compare),
            _calibration(compare),
            _bulk(compare),
            choice_numbers(compare),
        )
        for number in group
    ]
    return unique(records)


def setup_numbers(params: Mapping[str, Any]) -> list[Number]:
    """Each leaf of params.yaml as "setup.<dotted key>"; a list's length is "<key>.count", a share in per cent "<key>.percent".

    "setup.model.name" names the weights whatever their source: package and version, repository and revision, or folder.
    """
    records = [Number("setup.alpha", labels.ALPHA, labels.plain(labels.ALPHA), source="polychromic/report/labels.py")]
    if model := params.get("model"):
        parts = [model[key] for key in ("package", "version", "repository", "revision", "path") if model.get(key)]
        records.append(Number("setup.model.name", None, param_text(" ".join(parts)), source="params.yaml#model"))
    for key, value in flatten(params):
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
        records.append(Number(f"setup.{key}", number, param_text(value), source=f"params.yaml#{key}"))
        if isinstance(number, float) and 0 < number < 1:
            percent = 100 * number
            records.append(Number(f"setup.{key}.percent", percent, rf"{labels.plain(percent)}\,\%", unit="%", source=f"params.yaml#{key}"))
        if isinstance(value, list):
            records.append(Number(f"setup.{key}.count", len(value), str(len(value)), source=f"params.yaml#{key}"))
    return unique(records)


def flatten(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested mappings in file order, keys joined with dots; an item of a list of mappings is one leaf, "key: value, ..."."""
    for key, value in params.items():
        name = f"{prefix}{key}"
        if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            value = {i: ", ".join(f"{k}: {v}" for k, v in item.items()) for i, item in enumerate(value)}
        if isinstance(value, Mapping):
            yield from flatten(value, f"{name}.")
        else:
            yield name, list(value) if isinstance(value, list | tuple) else value


def param_text(value: Any) -> str:
    """A parameter as LaTeX: 1e-05 → $10^{-5}$, true → yes, null → none, a long hash → its first 12 digits."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return labels.tex_minus(str(value))
    if isinstance(value, float):
        mantissa, _, exponent = f"{value:.6g}".partition("e")
        if value == 0 or (not exponent and abs(value) >= 0.001):
            return labels.tex_minus(mantissa)
        mantissa, _, exponent = f"{value:.5e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".")
        factor = "" if mantissa == "1" else rf"{mantissa}\times "
        return rf"\ensuremath{{{factor}10^{{{int(exponent)}}}}}"
    if isinstance(value, list):
        return ", ".join(param_text(item) for item in value) or "none"
    text = str(value)
    if len(text) >= 40 and all(char in "0123456789abcdef" for char in text):
        text = text[:12]
    return labels.escape(text)


def _about(compare: Compare) -> Iterator[Number]:
    main = [compare.chosen(label) for label in compare.main_labels()]
    seeds = sorted({seed for system in main for seed in system.seeds})
    yield Number("name", None, labels.DOMAINS.get(compare.domain, compare.domain))
    yield Number("split", None, "development")
    yield Number("split.notice", None, NOTICE)
    yield Number("primary.name", None, labels.metric(compare.primary).label)
    yield Number("quality.name", None, labels.metric(compare.quality).label)
    yield Number("seeds", None, ", ".join(map(str, seeds)), seeds=tuple(seeds))
    yield Number("seeds.count", len(seeds), str(len(seeds)), seeds=tuple(seeds))
    yield _span("n_prompts", [system.n_prompts for system in main])
    yield _span("n_samples", [system.n_samples for system in main])
    temperatures = sorted({system.temperature for system in compare.systems})
    yield Number("temperatures", None, ", ".join(map(labels.plain, temperatures)))
    headline = compare.chosen(compare.headline)
    if headline.lam is None:
        raise PolychromicError(
            f"compare.json of {compare.domain}: the headline {compare.headline!r} has no lambda. Make it again with `dvc repro`."
        )
    yield Number("headline.lambda", headline.lam, labels.plain(headline.lam))


NOTICE = (
    "These are development-set results: temperatures were chosen on the same prompts, so the intervals do not account for that choice "
    "and no confirmatory claim follows from them."
)


def _span(key: str, counts: list[int]) -> Number:
    """A count that all systems share, or "low--high" where they differ."""
    low, high = min(counts), max(counts)
    return Number(key, low if low == high else None, str(low) if low == high else f"{low}--{high}")


def system_numbers(compare: Results) -> Iterator[Number]:
    """ "<label>.<metric>" at the chosen temperature; "<label>.T<temperature>.<metric>" at each one for the metrics that decide."""
    decide = (compare.primary, compare.quality, "objective")
    for system in compare.systems:
        source = f"systems/{system.label}@T={labels.plain(system.temperature)}"
        for name in decide:
            key = f"{system.label}.T{labels.plain(system.temperature)}.{name}"
            yield from estimate_numbers(key, name, system.metrics[name], system, source)
        if system.chosen:
            for name, estimate in system.metrics.items():
                yield from estimate_numbers(f"{system.label}.{name}", name, estimate, system, source)
            yield Number(f"{system.label}.temperature", system.temperature, labels.plain(system.temperature), source=source)
            yield Number(f"{system.label}.n_samples", system.n_samples, str(system.n_samples), source=source)
            yield Number(f"{system.label}.seeds.count", len(system.seeds), str(len(system.seeds)), seeds=tuple(system.seeds), source=source)


def _contrasts(compare: Compare) -> Iterator[Number]:
    """ "<a>-vs-<b>.<metric>.<rule>.<field>" for all; "primary.<field>" and "quality.<field>" for the headline against lora."""
    for contrast in compare.contrasts:
        yield from contrast_numbers(f"{contrast.a}-vs-{contrast.b}.{contrast.metric}.{contrast.rule}", contrast)
    main = {
        "primary": compare.contrast(compare.headline, "lora", compare.primary, ("matched", "chosen")),
        "quality": compare.contrast(compare.headline, "lora", compare.quality, ("chosen", "matched")),
    }
    for alias, contrast in main.items():
        yield from contrast_numbers(alias, contrast)
        yield Number(f"{alias}.rule", None, rule_text(contrast, compare), source=f"contrasts/{contrast.id}")


def _lambda(compare: Compare) -> Iterator[Number]:
    """The ablation in words: its grid, its one temperature, the best λ per metric, and whether a metric moves one way."""
    rows = compare.lambda_rows()
    grid = [0.0 if row.label == "lora" else row.lam or 0.0 for row in rows]
    yield Number("lambda.temperature", rows[0].temperature, labels.plain(rows[0].temperature), source="systems")
    yield Number("lambda.grid", None, ", ".join(labels.plain(lam) for lam in grid if lam > 0), source="systems")
    for name in rows[0].metrics:
        means = [row.metrics[name].mean for row in rows]
        steps = [after - before for before, after in pairwise(means)]
        trend = (
            "rises at every step of the grid"
            if min(steps) > 0
            else "falls at every step of the grid"
            if max(steps) < 0
            else "is not monotone over the grid"
        )
        yield Number(f"lambda.{name}.trend", None, trend, source="systems")
        info = labels.metric(name)
        if info.direction == "none":
            continue
        best = max(range(len(rows)), key=lambda i: means[i] if info.direction == "up" else -means[i])
        source = f"systems/{rows[best].label}@T={labels.plain(rows[best].temperature)}"
        yield Number(f"lambda.{name}.best", grid[best], labels.plain(grid[best]), source=source)
        yield from estimate_numbers(f"lambda.{name}.best.value", name, rows[best].metrics[name], rows[best], source)


def _bulk(compare: Compare) -> Iterator[Number]:
    """ "ess.sentence": how much of old samples counted in bulk mode; says so where no method had it."""
    texts = []
    for label, steps in compare.histories.items():
        if shares := [100 * step.ess_mean for step in steps if step.ess_mean is not None]:
            name, mean, least = labels.system_name(label), sum(shares) / len(shares), min(shares)
            texts.append(rf"{name}: {mean:.0f}\,\% of its samples on the mean over steps, {least:.0f}\,\% at the lowest step.")
    text = "The effective sample size, " + " ".join(texts) if texts else "No method of this build drew its rollouts in bulk."
    yield Number("ess.sentence", None, text, source="histories")


def _calibration(compare: Compare) -> Iterator[Number]:
    """The human-only fit of the match threshold: shares in per cent, counts as they are, the threshold to three digits."""
    for key, value in (compare.calibration or {}).items():
        if key in ("within", "across", "ceiling", "floor"):
            yield Number(f"calibration.{key}", value, rf"{100 * value:.1f}\,\%", unit="%", source="calibration")
        else:
            yield Number(f"calibration.{key}", value, f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}", source="calibration")
