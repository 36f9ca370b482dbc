r"""Every number the paper prints, as a typed record and as a LaTeX macro \num{key}.

The words that state a direction ("higher than", "not distinguishable from") are records too, decided here from the
interval and the Holm-adjusted p-value, so that prose cannot claim what the data do not show. Rounding is labels.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

from polychromic.errors import PolychromicError
from polychromic.report import labels
from polychromic.report.results import Compare, Contrast, Estimate, System

UNIT_OF_DIFFERENCE = {True: "points", False: ""}
NON_INFERIOR = {True: "non-inferior to", False: "not shown to be non-inferior to"}


@dataclass(frozen=True)
class Number:
    """One printed value.

    Attributes:
        key: what the text writes in \\num{...}, e.g. "listqa.polychromic.pass@1".
        value: the unrounded value, None where the record is words or a list.
        text: what LaTeX prints.
        unit: "%", "points" or "".
        low, high: ends of the 95 % interval over prompts, None where there is none.
        n: prompts behind the value, None for a parameter.
        seeds: the training or sampling seeds averaged.
        split: "dev" or "test", None for a parameter.
        source: the file and the row it comes from.
    """

    key: str
    value: float | int | None
    text: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    seeds: tuple[int, ...] = ()
    split: str | None = None
    source: str = ""


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
        for group in (_about(compare), _systems(compare), _contrasts(compare), _lambda(compare), _calibration(compare))
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


def verdict(contrast: Contrast) -> str:
    """ "higher than" or "lower than" only where the interval excludes zero and the Holm-adjusted p is below ALPHA."""
    if not contrast.significant:
        return "not distinguishable from"
    return "higher than" if contrast.low > 0 else "lower than"


def unique(records: Iterable[Number]) -> list[Number]:
    """Records sorted by key; PolychromicError when a key occurs twice (two values for one macro)."""
    by_key: dict[str, Number] = {}
    for record in records:
        if record.key in by_key:
            raise PolychromicError(
                f"the number {record.key!r} is defined twice ({by_key[record.key].source}, {record.source}). Rename one of them."
            )
        by_key[record.key] = record
    return [by_key[key] for key in sorted(by_key)]


def to_json(records: list[Number]) -> list[dict]:
    return [asdict(record) | {"seeds": list(record.seeds)} for record in records]


def to_latex(records: list[Number]) -> str:
    r"""One \definenumber{key}{text} a line; paper/main.tex defines \definenumber and \num."""
    return "% generated by `polychromic report`; do not edit\n" + "".join(f"\\definenumber{{{r.key}}}{{{r.text}}}%\n" for r in records)


def _about(compare: Compare) -> Iterator[Number]:
    main = [compare.chosen(label) for label in compare.main_labels()]
    seeds = sorted({seed for system in main for seed in system.seeds})
    yield Number("name", None, labels.DOMAINS.get(compare.domain, compare.domain))
    yield Number("split", None, "development" if compare.split == "dev" else "test")
    yield Number("split.notice", None, DEV_NOTICE if compare.split == "dev" else TEST_NOTICE)
    yield Number("primary.name", None, labels.metric(compare.primary).name)
    yield Number("quality.name", None, labels.metric(compare.quality).name)
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


DEV_NOTICE = (
    "These are development-set results: temperatures were chosen on the same prompts, so the intervals do not account for that choice "
    "and no confirmatory claim follows from them."
)
TEST_NOTICE = "These are test-set results: every choice was made on the development set before the test prompts were sampled."


def _span(key: str, counts: list[int]) -> Number:
    """A count that all systems share, or "low--high" where they differ."""
    low, high = min(counts), max(counts)
    return Number(key, low if low == high else None, str(low) if low == high else f"{low}--{high}")


def _systems(compare: Compare) -> Iterator[Number]:
    """ "<label>.<metric>" at the chosen temperature; "<label>.T<temperature>.<metric>" at each one."""
    for system in compare.systems:
        source = f"systems/{system.label}@T={labels.plain(system.temperature)}"
        prefixes = [f"{system.label}.T{labels.plain(system.temperature)}"] + ([system.label] if system.chosen else [])
        for prefix in prefixes:
            for name, estimate in system.metrics.items():
                yield from _estimate(f"{prefix}.{name}", name, estimate, system, source)
        if system.chosen:
            yield Number(f"{system.label}.temperature", system.temperature, labels.plain(system.temperature), source=source)
            yield Number(f"{system.label}.n_samples", system.n_samples, str(system.n_samples), source=source)
            yield Number(f"{system.label}.seeds.count", len(system.seeds), str(len(system.seeds)), seeds=tuple(system.seeds), source=source)


def _estimate(key: str, name: str, estimate: Estimate, system: System, source: str) -> Iterator[Number]:
    base = Number(
        key, estimate.mean, labels.format_value(name, estimate.mean, unit=True), labels.metric(name).unit,
        estimate.low, estimate.high, system.n_prompts, tuple(system.seeds), source=source,
    )  # fmt: skip
    yield base
    yield replace(base, key=f"{key}.ci", value=None, text=labels.format_interval(name, estimate.low, estimate.high))
    yield replace(base, key=f"{key}.by_seed", value=None, text=", ".join(labels.format_value(name, v) for v in estimate.by_seed))


def _contrasts(compare: Compare) -> Iterator[Number]:
    """ "<a>-vs-<b>.<metric>.<rule>.<field>" for all; "primary.<field>" and "quality.<field>" for the headline against lora."""
    for contrast in compare.contrasts:
        yield from _contrast(f"{contrast.a}-vs-{contrast.b}.{contrast.metric}.{contrast.rule}", contrast, compare)
    main = {
        "primary": compare.contrast(compare.headline, "lora", compare.primary, ("matched", "chosen")),
        "quality": compare.contrast(compare.headline, "lora", compare.quality, ("chosen", "matched")),
    }
    for alias, contrast in main.items():
        yield from _contrast(alias, contrast, compare)
        matched = f"at matched {labels.metric(compare.quality).name}"
        rule = matched if contrast.rule == "matched" else "with each at its chosen temperature"
        yield Number(f"{alias}.rule", None, rule, source=f"contrasts/{contrast.id}")


def _contrast(prefix: str, contrast: Contrast, compare: Compare) -> Iterator[Number]:
    name, source = contrast.metric, f"contrasts/{contrast.id}"
    base = Number(
        f"{prefix}.delta", contrast.delta, labels.format_value(name, contrast.delta, unit=True, sign=True),
        UNIT_OF_DIFFERENCE[labels.metric(name).percent], contrast.low, contrast.high, contrast.n_prompts,
        tuple(contrast.seeds), source=source,
    )  # fmt: skip
    yield base
    words = {
        "ci": labels.format_interval(name, contrast.low, contrast.high, sign=True),
        "by_seed": ", ".join(labels.format_value(name, value, sign=True) for value in contrast.delta_by_seed),
    }
    if contrast.p_holm is not None:
        words["verdict"] = verdict(contrast)
    if contrast.margin is not None and contrast.non_inferior is not None:
        words["margin"] = labels.format_value(name, abs(contrast.margin), unit=True, sign=True).removeprefix("+")
        words["non_inferiority"] = NON_INFERIOR[contrast.non_inferior]
    for field, text in words.items():
        yield replace(base, key=f"{prefix}.{field}", value=None, text=text)
    for field in ("p_value", "p_permutation", "p_holm", "p_wilcoxon", "p_mannwhitney"):
        if (p := getattr(contrast, field)) is not None:
            text = labels.format_p(p)
            yield replace(
                base,
                key=f"{prefix}.{field}",
                value=p,
                text=rf"\ensuremath{{{text if text[0] == '<' else '=' + text}}}",
                low=None,
                high=None,
            )
    for field in ("d_z", "cliffs_delta"):
        if (effect := getattr(contrast, field)) is not None:
            yield replace(base, key=f"{prefix}.{field}", value=effect, text=labels.format_effect(effect), low=None, high=None)
    if contrast.clamped_share is not None:
        share = contrast.clamped_share
        yield replace(base, key=f"{prefix}.clamped_share", value=share, text=rf"{100 * share:.0f}\,\%", unit="%", low=None, high=None)
    for side in ("a", "b") if contrast.rule == "chosen" else ("a",):
        temperature = getattr(contrast, f"{side}_temperature")
        yield Number(f"{prefix}.{side}_temperature", temperature, labels.plain(temperature), source=source)


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
        yield from _estimate(f"lambda.{name}.best.value", name, rows[best].metrics[name], rows[best], source)


def _calibration(compare: Compare) -> Iterator[Number]:
    """The human-only fit of the match threshold: shares in per cent, counts as they are, the threshold to three digits."""
    for key, value in (compare.calibration or {}).items():
        if key in ("within", "across", "ceiling", "floor"):
            yield Number(f"calibration.{key}", value, rf"{100 * value:.1f}\,\%", unit="%", source="calibration")
        else:
            yield Number(f"calibration.{key}", value, f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}", source="calibration")
