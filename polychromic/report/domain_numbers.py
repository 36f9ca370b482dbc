"""What dev, test and calibration say of a domain, as records under "<domain>.", "<domain>.test." and "people."."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from polychromic.report import labels, sentences
from polychromic.report.records import Number
from polychromic.report.results import Compare, Fields, weight

NOTICE = (
    "These are development-set results: temperatures were chosen on the same prompts, so the intervals do not account for that choice "
    "and no confirmatory claim follows from them."
)
PEER = "lora"  # the system beside which the headline's drafts are called more or less alike
Numbers = Iterator[Number]


def dev_numbers(compare: Compare, cost: Fields | None) -> Numbers:
    """All records "<domain>.*" about dev, and "<domain>.cost.*", "<domain>.equal_cost.sentence" where its steps were timed."""
    yield from _placed((_about_dev, _systems, _contrasts, _lambda, _calibration, _choices, _grid), compare.domain, compare)
    if cost is not None:
        yield from cost_numbers(cost, compare.headline, f"{compare.domain}.cost")
        source = f"{cost.place}; {compare.place}#contrasts"
        yield Number(f"{compare.domain}.equal_cost.sentence", None, sentences.equal_cost(cost, compare), source=source)


def test_numbers(compare: Compare) -> Numbers:
    """All records "<domain>.test.*"."""
    yield from _placed((_about_test, _systems, _contrasts, _family), f"{compare.domain}.test", compare)


def cost_numbers(cost: Fields, headline: str, prefix: str) -> Numbers:
    """What a step of the headline costs, and whether that is within the bound; nothing where it was not measured."""
    if headline in cost.variants:
        for key, text in zip(("headline", "bar"), sentences.step_cost(cost, headline), strict=True):
            yield Number(f"{prefix}.{key}.sentence", None, text, source=cost.place)


def _placed(groups: Sequence, prefix: str, compare: Compare) -> Numbers:
    """With the prefix before each key, the split, and the file before each row that a record comes from."""
    for number in (number for group in groups for number in group(compare)):
        source = "; ".join(f"{compare.place}#{row}" for row in number.source.split("; ")) if number.source else compare.place
        yield replace(number, key=f"{prefix}.{number.key}", split=compare.split, source=source)


def _about_dev(compare: Compare) -> Numbers:
    headline, main = compare.chosen(compare.headline), [compare.chosen(label) for label in compare.main_labels()]
    temperatures = ", ".join(map(labels.plain, sorted({system.temperature for system in compare.systems})))
    words = {
        "name": compare.domain_name, "split": "development", "split.notice": NOTICE, "temperatures": temperatures,
        "primary.name": labels.metric(compare.primary).label, "quality.name": labels.metric(compare.quality).label,
    }  # fmt: skip
    for key, text in words.items():
        yield Number(key, None, text)
    for key in ("n_prompts", "n_samples"):
        yield Number(key, headline[key], str(headline[key]))
    yield from _seeds(main, main)
    yield Number("headline.lambda", headline.lam, labels.plain(headline.lam))


def _about_test(compare: Compare) -> Numbers:
    headline = compare.chosen(compare.headline)
    counts = {
        "n_prompts": max(system.n_prompts for system in compare.systems), "n_samples": headline.n_samples,
        "drafts": sum(len(system.seeds) * system.n_prompts * system.n_samples for system in compare.systems),
        "systems.count": len(compare.method_labels()), **compare.training,
    }  # fmt: skip
    for key, count in counts.items():
        yield Number(key, count, labels.thousands(count), source="training" if key in compare.training else "systems")
    yield from _seeds(compare.systems, [headline], source="systems")
    yield Number("machines", None, labels.escape(" and ".join(compare.machines)), source="machines")


def _seeds(systems: Sequence[Fields], counted: Sequence[Fields], source: str = "") -> Numbers:
    """ "seeds" of all systems and "seeds.count", of those `counted`."""
    seeds, most = (tuple(sorted({seed for system in chosen for seed in system.seeds})) for chosen in (systems, counted))
    yield Number("seeds", None, ", ".join(map(str, seeds)), seeds=seeds, source=source)
    yield Number("seeds.count", len(most), str(len(most)), seeds=most, source=source)


def _systems(compare: Compare) -> Numbers:
    """ "<label>.<metric>" and its ".ci" at the chosen temperature."""
    for system in compare.systems:
        if system.chosen:
            for name in system.metrics:
                yield from _estimate(f"{system.label}.{name}", name, system)


def _estimate(key: str, name: str, system: Fields) -> Numbers:
    estimate, source = system.metrics[name], f"systems/{system.label}@T={labels.plain(system.temperature)}"
    base = Number(
        key, estimate.mean, labels.format_value(name, estimate.mean, unit=True), "%" if labels.metric(name).percent else "",
        estimate.low, estimate.high, system.n_prompts, tuple(system.seeds), source=source,
    )  # fmt: skip
    yield base
    yield replace(base, key=f"{key}.ci", value=None, text=labels.format_interval(name, estimate.low, estimate.high))


def _contrasts(compare: Compare) -> Numbers:
    """ "<a>-vs-<b>.<metric>.<rule>.<field>" for all, on the primary metric with ".sentence"; "primary.<field>" and "quality.<field>" for
    the headline against lora, with ".rule"."""
    for contrast in compare.contrasts:
        key = f"{contrast.a}-vs-{contrast.b}.{contrast.metric}.{contrast.rule}"
        yield from _contrast(key, contrast)
        if contrast.metric == compare.primary:
            yield Number(f"{key}.sentence", None, sentences.comparison(compare, contrast), source=f"contrasts/{contrast.id}")
    for alias, metric, rules in (("primary", compare.primary, ("matched", "chosen")), ("quality", compare.quality, ("chosen", "matched"))):
        contrast = compare.contrast(compare.headline, "lora", metric, *rules)
        yield from _contrast(alias, contrast)
        yield Number(f"{alias}.rule", None, sentences.rule_text(contrast, compare), source=f"contrasts/{contrast.id}")


def _contrast(prefix: str, contrast: Fields) -> Numbers:
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
    alone = replace(base, low=None, high=None)
    if (p := contrast.p_adjusted) is not None:
        words["verdict"] = sentences.verdict(contrast)
        yield replace(alone, key=f"{prefix}.p_adjusted", value=p, text=sentences.p_text(p))
    if contrast.margin is not None and contrast.non_inferior is not None:
        words["margin"] = labels.format_value(name, abs(contrast.margin), unit=True, sign=True).removeprefix("+")
        words["non_inferiority"] = f"{'' if contrast.non_inferior else 'not shown to be '}non-inferior to"
    for field, text in words.items():
        yield replace(base, key=f"{prefix}.{field}", value=None, text=text)
    if (share := contrast.clamped_share) is not None:
        yield replace(alone, key=f"{prefix}.clamped_share", value=share, text=rf"{100 * share:.0f}\,\%", unit="%")


def _lambda(compare: Compare) -> Numbers:
    """The ablation in words: its grid, its one temperature, the best λ per metric, and whether a metric moves one way."""
    rows = compare.lambda_rows()
    grid = ", ".join(labels.plain(weight(row)) for row in rows if weight(row) > 0)
    yield Number("lambda.temperature", rows[0].temperature, labels.plain(rows[0].temperature), source="systems")
    yield Number("lambda.grid", None, grid, source="systems")
    for name in rows[0].metrics:
        mean = lambda row, name=name: row.metrics[name].mean
        steps = [mean(after) - mean(before) for before, after in pairwise(rows)]
        moves = "rises" if min(steps) > 0 else "falls" if max(steps) < 0 else ""
        text = f"{moves} at every step of the grid" if moves else "is not monotone over the grid"
        yield Number(f"lambda.{name}.trend", None, text, source="systems")
        if (direction := labels.metric(name).direction) != "none":
            best = max(rows, key=mean) if direction == "up" else min(rows, key=mean)
            source = f"systems/{best.label}@T={labels.plain(best.temperature)}"
            yield Number(f"lambda.{name}.best", weight(best), labels.plain(weight(best)), source=source)
            yield from _estimate(f"lambda.{name}.best.value", name, best)


def _calibration(compare: Compare) -> Numbers:
    """The human-only fit of the match threshold: shares in per cent, counts as they are, the threshold to three digits."""
    for key, value in (compare.calibration or {}).items():
        share = key in ("within", "across", "ceiling", "floor")
        text = rf"{100 * value:.1f}\,\%" if share else f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"
        yield Number(f"calibration.{key}", float(value), text, unit="%" if share else "", source="calibration")


def _choices(compare: Compare) -> Numbers:
    """ "<role>.sentence", "<role>.variants.sentence" of the best peers, "tries.count", "peers.count"."""
    for role in sentences.ROLES:
        yield Number(f"{role}.variants.sentence", None, sentences.variants(compare, role), source="contrasts")
        text, source = sentences.best_peer(compare, role)
        yield Number(f"{role}.sentence", None, text, source=source)
    peers = sum(not compare.methods[name].ours for name in compare.method_labels())
    for key, count, source in (("tries", len(compare.selection.tries), "selection/tries"), ("peers", peers, "methods")):
        yield Number(f"{key}.count", count, str(count), source=source)


def _grid(compare: Compare) -> Numbers:
    """What training with each λ left, and what follows: "grid.<field>.lora|headline", "grid.*.sentence", "gaming.sentence"."""
    grid, source = compare.selection.lam, "selection/lambda"
    for name, row in (("lora", grid.rows[0]), *(("headline", row) for row in grid.rows if row.label == compare.headline)):
        for field, digits in (("validation_ce", 3), ("kl_to_base", 2), ("reply_tokens", 1)):
            yield Number(f"grid.{field}.{name}", row[field], f"{row[field]:.{digits}f}", source=f"{source}/{row.label}")
    yield Number("grid.recommended.sentence", None, sentences.recommended(compare), source=source)
    yield Number("grid.trend.sentence", None, sentences.trend(compare), source=f"{source}/trend")
    if grid.gaming:  # None where training sees pass@1 itself, empty where no temperature is shared with LoRA
        yield Number("gaming.sentence", None, sentences.gaming(compare), source=f"{source}/gaming")


def _family(compare: Compare) -> Numbers:
    """ "family.sentence"; and in whole sentences what the family says of the headline against its peers other than LoRA
    ("peers.sentences") and of other systems ("variants.sentences")."""
    yield Number("family.sentence", None, sentences.family(compare), source="contrasts")
    primary = [c for c in compare.contrasts if c.family == "primary"]
    peers = [c for c in primary if c.a == compare.headline and c.b != "lora"]
    others = [c for c in primary if c.a != compare.headline]
    for key, what, found in (("peers", "contrast of the headline", peers), ("variants", "system", others)):
        text = " ".join(sentences.comparison(compare, c) for c in found) or f"No other {what} is in the primary family."
        yield Number(f"{key}.sentences", None, text, source="; ".join(f"contrasts/{c.id}" for c in found) or "contrasts")


def people_numbers(found: Fields, headline: str) -> Numbers:
    """Drafts beside people: how alike they are, and how many people they match, on the messages that many people answered.

    Keys people.{n_prompts,temperature,drafts,targets,collision}; people.{ceiling,floor} with .ci, human recall of people's own
    replies and of people's replies to other messages; people.<label>.{ratio,human_recall,floor} with .ci,
    people.<label>.above_floor.verdict; people.headline.sentence.
    """
    for name in ("n_prompts", "drafts", "targets", "temperature"):
        yield Number(f"people.{name}", found[name], labels.plain(found[name]), source=found.place)
    yield Number("people.collision", found.human_collision, f"{found.human_collision:.3f}", source=found.place)
    means = [("ceiling", found.people.human_recall[-1], (), "people"), ("floor", found.people.floor.human_recall[-1], (), "people")]
    for label, s in sorted(found.systems.items()):
        each = {"ratio": s.ratio, "human_recall": s.human_recall[-1], "floor": s.floor.human_recall[-1]}
        means += [(f"{label}.{name}", at, tuple(s.seeds), label) for name, at in each.items()]
        side = "above" if s.above_floor.low > 0 else "below" if s.above_floor.high < 0 else "not told apart from"
        yield Number(f"people.{label}.above_floor.verdict", None, side, seeds=tuple(s.seeds), source=f"{found.place}#{label}")
    for key, at, seeds, place in means:
        share = not key.endswith("ratio")
        about = {"n": found.n_prompts, "seeds": seeds, "source": f"{found.place}#{place}"}
        text = rf"{labels.signed(f'{100 * at.value:.1f}')}\,\%" if share else f"{at.value:.2f}"
        yield Number(f"people.{key}", at.value, text, "%" if share else "", at.low, at.high, **about)
        yield Number(f"people.{key}.ci", None, labels.bracketed(at.low, at.high, share), **about)
    pair = next(pair for pair in found.contrasts if (pair.a, pair.b) == (headline, PEER))
    yield Number("people.headline.sentence", None, sentences.alike(pair), n=found.n_prompts, source=f"{found.place}#{headline}-{PEER}")
