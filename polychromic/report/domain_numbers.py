"""What dev and test say of a domain, as records under "<domain>." and "<domain>.test."."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from polychromic.base.errors import PolychromicError
from polychromic.report import labels, sentences
from polychromic.report.records import Number
from polychromic.report.results import Compare, Contrast, Estimate, System
from polychromic.report.timings import FOLDER, StepCost

NOTICE = (
    "These are development-set results: temperatures were chosen on the same prompts, so the intervals do not account for that choice "
    "and no confirmatory claim follows from them."
)
NON_INFERIOR = {True: "non-inferior to", False: "not shown to be non-inferior to"}


def _placed(numbers: Iterator[Number], prefix: str, compare: Compare) -> Iterator[Number]:
    """With the prefix before each key, the split, and the file before each row that a record comes from."""
    for number in numbers:
        source = "; ".join(f"{compare.path}#{row}" for row in number.source.split("; ")) if number.source else compare.path
        yield replace(number, key=f"{prefix}.{number.key}", split=compare.split, source=source)


def dev_numbers(compare: Compare, cost: StepCost | None) -> Iterator[Number]:
    """All records "<domain>.*" about dev, and "<domain>.cost.*", "<domain>.equal_cost.sentence" where its steps were timed."""
    for group in (_about_dev, system_numbers, contrast_numbers, _lambda, _calibration, _choices, _grid):
        yield from _placed(group(compare), compare.domain, compare)
    if cost is not None:
        yield from cost_sentences(cost, compare.headline, f"{compare.domain}.cost")
        source = f"{FOLDER}/step_cost-{cost.domain}.json; {compare.path}#contrasts"
        yield Number(f"{compare.domain}.equal_cost.sentence", None, sentences.equal_cost(cost, compare), source=source)


def test_numbers(compare: Compare) -> Iterator[Number]:
    """All records "<domain>.test.*"."""
    for group in (_about_test, system_numbers, contrast_numbers, _family):
        yield from _placed(group(compare), f"{compare.domain}.test", compare)


def _about_dev(compare: Compare) -> Iterator[Number]:
    main = [compare.chosen(label) for label in compare.main_labels()]
    yield Number("name", None, sentences.domain_name(compare))
    yield Number("split", None, "development")
    yield Number("split.notice", None, NOTICE)
    yield Number("primary.name", None, labels.metric(compare.primary).label)
    yield Number("quality.name", None, labels.metric(compare.quality).label)
    yield from _seeds(main)
    yield _span("n_prompts", [system.n_prompts for system in main])
    yield _span("n_samples", [system.n_samples for system in main])
    yield Number("temperatures", None, ", ".join(map(labels.plain, sorted({system.temperature for system in compare.systems}))))
    if (lam := compare.chosen(compare.headline).lam) is None:
        raise PolychromicError(f"{compare.path}: the headline {compare.headline!r} has no lambda. Make it again with `dvc repro`.")
    yield Number("headline.lambda", lam, labels.plain(lam))


def _about_test(compare: Compare) -> Iterator[Number]:
    yield from _counts({"n_prompts": max(system.n_prompts for system in compare.systems)}, "systems")
    yield from _counts({"n_samples": compare.chosen(compare.headline).n_samples}, "systems")
    yield from _seeds(compare.systems, [compare.chosen(compare.headline)], source="systems")
    yield Number("machines", None, labels.escape(" and ".join(compare.machines)), source="machines")
    yield from _counts({"runs": compare.training.runs, "steps": compare.training.steps}, "training")
    drafts = sum(len(system.seeds) * system.n_prompts * system.n_samples for system in compare.systems)
    yield from _counts({"drafts": drafts, "systems.count": len(compare.method_labels())}, "systems")


def _counts(counts: Mapping[str, int], source: str) -> Iterator[Number]:
    for key, count in counts.items():
        yield Number(key, count, labels.thousands(count), source=source)


def _seeds(systems: Sequence[System], counted: Sequence[System] | None = None, source: str = "") -> Iterator[Number]:
    """ "seeds" of all systems and "seeds.count", of those `counted`."""
    union = lambda chosen: tuple(sorted({seed for system in chosen for seed in system.seeds}))
    seeds, most = union(systems), union(counted or systems)
    yield Number("seeds", None, ", ".join(map(str, seeds)), seeds=seeds, source=source)
    yield Number("seeds.count", len(most), str(len(most)), seeds=most, source=source)


def _span(key: str, counts: Sequence[int]) -> Number:
    """A count that all systems share, or "low--high" where they differ."""
    low, high = min(counts), max(counts)
    return Number(key, low if low == high else None, str(low) if low == high else f"{low}--{high}")


def system_numbers(compare: Compare) -> Iterator[Number]:
    """ "<label>.<metric>" and its ".ci" at the chosen temperature."""
    for system in compare.systems:
        if system.chosen:
            for name, estimate in system.metrics.items():
                yield from _estimate(f"{system.label}.{name}", name, estimate, system)


def _estimate(key: str, name: str, estimate: Estimate, system: System) -> Iterator[Number]:
    base = Number(
        key, estimate.mean, labels.format_value(name, estimate.mean, unit=True), "%" if labels.metric(name).percent else "",
        estimate.low, estimate.high, system.n_prompts, tuple(system.seeds),
        source=f"systems/{system.label}@T={labels.plain(system.temperature)}",
    )  # fmt: skip
    yield base
    yield replace(base, key=f"{key}.ci", value=None, text=labels.format_interval(name, estimate.low, estimate.high))


def contrast_numbers(compare: Compare) -> Iterator[Number]:
    """ "<a>-vs-<b>.<metric>.<rule>.<field>" for all, on the primary metric with ".sentence"; "primary.<field>" and "quality.<field>" for
    the headline against lora, with ".rule"."""
    for contrast in compare.contrasts:
        key = f"{contrast.a}-vs-{contrast.b}.{contrast.metric}.{contrast.rule}"
        yield from _contrast(key, contrast)
        if contrast.metric == compare.primary:
            yield Number(f"{key}.sentence", None, sentences.comparison(compare, contrast), source=f"contrasts/{contrast.id}")
    for alias, metric, rules in (("primary", compare.primary, ("matched", "chosen")), ("quality", compare.quality, ("chosen", "matched"))):
        contrast = compare.contrast(compare.headline, "lora", metric, rules)
        yield from _contrast(alias, contrast)
        yield Number(f"{alias}.rule", None, sentences.rule_text(contrast, compare), source=f"contrasts/{contrast.id}")


def _contrast(prefix: str, contrast: Contrast) -> Iterator[Number]:
    """ "<prefix>.<field>": the difference, its interval, its test, and what may be said of it."""
    name = contrast.metric
    base = Number(
        f"{prefix}.delta", contrast.delta, labels.format_value(name, contrast.delta, unit=True, sign=True),
        "points" if labels.metric(name).percent else "", contrast.low, contrast.high, contrast.n_prompts,
        tuple(contrast.seeds), source=f"contrasts/{contrast.id}",
    )  # fmt: skip
    yield base
    words = {
        "ci": labels.format_interval(name, contrast.low, contrast.high, sign=True),
        "by_seed": ", ".join(labels.format_value(name, value, sign=True) for value in contrast.delta_by_seed),
    }
    if contrast.p_adjusted is not None:
        words["verdict"] = sentences.verdict(contrast)
        yield replace(
            base, key=f"{prefix}.p_adjusted", value=contrast.p_adjusted, text=sentences.p_text(contrast.p_adjusted), low=None, high=None
        )
    if contrast.margin is not None and contrast.non_inferior is not None:
        words["margin"] = labels.format_value(name, abs(contrast.margin), unit=True, sign=True).removeprefix("+")
        words["non_inferiority"] = NON_INFERIOR[contrast.non_inferior]
    for field, text in words.items():
        yield replace(base, key=f"{prefix}.{field}", value=None, text=text)
    if (share := contrast.clamped_share) is not None:
        yield replace(base, key=f"{prefix}.clamped_share", value=share, text=rf"{100 * share:.0f}\,\%", unit="%", low=None, high=None)


def _lambda(compare: Compare) -> Iterator[Number]:
    """The ablation in words: its grid, its one temperature, the best λ per metric, and whether a metric moves one way."""
    rows = compare.lambda_rows()
    grid = [0.0 if row.label == "lora" else row.lam or 0.0 for row in rows]
    yield Number("lambda.temperature", rows[0].temperature, labels.plain(rows[0].temperature), source="systems")
    yield Number("lambda.grid", None, ", ".join(labels.plain(lam) for lam in grid if lam > 0), source="systems")
    for name in rows[0].metrics:
        means = [row.metrics[name].mean for row in rows]
        steps = [after - before for before, after in pairwise(means)]
        moves = "rises" if min(steps) > 0 else "falls" if max(steps) < 0 else ""
        text = f"{moves} at every step of the grid" if moves else "is not monotone over the grid"
        yield Number(f"lambda.{name}.trend", None, text, source="systems")
        if labels.metric(name).direction == "none":
            continue
        best = max(range(len(rows)), key=lambda i: means[i] if labels.metric(name).direction == "up" else -means[i])
        source = f"systems/{rows[best].label}@T={labels.plain(rows[best].temperature)}"
        yield Number(f"lambda.{name}.best", grid[best], labels.plain(grid[best]), source=source)
        yield from _estimate(f"lambda.{name}.best.value", name, rows[best].metrics[name], rows[best])


def _calibration(compare: Compare) -> Iterator[Number]:
    """The human-only fit of the match threshold: shares in per cent, counts as they are, the threshold to three digits."""
    for key, value in (compare.calibration or {}).items():
        share = key in ("within", "across", "ceiling", "floor")
        text = rf"{100 * value:.1f}\,\%" if share else f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"
        yield Number(f"calibration.{key}", value, text, unit="%" if share else "", source="calibration")


def _choices(compare: Compare) -> Iterator[Number]:
    """ "<role>.sentence", "<role>.variants.sentence" of the best peers, "tries.count", "peers.count"."""
    for role in sentences.ROLES:
        yield Number(f"{role}.variants.sentence", None, sentences.variants(compare, role), source="contrasts")
        text, source = sentences.best_peer(compare, role)
        yield Number(f"{role}.sentence", None, text, source=source)
    tries = len(compare.selection.tries)
    yield Number("tries.count", tries, str(tries), source="selection/tries")
    peers = sum(not compare.methods[name].ours for name in compare.method_labels())
    yield Number("peers.count", peers, str(peers), source="methods")


def _grid(compare: Compare) -> Iterator[Number]:
    """What training with each λ left, and what follows: "grid.<field>.lora|headline", "grid.*.sentence", "gaming.sentence"."""
    grid, source = compare.selection.grid, "selection/lambda"
    for name, weight in (("lora", grid.rows[0]), *(("headline", w) for w in grid.rows if w.label == compare.headline)):
        for field, digits in (("validation_ce", 3), ("kl_to_base", 2), ("reply_tokens", 1)):
            value = getattr(weight, field)
            yield Number(f"grid.{field}.{name}", value, f"{value:.{digits}f}", source=f"{source}/{weight.label}")
    yield Number("grid.recommended.sentence", None, sentences.recommended(compare), source=source)
    yield Number("grid.trend.sentence", None, sentences.trend(compare), source=f"{source}/trend")
    if grid.gaming is not None:  # None where training sees pass@1 itself
        yield Number("gaming.sentence", None, sentences.gaming(compare), source=f"{source}/gaming")


def _family(compare: Compare) -> Iterator[Number]:
    """ "family.sentence"; and in whole sentences what the family says of the headline against its peers other than LoRA
    ("peers.sentences") and of other systems ("variants.sentences")."""
    yield Number("family.sentence", None, sentences.family(compare), source="contrasts")
    primary = [c for c in compare.contrasts if c.family == "primary"]
    peers = [c for c in primary if c.a == compare.headline and c.b != "lora"]
    others = [c for c in primary if c.a != compare.headline]
    for key, what, found in (("peers", "contrast of the headline", peers), ("variants", "system", others)):
        text = sentences.comparisons(compare, found, f"No other {what} is in the primary family.")
        yield Number(f"{key}.sentences", None, text, source="; ".join(f"contrasts/{c.id}" for c in found) or "contrasts")


def cost_sentences(cost: StepCost, headline: str, prefix: str) -> Iterator[Number]:
    """What a step of the headline costs, and whether that is within the bound; the text says so where it was not measured."""
    source = f"{FOLDER}/step_cost-{cost.domain}.json"
    yield Number(f"{prefix}.headline.sentence", None, sentences.step_cost(cost, headline), source=source)
    if headline in cost.variants:
        yield Number(f"{prefix}.bar.sentence", None, sentences.bar(cost, headline), source=source)
